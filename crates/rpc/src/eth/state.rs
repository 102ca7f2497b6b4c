//! Accounts: balances, nonces, code, storage, proofs.

use super::block_id::BlockRef;
use crate::{RpcContext, RpcError, error::LIMIT_EXCEEDED_CLIENT, hex::Hex};
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, hex};
use serde::Serialize;
use std::collections::BTreeMap;

/// Slots that one request may ask proofs of.
const MAX_PROOF_KEYS: usize = 1024;
/// Slots that one request may ask values of.
const MAX_STORAGE_SLOTS: usize = 1024;

/// `eth_getBalance`
pub(super) fn balance(
    context: &RpcContext,
    (Hex(address), block): (Hex<Address>, BlockRef),
) -> Result<Hex<U256>, RpcError> {
    let block = context.header_block(block)?;
    Ok(Hex(context.chain.state_at(block.hash)?.balance(address)?))
}

/// `eth_getCode`
pub(super) fn code(
    context: &RpcContext,
    (Hex(address), block): (Hex<Address>, BlockRef),
) -> Result<Bytes, RpcError> {
    let block = context.header_block(block)?;
    Ok(context.chain.state_at(block.hash)?.code(address)?)
}

/// `eth_getTransactionCount`: with `pending`, what is in the pool counts.
pub(super) fn transaction_count(
    context: &RpcContext,
    (Hex(address), block): (Hex<Address>, BlockRef),
) -> Result<Hex<u64>, RpcError> {
    if block == BlockRef::Number(BlockNumberOrTag::Pending)
        && let Some(nonce) = context.pool.pending_nonce(address)
    {
        return Ok(Hex(nonce));
    }
    let block = context.header_block(block)?;
    Ok(Hex(context.chain.state_at(block.hash)?.nonce(address)?))
}

/// `eth_getStorageAt`
pub(super) fn storage_at(
    context: &RpcContext,
    (Hex(address), key, block): (Hex<Address>, String, BlockRef),
) -> Result<B256, RpcError> {
    let block = context.header_block(block)?;
    let state = context.chain.state_at(block.hash)?;
    let key = StorageKey::parse(&key)?;
    Ok(state.storage(address, key.slot.into())?.into())
}

/// `eth_getStorageValues`
pub(super) fn storage_values(
    context: &RpcContext,
    (requests, block): (BTreeMap<Address, Vec<Hex<B256>>>, BlockRef),
) -> Result<BTreeMap<Address, Vec<B256>>, RpcError> {
    let total: usize = requests.values().map(Vec::len).sum();
    if total > MAX_STORAGE_SLOTS {
        let text = format!("too many slots (max {MAX_STORAGE_SLOTS})");
        return Err(RpcError::new(LIMIT_EXCEEDED_CLIENT, text));
    }
    if total == 0 {
        return Err(RpcError::invalid_params("empty request"));
    }
    let state = context.chain.state_at(context.state_block(block)?.hash)?;
    let mut values = BTreeMap::new();
    for (address, slots) in requests {
        let read =
            slots.into_iter().map(|Hex(slot)| Ok(state.storage(address, slot.into())?.into()));
        values.insert(address, read.collect::<Result<_, RpcError>>()?);
    }
    Ok(values)
}

/// A storage key as callers write it: any hex of at most 32 bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct StorageKey {
    slot: B256,
    /// Whether all 32 bytes were written.
    full: bool,
}

impl StorageKey {
    fn parse(text: &str) -> Result<Self, RpcError> {
        let invalid = |what| RpcError::invalid_params(format!("{what}: {text:?}"));
        let digits = text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).unwrap_or(text);
        if digits.len() > 64 {
            return Err(invalid("storage key too long (want at most 32 bytes)"));
        }
        let padded = format!("{digits:0>64}");
        let mut slot = [0; 32];
        hex::decode_to_slice(&padded, &mut slot)
            .map_err(|_| invalid("invalid hex in storage key"))?;
        Ok(Self { slot: B256::new(slot), full: digits.len() > 62 })
    }

    /// The key as the answer shows it: as a hash if it came as one, else as a number.
    fn shown(&self) -> String {
        if self.full {
            self.slot.to_string()
        } else {
            format!("{:#x}", U256::from_be_bytes(self.slot.0))
        }
    }
}

/// The answer of `eth_getProof` (EIP-1186).
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccountResult {
    address: Address,
    account_proof: Vec<Bytes>,
    balance: Hex<U256>,
    code_hash: B256,
    nonce: Hex<u64>,
    storage_hash: B256,
    storage_proof: Vec<StorageResult>,
}

#[derive(Debug, Serialize)]
struct StorageResult {
    key: String,
    value: Hex<U256>,
    proof: Vec<Bytes>,
}

/// `eth_getProof`
pub(super) fn proof(
    context: &RpcContext,
    (Hex(address), keys, block): (Hex<Address>, Option<Vec<String>>, BlockRef),
) -> Result<AccountResult, RpcError> {
    let keys = keys.unwrap_or_default();
    if keys.len() > MAX_PROOF_KEYS {
        return Err(RpcError::invalid_params(format!(
            "too many storage keys requested (max {MAX_PROOF_KEYS}, got {})",
            keys.len()
        )));
    }
    let block = context.header_block(block)?;
    let keys = keys.iter().map(|key| StorageKey::parse(key)).collect::<Result<Vec<_>, _>>()?;
    let window = context.config.eth_proof_window;
    if context.chain.head().number.saturating_sub(block.number) > window {
        return Err(RpcError::server(format!(
            "block {} is too old for a proof: the window is {window} blocks",
            block.number
        )));
    }
    let slots: Vec<B256> = keys.iter().map(|key| key.slot).collect();
    let proof = context.chain.state_at(block.hash)?.proof(address, &slots)?;
    // An account that is not there has no hashes at all, as geth sees it.
    let (code_hash, storage_hash) = match &proof.account {
        Some(account) => (account.code_hash, account.storage_root),
        None => (B256::ZERO, B256::ZERO),
    };
    let account = proof.account.unwrap_or_default();
    let storage_proof = keys
        .iter()
        .zip(proof.storage)
        .map(|(key, slot)| StorageResult {
            key: key.shown(),
            value: Hex(slot.value),
            proof: slot.proof,
        })
        .collect();
    Ok(AccountResult {
        address,
        account_proof: proof.proof,
        balance: Hex(account.balance),
        code_hash,
        nonce: Hex(account.nonce),
        storage_hash,
        storage_proof,
    })
}

/// The answer of `eth_getAccount`.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct Account {
    balance: Hex<U256>,
    nonce: Hex<u64>,
    code_hash: B256,
    storage_root: B256,
}

/// `eth_getAccount`: an account's fields as they stand in the state trie; `null` if it has none.
pub(super) fn account(
    context: &RpcContext,
    (Hex(address), block): (Hex<Address>, BlockRef),
) -> Result<Option<Account>, RpcError> {
    let block = context.header_block(block)?;
    let account = context.chain.state_at(block.hash)?.trie_account(address)?;
    Ok(account.map(|account| Account {
        balance: Hex(account.balance),
        nonce: Hex(account.nonce),
        code_hash: account.code_hash,
        storage_root: account.storage_root,
    }))
}

/// The answer of `eth_getAccountInfo`.
#[derive(Debug, Serialize)]
pub(super) struct AccountInfo {
    balance: Hex<U256>,
    nonce: Hex<u64>,
    code: Bytes,
}

/// `eth_getAccountInfo`: balance, nonce and code at once.
pub(super) fn account_info(
    context: &RpcContext,
    (Hex(address), block): (Hex<Address>, BlockRef),
) -> Result<AccountInfo, RpcError> {
    let block = context.header_block(block)?;
    let state = context.chain.state_at(block.hash)?;
    let account = state.trie_account(address)?.unwrap_or_default();
    let code =
        if account.code_hash == KECCAK256_EMPTY { Bytes::new() } else { state.code(address)? };
    Ok(AccountInfo { balance: Hex(account.balance), nonce: Hex(account.nonce), code })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn storage_keys_may_be_short() {
        let slot = |text: &str| StorageKey::parse(text).map(|key| (key.slot, key.shown()));
        for text in ["", "0x", "0x0"] {
            let (slot, shown) = slot(text).expect("it is a key");
            assert_eq!((slot, shown.as_str()), (B256::ZERO, "0x0"), "{text:?}");
        }
        for text in ["3", "03", "0x3", "0x0003"] {
            let (slot, shown) = slot(text).expect("it is a key");
            assert_eq!((slot, shown.as_str()), (B256::with_last_byte(3), "0x3"), "{text:?}");
        }
        let full = B256::with_last_byte(3).to_string();
        assert_eq!(slot(&full).expect("it is a key").1, full);
    }

    #[test]
    fn bad_storage_keys_are_refused() {
        let refused = |text: &str| {
            let error = StorageKey::parse(text).expect_err("it is no key");
            assert_eq!(error.code(), -32602);
            error.message().to_owned()
        };
        assert_eq!(refused("0xzz"), r#"invalid hex in storage key: "0xzz""#);
        let long = "1".repeat(65);
        assert_eq!(
            refused(&long),
            format!("storage key too long (want at most 32 bytes): {long:?}")
        );
    }
}
