#![doc = include_str!("../README.md")]

mod attributes;
mod clock;
mod config;
mod error;
mod handle;
mod metrics;
mod origin;
mod ports;
mod scout;
mod sequencer;
mod start;
#[cfg(test)]
mod test_chain;
mod worker;

pub use attributes::{AttributesBuilder, AttributesError};
pub use config::{SequencerConfig, UpgradeDeposits};
pub use error::{AdminError, SequencerError};
pub use handle::SequencerHandle;
pub use ports::{ChainError, EngineChain, L1Source, L2Block, L2Chain, Labels};
pub use sequencer::Sequencer;
