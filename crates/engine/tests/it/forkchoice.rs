//! Heads, labels, and what is refused.

use crate::node::{BuiltOrGenesis, Node, attributes};
use alloy_eips::{BlockNumHash, BlockNumberOrTag};
use alloy_primitives::{B64, B256};
use alloy_rpc_types_engine::{ForkchoiceState, PayloadStatusEnum};
use op_alloy_rpc_types_engine::OpPayloadAttributes;

#[tokio::test(flavor = "multi_thread")]
async fn labels_are_set_move_back_and_survive() {
    let node = Node::new();
    let blocks = node.extend(node.genesis(), 1, 6).await;
    let at = |number: u64| {
        let hash = match number {
            0 => node.genesis().hash,
            _ => blocks[number as usize - 1].block.hash(),
        };
        BlockNumHash { number, hash }
    };
    assert_eq!((node.view.safe(), node.view.finalized()), (None, None));
    assert_eq!(node.view.resolve(BlockNumberOrTag::Safe).unwrap(), None);

    for (safe, finalized) in [(4, 2), (5, 3), (1, 0), (3, 3)] {
        node.update(at(6).hash, at(safe).hash, at(finalized).hash).await.unwrap();
        assert_eq!(node.view.safe(), Some(at(safe)));
        assert_eq!(node.view.finalized(), Some(at(finalized)));
        assert_eq!(node.view.resolve(BlockNumberOrTag::Safe).unwrap(), Some(at(safe)));
    }
    // Zero leaves them as they are.
    node.update(at(6).hash, B256::ZERO, B256::ZERO).await.unwrap();
    assert_eq!(node.view.safe(), Some(at(3)));
    let (three, six) = (at(3), at(6));

    let node = node.restart().await;
    assert_eq!(node.head(), six.hash);
    assert_eq!((node.view.safe(), node.view.finalized()), (Some(three), Some(three)));
    node.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_rewind_below_the_labels_takes_them_down() {
    let node = Node::new();
    let blocks = node.extend(node.genesis(), 1, 6).await;
    let hash = |number: usize| blocks[number - 1].block.hash();
    node.update(hash(6), hash(5), hash(4)).await.unwrap();
    node.set_head(hash(2)).await;
    let two = Some(BlockNumHash { number: 2, hash: hash(2) });
    assert_eq!((node.view.safe(), node.view.finalized()), (two, two));
}

#[tokio::test(flavor = "multi_thread")]
async fn labels_off_the_chain_are_refused_after_the_head_moved() {
    let node = Node::new();
    let blocks = node.extend(node.genesis(), 1, 3).await;
    let one = BuiltOrGenesis::from(&*blocks[0]);
    let side = node.extend(one, 2, 2).await;
    let (head, off) = (blocks[2].block.hash(), side[0].block.hash());
    let unknown = B256::repeat_byte(9);
    let cases = [
        (unknown, B256::ZERO, "safe block not available in database"),
        (off, B256::ZERO, "safe block not in canonical chain"),
        (B256::ZERO, unknown, "final block not available in database"),
        (B256::ZERO, off, "final block not in canonical chain"),
        // Finalized is looked at first.
        (off, unknown, "final block not available in database"),
    ];
    for (safe, finalized, expected) in cases {
        node.set_head(side[1].block.hash()).await;
        let error = node.update(head, safe, finalized).await.unwrap_err();
        assert_eq!(
            (error.code(), error.to_string().as_str()),
            (-38002, "Invalid forkchoice state")
        );
        assert_eq!(error.reason().as_deref(), Some(expected));
        assert_eq!(node.head(), head);
    }
    // Finalized stays set when safe is refused after it.
    node.update(head, unknown, one.hash).await.unwrap_err();
    assert_eq!(node.view.finalized().map(|block| block.hash), Some(one.hash));
}

#[tokio::test(flavor = "multi_thread")]
async fn unknown_and_zero_heads() {
    let node = Node::new();
    let updated = node.update(B256::repeat_byte(1), B256::ZERO, B256::ZERO).await.unwrap();
    assert_eq!(updated.payload_status.status, PayloadStatusEnum::Syncing);
    assert_eq!(updated.payload_status.latest_valid_hash, None);
    let updated = node.update(B256::ZERO, B256::ZERO, B256::ZERO).await.unwrap();
    assert!(updated.payload_status.is_invalid());

    // With attributes as well, if these are good by themselves.
    let genesis = node.genesis();
    let state = ForkchoiceState { head_block_hash: B256::repeat_byte(1), ..Default::default() };
    let good = attributes(&genesis, 1, vec![]);
    let updated = node.handle.forkchoice_updated(state, Some(good.clone())).await.unwrap();
    assert_eq!(updated.payload_status.status, PayloadStatusEnum::Syncing);
    assert_eq!(updated.payload_id, None);
    let bad = OpPayloadAttributes { gas_limit: None, ..good };
    let error = node.handle.forkchoice_updated(state, Some(bad)).await.unwrap_err();
    assert_eq!(error.code(), -38003);
}

#[tokio::test(flavor = "multi_thread")]
async fn bad_attributes_are_refused_with_their_reason() {
    let node = Node::new();
    let genesis = node.genesis();
    let good = || attributes(&genesis, 1, vec![]);
    type Change = fn(&mut OpPayloadAttributes);
    let cases: [(Change, &str); 13] = [
        (|a| a.gas_limit = None, "gasLimit parameter is required"),
        (|a| a.gas_limit = Some(1 << 63), "invalid gasLimit"),
        (|a| a.payload_attributes.withdrawals = None, "non-empty or nil withdrawals post-canyon"),
        (|a| a.payload_attributes.withdrawals = Some(vec![Default::default()]), "withdrawals"),
        (|a| a.payload_attributes.parent_beacon_block_root = None, "missing beacon root"),
        (|a| a.eip_1559_params = None, "holocene eip-1559 params should be 8 bytes, got 0"),
        (|a| a.eip_1559_params = Some(B64::from(1u64 << 32)), "0 elasticity"),
        (|a| a.eip_1559_params = Some(B64::from(1u64)), "0 denominator"),
        (|a| a.min_base_fee = None, "nil minBaseFee post-Jovian"),
        (|a| a.payload_attributes.timestamp = 1_000, "invalid timestamp, parent 1000 given 1000"),
        (
            |a| a.transactions.as_mut().unwrap().push(vec![2, 1].into()),
            "transaction 1 is not valid",
        ),
        (|a| a.transactions = None, "missing deposit transaction"),
        (|a| a.transactions.as_mut().unwrap().clear(), "missing deposit transaction"),
    ];
    for (change, expected) in cases {
        let mut attributes = good();
        change(&mut attributes);
        let error = node.start(&genesis, attributes).await.unwrap_err();
        assert_eq!(error.code(), -38003, "{expected}");
        let reason = error.reason().unwrap();
        assert!(reason.contains(expected), "expected {expected:?}, got {reason:?}");
    }
    assert!(node.start(&genesis, good()).await.unwrap().payload_id.is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_head_rewinds_to_ancestors_and_builds_there() {
    let node = Node::new();
    let blocks = node.extend(node.genesis(), 1, 5).await;
    let two = BuiltOrGenesis::from(&*blocks[1]);
    // Building on an ancestor rewinds to it.
    let other = node.build(&two, 7, vec![]).await;
    assert_eq!(node.head(), two.hash);
    assert_eq!(node.view.canonical_hash(3).unwrap(), None);
    node.check();
    node.set_head(other.block.hash()).await;
    node.check();
    // And the old branch is still there.
    node.set_head(blocks[4].block.hash()).await;
    node.check();
    assert_eq!(node.handle.stats().blocks_imported, 0);
}
