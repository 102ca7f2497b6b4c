#![doc = include_str!("../README.md")]

mod args;
mod claim;
mod decode;
mod encode;
mod error;
mod files;
mod node;
mod proof;
mod readable;
mod refusal;
mod show;
mod stats;
mod submit;

pub use args::{ArgumentError, HubArgs, KeyArgs, NodeArgs};
pub use claim::{ClaimArgs, ClaimError};
pub use decode::DecodeArgs;
pub use encode::EncodeArgs;
pub use error::AttributionError;
pub use node::NodeError;
pub use proof::{
    PayoutPath, Proof, ProofError, ProveArgs, ProveError, Proven, RecordPath, Verified, VerifyArgs,
};
pub use refusal::Refusal;
pub use show::{ShowArgs, ShowError};
pub use submit::{SubmitArgs, SubmitError};

use ascribe_attribution::Record;
use clap::Subcommand;
use std::{
    io::{ErrorKind, Write},
    path::Path,
};

/// `ascribe attribution`.
#[derive(Subcommand, Debug, Clone)]
pub enum AttributionCommand {
    /// Records, one JSON object a line, into a batch
    Encode(EncodeArgs),
    /// A batch into records, one JSON object a line
    Decode(DecodeArgs),
    /// Send a batch, or records, to the hub, and wait until it is settled
    Submit(SubmitArgs),
    /// Batches, records, payouts and sums, as a node's index has them
    Show(ShowArgs),
    /// Make a proof of a record or a payout that can be checked without a node
    Prove(ProveArgs),
    /// Check a proof, without a node
    Verify(VerifyArgs),
    /// Claim what a payee has earned
    Claim(ClaimArgs),
}

/// Does what the command says, and writes to `out` what comes of it.
///
/// # Errors
/// If files cannot be read or written, what is in them is not what it should be, or the node or the hub refuse.
pub async fn run(
    command: &AttributionCommand,
    out: &mut dyn Write,
) -> Result<(), AttributionError> {
    let result = match command {
        AttributionCommand::Encode(args) => encode::run(args, out),
        AttributionCommand::Decode(args) => decode::run(args, out),
        AttributionCommand::Show(args) => show::run(args, out).await,
        AttributionCommand::Prove(args) => proof::prove(args, out).await,
        AttributionCommand::Verify(args) => proof::verify(args, out),
        // These may have more to do when nobody reads on.
        AttributionCommand::Submit(args) => return submit::run(args, out).await,
        AttributionCommand::Claim(args) => return claim::run(args, out).await,
    };
    match result {
        // Whoever reads has enough.
        Err(AttributionError::File { error, .. }) if error.kind() == ErrorKind::BrokenPipe => {
            Ok(())
        }
        result => result,
    }
}

/// Reads records, one JSON object a line, from a file, or with `-` from standard input.
///
/// # Errors
/// If the file cannot be read or a line is not a record.
pub fn read_records(path: &Path) -> Result<Vec<Record>, AttributionError> {
    files::read_lines(path)
}
