//! Every method with too few, too many and wrong parameters.

use alloy_primitives::B256;
use serde_json::{Value, json};

use super::{Facts, Questions};

const METHODS: [&str; 64] = [
    "debug_accountRange",
    "debug_chainConfig",
    "debug_executionWitness",
    "debug_getRawBlock",
    "debug_getRawHeader",
    "debug_getRawReceipts",
    "debug_getRawTransaction",
    "debug_intermediateRoots",
    "debug_storageRangeAt",
    "debug_traceBlock",
    "debug_traceBlockByHash",
    "debug_traceBlockByNumber",
    "debug_traceCall",
    "debug_traceTransaction",
    "eth_accounts",
    "eth_blobBaseFee",
    "eth_blockNumber",
    "eth_call",
    "eth_chainId",
    "eth_config",
    "eth_createAccessList",
    "eth_estimateGas",
    "eth_feeHistory",
    "eth_fillTransaction",
    "eth_gasPrice",
    "eth_getBalance",
    "eth_getBlockByHash",
    "eth_getBlockByNumber",
    "eth_getBlockReceipts",
    "eth_getBlockTransactionCountByHash",
    "eth_getBlockTransactionCountByNumber",
    "eth_getCode",
    "eth_getFilterChanges",
    "eth_getFilterLogs",
    "eth_getHeaderByHash",
    "eth_getHeaderByNumber",
    "eth_getLogs",
    "eth_getProof",
    "eth_getRawTransactionByHash",
    "eth_getStorageAt",
    "eth_getTransactionByBlockHashAndIndex",
    "eth_getTransactionByBlockNumberAndIndex",
    "eth_getTransactionByHash",
    "eth_getTransactionCount",
    "eth_getTransactionReceipt",
    "eth_maxPriorityFeePerGas",
    "eth_newFilter",
    "eth_sendRawTransaction",
    "eth_sendTransaction",
    "eth_sign",
    "eth_signTransaction",
    "eth_simulateV1",
    "eth_subscribe",
    "eth_syncing",
    "eth_uninstallFilter",
    "eth_unsubscribe",
    "net_listening",
    "net_peerCount",
    "net_version",
    "txpool_contentFrom",
    "txpool_status",
    "web3_clientVersion",
    "web3_sha3",
    "eth_resend",
];

pub(super) fn add(questions: &mut Questions, facts: &Facts) {
    let address = facts.told.contracts[0];
    let params = [
        json!([]),
        json!([null]),
        json!([null, null]),
        json!([null, null, null]),
        json!([1]),
        json!(["0x"]),
        json!(["0x1", "0x1"]),
        json!([{}, {}]),
        json!([[], []]),
        json!([true, false]),
        json!([address]),
        json!([address, "0x0", "latest", "more"]),
        json!([B256::ZERO]),
        json!([B256::ZERO, "0x0", {}, {}, 1, 2, 3]),
        json!({}),
        json!({"a": 1}),
        json!("0x"),
        json!(5),
        Value::Null,
    ];
    for method in METHODS {
        for params in &params {
            // What makes a filter or waits has its own place.
            let good = ["eth_newFilter", "eth_sendTransaction", "eth_subscribe"];
            if !good.contains(&method) || params.get(0).is_none_or(|first| !first.is_object()) {
                questions.ask(method, params.clone());
            }
        }
    }
    for method in [
        "eth_nothing",
        "foo_bar",
        "eth",
        "",
        "_",
        "eth_",
        "debug_nothing",
        "engine_newPayloadV4",
        "engine_forkchoiceUpdatedV3",
        "personal_listAccounts",
        "miner_start",
        "eth_chainID",
        "ETH_chainId",
        " eth_chainId",
    ] {
        questions.ask(method, json!([]));
    }
}
