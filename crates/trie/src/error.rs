//! What can go wrong while reading or updating a trie.

use crate::NodeDecodeError;
use alloy_primitives::{B256, hex};
use nybbles::Nibbles;
use std::{error::Error, fmt, sync::Arc};

/// A [`TrieReader`](crate::TrieReader) could not answer.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TrieReadError {
    /// The store behind the reader failed.
    #[error("reading state failed: {0}")]
    Source(Arc<dyn Error + Send + Sync>),
    /// The store holds bytes that are not a trie node.
    #[error("stored trie node is malformed: {0}")]
    Node(#[from] NodeDecodeError),
    /// A witness does not hold the node that was asked for.
    #[error("the witness has no sound node with hash {0}")]
    Unwitnessed(B256),
}

impl TrieReadError {
    /// Wraps the error of the store behind a reader.
    pub fn source(error: impl Error + Send + Sync + 'static) -> Self {
        Self::Source(Arc::new(error))
    }
}

/// Which trie an error speaks of.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TrieId {
    /// The trie of accounts.
    Accounts,
    /// The storage trie of the account with this hashed address.
    Storage(B256),
}

impl fmt::Display for TrieId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Accounts => f.write_str("account trie"),
            Self::Storage(account) => write!(f, "storage trie of {account}"),
        }
    }
}

/// A root, proof or witness could not be computed.
///
/// Every variant but [`Read`](Self::Read) means that reader and parent root do not belong together,
/// or that the store is damaged.
#[derive(Debug, Clone, thiserror::Error)]
pub enum TrieError {
    /// The reader failed.
    #[error(transparent)]
    Read(#[from] TrieReadError),
    /// The reader's root node does not hash to the root that was asked for.
    #[error("{trie} has root {found}, expected {expected}")]
    RootMismatch {
        /// The trie.
        trie: TrieId,
        /// Root of what the reader holds.
        found: B256,
        /// Root the caller named.
        expected: B256,
    },
    /// A parent points at a node that the reader does not have.
    #[error("{trie}: node at 0x{} is missing", nibbles(path))]
    MissingNode {
        /// The trie.
        trie: TrieId,
        /// Path of the node.
        path: Nibbles,
    },
    /// A node names a leaf whose value the reader does not have.
    #[error("{trie}: value of leaf {key} is missing")]
    MissingLeaf {
        /// The trie.
        trie: TrieId,
        /// Full key of the leaf.
        key: B256,
    },
    /// Leaves were given to a builder out of order, or twice.
    #[error("leaf {key} does not come after {previous}")]
    KeyOrder {
        /// The leaf before.
        previous: B256,
        /// The leaf that was refused.
        key: B256,
    },
    /// A node cannot stand where it was found.
    #[error("{trie}: node at 0x{} does not fit its place", nibbles(path))]
    Misplaced {
        /// The trie.
        trie: TrieId,
        /// Path of the node.
        path: Nibbles,
    },
}

fn nibbles(path: &Nibbles) -> String {
    let mut text = hex::encode(path.pack());
    text.truncate(path.len());
    text
}
