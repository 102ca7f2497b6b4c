//! What both clients are asked.

mod bodies;
mod calls;
mod logs;
mod lookups;
mod malformed;
mod pool;
mod traces;

use alloy_primitives::{Address, B256, Bytes, U64};
use ascribe_e2e::{Account, Rpc};
use serde_json::{Value, json};

pub(crate) use bodies::bodies;
pub(crate) use logs::filters;
pub(crate) use pool::{late, queue, replies};

use crate::{compare::Question, programs::CHAIN_ID, story::Told};

/// What there is to be asked about.
#[derive(Debug)]
pub(crate) struct Facts {
    pub(crate) told: Told,
    /// Every block, with full transactions.
    pub(crate) blocks: Vec<Value>,
}

impl Facts {
    /// Reads the chain of `rpc`.
    pub(crate) fn read(rpc: &Rpc, told: Told) -> Self {
        let head: U64 = rpc.call("eth_blockNumber", json!([]));
        let block =
            |number: u64| rpc.call("eth_getBlockByNumber", json!([U64::from(number), true]));
        Self { told, blocks: (0..=head.to()).map(block).collect() }
    }

    pub(crate) fn head(&self) -> u64 {
        self.blocks.len() as u64 - 1
    }

    /// Blocks that are worth a closer look: those with something in them, and some without.
    fn chosen(&self) -> Vec<u64> {
        let mut chosen: Vec<u64> =
            (0..=self.head()).filter(|number| self.transactions(*number).len() > 1).collect();
        chosen.extend([0, 1, 2, self.head()]);
        chosen.sort_unstable();
        chosen.dedup();
        chosen
    }

    fn transactions(&self, number: u64) -> &[Value] {
        self.blocks[number as usize]["transactions"].as_array().expect("a block has transactions")
    }

    fn hash(&self, number: u64) -> B256 {
        serde_json::from_value(self.blocks[number as usize]["hash"].clone()).expect("a hash")
    }

    /// Hashes of all transactions of chosen blocks.
    fn transaction_hashes(&self) -> Vec<B256> {
        let chosen = self.chosen();
        let all = chosen.iter().flat_map(|number| self.transactions(*number));
        all.map(|tx| serde_json::from_value(tx["hash"].clone()).expect("a hash")).collect()
    }

    /// Every account that there may be something to ask about, and some that there are not.
    fn addresses(&self) -> Vec<Address> {
        let mut addresses = self.told.contracts.clone();
        addresses.extend(&self.told.delegated);
        addresses.extend((0..8).map(|index| Account::dev(index, CHAIN_ID).address()));
        addresses.extend([
            Address::ZERO,
            Address::with_last_byte(1),
            Address::with_last_byte(2),
            Address::repeat_byte(0xc0),
            Address::repeat_byte(0xee),
            crate::contracts::L1_BLOCK,
            "0x4200000000000000000000000000000000000011".parse().expect("an address"),
            "0x4200000000000000000000000000000000000016".parse().expect("an address"),
            "0x420000000000000000000000000000000000001b".parse().expect("an address"),
            "0x0000f90827f1c53a10cb7a02335b175320002935".parse().expect("an address"),
        ]);
        addresses
    }

    /// Ways to name a block: good, unknown, and no way at all.
    fn block_names(&self) -> Vec<Value> {
        let head = self.head();
        let hash = self.hash(head / 2);
        let mut names = vec![
            json!("latest"),
            json!("pending"),
            json!("safe"),
            json!("finalized"),
            json!("earliest"),
            json!("0x0"),
            json!("0x1"),
            json!(U64::from(head / 2)),
            json!(U64::from(head)),
            json!(U64::from(head + 1)),
            json!("0xffffffff"),
            json!("0x7fffffffffffffff"),
            json!("0x8000000000000000"),
            json!("0xffffffffffffffffff"),
            json!(hash),
            json!(B256::repeat_byte(7)),
            json!({"blockHash": hash}),
            json!({"blockHash": hash, "requireCanonical": true}),
            json!({"blockHash": B256::repeat_byte(7)}),
            json!({"blockHash": B256::repeat_byte(7), "requireCanonical": true}),
            json!({"blockNumber": "0x1"}),
            json!({"blockNumber": "latest"}),
            json!({"blockNumber": U64::from(head + 1)}),
            json!({"blockNumber": "0x1", "blockHash": hash}),
            json!({"blockNumber": 1}),
            json!({"requireCanonical": true}),
            json!({}),
            json!([]),
        ];
        names.extend(
            ["", "0x", "0X1", "0x01", "1", "-0x1", "0xg", "Latest", "head", " latest", "0x0 "]
                .map(Value::from),
        );
        names.extend([json!(1), json!(-1), json!(1.5), json!(true), Value::Null]);
        names.extend([json!(&hash.to_string()[..65]), json!(format!("{hash}0")), json!({"a": 1})]);
        names
    }
}

/// A list of questions to be added to.
#[derive(Debug, Default)]
pub(crate) struct Questions(pub(crate) Vec<Question>);

impl Questions {
    fn ask(&mut self, method: &str, params: Value) {
        self.0.push(Question::new(method, params));
    }
}

/// Everything that the same state answers.
pub(crate) fn all(facts: &Facts) -> Vec<Question> {
    let mut questions = Questions::default();
    lookups::add(&mut questions, facts);
    calls::add(&mut questions, facts);
    logs::add(&mut questions, facts);
    traces::add(&mut questions, facts);
    malformed::add(&mut questions, facts);
    questions.0
}

/// What a chain answers that has nothing but its genesis.
pub(crate) fn of_genesis(genesis: B256) -> Vec<Question> {
    let mut questions = Questions::default();
    for tag in ["latest", "pending", "safe", "finalized", "earliest", "0x0", "0x1"] {
        for method in ["eth_getBlockByNumber", "eth_getHeaderByNumber"] {
            questions.ask(method, json!([tag, true]));
        }
        let account = Account::dev(0, CHAIN_ID).address();
        for method in ["eth_getBalance", "eth_getTransactionCount", "eth_getCode"] {
            questions.ask(method, json!([account, tag]));
        }
        questions.ask("eth_getBlockReceipts", json!([tag]));
        questions.ask("eth_getProof", json!([account, ["0x0"], tag]));
        questions.ask("eth_call", json!([{"to": account}, tag]));
        questions.ask("eth_estimateGas", json!([{"to": account}, tag]));
        questions.ask("eth_feeHistory", json!(["0x4", tag, [10, 90]]));
        questions.ask("debug_traceBlockByNumber", json!([tag]));
        questions.ask("debug_getRawBlock", json!([tag]));
        questions.ask("debug_getRawReceipts", json!([tag]));
    }
    for method in [
        "eth_gasPrice",
        "eth_maxPriorityFeePerGas",
        "eth_blobBaseFee",
        "eth_syncing",
        "net_version",
    ] {
        questions.ask(method, json!([]));
    }
    questions.ask("eth_getBlockByHash", json!([genesis, true]));
    questions.ask("eth_getLogs", json!([{"fromBlock": "earliest"}]));
    questions.ask("eth_getLogs", json!([{"blockHash": genesis}]));
    questions.ask("debug_traceBlockByHash", json!([genesis]));
    questions.0
}

/// A word of bytes, as JSON.
fn hex(bytes: impl Into<Bytes>) -> Value {
    json!(bytes.into())
}
