//! What can go wrong between a caller and the disk.

use crate::{codec::DecodeError, column::Column};
use alloy_primitives::{B256, Bytes};
use ascribe_attribution_index::IndexError;
use ascribe_trie::{TrieError, TrieReadError};
use std::path::PathBuf;
use thiserror::Error;

/// Every failure of this crate.
#[derive(Debug, Clone, Error)]
pub enum StorageError {
    /// Another process (or another handle of this one) has the directory open.
    #[error("database {path} is in use by another process; only one may open it ({detail})")]
    Locked {
        /// Directory of the database.
        path: PathBuf,
        /// What RocksDB says about the lock.
        detail: String,
    },
    /// The directory holds a chain with another genesis block. geth's text.
    #[error("database contains incompatible genesis (have {stored}, new {given})")]
    GenesisMismatch {
        /// Hash of the genesis block on disk.
        stored: B256,
        /// Hash of the genesis block of the chain configuration.
        given: B256,
    },
    /// The directory holds a chain with the same genesis block and another id, on which other
    /// signatures count.
    #[error("database belongs to chain {stored}, the chain configuration says {given}")]
    ChainIdMismatch {
        /// Id of the chain on disk.
        stored: u64,
        /// Id in the chain configuration.
        given: u64,
    },
    /// The chain configuration knows its genesis header but not its accounts, so that an empty
    /// database cannot be filled from it.
    #[error("chain {chain_id} carries no genesis state; an empty database needs a genesis.json")]
    GenesisStateMissing {
        /// EIP-155 chain id of the configuration.
        chain_id: u64,
    },
    /// The accounts of the chain configuration do not hash to the root in its genesis header.
    #[error("genesis state root is {computed}, the genesis header says {header}")]
    GenesisRoot {
        /// Root of the accounts.
        computed: B256,
        /// Root in the header.
        header: B256,
    },
    /// The database was written by a later release.
    #[error(
        "database schema {found} is newer than schema {supported} of this release; use the \
         release that wrote it, or a new --datadir"
    )]
    NewerSchema {
        /// Version on disk.
        found: u32,
        /// Version of this build, [`SCHEMA_VERSION`](crate::SCHEMA_VERSION).
        supported: u32,
    },
    /// The directory holds a RocksDB database of another program.
    #[error("{path} holds a database of another program (column family {column:?})")]
    Foreign {
        /// Directory of the database.
        path: PathBuf,
        /// A column family that is not ours.
        column: String,
    },
    /// The attribution index contradicts itself.
    #[error("attribution index: {0}; `ascribe attribution reindex` makes it again")]
    Attribution(#[from] IndexError),
    /// An entry is there but wrong: bytes that do not decode, or that RocksDB's checksums refuse.
    #[error("corrupt database: column family {column}, key 0x{}: {reason}", hex(.key))]
    Corrupt {
        /// Column family of the entry.
        column: Column,
        /// Key of the entry.
        key: Bytes,
        /// What is wrong with it.
        reason: Corruption,
    },
    /// RocksDB found damage that no single entry can be named for (manifest, log, table files).
    #[error("corrupt database: {0}")]
    Damaged(String),
    /// The file system has no room left. Nothing of the refused batch is stored.
    #[error("disk full: {0}")]
    NoSpace(String),
    /// The operating system refused a read or a write.
    #[error("database input/output: {0}")]
    Io(String),
    /// Any other refusal by RocksDB.
    #[error("database: {0}")]
    Database(String),
    /// A block that does not extend the persisted chain.
    #[error("block {number} has parent {parent}, the persisted head is {head_number} ({head})")]
    NotContiguous {
        /// Number of the block given.
        number: u64,
        /// Its parent hash.
        parent: B256,
        /// Number of the block it would have to extend.
        head_number: u64,
        /// Hash of the block it would have to extend.
        head: B256,
    },
    /// A block whose parts contradict each other.
    #[error("block {number}: {reason}")]
    BadBlock {
        /// Number of the block given.
        number: u64,
        /// Which parts, and how.
        reason: String,
    },
    /// A height above the persisted head.
    #[error("block {number} is above the persisted head {head}")]
    AboveHead {
        /// Number asked for.
        number: u64,
        /// Number of the persisted head.
        head: u64,
    },
    /// A height whose state is no longer kept.
    #[error("state at block {number} is pruned; the oldest kept is block {floor}")]
    Pruned {
        /// Number asked for.
        number: u64,
        /// Lowest number whose state can be read or unwound to.
        floor: u64,
    },
    /// Undoing blocks led to another root than the header at that height has.
    #[error("unwinding to block {number} gives state root {computed}, its header says {header}")]
    UnwoundRoot {
        /// Height unwound to.
        number: u64,
        /// Root that the reverse changes lead to.
        computed: B256,
        /// Root in the header.
        header: B256,
    },
    /// A key or value for another room beyond its bound.
    #[error("{what} of {given} bytes exceeds {allowed} bytes")]
    TooLarge {
        /// `key` or `value`.
        what: &'static str,
        /// Size given.
        given: usize,
        /// Largest size allowed.
        allowed: usize,
    },
    /// The trie could not be recomputed. Errors of reading for it come back as they are.
    #[error(transparent)]
    Trie(TrieError),
}

/// What is wrong with a stored entry.
#[derive(Debug, Clone, Error)]
pub enum Corruption {
    /// The entry must exist and does not.
    #[error("missing")]
    Missing,
    /// The bytes are no encoding of what belongs there.
    #[error(transparent)]
    Undecodable(#[from] DecodeError),
    /// The bytes decode, but contradict another entry.
    #[error("{0}")]
    Inconsistent(String),
    /// RocksDB's own checks failed, for example a block checksum.
    #[error("{0}")]
    Unreadable(String),
}

impl StorageError {
    /// An entry that must exist and does not.
    pub(crate) fn missing(column: Column, key: &[u8]) -> Self {
        Self::corrupt(column, key, Corruption::Missing)
    }

    /// A wrong entry.
    pub(crate) fn corrupt(column: Column, key: &[u8], reason: impl Into<Corruption>) -> Self {
        Self::Corrupt { column, key: Bytes::copy_from_slice(key), reason: reason.into() }
    }

    /// An entry that contradicts another one.
    pub(crate) fn inconsistent(column: Column, key: &[u8], reason: impl Into<String>) -> Self {
        Self::corrupt(column, key, Corruption::Inconsistent(reason.into()))
    }

    /// Classes an error of a read, naming the entry if it is the entry that is broken.
    pub(crate) fn reading(column: Column, key: &[u8], error: rocksdb::Error) -> Self {
        match error.kind() {
            rocksdb::ErrorKind::Corruption => {
                Self::corrupt(column, key, Corruption::Unreadable(error.into_string()))
            }
            _ => error.into(),
        }
    }

    /// Classes an error of opening the database at `path`.
    pub(crate) fn opening(path: &std::path::Path, error: rocksdb::Error) -> Self {
        let text: &str = error.as_ref();
        // RocksDB has no status of its own for a held lock; both of its texts name the lock file.
        if error.kind() == rocksdb::ErrorKind::IOError
            && (text.contains("While lock file") || text.contains("lock hold by current process"))
        {
            return Self::Locked { path: path.to_owned(), detail: error.into_string() };
        }
        // A manifest that names a table file which is gone is damage, not a refusal of the system.
        if text.contains("No such file or directory") {
            return Self::Damaged(error.into_string());
        }
        match error.kind() {
            rocksdb::ErrorKind::InvalidArgument | rocksdb::ErrorKind::NotFound => {
                Self::Damaged(error.into_string())
            }
            _ => error.into(),
        }
    }
}

impl From<rocksdb::Error> for StorageError {
    fn from(error: rocksdb::Error) -> Self {
        let kind = error.kind();
        let text = error.into_string();
        match kind {
            // The C interface passes texts only. A full disk is an IO error with the subcode
            // "No space left on device" (ENOSPC) or carries the system's text for a used-up quota.
            rocksdb::ErrorKind::IOError
                if text.contains("No space left on device")
                    || text.contains("Disk quota exceeded") =>
            {
                Self::NoSpace(text)
            }
            // Tables are opened when they are first read: one that is gone is damage, not a
            // refusal of the system.
            rocksdb::ErrorKind::IOError if text.contains("No such file or directory") => {
                Self::Damaged(text)
            }
            rocksdb::ErrorKind::IOError => Self::Io(text),
            rocksdb::ErrorKind::Corruption => Self::Damaged(text),
            _ => Self::Database(text),
        }
    }
}

impl From<TrieError> for StorageError {
    fn from(error: TrieError) -> Self {
        if let TrieError::Read(TrieReadError::Source(source)) = &error
            && let Some(error) = source.downcast_ref::<Self>()
        {
            return error.clone();
        }
        Self::Trie(error)
    }
}

impl From<StorageError> for TrieReadError {
    fn from(error: StorageError) -> Self {
        Self::source(error)
    }
}

fn hex(key: &Bytes) -> String {
    alloy_primitives::hex::encode(key)
}
