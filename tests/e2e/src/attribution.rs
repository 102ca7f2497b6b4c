//! A chain with the attribution hub, and batches for it.

use std::fs;

use alloy_primitives::{Address, B256, Bytes, U256, address, aliases::U96};
use ascribe_attribution::{
    Batch, Header, ListId, Meter, Record, Settled, Share, hub::HubRates, settle,
};
use serde_json::{Value, json};

use crate::{Account, Fork, TestChain, contracts, skip};

/// The hub.
pub const HUB: Address = address!("4200000000000000000000000000000000000a77");
/// What an operator has to bond, and an operator has to wait, in seconds.
const BOND: u64 = 1_000_000_000_000_000_000;
const UNBONDING: u64 = 100;

/// Rates of a model.
pub fn hub_rates() -> HubRates {
    let price = |gwei: u64| U96::from(gwei) * U96::from(1_000_000_000_u64);
    HubRates {
        prompt: price(150),
        completion: price(600),
        record: price(1),
        modelShare: 3_000,
        adapterShare: 2_000,
        sourceShare: 4_000,
        operatorShare: 1_000,
    }
}

/// What a build of the contracts has of this one: `bytecode` or `deployedBytecode`.
pub fn artifact(name: &str, which: &str) -> Option<Bytes> {
    let text = fs::read(contracts().join(format!("out/{name}.sol/{name}.json"))).ok()?;
    let json: Value = serde_json::from_slice(&text).ok()?;
    serde_json::from_value(json[which]["object"].clone()).ok()
}

impl TestChain {
    /// A chain whose genesis has the hub, without a proxy, with dev account 0 as its owner. `None`, said aloud, where
    /// the contracts have not been built.
    ///
    /// # Panics
    /// If the genesis file cannot be written.
    pub fn with_hub(test: &str) -> Option<Self> {
        let Some(code) = artifact("AttributionHub", "deployedBytecode") else {
            skip(test, "there are no contracts: run scripts/contracts build");
            return None;
        };
        let chain = Self::new(Fork::Karst);
        let mut genesis = Self::genesis(chain.fork, chain.chain_id);
        genesis["config"]["attributionTime"] = json!(0);
        let word = |value: u64| B256::from(U256::from(value)).to_string();
        let owner = Account::dev(0, chain.chain_id).address();
        genesis["alloc"][HUB.to_string()] = json!({
            "balance": "0x0", "nonce": "0x1", "code": code,
            "storage": {
                word(0): word(1), word(51): owner.into_word(), word(151): word(1),
                word(252): word(BOND), word(253): word(UNBONDING),
            },
        });
        fs::write(chain.genesis_file(), genesis.to_string()).expect("written");
        Some(chain)
    }
}

/// A batch, and what it comes to.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "they say what they are")]
pub struct HubBatch {
    pub list: ListId,
    pub bytes: Bytes,
    pub settled: Settled,
    /// What the hub has to be paid, in wei.
    pub value: U256,
}

impl HubBatch {
    /// A batch of 40 records of model 0 and its first three adapters. Those with different salts differ.
    ///
    /// # Panics
    /// Never.
    pub fn new(chain_id: u64, operator: Address, sequence: u64, salt: u64) -> Self {
        let header = Header {
            chain_id,
            hub: HUB,
            model: 0,
            operator,
            sequence,
            time_base: 1_700_000_000 + salt,
            detail_root: B256::repeat_byte(3),
        };
        Self::of(header, 3)
    }

    /// A batch of 40 records of that many adapters.
    ///
    /// # Panics
    /// Never.
    pub fn of(header: Header, adapters: u32) -> Self {
        let record = |at: u32| Record {
            adapter: at % adapters,
            prompt_tokens: 100 + at * 7 + (header.time_base % 10_000) as u32,
            completion_tokens: 50 + at,
            time: at,
            shares: vec![
                Share { source: at % 5, weight: 3_000 },
                Share { source: 9, weight: 7_000 },
            ],
        };
        let batch = Batch { header, records: (0..40).map(record).collect() };
        let bytes: Bytes = batch.encode().expect("valid records").into();
        let settled = settle(&bytes, &hub_rates().into(), &mut Meter::unlimited());
        let settled = settled.expect("a batch");
        let value = U256::from(settled.payouts.total());
        Self { list: ListId::of_batch(header.operator, header.sequence), bytes, settled, value }
    }
}
