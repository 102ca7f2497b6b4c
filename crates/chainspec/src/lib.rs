#![doc = include_str!("../README.md")]

pub mod attributes;
mod block_ref;
pub mod config_update;
pub mod deposit;
mod error;
pub mod extra_data;
mod file;
pub mod genesis;
mod hardforks;
mod header;
pub mod predeploys;
mod preset;
pub mod rollup;
mod spec;
pub mod system_config;

pub use attributes::{L1Attributes, L1AttributesError, L1Origin};
pub use block_ref::{L1BlockRef, L2BlockRef};
pub use config_update::{ConfigUpdate, ConfigUpdateError};
pub use deposit::{DepositLogError, decode_deposit_log};
pub use error::{ChainSpecError, FileError};
pub use file::read_json;
pub use hardforks::Hardforks;
pub use rollup::{
    AltDaConfig, BlockId, ChainOpConfig, GenesisIds, RollupConfig, RollupConfigError,
};
pub use spec::ChainSpec;
pub use system_config::{SystemConfig, SystemConfigError};
