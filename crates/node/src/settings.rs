//! Flags into the settings of each room.

use std::time::Duration;

use ascribe_engine::{BuilderConfig, EngineConfig};
use ascribe_storage::{HistoryRetention, StorageOptions};
use ascribe_txpool::{PoolConfig, SubPoolLimit};

use crate::args::{BuilderArgs, DbArgs, EngineArgs, TxPoolArgs};

/// Bytes in the megabytes that flags speak of.
const MB: usize = 1 << 20;

impl From<&DbArgs> for StorageOptions {
    fn from(args: &DbArgs) -> Self {
        Self {
            cache_bytes: args.cache_size.saturating_mul(MB),
            sync: args.sync,
            history: args
                .history_distance
                .map_or(HistoryRetention::Archive, HistoryRetention::Blocks),
            ..Self::default()
        }
    }
}

impl From<&TxPoolArgs> for PoolConfig {
    fn from(args: &TxPoolArgs) -> Self {
        Self {
            pending: SubPoolLimit::new(args.pending_max_count, args.pending_max_size),
            basefee: SubPoolLimit::new(args.basefee_max_count, args.basefee_max_size),
            queued: SubPoolLimit::new(args.queued_max_count, args.queued_max_size),
            max_account_slots: args.max_account_slots,
            price_bump: args.price_bump.into(),
            minimal_protocol_fee: args.minimal_protocol_fee,
            lifetime: Duration::from_secs(args.lifetime),
            ..Self::default()
        }
    }
}

/// The engine's settings from its flags and the builder's.
pub(crate) fn engine(engine: &EngineArgs, builder: &BuilderArgs) -> EngineConfig {
    let defaults = EngineConfig::default();
    EngineConfig {
        persistence_threshold: engine.persistence_threshold,
        backpressure: engine.persistence_backpressure.max(engine.persistence_threshold + 1),
        state_cache_bytes: (engine.cross_block_cache_size.saturating_mul(MB)) as u64,
        builder: BuilderConfig {
            deadline: Duration::from_secs(builder.deadline),
            max_da_tx_size: builder.max_da_tx_size,
            max_da_block_size: builder.max_da_block_size,
            ..defaults.builder.clone()
        },
        ..defaults
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;
    use crate::args::NodeArgs;

    fn parse(line: &[&str]) -> NodeArgs {
        let command = NodeArgs::augment_args(Command::new("node"));
        let matches = command.try_get_matches_from(line).expect("valid flags");
        NodeArgs::from_arg_matches(&matches).expect("valid flags")
    }

    #[test]
    fn defaults_of_flags_are_the_defaults_of_rooms() {
        let args = parse(&["node"]);
        assert_eq!(StorageOptions::from(&args.db), StorageOptions::default());
        assert_eq!(PoolConfig::from(&args.txpool), PoolConfig::default());
        assert_eq!(engine(&args.engine, &args.builder), EngineConfig::default());
    }

    #[test]
    fn flags_arrive() {
        let args = parse(&[
            "node",
            "--db.sync",
            "200ms",
            "--prune.account-history.distance",
            "90000",
            "--txpool.pending-max-count",
            "5",
            "--engine.persistence-threshold",
            "40",
        ]);
        let storage = StorageOptions::from(&args.db);
        assert_eq!(storage.history, HistoryRetention::Blocks(90_000));
        assert_eq!(storage.sync.to_string(), "200ms");
        assert_eq!(PoolConfig::from(&args.txpool).pending.max_count, 5);
        // Back-pressure below the threshold would wait for a batch that never comes.
        assert_eq!(engine(&args.engine, &args.builder).backpressure, 41);
    }
}
