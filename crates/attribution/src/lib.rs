#![doc = include_str!("../README.md")]

pub mod abi;
mod batch;
mod codec;
mod detail;
mod error;
mod gas;
mod header;
pub mod hub;
mod leaf;
mod list;
mod list_id;
pub mod merkle;
mod payout;
mod record;
mod settle;

pub use batch::Batch;
pub use codec::{Column, Columns, Fault};
pub use detail::Detail;
pub use error::{DecodeError, EncodeError, OutOfGas};
pub use gas::{GasSchedule, Meter};
pub use header::{HEADER_LENGTH, Header, MAX_BATCH_LENGTH, MAX_RECORDS, VERSION};
pub use leaf::{header_leaf, record_leaves};
pub use list::{ListError, MAX_PAYOUTS, MergeError, Merged, merge};
pub use list_id::{ListId, NotAList};
pub use payout::{FeeOverflow, Payee, Payout, Payouts, Rates, RatesError};
pub use record::{MAX_SHARES, MAX_TOKENS, Record, RecordError, Share, WHOLE};
pub use settle::{SettleError, Settled, settle};
