//! What goes wrong.

use crate::{ArgumentError, ClaimError, NodeError, ProofError, ProveError, ShowError, SubmitError};
use ascribe_attribution::{DecodeError, EncodeError};
use std::{io, path::PathBuf};

/// What goes wrong.
#[derive(Debug, thiserror::Error)]
pub enum AttributionError {
    /// A file, or standard input or output, cannot be read or written.
    #[error("{}: {error}", path.display())]
    File {
        /// Which; `-` is standard input or output.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file is larger than anything it should hold.
    #[error("{}: more than {most} bytes", path.display())]
    TooLarge {
        /// Which.
        path: PathBuf,
        /// How large it may be.
        most: u64,
    },
    /// Something in a file is not as it should be.
    #[error("{}, line {line}: {error}", path.display())]
    Json {
        /// Which.
        path: PathBuf,
        /// Where, from 1.
        line: usize,
        /// What.
        error: serde_json::Error,
    },
    /// The text of a batch is not hex.
    #[error("a batch is raw bytes, or hex with 0x before it: {0}")]
    Hex(alloy_primitives::hex::FromHexError),
    /// Details for more or fewer records than there are.
    #[error("{details} details for {records} records")]
    Details {
        /// How many details.
        details: usize,
        /// How many records.
        records: usize,
    },
    /// The records are not a batch.
    #[error(transparent)]
    Encode(#[from] EncodeError),
    /// The bytes are not a batch.
    #[error("not a batch: {0}")]
    Decode(#[from] DecodeError),
    /// An argument is not what it should be.
    #[error(transparent)]
    Argument(#[from] ArgumentError),
    /// The node, or the hub, does not do what it is asked.
    #[error(transparent)]
    Node(#[from] NodeError),
    /// A batch is not submitted.
    #[error(transparent)]
    Submit(#[from] SubmitError),
    /// An answer cannot be shown.
    #[error(transparent)]
    Show(#[from] ShowError),
    /// There is no proof.
    #[error(transparent)]
    Prove(#[from] ProveError),
    /// A proof proves nothing.
    #[error("not proven: {0}")]
    Proof(#[from] ProofError),
    /// Nothing is claimed.
    #[error(transparent)]
    Claim(#[from] ClaimError),
}
