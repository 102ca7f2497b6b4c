//! `debug_getRaw…`: what the chain is made of, in its own encoding.

use alloy_consensus::TxReceipt;
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::Encodable;
use op_alloy_consensus::OpBlock;
use reth_primitives_traits::RecoveredBlock;

use crate::{RpcContext, RpcError, eth::block_id::BlockRef, hex::Hex, method::Registry};
use std::sync::Arc;

pub(super) fn register(registry: &mut Registry) {
    registry.light("debug_getRawHeader", header);
    registry.heavy("debug_getRawBlock", block);
    registry.heavy("debug_getRawReceipts", receipts);
    registry.light("debug_getRawTransaction", transaction);
    registry.heavy("debug_getRawTransactions", transactions);
}

/// A block. One that is not there has no bytes if it was named by number, and is an error if it was
/// named by hash.
fn find(
    context: &RpcContext,
    at: BlockRef,
    what: &str,
) -> Result<Option<Arc<RecoveredBlock<OpBlock>>>, RpcError> {
    let found = match context.block_of(at)? {
        Some(block) => context.chain.block_by_hash(block.hash)?,
        None => None,
    };
    match (found, at) {
        (None, BlockRef::Hash { hash, .. }) => {
            // geth writes the hash as a list of numbers.
            let bytes: Vec<_> = hash.iter().map(u8::to_string).collect();
            Err(RpcError::server(format!("{what} #[{}] not found", bytes.join(" "))))
        }
        (found, _) => Ok(found),
    }
}

fn header(context: &RpcContext, (at,): (BlockRef,)) -> Result<Bytes, RpcError> {
    let block = find(context, at, "header")?;
    Ok(block.map(|block| alloy_rlp::encode(block.header()).into()).unwrap_or_default())
}

fn block(context: &RpcContext, (at,): (BlockRef,)) -> Result<Bytes, RpcError> {
    let block = find(context, at, "block")?;
    Ok(block
        .map(|block| {
            let mut rlp = Vec::with_capacity(block.rlp_length());
            block.sealed_block().encode(&mut rlp);
            rlp.into()
        })
        .unwrap_or_default())
}

/// The receipts as they go into the receipts trie, blooms included. No block has none: `null` if it
/// was named by number, an empty list if by hash.
fn receipts(context: &RpcContext, (at,): (BlockRef,)) -> Result<Option<Vec<Bytes>>, RpcError> {
    let receipts = match context.block_of(at)? {
        Some(block) => context.chain.receipts_by_hash(block.hash)?,
        None => None,
    };
    let Some(receipts) = receipts else {
        return Ok(matches!(at, BlockRef::Hash { .. }).then(Vec::new));
    };
    let encode =
        |receipt: &op_alloy_consensus::OpReceipt| receipt.with_bloom_ref().encoded_2718().into();
    Ok(Some(receipts.iter().map(encode).collect()))
}

/// A transaction of the chain or of the pool; nothing if it is in neither.
fn transaction(context: &RpcContext, (Hex(hash),): (Hex<B256>,)) -> Result<Bytes, RpcError> {
    if let Some((block, index)) = context.chain.transaction(hash)? {
        let tx = block.body().transactions.get(index);
        return Ok(tx.map(|tx| tx.encoded_2718().into()).unwrap_or_default());
    }
    Ok(context.pool.get(&hash).map(|tx| tx.encoded.clone()).unwrap_or_default())
}

/// The transactions of a block.
fn transactions(context: &RpcContext, (at,): (BlockRef,)) -> Result<Vec<Bytes>, RpcError> {
    let block = find(context, at, "block")?;
    Ok(block
        .map(|block| {
            let transactions = block.body().transactions.iter();
            transactions.map(|tx| tx.encoded_2718().into()).collect()
        })
        .unwrap_or_default())
}
