//! The Engine API from outside: a consensus client builds chains, changes its mind, and sends what
//! no chain can hold.

use std::time::Duration;

use alloy_primitives::{Address, B64, B256, U256, keccak256};
use ascribe_e2e::{
    Account, AscribeNode, Attributes, Driver, Fork, ForkchoiceState, Load, NodeOptions, TestChain,
    say, wait_until,
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

#[test]
fn builds_a_chain_at_jovian_and_karst() {
    for fork in [Fork::Jovian, Fork::Karst] {
        let (chain, node, mut driver, load) = begin(fork);
        for built in driver.extend_by(&load, 0, 20) {
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
        driver.assert_agrees(&node);
        let sender = Account::dev(0, chain.chain_id).address();
        let nonce: U256 = node.rpc.call("eth_getTransactionCount", json!([sender, "latest"]));
        assert_eq!(nonce, U256::from(40));

        // Started again, it is where it was.
        let node = node.stop().start();
        driver.assert_agrees(&node);
        driver = Driver::new(&node);
        driver.extend_by(&load, 0, 3);
        driver.assert_agrees(&node);
        node.stop().assert_verifies();
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

    let trunk = author.extend_by(&load, 0, LENGTH);
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
        let branch = author.extend_by(&load, depth, depth + 1);
        author.assert_agrees(&builder);
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
        driver.assert_agrees(node);
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
        options.assert_verifies();
        let node = options.start();
        assert_eq!(node.head(), (LENGTH, tip));
    }
    say(&format!("engine: {reorgs} reorgs of depth 1 to 64"));
}

#[test]
fn blocks_that_come_before_their_parents() {
    let (chain, _author_node, mut author, load) = begin(Fork::Jovian);
    let blocks = author.extend_by(&load, 0, 6);
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
    driver.assert_agrees(&node);
    let parent = blocks[2].payload.block_hash;
    orphan.import(&node.engine).expect("a status").expect_invalid(Some(parent));
}
