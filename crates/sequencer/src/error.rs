//! What can go wrong, by whom it concerns.

use crate::{L2BlockRef, attributes::AttributesError};
use alloy_eips::BlockNumHash;
use alloy_primitives::B256;
use ascribe_chainspec::RollupConfigError;
use ascribe_engine::ProviderError;
use std::sync::Arc;

/// The sequencer cannot go on, and a restart with the same settings would not help.
#[derive(Debug, Clone, thiserror::Error)]
pub enum SequencerError {
    /// The rollup config contradicts itself.
    #[error(transparent)]
    RollupConfig(#[from] Arc<RollupConfigError>),
    /// No attributes can be made of an L1 block, and none of a later one before it.
    #[error("failed to derive some deposits: {0}")]
    Attributes(#[from] AttributesError),
    /// The L2 genesis block is another than the rollup config's.
    #[error("wrong chain L2: genesis: {expected:?}, got {actual}")]
    L2Genesis {
        /// From the rollup config.
        expected: BlockNumHash,
        /// From the chain.
        actual: L2BlockRef,
    },
    /// The L1 has another block where the rollup begins.
    #[error("wrong chain L1: genesis: {expected:?}, got {actual}")]
    L1Genesis {
        /// From the rollup config.
        expected: BlockNumHash,
        /// Hash of the L1's block.
        actual: B256,
    },
    /// An L1 reorg took the origin of a finalized block.
    #[error(
        "cannot reorg finalized block: finalized {finalized:?}, its L1 origin {origin:?} is gone"
    )]
    ReorgFinalized {
        /// The finalized L2 block.
        finalized: BlockNumHash,
        /// Its L1 origin.
        origin: BlockNumHash,
    },
}

/// Answers of the `admin_` methods, in op-node's words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AdminError {
    /// The node was started without `--sequencer.enabled`.
    #[error("sequencer is not enabled")]
    NotEnabled,
    /// Start, while it runs.
    #[error("sequencer already running")]
    AlreadyStarted,
    /// Stop, while it does not run.
    #[error("sequencer not running")]
    AlreadyStopped,
    /// Start, before it is known what the head is.
    #[error("no prestate, cannot determine if sequencer start at {0} is safe")]
    NoPrestate(B256),
    /// Start on another block than the head.
    #[error("block hash does not match: head {head}, received {received}")]
    HashMismatch {
        /// The unsafe head.
        head: L2BlockRef,
        /// From the caller.
        received: B256,
    },
    /// The node is shutting down.
    #[error("node is already closed")]
    Closed,
}

/// Answers of the `optimism_` methods.
#[derive(Debug, Clone, thiserror::Error)]
pub enum StatusError {
    /// There is no such block.
    #[error("failed to get L2 block ref with sync status: not found")]
    NotFound,
    /// The chain cannot be read, or holds a block that is none of a rollup.
    #[error("failed to get L2 block ref with sync status: {0}")]
    Chain(String),
    /// The state of the block cannot be read.
    #[error("failed to get L2 output at block {block}: {reason}")]
    Output {
        /// The block.
        block: L2BlockRef,
        /// Why.
        reason: String,
    },
}

impl From<ProviderError> for StatusError {
    fn from(error: ProviderError) -> Self {
        Self::Chain(error.to_string())
    }
}
