#![doc = include_str!("../README.md")]

pub mod answer;
mod apply;
mod block;
mod content;
mod error;
mod locate;
mod query;
mod rows;
mod table;

/// Version of the rows: an index of another one is made again.
pub const VERSION: u32 = 1;

pub use apply::{Applied, apply, batches, unwind};
pub use block::{Block, Transaction};
pub use error::IndexError;
pub use query::Index;
pub use rows::{Changes, Layers, Nothing, Row, Rows, Visit};
pub use table::Table;
