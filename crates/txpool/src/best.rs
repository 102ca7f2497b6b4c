//! The order in which blocks take transactions.

use crate::{
    PooledTx,
    pool::Shared,
    sender::{HeadKey, SubPool},
    validate::Head,
};
use alloy_primitives::{Address, map::AddressSet};
use std::{
    cmp::{Ordering, Reverse},
    collections::BinaryHeap,
    fmt,
    sync::Arc,
    vec,
};

/// Senders that are fetched at a time.
const FETCH: usize = 128;

/// Executable transactions by effective tip; those of one sender by nonce.
///
/// The pool is not copied: senders are fetched from it as they are needed, with the transactions
/// they have by then. A sender comes once, so what enters for it after that waits for the next
/// iterator.
pub struct BestTransactions {
    pool: Arc<Shared>,
    /// The head whose order the pool keeps, while that is the order wanted.
    order: Option<Arc<Head>>,
    base_fee: u64,
    /// The last sender fetched; `None` before the first.
    cursor: Option<HeadKey>,
    exhausted: bool,
    heap: BinaryHeap<Chain>,
    /// The sender whose transaction was given out last.
    current: Option<Chain>,
    /// Senders that were fetched or are not wanted.
    seen: AddressSet,
    /// Senders that are not wanted.
    invalid: AddressSet,
}

impl BestTransactions {
    pub(crate) fn new(pool: Arc<Shared>, base_fee: u64) -> Self {
        let order = pool.ledger.read().head().filter(|head| head.base_fee == base_fee).cloned();
        Self {
            pool,
            order,
            base_fee,
            cursor: None,
            exhausted: false,
            heap: BinaryHeap::new(),
            current: None,
            seen: AddressSet::default(),
            invalid: AddressSet::default(),
        }
    }

    /// Skips the remaining transactions of a sender, because the last one given out could not be
    /// included: those behind it cannot be either.
    pub fn mark_invalid(&mut self, sender: Address) {
        if self.current.as_ref().is_some_and(|chain| chain.next.sender() == sender) {
            self.current = None;
        } else {
            self.invalid.insert(sender);
        }
    }

    /// Fetches more senders.
    fn fetch(&mut self) {
        let ledger = self.pool.ledger.read();
        let in_order = self
            .order
            .as_ref()
            .is_some_and(|order| ledger.head().is_some_and(|head| Arc::ptr_eq(order, head)));
        if in_order {
            let mut fetched = 0;
            for (key, txs) in ledger.heads_after(self.cursor, FETCH) {
                fetched += 1;
                self.cursor = Some(key);
                push(&mut self.heap, &mut self.seen, txs, self.base_fee);
            }
            self.exhausted = fetched < FETCH;
        } else {
            // Another base fee than the pool sorts by, or the head has moved on meanwhile.
            for queue in ledger.senders().values() {
                let txs = queue.txs(SubPool::Pending).chain(queue.txs(SubPool::Basefee));
                push(&mut self.heap, &mut self.seen, txs, self.base_fee);
            }
            self.exhausted = true;
        }
    }
}

/// Puts a sender's transactions into the heap, up to the first below the base fee.
fn push<'a>(
    heap: &mut BinaryHeap<Chain>,
    seen: &mut AddressSet,
    txs: impl Iterator<Item = &'a Arc<PooledTx>>,
    base_fee: u64,
) {
    let mut txs = txs.take_while(|tx| tx.effective_tip(base_fee).is_some()).cloned();
    let Some(next) = txs.next() else { return };
    if seen.insert(next.sender()) {
        let key = key(&next, base_fee);
        heap.push(Chain { key, next, rest: txs.collect::<Vec<_>>().into_iter() });
    }
}

fn key(tx: &PooledTx, base_fee: u64) -> HeadKey {
    (Reverse(tx.effective_tip(base_fee).unwrap_or_default()), tx.id)
}

impl Iterator for BestTransactions {
    type Item = Arc<PooledTx>;

    fn next(&mut self) -> Option<Arc<PooledTx>> {
        if let Some(mut chain) = self.current.take()
            && let Some(next) = chain.rest.next()
        {
            chain.key = key(&next, self.base_fee);
            chain.next = next;
            self.heap.push(chain);
        }
        loop {
            // What was not fetched yet comes after the last that was.
            let fetched = self.heap.peek().is_some_and(|chain| Some(chain.key) <= self.cursor);
            if !fetched && !self.exhausted {
                self.fetch();
                continue;
            }
            let chain = self.heap.pop()?;
            if self.invalid.contains(&chain.next.sender()) {
                continue;
            }
            let tx = chain.next.clone();
            self.current = Some(chain);
            return Some(tx);
        }
    }
}

impl fmt::Debug for BestTransactions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BestTransactions")
            .field("base_fee", &self.base_fee)
            .field("fetched", &self.seen.len())
            .field("exhausted", &self.exhausted)
            .finish_non_exhaustive()
    }
}

/// The transactions of one sender that were not given out yet.
struct Chain {
    key: HeadKey,
    next: Arc<PooledTx>,
    rest: vec::IntoIter<Arc<PooledTx>>,
}

impl Ord for Chain {
    /// The greatest chain is the first to take from.
    fn cmp(&self, other: &Self) -> Ordering {
        other.key.cmp(&self.key)
    }
}

impl PartialOrd for Chain {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Chain {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Chain {}

#[cfg(test)]
mod tests {
    use crate::{
        PoolConfig, TransactionOrigin, TxPool,
        test_chain::{TestChain, Tx, account},
    };
    use alloy_primitives::Address;

    fn filled(chain: &mut TestChain, txs: &[Tx]) -> TxPool {
        let pool = chain.pool(PoolConfig::default());
        for tx in txs {
            pool.add(tx.recovered(), TransactionOrigin::External).expect("added");
        }
        pool
    }

    fn order(pool: &TxPool, base_fee: u64) -> Vec<(Address, u64)> {
        pool.best(base_fee).map(|tx| (tx.sender(), tx.nonce())).collect()
    }

    #[test]
    fn by_tip_then_by_arrival_and_by_nonce() {
        let txs = [
            Tx::of(1, 0).fees(1_000, 10),
            Tx::of(1, 1).fees(1_000, 900),
            Tx::of(2, 0).fees(1_000, 20),
            Tx::of(3, 0).fees(110, 100),
            Tx::of(4, 0).fees(1_000, 10),
        ];
        let pool = filled(&mut TestChain::new(), &txs);
        // At a base fee of 100 the fourth tips 10 only.
        let expected = [(2, 0), (1, 0), (1, 1), (3, 0), (4, 0)]
            .map(|(sender, nonce)| (account(sender), nonce));
        assert_eq!(order(&pool, 100), expected);
        assert_eq!(order(&pool, 10)[0], (account(3), 0));
        assert_eq!(order(&pool, 200).len(), 4);
    }

    #[test]
    fn invalid_senders_are_skipped() {
        let txs: Vec<_> = (0..3).flat_map(|nonce| [Tx::of(1, nonce), Tx::of(2, nonce)]).collect();
        let pool = filled(&mut TestChain::new(), &txs);
        let mut best = pool.best(100);
        let first = best.next().expect("six are there").sender();
        best.mark_invalid(first);
        assert_eq!(best.by_ref().filter(|tx| tx.sender() == first).count(), 0);
        // Also a sender that is not at hand.
        let mut best = pool.best(100);
        best.mark_invalid(account(2));
        assert_eq!(best.count(), 3);
    }

    #[test]
    fn the_pool_may_change_meanwhile() {
        let mut chain = TestChain::new();
        let rich = chain.accounts[&account(1)];
        let senders: Vec<_> =
            (0..1_000_u64).map(|index| Address::left_padding_from(&index.to_be_bytes())).collect();
        chain.accounts.extend(senders.iter().map(|sender| (*sender, rich)));
        let tx = |sender: &Address, nonce| Tx {
            sender: *sender,
            nonce,
            input: sender.to_vec().into(),
            ..Tx::default()
        };
        let txs: Vec<_> =
            senders.iter().flat_map(|sender| [tx(sender, 0), tx(sender, 1)]).collect();
        let pool = filled(&mut chain, &txs);
        let mut best = pool.best(100);
        let mut taken: Vec<_> = best.by_ref().take(500).map(|tx| tx.hash).collect();
        // The first nonces are used up and everything is priced anew.
        for sender in &senders {
            chain.accounts.get_mut(sender).expect("a rich account").nonce = 1;
        }
        chain.base_fee = 101;
        pool.on_new_head(chain.advance(&senders));
        taken.extend(best.map(|tx| tx.hash));
        let count = taken.len();
        taken.sort_unstable();
        taken.dedup();
        assert_eq!(taken.len(), count, "no transaction comes twice");
        assert!(count > 1_000);
    }
}
