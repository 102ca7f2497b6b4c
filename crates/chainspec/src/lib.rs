#![doc = include_str!("../README.md")]

pub mod attributes;
pub mod deposit;
mod error;
pub mod extra_data;
mod header;
pub mod predeploys;
mod preset;
pub mod rollup;
mod spec;
pub mod system_config;

pub use attributes::{L1Attributes, L1AttributesError};
pub use deposit::{DepositLogError, decode_deposit_log};
pub use error::ChainSpecError;
pub use rollup::{
    AltDaConfig, ChainOpConfig, GenesisIds, RollupConfig, RollupConfigError, SystemConfig,
};
pub use spec::{ChainSpec, DEFAULT_BASE_FEE_PARAMS};
pub use system_config::ConfigUpdate;
