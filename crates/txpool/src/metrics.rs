//! Counters under reth's names.

use crate::{content::PoolStatus, ledger::Changes};
use metrics::{Counter, Gauge, counter, gauge};

/// Handles are made once, so a recorder must be installed before the pool is.
#[derive(Debug)]
pub(crate) struct PoolMetrics {
    pub(crate) inserted: Counter,
    pub(crate) invalid: Counter,
    pub(crate) removed: Counter,
    pub(crate) reinserted: Counter,
    pub(crate) performed_state_updates: Counter,
    evicted: [Counter; 3],
    count: [Gauge; 3],
    bytes: [Gauge; 3],
    total: Gauge,
}

impl Default for PoolMetrics {
    fn default() -> Self {
        Self {
            inserted: counter!("reth_transaction_pool_inserted_transactions"),
            invalid: counter!("reth_transaction_pool_invalid_transactions"),
            removed: counter!("reth_transaction_pool_removed_transactions"),
            reinserted: counter!("reth_transaction_pool_reinserted_transactions"),
            performed_state_updates: counter!("reth_transaction_pool_performed_state_updates"),
            evicted: [
                counter!("reth_transaction_pool_pending_transactions_evicted"),
                counter!("reth_transaction_pool_basefee_transactions_evicted"),
                counter!("reth_transaction_pool_queued_transactions_evicted"),
            ],
            count: [
                gauge!("reth_transaction_pool_pending_pool_transactions"),
                gauge!("reth_transaction_pool_basefee_pool_transactions"),
                gauge!("reth_transaction_pool_queued_pool_transactions"),
            ],
            bytes: [
                gauge!("reth_transaction_pool_pending_pool_size_bytes"),
                gauge!("reth_transaction_pool_basefee_pool_size_bytes"),
                gauge!("reth_transaction_pool_queued_pool_size_bytes"),
            ],
            total: gauge!("reth_transaction_pool_total_transactions"),
        }
    }
}

impl PoolMetrics {
    pub(crate) fn record(&self, changes: &Changes) {
        for (counter, evicted) in self.evicted.iter().zip(changes.evicted) {
            counter.increment(evicted as u64);
        }
        self.removed.increment((changes.dropped + changes.evicted.iter().sum::<usize>()) as u64);
    }

    pub(crate) fn show(&self, status: &PoolStatus) {
        let tallies = [status.pending, status.basefee, status.queued];
        for (pool, tally) in tallies.into_iter().enumerate() {
            self.count[pool].set(tally.count as f64);
            self.bytes[pool].set(tally.bytes as f64);
        }
        self.total.set(status.total() as f64);
    }
}
