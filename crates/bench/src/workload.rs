//! The chain that is measured on, and the transactions that fill its blocks.

use std::{collections::BTreeMap, fmt, sync::Arc};

use alloy_consensus::{SignableTransaction, TxEip1559};
use alloy_eips::{Encodable2718, eip1559::BaseFeeParams, eip2935, eip4788};
use alloy_genesis::{Genesis, GenesisAccount};
use alloy_primitives::{Address, B64, B256, Bytes, TxKind, U256, address, hex, keccak256};
use alloy_rpc_types_engine::PayloadAttributes;
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use ascribe_chainspec::{
    ChainSpec,
    attributes::{Format, L1Attributes},
    predeploys::{L1_BLOCK, L2_TO_L1_MESSAGE_PASSER, SEQUENCER_FEE_VAULT},
};
use clap::ValueEnum;
use op_alloy_consensus::{OpTxEnvelope, encode_jovian_extra_data};
use op_alloy_rpc_types_engine::OpPayloadAttributes;
use rayon::prelude::*;

use crate::BenchError;

/// Id of the chain.
pub(crate) const CHAIN_ID: u64 = 901;
/// Accounts that send, in turn.
const SENDERS: usize = 2_000;
/// Accounts that only lie there.
const IDLE: u64 = 100_000;
/// Recipients that are not there until somebody pays them.
const RECIPIENTS: u64 = 200_000;
/// Seconds between blocks.
const BLOCK_TIME: u64 = 2;
const GENESIS_TIME: u64 = 1_760_000_000;
/// Gas of the L1-attributes deposit that its sender bids: the rest of the block is for the load.
const DEPOSIT_GAS: u64 = 1_000_000;
/// Gas of the transfer of a token to somebody new, with room to spare.
const TOKEN_GAS: u64 = 60_000;
/// Reads, updates and new slots of one storage transaction.
const STORAGE_WORK: [u64; 3] = [60, 40, 20];

/// The token of the ERC-20 workload.
pub(crate) const TOKEN: Address = address!("00000000000000000000000000000000000070c0");
const STORE: Address = address!("00000000000000000000000000000000000057a7");

const ATTRIBUTES_CODE: &str = include_str!("../contracts/Attributes.hex");
const TOKEN_CODE: &str = include_str!("../contracts/Token.hex");
const STORE_CODE: &str = include_str!("../contracts/Store.hex");
const CHILD_INIT: &str = include_str!("../contracts/Child.hex");

/// What blocks are full of.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Workload {
    /// ETH transfers, three in five to one of 200,000 addresses that are new when first met
    Transfer,
    /// Transfers of an ERC-20 to the same recipients
    Erc20,
    /// Calls that read 60, overwrite 40 and append 20 entries of a large mapping
    Storage,
    /// Deployments of a token, each with a code of its own
    Create,
}

impl Workload {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Transfer, Self::Erc20, Self::Storage, Self::Create];

    /// The gas limit of one transaction, and how many fit a block for certain.
    const fn gas(self) -> (u64, u64) {
        // Limit, and what is used at most.
        match self {
            Self::Transfer => (21_000, 21_000),
            Self::Erc20 => (TOKEN_GAS, 53_000),
            Self::Storage => (1_500_000, 1_000_000),
            Self::Create => (1_000_000, 560_000),
        }
    }

    /// Transactions that fit a block of `gas_limit`.
    pub(crate) const fn per_block(self, gas_limit: u64) -> usize {
        let (limit, used) = self.gas();
        // The last one must be able to bid its limit.
        ((gas_limit - DEPOSIT_GAS - (limit - used)) / used) as usize
    }
}

impl fmt::Display for Workload {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Transfer => "transfer",
            Self::Erc20 => "erc20",
            Self::Storage => "storage",
            Self::Create => "create",
        })
    }
}

/// A chain at Karst rules with funded senders, idle accounts and the contracts of the workloads.
#[derive(Debug)]
pub(crate) struct Chain {
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) gas_limit: u64,
    wallets: Vec<PrivateKeySigner>,
}

impl Chain {
    /// `slots` is how many entries the mapping of the storage workload begins with.
    pub(crate) fn new(gas_limit: u64, slots: u64) -> Result<Self, BenchError> {
        let wallets = (0..SENDERS)
            .into_par_iter()
            .map(|n| {
                let key = keccak256(format!("ascribe bench wallet {n}"));
                PrivateKeySigner::from_bytes(&key)
                    .map_err(|error| BenchError::setup("wallet", error))
            })
            .collect::<Result<Vec<_>, _>>()?;
        let spec = Arc::new(ChainSpec::from_genesis(genesis(&wallets, gas_limit, slots)?)?);
        Ok(Self { spec, gas_limit, wallets })
    }

    /// Addresses that have ether and tokens.
    pub(crate) fn senders(&self) -> Vec<Address> {
        self.wallets.iter().map(PrivateKeySigner::address).collect()
    }

    /// The transactions of block `number`, signed, encoded. They come after those of the blocks
    /// before in the nonces of their senders.
    pub(crate) fn transactions(
        &self,
        workload: Workload,
        number: u64,
    ) -> Result<Vec<Bytes>, BenchError> {
        let count = workload.per_block(self.gas_limit);
        let first = (number - 1) as usize * count;
        (first..first + count)
            .into_par_iter()
            .map(|index| {
                let (sender, nonce) = (index % SENDERS, (index / SENDERS) as u64);
                let tx = TxEip1559 { nonce, ..transaction(workload, index as u64) };
                let signature = self.wallets[sender]
                    .sign_hash_sync(&tx.signature_hash())
                    .map_err(|error| BenchError::setup("signature", error))?;
                Ok(OpTxEnvelope::from(tx.into_signed(signature)).encoded_2718().into())
            })
            .collect()
    }

    /// What block `number` is built from: the L1-attributes deposit, `transactions`, and the pool if
    /// `pool`.
    pub(crate) fn attributes(
        &self,
        number: u64,
        transactions: Vec<Bytes>,
        pool: bool,
    ) -> OpPayloadAttributes {
        let origin = number / 6;
        let l1 = L1Attributes {
            number: 20_000_000 + origin,
            timestamp: GENESIS_TIME + origin * 12,
            base_fee: U256::from(1_000_000_000),
            blob_base_fee: U256::ONE,
            hash: keccak256(origin.to_be_bytes()),
            sequence_number: number % 6,
            base_fee_scalar: 1_368,
            blob_base_fee_scalar: 810_949,
            // A transfer counts 100 bytes at least: with the usual 400 the footprint, not the gas,
            // would fill a block.
            da_footprint_gas_scalar: 100,
            ..L1Attributes::default()
        };
        let deposit = OpTxEnvelope::from(l1.deposit(Format::Jovian, true)).encoded_2718().into();
        OpPayloadAttributes {
            payload_attributes: PayloadAttributes {
                timestamp: GENESIS_TIME + number * BLOCK_TIME,
                prev_randao: keccak256(number.to_le_bytes()),
                suggested_fee_recipient: SEQUENCER_FEE_VAULT,
                withdrawals: Some(Vec::new()),
                parent_beacon_block_root: Some(keccak256(origin.to_le_bytes())),
                ..PayloadAttributes::default()
            },
            transactions: Some(std::iter::once(deposit).chain(transactions).collect()),
            no_tx_pool: Some(!pool),
            gas_limit: Some(self.gas_limit),
            eip_1559_params: Some(B64::ZERO),
            min_base_fee: Some(0),
        }
    }
}

/// Transaction `index` of a workload, but for its nonce.
fn transaction(workload: Workload, index: u64) -> TxEip1559 {
    let drawn = U256::from_be_bytes(keccak256(index.to_be_bytes()).0);
    let word = |n: u64| U256::from(n).to_be_bytes::<32>();
    let (to, value, input) = match workload {
        Workload::Transfer => (TxKind::Call(recipient(drawn)), U256::ONE, Bytes::new()),
        Workload::Erc20 => {
            let to = recipient(drawn).into_word();
            let input = [&hex!("a9059cbb")[..], to.as_slice(), &word(1 + index)].concat();
            (TxKind::Call(TOKEN), U256::ZERO, input.into())
        }
        Workload::Storage => {
            let [reads, updates, fresh] = STORAGE_WORK.map(word);
            let input = [
                &keccak256("work(uint256,uint256,uint256,uint256)")[..4],
                &drawn.to_be_bytes::<32>(),
                &fresh,
                &updates,
                &reads,
            ];
            (TxKind::Call(STORE), U256::ZERO, input.concat().into())
        }
        Workload::Create => {
            let mut input = code(CHILD_INIT);
            input.extend(word(index));
            (TxKind::Create, U256::ZERO, input.into())
        }
    };
    TxEip1559 {
        chain_id: CHAIN_ID,
        nonce: 0,
        gas_limit: workload.gas().0,
        max_fee_per_gas: 100_000_000_000,
        max_priority_fee_per_gas: 1_000_000,
        to,
        value,
        input,
        ..TxEip1559::default()
    }
}

/// Two in five are idle accounts, three one of the addresses that nobody knows at first.
fn recipient(drawn: U256) -> Address {
    let n: u64 = (drawn >> 64usize).wrapping_to();
    if drawn.wrapping_to::<u64>() % 5 < 2 {
        idle(n % IDLE)
    } else {
        named("recipient", n % RECIPIENTS)
    }
}

fn idle(n: u64) -> Address {
    named("idle", n)
}

fn named(kind: &str, n: u64) -> Address {
    Address::from_word(keccak256(format!("ascribe bench {kind} {n}")))
}

fn genesis(
    wallets: &[PrivateKeySigner],
    gas_limit: u64,
    slots: u64,
) -> Result<Genesis, BenchError> {
    let ether = |n: u64| U256::from(n) * U256::from(10).pow(U256::from(18));
    let mut alloc = BTreeMap::new();
    for wallet in wallets {
        alloc.insert(wallet.address(), GenesisAccount::default().with_balance(ether(1_000_000)));
    }
    let poor = |n| (idle(n), GenesisAccount::default().with_balance(U256::ONE));
    alloc.extend((0..IDLE).map(poor));
    let balances = wallets.iter().map(|wallet| {
        let slot = [wallet.address().into_word(), B256::ZERO].concat();
        (keccak256(slot), ether(1_000_000).into())
    });
    let values = (0..slots).map(|n| {
        let key = [U256::from(n).to_be_bytes(), U256::ONE.to_be_bytes::<32>()].concat();
        (keccak256(key), U256::from(n + 1).into())
    });
    let count = (B256::ZERO, U256::from(slots).into());
    // A message passer without storage is no chain's.
    let implementation = (keccak256("implementation"), B256::with_last_byte(1));
    let contract =
        |code: Vec<u8>| GenesisAccount::default().with_nonce(Some(1)).with_code(Some(code.into()));
    alloc.extend([
        (L1_BLOCK, contract(code(ATTRIBUTES_CODE))),
        (TOKEN, contract(code(TOKEN_CODE)).with_storage(Some(balances.collect()))),
        (STORE, contract(code(STORE_CODE)).with_storage(Some(values.chain([count]).collect()))),
        (
            L2_TO_L1_MESSAGE_PASSER,
            contract(vec![0]).with_storage(Some(BTreeMap::from([implementation]))),
        ),
        (eip4788::BEACON_ROOTS_ADDRESS, contract(eip4788::BEACON_ROOTS_CODE.to_vec())),
        (eip2935::HISTORY_STORAGE_ADDRESS, contract(eip2935::HISTORY_STORAGE_CODE.to_vec())),
    ]);
    let params = BaseFeeParams::new(250, 6);
    Ok(Genesis {
        config: ChainSpec::devnet().genesis().config.clone(),
        timestamp: GENESIS_TIME,
        gas_limit,
        base_fee_per_gas: Some(1_000_000_000),
        extra_data: encode_jovian_extra_data(B64::ZERO, params, 0)
            .map_err(|error| BenchError::setup("genesis", error))?,
        coinbase: SEQUENCER_FEE_VAULT,
        alloc: alloc.into_iter().collect(),
        ..Genesis::default()
    })
}

/// Bytecode as the compiler prints it.
fn code(text: &str) -> Vec<u8> {
    hex::decode(text).expect("invariant: contracts are compiled into hex")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_workload_is_the_same_each_time_and_goes_on() {
        let chain = Chain::new(10_000_000, 100).expect("a chain");
        for workload in Workload::ALL {
            let blocks: Vec<_> =
                (1..=2).map(|n| chain.transactions(workload, n).expect("signed")).collect();
            assert_eq!(blocks[0], chain.transactions(workload, 1).expect("signed"));
            assert_ne!(blocks[0], blocks[1]);
            assert_eq!(blocks[0].len(), workload.per_block(10_000_000));
        }
    }
}
