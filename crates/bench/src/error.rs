//! What keeps a measurement from being one.

use ascribe_chainspec::{ChainSpecError, genesis::GenesisError};
use ascribe_engine::{EngineError, ForkchoiceError};
use ascribe_storage::StorageError;
use ascribe_trie::TrieError;

/// What keeps a measurement from being one.
#[derive(Debug, thiserror::Error)]
pub enum BenchError {
    /// The chain cannot be made.
    #[error(transparent)]
    Chain(#[from] ChainSpecError),
    /// A contract has not been built.
    #[error(transparent)]
    Contract(#[from] GenesisError),
    /// The database does not open or write.
    #[error(transparent)]
    Storage(#[from] StorageError),
    /// The engine fails.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// The engine refuses a head.
    #[error(transparent)]
    Forkchoice(#[from] ForkchoiceError),
    /// A state root cannot be had.
    #[error(transparent)]
    Trie(#[from] TrieError),
    /// Files, sockets, processes.
    #[error(transparent)]
    Io(#[from] std::io::Error),
    /// Something is not as the bench needs it.
    #[error("{what}: {reason}")]
    Setup {
        /// What.
        what: &'static str,
        /// How.
        reason: String,
    },
}

impl BenchError {
    pub(crate) fn setup(what: &'static str, reason: impl ToString) -> Self {
        Self::Setup { what, reason: reason.to_string() }
    }
}
