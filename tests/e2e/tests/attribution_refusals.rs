//! What the hub refuses on a chain with the real precompile: each by its name, and nothing is changed.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use alloy_sol_types::{Revert, SolCall, SolError};
use ascribe_attribution::{
    Header,
    abi::IAttribution,
    hub::{Claim, IAttributionHub as Hub},
};
use ascribe_e2e::{
    Account, AscribeNode, Driver, HUB, HubBatch, NodeOptions, TestChain, hub_rates, say,
};
use serde_json::{Value, json};

const CHAIN: u64 = 901;
const ETHER: u64 = 1_000_000_000_000_000_000;
const GAS: u64 = 3_000_000;

struct Stage {
    node: AscribeNode,
    driver: Driver,
    owner: Account,
    operator: Account,
    refused: usize,
}

impl Stage {
    fn new(chain: &TestChain) -> Self {
        let node = NodeOptions::new(chain).start();
        let driver = Driver::new(&node);
        let (owner, operator) = (Account::dev(0, CHAIN), Account::dev(1, CHAIN));
        Self { node, driver, owner, operator, refused: 0 }
    }

    /// Sends a call of the owner or the operator in a block of its own; whether it succeeded.
    fn send(&mut self, by_owner: bool, value: U256, gas: u64, call: Vec<u8>) -> bool {
        let from = if by_owner { &mut self.owner } else { &mut self.operator };
        let raw = from.send(TxKind::Call(HUB), value, call.into(), gas);
        let built = self.driver.extend(vec![raw]).expect("a block");
        let hash = built.payload.block_hash;
        let receipts: Vec<Value> = self.node.rpc.call("eth_getBlockReceipts", json!([hash]));
        receipts[1]["status"] == "0x1"
    }

    fn done(&mut self, by_owner: bool, value: u64, call: &impl SolCall) {
        assert!(self.send(by_owner, U256::from(value), GAS, call.abi_encode()));
    }

    /// All that the hub has, and what the index has of it.
    fn hub(&self) -> [Value; 3] {
        let proof: Value = self.node.rpc.call("eth_getProof", json!([HUB, [], "latest"]));
        let stats: Value = self.node.rpc.call("attribution_stats", json!([]));
        [proof["storageHash"].clone(), proof["balance"].clone(), stats["batches"].clone()]
    }

    /// That a call of the operator reverts with just this, simulated, estimated and sent, and changes nothing.
    fn refuses(&mut self, value: U256, call: &impl SolCall, error: &[u8]) {
        let before = self.hub();
        let from = self.operator.address();
        let input = Bytes::from(call.abi_encode());
        let request = json!({"from": from, "to": HUB, "value": value, "input": input});
        for (method, params) in
            [("eth_call", json!([request, "latest"])), ("eth_estimateGas", json!([request]))]
        {
            let refusal = self.node.rpc.try_call::<Value>(method, params).expect_err("refused");
            let refusal = refusal.into_rpc();
            let data: Bytes = serde_json::from_value(refusal.data).expect("revert data");
            assert_eq!(data[..], *error, "{method}: {}", refusal.message);
        }
        assert!(!self.send(false, value, GAS, input.to_vec()));
        assert_eq!(self.hub(), before);
        self.refused += 1;
    }

    fn refuses_batch(&mut self, value: U256, batch: impl Into<Bytes>, error: &impl SolError) {
        self.refuses(value, &Hub::submitBatchCall { batch: batch.into() }, &error.abi_encode());
    }
}

fn header(operator: Address) -> Header {
    Header {
        chain_id: CHAIN,
        hub: HUB,
        model: 0,
        operator,
        sequence: 0,
        time_base: 1_700_000_000,
        detail_root: B256::ZERO,
    }
}

#[test]
fn what_is_refused_has_a_name_and_changes_nothing() {
    let Some(chain) = TestChain::with_hub("attribution_refusals") else { return };
    let mut stage = Stage::new(&chain);
    let operator = stage.operator.address();
    let batch = HubBatch::new(CHAIN, operator, 0, 0);
    let zero = U256::ZERO;

    stage.refuses_batch(batch.value, batch.bytes.clone(), &Hub::NotOperator { account: operator });
    stage.done(false, ETHER, &Hub::registerOperatorCall {});
    stage.refuses_batch(batch.value, batch.bytes.clone(), &Hub::UnknownModel { model: 0 });
    stage.done(true, 0, &Hub::registerModelCall { rates: hub_rates() });
    let unknown = Hub::UnknownAdapter { model: 0, adapter: 2 };
    stage.refuses_batch(batch.value, batch.bytes.clone(), &unknown);
    let generations = vec![B256::repeat_byte(1); 3];
    let owner = stage.owner.address();
    let register = Hub::registerAdaptersCall {
        model: 0,
        owner,
        corpusRoots: generations.clone(),
        generations,
    };
    stage.done(true, 0, &register);

    let less = batch.value - U256::ONE;
    let underfunded = Hub::Underfunded { total: batch.value, given: less };
    stage.refuses_batch(less, batch.bytes.clone(), &underfunded);
    let of = |change: fn(&mut Header)| {
        let mut header = header(operator);
        change(&mut header);
        HubBatch::of(header, 3).bytes
    };
    let elsewhere = of(|header| header.chain_id = 10);
    let on_10 = Hub::WrongChain { chainId: U256::from(10) };
    stage.refuses_batch(batch.value, elsewhere, &on_10);
    let to_another = of(|header| header.hub = Address::ZERO);
    stage.refuses_batch(batch.value, to_another, &Hub::WrongHub { hub: Address::ZERO });
    let early = of(|header| header.sequence = 1);
    stage.refuses_batch(batch.value, early, &Hub::WrongSequence { expected: 0, given: 1 });
    let somebodys = of(|header| header.operator = Address::repeat_byte(9));
    stage.refuses_batch(batch.value, somebodys, &Hub::NotOperator { account: operator });

    // The precompile's refusals come through as they are.
    let long = [&batch.bytes[..], &[0]].concat();
    let columns = U256::from(batch.bytes.len() - ascribe_attribution::HEADER_LENGTH);
    let wrong = IAttribution::WrongLength { announced: columns, found: columns + U256::ONE };
    stage.refuses_batch(batch.value, long, &wrong);
    stage.refuses_batch(zero, Bytes::new(), &IAttribution::BatchTooShort { length: zero });
    let mut version = batch.bytes.to_vec();
    version[0] = 9;
    stage.refuses_batch(batch.value, version, &IAttribution::UnknownVersion { version: 9 });

    // A pause, and no gas to get through, at any point.
    stage.done(true, 0, &Hub::pauseCall {});
    let paused = Revert::from("Pausable: paused");
    stage.refuses_batch(batch.value, batch.bytes.clone(), &paused);
    stage.done(true, 0, &Hub::unpauseCall {});
    let submit = Hub::submitBatchCall { batch: batch.bytes.clone() };
    let request = json!({
        "from": operator, "to": HUB, "value": batch.value, "input": Bytes::from(submit.abi_encode()),
    });
    let needed: U256 = stage.node.rpc.call("eth_estimateGas", json!([request]));
    let (needed, before) = (needed.to::<u64>(), stage.hub());
    for part in 60..79_u64 {
        let gas = needed * part / 80;
        if gas > 60_000 {
            assert!(!stage.send(false, batch.value, gas, submit.abi_encode()), "{gas} of {needed}");
            assert_eq!(stage.hub(), before, "{gas} of {needed}");
        }
    }

    // It is settled, once.
    assert!(stage.send(false, batch.value, needed, submit.abi_encode()));
    stage.refuses_batch(
        batch.value,
        batch.bytes.clone(),
        &Hub::WrongSequence { expected: 1, given: 0 },
    );
    refuses_claims(&mut stage, &batch);
    say(&format!("attribution: {} refusals by name", stage.refused));
}

/// Claims that are not to be paid.
fn refuses_claims(stage: &mut Stage, batch: &HubBatch) {
    let leaves = batch.settled.payouts.leaves();
    let claim = |position: usize| {
        let proof = ascribe_attribution::merkle::proof(&leaves, position).expect("a leaf");
        Claim::new(batch.list, position as u32, &batch.settled.payouts.list()[position], proof)
    };
    let call = |claim: Claim| Hub::claimCall { claim };
    let (first, zero) = (claim(0), U256::ZERO);
    let mut more = first.clone();
    more.amount += U256::ONE;
    stage.refuses(zero, &call(more), &Hub::InvalidProof {}.abi_encode());
    let mut elsewhere = first.clone();
    elsewhere.list += U256::ONE;
    let unknown = Hub::UnknownList { list: elsewhere.list };
    stage.refuses(zero, &call(elsewhere), &unknown.abi_encode());
    // A source that nobody has named.
    let payouts = batch.settled.payouts.list();
    let source = |payee| matches!(payee, ascribe_attribution::Payee::Source { .. });
    let nobodys = payouts.iter().position(|payout| source(payout.payee)).expect("a source");
    let payee = payouts[nobodys].payee.key();
    let unknown = Hub::UnknownPayee { payee };
    stage.refuses(zero, &call(claim(nobodys)), &unknown.abi_encode());

    stage.done(true, 0, &Hub::pauseCall {});
    let paused = Revert::from("Pausable: paused").abi_encode();
    stage.refuses(zero, &call(first.clone()), &paused);
    stage.done(true, 0, &Hub::unpauseCall {});
    stage.done(true, 0, &call(first.clone()));
    let again = Hub::AlreadyClaimed { list: first.list, position: zero };
    stage.refuses(zero, &call(first), &again.abi_encode());
}
