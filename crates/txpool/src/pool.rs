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
        let checked = self.check(incoming);
        self.insert_all(vec![checked]).pop().unwrap_or(Err(PoolError::NotReady))
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
    fn insert_all(&self, mut checked: Vec<Checked>) -> Vec<Result<TxHash, PoolError>> {
        let mut results = vec![Err(PoolError::NotReady); checked.len()];
        let mut open: Vec<usize> = (0..checked.len()).collect();
        let mut changes = Changes::default();
        loop {
            let mut stale = Vec::new();
            let head = {
                let mut ledger = self.shared.ledger.write();
                for (index, candidate) in open.drain(..).zip(checked.drain(..)) {
                    results[index] = match candidate {
                        Err(error) => Err(error),
                        Ok(candidate) => match ledger.insert(candidate, &mut changes) {
                            Ok(result) => result,
                            Err(Stale(candidate)) => {
                                stale.push((index, candidate));
                                continue;
                            }
                        },
                    };
                }
                ledger.head().cloned()
            };
            let Some(head) = head.filter(|_| !stale.is_empty()) else { break };
            (open, checked) = stale
                .into_iter()
                .map(|(index, candidate)| {
                    (index, self.shared.validator.recheck(head.clone(), candidate.tx))
                })
                .unzip();
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
