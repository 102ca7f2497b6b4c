//! What a user may choose about the engine.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::Duration,
};

/// How the engine keeps, persists and builds blocks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EngineConfig {
    /// Canonical blocks in memory above which a batch is handed to the persistence thread
    /// (`--engine.persistence-threshold`).
    pub persistence_threshold: u64,
    /// Canonical blocks that stay in memory when a batch is made, so that shallow reorgs touch no
    /// disk (`--engine.memory-block-buffer-target`).
    pub memory_block_buffer: u64,
    /// Canonical blocks in memory at which no new block is taken in before the batch that is being
    /// written is on disk (`--engine.persistence-backpressure-threshold`).
    pub backpressure: u64,
    /// Bytes of accounts and storage words kept across blocks
    /// (`--engine.cross-block-cache-size`).
    pub state_cache_bytes: u64,
    /// Bytes of trie nodes kept across blocks.
    pub trie_cache_bytes: u64,
    /// Bytes of analysed contract code kept across blocks.
    pub code_cache_bytes: u64,
    /// Blocks without a known parent, or off the canonical chain and not executed, that are kept
    /// (`--engine.block-buffer`).
    pub buffered_blocks: usize,
    /// Bytes of the same.
    pub buffered_bytes: usize,
    /// Executed blocks off the canonical chain that are kept; beyond, payloads are buffered.
    pub side_blocks: usize,
    /// Hashes of invalid blocks that are remembered.
    pub invalid_blocks: u32,
    /// How payloads are built.
    pub builder: BuilderConfig,
}

impl Default for EngineConfig {
    fn default() -> Self {
        Self {
            persistence_threshold: 7,
            memory_block_buffer: 5,
            backpressure: 16,
            state_cache_bytes: 512 << 20,
            trie_cache_bytes: 512 << 20,
            code_cache_bytes: 128 << 20,
            buffered_blocks: 512,
            buffered_bytes: 256 << 20,
            side_blocks: 512,
            invalid_blocks: 512,
            builder: BuilderConfig::default(),
        }
    }
}

/// How payloads are built.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuilderConfig {
    /// A payload that nobody fetches is improved no longer than this (`--builder.deadline`).
    pub deadline: Duration,
    /// Shortest time between the starts of two attempts to improve a payload
    /// (`--builder.interval`).
    pub interval: Duration,
    /// Payloads kept for `engine_getPayload`.
    pub payloads: usize,
    /// The DA limits in force until the batcher sets others.
    pub max_da_tx_size: u64,
    /// See [`DaLimits::max_block_size`].
    pub max_da_block_size: u64,
}

impl Default for BuilderConfig {
    fn default() -> Self {
        Self {
            deadline: Duration::from_secs(12),
            interval: Duration::from_millis(250),
            payloads: 10,
            max_da_tx_size: 0,
            max_da_block_size: DaLimits::DEFAULT_MAX_BLOCK_SIZE,
        }
    }
}

/// Bounds on what the pool's transactions of one block may cost in data availability, as
/// `miner_setMaxDASize` sets them while the node runs.
///
/// Sizes are the estimated compressed bytes of the Fjord fee formula
/// ([`EstimatedSize::bytes`](ascribe_evm::EstimatedSize)). Zero is "no limit". Forced
/// transactions are not counted: they are on L1 already, or must be included whatever they cost.
#[derive(Debug)]
pub struct DaLimits {
    max_tx_size: AtomicU64,
    max_block_size: AtomicU64,
}

impl DaLimits {
    /// In force from the start, so that a sequencer whose batcher has not spoken yet cannot make
    /// more data than it could ever post: four megabytes a block fit an EigenDA blob (16 MiB) four
    /// times over, and three full blocks of the largest Ethereum target.
    pub const DEFAULT_MAX_BLOCK_SIZE: u64 = 4_000_000;

    /// Limits in bytes; zero is none.
    pub const fn new(max_tx_size: u64, max_block_size: u64) -> Self {
        Self {
            max_tx_size: AtomicU64::new(max_tx_size),
            max_block_size: AtomicU64::new(max_block_size),
        }
    }

    /// Sets both limits, from the next attempt to build on.
    pub fn set(&self, max_tx_size: u64, max_block_size: u64) {
        self.max_tx_size.store(max_tx_size, Ordering::Relaxed);
        self.max_block_size.store(max_block_size, Ordering::Relaxed);
    }

    /// Largest transaction, in bytes.
    pub fn max_tx_size(&self) -> Option<u64> {
        non_zero(&self.max_tx_size)
    }

    /// Largest sum over a block's pool transactions, in bytes.
    pub fn max_block_size(&self) -> Option<u64> {
        non_zero(&self.max_block_size)
    }
}

fn non_zero(limit: &AtomicU64) -> Option<u64> {
    Some(limit.load(Ordering::Relaxed)).filter(|limit| *limit != 0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zero_is_no_limit() {
        let limits = DaLimits::new(0, DaLimits::DEFAULT_MAX_BLOCK_SIZE);
        assert_eq!(limits.max_tx_size(), None);
        assert_eq!(limits.max_block_size(), Some(4_000_000));
        limits.set(20_000, 0);
        assert_eq!(limits.max_tx_size(), Some(20_000));
        assert_eq!(limits.max_block_size(), None);
    }
}
