//! Answers to questions.

use crate::{
    IndexError, Rows, Table,
    answer::{
        Earning, Earnings, EarningsFilter, PayoutList, PayoutProof, RecordFilter, RecordPage,
        RecordProof, SettledBatch, SettledRecord, SourceShare, Stats, Totals,
    },
    apply::totals_before,
    content,
    table::{self, BatchRow, ListRow, Ordinal, OrdinalRow},
};
use alloy_primitives::{B256, Bytes};
use ascribe_attribution::{
    Columns, HEADER_LENGTH, Header, ListId, Payee, Record, merkle, record_leaves,
};
use std::ops::{ControlFlow, RangeInclusive};

/// Records that an answer has if nobody says how many.
const DEFAULT_RECORDS: u32 = 100;
/// Records that an answer has at most.
const MAX_RECORDS: u32 = 1_000;
/// Batches that are read for one answer.
const MAX_BATCHES: usize = 32;
/// Rows that are looked at for one answer.
const MAX_ROWS: usize = 20_000;
/// Payouts that an answer lists if nobody says how many.
const DEFAULT_PAYOUTS: u32 = 1_000;
/// Payouts that an answer lists at most.
const MAX_PAYOUTS: u32 = 10_000;

/// The index as of one moment.
#[derive(Clone, Debug)]
pub struct Index<R> {
    rows: R,
}

/// Where to go on: at a record of a batch.
type Next = (Ordinal, u32);

/// A batch, read.
struct Opened {
    row: Box<BatchRow>,
    bytes: Bytes,
    header: Header,
    columns: Columns,
}

impl<R: Rows> Index<R> {
    /// Answers from these rows.
    pub const fn new(rows: R) -> Self {
        Self { rows }
    }

    /// `attribution_getBatch`. A merged list is not a batch.
    ///
    /// # Errors
    /// If rows cannot be read.
    pub fn batch(&self, list: ListId) -> Result<Option<SettledBatch>, IndexError> {
        let Some(ListRow::Batch(row)) = content::row(&self.rows, list)? else { return Ok(None) };
        let mut batch = row.batch;
        batch.merged_into = content::merged_into(&self.rows, list)?;
        Ok(Some(batch))
    }

    /// The batches that a block settled, in order.
    ///
    /// # Errors
    /// If rows cannot be read.
    pub fn batches_in(&self, block: u64) -> Result<Vec<SettledBatch>, IndexError> {
        let mut lists = Vec::new();
        let (from, to) = bounds(&(block..=block));
        self.rows.scan(Table::Ordinals, &from, &to, &mut |_, value| {
            lists.push(OrdinalRow::decode(value)?.list);
            Ok(ControlFlow::Continue(()))
        })?;
        let batches = lists.into_iter().map(|list| self.batch(list));
        batches.filter_map(Result::transpose).collect()
    }

    /// `attribution_getRecord`.
    ///
    /// # Errors
    /// If rows cannot be read, or the batch was never found.
    pub fn record(&self, list: ListId, index: u32) -> Result<Option<SettledRecord>, IndexError> {
        let Some(opened) = self.open(list)? else { return Ok(None) };
        let record = opened.columns.records().nth(index as usize);
        Ok(record.map(|record| opened.record(index, record)))
    }

    /// `attribution_getRecords`, of lists made in these blocks. Batches that were never found have none.
    ///
    /// # Errors
    /// If the question makes no sense, or rows cannot be read.
    pub fn records(
        &self,
        filter: &RecordFilter,
        blocks: &RangeInclusive<u64>,
    ) -> Result<RecordPage, IndexError> {
        let adapter = match (filter.model, filter.adapter, filter.source) {
            (_, None, Some(_)) => {
                return Err(IndexError::Question(
                    "a source is one of an adapter: adapter is missing",
                ));
            }
            (None, Some(_), _) => {
                return Err(IndexError::Question("an adapter is one of a model: model is missing"));
            }
            (Some(model), Some(adapter), _) => Some((model, adapter)),
            _ => None,
        };
        let limit = limit(filter.limit, DEFAULT_RECORDS, MAX_RECORDS, "limit is 1 to 1000")?;
        let (table, prefix) = match adapter {
            Some((model, adapter)) => (Table::Adapters, table::adapter(model, adapter)),
            None => (Table::Ordinals, Vec::new()),
        };
        let (mut start, mut first) = (None, 0);
        if let Some(cursor) = &filter.cursor {
            let (ordinal, index) = read_cursor(cursor)?;
            (start, first) = (Some(ordinal), index);
        }
        let (found, mut next) = self.ordinals(table, &prefix, blocks, start)?;

        let mut page = RecordPage::default();
        let mut opened_batches = 0;
        for ordinal in found {
            let from = if Some(ordinal) == start { first } else { 0 };
            if opened_batches == MAX_BATCHES || page.records.len() == limit {
                next = Some((ordinal, from));
                break;
            }
            let Some(list) = self.list_at(ordinal)? else { continue };
            if list.is_merged() || filter.operator.is_some_and(|it| Some(it) != list.operator()) {
                continue;
            }
            let Some(ListRow::Batch(row)) = content::row(&self.rows, list)? else { continue };
            if filter.model.is_some_and(|model| model != row.batch.model) {
                continue;
            }
            opened_batches += 1;
            let opened = match self.open_row(row) {
                Ok(opened) => opened,
                // What nobody has must not hide what comes after it.
                Err(IndexError::Unfound(_)) => continue,
                Err(error) => return Err(error),
            };
            let matches = |record: &Record| {
                filter.adapter.is_none_or(|adapter| adapter == record.adapter)
                    && filter.source.is_none_or(|source| {
                        record.shares.iter().any(|share| share.source == source)
                    })
            };
            let records = (0..).zip(opened.columns.records());
            for (index, record) in records.skip(from as usize).filter(|(_, record)| matches(record))
            {
                if page.records.len() == limit {
                    page.cursor = Some(cursor(ordinal, index));
                    return Ok(page);
                }
                page.records.push(opened.record(index, record));
            }
        }
        page.cursor = next.map(|(ordinal, index)| cursor(ordinal, index));
        Ok(page)
    }

    /// `attribution_getRecordProof`.
    ///
    /// # Errors
    /// If rows cannot be read, or the batch was never found.
    pub fn record_proof(
        &self,
        list: ListId,
        index: u32,
    ) -> Result<Option<RecordProof>, IndexError> {
        let Some(opened) = self.open(list)? else { return Ok(None) };
        let Some(record) = opened.columns.records().nth(index as usize) else { return Ok(None) };
        let leaves = record_leaves(&opened.bytes, &opened.header, &opened.columns);
        let position = index as usize + 1;
        let missing = || IndexError::damaged(Table::Lists, "a batch without a leaf");
        Ok(Some(RecordProof {
            record: opened.record(index, record),
            header: opened.bytes.slice(..HEADER_LENGTH),
            header_proof: merkle::proof(&leaves, 0).ok_or_else(missing)?,
            leaf: *leaves.get(position).ok_or_else(missing)?,
            proof: merkle::proof(&leaves, position).ok_or_else(missing)?,
            record_root: opened.row.batch.record_root,
        }))
    }

    /// `attribution_getPayouts`.
    ///
    /// # Errors
    /// If rows cannot be read, or the list was never found.
    pub fn payouts(&self, list: ListId) -> Result<Option<PayoutList>, IndexError> {
        let Some((payout_root, parts)) = self.root(list)? else { return Ok(None) };
        let Some(payouts) = content::payouts(&self.rows, list)? else { return Ok(None) };
        Ok(Some(PayoutList {
            list,
            payouts: payouts.list().len() as u32,
            total: payouts.total(),
            payout_root,
            parts,
            merged_into: content::merged_into(&self.rows, list)?,
            data: payouts.to_bytes().into(),
        }))
    }

    /// `attribution_getPayoutProof`; nothing if there is no such list or the list has nothing for the payee.
    ///
    /// # Errors
    /// If rows cannot be read, or the list was never found.
    pub fn payout_proof(
        &self,
        list: ListId,
        payee: &Payee,
    ) -> Result<Option<PayoutProof>, IndexError> {
        let Some((payout_root, _)) = self.root(list)? else { return Ok(None) };
        let Some(payouts) = content::payouts(&self.rows, list)? else { return Ok(None) };
        let key = payee.key();
        let Ok(position) = payouts.list().binary_search_by_key(&key, |payout| payout.payee.key())
        else {
            return Ok(None);
        };
        let leaves = payouts.leaves();
        let missing = || IndexError::damaged(Table::Lists, "a list without a leaf");
        Ok(Some(PayoutProof {
            list,
            position: position as u32,
            payee: key,
            amount: payouts.list()[position].amount,
            claimed: content::is_claimed(&self.rows, list, position as u32)?,
            merged_into: content::merged_into(&self.rows, list)?,
            leaf: leaves[position],
            proof: merkle::proof(&leaves, position).ok_or_else(missing)?,
            payout_root,
        }))
    }

    /// `attribution_getEarnings`, of lists made in these blocks.
    ///
    /// # Errors
    /// If the question makes no sense, or rows cannot be read.
    pub fn earnings(
        &self,
        payee: &Payee,
        filter: &EarningsFilter,
        blocks: &RangeInclusive<u64>,
    ) -> Result<Earnings, IndexError> {
        let limit = limit(filter.limit, DEFAULT_PAYOUTS, MAX_PAYOUTS, "limit is 1 to 10000")?;
        let start = filter.cursor.as_ref().map(|cursor| read_cursor(cursor)).transpose()?;
        let prefix = table::payee(payee);
        let (from, to) = bounds_at(&prefix, blocks, start.map(|(ordinal, _)| ordinal));
        let mut answer = Earnings {
            payee: payee.key(),
            earned: 0,
            claimed: 0,
            claimable: 0,
            payouts: Vec::new(),
            cursor: None,
        };
        let mut found = Vec::new();
        self.rows.scan(Table::Payees, &from, &to, &mut |key, value| {
            let ordinal = Ordinal::of_key(Table::Payees, key)?;
            if found.len() == limit {
                answer.cursor = Some(cursor(ordinal, 0));
                return Ok(ControlFlow::Break(()));
            }
            found.push((ordinal, table::payout(value)?));
            Ok(ControlFlow::Continue(()))
        })?;
        for (ordinal, (position, amount)) in found {
            let list = self.list_at(ordinal)?.ok_or_else(|| {
                IndexError::damaged(Table::Payees, "a payout of a list that is not there")
            })?;
            let earning = Earning {
                list,
                position,
                amount,
                claimed: content::is_claimed(&self.rows, list, position)?,
                merged_into: content::merged_into(&self.rows, list)?,
                block_number: ordinal.block,
            };
            if !list.is_merged() {
                answer.earned += amount;
            }
            if earning.claimed {
                answer.claimed += amount;
            } else if earning.merged_into.is_none() {
                answer.claimable += amount;
            }
            answer.payouts.push(earning);
        }
        Ok(answer)
    }

    /// `attribution_stats`, of these blocks.
    ///
    /// # Errors
    /// If rows cannot be read.
    pub fn stats(&self, blocks: &RangeInclusive<u64>) -> Result<Stats, IndexError> {
        let before = totals_before(&self.rows, Ordinal::start_of(*blocks.start()))?;
        let until = totals_before(&self.rows, after(*blocks.end()))?;
        let totals = until.since(&before);
        let each = |sum: u64| (totals.records > 0).then(|| sum as f64 / totals.records as f64);
        Ok(Stats {
            from_block: *blocks.start(),
            to_block: *blocks.end(),
            totals,
            bytes_per_record: each(totals.bytes),
            gas_per_record: each(totals.gas_used),
        })
    }

    /// A list's payout root and parts.
    fn root(&self, list: ListId) -> Result<Option<(B256, Vec<ListId>)>, IndexError> {
        content::row(&self.rows, list)?
            .map(|row| match row {
                ListRow::Batch(row) => Ok((row.batch.payout_root, Vec::new())),
                ListRow::Merge(row) => Ok((row.payout_root, row.parts()?)),
            })
            .transpose()
    }

    fn open(&self, list: ListId) -> Result<Option<Opened>, IndexError> {
        match content::row(&self.rows, list)? {
            Some(ListRow::Batch(row)) => self.open_row(row).map(Some),
            _ => Ok(None),
        }
    }

    fn open_row(&self, row: Box<BatchRow>) -> Result<Opened, IndexError> {
        let bytes = content::batch(&self.rows, &row)?;
        let (header, columns) = Columns::of_batch(&bytes)
            .map_err(|_| IndexError::damaged(Table::Lists, "it points to what is no batch"))?;
        Ok(Opened { row, bytes, header, columns })
    }

    fn list_at(&self, ordinal: Ordinal) -> Result<Option<ListId>, IndexError> {
        let value = self.rows.get(Table::Ordinals, &ordinal.to_bytes())?;
        value.map(|value| Ok(OrdinalRow::decode(&value)?.list)).transpose()
    }

    /// The ordinals behind a prefix, of these blocks, from `start` on; and where to go on if there are too many.
    fn ordinals(
        &self,
        table: Table,
        prefix: &[u8],
        blocks: &RangeInclusive<u64>,
        start: Option<Ordinal>,
    ) -> Result<(Vec<Ordinal>, Option<Next>), IndexError> {
        let (from, to) = bounds_at(prefix, blocks, start);
        let (mut found, mut next) = (Vec::new(), None);
        self.rows.scan(table, &from, &to, &mut |key, _| {
            let ordinal = Ordinal::of_key(table, key)?;
            if found.len() == MAX_ROWS {
                next = Some((ordinal, 0));
                return Ok(ControlFlow::Break(()));
            }
            found.push(ordinal);
            Ok(ControlFlow::Continue(()))
        })?;
        Ok((found, next))
    }
}

impl Opened {
    fn record(&self, index: u32, record: Record) -> SettledRecord {
        let Record { adapter, prompt_tokens, completion_tokens, time, shares } = record;
        let batch = &self.row.batch;
        let share = |share: ascribe_attribution::Share| SourceShare {
            source: share.source,
            weight: share.weight,
        };
        SettledRecord {
            list: batch.list,
            index,
            operator: batch.operator,
            model: batch.model,
            adapter,
            prompt_tokens,
            completion_tokens,
            timestamp: batch.time_base.saturating_add(time.into()),
            fee: batch.rates.record_fee(prompt_tokens, completion_tokens),
            shares: shares.into_iter().map(share).collect(),
            block_number: batch.place.block_number,
            transaction_hash: batch.place.transaction_hash,
        }
    }
}

impl Totals {
    pub(crate) fn add(&mut self, batch: &SettledBatch) {
        self.batches += 1;
        self.records += u64::from(batch.records);
        self.payouts += u64::from(batch.payouts);
        self.prompt_tokens = self.prompt_tokens.saturating_add(batch.prompt_tokens);
        self.completion_tokens = self.completion_tokens.saturating_add(batch.completion_tokens);
        self.bytes += u64::from(batch.size);
        self.gas_used = self.gas_used.saturating_add(batch.gas_used);
        self.fees = self.fees.saturating_add(batch.total);
    }

    /// What came after `before`.
    fn since(&self, before: &Self) -> Self {
        Self {
            batches: self.batches.saturating_sub(before.batches),
            records: self.records.saturating_sub(before.records),
            payouts: self.payouts.saturating_sub(before.payouts),
            prompt_tokens: self.prompt_tokens.saturating_sub(before.prompt_tokens),
            completion_tokens: self.completion_tokens.saturating_sub(before.completion_tokens),
            bytes: self.bytes.saturating_sub(before.bytes),
            gas_used: self.gas_used.saturating_sub(before.gas_used),
            fees: self.fees.saturating_sub(before.fees),
        }
    }
}

/// After all of a block.
fn after(block: u64) -> Ordinal {
    block.checked_add(1).map_or(Ordinal { block: u64::MAX, log: u32::MAX }, Ordinal::start_of)
}

fn bounds(blocks: &RangeInclusive<u64>) -> (Vec<u8>, Vec<u8>) {
    bounds_at(&[], blocks, None)
}

/// Keys of these blocks behind a prefix, from `start` on.
fn bounds_at(
    prefix: &[u8],
    blocks: &RangeInclusive<u64>,
    start: Option<Ordinal>,
) -> (Vec<u8>, Vec<u8>) {
    let first = Ordinal::start_of(*blocks.start());
    let from = start.map_or(first, |start| start.max(first));
    (table::at(prefix, from), table::at(prefix, after(*blocks.end())))
}

fn limit(
    given: Option<u32>,
    default: u32,
    most: u32,
    refusal: &'static str,
) -> Result<usize, IndexError> {
    match given {
        None => Ok(default as usize),
        Some(limit) if (1..=most).contains(&limit) => Ok(limit as usize),
        Some(_) => Err(IndexError::Question(refusal)),
    }
}

fn cursor(ordinal: Ordinal, index: u32) -> Bytes {
    [&ordinal.to_bytes()[..], &index.to_be_bytes()].concat().into()
}

fn read_cursor(cursor: &[u8]) -> Result<(Ordinal, u32), IndexError> {
    let read = || {
        let (ordinal, index) = cursor.split_first_chunk::<{ Ordinal::LENGTH }>()?;
        Some((Ordinal::from_bytes(ordinal)?, u32::from_be_bytes(index.try_into().ok()?)))
    };
    read().ok_or_else(|| IndexError::Question("cursor is not one that an answer gave"))
}
