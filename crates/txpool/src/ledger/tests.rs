use super::*;
use crate::{
    SubPoolLimit, TransactionOrigin, TxPool,
    test_chain::{TestChain, Tx, account},
};
use proptest::prelude::*;
use std::time::Duration;

impl Ledger {
    /// Finds everything that is kept incrementally once more from the slots.
    pub(crate) fn assert_consistent(&self) {
        let base_fee = self.base_fee();
        let mut tallies = [Tally::default(); 3];
        let mut heads = BTreeMap::new();
        let mut worst: [BTreeMap<WorstKey, Address>; 3] = Default::default();
        let mut authorities = AddressMap::<usize>::default();
        let mut count = 0;
        for (sender, queue) in &self.senders {
            assert!(!queue.is_empty(), "no sender without transactions");
            queue.assert_consistent(base_fee);
            count += queue.len();
            let places = queue.places(base_fee, self.config.max_account_slots);
            assert_eq!(places, queue.indexed);
            if let Some(key) = places.head {
                heads.insert(key, queue.slot(0).tx.hash);
            }
            for pool in SubPool::ALL {
                tallies[pool as usize].exchange(Tally::default(), places.tally[pool as usize]);
                worst[pool as usize].extend(places.worst[pool as usize].map(|key| (key, *sender)));
                for tx in queue.txs(pool) {
                    assert_eq!(tx.sender(), *sender);
                    assert!(Arc::ptr_eq(&self.by_hash[&tx.hash], tx));
                    for authority in &tx.authorities {
                        *authorities.entry(*authority).or_default() += 1;
                    }
                }
            }
        }
        assert_eq!(count, self.by_hash.len());
        assert_eq!(tallies, self.tallies);
        assert_eq!(worst, self.worst);
        assert_eq!(authorities, self.authorities);
        assert!(heads.iter().eq(self.heads.iter().map(|(key, tx)| (key, &tx.hash))));
        let limits = [self.config.pending, self.config.basefee, self.config.queued];
        for (tally, limit) in tallies.iter().zip(limits) {
            assert!(tally.count <= limit.max_count && tally.bytes <= limit.max_bytes);
        }
    }
}

const SENDERS: u8 = 4;
const NONCES: u64 = 6;

#[derive(Debug, Clone)]
enum Op {
    Add {
        sender: u8,
        nonce: u64,
        fee_cap: u128,
        tip: u128,
        value: u128,
        local: bool,
    },
    /// The account's nonce and balance change; everybody's if there is a reorg.
    Head {
        sender: u8,
        nonce: u64,
        balance: u128,
        base_fee: u64,
        reorg: bool,
    },
    Remove {
        nth: usize,
    },
    Expire,
}

fn op() -> impl Strategy<Value = Op> {
    let sender = 1..=SENDERS;
    prop_oneof![
        8 => (sender.clone(), 0..NONCES, 90..140_u128, 1..30_u128, 0..40_u128, prop::bool::weighted(0.1))
            .prop_map(|(sender, nonce, fee_cap, tip, value, local)| Op::Add {
                sender, nonce, fee_cap, tip, value: value * 100_000, local
            }),
        2 => (sender, 0..NONCES, 0..100_u128, 90..140_u64, prop::bool::weighted(0.2))
            .prop_map(|(sender, nonce, balance, base_fee, reorg)| Op::Head {
                sender, nonce, balance: balance * 1_000_000, base_fee, reorg
            }),
        1 => (0..10_usize).prop_map(|nth| Op::Remove { nth }),
        1 => Just(Op::Expire),
    ]
}

/// One sender as the rules describe it.
#[derive(Debug, Clone, Default)]
struct ModelSender {
    nonce: u64,
    balance: u128,
    /// By nonce: fee cap, tip, cost, local.
    txs: BTreeMap<u64, (u128, u128, u128, bool)>,
}

impl ModelSender {
    fn executable(&self) -> usize {
        (self.nonce..).take_while(|nonce| self.txs.contains_key(nonce)).count()
    }

    fn spent(&self) -> u128 {
        self.txs.values().take(self.executable()).map(|tx| tx.2).sum()
    }

    fn add(&mut self, nonce: u64, new: (u128, u128, u128, bool)) -> Result<(), &'static str> {
        let (fee_cap, tip, cost, _) = new;
        if tip > fee_cap {
            return Err("tip");
        }
        if nonce < self.nonce {
            return Err("nonce");
        }
        if cost > self.balance {
            return Err("funds");
        }
        let old = self.txs.get(&nonce).copied();
        let next = self.nonce + self.executable() as u64;
        let replaced = old.filter(|_| nonce < next).map_or(0, |old| old.2);
        // A replacement that costs less is never an overdraft.
        let grows = cost > replaced;
        if grows && self.spent() + cost - replaced > self.balance {
            return Err("overdraft");
        }
        if let Some((old_cap, old_tip, ..)) = old
            && (fee_cap <= old_cap
                || tip <= old_tip
                || fee_cap < old_cap * 110 / 100
                || tip < old_tip * 110 / 100)
        {
            return Err("underpriced");
        }
        self.txs.insert(nonce, new);
        Ok(())
    }

    fn set_account(&mut self, nonce: u64, balance: u128) {
        self.nonce = nonce;
        self.balance = balance;
        self.txs.retain(|of, tx| *of >= nonce && tx.2 <= balance);
    }
}

/// Runs operations on a pool and shows every state to `check`, with the answers so far.
struct Run {
    chain: TestChain,
    pool: TxPool,
}

impl Run {
    fn new(config: PoolConfig) -> Self {
        let mut chain = TestChain::new();
        let pool = chain.pool(config);
        Self { chain, pool }
    }

    fn apply(&mut self, op: &Op) -> Option<Result<(), String>> {
        match op {
            Op::Add { sender, nonce, fee_cap, tip, value, local } => {
                let tx = Tx { value: *value, ..Tx::of(*sender, *nonce).fees(*fee_cap, *tip) };
                let origin =
                    if *local { TransactionOrigin::Local } else { TransactionOrigin::External };
                let result = self.pool.add(tx.recovered(), origin);
                return Some(result.map(drop).map_err(|error| error.to_string()));
            }
            Op::Head { sender, nonce, balance, base_fee, reorg } => {
                let entry = self.chain.accounts.get_mut(&account(*sender)).expect("rich");
                entry.nonce = *nonce;
                entry.balance = U256::from(*balance);
                self.chain.base_fee = *base_fee;
                let update = match reorg {
                    true => self.chain.reorg(vec![]),
                    false => self.chain.advance(&[account(*sender)]),
                };
                self.pool.on_new_head(update);
            }
            Op::Remove { nth } => {
                let mut hashes: Vec<_> = self.pool.all().iter().map(|tx| tx.hash).collect();
                hashes.sort_unstable();
                let hash: Vec<_> = hashes.into_iter().nth(*nth).into_iter().collect();
                self.pool.remove(&hash);
            }
            Op::Expire => {
                self.pool.expire(Instant::now() + Duration::from_secs(100_000));
            }
        }
        None
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    /// Whatever happens to a small pool, nothing that it keeps incrementally goes wrong and no
    /// limit is exceeded.
    #[test]
    fn small_pools_stay_consistent(
        ops in proptest::collection::vec(op(), 1..60),
        counts in proptest::array::uniform3(0..6_usize),
        slots in 0..4_usize,
    ) {
        let limit = |at: usize| SubPoolLimit { max_count: counts[at], max_bytes: 4_000 };
        let mut run = Run::new(PoolConfig {
            pending: limit(0),
            basefee: limit(1),
            queued: limit(2),
            max_account_slots: slots,
            ..PoolConfig::default()
        });
        for op in &ops {
            run.apply(op);
            run.pool.ledger().assert_consistent();
        }
    }

    /// A pool with room enough does what the rules say, transaction by transaction.
    #[test]
    fn large_pools_follow_the_rules(ops in proptest::collection::vec(op(), 1..60)) {
        let mut run = Run::new(PoolConfig::default());
        let mut model: Vec<ModelSender> = (0..=SENDERS)
            .map(|_| ModelSender { balance: crate::test_chain::ETHER, ..Default::default() })
            .collect();
        for op in &ops {
            let mut hashes: Vec<_> =
                run.pool.all().iter().map(|tx| (tx.hash, tx.sender(), tx.nonce())).collect();
            hashes.sort_unstable();
            let known = match op {
                Op::Add { sender, nonce, fee_cap, tip, value, .. } => {
                    let tx = Tx { value: *value, ..Tx::of(*sender, *nonce).fees(*fee_cap, *tip) };
                    run.pool.get(&tx.envelope().tx_hash()).is_some()
                }
                _ => false,
            };
            let result = run.apply(op);
            match op {
                Op::Add { sender, nonce, fee_cap, tip, value, local } => {
                    let cost = fee_cap * 100_000 + value;
                    let result = result.expect("an answer");
                    if known {
                        prop_assert_eq!(result, Err("already known".to_owned()));
                    } else {
                        let expected = model[usize::from(*sender)].add(*nonce, (*fee_cap, *tip, cost, *local));
                        prop_assert_eq!(result.is_ok(), expected.is_ok(), "{:?} {:?}", result, expected);
                    }
                }
                Op::Head { sender, nonce, balance, .. } => {
                    model[usize::from(*sender)].set_account(*nonce, *balance);
                }
                Op::Remove { nth } => {
                    if let Some((_, sender, nonce)) = hashes.get(*nth) {
                        model[usize::from(sender[0])].txs.remove(nonce);
                    }
                }
                Op::Expire => for sender in &mut model {
                    let next = sender.nonce + sender.executable() as u64;
                    sender.txs.retain(|nonce, tx| *nonce < next || tx.3);
                },
            }
            run.pool.ledger().assert_consistent();
            compare(&run, &model)?;
        }
    }
}

/// The pool's views of its content against the model's.
fn compare(run: &Run, model: &[ModelSender]) -> Result<(), TestCaseError> {
    let base_fee = run.chain.base_fee;
    let mut executable = 0;
    for (index, sender) in model.iter().enumerate().skip(1) {
        let address = account(index as u8);
        let content = run.pool.content_from(address);
        let count = sender.executable();
        executable += count;
        prop_assert_eq!(content.pending.len(), count);
        let all = content.pending.iter().chain(&content.queued).map(|tx| tx.nonce());
        prop_assert!(all.eq(sender.txs.keys().copied()));
        let next = (count > 0).then_some(sender.nonce + count as u64);
        prop_assert_eq!(run.pool.pending_nonce(address), next);
    }
    prop_assert_eq!(run.pool.status().executable(), executable);

    // Of all senders whose next transaction can pay, the best tip comes first.
    let mut next: Vec<u64> = model.iter().map(|sender| sender.nonce).collect();
    let tip = |index: usize, nonce: u64| {
        let (fee_cap, tip, ..) = model[index].txs.get(&nonce)?;
        Some((*tip).min(fee_cap.checked_sub(u128::from(base_fee))?))
    };
    for tx in run.pool.best(base_fee) {
        let index = usize::from(tx.sender()[0]);
        prop_assert_eq!(tx.nonce(), next[index]);
        let best = (1..model.len()).filter_map(|index| tip(index, next[index])).max();
        prop_assert_eq!(tip(index, next[index]), best);
        next[index] += 1;
    }
    for (index, nonce) in next.iter().enumerate().skip(1) {
        prop_assert_eq!(tip(index, *nonce), None, "nothing is left out");
    }
    Ok(())
}
