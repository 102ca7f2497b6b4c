//! What a batch says about all its records.

use crate::DecodeError;
use alloy_primitives::{Address, B256};
use serde::{Deserialize, Serialize};

/// The format that this crate reads and writes.
pub const VERSION: u8 = 1;
/// Bytes of a header.
pub const HEADER_LENGTH: usize = 109;
/// Records a batch has at most.
pub const MAX_RECORDS: usize = 1 << 16;
/// Bytes a batch has at most. At 40 gas a byte (EIP-7623) no transaction under the cap of EIP-7825 has
/// as many.
pub const MAX_BATCH_LENGTH: usize = 1 << 19;

/// Who vouches for a batch, for which chain and contract, and in what order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Header {
    /// The chain that the batch is for.
    pub chain_id: u64,
    /// The contract that settles it.
    pub hub: Address,
    /// The model that answered, by its number in the hub.
    pub model: u32,
    /// Who submits the batch and answers for it.
    pub operator: Address,
    /// How many batches of this operator for this hub came before.
    pub sequence: u64,
    /// Seconds since 1970-01-01 that the records' times count from.
    pub time_base: u64,
    /// Merkle root of the records' details, see [`crate::Detail`].
    pub detail_root: B256,
}

impl Header {
    /// The header's bytes for that many records in that many bytes of columns.
    pub fn to_bytes(&self, records: u32, columns: u32) -> [u8; HEADER_LENGTH] {
        let mut bytes = [0; HEADER_LENGTH];
        let mut rest = &mut bytes[..];
        let fields: [&[u8]; 10] = [
            &[VERSION],
            &self.chain_id.to_be_bytes(),
            self.hub.as_slice(),
            &self.model.to_be_bytes(),
            self.operator.as_slice(),
            &self.sequence.to_be_bytes(),
            &self.time_base.to_be_bytes(),
            self.detail_root.as_slice(),
            &records.to_be_bytes(),
            &columns.to_be_bytes(),
        ];
        for field in fields {
            let (place, after) = rest.split_at_mut(field.len());
            place.copy_from_slice(field);
            rest = after;
        }
        bytes
    }

    /// The header, and how many records in how many bytes of columns it announces: [`Self::to_bytes`] undone.
    /// Whether a batch can have as many is not checked.
    ///
    /// # Errors
    /// If it is of another version.
    pub fn from_bytes(bytes: &[u8; HEADER_LENGTH]) -> Result<(Self, u32, u32), DecodeError> {
        let mut fields = Fields(bytes);
        let [version] = fields.take();
        if version != VERSION {
            return Err(DecodeError::Version(version));
        }
        let header = Self {
            chain_id: u64::from_be_bytes(fields.take()),
            hub: Address::new(fields.take()),
            model: u32::from_be_bytes(fields.take()),
            operator: Address::new(fields.take()),
            sequence: u64::from_be_bytes(fields.take()),
            time_base: u64::from_be_bytes(fields.take()),
            detail_root: B256::new(fields.take()),
        };
        let (records, columns) = (fields.take(), fields.take());
        Ok((header, u32::from_be_bytes(records), u32::from_be_bytes(columns)))
    }

    /// The header, the number of records, and the bytes of the columns.
    ///
    /// # Errors
    /// If the batch is too short or too long, of another version, has no records or too many, or its
    /// length isn't what the header says.
    pub fn from_batch(batch: &[u8]) -> Result<(Self, usize, &[u8]), DecodeError> {
        if batch.len() > MAX_BATCH_LENGTH {
            return Err(DecodeError::TooLong(batch.len()));
        }
        let (header, columns) =
            batch.split_first_chunk::<HEADER_LENGTH>().ok_or(DecodeError::TooShort(batch.len()))?;
        let (header, records, length) = Self::from_bytes(header)?;
        let (records, length) = (records as usize, length as usize);
        if length != columns.len() {
            return Err(DecodeError::Length { said: length, found: columns.len() });
        }
        if records == 0 || records > MAX_RECORDS {
            return Err(DecodeError::Records(records));
        }
        Ok((header, records, columns))
    }
}

/// What is left of a header.
struct Fields<'a>(&'a [u8]);

impl Fields<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (field, rest) =
            self.0.split_first_chunk().expect("invariant: the header has the length of its fields");
        self.0 = rest;
        *field
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::batch::tests::header;

    #[test]
    fn headers_are_read_as_written() {
        let header = header();
        for (records, columns) in [(0, 0), (1, 2), (u32::MAX, u32::MAX)] {
            let mut bytes = header.to_bytes(records, columns);
            assert_eq!(Header::from_bytes(&bytes), Ok((header, records, columns)));
            bytes[0] = 2;
            assert_eq!(Header::from_bytes(&bytes), Err(DecodeError::Version(2)));
        }
    }
}
