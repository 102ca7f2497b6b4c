//! The flags of `ascribe devnet`.

use std::path::PathBuf;

use clap::{Args, Command};

use crate::{
    args::{
        BuilderArgs, DbArgs, EngineArgs, NodeArgs, ObserveArgs, RollupArgs, RpcArgs, TxPoolArgs,
    },
    genesis::ChainArgs,
};

/// Everything `ascribe devnet` takes.
#[derive(Args, Debug, Clone)]
pub struct DevnetArgs {
    /// The chain.
    #[command(flatten)]
    pub chain: ChainArgs,

    /// Folder of the devnet; started again on it, L1 and L2 go on where they were [default: a
    /// temporary folder, and a new chain every time]
    #[arg(long, value_name = "DIR", help_heading = "Devnet")]
    pub datadir: Option<PathBuf>,
    /// Seconds from one L2 block to the next [default: what the configuration says]
    #[arg(long = "block-time", value_name = "SECONDS", help_heading = "Devnet")]
    pub block_time: Option<u64>,
    /// An L1 that runs already, http(s):// or ws(s)://, instead of anvil
    #[arg(long, value_name = "URL", help_heading = "Devnet")]
    pub l1: Option<String>,
    /// Port of anvil
    #[arg(
        long = "l1.port",
        value_name = "PORT",
        default_value_t = 8544,
        conflicts_with = "l1",
        help_heading = "Devnet"
    )]
    pub l1_port: u16,
    /// The anvil to start
    #[arg(
        long,
        value_name = "PATH",
        default_value = "anvil",
        conflicts_with = "l1",
        help_heading = "Devnet"
    )]
    pub anvil: PathBuf,
    /// Port of the rollup RPC: optimism_ and admin_ (0 takes a free one)
    #[arg(long = "rpc.port", value_name = "PORT", default_value_t = 9545, help_heading = "Devnet")]
    pub rollup_port: u16,

    /// Public RPC, which is always on, and Engine API.
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
    /// Logs and metrics.
    #[command(flatten)]
    pub observe: ObserveArgs,
}

/// Defaults that suit a chain of one's own better than those of a node: every namespace, and pages in
/// a browser may call.
pub fn with_defaults(command: Command) -> Command {
    command
        .mut_arg("http_api", |arg| arg.default_value("all"))
        .mut_arg("ws_api", |arg| arg.default_value("all"))
        .mut_arg("http_corsdomain", |arg| arg.default_value("*"))
        .mut_arg("ws_origins", |arg| arg.default_value("*"))
        // Room for a batch of 16,384 attribution records.
        .mut_arg("max_tx_input_bytes", |arg| arg.default_value("262144"))
}

/// `ascribe node` with these flags, and its own defaults for what a devnet has no flags for.
pub(super) fn node_args(args: &DevnetArgs) -> NodeArgs {
    let node = NodeArgs::from_flags([""; 0]).expect("invariant: every flag has a default");
    NodeArgs {
        rpc: RpcArgs { http: true, ws: true, ..args.rpc.clone() },
        txpool: args.txpool.clone(),
        builder: args.builder.clone(),
        engine: args.engine.clone(),
        db: args.db.clone(),
        rollup: RollupArgs {
            sequencer_enabled: true,
            rpc_addr: args.rpc.http_addr,
            rpc_port: args.rollup_port,
            rpc_enable_admin: true,
            ..node.rollup
        },
        observe: args.observe.clone(),
        ..node
    }
}

#[cfg(test)]
mod tests {
    use clap::FromArgMatches;

    use super::*;

    #[test]
    fn a_devnet_is_a_sequencer_with_everything_on() {
        let command = with_defaults(DevnetArgs::augment_args(Command::new("devnet")));
        let matches = command.get_matches_from(["devnet", "--ws.api", "eth", "--rpc.port", "7"]);
        let args = DevnetArgs::from_arg_matches(&matches).expect("valid");
        let node = node_args(&args);
        assert!(node.rpc.http && node.rpc.ws && node.rollup.sequencer_enabled);
        assert!(node.rpc.http_api.to_string().contains("debug"));
        assert!(!node.rpc.ws_api.to_string().contains("debug"));
        assert_eq!(node.rpc.http_corsdomain.as_deref(), Some("*"));
        assert_eq!((node.rollup.rpc_port, node.rollup.rpc_enable_admin), (7, true));
        assert_eq!(node.txpool.max_tx_input_bytes, 1 << 18);
    }
}
