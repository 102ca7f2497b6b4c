//! Reorgs of every depth, above and below the persisted block.

use crate::node::{BuiltOrGenesis, Node};
use alloy_primitives::{B256, U256};
use ascribe_engine::{BuiltPayload, EngineConfig};
use std::sync::Arc;

fn in_memory() -> EngineConfig {
    EngineConfig { persistence_threshold: 1_000, backpressure: 2_000, ..EngineConfig::default() }
}

fn at_once() -> EngineConfig {
    EngineConfig { persistence_threshold: 0, memory_block_buffer: 0, ..EngineConfig::default() }
}

/// Two chains that part after one common block.
async fn two_chains(length: u64) -> (Vec<Arc<BuiltPayload>>, Vec<Arc<BuiltPayload>>) {
    let maker = Node::with_config(in_memory());
    let a = maker.extend(maker.genesis(), 1, length + 1).await;
    let b = maker.extend(BuiltOrGenesis::from(&*a[0]), 2, length + 1).await;
    (a, b)
}

/// From block `depth` of chain A over to a branch of the same length, back, and over again.
async fn reorg(node: &Node, depth: usize, a: &[Arc<BuiltPayload>], b: &[Arc<BuiltPayload>]) {
    let (end_a, end_b) = (a[depth].block.hash(), b[depth].block.hash());
    node.set_head(end_a).await;
    let mut updates = node.view.subscribe();
    for block in &b[..=depth] {
        node.import(block).await;
    }
    assert_eq!(node.head(), end_a, "a payload alone moves nothing");
    node.set_head(end_b).await;
    node.check();
    let update = updates.recv().await.unwrap();
    let hashes = |blocks: &[ascribe_engine::CanonBlock]| -> Vec<B256> {
        blocks.iter().map(|block| block.block.hash()).collect()
    };
    let expected = |blocks: &[Arc<BuiltPayload>]| -> Vec<B256> {
        blocks.iter().map(|payload| payload.block.hash()).collect()
    };
    assert_eq!(hashes(&update.old), expected(&a[1..=depth]));
    assert_eq!(hashes(&update.new), expected(&b[..=depth]));
    assert_eq!(update.head.hash(), end_b);

    for head in [end_a, end_b, end_a] {
        node.set_head(head).await;
        node.check();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reorgs_above_the_persisted_block() {
    let (a, b) = two_chains(64).await;
    let node = Node::with_config(in_memory());
    node.follow(&a).await;
    for depth in [1, 2, 3, 7, 16, 33, 64] {
        reorg(&node, depth, &a, &b).await;
    }
    assert_eq!(node.view.persisted().number, 0);
    // Each block was executed once, however often the head went to and fro.
    assert_eq!(node.handle.stats().blocks_imported, 65 + 65);
}

#[tokio::test(flavor = "multi_thread")]
async fn reorgs_below_the_persisted_block() {
    let (a, b) = two_chains(64).await;
    for depth in [1usize, 2, 5, 17, 64] {
        let node = Node::with_config(at_once());
        node.follow(&a[..=depth]).await;
        node.persisted(depth as u64 + 1).await;
        reorg(&node, depth, &a, &b).await;
        let end = a[depth].block.hash();
        node.persisted(depth as u64 + 1).await;
        let node = node.restart().await;
        assert_eq!(node.head(), end);
        node.check();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn reorgs_across_the_persisted_block() {
    let (a, b) = two_chains(40).await;
    let node = Node::new();
    node.follow(&a).await;
    assert!(node.view.persisted().number >= 20);
    for depth in [40, 3, 12, 39] {
        reorg(&node, depth, &a, &b).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn rewinds_below_the_persisted_block() {
    let node = Node::with_config(at_once());
    let blocks = node.extend(node.genesis(), 1, 20).await;
    node.persisted(20).await;
    for number in [19usize, 12, 3, 1] {
        node.set_head(blocks[number - 1].block.hash()).await;
        assert_eq!(node.view.persisted().number, number as u64);
        node.check();
    }
    // Up again over blocks that were taken off the disk: they are executed once more.
    node.set_head(blocks[19].block.hash()).await;
    node.check();
    node.set_head(node.genesis().hash).await;
    assert_eq!(node.view.head().number, 0);
    let other = node.extend(node.genesis(), 3, 3).await;
    assert_eq!(node.head(), other[2].block.hash());
    node.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn state_follows_the_head_over_reorgs() {
    let node = Node::new();
    let word = |node: &Node, slot: u64| {
        let state = node.view.state_latest().unwrap();
        state.storage(crate::node::STORE, U256::from(slot)).unwrap()
    };
    let a = node.extend(node.genesis(), 1, 12).await;
    let b = node.extend(BuiltOrGenesis::from(&*a[3]), 2, 3).await;
    // Slot 6 is written with nonce 6: B does not come so far.
    node.set_head(a[11].block.hash()).await;
    assert_eq!(word(&node, 6), U256::from(1_006));
    node.set_head(a[3].block.hash()).await;
    assert_eq!(word(&node, 6), U256::ZERO);
    node.set_head(b[2].block.hash()).await;
    assert_eq!(word(&node, 6), U256::ZERO);
    node.set_head(a[11].block.hash()).await;
    assert_eq!(word(&node, 6), U256::from(1_006));
}
