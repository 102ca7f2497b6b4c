//! A chain of any fork over memory, for tests.

use crate::{BlockBuilder, BuiltParts, EvmConfig, NextBlock, PushError, PushedTx};
use alloy_consensus::{Header, SignableTransaction, TxEip1559, transaction::Recovered};
use alloy_eips::{eip2935, eip4788};
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, address};
use ascribe_chainspec::ChainSpec;
use op_alloy_consensus::{OpTxEnvelope, TxDeposit};
use op_revm::constants::L1_BLOCK_CONTRACT;
use reth_primitives_traits::SealedHeader;
use revm::{
    bytecode::Bytecode,
    database::{InMemoryDB, State},
    state::AccountInfo,
};
use serde_json::json;
use std::sync::Arc;

pub(crate) const CHAIN_ID: u64 = 901;
pub(crate) const GAS_LIMIT: u64 = 60_000_000;
pub(crate) const BASE_FEE: u64 = 1_000_000_000;
pub(crate) const SEQUENCER_VAULT: Address = address!("4200000000000000000000000000000000000011");
pub(crate) const BASE_FEE_VAULT: Address = address!("4200000000000000000000000000000000000019");
pub(crate) const L1_FEE_VAULT: Address = address!("420000000000000000000000000000000000001a");
pub(crate) const OPERATOR_VAULT: Address = address!("420000000000000000000000000000000000001b");
pub(crate) const DEPOSITOR: Address = address!("DeaDDEaDDeAdDeAdDEAdDEaddeAddEAdDEAd0001");
pub(crate) const ALICE: Address = address!("00000000000000000000000000000000000a11ce");
pub(crate) const BOB: Address = address!("0000000000000000000000000000000000000b0b");
pub(crate) const ETHER: u128 = 1_000_000_000_000_000_000;

/// The forks that a chain's configuration names, oldest first.
pub(crate) const FORKS: [&str; 10] = [
    "bedrock", "regolith", "canyon", "ecotone", "fjord", "granite", "holocene", "isthmus",
    "jovian", "karst",
];

/// A chain with every fork up to and including `last` active since genesis; `transition` comes at
/// its time.
pub(crate) fn spec_with(last: &str, transition: Option<(&str, u64)>) -> Arc<ChainSpec> {
    let mut config = json!({
        "chainId": CHAIN_ID,
        "bedrockBlock": 0,
        "optimism": {
            "eip1559Elasticity": 6, "eip1559Denominator": 50, "eip1559DenominatorCanyon": 250
        },
    });
    for fork in &FORKS[1..=index(last)] {
        config[format!("{fork}Time")] = json!(0);
        if *fork == "canyon" {
            config["deltaTime"] = json!(0);
        }
    }
    if let Some((fork, time)) = transition {
        config[format!("{fork}Time")] = json!(time);
    }
    let genesis = json!({
        "config": config, "alloc": {}, "difficulty": "0x0", "gasLimit": "0x3938700",
        "timestamp": "0x0", "extraData": extra_data(last), "baseFeePerGas": "0x3b9aca00",
    });
    Arc::new(
        ChainSpec::from_genesis(serde_json::from_value(genesis).expect("a genesis"))
            .expect("a chain"),
    )
}

pub(crate) fn index(fork: &str) -> usize {
    FORKS.iter().position(|name| *name == fork).expect("a fork's name")
}

/// `extraData` with denominator 250, elasticity 6 and no minimum base fee.
pub(crate) fn extra_data(fork: &str) -> Bytes {
    let mut data = vec![0, 0, 0, 0, 250, 0, 0, 0, 6];
    match index(fork) {
        0..=5 => data.clear(),
        6 | 7 => {}
        _ => {
            data[0] = 1;
            data.extend([0; 8]);
        }
    }
    data.into()
}

/// The state before a block, and the block before it.
pub(crate) struct TestChain {
    pub(crate) config: EvmConfig,
    pub(crate) fork: &'static str,
    pub(crate) db: InMemoryDB,
    pub(crate) parent: SealedHeader,
    pub(crate) next: NextBlock,
}

impl TestChain {
    /// A chain at `fork`, with Alice rich and the system contracts in place.
    pub(crate) fn new(fork: &'static str) -> Self {
        Self::with_spec(fork, spec_with(fork, None))
    }

    pub(crate) fn with_spec(fork: &'static str, spec: Arc<ChainSpec>) -> Self {
        let ecotone = index(fork) >= index("ecotone");
        let parent = Header {
            number: 9,
            timestamp: 998,
            gas_limit: GAS_LIMIT,
            gas_used: GAS_LIMIT / 6,
            base_fee_per_gas: Some(BASE_FEE),
            extra_data: extra_data(fork),
            blob_gas_used: ecotone.then_some(0),
            excess_blob_gas: ecotone.then_some(0),
            ..Header::default()
        };
        let next = NextBlock {
            timestamp: 1_000,
            fee_recipient: SEQUENCER_VAULT,
            prev_randao: B256::repeat_byte(7),
            gas_limit: GAS_LIMIT,
            parent_beacon_block_root: ecotone.then_some(B256::repeat_byte(0xbe)),
            extra_data: extra_data(fork),
        };
        let mut chain = Self {
            config: EvmConfig::new(spec),
            fork,
            db: InMemoryDB::default(),
            parent: SealedHeader::seal_slow(parent),
            next,
        };
        chain.fund(ALICE, 10 * ETHER);
        chain.deploy(eip4788::BEACON_ROOTS_ADDRESS, &eip4788::BEACON_ROOTS_CODE);
        chain.deploy(eip2935::HISTORY_STORAGE_ADDRESS, &eip2935::HISTORY_STORAGE_CODE);
        chain
    }

    pub(crate) fn fund(&mut self, address: Address, wei: u128) {
        self.db.insert_account_info(address, AccountInfo::from_balance(U256::from(wei)));
    }

    pub(crate) fn deploy(&mut self, address: Address, code: &[u8]) {
        let code = Bytecode::new_raw(Bytes::copy_from_slice(code));
        self.db.insert_account_info(address, AccountInfo::from_bytecode(code).with_nonce(1));
    }

    /// Sets what `L1Block` holds, as its storage words.
    pub(crate) fn set_l1_block(&mut self, slots: &[(u64, U256)]) {
        // Storage is only looked for where there is code: STOP.
        self.deploy(L1_BLOCK_CONTRACT, &[0]);
        for (slot, value) in slots {
            self.db
                .insert_account_storage(L1_BLOCK_CONTRACT, U256::from(*slot), *value)
                .expect("memory does not fail");
        }
    }

    /// The L1-attributes deposit of this chain's fork. There is no contract behind it: what
    /// `L1Block` holds is set directly.
    pub(crate) fn l1_attributes(&self, da_footprint_gas_scalar: u16) -> Recovered<OpTxEnvelope> {
        let input = match index(self.fork) {
            ..3 => vec![0; 260],
            3..7 => vec![0; 164],
            7 => vec![0; 176],
            _ => {
                let mut calldata = vec![0x3d, 0xb6, 0xbe, 0x2b];
                calldata.extend([0; 172]);
                calldata.extend(da_footprint_gas_scalar.to_be_bytes());
                calldata
            }
        };
        deposit(TxDeposit {
            from: DEPOSITOR,
            to: TxKind::Call(L1_BLOCK_CONTRACT),
            gas_limit: 1_000_000,
            input: input.into(),
            ..TxDeposit::default()
        })
    }

    /// Builds a block and returns it with the state after it.
    pub(crate) fn build<T>(
        &self,
        run: impl FnOnce(&mut BlockBuilder<'_, InMemoryDB>) -> T,
    ) -> (T, BuiltParts, State<InMemoryDB>) {
        let mut state =
            State::builder().with_database(self.db.clone()).with_bundle_update().build();
        let mut builder = self
            .config
            .builder(&mut state, &self.parent, self.next.clone())
            .expect("the block starts");
        let out = run(&mut builder);
        let parts = builder.finish().expect("the block ends");
        (out, parts, state)
    }

    /// Builds a block of one transaction behind the L1 attributes.
    pub(crate) fn run(
        &self,
        tx: Recovered<OpTxEnvelope>,
    ) -> (Result<PushedTx, PushError>, BuiltParts, State<InMemoryDB>) {
        self.build(|builder| {
            builder.push(self.l1_attributes(0)).expect("a deposit is always included");
            builder.push(tx)
        })
    }
}

/// A deposit, with a source hash.
pub(crate) fn deposit(tx: TxDeposit) -> Recovered<OpTxEnvelope> {
    let from = tx.from;
    let tx = TxDeposit { source_hash: B256::repeat_byte(0xd0), ..tx };
    Recovered::new_unchecked(tx.into(), from)
}

/// A transfer from Alice; its signature is not hers, which the EVM does not look at.
pub(crate) fn transfer(nonce: u64) -> TxEip1559 {
    TxEip1559 {
        chain_id: CHAIN_ID,
        nonce,
        gas_limit: 21_000,
        max_fee_per_gas: u128::from(2 * BASE_FEE),
        max_priority_fee_per_gas: 5,
        to: TxKind::Call(BOB),
        value: U256::from(1),
        ..TxEip1559::default()
    }
}

pub(crate) fn signed(tx: TxEip1559) -> Recovered<OpTxEnvelope> {
    let tx = tx.into_signed(Signature::test_signature());
    Recovered::new_unchecked(tx.into(), ALICE)
}
