#![doc = include_str!("../README.md")]

mod best;
mod config;
mod content;
mod decode;
mod error;
mod ledger;
mod metrics;
mod pool;
mod sender;
mod state;
#[cfg(test)]
mod test_chain;
mod transaction;
mod validate;

pub use best::BestTransactions;
pub use config::{
    LIFETIME_SECS, MAX_ACCOUNT_SLOTS, MAX_PENDING_NOTIFICATIONS, MAX_TX_SIZE, MINIMAL_PROTOCOL_FEE,
    MINIMUM_PRIORITY_FEE, PRICE_BUMP, PoolConfig, SUB_POOL_MAX_COUNT, SUB_POOL_MAX_SIZE_MB,
    SubPoolLimit, TransactionOrigin,
};
pub use content::{AccountContent, PoolContent, PoolStatus};
pub use decode::decode_transaction;
pub use error::PoolError;
pub use pool::TxPool;
pub use sender::Tally;
pub use state::{HeadUpdate, PoolAccount, PoolState, StateError};
pub use transaction::PooledTx;
