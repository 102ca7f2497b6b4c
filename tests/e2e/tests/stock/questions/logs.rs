//! Logs and fees.

use alloy_primitives::{Address, B256, U64, U256};
use serde_json::{Value, json};

use super::{Facts, Questions};
use crate::{
    compare::Question,
    story::{CALLER, FACTORY, LOOKS, STORE},
};

pub(super) fn add(questions: &mut Questions, facts: &Facts) {
    let all = json!({"fromBlock": "earliest", "toBlock": "latest"});
    questions.ask("eth_getLogs", json!([all]));
    for number in facts.chosen() {
        questions.ask("eth_getLogs", json!([{"blockHash": facts.hash(number)}]));
        let number = U64::from(number);
        questions.ask("eth_getLogs", json!([{"fromBlock": number, "toBlock": number}]));
    }
    let of = |index: usize| facts.told.contracts[index];
    let event = B256::from(U256::from(0x5707e));
    let one = B256::with_last_byte(1);
    let many: Vec<Address> = (0..1001).map(|n| Address::from_word(U256::from(n).into())).collect();
    let topics: Vec<B256> = (0..1001).map(|n| U256::from(n).into()).collect();
    let filters = [
        json!({"address": of(STORE)}),
        json!({"address": [of(STORE), of(LOOKS)]}),
        json!({"address": []}),
        json!({"address": null}),
        json!({"address": "0x"}),
        json!({"address": ["0x1"]}),
        json!({"address": many}),
        json!({"address": of(CALLER), "topics": [one]}),
        json!({"address": of(FACTORY), "topics": []}),
        json!({"topics": [event]}),
        json!({"topics": [null, B256::ZERO]}),
        json!({"topics": [[event, one], null]}),
        json!({"topics": [[event], [B256::ZERO, one, B256::with_last_byte(7)]]}),
        json!({"topics": [[]]}),
        json!({"topics": [null, null, null, null]}),
        json!({"topics": [null, null, null, null, null]}),
        json!({"topics": null}),
        json!({"topics": [topics]}),
        json!({"topics": ["0x1"]}),
        json!({"topics": event}),
    ];
    for mut filter in filters {
        questions.ask("eth_getLogs", json!([filter]));
        if filter.is_object() {
            filter["fromBlock"] = json!("0x0");
        }
        questions.ask("eth_getLogs", json!([filter]));
    }
    let (head, hash) = (facts.head(), facts.hash(facts.head() / 2));
    let ends = [
        json!("earliest"),
        json!("latest"),
        json!("pending"),
        json!("safe"),
        json!("finalized"),
        json!("0x0"),
        json!("0x3"),
        json!(U64::from(head)),
        json!(U64::from(head + 1)),
        json!("0xffffffffff"),
        json!("0x7fffffffffffffff"),
        json!("0xffffffffffffffffff"),
        json!("3"),
        json!(3),
        json!(""),
        Value::Null,
        json!(hash),
        json!("0x03"),
    ];
    for from in &ends {
        for to in &ends {
            let filter = json!({"fromBlock": from, "toBlock": to, "address": of(STORE)});
            questions.ask("eth_getLogs", json!([filter]));
        }
        questions.ask("eth_getLogs", json!([{"fromBlock": from, "address": of(STORE)}]));
        questions.ask("eth_getLogs", json!([{"toBlock": from, "address": of(STORE)}]));
        questions.ask("eth_getLogs", json!([{"blockHash": hash, "toBlock": from}]));
    }
    for filter in [
        json!({"blockHash": B256::ZERO}),
        json!({"blockHash": B256::repeat_byte(1)}),
        json!({"blockHash": "0x"}),
        json!({"blockHash": null}),
        json!({"blockHash": 5}),
        json!({}),
        json!([]),
        json!(null),
        json!("latest"),
        json!({"limit": 5}),
    ] {
        questions.ask("eth_getLogs", json!([filter]));
    }
    for method in ["eth_getFilterChanges", "eth_getFilterLogs", "eth_uninstallFilter"] {
        for id in [json!("0x1"), json!(""), json!("1"), json!(1), Value::Null, json!(B256::ZERO)] {
            questions.ask(method, json!([id]));
        }
    }
    fees(questions, facts);
}

/// Filters to be installed.
pub(crate) fn filters(facts: &Facts) -> Vec<Question> {
    let store = facts.told.contracts[STORE];
    let mut questions = Questions::default();
    for filter in [
        json!({}),
        json!({"fromBlock": "earliest"}),
        json!({"fromBlock": "0x1", "toBlock": U64::from(facts.head()), "address": store}),
        json!({"fromBlock": "earliest", "topics": [null, [B256::ZERO, B256::with_last_byte(1)]]}),
    ] {
        questions.ask("eth_newFilter", json!([filter]));
    }
    questions.ask("eth_newBlockFilter", json!([]));
    questions.ask("eth_newPendingTransactionFilter", json!([]));
    questions.0
}

fn fees(questions: &mut Questions, facts: &Facts) {
    let head = facts.head();
    let counts = [
        json!("0x0"),
        json!("0x1"),
        json!("0x4"),
        json!("0x1f"),
        json!("0x400"),
        json!("0x401"),
        json!("0xffffffff"),
        json!(4),
        json!("4"),
        json!(0),
        json!(-1),
        json!("0x04"),
        json!(""),
        json!(1.5),
        Value::Null,
        json!("0xffffffffffffffffff"),
    ];
    let newest = [
        json!("latest"),
        json!("pending"),
        json!("earliest"),
        json!("safe"),
        json!("finalized"),
        json!("0x0"),
        json!("0x2"),
        json!(U64::from(head / 2)),
        json!(U64::from(head)),
        json!(U64::from(head + 1)),
        json!("0xffffffff"),
        json!(facts.hash(1)),
        json!(""),
        Value::Null,
    ];
    let percentiles = [
        json!([]),
        json!([50]),
        json!([0, 10.5, 50, 99.9, 100]),
        json!([50, 10]),
        json!([50, 50]),
        json!([-1]),
        json!([101]),
        json!(["50"]),
        json!(null),
        json!(50),
        json!((0..101).map(|n| f64::from(n) * 0.9).collect::<Vec<_>>()),
    ];
    for count in &counts {
        for newest in &newest {
            questions.ask("eth_feeHistory", json!([count, newest, [25, 75]]));
        }
    }
    for percentiles in &percentiles {
        questions.ask("eth_feeHistory", json!(["0x14", "latest", percentiles]));
        questions.ask("eth_feeHistory", json!(["0x2", U64::from(head / 2), percentiles]));
    }
    questions.ask("eth_feeHistory", json!([U64::from(head + 1), "latest", [1, 50, 99]]));
    questions.ask("eth_feeHistory", json!(["0x4", "latest"]));
}
