//! What the Engine API has to refuse: payloads that no chain can hold, fork choices that contradict
//! themselves, and attributes that no block can have.

use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, B64, B256, Bytes, TxKind, U256};
use ascribe_e2e::{
    Account, AscribeNode, Attributes, Built, Driver, Fork, ForkchoiceState, Load, NodeOptions,
    Payload, PayloadStatus, TestChain, say,
};
use serde_json::{Value, json};

/// Makes attributes wrong.
type Change<'a> = &'a dyn Fn(&mut Attributes);

/// A node of a new chain, somebody to drive it, and what to fill blocks with.
fn begin(fork: Fork) -> (TestChain, AscribeNode, Driver, Load) {
    let chain = TestChain::new(fork);
    let node = NodeOptions::new(&chain).start();
    let driver = Driver::new(&node);
    let load = Load::new(&chain, 3, 2, 4);
    (chain, node, driver, load)
}

/// What a payload may have wrong, and what is said about it.
struct Wrong {
    what: &'static str,
    bend: fn(&mut Payload),
    /// In `validationError`.
    says: &'static str,
    /// Whether the block can be read at all: then its parent is the latest valid block.
    readable: bool,
}

const fn wrong(what: &'static str, says: &'static str, bend: fn(&mut Payload)) -> Wrong {
    Wrong { what, bend, says, readable: true }
}

const fn unreadable(what: &'static str, says: &'static str, bend: fn(&mut Payload)) -> Wrong {
    Wrong { what, bend, says, readable: false }
}

const WRONG: [Wrong; 26] = [
    wrong("state root", "state root", |it| it.state_root = B256::ZERO),
    wrong("receipts root", "receipt root mismatch", |it| it.receipts_root = B256::ZERO),
    wrong("bloom", "bloom", |it| it.logs_bloom = Bytes::from_static(&[1; 256])),
    wrong("gas used", "gas used mismatch", |it| it.gas_used -= 1),
    wrong("gas used above the limit", "gas limit", |it| it.gas_used = it.gas_limit + 1),
    wrong("gas limit below the gas used", "gas limit", |it| it.gas_limit = it.gas_used - 1),
    wrong("gas limit above 2^63", "invalid gasLimit", |it| it.gas_limit = 1 << 63),
    wrong("base fee", "base fee", |it| it.base_fee_per_gas += U256::from(1)),
    wrong("no base fee", "base fee", |it| it.base_fee_per_gas = U256::ZERO),
    wrong("timestamp of the parent", "timestamp", |it| it.timestamp -= 2),
    wrong("timestamp before the parent", "timestamp", |it| it.timestamp -= 3),
    wrong("number", "number", |it| it.block_number += 1),
    wrong("no extraData", "extra", |it| it.extra_data = Bytes::new()),
    wrong("extraData of Holocene", "extra", |it| it.extra_data = it.extra_data.slice(..9)),
    wrong("extraData without a denominator", "extra", |it| {
        it.extra_data = [&[1, 0, 0, 0, 0][..], &it.extra_data[5..]].concat().into();
    }),
    wrong("extraData of another version", "extra", |it| {
        it.extra_data = [&[2], &it.extra_data[1..]].concat().into();
    }),
    wrong("DA footprint", "blob gas used mismatch", |it| it.blob_gas_used += 1),
    wrong("excess blob gas", "xcess", |it| it.excess_blob_gas = 1),
    wrong("withdrawals root", "withdrawals root", |it| it.withdrawals_root = B256::ZERO),
    wrong("transactions in another order", "nonce", |it| it.transactions.swap(1, 2)),
    wrong("no L1 attributes", "deposit", |it| {
        it.transactions.remove(0);
    }),
    wrong("a transaction too few", "", |it| {
        it.transactions.pop();
    }),
    wrong("a transaction twice", "nonce", |it| {
        it.transactions.push(it.transactions[1].clone());
    }),
    unreadable("bytes that are no transaction", "", |it| {
        it.transactions.push(Bytes::from_static(&[2, 0xc0]));
    }),
    unreadable("a transaction of an unknown type", "", |it| {
        it.transactions.push(Bytes::from_static(&[0x50, 0xc0]));
    }),
    unreadable("a transaction without bytes", "", |it| it.transactions.push(Bytes::new())),
];

#[test]
fn payloads_that_are_wrong() {
    let (chain, node, mut driver, load) = begin(Fork::Karst);
    driver.extend_by(&load, 0, 3);
    let parent = driver.head();
    let attributes = driver.attributes(parent, load.block(parent.number + 1, 0));
    let good = driver.build(parent, &attributes).expect("a block");

    let mut refused = Vec::new();
    let assert_refused = |what: &str, bad: &Built, says: &str, readable: bool| {
        let status = bad.import(&node.engine).unwrap_or_else(|error| panic!("{what}: {error}"));
        let latest_valid = readable.then_some(parent.hash);
        assert_eq!(status.status, "INVALID", "{what}: {status:?}");
        assert_eq!(status.latest_valid_hash, latest_valid, "{what}: {status:?}");
        let reason = status.expect_invalid(latest_valid).to_owned();
        assert!(reason.to_lowercase().contains(&says.to_lowercase()), "{what}: {reason}");
        assert_eq!(node.head(), (parent.number, parent.hash), "{what}");
        // Asked again, the same.
        assert_eq!(bad.import(&node.engine).expect("a status").status, "INVALID", "{what}");
    };
    for Wrong { what, bend, says, readable } in WRONG {
        let bad = good.bent(bend);
        assert_ne!(bad.payload.block_hash, good.payload.block_hash, "{what} changes the block");
        assert_refused(what, &bad, says, readable);
        if readable {
            refused.push(bad);
        }
    }

    // Transactions that can be decoded and never included.
    let account = Account::dev(7, chain.chain_id);
    let to = TxKind::Call(Address::with_last_byte(1));
    let transfer = account.transaction(to, U256::from(1), Bytes::new(), 21_000);
    let rich = U256::from(10).pow(U256::from(30));
    let signed_by_nobody = {
        let mut raw = account.sign(transfer.clone()).to_vec();
        // The last 32 bytes are s: zero is no signature.
        let end = raw.len();
        raw[end - 31..].fill(0);
        raw
    };
    let bad_transactions: [(&str, Bytes, &str); 8] = [
        ("a nonce too high", account.sign(TxEip1559 { nonce: 1, ..transfer.clone() }), "nonce"),
        (
            "a foreign chain id",
            account.sign(TxEip1559 { chain_id: 1, ..transfer.clone() }),
            "chain",
        ),
        (
            "too little gas",
            account.sign(TxEip1559 { gas_limit: 20_999, ..transfer.clone() }),
            "gas",
        ),
        (
            "more ether than there is",
            account.sign(TxEip1559 { value: rich, ..transfer.clone() }),
            "funds",
        ),
        (
            "a fee below the base fee",
            account.sign(TxEip1559 {
                max_fee_per_gas: 1,
                max_priority_fee_per_gas: 1,
                ..transfer.clone()
            }),
            "fee",
        ),
        (
            "a tip above the fee",
            account.sign(TxEip1559 { max_priority_fee_per_gas: 1 << 40, ..transfer.clone() }),
            "fee",
        ),
        (
            "more gas than EIP-7825 allows",
            account.sign(TxEip1559 { gas_limit: 16_777_217, ..transfer }),
            "gas",
        ),
        ("a signature of nobody", signed_by_nobody.into(), ""),
    ];
    let bad_kinds = bad_transactions.len();
    for (what, transaction, says) in bad_transactions {
        let bad = good.bent(|it| it.transactions.push(transaction));
        let readable = what != "a signature of nobody";
        let status = bad.import(&node.engine).expect("a status");
        if readable {
            assert_refused(what, &bad, says, true);
        } else {
            assert_eq!(status.status, "INVALID", "{what}: {status:?}");
        }
    }

    // Contents that do not hash to the hash they bear, known or not.
    let mut lie = good.clone();
    lie.payload.gas_used -= 1;
    assert_refused("another block's hash", &lie, "hash", false);
    let mut lie = good.clone();
    lie.parent_beacon_block_root = B256::ZERO;
    assert_refused("another beacon root", &lie, "hash", false);
    let params = json!([good.payload, [B256::ZERO], good.parent_beacon_block_root, []]);
    let status: PayloadStatus = node.engine.rpc.call("engine_newPayloadV4", params);
    status.expect_invalid(None);
    let params = json!([good.payload, [], good.parent_beacon_block_root, ["0x0011"]]);
    let status: PayloadStatus = node.engine.rpc.call("engine_newPayloadV4", params);
    status.expect_invalid(None);

    // Whatever stands on an invalid block is invalid, down to the same ancestor; and none of them
    // becomes the head.
    for bad in &refused {
        let child = good.bent(|it| {
            it.parent_hash = bad.payload.block_hash;
            it.block_number += 1;
            it.timestamp += 2;
        });
        let grandchild = child.bent(|it| {
            it.parent_hash = child.payload.block_hash;
            it.block_number += 1;
            it.timestamp += 2;
        });
        for block in [&child, &grandchild] {
            let status = block.import(&node.engine).expect("a status");
            let reason = status.expect_invalid(Some(parent.hash));
            assert_eq!(reason, "links to previously rejected block");
            let state = ForkchoiceState::head(block.payload.block_hash);
            let updated = node.engine.forkchoice_updated(state, None).expect("a status");
            updated.payload_status.expect_invalid(Some(parent.hash));
            assert_eq!(updated.payload_id, None);
        }
    }
    assert_eq!(node.head(), (parent.number, parent.hash));

    say(&format!("engine: {} kinds of invalid payloads", WRONG.len() + bad_kinds + 4));

    // And the good block is still good.
    driver.import(&good).expect("a good block");
    driver.set_head(good.payload.block_hash).expect("the head");
    driver.extend_by(&load, 0, 2);
    driver.assert_agrees(&node);
    node.stop().assert_verifies();
}

#[test]
fn fork_choices_that_contradict_themselves() {
    let (_chain, node, mut driver, load) = begin(Fork::Karst);
    driver.extend_by(&load, 0, 12);
    let (head, unknown) = (driver.head(), B256::repeat_byte(0xcd));
    let side = {
        let parent = driver.block(8);
        let attributes = driver.attributes(parent, load.block(9, 1));
        let built = driver.build(parent, &attributes).expect("a side block");
        driver.import(&built).expect("valid");
        driver.set_head(head.hash).expect("back");
        built.payload.block_hash
    };
    let ask = |head, safe, finalized| {
        let state = ForkchoiceState {
            head_block_hash: head,
            safe_block_hash: safe,
            finalized_block_hash: finalized,
        };
        node.engine.forkchoice_updated(state, None)
    };
    // No labels yet.
    for tag in ["safe", "finalized"] {
        let refused = node.rpc.refused("eth_getBlockByNumber", json!([tag, false]));
        assert_eq!((refused.code, refused.message), (-32000, format!("{tag} block not found")));
    }
    ask(unknown, B256::ZERO, B256::ZERO).expect("a status").payload_status.expect_syncing();
    let zero = ask(B256::ZERO, B256::ZERO, B256::ZERO).expect("a status");
    assert_eq!(zero.payload_status.status, "INVALID");

    let (one, two, six, nine) =
        (driver.block(1).hash, driver.block(2).hash, driver.block(6).hash, driver.block(9).hash);
    for (safe, finalized, what) in [
        (unknown, B256::ZERO, "safe block not available in database"),
        (side, B256::ZERO, "safe block not in canonical chain"),
        (B256::ZERO, unknown, "final block not available in database"),
        (B256::ZERO, side, "final block not in canonical chain"),
    ] {
        let refused = ask(head.hash, safe, finalized).expect_err(what).into_rpc();
        assert_eq!(refused.code, -38002, "{what}");
        assert_eq!(refused.data, json!({"err": what}));
        assert_eq!(refused.message, "Invalid forkchoice state");
    }

    // Forwards, backwards, and zero leaves things alone.
    for (safe, finalized, shows) in [
        (six, two, (6, 2)),
        (nine, six, (9, 6)),
        (two, one, (2, 1)),
        (B256::ZERO, B256::ZERO, (2, 1)),
        (six, B256::ZERO, (6, 1)),
    ] {
        ask(head.hash, safe, finalized).expect("a status").payload_status.expect_valid(head.hash);
        assert_eq!(node.block("safe").map(|it| it.0), Some(shows.0));
        assert_eq!(node.block("finalized").map(|it| it.0), Some(shows.1));
    }
    // Labels survive a start.
    let node = node.stop().start();
    assert_eq!(node.head(), (head.number, head.hash));
    assert_eq!(node.block("safe").map(|it| it.0), Some(6));
    assert_eq!(node.block("finalized").map(|it| it.0), Some(1));
}

#[test]
fn attributes_that_no_block_can_have() {
    let (chain, node, mut driver, load) = begin(Fork::Karst);
    driver.extend_by(&load, 0, 2);
    let head = driver.head();
    let good = driver.attributes(head, Vec::new());
    let mut account = Account::dev(8, chain.chain_id);
    account.nonce = 5;
    let too_high = account.transfer(Address::with_last_byte(1), 1);

    let changes: [(&str, Change<'_>); 10] = [
        ("timestamp of the parent", &|it| it.timestamp = head.timestamp),
        ("timestamp before the parent", &|it| it.timestamp = head.timestamp - 1),
        ("no withdrawals", &|it| it.withdrawals = None),
        ("no beacon root", &|it| it.parent_beacon_block_root = None),
        ("no gas limit", &|it| it.gas_limit = None),
        ("no EIP-1559 parameters", &|it| it.eip1559_params = None),
        ("denominator 0", &|it| it.eip1559_params = Some(B64::from([0, 0, 0, 0, 0, 0, 0, 6]))),
        ("elasticity 0", &|it| it.eip1559_params = Some(B64::from([0, 0, 0, 6, 0, 0, 0, 0]))),
        ("no minimal base fee", &|it| it.min_base_fee = None),
        ("bytes that are no transaction", &|it| it.transactions.push(Bytes::from_static(&[2, 1]))),
    ];
    let state = ForkchoiceState::head(head.hash);
    for (what, change) in changes {
        let mut attributes = good.clone();
        change(&mut attributes);
        let refused = node.engine.forkchoice_updated(state, Some(&attributes));
        let refused = refused.expect_err(what).into_rpc();
        assert_eq!(refused.code, -38003, "{what}: {refused}");
        assert_eq!(refused.message, "Invalid payload attributes", "{what}");
        assert!(refused.data["err"].is_string(), "{what}: {refused:?}");
    }
    // A forced transaction that cannot be included is known at once, in one of the two ways that
    // op-node takes as the attributes' fault.
    let mut attributes = good.clone();
    attributes.transactions.push(too_high);
    match node.engine.forkchoice_updated(state, Some(&attributes)) {
        Ok(updated) => {
            assert_eq!(updated.payload_status.status, "INVALID", "{updated:?}");
            assert_eq!(updated.payload_id, None);
        }
        Err(error) => assert_eq!(error.into_rpc().code, -38003),
    }
    // Wrong JSON is wrong parameters.
    for (field, value) in [
        ("minBaseFee", json!("0x0")),
        ("timestamp", json!("0xzz")),
        ("prevRandao", json!("0x12")),
        ("eip1559Params", json!(7)),
        ("transactions", json!("0x")),
    ] {
        let mut attributes = json!(good);
        attributes[field] = value;
        let params = json!([state, attributes]);
        let answer = node.engine.rpc.try_call::<Value>("engine_forkchoiceUpdatedV3", params);
        assert_eq!(answer.expect_err(field).into_rpc().code, -32602, "{field}");
    }
    let mut short = json!(good);
    short["eip1559Params"] = json!("0x0000000800");
    let refused = node.engine.rpc.refused("engine_forkchoiceUpdatedV3", json!([state, short]));
    assert_eq!(refused.code, -38003, "{refused}");

    // An unknown head goes before attributes that only a known one can judge.
    let unknown = ForkchoiceState::head(B256::repeat_byte(1));
    let updated = node.engine.forkchoice_updated(unknown, Some(&good)).expect("a status");
    updated.payload_status.expect_syncing();
    assert_eq!(updated.payload_id, None);

    // What was there before is still there, and is built on.
    assert_eq!(node.head(), (head.number, head.hash));
    driver.extend_with(&good).expect("a block");
    // Fields that nobody knows are passed over, as op-geth passes over them.
    let mut more = json!(driver.attributes(driver.head(), Vec::new()));
    more["somethingNew"] = json!(1);
    let state = ForkchoiceState::head(driver.head().hash);
    let updated: Value = node.engine.rpc.call("engine_forkchoiceUpdatedV3", json!([state, more]));
    assert_eq!(updated["payloadStatus"]["status"], "VALID");
}
