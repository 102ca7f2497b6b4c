//! The header of block 0.

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_op_hardforks::OpHardforks;
use alloy_primitives::{B64, B256, keccak256};
use alloy_trie::{
    EMPTY_ROOT_HASH, KECCAK_EMPTY, TrieAccount,
    root::{state_root_unhashed, storage_root_unhashed},
};

use crate::{ChainSpecError, predeploys::L2_TO_L1_MESSAGE_PASSER};

/// Base fee of block 0 when the genesis names none, in wei (EIP-1559's initial base fee).
const INITIAL_BASE_FEE: u128 = 1_000_000_000;
/// Gas limit of block 0 when the genesis names none (geth's `GenesisGasLimit`).
const GENESIS_GAS_LIMIT: u64 = 4_712_388;

/// Root of the state trie over the alloc of `genesis`.
pub(crate) fn state_root(genesis: &Genesis) -> B256 {
    state_root_unhashed(
        genesis.alloc.iter().map(|(address, account)| (*address, trie_account(account))),
    )
}

/// The genesis header as op-geth makes it.
///
/// From Isthmus the withdrawals root is the storage root of the message passer, and zero where the
/// alloc has no such account.
pub(crate) fn genesis_header(
    genesis: &Genesis,
    forks: &impl OpHardforks,
    state_root: B256,
) -> Result<Header, ChainSpecError> {
    let at = genesis.timestamp;
    let ecotone = forks.is_ecotone_active_at_timestamp(at);
    let isthmus = forks.is_isthmus_active_at_timestamp(at);

    let withdrawals_root = if isthmus {
        Some(genesis.alloc.get(&L2_TO_L1_MESSAGE_PASSER).map_or(B256::ZERO, storage_root))
    } else {
        forks.is_canyon_active_at_timestamp(at).then_some(EMPTY_ROOT_HASH)
    };
    let base_fee = if forks.is_london_active_at_block(0) {
        let base_fee = genesis.base_fee_per_gas.unwrap_or(INITIAL_BASE_FEE);
        let fits = u64::try_from(base_fee);
        Some(
            fits.map_err(|_| ChainSpecError::Overflow { field: "baseFeePerGas", value: base_fee })?,
        )
    } else {
        None
    };
    Ok(Header {
        parent_hash: genesis.parent_hash.unwrap_or_default(),
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: genesis.coinbase,
        state_root,
        transactions_root: EMPTY_ROOT_HASH,
        receipts_root: EMPTY_ROOT_HASH,
        difficulty: genesis.difficulty,
        gas_limit: if genesis.gas_limit == 0 { GENESIS_GAS_LIMIT } else { genesis.gas_limit },
        timestamp: at,
        extra_data: genesis.extra_data.clone(),
        mix_hash: genesis.mix_hash,
        nonce: B64::from(genesis.nonce),
        base_fee_per_gas: base_fee,
        withdrawals_root,
        blob_gas_used: ecotone.then(|| genesis.blob_gas_used.unwrap_or_default()),
        excess_blob_gas: ecotone.then(|| genesis.excess_blob_gas.unwrap_or_default()),
        parent_beacon_block_root: ecotone.then_some(B256::ZERO),
        requests_hash: isthmus.then_some(EMPTY_REQUESTS_HASH),
        ..Default::default()
    })
}

/// An account of the alloc as the state trie holds it.
fn trie_account(account: &GenesisAccount) -> TrieAccount {
    TrieAccount {
        nonce: account.nonce.unwrap_or_default(),
        balance: account.balance,
        storage_root: storage_root(account),
        code_hash: account.non_empty_code().map_or(KECCAK_EMPTY, keccak256),
    }
}

fn storage_root(account: &GenesisAccount) -> B256 {
    storage_root_unhashed(account.storage_slots().filter(|(_, value)| !value.is_zero()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_of_zero_are_not_there() {
        let account = |value| {
            let slots = std::iter::once((B256::ZERO, B256::with_last_byte(value))).collect();
            GenesisAccount::default().with_storage(Some(slots))
        };
        assert_eq!(storage_root(&account(0)), EMPTY_ROOT_HASH);
        assert_ne!(storage_root(&account(1)), EMPTY_ROOT_HASH);
    }
}
