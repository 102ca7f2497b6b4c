//! Rows that a block adds to the chain: header, body, senders, receipts, lookups, codes.

use crate::{Column, ExecutedBlock, StorageError, StorageReader, codec, column, database::Rows};
use alloy_primitives::B256;

/// Adds the rows of a block.
pub(crate) fn append(rows: &mut Rows<'_>, executed: &ExecutedBlock) -> Result<(), StorageError> {
    let number = executed.number();
    let body = executed.block.body();
    let bad = |reason| Err(StorageError::BadBlock { number, reason });
    let count = body.transactions.len();
    if executed.block.senders().len() != count {
        return bad(format!("{} senders, {count} transactions", executed.block.senders().len()));
    }
    if executed.receipts.len() != count {
        return bad(format!("{} receipts, {count} transactions", executed.receipts.len()));
    }

    let key = column::number(number);
    rows.put(Column::Headers, &key, &codec::encode_header(&executed.sealed_header()));
    rows.put(Column::Bodies, &key, &codec::encode_body(body));
    rows.put(Column::Senders, &key, &codec::encode_senders(executed.block.senders()));
    rows.put(Column::Receipts, &key, &codec::encode_receipts(&executed.receipts));
    rows.put(Column::BlockNumbers, executed.hash().as_slice(), &key);
    let mut value = Vec::with_capacity(16);
    for (index, transaction) in body.transactions.iter().enumerate() {
        value.clear();
        codec::encode_lookup(number, index as u32, &mut value);
        rows.put(Column::Transactions, transaction.tx_hash().as_slice(), &value);
    }
    for (hash, code) in executed.codes.iter() {
        rows.put(Column::Codes, hash.as_slice(), code);
    }
    Ok(())
}

/// Removes the rows of a block. Its codes stay: they are named by what they are, other contracts
/// may share them, and a chain that comes back wants them again.
pub(crate) fn unwind(
    rows: &mut Rows<'_>,
    base: &StorageReader,
    number: u64,
) -> Result<B256, StorageError> {
    let key = column::number(number);
    let hash =
        base.canonical_hash(number)?.ok_or_else(|| StorageError::missing(Column::Headers, &key))?;
    let body = base.body(number)?.ok_or_else(|| StorageError::missing(Column::Bodies, &key))?;
    for transaction in &body.transactions {
        rows.delete(Column::Transactions, transaction.tx_hash().as_slice());
    }
    for column in [Column::Headers, Column::Bodies, Column::Senders, Column::Receipts] {
        rows.delete(column, &key);
    }
    rows.delete(Column::BlockNumbers, hash.as_slice());
    Ok(hash)
}
