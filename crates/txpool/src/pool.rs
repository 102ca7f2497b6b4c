//! The pool as others hold it.

use crate::{
    AccountContent, BestTransactions, HeadUpdate, PoolConfig, PoolContent, PoolError, PoolStatus,
    PooledTx, TransactionOrigin,
    decode::decode_transaction,
    ledger::{Changes, Ledger, Stale},
    metrics::PoolMetrics,
    validate::{Candidate, Head, Incoming, Validator},
};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, Bytes, TxHash};
use op_alloy_consensus::OpTxEnvelope;
use parking_lot::{Mutex, RwLock};
use reth_primitives_traits::Recovered;
use std::{sync::Arc, time::Instant};
use tokio::sync::broadcast;

/// A transaction and where it came from, or why it cannot enter.
type Checked = Result<Candidate, PoolError>;

/// The transaction pool. Clones share it.
///
/// Transactions are checked by the thread that brings them; only their insertion takes the lock.
/// Nothing here blocks on anything but that lock and reads of the head's state.
#[derive(Debug, Clone)]
pub struct TxPool {
    shared: Arc<Shared>,
}

#[derive(Debug)]
pub(crate) struct Shared {
    validator: Validator,
    pub(crate) ledger: RwLock<Ledger>,
    /// Held while a head is announced, so that heads come one after another.
    announcing: Mutex<()>,
    new_pending: broadcast::Sender<Arc<PooledTx>>,
    metrics: PoolMetrics,
}

impl TxPool {
    /// An empty pool. It takes transactions from the first [`on_new_head`](Self::on_new_head) on.
    pub fn new(config: PoolConfig, chain_id: u64) -> Self {
        let config = Arc::new(config);
        let (new_pending, _) = broadcast::channel(config.max_pending_notifications.max(1));
        let shared = Shared {
            ledger: RwLock::new(Ledger::new(config.clone())),
            validator: Validator { config, chain_id },
            announcing: Mutex::new(()),
            new_pending,
            metrics: PoolMetrics::default(),
        };
        Self { shared: Arc::new(shared) }
    }

    /// The settings.
    pub fn config(&self) -> &PoolConfig {
        &self.shared.validator.config
    }

    // === adding ===

    /// Decodes a raw transaction, recovers its sender, and adds it.
    pub fn add_raw(&self, raw: Bytes, origin: TransactionOrigin) -> Result<TxHash, PoolError> {
        let tx = decode_transaction(&raw)?;
        self.add_incoming(Incoming { tx, encoded: raw, sender: None, origin })
    }

    /// Adds a decoded transaction whose sender is not known yet. What is wrong with it is reported
    /// in op-geth's order: the signature is looked at after the gas limit and the fees.
    pub fn add_unrecovered(
        &self,
        tx: OpTxEnvelope,
        origin: TransactionOrigin,
    ) -> Result<TxHash, PoolError> {
        let encoded = tx.encoded_2718().into();
        self.add_incoming(Incoming { tx, encoded, sender: None, origin })
    }

    /// Adds a transaction.
    pub fn add(
        &self,
        tx: Recovered<OpTxEnvelope>,
        origin: TransactionOrigin,
    ) -> Result<TxHash, PoolError> {
        self.add_incoming(incoming(tx, origin))
    }

    /// Adds many transactions and takes the lock once for all. Answers are in their order.
    pub fn add_batch(
        &self,
        txs: Vec<Recovered<OpTxEnvelope>>,
        origin: TransactionOrigin,
    ) -> Vec<Result<TxHash, PoolError>> {
        let checked = txs.into_iter().map(|tx| self.check(incoming(tx, origin))).collect();
        self.insert_all(checked)
    }

    fn add_incoming(&self, incoming: Incoming) -> Result<TxHash, PoolError> {
        let checked =
            self.check(incoming).inspect_err(|_| self.shared.metrics.invalid.increment(1));
        self.insert_all(vec![Ok(checked?)]).pop().unwrap_or(Err(PoolError::NotReady))
    }

    fn check(&self, incoming: Incoming) -> Checked {
        let shared = &self.shared;
        let head = {
            let ledger = shared.ledger.read();
            if ledger.get(incoming.tx.hash()).is_some() {
                return Err(PoolError::AlreadyKnown);
            }
            ledger.head().cloned().ok_or(PoolError::NotReady)?
        };
        shared.validator.check(head.clone(), incoming, |sender| {
            let ledger = shared.ledger.read();
            let current = ledger.head().is_some_and(|now| Arc::ptr_eq(now, &head));
            current.then(|| ledger.sender(sender).map(|queue| queue.account)).flatten()
        })
    }

    /// Inserts what passed the checks. A head that came in between makes them repeat.
    fn insert_all(&self, checked: Vec<Checked>) -> Vec<Result<TxHash, PoolError>> {
        let mut results = vec![Err(PoolError::NotReady); checked.len()];
        let mut changes = Changes::default();
        let mut open: Vec<(usize, Checked)> = checked.into_iter().enumerate().collect();
        while !open.is_empty() {
            let mut stale = Vec::new();
            let mut ledger = self.shared.ledger.write();
            for (index, candidate) in open {
                results[index] = match candidate.map(|it| ledger.insert(it, &mut changes)) {
                    Err(error) => Err(error),
                    Ok(Ok(result)) => result,
                    Ok(Err(Stale(candidate))) => {
                        stale.push((index, candidate));
                        continue;
                    }
                };
            }
            let head = ledger.head().cloned();
            drop(ledger);
            let recheck = |(index, candidate): (usize, Box<Candidate>)| {
                let head = head.clone().ok_or(PoolError::NotReady);
                (index, head.and_then(|head| self.shared.validator.recheck(head, candidate.tx)))
            };
            open = stale.into_iter().map(recheck).collect();
        }
        let accepted = results.iter().filter(|result| result.is_ok()).count();
        self.shared.metrics.inserted.increment(accepted as u64);
        self.shared.metrics.invalid.increment((results.len() - accepted) as u64);
        self.shared.publish(changes);
        results
    }

    // === following the chain ===

    /// Moves the pool to a new head: drops what was included or can no longer be, puts back what a
    /// reorg took out of the chain, and sorts by the new base fee.
    pub fn on_new_head(&self, update: HeadUpdate) {
        let _one_at_a_time = self.shared.announcing.lock();
        let HeadUpdate { header, spec, next_base_fee, l1, state, reverted, changed_accounts } =
            update;
        let head = Arc::new(Head {
            hash: header.hash(),
            gas_limit: header.gas_limit,
            base_fee: next_base_fee,
            spec,
            l1,
            state,
        });
        let mut accounts = changed_accounts;
        let complete = {
            let ledger = self.shared.ledger.read();
            let follows = ledger.head().is_some_and(|old| old.hash == header.parent_hash);
            let senders: Vec<Address> = match follows {
                true => Vec::new(),
                false => ledger.senders().keys().copied().collect(),
            };
            drop(ledger);
            // Reading takes long; intake goes on meanwhile.
            for sender in senders {
                match head.state.account(sender) {
                    Ok(account) => _ = accounts.insert(sender, account),
                    Err(error) => head.warn_unreadable(sender, &error),
                }
            }
            follows
        };
        let mut changes = Changes::default();
        self.shared.ledger.write().set_head(head, &accounts, complete, &mut changes);
        self.shared.metrics.performed_state_updates.increment(1);
        self.shared.publish(changes);

        let reverted: Vec<_> = reverted
            .into_iter()
            .filter(|tx| {
                !matches!(tx.inner(), OpTxEnvelope::Deposit(_) | OpTxEnvelope::PostExec(_))
            })
            .collect();
        if !reverted.is_empty() {
            let results = self.add_batch(reverted, TransactionOrigin::External);
            let reinserted = results.iter().filter(|result| result.is_ok()).count();
            self.shared.metrics.reinserted.increment(reinserted as u64);
            tracing::debug!(
                target: "txpool",
                reverted = results.len(), reinserted, "transactions of a reorg put back"
            );
        }
    }

    /// Takes transactions out; those of the same sender behind them wait for another with that
    /// nonce. Returns the ones that were there.
    pub fn remove(&self, hashes: &[TxHash]) -> Vec<Arc<PooledTx>> {
        let removed = self.shared.ledger.write().remove(hashes);
        self.shared.metrics.removed.increment(removed.len() as u64);
        self.shared.publish(Changes::default());
        removed
    }

    /// Takes out what has waited behind a gap for longer than the configured lifetime. To be called
    /// now and then; returns how many went.
    pub fn expire(&self, now: Instant) -> usize {
        let Some(cutoff) = now.checked_sub(self.config().lifetime) else { return 0 };
        let expired = self.shared.ledger.write().expire(cutoff);
        self.shared.metrics.removed.increment(expired as u64);
        self.shared.publish(Changes::default());
        expired
    }

    /// Empties the pool and returns how many transactions went.
    pub fn clear(&self) -> usize {
        let removed = self.shared.ledger.write().clear();
        self.shared.metrics.removed.increment(removed as u64);
        self.shared.publish(Changes::default());
        removed
    }

    // === reading ===

    /// The transactions for a block with this base fee, the best first.
    pub fn best(&self, base_fee: u64) -> BestTransactions {
        BestTransactions::new(self.shared.clone(), base_fee)
    }

    /// The nonce after the last executable transaction of an account; `None` if it has none, and
    /// its nonce in the state counts.
    pub fn pending_nonce(&self, sender: Address) -> Option<u64> {
        let ledger = self.shared.ledger.read();
        let queue = ledger.sender(&sender).filter(|queue| queue.has_executable())?;
        Some(queue.next_nonce())
    }

    /// A transaction by its hash.
    pub fn get(&self, hash: &TxHash) -> Option<Arc<PooledTx>> {
        self.shared.ledger.read().get(hash).cloned()
    }

    /// The sender of a pooled transaction.
    pub fn sender(&self, hash: &TxHash) -> Option<Address> {
        self.shared.ledger.read().get(hash).map(|tx| tx.sender())
    }

    /// The senders of transactions, where they are pooled, so that a block's need not be recovered
    /// again. Takes the lock once.
    pub fn senders(&self, hashes: &[TxHash]) -> Vec<Option<Address>> {
        let ledger = self.shared.ledger.read();
        hashes.iter().map(|hash| ledger.get(hash).map(|tx| tx.sender())).collect()
    }

    /// All transactions, in no order.
    pub fn all(&self) -> Vec<Arc<PooledTx>> {
        self.shared.ledger.read().all().cloned().collect()
    }

    /// All transactions by sender and nonce.
    pub fn content(&self) -> PoolContent {
        let ledger = self.shared.ledger.read();
        ledger
            .senders()
            .iter()
            .map(|(sender, queue)| (*sender, AccountContent::of(queue)))
            .collect()
    }

    /// The transactions of one sender.
    pub fn content_from(&self, sender: Address) -> AccountContent {
        let ledger = self.shared.ledger.read();
        ledger.sender(&sender).map(AccountContent::of).unwrap_or_default()
    }

    /// How much the pool holds.
    pub fn status(&self) -> PoolStatus {
        PoolStatus::of(self.shared.ledger.read().tallies())
    }

    /// Every transaction that becomes executable from now on. A subscriber that is too slow loses
    /// the oldest and is told so.
    pub fn subscribe_pending(&self) -> broadcast::Receiver<Arc<PooledTx>> {
        self.shared.new_pending.subscribe()
    }
}

impl Shared {
    /// Tells the outside what changed. Not to be called under the lock.
    fn publish(&self, changes: Changes) {
        self.metrics.record(&changes);
        let status = {
            let ledger = self.ledger.read();
            if self.new_pending.receiver_count() > 0 {
                for tx in changes.promoted {
                    // What came and went in one change is not worth telling.
                    if ledger.get(&tx.hash).is_some() {
                        _ = self.new_pending.send(tx);
                    }
                }
            }
            PoolStatus::of(ledger.tallies())
        };
        self.metrics.show(&status);
    }
}

fn incoming(tx: Recovered<OpTxEnvelope>, origin: TransactionOrigin) -> Incoming {
    let (tx, sender) = tx.into_parts();
    Incoming { encoded: tx.encoded_2718().into(), tx, sender: Some(sender), origin }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        SubPoolLimit,
        test_chain::{ETHER, TestChain, Tx, account},
    };
    use alloy_primitives::U256;
    use parking_lot::RwLockReadGuard;
    use std::time::Duration;

    impl TxPool {
        pub(crate) fn ledger(&self) -> RwLockReadGuard<'_, Ledger> {
            self.shared.ledger.read()
        }
    }

    fn add(pool: &TxPool, tx: &Tx) -> Result<TxHash, PoolError> {
        pool.add(tx.recovered(), TransactionOrigin::External)
    }

    fn refusal(pool: &TxPool, tx: &Tx) -> String {
        add(pool, tx).expect_err("refused").to_string()
    }

    fn counts(pool: &TxPool) -> (usize, usize, usize) {
        let status = pool.status();
        (status.pending.count, status.basefee.count, status.queued.count)
    }

    #[test]
    fn gaps_wait_until_they_are_filled() {
        let pool = TestChain::new().pool(PoolConfig::default());
        assert_eq!(pool.pending_nonce(account(1)), None);
        for nonce in [2, 1] {
            add(&pool, &Tx::of(1, nonce)).expect("queued");
        }
        assert_eq!(counts(&pool), (0, 0, 2));
        assert_eq!(pool.pending_nonce(account(1)), None);
        add(&pool, &Tx::of(1, 0)).expect("pending");
        assert_eq!(counts(&pool), (3, 0, 0));
        assert_eq!(pool.pending_nonce(account(1)), Some(3));
        assert_eq!(refusal(&pool, &Tx::of(1, 0)), "already known");
    }

    #[test]
    fn the_base_fee_divides_executable_transactions() {
        let mut chain = TestChain::new();
        let pool = chain.pool(PoolConfig::default());
        for (nonce, fee_cap) in [(0, 200), (1, 150), (2, 300)] {
            add(&pool, &Tx::of(1, nonce).fees(fee_cap, 10)).expect("pending");
        }
        assert_eq!(counts(&pool), (3, 0, 0));
        chain.base_fee = 180;
        pool.on_new_head(chain.advance(&[]));
        // The third could pay, but not before the second.
        assert_eq!(counts(&pool), (1, 2, 0));
        assert_eq!(pool.pending_nonce(account(1)), Some(3));
        assert_eq!(pool.content_from(account(1)).pending.len(), 3);
        assert_eq!(pool.best(180).count(), 1);
        // A block on another parent may have another base fee.
        assert_eq!(pool.best(100).count(), 3);
        chain.base_fee = 100;
        pool.on_new_head(chain.advance(&[]));
        assert_eq!(counts(&pool), (3, 0, 0));
    }

    #[test]
    fn replacements_raise_both_prices_by_a_tenth() {
        let pool = TestChain::new().pool(PoolConfig::default());
        let first = add(&pool, &Tx::of(1, 0).fees(1_000, 10)).expect("pending");
        for (fee_cap, tip) in [(1_000, 10), (1_099, 11), (1_100, 10), (1_001, 20)] {
            let again = Tx { value: 1, ..Tx::of(1, 0).fees(fee_cap, tip) };
            assert_eq!(refusal(&pool, &again), "replacement transaction underpriced");
        }
        let second = add(&pool, &Tx::of(1, 0).fees(1_100, 11)).expect("replaced");
        assert!(pool.get(&first).is_none() && pool.get(&second).is_some());
        assert_eq!(counts(&pool), (1, 0, 0));
        // The one that was replaced, sent again.
        let again = Tx::of(1, 0).fees(1_000, 10);
        assert_eq!(refusal(&pool, &again), "replacement transaction underpriced");
        // One wei is a tenth of nothing.
        add(&pool, &Tx::of(2, 0).fees(100, 1)).expect("pending");
        add(&pool, &Tx::of(2, 0).fees(110, 2)).expect("replaced");
    }

    #[test]
    fn pending_transactions_are_paid_together() {
        let pool = TestChain::new().pool(PoolConfig::default());
        let tx = |nonce, value| Tx { value, ..Tx::of(1, nonce) };
        let fee = 100_000 * 1_000;
        add(&pool, &tx(0, ETHER / 2)).expect("pending");
        assert_eq!(
            refusal(&pool, &tx(1, ETHER / 2)),
            format!(
                "insufficient funds for gas * price + value: balance {ETHER}, queued cost {}, \
                 tx cost {}, overshot {}",
                ETHER / 2 + fee,
                ETHER / 2 + fee,
                2 * fee
            )
        );
        add(&pool, &tx(1, ETHER / 4)).expect("pending");
        let bumped = tx(0, ETHER * 3 / 4).fees(1_100, 11);
        assert_eq!(
            refusal(&pool, &bumped),
            format!(
                "insufficient funds for gas * price + value: balance {ETHER}, queued cost {}, \
                 tx bumped {}, overshot {}",
                ETHER * 3 / 4 + 2 * fee,
                ETHER / 4 + fee / 10,
                2 * fee + fee / 10
            )
        );
        // What waits behind a gap is not counted.
        add(&pool, &tx(3, ETHER / 5)).expect("queued");
        add(&pool, &tx(2, ETHER / 5)).expect("pending");
    }

    #[test]
    fn a_new_head_takes_out_what_it_used_up() {
        let mut chain = TestChain::new();
        let pool = chain.pool(PoolConfig::default());
        for nonce in 0..4 {
            add(&pool, &Tx { value: u128::from(nonce) * 1_000, ..Tx::of(1, nonce) })
                .expect("added");
        }
        add(&pool, &Tx::of(2, 0)).expect("added");
        let sender = chain.accounts.get_mut(&account(1)).expect("a rich account");
        sender.nonce = 1;
        // Enough for the second, not for the third.
        sender.balance = U256::from(100_000 * 1_000 + 1_500);
        pool.on_new_head(chain.advance(&[account(1)]));
        let content = pool.content_from(account(1));
        assert_eq!(content.pending.iter().map(|tx| tx.nonce()).collect::<Vec<_>>(), [1]);
        assert!(content.queued.is_empty(), "the fourth is even more expensive");
        assert_eq!(pool.pending_nonce(account(1)), Some(2));
        assert_eq!(pool.status().total(), 2);
        assert_eq!(refusal(&pool, &Tx::of(1, 0)), "nonce too low: next nonce 1, tx nonce 0");
    }

    #[test]
    fn a_reorg_puts_transactions_back() {
        let mut chain = TestChain::new();
        let pool = chain.pool(PoolConfig::default());
        let mined: Vec<_> = (0..2).map(|nonce| Tx::of(1, nonce)).collect();
        add(&pool, &Tx::of(1, 2)).expect("queued");
        chain.accounts.get_mut(&account(1)).expect("a rich account").nonce = 2;
        pool.on_new_head(chain.advance(&[account(1)]));
        assert_eq!(counts(&pool), (1, 0, 0));
        // The new chain has the first of the two.
        chain.accounts.get_mut(&account(1)).expect("a rich account").nonce = 1;
        let reverted = mined.iter().map(Tx::recovered).collect();
        pool.on_new_head(chain.reorg(reverted));
        assert_eq!(counts(&pool), (2, 0, 0));
        assert_eq!(pool.pending_nonce(account(1)), Some(3));
    }

    #[test]
    fn a_full_pool_keeps_the_best() {
        let limit = SubPoolLimit { max_count: 3, max_bytes: usize::MAX };
        let pool = TestChain::new().pool(PoolConfig { pending: limit, ..PoolConfig::default() });
        let cheap = add(&pool, &Tx::of(1, 0).fees(1_000, 10)).expect("added");
        for sender in 2..4 {
            add(&pool, &Tx::of(sender, 0).fees(1_000, 20)).expect("added");
        }
        let same = Tx::of(4, 0).fees(1_000, 10);
        assert_eq!(refusal(&pool, &same), "transaction underpriced");
        add(&pool, &Tx::of(4, 0).fees(1_000, 11)).expect("added");
        assert!(pool.get(&cheap).is_none());
        // A transaction is worth no more than those before it.
        let behind = Tx::of(4, 1).fees(1_000, 500);
        assert_eq!(refusal(&pool, &behind), "transaction underpriced");
        assert_eq!(counts(&pool), (3, 0, 0));
    }

    #[test]
    fn accounts_beyond_their_slots_lose_first() {
        let limit = SubPoolLimit { max_count: 4, max_bytes: usize::MAX };
        let config = PoolConfig { pending: limit, max_account_slots: 2, ..PoolConfig::default() };
        let pool = TestChain::new().pool(config);
        for nonce in 0..4 {
            add(&pool, &Tx::of(1, nonce).fees(1_000, 100)).expect("added");
        }
        for sender in 2..4 {
            add(&pool, &Tx::of(sender, 0).fees(1_000, 1)).expect("in a granted slot");
        }
        assert_eq!(pool.pending_nonce(account(1)), Some(2));
        assert_eq!(refusal(&pool, &Tx::of(1, 2).fees(1_000, 100)), "transaction underpriced");
    }

    #[test]
    fn local_transactions_are_evicted_last_and_never_expire() {
        let limit = SubPoolLimit { max_count: 1, max_bytes: usize::MAX };
        let config = PoolConfig {
            pending: limit,
            queued: limit,
            local_addresses: [account(2)].into(),
            ..PoolConfig::default()
        };
        let pool = TestChain::new().pool(config);
        let local = pool.add(Tx::of(1, 0).recovered(), TransactionOrigin::Local).expect("added");
        assert_eq!(refusal(&pool, &Tx::of(3, 0).fees(1_000, 900)), "transaction underpriced");
        assert!(pool.get(&local).is_some());
        add(&pool, &Tx::of(2, 5)).expect("queued");
        assert_eq!(pool.expire(Instant::now() + Duration::from_secs(20_000)), 0);
    }

    #[test]
    fn bytes_are_bounded_too() {
        let large = Tx { input: vec![1; 10_000].into(), gas: 1_000_000, ..Tx::of(1, 0) };
        let limit = SubPoolLimit { max_count: 100, max_bytes: 30_000 };
        let config = PoolConfig { pending: limit, queued: limit, ..PoolConfig::default() };
        let pool = TestChain::new().pool(config);
        add(&pool, &large).expect("added");
        let second = Tx { sender: account(2), value: 1, ..large };
        assert_eq!(refusal(&pool, &second), "transaction underpriced");
        assert!(pool.status().pending.bytes > 20_000);
        let huge = Tx { input: vec![1; 40_000].into(), gas: 3_000_000, ..Tx::of(3, 0) };
        assert_eq!(refusal(&pool, &huge), "txpool is full");
    }

    #[test]
    fn what_waits_too_long_expires() {
        let pool = TestChain::new().pool(PoolConfig::default());
        for tx in [Tx::of(1, 0), Tx::of(1, 2), Tx::of(2, 1)] {
            add(&pool, &tx).expect("added");
        }
        let now = Instant::now();
        assert_eq!(pool.expire(now + Duration::from_secs(10_799)), 0);
        assert_eq!(pool.expire(now + Duration::from_secs(10_801)), 2);
        assert_eq!(counts(&pool), (1, 0, 0));
    }

    #[test]
    fn forks_and_smaller_blocks_take_out_what_is_too_large() {
        let mut chain = TestChain::new();
        chain.spec = ascribe_evm::OpSpecId::JOVIAN;
        let pool = chain.pool(PoolConfig::default());
        add(&pool, &Tx { gas: 20_000_000, ..Tx::of(1, 0) }).expect("added");
        add(&pool, &Tx { gas: 10_000_000, ..Tx::of(2, 0) }).expect("added");
        chain.spec = ascribe_evm::OpSpecId::KARST;
        pool.on_new_head(chain.advance(&[]));
        assert_eq!(pool.status().total(), 1);
        chain.gas_limit = 10_000_000;
        pool.on_new_head(chain.advance(&[]));
        assert_eq!(pool.status().total(), 0);
    }

    #[test]
    fn subscribers_see_what_becomes_executable() {
        let mut chain = TestChain::new();
        let pool = chain.pool(PoolConfig::default());
        let mut pending = pool.subscribe_pending();
        add(&pool, &Tx::of(1, 1)).expect("queued");
        assert!(pending.try_recv().is_err());
        add(&pool, &Tx::of(1, 0)).expect("pending");
        let mut seen: Vec<_> = (0..2).map(|_| pending.try_recv().expect("sent").nonce()).collect();
        seen.sort_unstable();
        assert_eq!(seen, [0, 1]);
        add(&pool, &Tx::of(1, 0).fees(2_000, 20)).expect("replaced");
        assert_eq!(pending.try_recv().expect("sent").nonce(), 0);
        // A nonce that others used up makes what waited behind it executable.
        add(&pool, &Tx::of(1, 3)).expect("queued");
        chain.accounts.get_mut(&account(1)).expect("a rich account").nonce = 3;
        pool.on_new_head(chain.advance(&[account(1)]));
        assert_eq!(pending.try_recv().expect("sent").nonce(), 3);
    }

    #[test]
    fn heads_and_intake_do_not_get_in_each_others_way() {
        let mut chain = TestChain::new();
        let pool = chain.pool(PoolConfig::default());
        std::thread::scope(|scope| {
            for sender in 1..5 {
                let pool = pool.clone();
                scope.spawn(move || {
                    for nonce in 0..500 {
                        match add(&pool, &Tx::of(sender, nonce)) {
                            Ok(_) | Err(PoolError::NonceTooLow { .. }) => {}
                            Err(error) => panic!("{error}"),
                        }
                    }
                });
            }
            for nonce in 0..100 {
                let changed: Vec<_> = (1..5).map(account).collect();
                for sender in &changed {
                    chain.accounts.get_mut(sender).expect("a rich account").nonce = nonce;
                }
                chain.base_fee = 100 + nonce % 3;
                pool.on_new_head(chain.advance(&changed));
            }
        });
        for sender in 1..5 {
            let content = pool.content_from(account(sender));
            let nonces = content.pending.iter().chain(&content.queued).map(|tx| tx.nonce());
            assert!(nonces.eq(99..500), "every nonce from the account's on is there");
        }
        pool.ledger().assert_consistent();
    }
}
