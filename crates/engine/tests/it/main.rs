//! The engine from outside: everything goes through its handle, over a storage on disk.
#![allow(clippy::unwrap_used, missing_docs)]

mod building;
mod forkchoice;
mod node;
mod payloads;
mod persistence;
mod reorgs;
mod views;
