//! Blocks, transactions, receipts and logs as op-geth writes them, field for field.
//!
//! Everything here borrows what it shows and is written straight into the answer.

mod block;
mod log;
mod receipt;
mod transaction;

pub(crate) use block::{BlockJson, HeadJson, HeaderJson};
pub(crate) use log::LogJson;
pub(crate) use receipt::{BlockReceipts, ReceiptJson};
pub(crate) use transaction::{TransactionJson, UnsignedTransactionJson};
