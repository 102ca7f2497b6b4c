//! State at any block.

use crate::node::{Node, STORE, Wallet};
use alloy_eips::{BlockId, BlockNumberOrTag, RpcBlockHash};
use alloy_primitives::{B256, U256, keccak256};
use ascribe_engine::{EngineConfig, ProviderError};

/// Of each block's state: what the wallet of the chain has, and a slot.
fn look(node: &Node, hash: B256) -> (u64, U256, U256) {
    let state = node.view.state_at(hash).unwrap();
    let wallet = Wallet::new(1).address();
    (
        state.nonce(wallet).unwrap(),
        state.balance(wallet).unwrap(),
        state.storage(STORE, U256::from(3)).unwrap(),
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn state_is_the_same_in_memory_persisted_and_historical() {
    let config =
        EngineConfig { persistence_threshold: 1_000, backpressure: 2_000, ..Default::default() };
    let memory = Node::with_config(config);
    let blocks = memory.extend(memory.genesis(), 1, 24).await;
    let disk = Node::with_config(EngineConfig {
        persistence_threshold: 0,
        memory_block_buffer: 0,
        ..Default::default()
    });
    disk.follow(&blocks).await;
    disk.persisted(24).await;
    for (index, block) in blocks.iter().enumerate() {
        let hash = block.block.hash();
        assert_eq!(look(&memory, hash), look(&disk, hash), "block {}", index + 1);
        assert_eq!(look(&memory, hash).0, index as u64 + 1);
        for node in [&memory, &disk] {
            let state = node.view.state_at(hash).unwrap();
            assert_eq!(state.state_root(), block.block.header().state_root);
            for address in [STORE, Wallet::new(1).address(), Wallet::new(500).address()] {
                let slots = [B256::ZERO, B256::with_last_byte(3)];
                let proof = state.proof(address, &slots).unwrap();
                assert_eq!(proof.account, state.trie_account(address).unwrap());
                let first = proof.proof.first().map(keccak256);
                assert_eq!(first, Some(state.state_root()));
            }
            for number in [0, index as u64, index as u64 + 1] {
                let expected = node.view.canonical_hash(number).unwrap().unwrap();
                assert_eq!(state.block_hash(number).unwrap(), expected);
            }
            assert_eq!(state.block_hash(index as u64 + 2).unwrap(), B256::ZERO);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_view_keeps_its_state() {
    let node = Node::new();
    let blocks = node.extend(node.genesis(), 1, 4).await;
    let view = node.view.state_latest().unwrap();
    let wallet = Wallet::new(1).address();
    let more = node.extend((&*blocks[3]).into(), 1, 20).await;
    node.persisted(15).await;
    assert_eq!(view.nonce(wallet).unwrap(), 4);
    assert_eq!(node.view.state_latest().unwrap().nonce(wallet).unwrap(), 24);
    assert_eq!(node.head(), more[19].block.hash());
}

#[tokio::test(flavor = "multi_thread")]
async fn created_code_is_there_in_memory_and_on_disk() {
    let node = Node::new();
    let blocks = node.extend(node.genesis(), 1, 5).await;
    let created = Wallet::new(33).address().create(4);
    let code = |node: &Node| node.view.state_latest().unwrap().code(created).unwrap();
    assert_eq!(code(&node).as_ref(), crate::node::STORE_CODE);
    let before = node.view.state_at(blocks[3].block.hash()).unwrap();
    assert!(before.code(created).unwrap().is_empty());
    // It keeps the database open.
    drop(before);
    let node = node.restart().await;
    assert_eq!(code(&node).as_ref(), crate::node::STORE_CODE);
}

#[tokio::test(flavor = "multi_thread")]
async fn ids_resolve() {
    let node = Node::new();
    let blocks = node.extend(node.genesis(), 1, 3).await;
    let side = node.extend((&*blocks[0]).into(), 2, 1).await;
    node.set_head(blocks[2].block.hash()).await;
    let resolve = |id: BlockId| node.view.resolve(id).unwrap().map(|block| block.number);
    assert_eq!(resolve(BlockNumberOrTag::Latest.into()), Some(3));
    assert_eq!(resolve(BlockNumberOrTag::Pending.into()), Some(3));
    assert_eq!(resolve(BlockNumberOrTag::Earliest.into()), Some(0));
    assert_eq!(resolve(2u64.into()), Some(2));
    assert_eq!(resolve(4u64.into()), None);
    assert_eq!(resolve(B256::repeat_byte(1).into()), None);
    let hash = side[0].block.hash();
    assert_eq!(resolve(hash.into()), Some(2));
    let canonical = RpcBlockHash { block_hash: hash, require_canonical: Some(true) };
    assert_eq!(resolve(canonical.into()), None);
    let unknown = node.view.state_at(B256::repeat_byte(1));
    assert!(matches!(unknown, Err(ProviderError::UnknownBlock(_))));
}
