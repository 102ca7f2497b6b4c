//! What the pool holds, as `txpool_` methods show it.

use crate::{
    PooledTx,
    sender::{SenderQueue, SubPool, Tally},
};
use alloy_primitives::Address;
use std::{collections::BTreeMap, sync::Arc};

/// The transactions of one account, in the order of their nonces.
#[derive(Debug, Clone, Default)]
pub struct AccountContent {
    /// Executable one after another, whatever their fee cap (as in go-ethereum).
    pub pending: Vec<Arc<PooledTx>>,
    /// Behind a gap.
    pub queued: Vec<Arc<PooledTx>>,
}

impl AccountContent {
    pub(crate) fn of(queue: &SenderQueue) -> Self {
        let executable = queue.txs(SubPool::Pending).chain(queue.txs(SubPool::Basefee));
        Self {
            pending: executable.cloned().collect(),
            queued: queue.txs(SubPool::Queued).cloned().collect(),
        }
    }
}

/// Everything in the pool, by sender.
pub type PoolContent = BTreeMap<Address, AccountContent>;

/// How much is in each part of the pool.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PoolStatus {
    /// The next block could hold them.
    pub pending: Tally,
    /// Executable, but for a fee cap below the next base fee.
    pub basefee: Tally,
    /// Behind a gap.
    pub queued: Tally,
}

impl PoolStatus {
    pub(crate) const fn of([pending, basefee, queued]: [Tally; 3]) -> Self {
        Self { pending, basefee, queued }
    }

    /// Transactions that go-ethereum calls pending: executable, whatever their fee cap.
    pub const fn executable(&self) -> usize {
        self.pending.count + self.basefee.count
    }

    /// All transactions.
    pub const fn total(&self) -> usize {
        self.executable() + self.queued.count
    }
}
