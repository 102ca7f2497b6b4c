//! Where answers differ from op-geth's on purpose: the rows of `docs/rpc-differences.md`.

use serde_json::Value;

use crate::compare::Question;

const INVALID_PARAMS: i64 = -32602;
const NO_METHOD: i64 = -32601;
const SERVER: i64 = -32000;
/// A precompile among state overrides.
const OVERRIDDEN: &str = r#""0x0000000000000000000000000000000000000002":{"#;

/// The heading that explains why `ours` is not `theirs`.
pub(crate) fn row(question: &Question, theirs: &Value, ours: &Value) -> Option<&'static str> {
    let code = |answer: &Value| answer["error"]["code"].as_i64();
    let says = |answer: &Value, text: &str| {
        answer["error"]["message"].as_str().is_some_and(|message| message.contains(text))
    };
    let asked = question.params.to_string();
    let both = (code(theirs), code(ours));
    let servers = both == (Some(SERVER), Some(SERVER));
    match question.method.as_str() {
        _ if says(theirs, "method handler crashed") => Some("crashes"),
        _ if both == (Some(INVALID_PARAMS), Some(INVALID_PARAMS)) => Some("parameter errors"),
        _ if code(ours) == Some(INVALID_PARAMS) && says(ours, "invalid type: null") => {
            Some("null for an object")
        }
        "eth_baseFee" | "eth_getTransactionBySenderAndNonce" if code(theirs) == Some(NO_METHOD) => {
            Some("methods that op-geth lacks")
        }
        "debug_printBlock" | "eth_resend" if code(ours) == Some(NO_METHOD) => {
            Some("methods that ascribe lacks")
        }
        "web3_clientVersion" if ours["result"].is_string() => Some("client version"),
        "eth_syncing" if ours["result"] == false => Some("syncing"),
        "eth_unsubscribe" if says(ours, "subscription not found") => Some("eth_unsubscribe"),
        "eth_createAccessList" | "eth_estimateGas" if asked.contains(OVERRIDDEN) => {
            Some("overridden precompiles")
        }
        "eth_sendRawTransaction" if says(ours, "limit reached for delegated accounts") => {
            Some("transactions that are tried again")
        }
        "eth_createAccessList" if servers && says(ours, "failed to apply transaction: 0x0000") => {
            Some("hashes of what cannot be")
        }
        "eth_simulateV1" if asked.contains("baseFeePerGas") && ours["result"].is_array() => {
            Some("unpaid base fees")
        }
        "debug_storageRangeAt" | "debug_executionWitness" if says(theirs, "block {<nil>") => {
            Some("Go values in errors")
        }
        "debug_accountRange" => Some("preimages"),
        "debug_storageRangeAt" if without_keys(theirs) == without_keys(ours) => Some("preimages"),
        "debug_traceBlock" if servers && says(ours, "could not decode block") => {
            Some("malformed RLP")
        }
        "eth_sendRawTransaction" if servers && (says(ours, "rlp: ") || says(theirs, "rlp: ")) => {
            Some("malformed RLP")
        }
        "debug_traceTransaction" | "debug_traceCall" | "debug_traceBlockByNumber" => {
            if says(ours, "PreimageTracer is not defined")
                || says(ours, "erc7562Tracer is not defined")
                || says(ours, "JavaScript tracers")
                || ours["result"][0]["error"].is_string()
            {
                Some("tracers")
            } else if servers && says(theirs, "json: cannot unmarshal") {
                Some("tracer options")
            } else if says(theirs, "cannot unmarshal") && ours["result"] != Value::Null {
                // Options that geth's parser refuses and nobody reads.
                (asked.contains("reexec") || asked.contains("tracerConfig"))
                    .then_some("tracer options")
            } else {
                None
            }
        }
        "eth_fillTransaction" if asked.contains("blobVersionedHashes") => Some("blobs"),
        _ => None,
    }
}

/// A storage range without the preimages of its keys.
fn without_keys(answer: &Value) -> Value {
    let mut answer = answer.clone();
    if let Some(slots) = answer["result"]["storage"].as_object_mut() {
        for slot in slots.values_mut() {
            slot["key"] = Value::Null;
        }
    }
    answer
}
