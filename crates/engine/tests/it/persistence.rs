//! What reaches the disk, and when.

use crate::node::{BuiltOrGenesis, Node, spec};
use alloy_primitives::B256;
use ascribe_engine::EngineConfig;
use tempfile::TempDir;

#[tokio::test(flavor = "multi_thread")]
async fn blocks_are_persisted_above_the_threshold_and_a_few_stay() {
    let (maker, node) = (Node::new(), Node::new());
    let blocks = maker.extend(maker.genesis(), 1, 40).await;
    node.follow(&blocks[..7]).await;
    assert_eq!(node.view.persisted().number, 0);
    node.follow(&blocks[7..]).await;
    // Above seven, all but five.
    node.persisted(33).await;
    let persisted = node.view.persisted();
    assert!(persisted.number <= 35, "{persisted:?}");
    assert_eq!(node.view.canonical_hash(persisted.number).unwrap(), Some(persisted.hash));
    assert!(node.handle.stats().blocks_persisted >= 33);
    node.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_in_memory_are_bounded() {
    let config = EngineConfig {
        persistence_threshold: 2,
        memory_block_buffer: 1,
        backpressure: 3,
        ..EngineConfig::default()
    };
    let (maker, node) = (Node::new(), Node::with_config(config));
    let blocks = maker.extend(maker.genesis(), 1, 30).await;
    for block in &blocks {
        node.import(block).await;
        node.set_head(block.block.hash()).await;
        let head = node.view.head().number;
        assert!(head - node.view.persisted().number <= 3, "head {head}");
    }
    node.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_flushes_and_a_start_goes_on() {
    let node = Node::new();
    let mut parent = node.genesis();
    let mut node = node;
    for round in 1..=3 {
        let blocks = node.extend(parent, 1, 9).await;
        parent = BuiltOrGenesis::from(&**blocks.last().unwrap());
        node = node.restart().await;
        assert_eq!(node.head(), parent.hash);
        assert_eq!(node.view.persisted().number, 9 * round);
        node.check();
    }
    assert!(node.handle.shutdown().await.is_ok());
    assert!(node.handle.shutdown().await.is_err(), "it is stopped already");
    assert!(node.update(parent.hash, B256::ZERO, B256::ZERO).await.is_err());
}

#[tokio::test(flavor = "multi_thread")]
async fn dropping_every_handle_flushes() {
    let dir = TempDir::new().unwrap();
    let node = Node::open(dir.path(), spec(), EngineConfig::default());
    let blocks = node.extend(node.genesis(), 1, 3).await;
    let mut persisted = node.view.subscribe_persisted();
    let Node { handle, .. } = node;
    drop(handle);
    persisted.wait_for(|head| head.number == 3).await.unwrap();
    assert_eq!(persisted.borrow().hash, blocks[2].block.hash());
}
