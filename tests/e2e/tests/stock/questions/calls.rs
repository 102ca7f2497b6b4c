//! Calls that change nothing: eth_call and its kin, with every kind of argument.

use alloy_primitives::{Address, B256, Bytes, U64, U256, hex};
use ascribe_e2e::Account;
use serde_json::{Value, json};

use super::{Facts, Questions, hex as bytes};
use crate::{
    asm::{asm, deploys},
    contracts,
    programs::CHAIN_ID,
    story::{CALLER, COMPUTES, DIES, FACTORY, LOOKS, RECURSES, REVERTS, SPINS, STORE, TAKES},
};

pub(super) fn add(questions: &mut Questions, facts: &Facts) {
    for message in messages(facts) {
        questions.ask("eth_call", json!([message, "latest"]));
        questions.ask("eth_estimateGas", json!([message, "latest"]));
        questions.ask("eth_createAccessList", json!([message, "latest"]));
        questions.ask("debug_traceCall", json!([message, "latest", {"tracer": "callTracer"}]));
        questions.ask("eth_fillTransaction", json!([message]));
    }
    let looks = json!({"to": facts.told.contracts[LOOKS]});
    let sends = json!({
        "from": Account::dev(0, CHAIN_ID).address(), "to": facts.told.contracts[TAKES], "value": "0x1",
    });
    for name in facts.block_names() {
        for message in [&looks, &sends] {
            questions.ask("eth_call", json!([message, name]));
            questions.ask("eth_estimateGas", json!([message, name]));
            questions.ask("eth_createAccessList", json!([message, name]));
        }
    }
    for number in 0..=facts.head() {
        questions.ask("eth_call", json!([looks, U64::from(number)]));
    }
    overrides(questions, facts);
    random(questions, facts);
    simulations(questions, facts);
}

/// Messages of all kinds.
fn messages(facts: &Facts) -> Vec<Value> {
    let rich = Account::dev(0, CHAIN_ID).address();
    let poor = Address::repeat_byte(0xee);
    let of = |index: usize| facts.told.contracts[index];
    let error = contracts::error("no, thank you");
    let custom = Bytes::from_static(&[0xde, 0xad, 0xbe, 0xef, 1]);
    let mut list = vec![
        json!({}),
        json!({"to": of(LOOKS)}),
        json!({"from": rich, "to": of(LOOKS), "gas": "0x30000", "value": "0x7"}),
        json!({"from": poor, "to": of(LOOKS)}),
        json!({"from": poor, "to": of(TAKES), "value": "0x1"}),
        json!({"from": poor, "to": of(TAKES), "gasPrice": "0x1"}),
        json!({"from": rich, "to": of(TAKES), "gasPrice": "0x1"}),
        json!({"from": rich, "to": of(TAKES), "gasPrice": "0x77359400"}),
        json!({"from": rich, "to": of(LOOKS), "maxFeePerGas": "0x77359400"}),
        json!({"from": rich, "to": of(LOOKS), "maxFeePerGas": "0x1"}),
        json!({"from": rich, "to": of(LOOKS), "maxPriorityFeePerGas": "0x1"}),
        json!({"from": rich, "to": of(LOOKS), "maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x2"}),
        json!({"from": rich, "to": of(LOOKS), "maxFeePerGas": "0x77359400", "maxPriorityFeePerGas": "0x2"}),
        json!({"from": rich, "to": of(LOOKS), "gasPrice": "0x1", "maxFeePerGas": "0x1"}),
        json!({"from": rich, "to": of(LOOKS), "gasPrice": format!("0x1{}", "0".repeat(64))}),
        json!({"from": rich, "to": of(LOOKS), "maxFeePerGas": U256::MAX, "maxPriorityFeePerGas": U256::MAX}),
        json!({"to": of(STORE), "data": format!("0x{}{}", hex::encode(B256::ZERO), hex::encode(B256::repeat_byte(1)))}),
        json!({"to": of(STORE), "input": "0x", "data": "0x"}),
        json!({"to": of(STORE), "input": "0x01", "data": "0x02"}),
        json!({"to": of(STORE), "input": "0x01", "data": "0x01"}),
        json!({"to": of(STORE), "input": "01"}),
        json!({"to": of(STORE), "input": "0x0"}),
        json!({"to": of(STORE), "input": null, "data": null, "value": null, "gas": null, "from": null}),
        json!({"to": of(REVERTS)}),
        json!({"to": of(REVERTS), "input": error}),
        json!({"to": of(REVERTS), "input": custom}),
        json!({"to": of(REVERTS), "input": "0x08c379a0"}),
        json!({"to": of(REVERTS), "input": bytes(contracts::error(""))}),
        json!({"to": of(REVERTS), "input": bytes(contracts::error("a \"quoted\"\n line, ümlaut"))}),
        json!({"to": of(REVERTS), "input": bytes([&contracts::error("x")[..], &[0xff, 0xfe]].concat())}),
        json!({"to": of(SPINS)}),
        json!({"to": of(SPINS), "gas": "0x5208"}),
        json!({"to": of(SPINS), "gas": "0x10000"}),
        json!({"to": of(SPINS), "gas": "0xffffffff"}),
        json!({"to": of(SPINS), "gas": "0xffffffffffffffff"}),
        json!({"to": of(SPINS), "gas": "0x10000000000000000"}),
        json!({"to": of(TAKES), "gas": "0x1"}),
        json!({"to": of(TAKES), "gas": "0x5207"}),
        json!({"to": of(TAKES), "gas": "0x5208"}),
        json!({"to": of(TAKES), "gas": "0x0"}),
        json!({"from": rich, "to": of(TAKES), "value": U256::MAX}),
        json!({"from": rich, "to": poor, "value": "0x1"}),
        json!({"from": rich, "to": poor, "value": "0x21e19e0c9bab2400000"}),
        json!({"from": rich, "to": of(TAKES), "nonce": "0x0"}),
        json!({"from": rich, "to": of(TAKES), "nonce": "0xffffffffffffffff"}),
        json!({"from": rich, "to": of(TAKES), "chainId": "0x385"}),
        json!({"from": rich, "to": of(TAKES), "chainId": "0x1"}),
        json!({"from": rich, "to": of(TAKES), "type": "0x2"}),
        json!({"from": rich, "to": of(TAKES), "blobVersionedHashes": []}),
        json!({"from": rich, "to": of(TAKES), "maxFeePerBlobGas": "0x1"}),
        json!({"from": rich, "to": of(TAKES), "maxFeePerBlobGas": "0x0"}),
        json!({"from": rich, "to": of(TAKES), "blobVersionedHashes": [format!("0x01{}", "11".repeat(31))]}),
        json!({"from": rich, "to": of(TAKES), "blobVersionedHashes": [format!("0x01{}", "11".repeat(31))], "maxFeePerBlobGas": "0x10"}),
        json!({"from": rich, "to": of(TAKES), "accessList": [{"address": of(TAKES), "storageKeys": [B256::ZERO]}]}),
        json!({"from": rich, "to": of(TAKES), "accessList": []}),
        json!({"from": rich, "to": of(TAKES), "accessList": [{"address": of(TAKES)}]}),
        json!({"from": rich, "to": of(TAKES), "authorizationList": []}),
        json!({"from": rich, "authorizationList": []}),
        json!({"from": rich, "to": of(TAKES), "authorizationList": [{
            "chainId": "0x385", "address": of(STORE), "nonce": "0x0", "yParity": "0x0", "r": "0x1", "s": "0x1"}]}),
        json!({"from": of(STORE), "to": of(LOOKS)}),
        json!({"from": of(STORE), "to": of(TAKES), "gasPrice": "0x0"}),
        json!({"from": rich, "input": bytes(deploys(&contracts::takes()))}),
        json!({"from": rich, "to": null, "input": bytes(deploys(&contracts::store()))}),
        json!({"from": rich, "input": bytes(asm("0 0 REVERT"))}),
        json!({"from": rich, "input": bytes(asm("0xef 0 MSTORE8 1 0 RETURN"))}),
        json!({"from": rich, "input": bytes(asm("24577 0 RETURN"))}),
        json!({"from": rich, "input": bytes(vec![0; 49_153])}),
        json!({"from": rich, "input": bytes(vec![0; 49_152])}),
        json!({"from": rich, "value": "0x5"}),
        json!({"from": rich, "to": of(TAKES), "input": bytes(vec![1; 100_000])}),
        json!({"from": rich, "to": of(RECURSES)}),
        json!({"from": rich, "to": of(RECURSES), "gas": "0x40000"}),
        json!({"from": rich, "to": of(DIES), "input": B256::ZERO}),
        json!({"from": rich, "to": of(FACTORY), "input": bytes(contracts::create(0, &deploys(&contracts::takes())))}),
        json!({"from": rich, "to": of(FACTORY), "input": bytes(contracts::create(1, &asm("INVALID")))}),
        json!({"from": facts.told.delegated[0], "to": facts.told.delegated[0]}),
        json!({"from": rich, "to": facts.told.delegated[1], "input": bytes(contracts::error("through"))}),
        json!({"from": rich, "to": facts.told.delegated[2]}),
        json!({"from": "0x1", "to": of(TAKES)}),
        json!({"from": rich, "to": "0x"}),
        json!({"from": rich, "to": of(TAKES), "value": "1"}),
        json!({"from": rich, "to": of(TAKES), "value": 1}),
        json!({"from": rich, "to": of(TAKES), "gas": "0x05"}),
        json!({"from": rich, "to": of(TAKES), "unknown": "0x05"}),
        json!([]),
        json!("0x"),
        json!(null),
        json!(1),
    ];
    for kind in 0..4 {
        for callee in [STORE, REVERTS, LOOKS, COMPUTES, RECURSES] {
            let input = contracts::call(kind, of(callee), 100_000, 1, &contracts::panics(0x12));
            list.push(json!({"from": rich, "to": of(CALLER), "value": "0x9", "input": input}));
        }
    }
    for code in [0, 1, 0x11, 0x12, 0x21, 0x22, 0x31, 0x32, 0x41, 0x51, 0x99] {
        list.push(json!({"to": of(REVERTS), "input": contracts::panics(code)}));
    }
    // Precompiles, with input of several sizes.
    for address in (1..=0x12).chain([0x100]) {
        let to = Address::from_word(U256::from(address).into());
        for (size, byte) in
            [(0, 0), (64, 1), (128, 0), (160, 2), (192, 0), (213, 0), (256, 0), (384, 0)]
        {
            list.push(json!({"to": to, "input": bytes(vec![byte; size]), "gas": "0x100000"}));
        }
    }
    list
}

fn overrides(questions: &mut Questions, facts: &Facts) {
    let rich = Account::dev(0, CHAIN_ID).address();
    let poor = Address::repeat_byte(0xee);
    let of = |index: usize| facts.told.contracts[index];
    let code = |text: &str| bytes(asm(text));
    let reads = "0 SLOAD 0 MSTORE 5 SLOAD 32 MSTORE 64 0 RETURN";
    let slot = |number: u8, value: u8| json!({ B256::with_last_byte(number).to_string(): B256::with_last_byte(value) });
    let state = [
        json!({}),
        json!({ poor.to_string(): {"balance": "0xde0b6b3a7640000"} }),
        json!({ poor.to_string(): {"balance": U256::MAX} }),
        json!({ poor.to_string(): {"nonce": "0x5", "code": code(reads)} }),
        json!({ of(STORE).to_string(): {"code": code(reads)} }),
        json!({ of(STORE).to_string(): {"code": code(reads), "state": slot(5, 9)} }),
        json!({ of(STORE).to_string(): {"code": code(reads), "stateDiff": slot(5, 9)} }),
        json!({ of(STORE).to_string(): {"code": code(reads), "state": {}} }),
        json!({ of(STORE).to_string(): {"state": slot(5, 9), "stateDiff": slot(5, 9)} }),
        json!({ of(STORE).to_string(): {"code": "0x"} }),
        json!({ of(STORE).to_string(): {"code": "0xef0100"} }),
        json!({ of(STORE).to_string(): null }),
        json!({ of(STORE).to_string(): {"stateDiff": {"0x5": "0x9"}} }),
        json!({ of(STORE).to_string(): {"nonce": 5} }),
        json!({ of(STORE).to_string(): {"balance": "5"} }),
        json!({"0x1": {}}),
        json!({ Address::with_last_byte(2).to_string(): {"movePrecompileToAddress": of(STORE)} }),
        json!({ Address::with_last_byte(2).to_string(): {"code": code(reads)} }),
        json!({ of(STORE).to_string(): {"movePrecompileToAddress": poor} }),
        json!([]),
        json!(null),
        json!("0x"),
    ];
    let messages = [
        json!({"from": poor, "to": of(STORE), "value": "0x1"}),
        json!({"from": poor, "to": of(LOOKS), "gasPrice": "0x77359400", "gas": "0x20000"}),
        json!({"from": rich, "to": poor}),
        json!({"to": Address::with_last_byte(2), "input": "0x61"}),
    ];
    let block = [
        json!({}),
        json!({"number": "0x1000"}),
        json!({"number": "0x5", "time": "0x77359400"}),
        json!({"time": "0x1"}),
        json!({"gasLimit": "0x5208"}),
        json!({"gasLimit": "0xffffffff"}),
        json!({"feeRecipient": poor}),
        json!({"prevRandao": B256::repeat_byte(4)}),
        json!({"baseFeePerGas": "0x9"}),
        json!({"baseFeePerGas": "0x0"}),
        json!({"blobBaseFee": "0x9"}),
        json!({"difficulty": "0x9"}),
        json!({"beaconRoot": B256::ZERO}),
        json!({"withdrawals": []}),
        json!({"unknown": 1}),
        json!({"number": 5}),
        json!(null),
        json!([]),
    ];
    for message in &messages {
        for state in &state {
            questions.ask("eth_call", json!([message, "latest", state]));
            questions.ask("eth_estimateGas", json!([message, "latest", state]));
            questions.ask("eth_createAccessList", json!([message, "latest", state]));
            questions.ask(
                "debug_traceCall",
                json!([message, "latest", {"stateOverrides": state, "tracer": "prestateTracer"}]),
            );
        }
    }
    for block in &block {
        for message in [
            json!({"to": of(LOOKS)}),
            json!({"from": rich, "to": of(LOOKS), "gasPrice": "0x3b9aca00"}),
        ] {
            questions.ask("eth_call", json!([message, "latest", {}, block]));
            questions.ask("eth_call", json!([message, "latest", null, block]));
            questions.ask("eth_estimateGas", json!([message, "latest", null, block]));
            questions.ask(
                "debug_traceCall",
                json!([message, "latest", {"blockOverrides": block, "tracer": "callTracer"}]),
            );
        }
    }
}

/// Code from nowhere, called as init code and as code.
fn random(questions: &mut Questions, facts: &Facts) {
    let rich = Account::dev(0, CHAIN_ID).address();
    let there = Address::repeat_byte(0xab);
    for (index, code) in facts.told.random.iter().enumerate() {
        let init = json!({"from": rich, "input": bytes(code.clone()), "gas": "0x61a80"});
        let call = json!({"from": rich, "to": there, "gas": "0x61a80"});
        let placed = json!({ there.to_string(): {"code": bytes(code.clone())} });
        questions.ask("eth_call", json!([init, "latest"]));
        questions.ask("eth_call", json!([call, "latest", placed]));
        questions.ask("eth_estimateGas", json!([call, "latest", placed]));
        if index % 3 == 0 {
            questions.ask("eth_createAccessList", json!([init, "latest"]));
            questions.ask("debug_traceCall", json!([call, "latest", {"stateOverrides": placed}]));
        }
    }
}

fn simulations(questions: &mut Questions, facts: &Facts) {
    let rich = Account::dev(0, CHAIN_ID).address();
    let poor = Address::repeat_byte(0xee);
    let of = |index: usize| facts.told.contracts[index];
    let nonce = "0xffff";
    let head = facts.head();
    let timestamp = |ahead: u64| {
        let time: U64 = serde_json::from_value(facts.blocks[head as usize]["timestamp"].clone())
            .expect("a time");
        json!(U64::from(time.to::<u64>() + ahead))
    };
    let calls = |list: Value| json!({"blockStateCalls": [{"calls": list}]});
    let mut simulated = vec![
        json!({}),
        json!({"blockStateCalls": []}),
        json!({"blockStateCalls": [{}]}),
        json!({"blockStateCalls": [{}, {}, {}]}),
        calls(json!([{"to": of(LOOKS)}])),
        calls(
            json!([{"from": rich, "to": of(STORE), "input": format!("{}{}", B256::ZERO, hex::encode(B256::repeat_byte(2)))}]),
        ),
        calls(json!([{"from": rich, "to": of(REVERTS), "input": contracts::error("sim")}])),
        calls(json!([{"from": rich, "to": of(REVERTS), "input": contracts::panics(1)}])),
        calls(json!([{"from": rich, "to": of(SPINS), "gas": "0x10000"}])),
        calls(json!([{"from": rich, "to": of(TAKES), "gas": "0x1"}])),
        calls(json!([{"from": poor, "to": of(TAKES), "value": "0x1"}])),
        calls(json!([{"from": rich, "to": of(TAKES), "nonce": "0x0"}])),
        calls(json!([{"from": rich, "to": of(TAKES), "nonce": nonce}])),
        calls(
            json!([{"from": rich, "to": of(TAKES), "maxFeePerGas": "0x1", "maxPriorityFeePerGas": "0x2"}]),
        ),
        calls(json!([{"from": rich, "to": of(TAKES), "gas": "0xffffffff"}])),
        calls(json!([{"from": rich, "input": bytes(deploys(&contracts::store()))}])),
        calls(json!([{"from": rich, "input": bytes(vec![0; 49_153])}])),
        calls(
            json!([{"from": rich, "to": of(CALLER), "value": "0x9", "input": bytes(contracts::call(0, poor, 50_000, 3, &[]))}]),
        ),
        json!({"blockStateCalls": [{"blockOverrides": {"number": U64::from(head + 1)}}]}),
        json!({"blockStateCalls": [{"blockOverrides": {"number": U64::from(head + 4)}}]}),
        json!({"blockStateCalls": [{"blockOverrides": {"number": U64::from(head)}}]}),
        json!({"blockStateCalls": [{"blockOverrides": {"number": U64::from(head + 400)}}]}),
        json!({"blockStateCalls": [{"blockOverrides": {"time": timestamp(0)}}]}),
        json!({"blockStateCalls": [{"blockOverrides": {"time": timestamp(5)}}]}),
        json!({"blockStateCalls": [{"blockOverrides": {"gasLimit": "0x5208"}, "calls": [{"from": rich, "to": of(LOOKS)}]}]}),
        json!({"blockStateCalls": [{"blockOverrides": {"baseFeePerGas": "0x9", "feeRecipient": poor}, "calls": [{"from": rich, "to": of(LOOKS)}]}]}),
        json!({"blockStateCalls": [
            {"stateOverrides": { poor.to_string(): {"balance": "0xde0b6b3a7640000"} },
             "calls": [{"from": poor, "to": of(TAKES), "value": "0x1"}, {"from": poor, "to": rich, "value": "0x2"}]},
            {"calls": [{"from": poor, "to": of(LOOKS)}]},
        ]}),
        json!({"blockStateCalls": [{"calls": [{"from": rich, "to": poor, "value": "0x5"}]}], "traceTransfers": true}),
        json!({"blockStateCalls": [{"calls": [{"from": rich, "to": poor, "value": "0x5"}]}], "returnFullTransactions": true}),
    ];
    let validated: Vec<Value> = simulated
        .iter()
        .map(|call| {
            let mut call = call.clone();
            call["validation"] = json!(true);
            call
        })
        .collect();
    simulated.extend(validated);
    for call in &simulated {
        questions.ask("eth_simulateV1", json!([call, "latest"]));
    }
    let looks = calls(json!([{"to": of(LOOKS)}]));
    for name in facts.block_names() {
        questions.ask("eth_simulateV1", json!([looks, name]));
    }
    questions.ask("eth_simulateV1", json!([looks]));
    questions.ask("eth_simulateV1", json!([{"blockStateCalls": vec![json!({}); 257]}, "latest"]));
}
