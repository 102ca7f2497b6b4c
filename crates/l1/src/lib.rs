#![doc = include_str!("../README.md")]

mod blobs;
mod block;
mod cache;
mod client;
mod error;
mod heads;
mod metrics;
mod options;
mod receipts;
#[cfg(test)]
mod test_endpoint;

pub use ascribe_chainspec::L1BlockRef;
pub use blobs::BlobSchedule;
pub use block::{L1Block, L1Tag};
pub use client::L1Client;
pub use error::{ErrorClass, L1Error};
pub use heads::L1Heads;
pub use options::{L1Options, RetryPolicy};
pub use receipts::L1Receipt;
