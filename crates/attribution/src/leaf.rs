//! The leaves of the record tree.

use crate::{Columns, HEADER_LENGTH, Header, MAX_SHARES, Record, Share, merkle};
use alloy_primitives::{B256, keccak256};

/// The leaves of the record tree: first the header's, then the records' in order.
///
/// The header's leaf is keccak256 of a zero byte and the header as in `bytes`, the batch. A record's is
/// keccak256 of a byte of 1, the record's index, adapter, prompt tokens and completion tokens (four bytes
/// each), its time since 1970-01-01 (eight), the number of its shares (one), and for each its source (four)
/// and weight (two), all big-endian.
pub fn record_leaves(bytes: &[u8], header: &Header, columns: &Columns) -> Vec<B256> {
    let mut share = 0;
    let records = (0..columns.record_count()).map(|at| {
        let shares = share..share + usize::from(columns.shares[at]);
        share = shares.end;
        let numbers = [
            at as u32,
            columns.adapter_words[columns.adapters[at] as usize],
            columns.prompt_tokens[at],
            columns.completion_tokens[at],
        ];
        let time = header.time_base + u64::from(columns.times[at]);
        let sources = columns.sources[shares.clone()].iter();
        let shares = sources.zip(&columns.weights[shares]).map(|(source, weight)| Share {
            source: columns.source_words[*source as usize],
            weight: *weight,
        });
        Message::new(numbers, time, columns.shares[at], shares)
    });
    let mut leaves = merkle::hashes(records);
    leaves.insert(0, header_leaf(bytes));
    leaves
}

/// The first leaf of the record tree, of a batch or its header alone.
///
/// # Panics
/// If there are fewer bytes than a header has.
pub fn header_leaf(bytes: &[u8]) -> B256 {
    let mut message = [0; HEADER_LENGTH + 1];
    message[1..].copy_from_slice(&bytes[..HEADER_LENGTH]);
    keccak256(message)
}

impl Record {
    /// The leaf of the record tree that this record has as the batch's `index`th.
    pub fn leaf(&self, index: u32, time_base: u64) -> B256 {
        let numbers = [index, self.adapter, self.prompt_tokens, self.completion_tokens];
        let time = time_base + u64::from(self.time);
        let shares = self.shares.iter().copied();
        keccak256(Message::new(numbers, time, self.shares.len() as u8, shares))
    }
}

/// The message of a record's leaf.
struct Message {
    bytes: [u8; 26 + 6 * MAX_SHARES],
    length: usize,
}

impl Message {
    #[inline]
    fn new(numbers: [u32; 4], time: u64, count: u8, shares: impl Iterator<Item = Share>) -> Self {
        let mut message = Self { bytes: [0; 26 + 6 * MAX_SHARES], length: 0 };
        message.put(&[1]);
        for number in numbers {
            message.put(&number.to_be_bytes());
        }
        message.put(&time.to_be_bytes());
        message.put(&[count]);
        for share in shares {
            message.put(&share.source.to_be_bytes());
            message.put(&share.weight.to_be_bytes());
        }
        message
    }

    #[inline]
    fn put(&mut self, field: &[u8]) {
        self.bytes[self.length..self.length + field.len()].copy_from_slice(field);
        self.length += field.len();
    }
}

impl AsRef<[u8]> for Message {
    fn as_ref(&self) -> &[u8] {
        &self.bytes[..self.length]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests as samples;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_record_has_its_leaf_by_itself(batch in samples::batch()) {
            let bytes = batch.encode().expect("valid records");
            let (header, columns) = Columns::of_batch(&bytes).expect("a batch");
            let leaves = record_leaves(&bytes, &header, &columns);
            prop_assert_eq!(leaves[0], header_leaf(&bytes));
            for (index, record) in (0..).zip(&batch.records) {
                prop_assert_eq!(leaves[index as usize + 1], record.leaf(index, header.time_base));
            }
        }
    }
}
