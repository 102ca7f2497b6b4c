//! Blocks, transactions, receipts and state.

use alloy_primitives::{B256, U64, U256};
use serde_json::{Value, json};

use super::{Facts, Questions};

pub(super) fn add(questions: &mut Questions, facts: &Facts) {
    constants(questions);
    blocks(questions, facts);
    transactions(questions, facts);
    state(questions, facts);
    raw(questions, facts);
}

fn constants(questions: &mut Questions) {
    for method in [
        "eth_chainId",
        "eth_blockNumber",
        "eth_syncing",
        "eth_accounts",
        "eth_gasPrice",
        "eth_maxPriorityFeePerGas",
        "eth_blobBaseFee",
        "eth_baseFee",
        "eth_config",
        "eth_pendingTransactions",
        "eth_protocolVersion",
        "eth_coinbase",
        "eth_mining",
        "eth_hashrate",
        "eth_getWork",
        "net_version",
        "net_listening",
        "net_peerCount",
        "web3_clientVersion",
        "txpool_status",
        "txpool_content",
        "txpool_inspect",
        "debug_chainConfig",
    ] {
        questions.ask(method, json!([]));
    }
    for data in ["0x", "0x68656c6c6f", "0x0", "hello", "", "0xzz"] {
        questions.ask("web3_sha3", json!([data]));
    }
}

fn blocks(questions: &mut Questions, facts: &Facts) {
    for number in 0..=facts.head() {
        let (number, hash) = (U64::from(number), facts.hash(number));
        for full in [false, true] {
            questions.ask("eth_getBlockByNumber", json!([number, full]));
            questions.ask("eth_getBlockByHash", json!([hash, full]));
        }
        questions.ask("eth_getHeaderByNumber", json!([number]));
        questions.ask("eth_getHeaderByHash", json!([hash]));
        questions.ask("eth_getBlockReceipts", json!([number]));
        questions.ask("eth_getBlockReceipts", json!([hash]));
        questions.ask("eth_getBlockTransactionCountByNumber", json!([number]));
        questions.ask("eth_getBlockTransactionCountByHash", json!([hash]));
        questions.ask("eth_getUncleCountByBlockNumber", json!([number]));
        questions.ask("eth_getUncleCountByBlockHash", json!([hash]));
    }
    for name in facts.block_names() {
        for method in [
            "eth_getHeaderByNumber",
            "eth_getHeaderByHash",
            "eth_getBlockReceipts",
            "eth_getBlockTransactionCountByNumber",
            "eth_getBlockTransactionCountByHash",
            "eth_getUncleCountByBlockNumber",
            "eth_getUncleCountByBlockHash",
        ] {
            questions.ask(method, json!([name]));
        }
        for method in ["eth_getBlockByNumber", "eth_getBlockByHash"] {
            questions.ask(method, json!([name, false]));
            questions.ask(method, json!([name, true]));
        }
        for index in ["0x0", "0x1", "0x7f", "0xffffffff", "0x100000000", "0x00", "1", ""] {
            for method in [
                "eth_getTransactionByBlockNumberAndIndex",
                "eth_getTransactionByBlockHashAndIndex",
                "eth_getRawTransactionByBlockNumberAndIndex",
                "eth_getRawTransactionByBlockHashAndIndex",
                "eth_getUncleByBlockNumberAndIndex",
                "eth_getUncleByBlockHashAndIndex",
            ] {
                questions.ask(method, json!([name, index]));
            }
        }
    }
}

fn transactions(questions: &mut Questions, facts: &Facts) {
    let mut names: Vec<Value> = facts.transaction_hashes().iter().map(|hash| json!(hash)).collect();
    names.extend([
        json!(B256::ZERO),
        json!(B256::repeat_byte(3)),
        json!("0x"),
        json!("0x1"),
        json!(""),
        json!(1),
        Value::Null,
        json!(format!("{}00", B256::ZERO)),
        json!({}),
        json!("latest"),
    ]);
    for name in names {
        for method in [
            "eth_getTransactionByHash",
            "eth_getTransactionReceipt",
            "eth_getRawTransactionByHash",
            "debug_getRawTransaction",
        ] {
            questions.ask(method, json!([name]));
        }
    }
    for number in facts.chosen() {
        for index in 0..facts.transactions(number).len() + 1 {
            let (number, hash, index) = (U64::from(number), facts.hash(number), U64::from(index));
            let by_number = json!([number, index]);
            questions.ask("eth_getTransactionByBlockNumberAndIndex", by_number.clone());
            questions.ask("eth_getRawTransactionByBlockNumberAndIndex", by_number);
            questions.ask("eth_getTransactionByBlockHashAndIndex", json!([hash, index]));
            questions.ask("eth_getRawTransactionByBlockHashAndIndex", json!([hash, index]));
        }
    }
    for address in facts.addresses() {
        for nonce in ["0x0", "0x3", "0x1000"] {
            questions.ask("eth_getTransactionBySenderAndNonce", json!([address, nonce]));
        }
    }
}

fn state(questions: &mut Questions, facts: &Facts) {
    let addresses = facts.addresses();
    let slots = ["0x0", "0x1", "0x5", "0x7", "0x47", "0x64", "0x8"];
    let times = [0, 1, facts.head() / 3, facts.head() / 2, facts.head() - 1, facts.head()];
    for address in &addresses {
        for number in times {
            let at = U64::from(number);
            for method in ["eth_getBalance", "eth_getTransactionCount", "eth_getCode"] {
                questions.ask(method, json!([address, at]));
            }
            for slot in slots {
                questions.ask("eth_getStorageAt", json!([address, slot, at]));
            }
            questions.ask("eth_getProof", json!([address, slots, at]));
            questions.ask("eth_getProof", json!([address, [], at]));
        }
    }
    let (known, absent) = (facts.told.contracts[0], addresses[addresses.len() - 6]);
    for name in facts.block_names() {
        for method in ["eth_getBalance", "eth_getTransactionCount", "eth_getCode"] {
            questions.ask(method, json!([known, name]));
        }
        questions.ask("eth_getStorageAt", json!([known, "0x0", name]));
        questions.ask("eth_getProof", json!([known, ["0x0"], name]));
        questions.ask("eth_getProof", json!([absent, ["0x0"], name]));
        questions.ask("eth_getStorageValues", json!([{ known.to_string(): ["0x0"] }, name]));
    }
    let long = format!("0x{}", "0".repeat(65));
    let mut strange: Vec<Value> =
        ["", "0x", "0x00", "0x01", "01", "3", "0", "0xg", "0x000001", &long, &long[..66], "0xfff"]
            .map(Value::from)
            .to_vec();
    strange.extend([
        json!(0),
        Value::Null,
        json!([]),
        json!(U256::MAX),
        json!(B256::repeat_byte(9)),
    ]);
    for slot in &strange {
        questions.ask("eth_getStorageAt", json!([known, slot, "latest"]));
        questions.ask("eth_getProof", json!([known, [slot], "latest"]));
        questions.ask("eth_getStorageValues", json!([{ known.to_string(): [slot] }, "latest"]));
    }
    questions.ask("eth_getProof", json!([known, strange, "latest"]));
    questions.ask("eth_getProof", json!([known, vec![B256::ZERO; 1025], "latest"]));
    questions.ask("eth_getProof", json!([known, "0x0", "latest"]));
    questions.ask("eth_getProof", json!([known, null, "latest"]));
    for address in ["", "0x", "0x1", "0xzz00000000000000000000000000000000000000", "latest"] {
        for method in ["eth_getBalance", "eth_getTransactionCount", "eth_getCode"] {
            questions.ask(method, json!([address, "latest"]));
        }
        questions.ask("eth_getStorageAt", json!([address, "0x0", "latest"]));
    }
}

fn raw(questions: &mut Questions, facts: &Facts) {
    for number in facts.chosen() {
        for name in [json!(U64::from(number)), json!(facts.hash(number))] {
            for method in ["debug_getRawBlock", "debug_getRawHeader", "debug_getRawReceipts"] {
                questions.ask(method, json!([name]));
            }
        }
    }
    for name in facts.block_names() {
        for method in
            ["debug_getRawBlock", "debug_getRawHeader", "debug_getRawReceipts", "debug_printBlock"]
        {
            questions.ask(method, json!([name]));
        }
    }
}
