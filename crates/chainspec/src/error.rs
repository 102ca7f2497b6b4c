//! What can be wrong with the description of a chain.

use std::path::PathBuf;

/// A chain that cannot be described by what was given.
#[derive(Debug, thiserror::Error)]
pub enum ChainSpecError {
    /// The argument of `--chain` is neither a preset nor a file.
    #[error("no chain '{0}': give a genesis file, or one of {presets}", presets = crate::preset::NAMES.join(", "))]
    UnknownChain(String),
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than any genesis is.
    #[error("{path} has {bytes} bytes, more than the {limit} that a genesis may have")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// What is allowed.
        limit: u64,
    },
    /// The file is not a genesis in JSON.
    #[error("{path} is not a genesis: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: serde_json::Error,
    },
    /// A field of `config` has a value that it cannot have.
    #[error("the genesis has an invalid config.{field}: {reason}")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A fork is set although an earlier one is not, or is set before it.
    #[error("the genesis activates {fork} at {time}, but {earlier} {when}")]
    ForkOrder {
        /// The later fork.
        fork: &'static str,
        /// Its time, in seconds.
        time: u64,
        /// The fork that has to come first.
        earlier: &'static str,
        /// When that one comes.
        when: String,
    },
    /// A header's extraData does not hold what its fork demands.
    #[error(transparent)]
    ExtraData(#[from] crate::extra_data::ExtraDataError),
    /// A header without a base fee has no successor here.
    #[error("the parent header has no base fee")]
    NoBaseFee,
    /// A number that does not fit where the header keeps it.
    #[error("the genesis has a {field} of {value}, which is too large")]
    Overflow {
        /// Name of the field.
        field: &'static str,
        /// What was given.
        value: u128,
    },
}
