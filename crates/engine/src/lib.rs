#![doc = include_str!("../README.md")]

mod attribution;
mod block;
mod buffer;
mod build;
mod cache;
mod config;
mod decode;
mod engine;
mod error;
mod forkchoice;
mod handle;
mod health;
mod import;
mod invalid;
mod maintain;
mod payload;
mod persist;
mod senders;
mod state;
mod stats;
mod tree;
mod view;

pub use attribution::AttributionRows;
pub use block::{BuiltPayload, CanonBlock, CanonUpdate};
pub use build::payload_id;
pub use config::{BuilderConfig, DaLimits, EngineConfig};
pub use error::{
    AttributesError, EngineError, ForkchoiceError, INTERNAL_ERROR, INVALID_FORKCHOICE_STATE,
    INVALID_PAYLOAD_ATTRIBUTES, InvalidForkchoice, ProviderError, TOO_DEEP_REORG, UNKNOWN_PAYLOAD,
};
pub use handle::{EngineHandle, spawn};
pub use state::StateView;
pub use stats::EngineStats;
pub use view::{BlockPosition, ChainView};
