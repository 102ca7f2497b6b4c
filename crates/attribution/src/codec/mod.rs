//! The columns of a batch as bytes, by an adaptive range coder.
//!
//! How a column is modelled is written once, in `columns`, for any [`Coder`]: the encoder and the
//! decoder cannot disagree, and [`Columns::costs`] counts what each symbol takes.

mod columns;
mod cost;
mod frequencies;
mod number;
mod range;
mod weights;
mod words;

pub(crate) use columns::TOKEN_BITS;
pub use columns::{Column, Columns};
pub(crate) use words::MAX_WORDS;

use crate::{DecodeError, Meter};
use frequencies::Frequencies;
use range::{RangeDecoder, RangeEncoder};

/// What is wrong with the bytes of a column.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[repr(u8)]
pub enum Fault {
    /// The number lies where no symbol does.
    #[error("a symbol that does not exist")]
    NoSymbol = 1,
    /// There is a shorter or smaller number that says the same.
    #[error("not the shortest encoding")]
    NotShortest = 2,
    /// Records come in order, and the batch says that they do not.
    #[error("records in order are marked as out of order")]
    OrderNotMarked = 3,
    /// More records at one time than are left.
    #[error("more records at one time than the batch has left")]
    TooManyAtOnce = 4,
    /// A time that does not fit its type.
    #[error("a time beyond 2^32 seconds after the base")]
    TimeTooLarge = 5,
    /// More different indices than uses of them, or than 65,536.
    #[error("more different indices than there are uses of them, or than 65,536")]
    TooManyWords = 6,
    /// An index of more than 32 bits.
    #[error("an index of more than 32 bits")]
    WordTooLarge = 7,
    /// An index is listed that nothing uses.
    #[error("an index that nothing uses is listed")]
    UnusedWord = 8,
    /// A record has more sources to come, and none is left that is larger.
    #[error("sources do not ascend")]
    NoSourceLeft = 9,
    /// Weights like those of the last record with as many shares must say so.
    #[error("repeated weights are not marked as repeated")]
    RepeatNotMarked = 10,
}

/// Where symbols go to or come from.
pub(crate) trait Coder {
    /// Codes one of several parts of `total`.
    ///
    /// A writer is `given` a value, of which `part` says where it begins and how large it is. A
    /// reader learns a place and `find`s the value whose part it is in.
    fn code<T: Copy>(
        &mut self,
        total: u64,
        given: impl FnOnce() -> T,
        part: impl Fn(T) -> (u64, u64),
        find: impl Fn(u64) -> T,
    ) -> Result<T, Fault>;

    /// Codes one of `choices` values, all equally likely.
    #[inline]
    fn uniform(&mut self, choices: u64, given: impl FnOnce() -> u64) -> Result<u64, Fault> {
        if choices == 1 {
            return Ok(0);
        }
        self.code(choices, given, |value| (value, 1), |at| at)
    }
}

/// The bytes of columns.
pub(crate) fn encode(mut columns: Columns) -> Vec<u8> {
    let mut coder = RangeEncoder::new();
    for column in Column::ALL {
        columns
            .code(column, &mut coder)
            .expect("invariant: columns made from valid records can be written");
    }
    coder.finish()
}

/// The columns of `records` records. Their shares are charged before they are read.
pub(crate) fn decode(
    bytes: &[u8],
    records: usize,
    meter: &mut Meter,
) -> Result<Columns, DecodeError> {
    let mut columns = Columns::blank(records);
    let mut coder = RangeDecoder::new(bytes);
    for column in Column::ALL {
        if column == Column::Source {
            meter.charge(|gas| gas.share, columns.share_count())?;
        }
        columns.code(column, &mut coder).map_err(|fault| DecodeError::Column { column, fault })?;
    }
    coder
        .finish()
        .map_err(|fault| DecodeError::Column { column: Column::CompletionTokens, fault })?;
    Ok(columns)
}
