#![doc = include_str!("../README.md")]

mod attributes;
mod clock;
mod config;
mod error;
mod handle;
mod metrics;
mod origin;
mod ports;
mod refs;
mod scout;
mod sequencer;
mod start;
mod status;
#[cfg(test)]
mod test_chain;
mod worker;

pub use attributes::{AttributesBuilder, AttributesError};
pub use config::{SequencerConfig, UpgradeDeposits};
pub use error::{AdminError, SequencerError, StatusError};
pub use handle::SequencerHandle;
pub use ports::{ChainError, EngineChain, L1Source, L2Block, L2Chain, Labels};
pub use refs::L2BlockRef;
pub use sequencer::Sequencer;
pub use status::{OutputResponse, RollupStatus, SyncStatus};
