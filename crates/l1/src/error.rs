//! What can go wrong with an L1 endpoint, and what a caller's loop shall do about it.

use alloy_primitives::B256;
use std::time::Duration;

/// What to do after an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ErrorClass {
    /// Try again: nothing is known to have changed.
    Temporary,
    /// Start over from what the L1 says now: it no longer has what it had.
    Reset,
    /// Stop: the configuration is wrong.
    Fatal,
}

/// A request to the L1 failed, after all its retries.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum L1Error {
    /// The endpoint is no `http`, `https`, `ws` or `wss` URL.
    #[error("L1 endpoint {url:?} is not an http(s) or ws(s) URL: {reason}")]
    Url {
        /// As given.
        url: String,
        /// What is wrong with it.
        reason: String,
    },
    /// The endpoint serves another chain.
    #[error("L1 endpoint has chain id {actual}, the rollup config says {expected}")]
    ChainId {
        /// From the configuration.
        expected: u64,
        /// From the endpoint.
        actual: u64,
    },
    /// The connection failed, or the endpoint answered with an error.
    #[error("L1 {method}: {message}")]
    Request {
        /// JSON-RPC method.
        method: &'static str,
        /// The error as the endpoint or the transport words it.
        message: String,
    },
    /// No answer came in time.
    #[error("L1 {method}: no answer within {after:?}")]
    Timeout {
        /// JSON-RPC method.
        method: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// The answer is about another block than was asked for.
    #[error("L1 {method}: asked for block {asked}, got {got}")]
    OtherBlock {
        /// JSON-RPC method.
        method: &'static str,
        /// Number or hash asked for.
        asked: String,
        /// Number or hash of the answer.
        got: String,
    },
    /// The header does not hash to the block's hash.
    #[error("L1 block {claimed}: its header hashes to {computed}")]
    HeaderHash {
        /// Hash as the endpoint says.
        claimed: B256,
        /// Hash of the header it sent.
        computed: B256,
    },
    /// The receipts are not those that the header commits to.
    #[error("L1 block {block}: receipts have root {computed}, the header says {expected}")]
    ReceiptsRoot {
        /// The block.
        block: B256,
        /// From the header.
        expected: B256,
        /// Of the receipts sent.
        computed: B256,
    },
    /// The block was there and is not any more: a reorg took it.
    #[error("L1 block {0} is gone")]
    BlockGone(B256),
}

impl L1Error {
    /// What to do about it. An endpoint that lies may stand beside honest ones behind one URL, so
    /// that is no reason to stop.
    pub const fn class(&self) -> ErrorClass {
        match self {
            Self::Url { .. } | Self::ChainId { .. } => ErrorClass::Fatal,
            Self::BlockGone(_) => ErrorClass::Reset,
            Self::Request { .. }
            | Self::Timeout { .. }
            | Self::OtherBlock { .. }
            | Self::HeaderHash { .. }
            | Self::ReceiptsRoot { .. } => ErrorClass::Temporary,
        }
    }
}
