//! Proofs that can be checked without a node: what they hold, how they are made, how they are checked.

mod check;
mod document;
mod error;
mod prove;
mod verify;

pub use check::Verified;
pub use document::{PayoutPath, Proof, Proven, RecordPath};
pub use error::ProofError;
pub use prove::{ProveArgs, ProveError};
pub use verify::VerifyArgs;

pub(crate) use prove::run as prove;
pub(crate) use verify::run as verify;
