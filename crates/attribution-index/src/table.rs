//! The tables, and what is in their keys and values.
//!
//! Numbers in keys are big-endian, so that keys are in the order of what they number.

use crate::{
    IndexError,
    answer::{Place, SettledBatch, Totals},
};
use alloy_primitives::{Address, B256, U256};
use alloy_rlp::{Decodable, Encodable, RlpDecodable, RlpEncodable};
use ascribe_attribution::{ListId, Payee, Rates};

/// The tables of the index.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Table {
    /// List → batch or merge.
    Lists,
    /// Ordinal → list and running totals.
    Ordinals,
    /// Model ‖ adapter ‖ ordinal → number of the adapter's records in the batch.
    Adapters,
    /// Payee ‖ ordinal → position and amount in the list.
    Payees,
    /// List ‖ position → number of the block of the claim.
    Claims,
    /// List → the list that it was merged into.
    Merges,
    /// List → what is in it, where no transaction's input has that: batches that a contract put together, payout lists
    /// that were merged.
    Contents,
}

impl Table {
    /// All tables, in the order of `Table as usize`.
    pub const ALL: [Self; 7] = [
        Self::Lists,
        Self::Ordinals,
        Self::Adapters,
        Self::Payees,
        Self::Claims,
        Self::Merges,
        Self::Contents,
    ];
}

/// When a list was made: lists are in the order of the chain by it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ordinal {
    /// The block's number.
    pub(crate) block: u64,
    /// The event's place among the block's logs.
    pub(crate) log: u32,
}

impl Ordinal {
    pub(crate) const LENGTH: usize = 12;

    /// Before all of a block.
    pub(crate) const fn start_of(block: u64) -> Self {
        Self { block, log: 0 }
    }

    pub(crate) fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..8].copy_from_slice(&self.block.to_be_bytes());
        bytes[8..].copy_from_slice(&self.log.to_be_bytes());
        bytes
    }

    pub(crate) fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let (block, log) = bytes.split_first_chunk::<8>()?;
        Some(Self {
            block: u64::from_be_bytes(*block),
            log: u32::from_be_bytes(log.try_into().ok()?),
        })
    }

    /// The ordinal at the end of a key.
    pub(crate) fn of_key(table: Table, key: &[u8]) -> Result<Self, IndexError> {
        key.last_chunk::<{ Self::LENGTH }>()
            .and_then(|bytes| Self::from_bytes(bytes))
            .ok_or_else(|| IndexError::damaged(table, "a key without an ordinal"))
    }
}

/// Model ‖ adapter.
pub(crate) fn adapter(model: u32, adapter: u32) -> Vec<u8> {
    [model.to_be_bytes(), adapter.to_be_bytes()].concat()
}

/// The kind, and what tells payees of that kind apart: no payee's bytes begin another's.
pub(crate) fn payee(payee: &Payee) -> Vec<u8> {
    let numbers = |kind: u8, numbers: &[u32]| {
        let mut bytes = vec![kind];
        bytes.extend(numbers.iter().flat_map(|number| number.to_be_bytes()));
        bytes
    };
    match payee {
        Payee::Model { model } => numbers(1, &[*model]),
        Payee::Adapter { model, adapter } => numbers(2, &[*model, *adapter]),
        Payee::Source { model, adapter, source } => numbers(3, &[*model, *adapter, *source]),
        Payee::Operator { operator } => {
            let mut bytes = numbers(4, &[]);
            bytes.extend_from_slice(operator.as_slice());
            bytes
        }
    }
}

/// Something ‖ ordinal.
pub(crate) fn at(prefix: &[u8], ordinal: Ordinal) -> Vec<u8> {
    [prefix, &ordinal.to_bytes()].concat()
}

/// List ‖ position.
pub(crate) fn claim(list: ListId, position: u32) -> Vec<u8> {
    [&list.to_bytes()[..], &position.to_be_bytes()].concat()
}

/// The position at the end of a claim's key.
pub(crate) fn claimed_position(key: &[u8]) -> Result<u32, IndexError> {
    key.last_chunk()
        .map(|bytes| u32::from_be_bytes(*bytes))
        .ok_or_else(|| IndexError::damaged(Table::Claims, "a key without a position"))
}

/// A value that is a list's number.
pub(crate) fn list(table: Table, value: &[u8]) -> Result<ListId, IndexError> {
    value
        .first_chunk()
        .map(|bytes| ListId::from_bytes(*bytes))
        .ok_or_else(|| IndexError::damaged(table, "a value without a list"))
}

/// A value of [`Table::Payees`]: the position in four bytes, the amount in no more than it takes.
pub(crate) fn payout_value(position: u32, amount: u128) -> Vec<u8> {
    let amount = amount.to_be_bytes();
    let zeros = amount.iter().take_while(|byte| **byte == 0).count();
    [&position.to_be_bytes()[..], &amount[zeros..]].concat()
}

/// Position and amount of a value of [`Table::Payees`].
pub(crate) fn payout(value: &[u8]) -> Result<(u32, u128), IndexError> {
    let (position, amount) = value
        .split_first_chunk()
        .filter(|(_, amount)| amount.len() <= 16)
        .ok_or_else(|| IndexError::damaged(Table::Payees, "not a position and an amount"))?;
    let amount = amount.iter().fold(0, |sum, byte| sum << 8 | u128::from(*byte));
    Ok((u32::from_be_bytes(*position), amount))
}

/// A value of [`Table::Ordinals`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OrdinalRow {
    pub(crate) list: ListId,
    /// Of all batches up to and with this one.
    pub(crate) totals: Totals,
}

impl OrdinalRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let Totals {
            batches,
            records,
            payouts,
            prompt_tokens,
            completion_tokens,
            bytes,
            gas_used,
            fees,
        } = self.totals;
        let mut value = self.list.to_bytes().to_vec();
        for number in [batches, records, payouts, prompt_tokens, completion_tokens, bytes, gas_used]
        {
            value.extend(number.to_be_bytes());
        }
        value.extend(fees.to_be_bytes());
        value
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, IndexError> {
        let table = Table::Ordinals;
        let list = list(table, value)?;
        let (words, rest) = value[ListId::LENGTH..].as_chunks::<8>();
        let [batches, records, payouts, prompt, completion, bytes, gas, high, low] =
            *<&[[u8; 8]; 9]>::try_from(words)
                .ok()
                .filter(|_| rest.is_empty())
                .ok_or_else(|| IndexError::damaged(table, "not a list and totals"))?;
        let number = u64::from_be_bytes;
        let totals = Totals {
            batches: number(batches),
            records: number(records),
            payouts: number(payouts),
            prompt_tokens: number(prompt),
            completion_tokens: number(completion),
            bytes: number(bytes),
            gas_used: number(gas),
            fees: u128::from(number(high)) << 64 | u128::from(number(low)),
        };
        Ok(Self { list, totals })
    }
}

/// A value of [`Table::Lists`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum ListRow {
    Batch(Box<BatchRow>),
    Merge(MergeRow),
}

/// A batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct BatchRow {
    /// All but what it was merged into.
    pub(crate) batch: SettledBatch,
    /// Where the batch begins in its transaction's input; `None` if it isn't in there in one piece.
    pub(crate) offset: Option<u32>,
}

/// A list made by merging.
#[derive(Clone, Debug, PartialEq, Eq, RlpEncodable, RlpDecodable)]
pub(crate) struct MergeRow {
    pub(crate) parts: Vec<B256>,
    pub(crate) payouts: u32,
    pub(crate) total: u128,
    pub(crate) payout_root: B256,
    pub(crate) block: u64,
    pub(crate) log: u32,
    /// Whether the content was found.
    pub(crate) found: bool,
}

impl MergeRow {
    /// Lists as they are kept here.
    pub(crate) fn part(list: ListId) -> B256 {
        list.number().into()
    }

    /// The lists that it was made of.
    pub(crate) fn parts(&self) -> Result<Vec<ListId>, IndexError> {
        self.parts
            .iter()
            .map(|part| ListId::try_from(U256::from_be_bytes(part.0)))
            .collect::<Result<_, _>>()
            .map_err(|_| IndexError::damaged(Table::Lists, "a part that is no list"))
    }
}

/// A batch's row as RLP.
#[derive(RlpEncodable, RlpDecodable)]
struct Batch {
    operator: Address,
    sequence: u64,
    model: u32,
    time_base: u64,
    time_end: u64,
    records: u32,
    payouts: u32,
    prompt_tokens: u64,
    completion_tokens: u64,
    total: u128,
    prompt_price: u128,
    completion_price: u128,
    record_price: u128,
    model_share: u16,
    adapter_share: u16,
    source_share: u16,
    operator_share: u16,
    record_root: B256,
    payout_root: B256,
    detail_root: B256,
    size: u32,
    gas_used: u64,
    block_number: u64,
    block_hash: B256,
    block_timestamp: u64,
    transaction_hash: B256,
    transaction_index: u32,
    log_index: u32,
    /// One more than the offset; zero if there is none.
    offset: u64,
}

const BATCH: u8 = 0;
const MERGE: u8 = 1;

impl ListRow {
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut value = Vec::with_capacity(512);
        match self {
            Self::Batch(row) => {
                value.push(BATCH);
                Batch::from(&**row).encode(&mut value);
            }
            Self::Merge(row) => {
                value.push(MERGE);
                row.encode(&mut value);
            }
        }
        value
    }

    pub(crate) fn decode(value: &[u8]) -> Result<Self, IndexError> {
        let bad = || IndexError::damaged(Table::Lists, "neither a batch nor a merge");
        let (kind, mut rest) = value.split_first().ok_or_else(bad)?;
        let row = match *kind {
            BATCH => Batch::decode(&mut rest).map(|row| Self::Batch(Box::new(row.into()))),
            MERGE => MergeRow::decode(&mut rest).map(Self::Merge),
            _ => return Err(bad()),
        };
        row.ok().filter(|_| rest.is_empty()).ok_or_else(bad)
    }
}

impl From<&BatchRow> for Batch {
    fn from(BatchRow { batch, offset }: &BatchRow) -> Self {
        Self {
            operator: batch.operator,
            sequence: batch.sequence,
            model: batch.model,
            time_base: batch.time_base,
            time_end: batch.time_end,
            records: batch.records,
            payouts: batch.payouts,
            prompt_tokens: batch.prompt_tokens,
            completion_tokens: batch.completion_tokens,
            total: batch.total,
            prompt_price: batch.rates.prompt,
            completion_price: batch.rates.completion,
            record_price: batch.rates.record,
            model_share: batch.rates.model_share,
            adapter_share: batch.rates.adapter_share,
            source_share: batch.rates.source_share,
            operator_share: batch.rates.operator_share,
            record_root: batch.record_root,
            payout_root: batch.payout_root,
            detail_root: batch.detail_root,
            size: batch.size,
            gas_used: batch.gas_used,
            block_number: batch.place.block_number,
            block_hash: batch.place.block_hash,
            block_timestamp: batch.place.block_timestamp,
            transaction_hash: batch.place.transaction_hash,
            transaction_index: batch.place.transaction_index,
            log_index: batch.place.log_index,
            offset: offset.map_or(0, |offset| u64::from(offset) + 1),
        }
    }
}

impl From<Batch> for BatchRow {
    fn from(row: Batch) -> Self {
        let batch = SettledBatch {
            list: ListId::of_batch(row.operator, row.sequence),
            operator: row.operator,
            sequence: row.sequence,
            model: row.model,
            time_base: row.time_base,
            time_end: row.time_end,
            records: row.records,
            payouts: row.payouts,
            prompt_tokens: row.prompt_tokens,
            completion_tokens: row.completion_tokens,
            total: row.total,
            rates: Rates {
                prompt: row.prompt_price,
                completion: row.completion_price,
                record: row.record_price,
                model_share: row.model_share,
                adapter_share: row.adapter_share,
                source_share: row.source_share,
                operator_share: row.operator_share,
            },
            record_root: row.record_root,
            payout_root: row.payout_root,
            detail_root: row.detail_root,
            size: row.size,
            gas_used: row.gas_used,
            merged_into: None,
            place: Place {
                block_number: row.block_number,
                block_hash: row.block_hash,
                block_timestamp: row.block_timestamp,
                transaction_hash: row.transaction_hash,
                transaction_index: row.transaction_index,
                log_index: row.log_index,
            },
        };
        Self { batch, offset: row.offset.checked_sub(1).map(|offset| offset as u32) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn payees_keep_apart_and_amounts_are_short() {
        let payees = [
            Payee::Model { model: 1 },
            Payee::Adapter { model: 1, adapter: 2 },
            Payee::Source { model: 1, adapter: 2, source: 3 },
            Payee::Operator { operator: Address::repeat_byte(1) },
        ];
        let keys = payees.map(|of| payee(&of));
        assert!(keys.is_sorted());
        assert_eq!(keys.map(|key| key.len()), [5, 9, 13, 21]);
        for amount in [0, 1, 255, 256, u128::MAX] {
            let value = payout_value(7, amount);
            assert_eq!(payout(&value).expect("a value"), (7, amount));
        }
        assert_eq!(payout_value(7, 256).len(), 6);
        assert!(payout(&[0; 3]).is_err() && payout(&[0; 21]).is_err());
    }

    #[test]
    fn damaged_rows_are_refused() {
        let row = OrdinalRow {
            list: ListId::of_merge(3),
            totals: Totals { batches: 1, records: 2, fees: u128::MAX - 5, ..Totals::default() },
        };
        let value = row.encode();
        assert_eq!(OrdinalRow::decode(&value).expect("a row"), row);
        assert!(OrdinalRow::decode(&value[1..]).is_err() && OrdinalRow::decode(&[]).is_err());
        let merge = ListRow::Merge(MergeRow {
            parts: vec![MergeRow::part(ListId::of_merge(1)), B256::ZERO],
            payouts: 3,
            total: 9,
            payout_root: B256::repeat_byte(1),
            block: 4,
            log: 5,
            found: true,
        });
        let value = merge.encode();
        assert_eq!(ListRow::decode(&value).expect("a row"), merge);
        for cut in 0..value.len() {
            assert!(ListRow::decode(&value[..cut]).is_err());
        }
        assert!(ListRow::decode(&[&value[..], &[0]].concat()).is_err());
        assert!(ListRow::decode(&[2]).is_err());
    }
}
