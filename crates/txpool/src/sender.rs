//! The transactions of one sender, in the order of their nonces.

use crate::{PoolAccount, PooledTx};
use alloy_consensus::Transaction;
use alloy_primitives::U256;
use std::{cmp::Reverse, collections::VecDeque, ops::Range, sync::Arc};

/// The parts of the pool. A sender's transactions lie in them in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SubPool {
    /// The next block could hold it.
    Pending = 0,
    /// Its nonce is next, but it or one before it has a fee cap below the base fee.
    Basefee = 1,
    /// There is a gap before it.
    Queued = 2,
}

impl SubPool {
    pub(crate) const ALL: [Self; 3] = [Self::Pending, Self::Basefee, Self::Queued];
}

/// How much is there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Tally {
    /// Transactions.
    pub count: usize,
    /// Their bytes, as [`PooledTx::size`] counts them.
    pub bytes: usize,
}

impl Tally {
    fn add(&mut self, size: usize) {
        self.count += 1;
        self.bytes += size;
    }

    fn sub(&mut self, size: usize) {
        self.count -= 1;
        self.bytes -= size;
    }

    /// Takes `old` out and puts `new` in.
    pub(crate) fn exchange(&mut self, old: Self, new: Self) {
        self.count = self.count + new.count - old.count;
        self.bytes = self.bytes + new.bytes - old.bytes;
    }
}

/// Where a sender stands in the order of inclusion: the best tip first, then who came first.
pub(crate) type HeadKey = (Reverse<u128>, u64);

/// Where a sender's last transaction of a sub-pool stands in the order of eviction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct WorstKey {
    standing: Standing,
    /// Effective tip at the next base fee, of the cheapest transaction up to this one: it cannot
    /// be included before those, so it is worth no more.
    tip: u128,
    fee_cap: u128,
    tip_cap: u128,
    /// Of equals, the newest goes first. It also makes keys unique.
    id: Reverse<u64>,
}

/// Who goes first, whatever the price.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// Beyond the slots that its account is granted.
    Excess,
    Granted,
    Local,
}

/// A transaction and what the pool derived of it under the current head.
#[derive(Debug)]
pub(crate) struct Slot {
    pub(crate) tx: Arc<PooledTx>,
    /// Wei it may cost at most.
    pub(crate) cost: U256,
    /// The least fee cap of this and all before it.
    floor_fee_cap: u128,
    /// The least tip cap of this and all before it.
    floor_tip: u128,
}

impl Slot {
    pub(crate) const fn new(tx: Arc<PooledTx>, cost: U256) -> Self {
        Self { tx, cost, floor_fee_cap: 0, floor_tip: 0 }
    }
}

/// The places a sender has in the pool's orders.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Places {
    pub(crate) head: Option<HeadKey>,
    pub(crate) worst: [Option<WorstKey>; 3],
    pub(crate) tally: [Tally; 3],
}

/// All transactions of one sender.
///
/// `slots[..ready]` are pending, `slots[ready..executable]` wait for a lower base fee,
/// `slots[executable..]` wait behind a gap.
#[derive(Debug)]
pub(crate) struct SenderQueue {
    pub(crate) account: PoolAccount,
    slots: VecDeque<Slot>,
    ready: usize,
    executable: usize,
    /// Wei that the executable ones may cost together, modulo 2^256.
    spent: U256,
    tally: [Tally; 3],
    /// What the pool's orders and sums know of this sender.
    pub(crate) indexed: Places,
}

impl SenderQueue {
    pub(crate) fn new(account: PoolAccount) -> Self {
        Self {
            account,
            slots: VecDeque::new(),
            ready: 0,
            executable: 0,
            spent: U256::ZERO,
            tally: [Tally::default(); 3],
            indexed: Places::default(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.slots.is_empty()
    }

    pub(crate) const fn spent(&self) -> U256 {
        self.spent
    }

    /// The nonce after the last executable transaction.
    pub(crate) const fn next_nonce(&self) -> u64 {
        self.account.nonce + self.executable as u64
    }

    pub(crate) const fn has_executable(&self) -> bool {
        self.executable > 0
    }

    /// The slots of a sub-pool.
    pub(crate) const fn range(&self, pool: SubPool) -> Range<usize> {
        match pool {
            SubPool::Pending => 0..self.ready,
            SubPool::Basefee => self.ready..self.executable,
            SubPool::Queued => self.executable..usize::MAX,
        }
    }

    /// The transactions of a sub-pool in order.
    pub(crate) fn txs(&self, pool: SubPool) -> impl Iterator<Item = &Arc<PooledTx>> {
        let range = self.range(pool);
        self.slots.range(range.start..range.end.min(self.slots.len())).map(|slot| &slot.tx)
    }

    /// The slot of `nonce`, or where it would go.
    pub(crate) fn find(&self, nonce: u64) -> Result<usize, usize> {
        // Most often the next one is asked for.
        match self.slots.back() {
            None => Err(0),
            Some(last) if last.tx.nonce() < nonce => Err(self.slots.len()),
            Some(_) => self.slots.binary_search_by_key(&nonce, |slot| slot.tx.nonce()),
        }
    }

    pub(crate) fn slot(&self, at: usize) -> &Slot {
        &self.slots[at]
    }

    pub(crate) const fn is_executable(&self, at: usize) -> bool {
        at < self.executable
    }

    const fn sub_pool(&self, at: usize) -> SubPool {
        sub_pool(at, self.ready, self.executable)
    }

    /// Puts a transaction with a new nonce, which is never below the executable ones.
    pub(crate) fn insert(&mut self, at: usize, slot: Slot) {
        debug_assert!(at >= self.executable, "executable nonces have no gaps");
        self.tally[SubPool::Queued as usize].add(slot.tx.size());
        self.slots.insert(at, slot);
        self.set_floors(at);
    }

    /// Puts a transaction in place of another with its nonce.
    pub(crate) fn replace(&mut self, at: usize, slot: Slot) -> Slot {
        let tally = &mut self.tally[self.sub_pool(at) as usize];
        tally.sub(self.slots[at].tx.size());
        tally.add(slot.tx.size());
        if at < self.executable {
            self.spent = self.spent - self.slots[at].cost + slot.cost;
        }
        let old = std::mem::replace(&mut self.slots[at], slot);
        self.set_floors(at);
        old
    }

    /// Takes a transaction out. Those behind it are queued.
    pub(crate) fn remove(&mut self, at: usize) -> Slot {
        self.set_bounds(self.ready.min(at), self.executable.min(at));
        let slot = self.slots.remove(at).expect("callers found the slot");
        self.tally[SubPool::Queued as usize].sub(slot.tx.size());
        self.set_floors(at);
        slot
    }

    /// Takes out the transactions below the account's nonce.
    pub(crate) fn forward(&mut self, dropped: &mut Vec<Slot>) {
        let before = dropped.len();
        while let Some(slot) = self.slots.pop_front_if(|slot| slot.tx.nonce() < self.account.nonce)
        {
            let index = dropped.len() - before;
            let pool = self.sub_pool(index);
            self.tally[pool as usize].sub(slot.tx.size());
            if index < self.executable {
                self.spent -= slot.cost;
            }
            dropped.push(slot);
        }
        let gone = dropped.len() - before;
        self.ready = self.ready.saturating_sub(gone);
        self.executable = self.executable.saturating_sub(gone);
        if gone > 0 {
            self.set_floors(0);
        }
    }

    /// Takes out the transactions that `keep` refuses. Those behind the first are queued.
    pub(crate) fn retain(&mut self, mut keep: impl FnMut(&Slot) -> bool, dropped: &mut Vec<Slot>) {
        let Some(first) = self.slots.iter().position(|slot| !keep(slot)) else { return };
        self.set_bounds(self.ready.min(first), self.executable.min(first));
        for slot in self.slots.split_off(first) {
            if keep(&slot) {
                self.slots.push_back(slot);
            } else {
                self.tally[SubPool::Queued as usize].sub(slot.tx.size());
                dropped.push(slot);
            }
        }
        self.set_floors(first);
    }

    /// Prices every transaction anew.
    pub(crate) fn reprice(&mut self, mut cost: impl FnMut(&PooledTx) -> U256) {
        for (at, slot) in self.slots.iter_mut().enumerate() {
            let new = cost(&slot.tx);
            if at < self.executable {
                self.spent = self.spent - slot.cost + new;
            }
            slot.cost = new;
        }
    }

    /// Moves the bounds of the sub-pools to where nonces and base fee put them, and returns the
    /// slots that have become executable.
    pub(crate) fn settle(&mut self, base_fee: u64) -> Range<usize> {
        let before = self.executable;
        let rooted = self.slots.front().is_some_and(|slot| slot.tx.nonce() == self.account.nonce);
        if !rooted {
            self.set_bounds(0, 0);
            return 0..0;
        }
        let mut executable = self.executable.max(1);
        while self
            .slots
            .get(executable)
            .is_some_and(|slot| slot.tx.nonce() == self.account.nonce + executable as u64)
        {
            executable += 1;
        }
        let covers = |at: usize| self.slots[at].floor_fee_cap >= u128::from(base_fee);
        let mut ready = self.ready.min(executable);
        while ready > 0 && !covers(ready - 1) {
            ready -= 1;
        }
        while ready < executable && covers(ready) {
            ready += 1;
        }
        self.set_bounds(ready, executable);
        before.min(executable)..executable
    }

    /// The sender's places at a base fee.
    pub(crate) fn places(&self, base_fee: u64, account_slots: usize) -> Places {
        let head = (self.ready > 0).then(|| {
            let tx = &self.slots[0].tx;
            (Reverse(tx.effective_tip(base_fee).unwrap_or_default()), tx.id)
        });
        let worst = SubPool::ALL.map(|pool| {
            let range = self.range(pool);
            let end = range.end.min(self.slots.len());
            (end > range.start).then(|| self.worst_key(end - 1, base_fee, account_slots))
        });
        Places { head, worst, tally: self.tally }
    }

    fn worst_key(&self, at: usize, base_fee: u64, account_slots: usize) -> WorstKey {
        let slot = &self.slots[at];
        let standing = match (slot.tx.local, at < account_slots) {
            (true, _) => Standing::Local,
            (false, true) => Standing::Granted,
            (false, false) => Standing::Excess,
        };
        let over_base_fee = slot.floor_fee_cap.saturating_sub(u128::from(base_fee));
        WorstKey {
            standing,
            tip: over_base_fee.min(slot.floor_tip),
            fee_cap: slot.floor_fee_cap,
            tip_cap: slot.floor_tip,
            id: Reverse(slot.tx.id),
        }
    }

    /// Makes the floors right from a slot on.
    fn set_floors(&mut self, from: usize) {
        let (mut fee_cap, mut tip) = match from.checked_sub(1) {
            Some(before) => (self.slots[before].floor_fee_cap, self.slots[before].floor_tip),
            None => (u128::MAX, u128::MAX),
        };
        for slot in self.slots.range_mut(from..) {
            fee_cap = fee_cap.min(slot.tx.tx.max_fee_per_gas());
            tip = tip.min(slot.tx.tx.priority_fee_or_price());
            slot.floor_fee_cap = fee_cap;
            slot.floor_tip = tip;
        }
    }

    /// Moves the bounds and everything that is counted on either side of them.
    fn set_bounds(&mut self, ready: usize, executable: usize) {
        for at in ready.min(self.ready)..executable.max(self.executable) {
            let (old, new) = (self.sub_pool(at), sub_pool(at, ready, executable));
            if old == new {
                continue;
            }
            let slot = &self.slots[at];
            self.tally[old as usize].sub(slot.tx.size());
            self.tally[new as usize].add(slot.tx.size());
            match (old, new) {
                (SubPool::Queued, _) => self.spent += slot.cost,
                (_, SubPool::Queued) => self.spent -= slot.cost,
                _ => {}
            }
        }
        self.ready = ready;
        self.executable = executable;
    }
}

const fn sub_pool(at: usize, ready: usize, executable: usize) -> SubPool {
    if at < ready {
        SubPool::Pending
    } else if at < executable {
        SubPool::Basefee
    } else {
        SubPool::Queued
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl SenderQueue {
        /// Finds everything that is kept incrementally once more from the slots.
        pub(crate) fn assert_consistent(&self, base_fee: u64) {
            let nonces: Vec<_> = self.slots.iter().map(|slot| slot.tx.nonce()).collect();
            assert!(nonces.is_sorted_by(|a, b| a < b));
            let executable =
                nonces.iter().zip(self.account.nonce..).take_while(|(a, b)| *a == b).count();
            assert_eq!(self.executable, executable);
            assert!(nonces.first().is_none_or(|first| *first >= self.account.nonce));
            let pays = |slot: &&Slot| slot.tx.tx.max_fee_per_gas() >= u128::from(base_fee);
            let ready = self.slots.iter().take(executable).take_while(pays).count();
            assert_eq!(self.ready, ready);
            let spent: U256 = self.slots.iter().take(executable).map(|slot| slot.cost).sum();
            assert_eq!(self.spent, spent);
            for pool in SubPool::ALL {
                let bytes = self.txs(pool).map(|tx| tx.size()).sum();
                let tally = Tally { count: self.txs(pool).count(), bytes };
                assert_eq!(self.tally[pool as usize], tally);
            }
            for (at, slot) in self.slots.iter().enumerate() {
                let before = || self.slots.iter().take(at + 1).map(|slot| &slot.tx.tx);
                assert_eq!(Some(slot.floor_fee_cap), before().map(|tx| tx.max_fee_per_gas()).min());
                assert_eq!(
                    Some(slot.floor_tip),
                    before().map(|tx| tx.priority_fee_or_price()).min()
                );
            }
        }
    }
}
