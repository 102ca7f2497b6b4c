//! A stock op-node, op-batcher and op-geth around the node: one drives it, one derives into it, and
//! one answers beside it.

mod asm;
mod compare;
mod contracts;
mod deliberate;
mod programs;
mod questions;
mod story;

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use alloy_primitives::{Address, B256, U64};
use ascribe_e2e::{
    Account, AscribeNode, Engine, Fork, ForkchoiceState, NodeOptions, Rpc, say, skip, wait_until,
};
use serde_json::{Value, json};

use crate::{
    compare::Comparison,
    programs::{CHAIN_ID, Stack, Stock},
    questions::Facts,
};

/// How long a node may take for what takes it a moment.
const PATIENCE: Duration = Duration::from_secs(60);

/// The stack around a chain of these rules, or nothing if there are no stock programs here.
fn stack(test: &str, fork: Fork, behind: u64) -> Option<Stack> {
    let stock = match Stock::find() {
        Ok(stock) => stock,
        Err(why) => {
            skip(test, &why);
            return None;
        }
    };
    let stack = Stack::new(stock, fork, behind);
    if stack.is_none() {
        skip(test, "there is no anvil");
    }
    stack
}

fn ascribe(stack: &Stack) -> AscribeNode {
    let genesis = stack.genesis();
    NodeOptions::preset(genesis.to_str().expect("a path in UTF-8"), stack.fork).start()
}

fn head(rpc: &Rpc) -> u64 {
    rpc.call::<U64>("eth_blockNumber", json!([])).to()
}

fn hash(rpc: &Rpc, number: u64) -> B256 {
    let block: Value = rpc.call("eth_getBlockByNumber", json!([U64::from(number), false]));
    serde_json::from_value(block["hash"].clone()).expect("a block")
}

/// How a node ends before it starts again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Asked,
    Killed,
}

/// op-node as sequencer builds 100 blocks on the node, each with a transaction. Then both end, and
/// go on where they were.
fn sequences(test: &str, fork: Fork, end: End) {
    const BLOCKS: u64 = 100;
    let Some(stack) = stack(test, fork, 110) else { return };
    let node = ascribe(&stack);
    stack.seal(hash(&node.rpc, 0));
    let secret = node.options.datadir().join("jwt.hex");
    let mut op_node = stack.op_node("op-node", node.engine.rpc.url(), &secret, true);

    let mut account = Account::dev(0, CHAIN_ID);
    let limit = Instant::now() + Duration::from_secs(150);
    let mut seen = None;
    let mut sent = Vec::new();
    while head(&node.rpc) < BLOCKS || sent.len() < 100 {
        assert!(op_node.process.is_running(), "op-node has ended");
        assert!(Instant::now() < limit, "{} blocks in 150 s", head(&node.rpc));
        let now = head(&node.rpc);
        if seen != Some(now) && sent.len() < 100 {
            seen = Some(now);
            let raw = account.transfer(Address::repeat_byte(sent.len() as u8), 1);
            sent.push(node.rpc.call::<B256>("eth_sendRawTransaction", json!([raw])));
        }
        std::thread::sleep(Duration::from_millis(5));
    }
    for hash in &sent {
        wait_until("a receipt", Duration::from_secs(10), || {
            let receipt: Option<Value> = node.rpc.call("eth_getTransactionReceipt", json!([hash]));
            receipt.map(|receipt| assert_eq!(receipt["status"], "0x1"))
        });
    }
    let holds = |number: u64| {
        let block: Value = node.rpc.call("eth_getBlockByNumber", json!([U64::from(number), false]));
        block["transactions"].as_array().is_some_and(|list| list.len() > 1)
    };
    let with = (1..=head(&node.rpc)).filter(|number| holds(*number)).count();
    assert!(with > 60, "only {with} blocks hold more than the L1 attributes");

    // op-node is of one mind with the node, and never had to start over.
    let unsafe_head = op_node.number("unsafe_l2");
    assert!(unsafe_head >= BLOCKS, "op-node is at {unsafe_head}");
    let log = op_node.process.output();
    // It starts with a reset of its own.
    let (_, log) = log.split_once("Sequencer sealed block").expect("it has sealed blocks");
    for trouble in ["lvl=error", "lvl=crit", "INVALID", "Engine reset", "ResetEvent"] {
        let lines: Vec<_> = log.lines().filter(|line| line.contains(trouble)).take(3).collect();
        assert!(lines.is_empty(), "op-node is in trouble: {lines:#?}");
    }
    say(&format!("{test}: {} blocks, {with} of them with transactions", head(&node.rpc)));

    op_node.process.terminate(PATIENCE);
    let hashes: Vec<B256> = (0..=head(&node.rpc)).map(|number| hash(&node.rpc, number)).collect();
    let options = node.options.clone();
    let mut node = node;
    match end {
        End::Asked => drop(node.process.terminate(PATIENCE)),
        End::Killed => node.process.kill(),
    }
    let node = options.start();
    let kept = head(&node.rpc);
    let lost = hashes.len() as u64 - 1 - kept;
    assert!(end == End::Killed || lost == 0, "{lost} blocks are gone");
    for (number, before) in hashes[..=kept as usize].iter().enumerate() {
        assert_eq!(hash(&node.rpc, number as u64), *before, "block {number} is another");
    }
    let op_node = stack.op_node("op-node-again", node.engine.rpc.url(), &secret, true);
    let goal = hashes.len() as u64 + 5;
    wait_until("five blocks more", PATIENCE, || (head(&node.rpc) >= goal).then_some(()));
    assert!(op_node.number("unsafe_l2") >= goal - 1);
    say(&format!("{test}: goes on after it ended ({end:?}), {lost} blocks built anew"));
}

#[test]
fn op_node_sequences_at_jovian() {
    sequences("op_node_sequences_at_jovian", Fork::Jovian, End::Asked);
}

#[test]
fn op_node_sequences_at_karst() {
    sequences("op_node_sequences_at_karst", Fork::Karst, End::Killed);
}

/// op-geth under a sequencer makes a chain, a batcher posts it, and another op-node derives it into
/// the node: the blocks are the same, and so is what both say.
#[test]
fn derives_op_geths_chain_and_answers_as_it_does() {
    let test = "derives_op_geths_chain_and_answers_as_it_does";
    let Some(stack) = stack(test, Fork::Jovian, 30) else { return };
    let rounds = if std::env::var_os("ASCRIBE_LONG").is_some() { 8 } else { 3 };

    let geth = stack.op_geth();
    let node = ascribe(&stack);
    let genesis = hash(&geth.rpc, 0);
    assert_eq!(genesis, hash(&node.rpc, 0), "the genesis blocks differ");
    stack.seal(genesis);
    let mut comparison = Comparison::default();
    comparison.ask(&geth.rpc, &node.rpc, &questions::of_genesis(genesis));

    let (told, top) = derive(
        test,
        &stack,
        &Side { rpc: &geth.rpc, engine: &geth.url, secret: geth.secret.clone() },
        &Side::of(&node),
        rounds,
    );

    // One fork choice for both, with three different labels.
    for engine in [&geth.engine, &node.engine] {
        set_labels(
            engine,
            hash(&geth.rpc, top),
            hash(&geth.rpc, top - 4),
            hash(&geth.rpc, top - 9),
        );
    }
    let facts = Facts::read(&geth.rpc, told);
    comparison.ask(&geth.rpc, &node.rpc, &questions::all(&facts));
    comparison.filter(&geth.rpc, &node.rpc, &questions::filters(&facts));
    comparison.post(&geth.rpc, &node.rpc, &questions::bodies());
    let nonce = |index: usize| {
        let address = Account::dev(index, CHAIN_ID).address();
        node.rpc.call::<U64>("eth_getTransactionCount", json!([address, "latest"])).to()
    };
    let nonces: Vec<u64> = (0..4).map(nonce).collect();
    let queue = questions::queue(&facts, &nonces);
    comparison.ask(&geth.rpc, &node.rpc, &queue);
    std::thread::sleep(Duration::from_secs(1));
    comparison.ask(&geth.rpc, &node.rpc, &questions::late(&nonces));
    comparison.ask(&geth.rpc, &node.rpc, &questions::replies(&queue));
    comparison.finish();
}

/// The other way round: what is built on the node is what op-geth derives.
#[test]
fn op_geth_derives_what_was_built_here() {
    let test = "op_geth_derives_what_was_built_here";
    let Some(stack) = stack(test, Fork::Jovian, 30) else { return };
    let geth = stack.op_geth();
    let node = ascribe(&stack);
    stack.seal(hash(&node.rpc, 0));
    let theirs = Side { rpc: &geth.rpc, engine: &geth.url, secret: geth.secret.clone() };
    derive(test, &stack, &Side::of(&node), &theirs, 2);
}

/// An execution client as an op-node needs it.
struct Side<'a> {
    rpc: &'a Rpc,
    engine: &'a str,
    secret: PathBuf,
}

impl<'a> Side<'a> {
    fn of(node: &'a AscribeNode) -> Self {
        let secret = node.options.datadir().join("jwt.hex");
        Self { rpc: &node.rpc, engine: node.engine.rpc.url(), secret }
    }
}

/// One op-node sequences on `from`, a batcher posts that, and another op-node derives it into `to`,
/// which then has the same blocks. Returns what happened and the head.
fn derive(
    test: &str,
    stack: &Stack,
    from: &Side<'_>,
    to: &Side<'_>,
    rounds: usize,
) -> (story::Told, u64) {
    let sequencer = stack.op_node("sequencer", from.engine, &from.secret, true);
    let mut batcher = stack.op_batcher(from.rpc, &sequencer);
    let verifier = stack.op_node("verifier", to.engine, &to.secret, false);

    let told = story::tell(from.rpc, &stack.l1.rpc, rounds);
    let last: B256 = sequencer.rpc.call("admin_stopSequencer", json!([]));
    let top = head(from.rpc);
    assert_eq!(hash(from.rpc, top), last);
    say(&format!("{test}: {top} blocks"));
    wait_until("them all to be derived", Duration::from_secs(120), || {
        assert!(batcher.is_running(), "op-batcher has ended");
        (head(to.rpc) == top && verifier.number("safe_l2") == top).then_some(())
    });
    for number in 0..=top {
        assert_eq!(hash(from.rpc, number), hash(to.rpc, number), "block {number} differs");
    }
    say(&format!("{test}: all of them derived, every hash equal"));
    (told, top)
}

fn set_labels(engine: &Engine, head: B256, safe: B256, finalized: B256) {
    let state = ForkchoiceState {
        head_block_hash: head,
        safe_block_hash: safe,
        finalized_block_hash: finalized,
    };
    let answer = engine.forkchoice_updated(state, None).expect("an answer");
    assert!(answer.payload_status.is_valid(), "{answer:?}");
}
