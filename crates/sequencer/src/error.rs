//! What can go wrong, by whom it concerns.

use crate::attributes::AttributesError;
use alloy_eips::BlockNumHash;
use alloy_primitives::B256;
use ascribe_chainspec::RollupConfigError;
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
    /// The L1 has another block where the rollup begins.
    #[error("wrong chain L1: genesis: {expected:?}, got {actual}")]
    L1Genesis {
        /// From the rollup config.
        expected: BlockNumHash,
        /// Hash of the L1's block.
        actual: B256,
    },
    /// The engine has stopped.
    #[error("the engine has stopped")]
    EngineStopped,
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
    #[error("block hash does not match: head {}:{}, received {received}", head.hash, head.number)]
    HashMismatch {
        /// The head.
        head: BlockNumHash,
        /// From the caller.
        received: B256,
    },
    /// The node is shutting down.
    #[error("node is already closed")]
    Closed,
}
