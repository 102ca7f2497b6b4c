//! What the engine has done, counted since its start.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

/// What the engine has done since its start. Times are sums of wall time, of stages that in part
/// run beside each other.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EngineStats {
    /// Blocks executed because a payload was given.
    pub blocks_imported: u64,
    /// Gas used by them.
    pub gas_imported: u64,
    /// Payloads given that were in the tree already: built here, or given before.
    pub blocks_known: u64,
    /// Attempts at building a payload that were sealed.
    pub payloads_sealed: u64,
    /// Payloads that entered the tree without being executed again.
    pub payloads_inserted: u64,
    /// Blocks written to disk.
    pub blocks_persisted: u64,
    /// Decoding payloads, and waiting for senders during execution.
    pub recovery: Duration,
    /// Executing.
    pub execution: Duration,
    /// State root, and the receipts root beside it.
    pub root: Duration,
    /// Writing to disk, on its own thread.
    pub persistence: Duration,
}

/// A stage of the work on a block.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Stage {
    Recovery,
    Execution,
    Root,
    Persistence,
}

impl Stage {
    const fn metric(self) -> &'static str {
        match self {
            Self::Recovery => "ascribe_engine_recovery_seconds",
            Self::Execution => "reth_sync_block_validation_execution_duration",
            Self::Root => "reth_sync_block_validation_state_root_duration",
            Self::Persistence => "reth_consensus_engine_beacon_persistence_duration",
        }
    }
}

/// The counters behind [`EngineStats`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) blocks_imported: AtomicU64,
    pub(crate) gas_imported: AtomicU64,
    pub(crate) blocks_known: AtomicU64,
    pub(crate) payloads_sealed: AtomicU64,
    pub(crate) payloads_inserted: AtomicU64,
    pub(crate) blocks_persisted: AtomicU64,
    nanos: [AtomicU64; 4],
}

impl Counters {
    /// Runs one stage and takes its time.
    pub(crate) fn time<T>(&self, stage: Stage, work: impl FnOnce() -> T) -> T {
        let started = Instant::now();
        let result = work();
        self.record(stage, started.elapsed());
        result
    }

    /// Takes the time that a stage took.
    pub(crate) fn record(&self, stage: Stage, elapsed: Duration) {
        self.nanos[stage as usize].fetch_add(elapsed.as_nanos() as u64, Ordering::Relaxed);
        metrics::histogram!(stage.metric()).record(elapsed);
    }

    pub(crate) fn add(counter: &AtomicU64, n: u64) {
        counter.fetch_add(n, Ordering::Relaxed);
    }

    pub(crate) fn read(&self) -> EngineStats {
        let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        let time = |stage: Stage| Duration::from_nanos(count(&self.nanos[stage as usize]));
        EngineStats {
            blocks_imported: count(&self.blocks_imported),
            gas_imported: count(&self.gas_imported),
            blocks_known: count(&self.blocks_known),
            payloads_sealed: count(&self.payloads_sealed),
            payloads_inserted: count(&self.payloads_inserted),
            blocks_persisted: count(&self.blocks_persisted),
            recovery: time(Stage::Recovery),
            execution: time(Stage::Execution),
            root: time(Stage::Root),
            persistence: time(Stage::Persistence),
        }
    }
}
