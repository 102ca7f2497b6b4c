//! Transactions and their receipts.

use super::{
    block_id::{BlockNumber, BlockRef},
    json::{BlockReceipts, TransactionJson},
};
use crate::{RpcContext, RpcError, hex::Hex};
use alloy_consensus::Transaction;
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, B256, Bytes};
use ascribe_engine::CanonBlock;
use ascribe_txpool::PooledTx;
use op_alloy_consensus::OpBlock;
use reth_primitives_traits::RecoveredBlock;
use serde_json::value::{RawValue, to_raw_value};

/// Something that was written while what it shows was at hand.
type Json = Option<Box<RawValue>>;

fn json(value: &impl serde::Serialize) -> Result<Json, RpcError> {
    to_raw_value(value).map(Some).map_err(|error| RpcError::internal(error.to_string()))
}

/// A transaction of the pool as JSON.
pub(super) fn pooled_json(tx: &PooledTx) -> TransactionJson<'_> {
    TransactionJson::pending(tx.tx.inner(), tx.sender())
}

/// The transaction at `index`. The receipts are read for deposits alone, whose nonce they hold.
fn in_block(
    context: &RpcContext,
    block: &RecoveredBlock<OpBlock>,
    index: usize,
) -> Result<Json, RpcError> {
    let Some(tx) = block.body().transactions.get(index) else { return Ok(None) };
    let receipts =
        if tx.is_deposit() { context.chain.receipts_by_hash(block.hash())? } else { None };
    let receipt = receipts.as_ref().and_then(|receipts| receipts.get(index));
    match TransactionJson::in_block(block, index, receipt) {
        Some(transaction) => json(&transaction),
        None => Ok(None),
    }
}

/// An index that may be beyond any block.
fn index(Hex(index): Hex<u64>) -> usize {
    usize::try_from(index).unwrap_or(usize::MAX)
}

/// `eth_getTransactionByHash`: of the canonical chain, or waiting in the pool.
pub(super) fn by_hash(context: &RpcContext, (Hex(hash),): (Hex<B256>,)) -> Result<Json, RpcError> {
    if let Some((block, index)) = context.chain.transaction(hash)? {
        return in_block(context, &block, index);
    }
    match context.pool.get(&hash) {
        Some(tx) => json(&pooled_json(&tx)),
        None => Ok(None),
    }
}

/// `eth_getTransactionByBlockNumberAndIndex`
pub(super) fn by_block_number(
    context: &RpcContext,
    (BlockNumber(number), at): (BlockNumber, Hex<u64>),
) -> Result<Json, RpcError> {
    let Some(block) = context.numbered(number)? else { return Ok(None) };
    by_block_hash(context, (Hex(block.hash), at))
}

/// `eth_getTransactionByBlockHashAndIndex`
pub(super) fn by_block_hash(
    context: &RpcContext,
    (Hex(hash), at): (Hex<B256>, Hex<u64>),
) -> Result<Json, RpcError> {
    match context.chain.block_by_hash(hash)? {
        Some(block) => in_block(context, &block, index(at)),
        None => Ok(None),
    }
}

/// `eth_getRawTransactionByHash`: `0x` if there is none, as geth answers.
pub(super) fn raw_by_hash(
    context: &RpcContext,
    (Hex(hash),): (Hex<B256>,),
) -> Result<Bytes, RpcError> {
    if let Some((block, index)) = context.chain.transaction(hash)? {
        return Ok(raw(&block, index));
    }
    Ok(context.pool.get(&hash).map(|tx| tx.encoded.clone()).unwrap_or_default())
}

fn raw(block: &RecoveredBlock<OpBlock>, index: usize) -> Bytes {
    let tx = block.body().transactions.get(index);
    tx.map(|tx| tx.encoded_2718().into()).unwrap_or_default()
}

/// `eth_getRawTransactionByBlockNumberAndIndex`
pub(super) fn raw_by_block_number(
    context: &RpcContext,
    (BlockNumber(number), at): (BlockNumber, Hex<u64>),
) -> Result<Bytes, RpcError> {
    // geth swallows what is wrong with the tag.
    match context.numbered(number) {
        Ok(Some(block)) => raw_by_block_hash(context, (Hex(block.hash), at)),
        _ => Ok(Bytes::new()),
    }
}

/// `eth_getRawTransactionByBlockHashAndIndex`
pub(super) fn raw_by_block_hash(
    context: &RpcContext,
    (Hex(hash), at): (Hex<B256>, Hex<u64>),
) -> Result<Bytes, RpcError> {
    let block = context.chain.block_by_hash(hash)?;
    Ok(block.map(|block| raw(&block, index(at))).unwrap_or_default())
}

/// `eth_getTransactionBySenderAndNonce`: in the pool, or in the canonical chain, where the block
/// is found by the sender's nonce in the states between.
pub(super) fn by_sender_and_nonce(
    context: &RpcContext,
    (Hex(sender), Hex(nonce)): (Hex<Address>, Hex<u64>),
) -> Result<Json, RpcError> {
    let content = context.pool.content_from(sender);
    let mut pooled = content.pending.iter().chain(&content.queued);
    if let Some(tx) = pooled.find(|tx| tx.nonce() == nonce) {
        return json(&pooled_json(tx));
    }
    let nonce_at = |number: u64| -> Result<u64, RpcError> {
        let Some(hash) = context.chain.canonical_hash(number)? else { return Ok(0) };
        Ok(context.chain.state_at(hash)?.nonce(sender)?)
    };
    let (mut low, mut high) = (context.chain.history_floor(), context.chain.head().number);
    if nonce_at(high)? <= nonce || nonce_at(low)? > nonce {
        return Ok(None);
    }
    // The first block after which the nonce is used.
    while low + 1 < high {
        let middle = low + (high - low) / 2;
        if nonce_at(middle)? > nonce { high = middle } else { low = middle }
    }
    let Some(block) = context.chain.block_by_number(high)? else { return Ok(None) };
    let mut transactions = block.body().transactions.iter().zip(block.senders());
    let index = transactions
        .position(|(tx, from)| *from == sender && !tx.is_deposit() && tx.nonce() == nonce);
    match index {
        Some(index) => in_block(context, &block, index),
        None => Ok(None),
    }
}

impl RpcContext {
    /// The receipt of a transaction of the canonical chain.
    pub(super) fn receipt(&self, hash: B256) -> Result<Json, RpcError> {
        let Some((block, index)) = self.chain.transaction(hash)? else { return Ok(None) };
        let Some(receipts) = self.chain.receipts_by_hash(block.hash())? else { return Ok(None) };
        receipt_json(self, &CanonBlock { block, receipts }, index)
    }
}

/// The receipt at `index` of a block.
pub(super) fn receipt_json(
    context: &RpcContext,
    block: &CanonBlock,
    index: usize,
) -> Result<Json, RpcError> {
    let receipts = BlockReceipts::new(&context.spec, &block.block, &block.receipts);
    match receipts.get(index) {
        Some(receipt) => json(&receipt),
        None => Ok(None),
    }
}

/// `eth_getTransactionReceipt`
pub(super) fn receipt(context: &RpcContext, (Hex(hash),): (Hex<B256>,)) -> Result<Json, RpcError> {
    context.receipt(hash)
}

/// `eth_getBlockReceipts`
pub(super) fn block_receipts(
    context: &RpcContext,
    (block,): (BlockRef,),
) -> Result<Json, RpcError> {
    let Some(block) = context.block_of(block)? else { return Ok(None) };
    match context.canon_block(block.hash)? {
        Some(block) => json(&BlockReceipts::new(&context.spec, &block.block, &block.receipts)),
        None => Ok(None),
    }
}

/// `eth_pendingTransactions`: those of accounts that this node holds keys of, so none.
pub(super) fn pending(_: &RpcContext, (): ()) -> Result<[(); 0], RpcError> {
    Ok([])
}
