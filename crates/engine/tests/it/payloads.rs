//! Valid, invalid, unknown and out-of-order payloads.

use crate::node::{BuiltOrGenesis, Node, Wallet, attributes, spec_with_karst, work};
use alloy_consensus::{Block, SignableTransaction};
use alloy_eips::Encodable2718;
use alloy_primitives::{B256, Bytes, Signature, U256};
use alloy_rpc_types_engine::PayloadStatusEnum;
use ascribe_engine::{BuiltPayload, EngineConfig};
use op_alloy_consensus::{OpBlock, OpTxEnvelope};
use op_alloy_rpc_types_engine::OpExecutionData;

/// The payload of a block after a change to it, with the hash that it has then.
fn changed(payload: &BuiltPayload, change: impl FnOnce(&mut OpBlock)) -> OpExecutionData {
    let mut block: OpBlock = payload.block.clone_sealed_block().into_block();
    change(&mut block);
    OpExecutionData::from_block_slow(&block)
}

/// The same transaction under a signature that nobody can have made.
fn forged(tx: &OpTxEnvelope) -> OpTxEnvelope {
    let OpTxEnvelope::Eip1559(signed) = tx else { panic!("not what these blocks hold: {tx:?}") };
    signed.tx().clone().into_signed(Signature::new(U256::ZERO, U256::ONE, false)).into()
}

fn invalid(reason: &str) -> PayloadStatusEnum {
    PayloadStatusEnum::Invalid { validation_error: reason.to_owned() }
}

fn reason(status: &PayloadStatusEnum) -> &str {
    status.validation_error().unwrap_or_else(|| panic!("{status:?} is not INVALID"))
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_of_invalid_block_names_its_parent_as_latest_valid() {
    let (maker, node) = (Node::new(), Node::new());
    let blocks = maker.extend(maker.genesis(), 1, 3).await;
    node.follow(&blocks[..2]).await;
    let parent = blocks[1].block.hash();
    let next = &blocks[2];

    type Change = fn(&mut OpBlock);
    let cases: [(&str, Change); 17] = [
        ("mismatched block state root", |b| b.header.state_root = B256::repeat_byte(1)),
        ("block gas used mismatch", |b| b.header.gas_used += 1),
        ("receipt root mismatch", |b| b.header.receipts_root = B256::repeat_byte(1)),
        ("header bloom filter mismatch", |b| b.header.logs_bloom.0[0] ^= 1),
        ("extra", |b| b.header.extra_data = Bytes::from_static(&[1; 9])),
        ("extra", |b| b.header.extra_data = Bytes::new()),
        ("extra", |b| b.header.extra_data = Bytes::from_static(&[0; 17])),
        ("base fee mismatch", |b| b.header.base_fee_per_gas = Some(7)),
        ("block timestamp", |b| b.header.timestamp = 1_000),
        ("block number", |b| b.header.number += 1),
        ("gasLimit", |b| b.header.gas_limit = u64::MAX),
        ("mismatched block withdrawals root", |b| {
            b.header.withdrawals_root = Some(B256::repeat_byte(1))
        }),
        ("blob gas used mismatch", |b| b.header.blob_gas_used = Some(1)),
        ("excessBlobGas", |b| b.header.excess_blob_gas = Some(1)),
        ("could not apply tx", |b| {
            let again = b.body.transactions[1].clone();
            b.body.transactions.push(again);
            let transactions = &b.body.transactions;
            b.header.transactions_root =
                alloy_consensus::proofs::calculate_transaction_root(transactions);
        }),
        ("could not apply tx 1", |b| {
            b.body.transactions[1] = forged(&b.body.transactions[1]);
            let transactions = &b.body.transactions;
            b.header.transactions_root =
                alloy_consensus::proofs::calculate_transaction_root(transactions);
        }),
        ("missing deposit transaction", |b| {
            b.body.transactions.remove(0);
            let transactions = &b.body.transactions;
            b.header.transactions_root =
                alloy_consensus::proofs::calculate_transaction_root(transactions);
        }),
    ];
    let mut bad_hashes = Vec::new();
    for (expected, change) in cases {
        let data = changed(next, change);
        let hash = data.block_hash();
        let status = node.new_payload(data.clone()).await;
        let text = reason(&status.status).to_owned();
        assert!(
            text.to_lowercase().contains(&expected.to_lowercase()),
            "expected {expected:?}, got {text:?}"
        );
        assert_eq!(status.latest_valid_hash, Some(parent), "{expected}");
        // The verdict stands, here and as a head.
        let again = node.new_payload(data).await;
        assert_eq!((again.status, again.latest_valid_hash), (invalid(&text), Some(parent)));
        let updated = node.update(hash, B256::ZERO, B256::ZERO).await.unwrap();
        assert_eq!(reason(&updated.payload_status.status), text);
        assert_eq!(updated.payload_status.latest_valid_hash, Some(parent));
        bad_hashes.push(hash);
    }
    assert_eq!(node.head(), parent);
    node.follow(&blocks[2..]).await;
    node.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn undecodable_payloads_name_no_latest_valid_hash() {
    let (maker, node) = (Node::new(), Node::new());
    let blocks = maker.extend(maker.genesis(), 1, 1).await;
    let good = blocks[0].to_execution_data();

    // A hash that is not the block's; before and after the block itself is known.
    let mut wrong_hash = good.clone();
    wrong_hash.payload.as_v1_mut().block_hash = B256::repeat_byte(7);
    let mut wrong_contents = good.clone();
    wrong_contents.payload.as_v1_mut().state_root = B256::repeat_byte(7);
    let mut garbage = blocks[0].block.clone_sealed_block().into_block();
    garbage.header.gas_used += 1;
    let mut garbage = OpExecutionData::from_block_slow(&garbage);
    garbage.payload.as_v1_mut().transactions.push(Bytes::from_static(&[0x7f, 1, 2]));
    let bytes: Vec<Bytes> = garbage.payload.transactions().clone();
    let header = {
        let mut block = blocks[0].block.clone_sealed_block().into_block();
        block.header.gas_used += 1;
        block.header.transactions_root = alloy_consensus::proofs::ordered_trie_root_encoded(&bytes);
        block.header
    };
    garbage.payload.as_v1_mut().block_hash = header.hash_slow();
    let mut long_extra_data = good.clone();
    long_extra_data.payload.as_v1_mut().extra_data = vec![0; 33].into();
    let mut huge_base_fee = good.clone();
    huge_base_fee.payload.as_v1_mut().base_fee_per_gas = U256::MAX;

    let cases = [
        (wrong_hash, "block hash mismatch"),
        (wrong_contents.clone(), "block hash mismatch"),
        (garbage, "invalid transaction 3"),
        (long_extra_data, "extra data"),
        (huge_base_fee, "base fee"),
    ];
    for (data, expected) in cases {
        let status = node.new_payload(data).await;
        assert!(reason(&status.status).contains(expected), "{status:?}");
        assert_eq!(status.latest_valid_hash, None);
    }
    node.import(&blocks[0]).await;
    let status = node.new_payload(wrong_contents).await;
    assert!(reason(&status.status).contains("block hash mismatch"));
    node.import(&blocks[0]).await;
    assert_eq!(node.handle.stats().blocks_imported, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn descendants_of_an_invalid_block_link_to_the_last_valid_one() {
    let (maker, node) = (Node::new(), Node::new());
    let blocks = maker.extend(maker.genesis(), 1, 2).await;
    node.follow(&blocks[..1]).await;
    let valid = blocks[0].block.hash();

    let bad = changed(&blocks[1], |block| block.header.state_root = B256::repeat_byte(1));
    let child = changed(&blocks[1], |block| {
        block.header.parent_hash = bad.block_hash();
        block.header.number += 1;
        block.header.timestamp += 2;
    });
    let grandchild = changed(&blocks[1], |block| {
        block.header.parent_hash = child.block_hash();
        block.header.number += 2;
        block.header.timestamp += 4;
    });
    // One descendant comes before, one after.
    assert_eq!(node.new_payload(child.clone()).await.status, PayloadStatusEnum::Syncing);
    assert!(node.new_payload(bad).await.is_invalid());
    let links = invalid("links to previously rejected block");
    for data in [child, grandchild] {
        let hash = data.block_hash();
        let status = node.new_payload(data).await;
        assert_eq!((status.status, status.latest_valid_hash), (links.clone(), Some(valid)));
        let updated = node.update(hash, B256::ZERO, B256::ZERO).await.unwrap().payload_status;
        assert_eq!((updated.status, updated.latest_valid_hash), (links.clone(), Some(valid)));
    }
    assert_eq!(node.head(), valid);
}

#[tokio::test(flavor = "multi_thread")]
async fn blocks_before_their_parents_wait_for_them() {
    let (maker, node) = (Node::new(), Node::new());
    let blocks = maker.extend(maker.genesis(), 1, 12).await;
    for block in blocks[1..].iter().rev() {
        let status = node.new_payload(block.to_execution_data()).await;
        assert_eq!((status.status, status.latest_valid_hash), (PayloadStatusEnum::Syncing, None));
        let head = block.block.hash();
        let updated = node.update(head, B256::ZERO, B256::ZERO).await.unwrap();
        assert_eq!(updated.payload_status.status, PayloadStatusEnum::Syncing);
        assert_eq!(updated.payload_id, None);
    }
    assert_eq!(node.handle.stats().blocks_imported, 0);
    node.import(&blocks[0]).await;
    assert_eq!(node.handle.stats().blocks_imported, 12);
    node.set_head(blocks[11].block.hash()).await;
    node.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn the_buffer_is_bounded() {
    let config = EngineConfig { buffered_blocks: 4, ..EngineConfig::default() };
    let (maker, node) = (Node::new(), Node::with_config(config));
    let blocks = maker.extend(maker.genesis(), 1, 8).await;
    for block in &blocks[1..] {
        let status = node.new_payload(block.to_execution_data()).await;
        assert_eq!(status.status, PayloadStatusEnum::Syncing);
    }
    node.import(&blocks[0]).await;
    // Blocks 2 to 4 are gone; 5 to 8 still wait for them.
    assert_eq!(node.handle.stats().blocks_imported, 1);
    for block in &blocks[1..4] {
        node.import(block).await;
    }
    assert_eq!(node.handle.stats().blocks_imported, 8);
    node.set_head(blocks[7].block.hash()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn executed_side_blocks_are_bounded() {
    let config = EngineConfig { side_blocks: 6, ..EngineConfig::default() };
    let (maker, node) = (Node::new(), Node::with_config(config));
    let base = maker.extend(maker.genesis(), 1, 1).await;
    node.follow(&base).await;
    let parent = BuiltOrGenesis::from(&*base[0]);
    for salt in 10..30 {
        let side = maker.build(&parent, salt, vec![]).await;
        node.import(&side).await;
    }
    // A chain that never becomes canonical is executed as far as there is room, and waits then.
    let chain = maker.extend(parent, 2, 10).await;
    for (index, block) in chain.iter().enumerate() {
        let status = node.new_payload(block.to_execution_data()).await;
        assert_eq!(status.is_valid(), index < 6, "{index}");
        assert_eq!(status.is_syncing(), index >= 6, "{index}");
    }
    node.set_head(chain[5].block.hash()).await;
    node.set_head(chain[9].block.hash()).await;
    node.check();
}

#[tokio::test(flavor = "multi_thread")]
async fn no_transaction_enters_the_block_that_activates_karst() {
    let spec = spec_with_karst(1_004);
    let (maker, node) = (
        Node::with(spec.clone(), EngineConfig::default()),
        Node::with(spec, EngineConfig::default()),
    );
    let blocks = maker.extend(maker.genesis(), 1, 1).await;
    node.follow(&blocks).await;
    let parent = BuiltOrGenesis::from(&*blocks[0]);

    // The pool is not asked.
    let wallet = Wallet::new(40);
    maker.pool.add_raw(wallet.transfer(0, STORE_TO), origin()).unwrap();
    let mut open = attributes(&parent, 1, vec![]);
    open.no_tx_pool = None;
    let id = maker.start(&parent, open).await.unwrap().payload_id.unwrap();
    let empty = maker.handle.get_payload(id).await.unwrap();
    assert_eq!(empty.block.body().transactions.len(), 1);
    node.import(&empty).await;

    // Others' blocks are held to it.
    let full = maker.build(&parent, 2, work(1, 1)).await;
    let status = node.new_payload(full.to_execution_data()).await;
    assert_eq!(
        reason(&status.status),
        "unexpected non-deposit transactions in Karst activation block"
    );
    assert_eq!(status.latest_valid_hash, Some(parent.hash));
}

const STORE_TO: alloy_primitives::Address = crate::node::STORE;

fn origin() -> ascribe_txpool::TransactionOrigin {
    ascribe_txpool::TransactionOrigin::External
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reserved_transaction_type_is_invalid() {
    let (maker, node) = (Node::new(), Node::new());
    let blocks = maker.extend(maker.genesis(), 1, 1).await;
    let mut data = blocks[0].to_execution_data();
    for ty in [0x03, 0x7d] {
        let mut transactions: Vec<Bytes> =
            blocks[0].block.body().transactions.iter().map(|tx| tx.encoded_2718().into()).collect();
        transactions.push(vec![ty, 0xc0].into());
        let mut block: Block<_> = blocks[0].block.clone_sealed_block().into_block();
        block.header.transactions_root =
            alloy_consensus::proofs::ordered_trie_root_encoded(&transactions);
        data.payload.as_v1_mut().transactions = transactions;
        data.payload.as_v1_mut().block_hash = block.header.hash_slow();
        assert!(node.new_payload(data.clone()).await.is_invalid(), "type {ty:#x}");
    }
}
