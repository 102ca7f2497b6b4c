//! What a block changes.

use crate::{
    Block, Changes, IndexError, Layers, Rows, Table,
    answer::{Place, SettledBatch, Totals},
    block::Event,
    content,
    locate::Wanted,
    table::{self, BatchRow, ListRow, MergeRow, Ordinal, OrdinalRow},
};
use alloy_primitives::{B256, Bytes, U256};
use alloy_sol_types::SolEvent;
use ascribe_attribution::{
    Header, ListId, Meter, Payouts, Settled,
    hub::IAttributionHub::{BatchSettled, Claimed, PayoutsMerged},
    merge,
};

/// What a block adds to the index.
#[derive(Clone, Debug, Default)]
pub struct Applied {
    /// The rows.
    pub changes: Changes,
    /// Places of transactions that settled batches which weren't found.
    pub unfound: Vec<u32>,
}

/// What a block adds to the index as `base` has it, which is that of the block before.
///
/// `seen` is what the precompile was given in transactions that were [unfound](Applied::unfound) without: whoever wants
/// those batches has to execute their transactions again and look.
///
/// # Errors
/// If rows cannot be read. Nothing that is in a block is an error: what the index cannot find, it says it has not
/// found.
pub fn apply(base: &impl Rows, block: &Block<'_>, seen: &[Bytes]) -> Result<Applied, IndexError> {
    let mut applied = Applied::default();
    let mut charged = None;
    for event in block.events() {
        match event.log.topics().first() {
            Some(&BatchSettled::SIGNATURE_HASH) => {
                let Some((mut batch, wanted)) = settled_batch(block, &event) else { continue };
                // Of several batches in one transaction the first has its gas.
                let transaction = Some(event.place.transaction_index);
                if std::mem::replace(&mut charged, transaction) == transaction {
                    batch.gas_used = 0;
                }
                let kept = base.get(Table::Contents, &batch.list.to_bytes())?.map(Bytes::from);
                let found = find(&wanted, &event, seen.iter().chain(&kept));
                if found.is_none() {
                    applied.unfound.push(event.place.transaction_index);
                }
                add_batch(base, &mut applied.changes, &event, batch, found)?;
            }
            Some(&PayoutsMerged::SIGNATURE_HASH) => add_merge(base, &mut applied.changes, &event)?,
            Some(&Claimed::SIGNATURE_HASH) => add_claim(&mut applied.changes, &event),
            _ => {}
        }
    }
    applied.unfound.dedup();
    Ok(applied)
}

/// What is gone from the index with a block, the last that `base` knows of.
///
/// # Errors
/// If rows cannot be read.
pub fn unwind(base: &impl Rows, block: &Block<'_>) -> Result<Changes, IndexError> {
    // The same keys: what has been added is not changed later.
    Ok(apply(base, block, &[])?.changes.into_removal())
}

/// The batches that a block settled, without an index.
pub fn batches(block: &Block<'_>) -> Vec<SettledBatch> {
    let found = block.events().filter_map(|event| {
        let (mut batch, wanted) = settled_batch(block, &event)?;
        batch.size = find(&wanted, &event, std::iter::empty()).map_or(0, |found| found.size());
        Some(batch)
    });
    found.collect()
}

/// The batch of an event, and what it takes to find its bytes.
fn settled_batch(block: &Block<'_>, event: &Event<'_>) -> Option<(SettledBatch, Wanted)> {
    let settled = BatchSettled::decode_log_data_validate(event.log).ok()?;
    let rates = settled.rates.into();
    let batch = SettledBatch {
        list: ListId::try_from(settled.list).ok()?,
        operator: settled.operator,
        sequence: settled.sequence,
        model: settled.model,
        time_base: settled.timeBase,
        time_end: settled.timeEnd,
        records: settled.records,
        payouts: settled.payouts,
        prompt_tokens: settled.promptTokens,
        completion_tokens: settled.completionTokens,
        total: settled.total,
        rates,
        record_root: settled.recordRoot,
        payout_root: settled.payoutRoot,
        detail_root: settled.detailRoot,
        size: 0,
        gas_used: event.transaction.gas_used,
        merged_into: None,
        place: event.place,
    };
    let wanted = Wanted {
        header: Header {
            chain_id: block.chain_id,
            hub: block.hub,
            model: settled.model,
            operator: settled.operator,
            sequence: settled.sequence,
            time_base: settled.timeBase,
            detail_root: settled.detailRoot,
        },
        records: settled.records,
        rates,
        record_root: settled.recordRoot,
        payout_root: settled.payoutRoot,
    };
    Some((batch, wanted))
}

/// A batch that was found.
enum Found<'a> {
    /// In its transaction's input, from here on.
    Input(usize, &'a [u8], Settled),
    /// Elsewhere.
    Seen(&'a Bytes, Settled),
}

impl Found<'_> {
    fn size(&self) -> u32 {
        match self {
            Self::Input(_, bytes, _) => bytes.len() as u32,
            Self::Seen(bytes, _) => bytes.len() as u32,
        }
    }
}

fn find<'a>(
    wanted: &Wanted,
    event: &Event<'a>,
    mut seen: impl Iterator<Item = &'a Bytes>,
) -> Option<Found<'a>> {
    let in_input = wanted.find(event.transaction.input);
    in_input
        .map(|(at, bytes, settled)| Found::Input(at, bytes, settled))
        .or_else(|| seen.find_map(|bytes| Some(Found::Seen(bytes, wanted.settle(bytes)?))))
}

fn add_batch(
    base: &impl Rows,
    changes: &mut Changes,
    event: &Event<'_>,
    mut batch: SettledBatch,
    found: Option<Found<'_>>,
) -> Result<(), IndexError> {
    let Place { block_number: block, transaction_index, log_index: log, .. } = event.place;
    let ordinal = Ordinal { block, log };
    let (list, model) = (batch.list, batch.model);
    batch.size = found.as_ref().map_or(0, Found::size);

    let mut totals = totals_before(&Layers::new(base, [&*changes]), ordinal)?;
    totals.add(&batch);
    changes.put(Table::Ordinals, ordinal.to_bytes(), OrdinalRow { list, totals }.encode());
    let (settled, offset) = match found {
        Some(Found::Input(at, _, settled)) => {
            changes.put_input(block, transaction_index, event.transaction.input.clone());
            (Some(settled), Some(at as u32))
        }
        Some(Found::Seen(bytes, settled)) => {
            changes.put(Table::Contents, list.to_bytes(), bytes.to_vec());
            (Some(settled), None)
        }
        None => (None, None),
    };
    changes.put(
        Table::Lists,
        list.to_bytes(),
        ListRow::Batch(Box::new(BatchRow { batch, offset })).encode(),
    );

    let Some(Settled { columns, payouts, .. }) = settled else { return Ok(()) };
    for (adapter, count) in columns.adapter_counts() {
        let key = table::at(&table::adapter(model, adapter), ordinal);
        changes.put(Table::Adapters, key, count.to_be_bytes());
    }
    add_payouts(changes, ordinal, &payouts);
    Ok(())
}

fn add_payouts(changes: &mut Changes, ordinal: Ordinal, payouts: &Payouts) {
    for (position, payout) in (0..).zip(payouts.list()) {
        let key = table::at(&table::payee(&payout.payee), ordinal);
        changes.put(Table::Payees, key, table::payout_value(position, payout.amount));
    }
}

fn add_merge(base: &impl Rows, changes: &mut Changes, event: &Event<'_>) -> Result<(), IndexError> {
    let Ok(merged) = PayoutsMerged::decode_log_data_validate(event.log) else { return Ok(()) };
    let Ok(list) = ListId::try_from(merged.list) else { return Ok(()) };
    let parts: Result<Vec<_>, _> =
        merged.lists.iter().map(|part| ListId::try_from(*part)).collect();
    let Ok(parts) = parts else { return Ok(()) };

    let ordinal = Ordinal { block: event.place.block_number, log: event.place.log_index };
    let view = Layers::new(base, [&*changes]);
    let totals = totals_before(&view, ordinal)?;
    let payouts = merge_parts(&view, &parts)?
        .filter(|(root, _)| *root == merged.payoutRoot)
        .map(|(_, payouts)| payouts);

    let row = MergeRow {
        parts: parts.iter().map(|part| MergeRow::part(*part)).collect(),
        payouts: merged.payouts,
        total: merged.total,
        payout_root: merged.payoutRoot,
        block: ordinal.block,
        log: ordinal.log,
        found: payouts.is_some(),
    };
    changes.put(Table::Lists, list.to_bytes(), ListRow::Merge(row).encode());
    changes.put(Table::Ordinals, ordinal.to_bytes(), OrdinalRow { list, totals }.encode());
    for part in parts {
        changes.put(Table::Merges, part.to_bytes(), list.to_bytes());
    }
    if let Some(payouts) = payouts {
        changes.put(Table::Contents, list.to_bytes(), payouts.to_bytes());
        add_payouts(changes, ordinal, &payouts);
    }
    Ok(())
}

/// The list that these make, and its root; nothing if one of them was never found.
fn merge_parts(rows: &impl Rows, parts: &[ListId]) -> Result<Option<(B256, Payouts)>, IndexError> {
    let (mut lists, mut bitmaps) = (Vec::new(), Vec::new());
    for part in parts {
        let payouts = match content::payouts(rows, *part) {
            Ok(Some(payouts)) => payouts,
            Ok(None) | Err(IndexError::Unfound(_)) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut words = vec![U256::ZERO; payouts.list().len().div_ceil(256)];
        content::claimed(rows, *part, |position| {
            if let Some(word) = words.get_mut(position as usize / 256) {
                word.set_bit(position as usize % 256, true);
            }
        })?;
        lists.push(payouts.to_bytes());
        bitmaps.push(words);
    }
    let parts: Vec<_> =
        lists.iter().zip(&bitmaps).map(|(list, words)| (&list[..], &words[..])).collect();
    Ok(merge(&parts, &mut Meter::unlimited()).ok().map(|merged| (merged.root, merged.payouts)))
}

fn add_claim(changes: &mut Changes, event: &Event<'_>) {
    let Ok(claimed) = Claimed::decode_log_data_validate(event.log) else { return };
    let (list, position) = (ListId::try_from(claimed.list), u32::try_from(claimed.position));
    if let (Ok(list), Ok(position)) = (list, position) {
        let block = event.place.block_number.to_be_bytes();
        changes.put(Table::Claims, table::claim(list, position), block);
    }
}

/// What all batches before an ordinal add up to.
pub(crate) fn totals_before(rows: &impl Rows, ordinal: Ordinal) -> Result<Totals, IndexError> {
    let last = rows.last(Table::Ordinals, &[], &ordinal.to_bytes())?;
    last.map_or(Ok(Totals::default()), |(_, value)| Ok(OrdinalRow::decode(&value)?.totals))
}
