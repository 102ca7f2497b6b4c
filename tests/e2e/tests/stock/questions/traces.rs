//! Traces of everything that happened.

use alloy_primitives::{B256, U64};
use serde_json::{Value, json};

use super::{Facts, Questions};
use crate::story::{LOOKS, STORE};

pub(super) fn add(questions: &mut Questions, facts: &Facts) {
    let short = json!({"disableStack": true, "disableStorage": true});
    let for_all = [
        json!({"tracer": "callTracer", "tracerConfig": {"withLog": true}}),
        json!({"tracer": "prestateTracer"}),
        json!({"tracer": "prestateTracer", "tracerConfig": {"diffMode": true}}),
        json!({"tracer": "flatCallTracer"}),
        json!({"tracer": "4byteTracer"}),
        json!({"enableMemory": true, "enableReturnData": true}),
    ];
    for hash in facts.transaction_hashes() {
        for options in &for_all {
            questions.ask("debug_traceTransaction", json!([hash, options]));
        }
    }
    let options = options();
    let strangest = facts.transaction_hashes();
    for hash in strangest.iter().step_by(23) {
        for options in &options {
            questions.ask("debug_traceTransaction", json!([hash, options]));
        }
    }
    for hash in [json!(B256::ZERO), json!("0x"), json!(""), Value::Null, json!(1)] {
        questions.ask("debug_traceTransaction", json!([hash]));
        questions.ask("debug_traceTransaction", json!([hash, {"tracer": "callTracer"}]));
    }
    for number in facts.chosen() {
        let (number, hash) = (U64::from(number), facts.hash(number));
        questions.ask("debug_traceBlockByNumber", json!([number, {"tracer": "callTracer"}]));
        questions.ask("debug_traceBlockByHash", json!([hash, {"tracer": "prestateTracer"}]));
        questions.ask("debug_traceBlockByHash", json!([hash, short]));
        questions.ask("debug_intermediateRoots", json!([hash]));
    }
    for name in facts.block_names() {
        for method in ["debug_traceBlockByNumber", "debug_traceBlockByHash"] {
            questions.ask(method, json!([name, {"tracer": "callTracer"}]));
        }
        questions.ask("debug_intermediateRoots", json!([name]));
        let message = json!({"to": facts.told.contracts[LOOKS]});
        questions.ask("debug_traceCall", json!([message, name, {"tracer": "callTracer"}]));
        questions.ask("debug_traceCall", json!([message, name]));
    }
    let message = json!({"to": facts.told.contracts[LOOKS]});
    for options in &options {
        questions.ask("debug_traceCall", json!([message, "latest", options]));
        let busy = facts.chosen()[facts.chosen().len() / 2];
        questions.ask("debug_traceBlockByNumber", json!([U64::from(busy), options]));
    }
    for index in ["0x0", "0x1", "0x2", "0x1000", "1", ""] {
        for number in [0, 1, facts.head() / 2] {
            let options = json!({"txIndex": index, "tracer": "prestateTracer"});
            questions.ask("debug_traceCall", json!([message, U64::from(number), options]));
        }
    }
    for raw in ["0x", "0x00", "0xc0", "0xf90000", "zz", "0xc3808080"] {
        questions.ask("debug_traceBlock", json!([raw]));
    }
    ranges(questions, facts);
}

fn options() -> Vec<Value> {
    let tracer = |name: &str| json!({"tracer": name});
    let mut options: Vec<Value> = [
        "callTracer",
        "prestateTracer",
        "4byteTracer",
        "flatCallTracer",
        "noopTracer",
        "muxTracer",
        "fooTracer",
        "",
        "CallTracer",
        "keccak256PreimageTracer",
        "erc7562Tracer",
    ]
    .map(tracer)
    .to_vec();
    options.extend([
        json!({}),
        json!(null),
        json!([]),
        json!("callTracer"),
        json!({"disableStack": true}),
        json!({"disableStorage": true}),
        json!({"enableMemory": true}),
        json!({"enableReturnData": true}),
        json!({"limit": 10}),
        json!({"limit": -1}),
        json!({"limit": "10"}),
        json!({"debug": true}),
        json!({"timeout": "10s"}),
        json!({"timeout": "10"}),
        json!({"timeout": "x"}),
        json!({"timeout": 10}),
        json!({"reexec": 5}),
        json!({"reexec": "5"}),
        json!({"unknown": 5}),
        json!({"tracer": 5}),
        json!({"tracer": "callTracer", "tracerConfig": {"onlyTopCall": true}}),
        json!({"tracer": "callTracer", "tracerConfig": {"onlyTopCall": true, "withLog": true}}),
        json!({"tracer": "callTracer", "tracerConfig": {"onlyTopCall": "x"}}),
        json!({"tracer": "callTracer", "tracerConfig": []}),
        json!({"tracer": "callTracer", "tracerConfig": null}),
        json!({"tracer": "callTracer", "tracerConfig": {"unknown": 1}}),
        json!({"tracer": "prestateTracer", "tracerConfig": {"disableCode": true}}),
        json!({"tracer": "prestateTracer", "tracerConfig": {"disableStorage": true}}),
        json!({"tracer": "prestateTracer", "tracerConfig": {"diffMode": true, "disableCode": true, "disableStorage": true}}),
        json!({"tracer": "prestateTracer", "tracerConfig": {"includeEmpty": true}}),
        json!({"tracer": "prestateTracer", "tracerConfig": {"diffMode": true, "includeEmpty": true}}),
        json!({"tracer": "flatCallTracer", "tracerConfig": {"convertParityErrors": true}}),
        json!({"tracer": "flatCallTracer", "tracerConfig": {"includePrecompiles": true}}),
        json!({"tracer": "muxTracer", "tracerConfig": {"callTracer": {"withLog": true}, "prestateTracer": null}}),
        json!({"tracer": "muxTracer", "tracerConfig": {"fooTracer": {}}}),
        json!({"tracer": "muxTracer", "tracerConfig": {}}),
    ]);
    options
}

fn ranges(questions: &mut Questions, facts: &Facts) {
    let store = facts.told.contracts[STORE];
    let chosen = facts.chosen();
    let busy = facts.hash(chosen[chosen.len() / 2]);
    for index in [0, 1, 3, 1000] {
        for limit in [0, 2, 1000] {
            for start in ["0x00", "0x80", "0xff"] {
                questions.ask("debug_storageRangeAt", json!([busy, index, store, start, limit]));
            }
        }
    }
    questions.ask("debug_storageRangeAt", json!([B256::ZERO, 0, store, "0x00", 10]));
    for name in [json!("latest"), json!("0x0"), json!("0x1"), json!(busy), json!("0xffffff")] {
        for limit in [0, 3, 300] {
            questions.ask("debug_accountRange", json!([name, "0x", limit, true, true, false]));
            questions.ask("debug_accountRange", json!([name, "0x80", limit, false, false, false]));
        }
    }
}
