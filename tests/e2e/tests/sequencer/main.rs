//! A node that sequences on a real L1: anvil.

mod op_node;
mod rig;

use std::{
    thread::sleep,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy_primitives::{Address, B256, U256, keccak256};
use ascribe_e2e::{Account, Anvil, skip, wait_until};
use rig::{BLOCK_TIME, Block, L2_CHAIN, PATIENCE, PORTAL, Rig, Sequencing, quantity};
use serde_json::{Value, json};

/// A rig, or nothing and a line that says so.
fn rig(test: &str, anvil: &[&str]) -> Option<Rig> {
    let rig = Rig::new(anvil);
    if rig.is_none() {
        skip(test, "there is no anvil");
    }
    rig
}

/// The rules that hold for every chain, whatever the L1 did.
fn check(rig: &Rig, chain: &[Block]) {
    for pair in chain.windows(2) {
        let (parent, block) = (&pair[0], &pair[1]);
        assert_eq!(block.parent, parent.hash);
        assert_eq!(block.timestamp, parent.timestamp + BLOCK_TIME);
        match block.l1_number - parent.l1_number {
            0 => {
                assert_eq!(block.l1_hash, parent.l1_hash);
                assert_eq!(block.sequence_number, parent.sequence_number + 1);
            }
            1 => assert_eq!(block.sequence_number, 0),
            more => panic!("{more} L1 blocks are left out after {parent:?}"),
        }
    }
    for block in chain {
        assert!(block.l1_time <= block.timestamp, "{block:?}");
        let (_, hash) = rig.l1_block(&format!("{:#x}", block.l1_number));
        assert_eq!(block.l1_hash, hash, "the origin of {} is canonical", block.number);
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs()
}

#[test]
fn blocks_follow_the_l1() {
    let Some(rig) = rig("blocks_follow_the_l1", &[]) else { return };
    let it = rig.sequence(&[]);
    it.head_until("the clock", |head| head.timestamp + 2 >= now());
    it.advance(5);
    let chain = it.chain();
    check(&rig, &chain);
    let head = it.head();
    assert!(head.timestamp.abs_diff(now()) <= 5, "on time: {head:?}");
    assert!(head.l1_number + 6 >= rig.l1_block("latest").0, "close to the L1: {head:?}");

    // What op-node would answer.
    let status = wait_until("a finalized L1 block", PATIENCE, || {
        let status: Value = it.rollup.call("optimism_syncStatus", json!([]));
        (status["finalized_l1"]["number"].as_u64()? > 0).then_some(status)
    });
    assert!(status["unsafe_l2"]["number"].as_u64() >= Some(head.number), "{status}");
    assert!(status["head_l1"]["number"].as_u64() >= Some(head.l1_number), "{status}");
    assert_eq!(status["current_l1_finalized"], status["finalized_l1"]);
    assert_eq!(status["safe_l2"]["number"], 0);
    assert_eq!(status["local_safe_l2"]["hash"], rig.rollup_config["genesis"]["l2"]["hash"]);
    assert_eq!(it.rollup.call::<Value>("optimism_rollupConfig", json!([])), rig.rollup_config);
    let version: String = it.rollup.call("optimism_version", json!([]));
    assert!(version.starts_with('v'), "{version}");

    let third = &chain[2];
    let output: Value = it.rollup.call("optimism_outputAtBlock", json!(["0x3"]));
    let block: Value = it.node.rpc.call("eth_getBlockByNumber", json!(["0x3", false]));
    let word = |value: &Value| -> B256 { serde_json::from_value(value.clone()).expect("a word") };
    let parts =
        [B256::ZERO, word(&block["stateRoot"]), word(&block["withdrawalsRoot"]), third.hash];
    assert_eq!(word(&output["outputRoot"]), keccak256(parts.concat()));
    assert_eq!(output["blockRef"]["l1origin"]["hash"], json!(third.l1_hash));
    assert_eq!(output["blockRef"]["sequenceNumber"], third.sequence_number);
    let proof = json!(["0x4200000000000000000000000000000000000016", [], "0x3"]);
    let proof: Value = it.node.rpc.call("eth_getProof", proof);
    assert_eq!(output["withdrawalStorageRoot"], proof["storageHash"]);
    let error = it.rollup.try_call::<Value>("optimism_outputAtBlock", json!(["0xffffff"]));
    let error = error.expect_err("there is no such block").into_rpc();
    assert_eq!(
        error.message,
        "failed to get L2 block ref with sync status: failed to determine L2BlockRef of height \
         16777215, could not get payload: not found"
    );
    it.node.stop();
}

#[test]
fn deposits_and_config_updates_arrive() {
    let Some(rig) = rig("deposits_and_config_updates_arrive", &[]) else { return };
    let it = rig.sequence(&[]);
    let (to, wei) = (Address::repeat_byte(0xd0), U256::from(123_456_789));
    let receipt = rig.deposit(to, wei);
    let origin = quantity(&receipt["blockNumber"]);
    let head = it.head_until("the deposit's epoch", |head| head.l1_number >= origin);
    let balance: U256 = it.node.rpc.call("eth_getBalance", json!([to, "latest"]));
    assert_eq!(balance, wei);
    let chain = it.chain();
    let first = chain.iter().find(|block| block.l1_number == origin).expect("no epoch is left out");
    let [_, deposit] = &first.transactions[..] else { panic!("{first:?}") };
    assert_eq!(deposit["type"], "0x7e");
    assert_eq!(first.sequence_number, 0);
    // keccak(0 ‖ keccak(L1 hash ‖ log index))
    let log = quantity(&receipt["logs"][0]["logIndex"]);
    let inner = keccak256([first.l1_hash, U256::from(log).into()].concat());
    let source = keccak256([B256::ZERO, inner].concat());
    assert_eq!(deposit["sourceHash"], json!(source));
    assert_eq!(head.gas_limit, 60_000_000);

    // A new gas limit, EIP-1559 parameters and batcher, from the first block of their epochs on.
    let receipts = [
        rig.update_config(2, U256::from(40_000_000).into()),
        rig.update_config(4, U256::from((100_u64 << 32) | 4).into()),
        rig.update_config(0, Account::dev(7, 1).address().into_word()),
        // One that is malformed is skipped.
        rig.log(
            rig::SYSTEM_CONFIG,
            &[keccak256("ConfigUpdate(uint256,uint8,bytes)"), B256::ZERO, U256::from(2).into()],
            &[1],
        ),
    ];
    let epochs = receipts.map(|receipt| quantity(&receipt["blockNumber"]));
    it.head_until("the updates' epochs", |head| head.l1_number > epochs[3]);
    for block in it.chain() {
        let since = |epoch: usize| block.l1_number >= epochs[epoch];
        assert_eq!(block.gas_limit, if since(0) { 40_000_000 } else { 60_000_000 }, "{block:?}");
        let params: [u8; 8] =
            if since(1) { [0, 0, 0, 100, 0, 0, 0, 4] } else { [0, 0, 0, 250, 0, 0, 0, 6] };
        assert_eq!(block.extra_data[1..9], params, "{block:?}");
        let batcher = Account::dev(if since(2) { 7 } else { 1 }, 1).address().into_word();
        assert_eq!(block.batcher, batcher, "{block:?}");
    }
    check(&rig, &it.chain());
    it.node.stop();
}

#[test]
fn operators_stop_and_start_it() {
    let Some(rig) = rig("operators_stop_and_start_it", &[]) else { return };
    let it = rig.sequence(&["--sequencer.stopped"]);
    let active = |it: &Sequencing| it.rollup.call::<bool>("admin_sequencerActive", json!([]));
    let refused = |method: &str, params: Value| {
        let error = it.rollup.try_call::<Value>(method, params).expect_err("refused").into_rpc();
        assert_eq!(error.code, -32000);
        error.message
    };
    sleep(Duration::from_secs(2));
    assert_eq!(it.head().number, 0);
    assert!(!active(&it));
    assert_eq!(refused("admin_stopSequencer", json!([])), "sequencer not running");
    let (genesis, other) = (it.head().hash, B256::repeat_byte(1));
    assert_eq!(
        refused("admin_startSequencer", json!([other])),
        format!("block hash does not match: head {genesis}:0, received {other}")
    );
    it.rollup.call::<Value>("admin_startSequencer", json!([genesis]));
    assert!(active(&it));
    assert_eq!(refused("admin_startSequencer", json!([genesis])), "sequencer already running");
    it.advance(3);
    let stopped: B256 = it.rollup.call("admin_stopSequencer", json!([]));
    assert_eq!(it.head().hash, stopped);
    sleep(Duration::from_secs(3));
    assert_eq!(it.head().hash, stopped, "no block comes any more");
    assert!(!active(&it));
    it.rollup.call::<Value>("admin_startSequencer", json!([stopped]));
    it.advance(5);

    // In recover mode transactions wait.
    it.rollup.call::<Value>("admin_setRecoverMode", json!([true]));
    it.advance(2);
    let tx = Account::dev(2, L2_CHAIN).transfer(Address::repeat_byte(9), 1);
    let tx: B256 = it.node.rpc.call("eth_sendRawTransaction", json!([tx]));
    it.advance(3);
    let receipt =
        |it: &Sequencing| -> Value { it.node.rpc.call("eth_getTransactionReceipt", json!([tx])) };
    assert!(receipt(&it).is_null());
    it.rollup.call::<Value>("admin_setRecoverMode", json!([false]));
    wait_until("the receipt", PATIENCE, || Some(receipt(&it)).filter(|it| !it.is_null()));
    assert!(it.rollup.call::<Value>("admin_setLogLevel", json!(["debug"])).is_null());
    check(&rig, &it.chain());
    it.node.stop();
}

#[test]
fn an_l1_that_hangs_or_restarts_is_survived() {
    let folder = ascribe_e2e::Folder::new();
    let state = folder.join("state.json");
    let state = state.to_str().expect("a path in UTF-8");
    let anvil = ["--state", state];
    let Some(mut rig) = rig("an_l1_that_hangs_or_restarts_is_survived", &anvil) else { return };
    let it = rig.sequence(&[]);
    it.head_until("an origin", |head| head.l1_number >= 2);

    rig.l1.process.signal("STOP");
    sleep(Duration::from_secs(1));
    let before = it.head();
    let during = it.advance(6);
    assert!(during.timestamp.abs_diff(now()) <= 5, "blocks stay on time: {during:?}");
    assert!(during.l1_number <= before.l1_number + 1, "on the origins that are known");
    rig.l1.process.signal("CONT");
    it.head_until("newer origins", |head| head.l1_number > during.l1_number + 2);

    // Down for a while, and back with the same chain.
    let port = rig.l1.port();
    rig.l1.process.terminate(PATIENCE);
    let during = it.advance(4);
    let id = rig::L1_CHAIN.to_string();
    let args =
        ["--block-time", "1", "--slots-in-an-epoch", "2", "--chain-id", &id, "--state", state];
    rig.l1 = Anvil::start_on(port, &args).expect("it was there before");
    it.head_until("newer origins", |head| head.l1_number > during.l1_number + 2);
    check(&rig, &it.chain());

    // A node that starts again goes on where it was.
    let options = it.node.stop();
    let it = Sequencing { node: options.start(), rollup: it.rollup };
    let head = it.advance(3);
    assert!(head.number > during.number);
    check(&rig, &it.chain());
    it.node.stop();
}

#[test]
fn an_l1_reorg_takes_l2_blocks_with_it() {
    let Some(rig) = rig("an_l1_reorg_takes_l2_blocks_with_it", &[]) else { return };
    let it = rig.sequence(&[]);
    it.head_until("origins", |head| head.l1_number >= 6);
    let to = Address::repeat_byte(0xd1);
    let receipt = rig.deposit(to, U256::from(5));
    let epoch = quantity(&receipt["blockNumber"]);
    let gone = it.head_until("the deposit", |head| head.l1_number >= epoch);
    let balance = || it.node.rpc.call::<U256>("eth_getBalance", json!([to, "latest"]));
    assert_eq!(balance(), U256::from(5));

    let depth = rig.l1_block("latest").0 - epoch + 2;
    rig.l1.rpc.call::<Value>("anvil_reorg", json!([depth, []]));
    wait_until("another chain", PATIENCE, || {
        let at = it.block(&format!("{:#x}", gone.number))?;
        (at.hash != gone.hash && at.l1_hash != gone.l1_hash).then_some(())
    });
    it.head_until("newer origins", |head| head.l1_number > epoch + 2);
    check(&rig, &it.chain());
    it.node.stop();
}

#[test]
fn what_does_not_fit_together_is_refused() {
    let Some(rig) = rig("what_does_not_fit_together_is_refused", &[]) else { return };
    let refused = |change: &dyn Fn(&mut Value), message: &str| {
        let file = rig.other_config(|config| change(config));
        let mut other = rig.options.clone();
        let at = other.args.iter().position(|arg| arg == "--rollup.config").expect("given");
        other.args[at + 1] = file;
        let (status, printed) = other.try_start().expect_err("refused");
        assert_eq!(status.code(), Some(1), "{printed}");
        assert!(printed.contains(message), "{message:?} in {printed}");
    };
    let hash = B256::repeat_byte(7);
    refused(&|it| it["genesis"]["l2"]["hash"] = json!(hash), "rollup config has genesis hash");
    refused(&|it| it["l2_chain_id"] = json!(77), "rollup config has chain id 77");
    refused(&|it| it["karst_time"] = Value::Null, "rollup config has Karst never");
    refused(&|it| it["block_time"] = json!(0), "block time cannot be 0");
    refused(&|it| it["l1_chain_id"] = json!(1), "L1 endpoint has chain id 900");
    refused(&|it| it["genesis"]["l1"]["hash"] = json!(hash), "L1 genesis block");

    let alone = |args: &[&str], message: &str| {
        let node = ascribe_e2e::NodeOptions::preset(&rig.options.chain, ascribe_e2e::Fork::Karst);
        let (status, printed) = node.with(args).try_start().expect_err("refused");
        assert_eq!(status.code(), Some(1), "{printed}");
        assert!(printed.contains(message), "{message:?} in {printed}");
    };
    let url = rig.l1.http();
    alone(&["--sequencer.enabled"], "--sequencer.enabled needs --l1");
    alone(&["--rpc.enable-admin"], "--rpc.enable-admin needs --l1");
    alone(&["--l1", &url], "--l1 needs --rollup.config");
    alone(&["--rollup.config", "rollup.json"], "--rollup.config needs --l1");
    alone(&["--l1", &url, "--rollup.config", "/nowhere.json"], "cannot read /nowhere.json");
}

#[test]
fn a_fatal_error_ends_the_node() {
    let Some(rig) = rig("a_fatal_error_ends_the_node", &[]) else { return };
    let mut it = rig.sequence(&[]);
    it.advance(2);
    // A deposit that cannot be decoded: no block can leave it out, and none can hold it.
    let event = keccak256("TransactionDeposited(address,address,uint256,bytes)");
    rig.log(PORTAL, &[event, B256::ZERO, B256::ZERO, B256::ZERO], &[1]);
    let status = it.node.process.wait(PATIENCE);
    assert_eq!(status.code(), Some(1));
    let printed = it.node.process.output();
    assert!(printed.contains("failed to derive some deposits"), "{printed}");
    assert!(printed.contains("Node stopped"), "everything was written first: {printed}");
}
