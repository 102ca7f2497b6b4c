//! What is wrong with a batch.

use crate::{
    Column, Fault, MAX_BATCH_LENGTH, MAX_RECORDS, RecordError, codec::MAX_WORDS,
    header::HEADER_LENGTH,
};

/// The gas does not suffice for what is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("out of gas")]
pub struct OutOfGas;

/// Why records cannot be a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// None, or too many.
    #[error("{0} records, a batch has 1 to {MAX_RECORDS}")]
    Records(usize),
    /// A record that isn't valid, or not after the one before it.
    #[error("record {index}: {error}")]
    Record {
        /// Which, from 0.
        index: usize,
        /// What is wrong with it.
        error: RecordError,
    },
    /// Too many different sources.
    #[error("{0} different sources, a batch has at most {MAX_WORDS}")]
    Sources(usize),
    /// The last record's time does not fit 64 bits.
    #[error("the time base and a record's time exceed 64 bits")]
    TimeOverflow,
    /// Records that do not compress.
    #[error("{0} bytes, a batch has at most {MAX_BATCH_LENGTH}")]
    TooLong(usize),
}

/// Why bytes are not a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// Not even a header.
    #[error("{0} bytes, a header has {HEADER_LENGTH}")]
    TooShort(usize),
    /// More bytes than any batch has.
    #[error("{0} bytes, a batch has at most {MAX_BATCH_LENGTH}")]
    TooLong(usize),
    /// A format of another time.
    #[error("version {0} of the format is not known")]
    Version(u8),
    /// The header is about more or fewer bytes.
    #[error("the header announces {said} bytes of columns, {found} follow")]
    Length {
        /// What the header says.
        said: usize,
        /// What is there.
        found: usize,
    },
    /// None, or too many.
    #[error("{0} records, a batch has 1 to {MAX_RECORDS}")]
    Records(usize),
    /// A column that no encoder writes.
    #[error("column {column:?}: {fault}")]
    Column {
        /// Where.
        column: Column,
        /// What.
        fault: Fault,
    },
    /// The last record's time does not fit 64 bits.
    #[error("the time base and a record's time exceed 64 bits")]
    TimeOverflow,
    /// The meter says so.
    #[error(transparent)]
    OutOfGas(#[from] OutOfGas),
}
