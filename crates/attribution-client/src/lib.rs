#![doc = include_str!("../README.md")]

mod decode;
mod encode;
mod error;
mod files;
mod stats;

pub use decode::DecodeArgs;
pub use encode::EncodeArgs;
pub use error::AttributionError;

use ascribe_attribution::Record;
use clap::Subcommand;
use std::path::Path;

/// `ascribe attribution`.
#[derive(Subcommand, Debug, Clone)]
pub enum AttributionCommand {
    /// Records, one JSON object a line, into a batch
    Encode(EncodeArgs),
    /// A batch into records, one JSON object a line
    Decode(DecodeArgs),
}

/// Does what the command says.
///
/// # Errors
/// If files cannot be read or written, or what is in them is not what it should be.
pub fn run(command: &AttributionCommand) -> Result<(), AttributionError> {
    match command {
        AttributionCommand::Encode(args) => encode::run(args),
        AttributionCommand::Decode(args) => decode::run(args),
    }
}

/// Reads records, one JSON object a line, from a file, or with `-` from standard input.
///
/// # Errors
/// If the file cannot be read or a line is not a record.
pub fn read_records(path: &Path) -> Result<Vec<Record>, AttributionError> {
    files::read_lines(path)
}
