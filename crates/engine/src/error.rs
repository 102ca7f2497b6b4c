//! What can go wrong, and the codes it has in the Engine API.

use alloy_eips::BlockNumHash;
use alloy_primitives::B256;
use ascribe_evm::{ExecutionError, FatalError};
use ascribe_storage::StorageError;
use ascribe_trie::{TrieError, TrieReadError};
use revm::database_interface::DBErrorMarker;
use std::sync::Arc;
use thiserror::Error;

/// Engine API: the payload is not, or no longer, available.
pub const UNKNOWN_PAYLOAD: i32 = -38001;
/// Engine API: the fork choice state contradicts the chain.
pub const INVALID_FORKCHOICE_STATE: i32 = -38002;
/// Engine API: no block can be built from the attributes.
pub const INVALID_PAYLOAD_ATTRIBUTES: i32 = -38003;
/// Engine API: the head lies further back than state is kept.
pub const TOO_DEEP_REORG: i32 = -38006;
/// JSON-RPC: this node failed.
pub const INTERNAL_ERROR: i32 = -32603;

/// Why the chain or a state could not be read.
#[derive(Debug, Clone, Error)]
pub enum ProviderError {
    /// The block is not known, or it is known and was never executed.
    #[error("header not found")]
    UnknownBlock(B256),
    /// The state of a side chain that left the persisted chain too far below its head.
    #[error("state of block {0} is too far below the persisted head")]
    TooDeep(u64),
    /// The disk, or what is on it.
    #[error(transparent)]
    Storage(Arc<StorageError>),
    /// The state or its trie.
    #[error(transparent)]
    Trie(Arc<TrieError>),
}

impl DBErrorMarker for ProviderError {}

impl From<StorageError> for ProviderError {
    fn from(error: StorageError) -> Self {
        Self::Storage(Arc::new(error))
    }
}

impl From<TrieError> for ProviderError {
    fn from(error: TrieError) -> Self {
        Self::Trie(Arc::new(error))
    }
}

impl From<TrieReadError> for ProviderError {
    fn from(error: TrieReadError) -> Self {
        Self::Trie(Arc::new(error.into()))
    }
}

/// Why the engine could not do what it was asked: its own trouble, never a verdict on a block.
#[derive(Debug, Clone, Error)]
pub enum EngineError {
    /// No payload has this id.
    #[error("Unknown payload")]
    UnknownPayload,
    /// Blocks cannot be persisted. Those in memory are kept, and writing is tried again.
    #[error("blocks cannot be persisted: {0}")]
    Persistence(Arc<StorageError>),
    /// The chain or a state could not be read.
    #[error(transparent)]
    Provider(#[from] ProviderError),
    /// A block could not be executed, for a reason that is not the block's.
    #[error("block {number} could not be executed: {reason}")]
    Execution {
        /// The block's number.
        number: u64,
        /// What failed.
        reason: String,
    },
    /// A thread of the engine could not be started.
    #[error("could not start the {thread} thread: {reason}")]
    Thread {
        /// Its name.
        thread: &'static str,
        /// What the operating system says.
        reason: String,
    },
    /// The engine was shut down.
    #[error("engine is stopped")]
    Stopped,
}

impl EngineError {
    /// The JSON-RPC code.
    pub const fn code(&self) -> i32 {
        match self {
            Self::UnknownPayload => UNKNOWN_PAYLOAD,
            _ => INTERNAL_ERROR,
        }
    }

    pub(crate) fn execution(number: u64, error: &FatalError) -> Self {
        Self::Execution { number, reason: error.to_string() }
    }
}

/// Why a fork choice update was refused. Displays as geth's message; [`reason`](Self::reason) is
/// what geth puts under `data.err`.
#[derive(Debug, Clone, Error)]
pub enum ForkchoiceError {
    /// The safe or the finalized block is unknown, or not an ancestor of the head.
    #[error("Invalid forkchoice state")]
    InvalidState(InvalidForkchoice),
    /// No block can be built from the attributes.
    #[error("Invalid payload attributes")]
    InvalidAttributes(AttributesError),
    /// State is no longer kept where the head shall be.
    #[error("Too deep reorg")]
    TooDeepReorg(BlockNumHash),
    /// Our own trouble.
    #[error(transparent)]
    Engine(#[from] EngineError),
}

impl ForkchoiceError {
    /// The JSON-RPC code.
    pub const fn code(&self) -> i32 {
        match self {
            Self::InvalidState(_) => INVALID_FORKCHOICE_STATE,
            Self::InvalidAttributes(_) => INVALID_PAYLOAD_ATTRIBUTES,
            Self::TooDeepReorg(_) => TOO_DEEP_REORG,
            Self::Engine(error) => error.code(),
        }
    }

    /// What is wrong in particular.
    pub fn reason(&self) -> Option<String> {
        match self {
            Self::InvalidState(reason) => Some(reason.to_string()),
            Self::InvalidAttributes(reason) => Some(reason.to_string()),
            Self::TooDeepReorg(head) => {
                Some(format!("state at block {} is no longer kept", head.number))
            }
            Self::Engine(_) => None,
        }
    }
}

impl From<AttributesError> for ForkchoiceError {
    fn from(error: AttributesError) -> Self {
        Self::InvalidAttributes(error)
    }
}

impl From<InvalidForkchoice> for ForkchoiceError {
    fn from(error: InvalidForkchoice) -> Self {
        Self::InvalidState(error)
    }
}

impl From<ProviderError> for ForkchoiceError {
    fn from(error: ProviderError) -> Self {
        Self::Engine(error.into())
    }
}

/// What contradicts the chain in a fork choice state. geth's texts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidForkchoice {
    /// The finalized block is unknown.
    #[error("final block not available in database")]
    FinalizedUnknown,
    /// The finalized block is not an ancestor of the head.
    #[error("final block not in canonical chain")]
    FinalizedNotCanonical,
    /// The safe block is unknown.
    #[error("safe block not available in database")]
    SafeUnknown,
    /// The safe block is not an ancestor of the head.
    #[error("safe block not in canonical chain")]
    SafeNotCanonical,
}

/// What is wrong with payload attributes. op-geth's texts, where it has one.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AttributesError {
    /// An OP chain sets its gas limit by attributes.
    #[error("gasLimit parameter is required")]
    GasLimitMissing,
    /// Above what a header may hold.
    #[error("invalid gasLimit: have {0}, max 9223372036854775807")]
    GasLimitTooHigh(u64),
    /// From Canyon on the list of withdrawals is there, and empty.
    #[error("non-empty or nil withdrawals post-canyon")]
    WithdrawalsNotEmpty,
    /// Before Canyon there is none.
    #[error("non-nil withdrawals pre-canyon")]
    WithdrawalsUnexpected,
    /// EIP-4788, from Ecotone on.
    #[error("missing beacon root")]
    BeaconRootMissing,
    /// Before Ecotone.
    #[error("unexpected beacon root")]
    BeaconRootUnexpected,
    /// From Holocene on.
    #[error("holocene eip-1559 params should be 8 bytes, got 0")]
    Eip1559ParamsMissing,
    /// Before Holocene.
    #[error("non-empty eip155Params pre-Holocene")]
    Eip1559ParamsUnexpected,
    /// Both zero is "the chain's defaults"; exactly one zero is a division by zero later on.
    #[error("holocene params cannot have a 0 denominator unless elasticity is also 0")]
    ZeroDenominator,
    /// See [`Self::ZeroDenominator`].
    #[error("holocene params cannot have a 0 elasticity unless denominator is also 0")]
    ZeroElasticity,
    /// From Jovian on.
    #[error("nil minBaseFee post-Jovian")]
    MinBaseFeeMissing,
    /// Before Jovian.
    #[error("non-nil minBaseFee pre-Jovian")]
    MinBaseFeeUnexpected,
    /// Not after the parent.
    #[error("invalid timestamp, parent {parent} given {given}")]
    Timestamp {
        /// The parent's, in seconds.
        parent: u64,
        /// The attributes', in seconds.
        given: u64,
    },
    /// Bytes that are no transaction, or one that nobody signed.
    #[error("transaction {index} is not valid: {reason}")]
    Transaction {
        /// Its place in the list.
        index: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A transaction that cannot be executed here.
    #[error(
        "failed to force-include tx: {hash} type: {ty} sender: {sender} nonce: {nonce}, err: {reason}"
    )]
    Forced {
        /// The transaction.
        hash: B256,
        /// Its EIP-2718 type.
        ty: u8,
        /// Who sent it.
        sender: alloy_primitives::Address,
        /// Its nonce.
        nonce: u64,
        /// Why not.
        reason: String,
    },
    /// The block as a whole breaks a rule.
    #[error("{0}")]
    Block(String),
}

/// A payload or block that did not enter the tree.
#[derive(Debug)]
pub(crate) enum ImportError {
    /// The block is invalid; the text says why.
    Invalid(String),
    /// This node failed.
    Engine(EngineError),
}

impl ImportError {
    pub(crate) fn execution(number: u64, error: ExecutionError) -> Self {
        match error {
            ExecutionError::Invalid(error) => Self::Invalid(error.to_string()),
            ExecutionError::Fatal(error) => Self::Engine(EngineError::execution(number, &error)),
        }
    }
}

impl From<ascribe_evm::ConsensusError> for ImportError {
    fn from(error: ascribe_evm::ConsensusError) -> Self {
        Self::Invalid(error.to_string())
    }
}

impl From<ProviderError> for ImportError {
    fn from(error: ProviderError) -> Self {
        Self::Engine(error.into())
    }
}

impl From<TrieError> for ImportError {
    fn from(error: TrieError) -> Self {
        ProviderError::from(error).into()
    }
}

impl From<TrieReadError> for ImportError {
    fn from(error: TrieReadError) -> Self {
        ProviderError::from(error).into()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_those_of_the_engine_api() {
        let state = ForkchoiceError::from(InvalidForkchoice::SafeNotCanonical);
        assert_eq!(state.code(), -38002);
        assert_eq!(state.to_string(), "Invalid forkchoice state");
        assert_eq!(state.reason().as_deref(), Some("safe block not in canonical chain"));
        let attributes = ForkchoiceError::from(AttributesError::GasLimitMissing);
        assert_eq!(attributes.code(), -38003);
        assert_eq!(attributes.reason().as_deref(), Some("gasLimit parameter is required"));
        assert_eq!(EngineError::UnknownPayload.code(), -38001);
        assert_eq!(ForkchoiceError::from(EngineError::Stopped).code(), -32603);
    }
}
