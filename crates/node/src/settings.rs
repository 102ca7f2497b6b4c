//! Flags into the settings of each room.

use std::{net::SocketAddr, path::Path, time::Duration};

use ascribe_engine::{BuilderConfig, EngineConfig};
use ascribe_rpc::{
    AuthServerConfig, HttpServerConfig, JwtSecret, JwtSecretError, Origins, RpcConfig,
    ServersConfig, WsServerConfig,
};
use ascribe_storage::{HistoryRetention, StorageOptions};
use ascribe_txpool::{PoolConfig, SubPoolLimit};

use crate::args::{BuilderArgs, DbArgs, EngineArgs, RpcArgs, TxPoolArgs};

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

impl From<&RpcArgs> for RpcConfig {
    fn from(args: &RpcArgs) -> Self {
        let defaults = Self::default();
        // Zero is "no limit" in flags.
        let unlimited = |limit: u64| if limit == 0 { u64::MAX } else { limit };
        Self {
            max_request_size: args.max_request_size.saturating_mul(MB as u32),
            max_response_size: args.max_response_size.saturating_mul(MB as u32),
            max_connections: args.max_connections,
            max_subscriptions: args.max_subscriptions,
            max_tracing_calls: args.max_tracing_requests.unwrap_or(defaults.max_tracing_calls),
            max_blocks_per_filter: unlimited(args.max_blocks_per_filter),
            max_logs_per_response: usize::try_from(unlimited(args.max_logs_per_response))
                .unwrap_or(usize::MAX),
            gas_cap: args.gas_cap,
            tx_fee_cap: (args.tx_fee_cap.max(0.0) * 1e18) as u128,
            max_simulate_blocks: args.max_simulate_blocks,
            eth_proof_window: args.eth_proof_window,
            ..defaults
        }
    }
}

/// The servers that the flags ask for. The secret of the Engine API is made when there is none.
pub(crate) fn servers(args: &RpcArgs, datadir: &Path) -> Result<ServersConfig, JwtSecretError> {
    let list = |text: &str| -> Vec<String> {
        text.split(',').map(str::trim).filter(|it| !it.is_empty()).map(str::to_owned).collect()
    };
    let vhosts = list(&args.http_vhosts);
    let auth = if args.disable_auth_server {
        None
    } else {
        let path = args.authrpc_jwtsecret.clone().unwrap_or_else(|| datadir.join("jwt.hex"));
        Some(AuthServerConfig {
            addr: SocketAddr::new(args.authrpc_addr, args.authrpc_port),
            secret: JwtSecret::read_or_create(&path)?,
            vhosts: vhosts.clone(),
        })
    };
    Ok(ServersConfig {
        http: args.http.then(|| HttpServerConfig {
            addr: SocketAddr::new(args.http_addr, args.http_port),
            namespaces: args.http_api.clone(),
            cors: args.http_corsdomain.as_deref().map(Origins::parse),
            vhosts,
        }),
        ws: args.ws.then(|| WsServerConfig {
            addr: SocketAddr::new(args.ws_addr, args.ws_port),
            namespaces: args.ws_api.clone(),
            origins: Origins::parse(args.ws_origins.as_deref().unwrap_or_default()),
        }),
        auth,
        rollup: None,
    })
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
            max_tx_size: args.max_tx_input_bytes,
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
    use super::*;
    use crate::args::NodeArgs;

    #[test]
    fn defaults_of_flags_are_the_defaults_of_rooms() {
        let args = NodeArgs::from_flags([""; 0]).expect("no flags");
        assert_eq!(StorageOptions::from(&args.db), StorageOptions::default());
        assert_eq!(PoolConfig::from(&args.txpool), PoolConfig::default());
        assert_eq!(engine(&args.engine, &args.builder), EngineConfig::default());
        assert_eq!(RpcConfig::from(&args.rpc), RpcConfig::default());
    }

    #[test]
    fn flags_arrive() {
        let args = NodeArgs::from_flags([
            "--db.sync",
            "200ms",
            "--prune.account-history.distance",
            "90000",
            "--txpool.pending-max-count",
            "5",
            "--engine.persistence-threshold",
            "40",
        ])
        .expect("valid flags");
        let storage = StorageOptions::from(&args.db);
        assert_eq!(storage.history, HistoryRetention::Blocks(90_000));
        assert_eq!(storage.sync.to_string(), "200ms");
        assert_eq!(PoolConfig::from(&args.txpool).pending.max_count, 5);
        // Back-pressure below the threshold would wait for a batch that never comes.
        assert_eq!(engine(&args.engine, &args.builder).backpressure, 41);
    }
}
