//! What can be wrong with the description of a chain.

use std::path::PathBuf;

/// A chain that cannot be described by what was given.
#[derive(Debug, thiserror::Error)]
pub enum ChainSpecError {
    /// The argument of `--chain` is neither a preset nor a file.
    #[error("no chain '{0}': give a genesis file, or one of {presets}", presets = crate::preset::NAMES.join(", "))]
    UnknownChain(String),
    /// The file cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// A field of `config` has a value that it cannot have.
    #[error("the genesis has an invalid config.{field}: {reason}")]
    Field {
        /// Name of the field.
        field: &'static str,
        /// What is wrong.
        reason: String,
    },
    /// A fork is set although an earlier one is not.
    #[error(
        "unsupported fork ordering: {earlier} not enabled, but {fork} enabled at timestamp {time}"
    )]
    ForkGap {
        /// The fork that has to come first.
        earlier: &'static str,
        /// The later fork.
        fork: &'static str,
        /// Its time, in seconds.
        time: u64,
    },
    /// A fork is set before an earlier one.
    #[error(
        "unsupported fork ordering: {earlier} enabled at timestamp {before}, but {fork} enabled at timestamp {time}"
    )]
    ForkOrder {
        /// The fork that has to come first.
        earlier: &'static str,
        /// Its time, in seconds.
        before: u64,
        /// The later fork.
        fork: &'static str,
        /// Its time, in seconds.
        time: u64,
    },
    /// An Ethereum fork at another time than the OP fork that brings it.
    #[error("{l1} ({l1_time}) must equal {op} ({})", op_time.map_or_else(|| "<nil>".to_owned(), |time| time.to_string()))]
    Counterpart {
        /// Ethereum's fork.
        l1: &'static str,
        /// Its time, in seconds.
        l1_time: u64,
        /// Its OP counterpart.
        op: &'static str,
        /// Its time, in seconds.
        op_time: Option<u64>,
    },
    /// The header of block 0 would not let block 1 have a base fee.
    #[error("the genesis has an invalid extraData: {0}")]
    GenesisExtraData(#[source] crate::extra_data::ExtraDataError),
    /// A chain that does not begin with block 0.
    #[error("the genesis has number {0}, must be 0")]
    Number(u64),
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

/// A file of JSON or TOML that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum FileError {
    /// The file cannot be read.
    #[error("cannot read {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is larger than any of its kind.
    #[error("{path} has {bytes} bytes, more than the {limit} that a {what} may have")]
    TooLarge {
        /// The file.
        path: PathBuf,
        /// Its size.
        bytes: u64,
        /// What is allowed.
        limit: u64,
        /// What it should be.
        what: &'static str,
    },
    /// The file is not what it should be.
    #[error("{path} is not a {what}: {source}")]
    Json {
        /// The file.
        path: PathBuf,
        /// What it should be.
        what: &'static str,
        /// Where and why.
        source: serde_json::Error,
    },
}
