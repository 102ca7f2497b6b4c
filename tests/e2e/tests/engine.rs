//! The Engine API from outside: a consensus client builds chains, changes its mind, and sends what
//! no chain can hold.

use std::time::Duration;

use alloy_consensus::TxEip1559;
use alloy_primitives::{Address, B64, B256, Bytes, TxKind, U256, keccak256};
use ascribe_e2e::{
    Account, AscribeNode, Attributes, Built, Driver, Fork, ForkchoiceState, Load, NodeOptions,
    Payload, PayloadStatus, TestChain, say, wait_until,
};
use serde_json::{Value, json};

/// Makes attributes different.
type Change<'a> = &'a dyn Fn(&mut Attributes);

/// A node of a new chain, somebody to drive it, and what to fill blocks with.
fn begin(fork: Fork) -> (TestChain, AscribeNode, Driver, Load) {
    let chain = TestChain::new(fork);
    let node = NodeOptions::new(&chain).start();
    let driver = Driver::new(&node);
    let load = Load::new(&chain, 3, 2, 4);
    (chain, node, driver, load)
}

/// Extends the head by `count` blocks of load.
fn extend(driver: &mut Driver, load: &Load, salt: u64, count: u64) -> Vec<Built> {
    (0..count)
        .map(|_| {
            let transactions = load.block(driver.head().number + 1, salt);
            driver.extend(transactions).expect("a block")
        })
        .collect()
}

/// The node and its consensus client must agree on every block.
#[track_caller]
fn assert_canonical(node: &AscribeNode, driver: &Driver) {
    assert_eq!(node.head(), (driver.head().number, driver.head().hash));
    for block in driver.canonical() {
        assert_eq!(node.canonical(block.number), Some(block.hash), "block {}", block.number);
    }
    assert_eq!(node.canonical(driver.head().number + 1), None);
}

/// The database of a stopped node must be in order.
fn assert_verifies(options: &NodeOptions) {
    let (status, output) = options.run(&["db", "verify"], &[]);
    assert!(status.success(), "db verify: {output}");
}

#[test]
fn builds_a_chain_at_jovian_and_karst() {
    for fork in [Fork::Jovian, Fork::Karst] {
        let (chain, node, mut driver, load) = begin(fork);
        for built in extend(&mut driver, &load, 0, 20) {
            let payload = &built.payload;
            assert_eq!(payload.transactions.len(), 7);
            assert_eq!(
                payload.extra_data[..],
                [1, 0, 0, 0, 250, 0, 0, 0, 6, 0, 0, 0, 0, 0, 0, 0, 0]
            );
            // Six transactions, each of the least footprint: 100 bytes at the scalar 400.
            assert!(payload.blob_gas_used >= 6 * 100 * 400, "{payload:?}");
            assert!(payload.gas_used > 6 * 21_000, "{payload:?}");
            // What was imported is what is served.
            let hash = payload.block_hash;
            let block: Value = node.rpc.call("eth_getBlockByHash", json!([hash, false]));
            assert_eq!(block["stateRoot"], json!(payload.state_root));
            assert_eq!(block["withdrawalsRoot"], json!(payload.withdrawals_root));
            let receipts: Vec<Value> = node.rpc.call("eth_getBlockReceipts", json!([hash]));
            assert_eq!(receipts.len(), 7);
            assert_eq!(receipts[0]["type"], "0x7e");
            let failed = receipts.iter().filter(|receipt| receipt["status"] == "0x0");
            let reverts = load_reverts(payload.block_number);
            assert_eq!(failed.count(), reverts, "{receipts:?}");
        }
        assert_canonical(&node, &driver);
        let sender = Account::dev(0, chain.chain_id).address();
        let nonce: U256 = node.rpc.call("eth_getTransactionCount", json!([sender, "latest"]));
        assert_eq!(nonce, U256::from(40));

        // Started again, it is where it was.
        let node = node.stop().start();
        assert_canonical(&node, &driver);
        driver = Driver::new(&node);
        extend(&mut driver, &load, 0, 3);
        assert_canonical(&node, &driver);
        assert_verifies(&node.stop());
    }
}

/// How many of a block's six load transactions revert: those of kind 5.
fn load_reverts(number: u64) -> usize {
    (0..3)
        .flat_map(|index| (0..2).map(move |turn| (index + turn + number) % 6))
        .filter(|kind| *kind == 5)
        .count()
}

#[test]
fn methods_have_one_version_at_a_time() {
    for (fork, right, wrong) in [
        (Fork::Jovian, "engine_getPayloadV4", ["engine_getPayloadV3", "engine_getPayloadV5"]),
        (Fork::Karst, "engine_getPayloadV5", ["engine_getPayloadV3", "engine_getPayloadV4"]),
    ] {
        let (_chain, node, mut driver, _) = begin(fork);
        let rpc = &node.engine.rpc;
        let head = driver.head();
        let attributes = driver.attributes(head, Vec::new());
        let id = driver.start_build(head, &attributes).expect("a job");
        for method in wrong {
            assert_eq!(rpc.refused(method, json!([id])).code, -38005, "{method} at {fork:?}");
        }
        let envelope: Value = rpc.call(right, json!([id]));
        let payload = &envelope["executionPayload"];
        let root = &envelope["parentBeaconBlockRoot"];
        assert_eq!(*root, json!(attributes.parent_beacon_block_root));
        assert_eq!(envelope["executionRequests"], json!([]));
        assert_eq!(envelope["blockValue"], "0x0");

        // Karst has no newPayload of its own.
        assert_eq!(rpc.refused("engine_newPayloadV3", json!([payload, [], root])).code, -38005);
        let v5 = rpc.refused("engine_newPayloadV5", json!([payload, [], root, []]));
        assert_eq!(v5.code, -32601);
        for (params, what) in [
            (json!([payload, [], root]), "no executionRequests"),
            (json!([payload, [], null, []]), "no beacon root"),
            (json!([payload, null, root, []]), "no versioned hashes"),
            (json!([payload]), "the payload alone"),
            (json!([]), "nothing"),
            (json!([payload, [], root, ["0x00"]]), "an empty request"),
        ] {
            let refused = rpc.refused("engine_newPayloadV4", params);
            assert_eq!(refused.code, -32602, "{what}: {refused}");
        }
        for field in ["withdrawals", "blobGasUsed", "excessBlobGas"] {
            let mut without = payload.clone();
            without.as_object_mut().expect("an object").remove(field);
            let refused = rpc.refused("engine_newPayloadV4", json!([without, [], root, []]));
            assert_eq!(refused.code, -32602, "without {field}");
        }
        let state = ForkchoiceState::head(head.hash);
        for method in ["engine_forkchoiceUpdatedV1", "engine_forkchoiceUpdatedV2"] {
            let refused = rpc.refused(method, json!([state, attributes]));
            assert!([-38005, -38003, -32602].contains(&refused.code), "{method}: {refused}");
        }
        let capabilities: Vec<String> = rpc.call("engine_exchangeCapabilities", json!([[]]));
        for method in [right, "engine_newPayloadV4", "engine_forkchoiceUpdatedV3"] {
            assert!(capabilities.iter().any(|name| name == method), "{method}");
        }
    }
}

#[test]
fn payload_ids_follow_the_attributes() {
    let (chain, node, mut driver, _) = begin(Fork::Karst);
    let head = driver.head();
    let base = driver.attributes(head, Vec::new());
    let id = driver.start_build(head, &base).expect("a job");
    assert_eq!(id[0], 3, "the version is the first byte");
    assert_eq!(driver.start_build(head, &base).expect("the same job"), id);

    let mut sender = Account::dev(0, chain.chain_id);
    let transaction = sender.transfer(Address::with_last_byte(1), 1);
    let changes: [Change<'_>; 9] = [
        &|it| it.timestamp += 1,
        &|it| it.prev_randao = B256::ZERO,
        &|it| it.suggested_fee_recipient = Address::ZERO,
        &|it| it.parent_beacon_block_root = Some(B256::ZERO),
        &|it| it.transactions.push(transaction.clone()),
        &|it| it.no_tx_pool = None,
        &|it| it.gas_limit = Some(30_000_000),
        &|it| it.eip1559_params = Some(B64::from([0, 0, 0, 8, 0, 0, 0, 2])),
        &|it| it.min_base_fee = Some(1),
    ];
    let mut ids = vec![id];
    for change in changes {
        let mut attributes = base.clone();
        change(&mut attributes);
        let id = driver.start_build(head, &attributes).expect("a job");
        assert!(!ids.contains(&id), "{attributes:?}");
        let built = driver.finish_build(id).expect("a payload");
        assert_eq!(built.payload.timestamp, attributes.timestamp);
        assert_eq!(Some(built.payload.gas_limit), attributes.gas_limit);
        driver.import(&built).expect("our own block is valid");
        ids.push(id);
    }
    // What never was, and what has the wrong length.
    let unknown = node.engine.get_payload(B64::repeat_byte(0xab)).expect_err("unknown").into_rpc();
    assert_eq!((unknown.code, unknown.message.as_str()), (-38001, "Unknown payload"));
    assert_eq!(node.engine.rpc.refused("engine_getPayloadV5", json!(["0x0102"])).code, -32602);
}

#[test]
fn the_pool_fills_what_it_may_fill() {
    let (chain, node, mut driver, _) = begin(Fork::Karst);
    let mut sender = Account::dev(4, chain.chain_id);
    let sent: Vec<B256> = (0..5)
        .map(|_| {
            let raw = sender.transfer(Address::with_last_byte(9), 5);
            node.rpc.call("eth_sendRawTransaction", json!([raw]))
        })
        .collect();
    let empty = driver.extend(Vec::new()).expect("without the pool");
    assert_eq!(empty.payload.transactions.len(), 1);
    let full = driver.extend_from_pool().expect("with the pool");
    let hashes: Vec<B256> = full.payload.transactions[1..].iter().map(keccak256).collect();
    assert_eq!(hashes, sent);
    // The pool follows the head a moment later.
    wait_until("an empty pool", Duration::from_secs(10), || {
        let status: Value = node.rpc.call("txpool_status", json!([]));
        (status == json!({"pending": "0x0", "queued": "0x0"})).then_some(())
    });

    // Taken off the chain, they are back in the pool.
    driver.set_head(empty.payload.block_hash).expect("back");
    let again = driver.extend_from_pool().expect("with the pool again");
    assert_eq!(again.payload.transactions, full.payload.transactions);
}

/// Reorgs of every depth from 1 to 64, on three nodes: one that builds the branches, one whose
/// chain is on disk but for its last blocks, and one that has it in memory.
#[test]
fn reorgs_of_depth_1_to_64() {
    const LENGTH: u64 = 70;
    let (chain, builder, mut author, load) = begin(Fork::Karst);
    let on_disk = NodeOptions::new(&chain).start();
    let flags =
        ["--engine.persistence-threshold", "500", "--engine.persistence-backpressure", "900"];
    let in_memory = NodeOptions::new(&chain).with(&flags).start();
    let mut followers = [Driver::new(&on_disk), Driver::new(&in_memory)];

    let trunk = extend(&mut author, &load, 0, LENGTH);
    for follower in &mut followers {
        for built in &trunk {
            follower.import(built).expect("imported");
            follower.set_head(built.payload.block_hash).expect("the head");
        }
    }
    let tip = trunk.last().expect("a tip").payload.block_hash;
    let long = std::env::var_os("ASCRIBE_LONG").is_some();
    let depths = (1..=64).filter(|depth| long || *depth <= 17 || depth % 8 == 0);
    let mut reorgs = 0;
    for depth in depths {
        // The author rewinds to the fork and builds a branch one block longer; others see blocks
        // of a side chain, then the choice.
        let fork = author.block(LENGTH - depth);
        author.set_head(fork.hash).expect("rewound");
        let branch = extend(&mut author, &load, depth, depth + 1);
        assert_canonical(&builder, &author);
        for follower in &mut followers {
            for built in &branch {
                follower.import(built).expect("a side chain");
            }
            let side = branch.last().expect("a tip").payload.block_hash;
            // There, back, to the middle of the branch, and back.
            let middle = branch[branch.len() / 2].payload.block_hash;
            for head in [side, tip, middle, tip] {
                follower.set_head(head).expect("a reorg");
                reorgs += 1;
            }
        }
        author.set_head(tip).expect("back");
    }
    for (node, driver) in
        [(&builder, &author), (&on_disk, &followers[0]), (&in_memory, &followers[1])]
    {
        assert_canonical(node, driver);
    }
    let persisted = |node: &AscribeNode| node.metric("ascribe_storage_persisted_block");
    assert!(persisted(&on_disk).is_some_and(|number| number >= 60.0), "{:?}", persisted(&on_disk));
    assert!(
        persisted(&in_memory).is_none_or(|number| number == 0.0),
        "{:?}",
        persisted(&in_memory)
    );
    for node in [builder, on_disk, in_memory] {
        let options = node.stop();
        assert_verifies(&options);
        let node = options.start();
        assert_eq!(node.head(), (LENGTH, tip));
    }
    say(&format!("engine: {reorgs} reorgs of depth 1 to 64"));
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
    extend(&mut driver, &load, 0, 3);
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
    extend(&mut driver, &load, 0, 2);
    assert_canonical(&node, &driver);
    assert_verifies(&node.stop());
}

#[test]
fn blocks_that_come_before_their_parents() {
    let (chain, _author_node, mut author, load) = begin(Fork::Jovian);
    let blocks = extend(&mut author, &load, 0, 6);
    let node = NodeOptions::new(&chain).start();
    let mut driver = Driver::new(&node);
    // In reverse order nothing can be judged until the first comes.
    for built in blocks[1..].iter().rev() {
        built.import(&node.engine).expect("a status").expect_syncing();
        let state = ForkchoiceState::head(built.payload.block_hash);
        let updated = node.engine.forkchoice_updated(state, None).expect("a status");
        updated.payload_status.expect_syncing();
    }
    assert_eq!(node.head().0, 0);
    // A block that hangs in the air, and is bad.
    let orphan = blocks[3].bent(|it| it.state_root = B256::ZERO);
    orphan.import(&node.engine).expect("a status").expect_syncing();
    for built in &blocks {
        driver.import(built).expect("all valid now");
    }
    driver.set_head(blocks[5].payload.block_hash).expect("the head");
    assert_canonical(&node, &driver);
    let parent = blocks[2].payload.block_hash;
    orphan.import(&node.engine).expect("a status").expect_invalid(Some(parent));
}

#[test]
fn fork_choices_that_contradict_themselves() {
    let (_chain, node, mut driver, load) = begin(Fork::Karst);
    extend(&mut driver, &load, 0, 12);
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
    extend(&mut driver, &load, 0, 2);
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
