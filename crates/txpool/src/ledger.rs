//! Everything the pool holds, and the orders it is kept in. One thread at a time works on it.

use crate::{
    PoolAccount, PoolConfig, PoolError, PooledTx,
    sender::{HeadKey, SenderQueue, Slot, SubPool, Tally, WorstKey},
    validate::{Candidate, Head},
};
use alloy_consensus::Transaction;
use alloy_primitives::{
    Address, TxHash, U256,
    map::{AddressMap, B256Map},
};
use std::{collections::BTreeMap, ops::Bound, sync::Arc, time::Instant};

/// What a change of the ledger did to the transactions in it.
#[derive(Debug, Default)]
pub(crate) struct Changes {
    /// Became executable.
    pub(crate) promoted: Vec<Arc<PooledTx>>,
    /// Left because their nonce was used or they can no longer be paid.
    pub(crate) dropped: usize,
    /// Left to make room, by sub-pool.
    pub(crate) evicted: [usize; 3],
}

/// A candidate that was checked under a head which is no longer the head.
#[derive(Debug)]
pub(crate) struct Stale(pub(crate) Box<Candidate>);

#[derive(Debug)]
pub(crate) struct Ledger {
    config: Arc<PoolConfig>,
    head: Option<Arc<Head>>,
    by_hash: B256Map<Arc<PooledTx>>,
    senders: AddressMap<SenderQueue>,
    /// The first pending transaction of every sender, by tip at the head's next base fee.
    heads: BTreeMap<HeadKey, Arc<PooledTx>>,
    /// Of every sender the last transaction in each sub-pool, the first to evict first.
    worst: [BTreeMap<WorstKey, Address>; 3],
    tallies: [Tally; 3],
    /// How many transactions carry an authorization of an account.
    authorities: AddressMap<usize>,
    next_id: u64,
}

impl Ledger {
    pub(crate) fn new(config: Arc<PoolConfig>) -> Self {
        Self {
            config,
            head: None,
            by_hash: B256Map::default(),
            senders: AddressMap::default(),
            heads: BTreeMap::new(),
            worst: Default::default(),
            tallies: [Tally::default(); 3],
            authorities: AddressMap::default(),
            next_id: 0,
        }
    }

    // === reading ===

    pub(crate) const fn head(&self) -> Option<&Arc<Head>> {
        self.head.as_ref()
    }

    pub(crate) fn get(&self, hash: &TxHash) -> Option<&Arc<PooledTx>> {
        self.by_hash.get(hash)
    }

    pub(crate) fn sender(&self, sender: &Address) -> Option<&SenderQueue> {
        self.senders.get(sender)
    }

    pub(crate) const fn senders(&self) -> &AddressMap<SenderQueue> {
        &self.senders
    }

    pub(crate) fn all(&self) -> impl Iterator<Item = &Arc<PooledTx>> {
        self.by_hash.values()
    }

    pub(crate) const fn tallies(&self) -> [Tally; 3] {
        self.tallies
    }

    /// The pending transactions of up to `limit` senders that come after `cursor` in the order of
    /// inclusion.
    pub(crate) fn heads_after(
        &self,
        cursor: Option<HeadKey>,
        limit: usize,
    ) -> impl Iterator<Item = (HeadKey, impl Iterator<Item = &Arc<PooledTx>>)> {
        let after = cursor.map_or(Bound::Unbounded, Bound::Excluded);
        self.heads
            .range((after, Bound::Unbounded))
            .take(limit)
            .filter_map(|(key, tx)| Some((*key, self.senders.get(&tx.sender())?)))
            .map(|(key, queue)| (key, queue.txs(SubPool::Pending)))
    }

    // === adding ===

    /// Adds a transaction, if it is as good as it has to be and was checked under the head.
    pub(crate) fn insert(
        &mut self,
        candidate: Candidate,
        changes: &mut Changes,
    ) -> Result<Result<TxHash, PoolError>, Stale> {
        let current = self.head.as_ref().is_some_and(|head| Arc::ptr_eq(head, &candidate.head));
        if !current {
            return Err(Stale(Box::new(candidate)));
        }
        Ok(self.insert_current(candidate, changes))
    }

    fn insert_current(
        &mut self,
        candidate: Candidate,
        changes: &mut Changes,
    ) -> Result<TxHash, PoolError> {
        let Candidate { mut tx, cost, account, head } = candidate;
        let (hash, sender, nonce) = (tx.hash, tx.sender(), tx.nonce());
        if self.by_hash.contains_key(&hash) {
            return Err(PoolError::AlreadyKnown);
        }
        self.check_overdraft(&tx, cost, &account)?;
        self.check_delegation(&tx, &account)?;
        if tx.size() > self.config.pending.max_bytes.max(self.config.queued.max_bytes) {
            return Err(PoolError::Full);
        }
        let existing = self.senders.get(&sender).and_then(|queue| queue.find(nonce).ok());
        if let Some(at) = existing {
            let old = &self.senders[&sender].slot(at).tx;
            if !self.outbids(&tx, old) {
                return Err(PoolError::ReplacementUnderpriced);
            }
        }

        tx.id = self.next_id;
        self.next_id += 1;
        let tx = Arc::new(tx);
        for authority in &tx.authorities {
            *self.authorities.entry(*authority).or_default() += 1;
        }
        self.by_hash.insert(hash, tx.clone());
        let queue = self.senders.entry(sender).or_insert_with(|| SenderQueue::new(account));
        let slot = Slot::new(tx.clone(), cost);
        match queue.find(nonce) {
            Ok(at) => {
                if queue.is_executable(at) {
                    changes.promoted.push(tx);
                }
                let old = queue.replace(at, slot);
                self.forget(&old.tx);
            }
            Err(at) => queue.insert(at, slot),
        }
        self.settle(sender, head.base_fee, changes);
        self.enforce_limits(changes);
        // The worst of a full pool may have been the newcomer.
        if self.by_hash.contains_key(&hash) { Ok(hash) } else { Err(PoolError::Underpriced) }
    }

    /// The sender's pending transactions and this one must be payable together.
    fn check_overdraft(
        &self,
        tx: &PooledTx,
        cost: U256,
        account: &PoolAccount,
    ) -> Result<(), PoolError> {
        let balance = account.balance;
        let Some(queue) = self.senders.get(&tx.sender()) else { return Ok(()) };
        let queued = queue.spent();
        match queue.find(tx.nonce()) {
            Ok(at) if queue.is_executable(at) => {
                let bump = cost.saturating_sub(queue.slot(at).cost);
                if !bump.is_zero() && queued.saturating_add(bump) > balance {
                    return Err(PoolError::ReplacementOverdraft { balance, queued, bump });
                }
            }
            _ if queued.saturating_add(cost) > balance => {
                return Err(PoolError::Overdraft { balance, queued, cost });
            }
            _ => {}
        }
        Ok(())
    }

    /// An account that another's transaction may empty holds one slot only (EIP-7702).
    fn check_delegation(&self, tx: &PooledTx, account: &PoolAccount) -> Result<(), PoolError> {
        let sender = tx.sender();
        if account.has_code() || self.authorities.contains_key(&sender) {
            match self.senders.get(&sender).filter(|queue| queue.has_executable()) {
                None if tx.nonce() != account.nonce => return Err(PoolError::DelegatedGap),
                None => {}
                Some(queue) => match queue.find(tx.nonce()) {
                    Ok(at) if queue.is_executable(at) => {}
                    _ => return Err(PoolError::DelegatedInFlight),
                },
            }
        }
        let reserved = |authority| self.senders.get(authority).is_some_and(|queue| queue.len() > 1);
        if tx.authorities.iter().any(reserved) {
            return Err(PoolError::AuthorityReserved);
        }
        Ok(())
    }

    /// Whether both prices of `new` are above those of `old` by the price bump.
    fn outbids(&self, new: &PooledTx, old: &PooledTx) -> bool {
        let bump = 100 + self.config.price_bump;
        let above = |new: u128, old: u128| {
            new > old && new >= old.checked_mul(bump).map_or(u128::MAX, |bumped| bumped / 100)
        };
        above(new.tx.max_fee_per_gas(), old.tx.max_fee_per_gas())
            && above(new.tx.priority_fee_or_price(), old.tx.priority_fee_or_price())
    }

    // === a new head ===

    /// Moves to a new head. `accounts` are those that may have changed; if it is not `complete`,
    /// any other sender is looked up in the head's state.
    pub(crate) fn set_head(
        &mut self,
        head: Arc<Head>,
        accounts: &AddressMap<PoolAccount>,
        complete: bool,
        changes: &mut Changes,
    ) {
        let old = self.head.replace(head.clone());
        let stricter = old.as_ref().is_none_or(|old| {
            head.gas_limit < old.gas_limit || head.tx_gas_cap() != old.tx_gas_cap()
        });
        let repriced = old.as_ref().is_none_or(|old| head.base_fee != old.base_fee);

        let touched: Vec<Address> = if complete && !stricter && accounts.len() < self.senders.len()
        {
            accounts.keys().filter(|address| self.senders.contains_key(*address)).copied().collect()
        } else {
            self.senders.keys().copied().collect()
        };
        for sender in touched {
            let account = accounts.get(&sender).copied().or_else(|| {
                if complete {
                    return None;
                }
                let account = head.state.account(sender);
                account.inspect_err(|error| head.warn_unreadable(sender, error)).ok()
            });
            if account.is_some() || stricter {
                self.refresh(sender, account, &head, changes);
            }
        }
        if repriced {
            self.reorder(head.base_fee, changes);
        }
        self.enforce_limits(changes);
    }

    /// Drops what a sender can no longer send.
    fn refresh(
        &mut self,
        sender: Address,
        account: Option<PoolAccount>,
        head: &Head,
        changes: &mut Changes,
    ) {
        let Some(queue) = self.senders.get_mut(&sender) else { return };
        let mut dropped = Vec::new();
        if let Some(account) = account {
            queue.account = account;
            queue.forward(&mut dropped);
            queue.reprice(|tx| head.cost(tx).unwrap_or(U256::MAX));
        }
        let balance = queue.account.balance;
        queue.retain(|slot| slot.cost <= balance && head.can_hold(&slot.tx), &mut dropped);
        changes.dropped += dropped.len();
        for slot in &dropped {
            self.forget(&slot.tx);
        }
        self.settle(sender, head.base_fee, changes);
    }

    /// Sorts everything anew, for a base fee that changes every price.
    fn reorder(&mut self, base_fee: u64, changes: &mut Changes) {
        let slots = self.config.max_account_slots;
        let mut heads = Vec::with_capacity(self.senders.len());
        let mut worst: [Vec<(WorstKey, Address)>; 3] = Default::default();
        for (sender, queue) in &mut self.senders {
            let promoted = queue.settle(base_fee);
            changes.promoted.extend(promoted.map(|at| queue.slot(at).tx.clone()));
            let places = queue.places(base_fee, slots);
            if let Some(key) = places.head {
                heads.push((key, queue.slot(0).tx.clone()));
            }
            for (worst, key) in worst.iter_mut().zip(places.worst) {
                worst.extend(key.map(|key| (key, *sender)));
            }
            for (pool, tally) in self.tallies.iter_mut().enumerate() {
                tally.exchange(queue.indexed.tally[pool], places.tally[pool]);
            }
            queue.indexed = places;
        }
        self.heads = heads.into_iter().collect();
        self.worst = worst.map(|worst| worst.into_iter().collect());
    }

    // === removing ===

    /// Takes transactions out. Those behind them are queued.
    pub(crate) fn remove(&mut self, hashes: &[TxHash]) -> Vec<Arc<PooledTx>> {
        let base_fee = self.base_fee();
        let mut removed = Vec::new();
        for hash in hashes {
            let Some(tx) = self.by_hash.get(hash).cloned() else { continue };
            self.take_out(&tx, base_fee);
            removed.push(tx);
        }
        self.enforce_limits(&mut Changes::default());
        removed
    }

    /// Takes out queued transactions that entered before `cutoff`.
    pub(crate) fn expire(&mut self, cutoff: Instant) -> usize {
        let stale = |tx: &PooledTx| !tx.local && tx.since < cutoff;
        let affected: Vec<Address> = self
            .senders
            .iter()
            .filter(|(_, queue)| queue.txs(SubPool::Queued).any(|tx| stale(tx)))
            .map(|(sender, _)| *sender)
            .collect();
        let mut expired = Vec::new();
        for sender in affected {
            let queue = self.senders.get_mut(&sender).expect("the sender was just seen");
            let next_nonce = queue.next_nonce();
            queue.retain(|slot| slot.tx.nonce() < next_nonce || !stale(&slot.tx), &mut expired);
            self.settle(sender, self.base_fee(), &mut Changes::default());
        }
        for slot in &expired {
            self.forget(&slot.tx);
        }
        expired.len()
    }

    pub(crate) fn clear(&mut self) -> usize {
        let (config, head) = (self.config.clone(), self.head.take());
        let count = self.by_hash.len();
        let next_id = self.next_id;
        *self = Self { head, next_id, ..Self::new(config) };
        count
    }

    /// Evicts the worst until every sub-pool is within its bound. What an evicted transaction
    /// leaves behind is queued, so that pool is looked at last.
    fn enforce_limits(&mut self, changes: &mut Changes) {
        let limits = [self.config.pending, self.config.basefee, self.config.queued];
        for pool in SubPool::ALL {
            let limit = limits[pool as usize];
            while self.tallies[pool as usize].count > limit.max_count
                || self.tallies[pool as usize].bytes > limit.max_bytes
            {
                let Some((_, sender)) = self.worst[pool as usize].first_key_value() else { break };
                let last = self.senders.get(sender).and_then(|queue| queue.txs(pool).last());
                let tx = last.expect("a key in the order has its transaction").clone();
                self.take_out(&tx, self.base_fee());
                changes.evicted[pool as usize] += 1;
            }
        }
    }

    fn take_out(&mut self, tx: &Arc<PooledTx>, base_fee: u64) {
        let sender = tx.sender();
        let queue = self.senders.get_mut(&sender).expect("a pooled transaction has its sender");
        let at = queue.find(tx.nonce()).expect("a pooled transaction has its slot");
        queue.remove(at);
        self.forget(tx);
        self.settle(sender, base_fee, &mut Changes::default());
    }

    /// Takes a transaction that has no slot any more out of the indices.
    fn forget(&mut self, tx: &PooledTx) {
        self.by_hash.remove(&tx.hash);
        for authority in &tx.authorities {
            if let Some(count) = self.authorities.get_mut(authority) {
                *count -= 1;
                if *count == 0 {
                    self.authorities.remove(authority);
                }
            }
        }
    }

    /// Puts a sender whose slots changed where it now belongs in the pool's orders.
    fn settle(&mut self, sender: Address, base_fee: u64, changes: &mut Changes) {
        let Some(queue) = self.senders.get_mut(&sender) else { return };
        let promoted = queue.settle(base_fee);
        changes.promoted.extend(promoted.map(|at| queue.slot(at).tx.clone()));
        let new = queue.places(base_fee, self.config.max_account_slots);
        let old = std::mem::replace(&mut queue.indexed, new);
        if old.head != new.head {
            if let Some(key) = old.head {
                self.heads.remove(&key);
            }
            if let Some(key) = new.head {
                self.heads.insert(key, queue.slot(0).tx.clone());
            }
        }
        for pool in 0..SubPool::ALL.len() {
            self.tallies[pool].exchange(old.tally[pool], new.tally[pool]);
            if old.worst[pool] != new.worst[pool] {
                if let Some(key) = old.worst[pool] {
                    self.worst[pool].remove(&key);
                }
                if let Some(key) = new.worst[pool] {
                    self.worst[pool].insert(key, sender);
                }
            }
        }
        if queue.is_empty() {
            self.senders.remove(&sender);
        }
    }

    fn base_fee(&self) -> u64 {
        self.head.as_ref().map_or(0, |head| head.base_fee)
    }
}

#[cfg(test)]
mod tests;
