//! What is wrong with proofs.

use alloy_primitives::{Address, B256, U256};
use alloy_trie::proof::ProofVerificationError;
use ascribe_attribution::{DecodeError, ListId, RecordError, hub::NotAListState};

/// What is wrong with a proof: the first step that fails.
#[derive(Debug, thiserror::Error)]
pub enum ProofError {
    /// Of another contract, which may store what it likes.
    #[error("hub: the proof is of contract {given}, only {allowed} (--hub) is trusted")]
    Hub {
        /// The proof's.
        given: Address,
        /// The one that counts.
        allowed: Address,
    },
    /// Bytes that are no header of a batch.
    #[error("batchHeader: {0}")]
    BatchHeader(#[from] DecodeError),
    /// A header of another batch.
    #[error("batchHeader: its {field} is {given}, the proof is about {allowed}")]
    HeaderField {
        /// What differs.
        field: &'static str,
        /// The header's.
        given: String,
        /// The proof's.
        allowed: String,
    },
    /// No batch has such a record.
    #[error("record: {0}")]
    Record(#[from] RecordError),
    /// A time that the batch's records cannot have.
    #[error(
        "record: its timestamp is {given}, the batch allows {allowed} to {allowed} + 4294967295"
    )]
    Timestamp {
        /// The record's.
        given: u64,
        /// The batch's time base.
        allowed: u64,
    },
    /// No payee has this key.
    #[error("payout: {0:#x} is not the key of a payee")]
    Payee(U256),
    /// Other slots than those that matter.
    #[error("storageProof: it is of slots {given:?}, allowed are just {allowed:?}")]
    Slots {
        /// The proof's.
        given: Vec<B256>,
        /// Those that matter.
        allowed: Vec<B256>,
    },
    /// The hub stores nothing of the list.
    #[error("storageProof: the hub has no {what} root of list {list} after this block")]
    NoRoot {
        /// `record` or `payout`.
        what: &'static str,
        /// The list.
        list: ListId,
    },
    /// A list that is neither open nor merged.
    #[error("storageProof: {0}")]
    ListState(#[from] NotAListState),
    /// A path that ends elsewhere.
    #[error("{what}: its leaf and siblings lead to {given}, not to the root {allowed}")]
    Path {
        /// What has the leaf.
        what: &'static str,
        /// Where the path ends.
        given: B256,
        /// The root.
        allowed: B256,
    },
    /// It is claimed, or is not, other than the proof says.
    #[error("payout: claimed is {given}, the hub has {allowed}")]
    Claimed {
        /// What the proof says.
        given: bool,
        /// What the hub has.
        allowed: bool,
    },
    /// A slot that has not the value.
    #[error("storageProof: slot {slot} is not {value:#x} under storageHash: {error}")]
    Storage {
        /// The slot.
        slot: B256,
        /// What it should have.
        value: U256,
        /// What does not fit.
        error: Box<ProofVerificationError>,
    },
    /// The account of another contract.
    #[error("account: its address is {given}, not that of the hub, {allowed}")]
    Address {
        /// The account's.
        given: Address,
        /// The hub's.
        allowed: Address,
    },
    /// An account that the state has not.
    #[error("accountProof: the hub's account is not so under the block's state root: {0}")]
    Account(Box<ProofVerificationError>),
    /// Bytes that are no header of a block.
    #[error("blockHeader: {0}")]
    BlockHeader(alloy_rlp::Error),
    /// Another block.
    #[error("--block-hash: the proof's block has hash {given}, not {allowed}")]
    BlockHash {
        /// The hash of the proof's block.
        given: B256,
        /// The one that is trusted.
        allowed: B256,
    },
    /// Another output root.
    #[error("--output-root: the proof's block has output root {given}, not {allowed}")]
    OutputRoot {
        /// That of the proof's block.
        given: B256,
        /// The one that is trusted.
        allowed: B256,
    },
    /// A header that no output root follows from.
    #[error(
        "--output-root: the header of block {0}, from before Isthmus, has no withdrawals root; use --block-hash"
    )]
    NoOutputRoot(u64),
}
