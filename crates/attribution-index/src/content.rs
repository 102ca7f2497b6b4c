//! What is in a list.

use crate::{
    IndexError, Rows, Table,
    table::{self, BatchRow, ListRow},
};
use alloy_primitives::Bytes;
use ascribe_attribution::{ListId, Meter, Payouts, settle};
use std::ops::ControlFlow;

/// A list's row.
pub(crate) fn row(rows: &impl Rows, list: ListId) -> Result<Option<ListRow>, IndexError> {
    rows.get(Table::Lists, &list.to_bytes())?.map(|value| ListRow::decode(&value)).transpose()
}

/// The bytes of a batch.
pub(crate) fn batch(rows: &impl Rows, row: &BatchRow) -> Result<Bytes, IndexError> {
    let BatchRow { batch, offset } = row;
    let bytes = match *offset {
        Some(offset) => {
            let input = rows.input(batch.place.block_number, batch.place.transaction_index)?;
            let (from, length) = (offset as usize, batch.size as usize);
            let within =
                |input: &Bytes| from.checked_add(length).is_some_and(|end| end <= input.len());
            input.filter(within).map(|input| input.slice(from..from + length))
        }
        None if batch.size == 0 => return Err(IndexError::Unfound(batch.list)),
        None => rows.get(Table::Contents, &batch.list.to_bytes())?.map(Bytes::from),
    };
    bytes.ok_or_else(|| IndexError::damaged(Table::Lists, "it points to a batch that is not there"))
}

/// The payouts of a list, if there is such a list.
pub(crate) fn payouts(rows: &impl Rows, list: ListId) -> Result<Option<Payouts>, IndexError> {
    match row(rows, list)? {
        None => Ok(None),
        Some(ListRow::Batch(row)) => {
            let bytes = batch(rows, &row)?;
            let settled = settle(&bytes, &row.batch.rates, &mut Meter::unlimited()).ok();
            settled
                .filter(|settled| settled.payout_root == row.batch.payout_root)
                .map(|settled| Some(settled.payouts))
                .ok_or_else(|| IndexError::damaged(Table::Lists, "a batch that is another one"))
        }
        Some(ListRow::Merge(row)) if !row.found => Err(IndexError::Unfound(list)),
        Some(ListRow::Merge(_)) => {
            let content = rows.get(Table::Contents, &list.to_bytes())?;
            content
                .and_then(|bytes| Payouts::from_bytes(&bytes).ok())
                .map(Some)
                .ok_or_else(|| IndexError::damaged(Table::Contents, "not a payout list"))
        }
    }
}

/// Tells of all positions of a list that are claimed.
pub(crate) fn claimed(
    rows: &impl Rows,
    list: ListId,
    mut tell: impl FnMut(u32),
) -> Result<(), IndexError> {
    // A position is in four bytes, so that this is after all of them.
    let (from, to) = (list.to_bytes(), [&list.to_bytes()[..], &[0xff; 5]].concat());
    rows.scan(Table::Claims, &from, &to, &mut |key, _| {
        tell(table::claimed_position(key)?);
        Ok(ControlFlow::Continue(()))
    })
}

/// Whether a position of a list is claimed.
pub(crate) fn is_claimed(
    rows: &impl Rows,
    list: ListId,
    position: u32,
) -> Result<bool, IndexError> {
    Ok(rows.get(Table::Claims, &table::claim(list, position))?.is_some())
}

/// The list that one was merged into.
pub(crate) fn merged_into(rows: &impl Rows, list: ListId) -> Result<Option<ListId>, IndexError> {
    let value = rows.get(Table::Merges, &list.to_bytes())?;
    value.map(|value| table::list(Table::Merges, &value)).transpose()
}
