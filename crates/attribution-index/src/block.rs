//! What the index reads of a block.

use crate::answer::Place;
use alloy_primitives::{Address, B256, Bytes, Log, LogData};

/// A block as far as it concerns the index.
#[derive(Clone, Debug)]
pub struct Block<'a> {
    /// The chain's id, which its batches name.
    pub chain_id: u64,
    /// The hub whose events count.
    pub hub: Address,
    /// Number.
    pub number: u64,
    /// Hash.
    pub hash: B256,
    /// Seconds since 1970-01-01.
    pub timestamp: u64,
    /// The transactions, in order.
    pub transactions: Vec<Transaction<'a>>,
}

/// A transaction with what it did.
#[derive(Clone, Debug)]
pub struct Transaction<'a> {
    /// Hash.
    pub hash: B256,
    /// Its input.
    pub input: &'a Bytes,
    /// Gas that it used.
    pub gas_used: u64,
    /// What it logged.
    pub logs: &'a [Log],
}

/// An event of the hub.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Event<'a> {
    pub(crate) place: Place,
    pub(crate) transaction: &'a Transaction<'a>,
    pub(crate) log: &'a LogData,
}

impl Block<'_> {
    /// The hub's events, in order.
    pub(crate) fn events(&self) -> impl Iterator<Item = Event<'_>> {
        let mut log_index = 0;
        let transactions = (0..).zip(&self.transactions);
        transactions.flat_map(move |(transaction_index, transaction)| {
            let first = log_index;
            log_index += transaction.logs.len() as u32;
            let logs = (first..).zip(transaction.logs);
            logs.filter(|(_, log)| log.address == self.hub).map(move |(log_index, log)| Event {
                place: Place {
                    block_number: self.number,
                    block_hash: self.hash,
                    block_timestamp: self.timestamp,
                    transaction_hash: transaction.hash,
                    transaction_index,
                    log_index,
                },
                transaction,
                log: &log.data,
            })
        })
    }
}
