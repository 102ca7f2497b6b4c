//! The attribution index: rows of what the chain says about attribution.
//!
//! What rows a block adds is `ascribe-attribution-index`'s to know; here they get onto the disk and
//! off it, and the index is made where there is none.

use crate::{
    Column, ExecutedBlock, StorageError, StorageReader,
    column::meta,
    database::{Database, Rows},
    snapshot::Snapshot,
};
use alloy_consensus::{BlockHeader, Transaction as _, TxReceipt};
use alloy_primitives::{Bloom, BloomInput, Bytes};
use ascribe_attribution_index::{
    self as index, Block, Changes, IndexError, Layers, Row, Table, Transaction, VERSION, Visit,
};
use ascribe_chainspec::predeploys::ATTRIBUTION_HUB;
use op_alloy_consensus::{OpBlock, OpReceipt};
use reth_primitives_traits::RecoveredBlock;
use std::{
    sync::{Arc, OnceLock},
    time::Instant,
};
use tracing::{info, warn};

/// Blocks after which an index that is being made is written.
const STEP: u64 = 1 << 14;
/// Blocks with batches after which it is written.
const FULL: usize = 64;

/// What a block adds to the attribution index, once that is known. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct AttributionCell(Arc<Cell>);

#[derive(Debug, Default)]
struct Cell {
    changes: OnceLock<Changes>,
    /// Batches that are not in their transactions' inputs.
    seen: OnceLock<Vec<Bytes>>,
}

/// How far the attribution index is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct IndexProgress {
    /// Blocks that are in it.
    pub done: u64,
    /// Blocks in all.
    pub total: u64,
}

impl ExecutedBlock {
    /// What the block adds to the attribution index, whose rows as of its parent are `base`. Where
    /// batches are not in their transactions' inputs, `see` is given the places of those
    /// transactions and tells what the precompile was given in them.
    ///
    /// # Errors
    /// If rows cannot be read; what `see` says.
    pub fn attribution(
        &self,
        base: &impl index::Rows,
        chain_id: u64,
        see: impl FnOnce(&[u32]) -> Result<Vec<Bytes>, IndexError>,
    ) -> Result<&Changes, IndexError> {
        let Cell { changes, seen } = &*self.attribution.0;
        if let Some(changes) = changes.get() {
            return Ok(changes);
        }
        if !may_concern_attribution(&self.header().logs_bloom) {
            return Ok(changes.get_or_init(Changes::default));
        }
        let block = attribution_block(chain_id, &self.block, &self.receipts);
        let known = seen.get();
        let mut applied = index::apply(base, &block, known.map_or(&[], |seen| seen))?;
        if !applied.unfound.is_empty() && known.is_none() {
            self.saw(see(&applied.unfound)?);
            applied = index::apply(base, &block, seen.get().map_or(&[], |seen| seen))?;
        }
        if !applied.unfound.is_empty() {
            warn!(
                target: "ascribe::storage",
                block = self.number(),
                transactions = ?applied.unfound,
                "Settled batches of attribution records were not found"
            );
        }
        Ok(changes.get_or_init(|| applied.changes))
    }

    /// What the block adds to the attribution index, if that was asked for before.
    pub fn indexed(&self) -> Option<&Changes> {
        self.attribution.0.changes.get()
    }

    /// Places of transactions that settled batches which are not in their inputs; to be told of
    /// what the precompile was given in them, by [`Self::saw`].
    pub fn unfound_batches(&self, chain_id: u64) -> Vec<u32> {
        if !may_concern_attribution(&self.header().logs_bloom)
            || self.attribution.0.seen.get().is_some()
        {
            return Vec::new();
        }
        let block = attribution_block(chain_id, &self.block, &self.receipts);
        index::apply(&index::Nothing, &block, &[]).unwrap_or_default().unfound
    }

    /// Takes batches that [`Self::unfound_batches`] asked for.
    pub fn saw(&self, batches: Vec<Bytes>) {
        // Who comes second has seen the same.
        let _ = self.attribution.0.seen.set(batches);
    }
}

/// What the attribution index reads of a block.
pub fn attribution_block<'a>(
    chain_id: u64,
    block: &'a RecoveredBlock<OpBlock>,
    receipts: &'a [OpReceipt],
) -> Block<'a> {
    let mut gas_before = 0;
    let transactions = block.body().transactions.iter().zip(receipts);
    let transaction =
        |(transaction, receipt): (&'a op_alloy_consensus::OpTxEnvelope, &'a OpReceipt)| {
            let gas_until = receipt.cumulative_gas_used();
            let gas_used = gas_until.saturating_sub(std::mem::replace(&mut gas_before, gas_until));
            Transaction {
                hash: transaction.tx_hash(),
                input: transaction.input(),
                gas_used,
                logs: receipt.logs(),
            }
        };
    Block {
        chain_id,
        hub: ATTRIBUTION_HUB,
        number: block.header().number(),
        hash: block.hash(),
        timestamp: block.header().timestamp(),
        transactions: transactions.map(transaction).collect(),
    }
}

/// Whether a block with this bloom may have something for the index.
pub fn may_concern_attribution(bloom: &Bloom) -> bool {
    bloom.contains_input(BloomInput::Raw(ATTRIBUTION_HUB.as_slice()))
}

impl index::Rows for StorageReader {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        let value = self.snapshot().get(table.into(), key).map_err(IndexError::read)?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<(), IndexError> {
        if from >= to {
            return Ok(());
        }
        let mut scan = self.snapshot().scan(table.into(), from, Some(to));
        while let Some((key, value)) = scan.next().map_err(IndexError::read)? {
            if visit(key, value)?.is_break() {
                break;
            }
        }
        Ok(())
    }

    fn last(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Option<Row>, IndexError> {
        if from >= to {
            return Ok(None);
        }
        self.snapshot().last(table.into(), from, to).map_err(IndexError::read)
    }

    fn input(&self, block: u64, transaction: u32) -> Result<Option<Bytes>, IndexError> {
        let body = self.body(block).map_err(IndexError::read)?;
        let transaction =
            body.as_ref().and_then(|body| body.transactions.get(transaction as usize));
        Ok(transaction.map(|transaction| transaction.input().clone()))
    }
}

/// Adds what a block changes. Its batches are in inputs, or somebody has looked for them before.
pub(crate) fn append(
    changes: &mut Changes,
    base: &StorageReader,
    executed: &ExecutedBlock,
) -> Result<(), StorageError> {
    let view = Layers::new(base, [&*changes]);
    let added = executed.attribution(&view, base.chain_id(), |_| Ok(Vec::new()))?;
    changes.extend(added);
    Ok(())
}

/// Takes off what a block has changed.
pub(crate) fn unwind(
    changes: &mut Changes,
    base: &StorageReader,
    number: u64,
) -> Result<(), StorageError> {
    if !may_concern_attribution(&base.expect_header(number)?.logs_bloom) {
        return Ok(());
    }
    let gone =
        with_block(base, number, |block| index::unwind(&Layers::new(base, [&*changes]), block))?;
    changes.extend(&gone);
    Ok(())
}

/// What a persisted block has added.
pub(crate) fn added(base: &StorageReader, number: u64) -> Result<Changes, StorageError> {
    if !may_concern_attribution(&base.expect_header(number)?.logs_bloom) {
        return Ok(Changes::default());
    }
    Ok(with_block(base, number, |block| index::apply(base, block, &[]))?.changes)
}

fn with_block<T>(
    base: &StorageReader,
    number: u64,
    work: impl FnOnce(&Block<'_>) -> Result<T, IndexError>,
) -> Result<T, StorageError> {
    let key = crate::column::number(number);
    let block = base.block(number)?.ok_or_else(|| StorageError::missing(Column::Bodies, &key))?;
    let receipts =
        base.receipts(number)?.ok_or_else(|| StorageError::missing(Column::Receipts, &key))?;
    Ok(work(&attribution_block(base.chain_id(), &block, &receipts))?)
}

/// Writes changes that lead to the index of this block.
pub(crate) fn write(rows: &mut Rows<'_>, changes: &Changes, head: u64) {
    for table in Table::ALL {
        for (key, value) in changes.of(table) {
            match value {
                Some(value) => rows.put(table.into(), key, value),
                None => rows.delete(table.into(), key),
            }
        }
    }
    let mark = [&VERSION.to_be_bytes()[..], &head.to_be_bytes()].concat();
    rows.put(Column::Meta, meta::ATTRIBUTION, &mark);
}

/// The last block in the index; `None` if there is no index, or one of another version.
fn indexed(database: &Database) -> Result<Option<u64>, StorageError> {
    let mark = database.get(Column::Meta, meta::ATTRIBUTION)?;
    Ok(mark.and_then(|mark| {
        let (version, number) = mark.split_first_chunk::<4>()?;
        let number = u64::from_be_bytes(number.try_into().ok()?);
        (*version == VERSION.to_be_bytes()).then_some(number)
    }))
}

/// Makes what is missing of the index, and says how far it is. A database of an older release has
/// none, and one that was left while this was at work has a part.
pub(crate) fn complete(
    database: &Arc<Database>,
    progress: &mut dyn FnMut(IndexProgress),
) -> Result<(), StorageError> {
    let mut base = StorageReader::new(Snapshot::new(database.clone()))?;
    let head = base.head().number;
    let mut next = match indexed(database)? {
        Some(last) if last >= head => return Ok(()),
        Some(last) => last + 1,
        None => {
            clear(database)?;
            0
        }
    };
    let started = Instant::now();
    if head > 0 {
        info!(target: "ascribe::storage", from = next, head, "Indexing attribution");
    }
    while next <= head {
        let (mut changes, mut blocks) = (Changes::default(), 0);
        let first = next;
        while next <= head && next - first < STEP && blocks < FULL {
            if may_concern_attribution(&base.expect_header(next)?.logs_bloom) {
                let applied = with_block(&base, next, |block| {
                    index::apply(&Layers::new(&base, [&changes]), block, &[])
                })?;
                changes.extend(&applied.changes);
                blocks += 1;
            }
            next += 1;
        }
        let mut rows = database.rows();
        write(&mut rows, &changes, next - 1);
        database.write(rows)?;
        base = StorageReader::new(Snapshot::new(database.clone()))?;
        progress(IndexProgress { done: next, total: head + 1 });
    }
    if head > 0 {
        info!(target: "ascribe::storage", head, elapsed = ?started.elapsed(), "Indexed attribution");
    }
    Ok(())
}

/// Removes the index, but for contents: some are nowhere else, and they are found by what they are.
pub(crate) fn clear(database: &Database) -> Result<(), StorageError> {
    let mut rows = database.rows();
    rows.delete(Column::Meta, meta::ATTRIBUTION);
    for table in Table::ALL.into_iter().filter(|table| *table != Table::Contents) {
        // No key is longer than this, and none begins with as many such bytes.
        rows.delete_range(table.into(), &[], &[0xff; 64]);
    }
    database.write(rows)
}
