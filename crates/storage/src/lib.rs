#![doc = include_str!("../README.md")]

mod attribution_rows;
mod chain_rows;
mod codec;
mod column;
mod commit;
mod database;
mod error;
mod executed;
mod genesis;
mod history_rows;
mod labels;
mod options;
mod reader;
mod rooms;
mod schema;
mod snapshot;
mod state;
mod state_rows;
mod stats;
mod storage;
mod syncer;
mod verify;

pub use attribution_rows::{
    AttributionCell, IndexProgress, attribution_block, may_concern_attribution,
};
pub use codec::DecodeError;
pub use column::Column;
pub use error::{Corruption, StorageError};
pub use executed::ExecutedBlock;
pub use genesis::GenesisProgress;
pub use labels::Labels;
pub use options::{HistoryRetention, StorageOptions, SyncPolicy};
pub use reader::StorageReader;
pub use rooms::{MAX_ROOM_KEY, MAX_ROOM_VALUE, Room};
pub use schema::SCHEMA_VERSION;
pub use stats::{ColumnStats, StorageStats};
pub use storage::Storage;
pub use verify::{VerifyProgress, VerifyReport, VerifyStage};
