#![doc = include_str!("../README.md")]

mod decode;
mod encode;
mod error;
mod files;
mod stats;

pub use decode::DecodeArgs;
pub use encode::EncodeArgs;
pub use error::AttributionError;

use clap::Subcommand;

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
