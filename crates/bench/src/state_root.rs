//! `bench state-root`: what a touched account costs when the state grows.

use std::{path::PathBuf, sync::Arc, time::Instant};

use alloy_consensus::{Block, BlockBody, Header};
use alloy_primitives::{
    B256, U256, keccak256,
    map::{B256Map, B256Set},
};
use ascribe_chainspec::ChainSpec;
use ascribe_storage::{AttributionCell, ExecutedBlock, HistoryRetention, Storage, StorageOptions};
use ascribe_trie::{
    Cached, HashedAccount, HashedPostState, Lookups, StateLayer, TrieCache, TrieError, prefetch,
    state_root,
};
use clap::Args;
use rayon::prelude::*;
use reth_primitives_traits::{RecoveredBlock, SealedHeader};
use tempfile::TempDir;

use crate::{
    BenchError, bars,
    report::{Report, median},
};

/// Accounts that one block adds while the state is filled.
const FILL: u64 = 200_000;

/// What `bench state-root` takes.
#[derive(Args, Debug, Clone)]
pub struct StateRootArgs {
    /// Sizes of the state, in accounts
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_values_t = [10_000, 1_000_000, 10_000_000])]
    accounts: Vec<u64>,
    /// Accounts that a block touches, drawn from all. The more they are, the more share their
    /// paths, above all in a small state
    #[arg(long, value_name = "N,N", value_delimiter = ',', default_values_t = [10, 200, 2_000])]
    touched: Vec<u64>,
    /// Blocks at each size and of each kind
    #[arg(long, value_name = "N", default_value_t = 31)]
    rounds: u64,
    /// Memory of the trie cache, in megabytes
    #[arg(long, value_name = "MB", default_value_t = 512)]
    cache: u64,
    /// Where the database is made for the time being [default: where temporary files go]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// One JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// A state on disk that grows block by block.
struct State {
    storage: Storage,
    cache: Arc<TrieCache>,
    head: SealedHeader,
    size: u64,
    _dir: TempDir,
}

pub(crate) fn run(args: &StateRootArgs) -> Result<Report, BenchError> {
    let mut state = State::new(args)?;
    let mut report = Report::new("state root, by accounts in the state");
    let mut first = vec![None; args.touched.len()];
    for size in &args.accounts {
        state.fill(*size)?;
        state.warm()?;
        let mut costs = vec![Vec::new(); args.touched.len()];
        let bar = bars::bar(format!("{size} accounts"), args.rounds);
        for round in 0..args.rounds {
            for (touched, costs) in args.touched.iter().zip(&mut costs) {
                costs.push(state.touch(*touched, round)?);
            }
            bar.inc(1);
        }
        bar.finish_and_clear();
        for ((touched, costs), first) in args.touched.iter().zip(costs).zip(&mut first) {
            let seconds = median(costs.iter().map(|cost| cost.seconds)) / *touched as f64;
            let hits = costs.iter().map(|cost| cost.lookups.hits).sum::<u64>() as f64;
            let misses = costs.iter().map(|cost| cost.lookups.misses).sum::<u64>() as f64;
            report.row(
                format!("accounts-{size}-touched-{touched}"),
                vec![
                    ("us_per_account", seconds * 1e6),
                    ("ratio_to_first", seconds / *first.get_or_insert(seconds)),
                    ("nodes_per_account", (hits + misses) / (*touched * args.rounds) as f64),
                    ("cached_percent", hits / (hits + misses) * 1e2),
                ],
            );
        }
    }
    Ok(report)
}

/// What the root of a block takes.
#[derive(Debug, Clone, Copy)]
struct Cost {
    seconds: f64,
    /// Nodes and accounts that are looked up.
    lookups: Lookups,
}

impl State {
    fn new(args: &StateRootArgs) -> Result<Self, BenchError> {
        let dir = match &args.dir {
            Some(dir) => TempDir::new_in(dir)?,
            None => TempDir::new()?,
        };
        let spec = ChainSpec::devnet();
        // How the state came about is of no interest here.
        let history = HistoryRetention::Blocks(1);
        let options = StorageOptions { history, ..StorageOptions::default() };
        let storage = Storage::open(dir.path(), options, &spec, &mut |_| {})?;
        let cache = Arc::new(TrieCache::new(args.cache << 20));
        Ok(Self { storage, cache, head: spec.genesis_header().clone(), size: 0, _dir: dir })
    }

    /// Adds accounts until there are `size`.
    fn fill(&mut self, size: u64) -> Result<(), BenchError> {
        let bar = bars::bar(format!("filling to {size} accounts"), size);
        bar.set_position(self.size);
        while self.size < size {
            let to = size.min(self.size + FILL);
            let (layer, root) = self.root((self.size..to).into_par_iter(), 1)?;
            self.append(layer, root)?;
            self.size = to;
            bar.set_position(to);
        }
        bar.finish_and_clear();
        Ok(self.storage.flush()?)
    }

    /// Reads the whole trie once, so that the cache holds what it can hold.
    fn warm(&self) -> Result<(), BenchError> {
        let bar = bars::bar("warming the cache", self.size);
        let reader = Cached::new(self.cache.clone(), self.storage.reader());
        for from in (0..self.size).step_by(FILL as usize) {
            let to = self.size.min(from + FILL);
            let touched: B256Map<B256Set> =
                (from..to).into_par_iter().map(|n| (key(n), B256Set::default())).collect();
            prefetch(&reader, self.head.state_root, &touched)?;
            bar.set_position(to);
        }
        bar.finish_and_clear();
        Ok(())
    }

    /// One block that changes `count` accounts.
    fn touch(&mut self, count: u64, round: u64) -> Result<Cost, BenchError> {
        let (size, number) = (self.size, self.head.number);
        let drawn = (0..count).into_par_iter().map(move |n| {
            let seed = [number.to_be_bytes(), n.to_be_bytes()].concat();
            keccak256(seed).0.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes) % size)
        });
        let (before, changes) = (self.cache.lookups(), changes(drawn, 2 + round));
        let started = Instant::now();
        let reader = Cached::new(self.cache.clone(), self.storage.reader());
        let output = state_root(&reader, self.head.state_root, &changes)?;
        let seconds = started.elapsed().as_secs_f64();
        let after = self.cache.lookups();
        let lookups =
            Lookups { hits: after.hits - before.hits, misses: after.misses - before.misses };
        let root = output.state_root;
        self.append(StateLayer::new(changes, output), root)?;
        Ok(Cost { seconds, lookups })
    }

    fn root(
        &self,
        accounts: impl ParallelIterator<Item = u64>,
        nonce: u64,
    ) -> Result<(StateLayer, B256), TrieError> {
        let changes = changes(accounts, nonce);
        let reader = Cached::new(self.cache.clone(), self.storage.reader());
        let output = state_root(&reader, self.head.state_root, &changes)?;
        let root = output.state_root;
        Ok((StateLayer::new(changes, output), root))
    }

    fn append(&mut self, layer: StateLayer, state_root: B256) -> Result<(), BenchError> {
        let header = Header {
            number: self.head.number + 1,
            parent_hash: self.head.hash(),
            timestamp: self.head.timestamp + 2,
            state_root,
            ..Header::default()
        };
        let hash = header.hash_slow();
        let block = Block { header: header.clone(), body: BlockBody::default() };
        self.storage.append(&[ExecutedBlock {
            block: Arc::new(RecoveredBlock::new(block, Vec::new(), hash)),
            receipts: Arc::default(),
            layer: Arc::new(layer),
            replaced: Arc::default(),
            codes: Arc::default(),
            attribution: AttributionCell::default(),
        }])?;
        self.head = SealedHeader::new(header, hash);
        Ok(())
    }
}

fn changes(accounts: impl ParallelIterator<Item = u64>, nonce: u64) -> HashedPostState {
    let account = |n: u64| {
        let balance = U256::from(10).pow(U256::from(18)) + U256::from(n);
        HashedAccount { nonce, balance, code_hash: keccak256([]) }
    };
    let accounts = accounts.map(|n| (key(n), Some(account(n)))).collect();
    HashedPostState { accounts, ..HashedPostState::default() }
}

fn key(n: u64) -> B256 {
    keccak256(n.to_be_bytes())
}
