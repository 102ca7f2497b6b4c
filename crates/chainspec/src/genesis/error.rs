//! What can be wrong with the making of a genesis.

use std::path::PathBuf;

use alloy_primitives::Address;

use crate::{ChainSpecError, FileError, RollupConfigError};

/// A genesis that cannot be made from what was given.
#[derive(Debug, thiserror::Error)]
pub enum GenesisError {
    /// A file cannot be read, or is not what it should be.
    #[error(transparent)]
    File(#[from] FileError),
    /// The configuration is not TOML, or has a field that is missing, unknown or of another kind.
    #[error("{path} is not a devnet configuration: {source}")]
    Toml {
        /// The file.
        path: PathBuf,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A field of the configuration has a value that it cannot have.
    #[error("the devnet configuration has {field} = {given}, allowed is {allowed}")]
    Config {
        /// Dotted name of the field.
        field: &'static str,
        /// What is there.
        given: String,
        /// What may be there.
        allowed: &'static str,
    },
    /// A contract has not been built or installed.
    #[error("there is no {path}: run 'scripts/contracts build'")]
    NoArtifact {
        /// Where it should be.
        path: PathBuf,
    },
    /// A contract is not what this release of the predeploys has.
    #[error("{path} cannot be used: {reason}")]
    Artifact {
        /// Where it is.
        path: PathBuf,
        /// What is wrong.
        reason: &'static str,
    },
    /// An alloc without a predeploy that no chain can be without.
    #[error("{path} has no {name} ({address}) behind a proxy, so no rollup can begin with it")]
    NoPredeploy {
        /// The alloc.
        path: PathBuf,
        /// What is missing.
        name: &'static str,
        /// Where it should be.
        address: Address,
    },
    /// The chain that results is refused.
    #[error(transparent)]
    Chain(#[from] ChainSpecError),
    /// The rollup configuration that results is refused.
    #[error(transparent)]
    Rollup(#[from] RollupConfigError),
}
