//! The flags of `ascribe node`.
//!
//! Names, aliases and defaults are op-reth's for the execution side and op-node's for the rollup
//! side, so that scripts and habits carry over. Every flag is also an environment variable
//! (`--http.port` is `ASCRIBE_HTTP_PORT`) and a key of the TOML file (`http.port`); see
//! [`crate::config_file`] for which one wins.

use std::{
    ffi::OsString,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    path::PathBuf,
    time::Duration,
};

use ascribe_engine::DaLimits;
use ascribe_rpc::Namespaces;
use ascribe_storage::SyncPolicy;
use ascribe_txpool::MAX_TX_SIZE;
use clap::{ArgAction, Args, Command, FromArgMatches, ValueEnum};

use crate::duration::parse_duration;

/// Where things are on disk.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "General")]
pub struct DatadirArgs {
    /// Genesis JSON of the chain (OP format), or one of the presets devnet, op-sepolia, op-mainnet
    #[arg(long, value_name = "FILE|PRESET", default_value = "devnet")]
    pub chain: String,

    /// Folder of the database, the JWT secret and everything else that outlives the process
    #[arg(long, value_name = "DIR")]
    pub datadir: Option<PathBuf>,
}

impl DatadirArgs {
    /// The folder to use: `--datadir`, or `$XDG_DATA_HOME/ascribe/<chain>`, or
    /// `~/.local/share/ascribe/<chain>`. A chain given by file is named after the file.
    pub fn resolve(&self) -> PathBuf {
        if let Some(dir) = &self.datadir {
            return dir.clone();
        }
        let name = PathBuf::from(&self.chain)
            .file_stem()
            .map_or_else(|| "chain".to_owned(), |stem| stem.to_string_lossy().into_owned());
        data_home().join("ascribe").join(name)
    }
}

/// `$XDG_DATA_HOME`, `~/.local/share`, or the current folder when there is no home.
fn data_home() -> PathBuf {
    let dir = |name: &str| std::env::var_os(name).filter(|v| !v.is_empty()).map(PathBuf::from);
    dir("XDG_DATA_HOME")
        .or_else(|| dir("HOME").map(|home| home.join(".local/share")))
        .unwrap_or_else(|| PathBuf::from("."))
}

/// Public JSON-RPC over HTTP and WebSocket, and its limits.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "RPC")]
pub struct RpcArgs {
    /// Serve JSON-RPC over HTTP
    #[arg(long)]
    pub http: bool,
    /// HTTP address
    #[arg(long = "http.addr", value_name = "ADDR", default_value_t = LOOPBACK)]
    pub http_addr: IpAddr,
    /// HTTP port (0 takes a free one)
    #[arg(long = "http.port", value_name = "PORT", default_value_t = 8545)]
    pub http_port: u16,
    /// Namespaces over HTTP: attribution, eth, net, web3, txpool, debug, rpc, miner, admin, optimism, or all
    #[arg(long = "http.api", value_name = "LIST", default_value_t = Namespaces::default())]
    pub http_api: Namespaces,
    /// Origins that a browser may call from: a list, or *
    #[arg(long = "http.corsdomain", value_name = "LIST")]
    pub http_corsdomain: Option<String>,
    /// Host names that HTTP requests may carry: a list, or *
    #[arg(long = "http.vhosts", value_name = "LIST", default_value = "localhost")]
    pub http_vhosts: String,

    /// Serve JSON-RPC over WebSocket
    #[arg(long)]
    pub ws: bool,
    /// WebSocket address
    #[arg(long = "ws.addr", value_name = "ADDR", default_value_t = LOOPBACK)]
    pub ws_addr: IpAddr,
    /// WebSocket port (0 takes a free one)
    #[arg(long = "ws.port", value_name = "PORT", default_value_t = 8546)]
    pub ws_port: u16,
    /// Origins that WebSocket requests may carry: a list, or *
    #[arg(long = "ws.origins", value_name = "LIST")]
    pub ws_origins: Option<String>,
    /// Namespaces over WebSocket
    #[arg(long = "ws.api", value_name = "LIST", default_value_t = Namespaces::default())]
    pub ws_api: Namespaces,

    /// Address of the Engine API
    #[arg(long = "authrpc.addr", value_name = "ADDR", default_value_t = LOOPBACK)]
    pub authrpc_addr: IpAddr,
    /// Port of the Engine API (0 takes a free one)
    #[arg(long = "authrpc.port", value_name = "PORT", default_value_t = 8551)]
    pub authrpc_port: u16,
    /// File with the 32-byte hex secret of the Engine API; made when missing [default: DATADIR/jwt.hex]
    #[arg(long = "authrpc.jwtsecret", value_name = "FILE")]
    pub authrpc_jwtsecret: Option<PathBuf>,
    /// Do not serve the Engine API
    #[arg(long = "disable-auth-server")]
    pub disable_auth_server: bool,

    /// Largest request, in megabytes
    #[arg(long = "rpc.max-request-size", value_name = "MB", default_value_t = 15)]
    pub max_request_size: u32,
    /// Largest answer, in megabytes
    #[arg(long = "rpc.max-response-size", value_name = "MB", default_value_t = 160)]
    pub max_response_size: u32,
    /// Most connections at a time, for each server
    #[arg(long = "rpc.max-connections", value_name = "N", default_value_t = 500)]
    pub max_connections: u32,
    /// Most subscriptions of one connection
    #[arg(long = "rpc.max-subscriptions-per-connection", value_name = "N", default_value_t = 1024)]
    pub max_subscriptions: u32,
    /// Most traces at a time [default: cores minus two, at least two]
    #[arg(long = "rpc.max-tracing-requests", value_name = "N")]
    pub max_tracing_requests: Option<usize>,
    /// Most blocks one log filter may span (0: no limit)
    #[arg(long = "rpc.max-blocks-per-filter", value_name = "N", default_value_t = 100_000)]
    pub max_blocks_per_filter: u64,
    /// Most logs in one answer (0: no limit)
    #[arg(long = "rpc.max-logs-per-response", value_name = "N", default_value_t = 20_000)]
    pub max_logs_per_response: u64,
    /// Most gas that eth_call and its kin may use
    #[arg(long = "rpc.gascap", value_name = "GAS", default_value_t = 50_000_000)]
    pub gas_cap: u64,
    /// Highest fee, in ether, of a transaction sent through RPC (0: no limit)
    #[arg(long = "rpc.txfeecap", value_name = "ETHER", default_value_t = 1.0)]
    pub tx_fee_cap: f64,
    /// Most blocks of eth_simulateV1
    #[arg(long = "rpc.max-simulate-blocks", value_name = "N", default_value_t = 256)]
    pub max_simulate_blocks: u64,
    /// How many blocks back eth_getProof reaches
    #[arg(long = "rpc.eth-proof-window", value_name = "BLOCKS", default_value_t = 100_000)]
    pub eth_proof_window: u64,
}

/// Limits of the transaction pool.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Transaction pool")]
pub struct TxPoolArgs {
    /// Most pending transactions
    #[arg(long = "txpool.pending-max-count", value_name = "N", default_value_t = 10_000)]
    pub pending_max_count: usize,
    /// Most pending bytes, in megabytes
    #[arg(long = "txpool.pending-max-size", value_name = "MB", default_value_t = 20)]
    pub pending_max_size: usize,
    /// Most transactions that wait for a lower base fee
    #[arg(long = "txpool.basefee-max-count", value_name = "N", default_value_t = 10_000)]
    pub basefee_max_count: usize,
    /// Most bytes of those, in megabytes
    #[arg(long = "txpool.basefee-max-size", value_name = "MB", default_value_t = 20)]
    pub basefee_max_size: usize,
    /// Most queued transactions
    #[arg(long = "txpool.queued-max-count", value_name = "N", default_value_t = 10_000)]
    pub queued_max_count: usize,
    /// Most queued bytes, in megabytes
    #[arg(long = "txpool.queued-max-size", value_name = "MB", default_value_t = 20)]
    pub queued_max_size: usize,
    /// Most transactions of one sender
    #[arg(long = "txpool.max-account-slots", value_name = "N", default_value_t = 16)]
    pub max_account_slots: usize,
    /// Most bytes of one transaction
    #[arg(long = "txpool.max-tx-input-bytes", value_name = "BYTES", default_value_t = MAX_TX_SIZE)]
    pub max_tx_input_bytes: usize,
    /// Price rise that a replacement needs, in percent
    #[arg(long = "txpool.pricebump", value_name = "PERCENT", default_value_t = 10)]
    pub price_bump: u64,
    /// Least fee per gas that the pool takes, in wei
    #[arg(long = "txpool.minimal-protocol-fee", value_name = "WEI", default_value_t = 7)]
    pub minimal_protocol_fee: u64,
    /// How long a queued transaction stays, in seconds
    #[arg(long = "txpool.lifetime", value_name = "SECONDS", default_value_t = 10_800)]
    pub lifetime: u64,
}

/// Building of payloads.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Builder")]
pub struct BuilderArgs {
    /// Time after which a payload is built no further, in seconds
    #[arg(long = "builder.deadline", value_name = "SECONDS", default_value_t = 12)]
    pub deadline: u64,
    /// Most bytes of one transaction on the DA layer before miner_setMaxDASize says otherwise (0: no limit)
    #[arg(long = "builder.max-da-tx-size", value_name = "BYTES", default_value_t = 0)]
    pub max_da_tx_size: u64,
    /// Most bytes of one block on the DA layer before miner_setMaxDASize says otherwise (0: no limit)
    #[arg(long = "builder.max-da-block-size", value_name = "BYTES", default_value_t = DaLimits::DEFAULT_MAX_BLOCK_SIZE)]
    pub max_da_block_size: u64,
}

/// The engine: memory, persistence.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Engine")]
pub struct EngineArgs {
    /// Blocks kept in memory before the oldest are written to disk
    #[arg(long = "engine.persistence-threshold", value_name = "BLOCKS", default_value_t = 7)]
    pub persistence_threshold: u64,
    /// Blocks not yet on disk at which new blocks have to wait
    #[arg(long = "engine.persistence-backpressure", value_name = "BLOCKS", default_value_t = 16)]
    pub persistence_backpressure: u64,
    /// Memory of the state cache that lives across blocks, in megabytes
    #[arg(long = "engine.cross-block-cache-size", value_name = "MB", default_value_t = 512)]
    pub cross_block_cache_size: usize,
}

/// The database.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Database")]
pub struct DbArgs {
    /// When a write is safe from a power cut: batch (each one), a time such as 200ms, or never
    /// (the system decides). The process itself may be killed at any time with any of them
    #[arg(long = "db.sync", value_name = "POLICY", default_value_t = SyncPolicy::Batch)]
    pub sync: SyncPolicy,
    /// Memory for cached database blocks, in megabytes
    #[arg(long = "db.cache-size", value_name = "MB", default_value_t = 512)]
    pub cache_size: usize,
    /// How many blocks of history of the state to keep [default: all]
    #[arg(long = "prune.account-history.distance", value_name = "BLOCKS")]
    pub history_distance: Option<u64>,
}

/// Following an L1, as op-node does it.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Rollup")]
pub struct RollupArgs {
    /// JSON-RPC of the L1, http(s):// or ws(s)://. Without it this is an execution client alone,
    /// driven through the Engine API
    #[arg(long, alias = "l1-eth-rpc", value_name = "URL")]
    pub l1: Option<String>,
    /// Take the L1's word for headers and receipts, without comparing hashes
    #[arg(long = "l1.trustrpc")]
    pub l1_trustrpc: bool,
    /// Most requests to the L1 at a time
    #[arg(long = "l1.max-concurrency", value_name = "N", default_value_t = 10)]
    pub l1_max_concurrency: usize,
    /// How often the L1 is asked for its newest block; over WebSocket also whenever it announces one
    #[arg(long = "l1.http-poll-interval", value_name = "TIME", value_parser = parse_duration, default_value = "12s")]
    pub l1_http_poll_interval: Duration,
    /// How often the L1 is asked for its safe and finalized blocks
    #[arg(long = "l1.epoch-poll-interval", value_name = "TIME", value_parser = parse_duration, default_value = "6m24s")]
    pub l1_epoch_poll_interval: Duration,
    /// rollup.json of the chain
    #[arg(long = "rollup.config", value_name = "FILE")]
    pub rollup_config: Option<PathBuf>,
    /// Genesis or chain configuration of the L1, for its blob parameters, where it is no public
    /// chain [default: those of Prague]
    #[arg(long = "rollup.l1-chain-config", value_name = "FILE")]
    pub l1_chain_config: Option<PathBuf>,

    /// Make blocks
    #[arg(long = "sequencer.enabled")]
    pub sequencer_enabled: bool,
    /// Make none before admin_startSequencer
    #[arg(long = "sequencer.stopped")]
    pub sequencer_stopped: bool,
    /// Most blocks that the head may be ahead of the safe head before the sequencer waits (0: no
    /// limit)
    #[arg(long = "sequencer.max-safe-lag", value_name = "BLOCKS", default_value_t = 0)]
    pub sequencer_max_safe_lag: u64,
    /// How deep an L1 block must lie before L2 blocks refer to it
    #[arg(long = "sequencer.l1-confs", value_name = "BLOCKS", default_value_t = 4)]
    pub sequencer_l1_confs: u64,
    /// Make blocks without transactions of the pool, each with the next L1 origin, until caught up
    #[arg(long = "sequencer.recover")]
    pub sequencer_recover: bool,
    /// How long before its time a block is sealed
    #[arg(long = "sequencer.sealing-duration", value_name = "TIME", value_parser = parse_duration, default_value = "50ms")]
    pub sequencer_sealing_duration: Duration,

    /// Address of the rollup RPC: optimism_ and admin_
    #[arg(long = "rpc.addr", value_name = "ADDR", default_value_t = LOOPBACK)]
    pub rpc_addr: IpAddr,
    /// Port of the rollup RPC (0 takes a free one)
    #[arg(long = "rpc.port", value_name = "PORT", default_value_t = 9545)]
    pub rpc_port: u16,
    /// Serve admin_ there
    #[arg(long = "rpc.enable-admin")]
    pub rpc_enable_admin: bool,
}

/// Logs and metrics.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Logging and metrics")]
pub struct ObserveArgs {
    /// Serve Prometheus metrics, /healthz and /readyz
    #[arg(long, value_name = "ADDR:PORT")]
    pub metrics: Option<SocketAddr>,
    /// Format of the log
    #[arg(long = "log.stdout.format", value_name = "FORMAT", value_enum, default_value_t = LogFormat::Terminal)]
    pub log_format: LogFormat,
    /// What to log, as RUST_LOG says it, e.g. info,engine=debug
    #[arg(long = "log.stdout.filter", value_name = "FILTER")]
    pub log_filter: Option<String>,
    /// Colour: always, auto, never
    #[arg(long = "color", value_name = "WHEN", value_enum, default_value_t = Color::Auto)]
    pub color: Color,
    /// More of the log: -v debug, -vv trace
    #[arg(short = 'v', action = ArgAction::Count)]
    pub verbosity: u8,
    /// No log at all, only what a command prints
    #[arg(short = 'q', long)]
    pub quiet: bool,
}

/// `--log.stdout.format`.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogFormat {
    /// For people
    Terminal,
    /// One JSON object a line
    Json,
}

/// `--color`.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
pub enum Color {
    /// Even into a pipe
    Always,
    /// When a terminal reads
    Auto,
    /// Not at all
    Never,
}

/// Everything `ascribe node` takes.
#[derive(Args, Debug, Clone)]
pub struct NodeArgs {
    /// TOML file with any of these flags
    #[arg(long, value_name = "FILE", help_heading = "General")]
    pub config: Option<PathBuf>,
    /// Chain and folder.
    #[command(flatten)]
    pub datadir: DatadirArgs,
    /// Public RPC and Engine API.
    #[command(flatten)]
    pub rpc: RpcArgs,
    /// Transaction pool.
    #[command(flatten)]
    pub txpool: TxPoolArgs,
    /// Payload builder.
    #[command(flatten)]
    pub builder: BuilderArgs,
    /// Engine.
    #[command(flatten)]
    pub engine: EngineArgs,
    /// Database.
    #[command(flatten)]
    pub db: DbArgs,
    /// L1 and sequencer.
    #[command(flatten)]
    pub rollup: RollupArgs,
    /// Logs and metrics.
    #[command(flatten)]
    pub observe: ObserveArgs,
}

impl NodeArgs {
    /// The arguments that these flags mean, e.g. `["--http", "--http.port", "0"]`. Neither the
    /// environment nor a file is asked.
    ///
    /// # Errors
    /// If there is no such flag, or its value is wrong.
    pub fn from_flags(
        flags: impl IntoIterator<Item = impl Into<OsString>>,
    ) -> Result<Self, clap::Error> {
        let command = Self::augment_args(Command::new("node").no_binary_name(true));
        Self::from_arg_matches(&command.try_get_matches_from(flags.into_iter().map(Into::into))?)
    }
}

const LOOPBACK: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);
