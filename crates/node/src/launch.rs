//! A whole node: started from the bottom up, stopped from the top down.

use std::sync::Arc;

use ascribe_chainspec::{ChainSpec, ChainSpecError};
use ascribe_engine::{ChainView, EngineError, EngineHandle};
use ascribe_evm::EvmConfig;
use ascribe_rpc::{JwtSecretError, Modules, RpcConfig, RpcContext, RpcServers, ServerError};
use ascribe_storage::{Storage, StorageOptions};
use ascribe_txpool::{PoolConfig, TxPool};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
};
use tracing::{error, info, warn};

use crate::{
    args::NodeArgs,
    database::{self, DatabaseError},
    logging,
    monitor::{self, MonitorError},
    rollup::{Plan, Rollup, RollupError},
    settings,
};

/// Why a node does not start, or did not stop well.
#[derive(Debug, thiserror::Error)]
pub enum LaunchError {
    /// The chain is not known.
    #[error(transparent)]
    Chain(#[from] ChainSpecError),
    /// The database does not open.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The engine does not start, or could not write its blocks.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Metrics cannot be served.
    #[error(transparent)]
    Monitor(#[from] MonitorError),
    /// The secret of the Engine API cannot be read or made.
    #[error(transparent)]
    Jwt(#[from] JwtSecretError),
    /// A port cannot be had.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// The L1 is not there or another, or the sequencer ended.
    #[error(transparent)]
    Rollup(#[from] RollupError),
    /// A thread could not be joined.
    #[error("the database could not be opened: {0}")]
    Open(#[from] tokio::task::JoinError),
    /// Signals cannot be received.
    #[error("cannot listen for signals: {0}")]
    Signals(std::io::Error),
}

/// A node that runs.
#[derive(Debug)]
pub struct RunningNode {
    /// The one door into the chain.
    pub engine: EngineHandle,
    /// The chain, to read.
    pub chain: ChainView,
    /// The transaction pool.
    pub pool: TxPool,
    /// Where JSON-RPC is served.
    pub rpc: RpcServers,
    /// L1 and sequencer, if there is an L1.
    pub rollup: Option<Rollup>,
    /// Outlives the engine, which writes to it until the end.
    _storage: Storage,
    stop: watch::Sender<bool>,
}

impl RunningNode {
    /// Starts everything that `args` ask for.
    pub async fn launch(args: &NodeArgs) -> Result<Self, LaunchError> {
        let metrics = args.observe.metrics.map(|addr| Ok((addr, monitor::record()?)));
        let metrics = metrics.transpose().map_err(LaunchError::Monitor)?;

        let spec = Arc::new(ChainSpec::parse(&args.datadir.chain)?);
        // Before anything is written: what does not fit together is told at once.
        let plan = Plan::make(&args.rollup, &spec).await?;
        let mut servers = settings::servers(&args.rpc, &args.datadir.resolve())?;
        servers.rollup = plan.as_ref().map(Plan::server);

        let storage = {
            let (datadir, options) = (args.datadir.clone(), StorageOptions::from(&args.db));
            let spec = spec.clone();
            tokio::task::spawn_blocking(move || database::open_or_create(&datadir, options, &spec))
                .await??
        };
        let pool = TxPool::new(PoolConfig::from(&args.txpool), spec.chain_id());
        let evm = EvmConfig::new(spec.clone());
        let (engine, chain) = ascribe_engine::spawn(
            settings::engine(&args.engine, &args.builder),
            evm.clone(),
            storage.clone(),
            pool.clone(),
        )?;
        let (stop, stopped) = watch::channel(false);
        if let Some((addr, metrics)) = metrics {
            monitor::serve(addr, metrics, chain.clone(), engine.clone(), stopped).await?;
        }
        let context = RpcContext::new(
            spec.clone(),
            evm,
            chain.clone(),
            pool.clone(),
            engine.clone(),
            RpcConfig::from(&args.rpc),
        );
        let rollup = plan.map(|plan| plan.start(engine.clone(), chain.clone())).transpose()?;
        let modules = Modules::new(
            &context,
            rollup.as_ref().map(|rollup| &rollup.node),
            logging::control().as_ref(),
        );
        let rpc = RpcServers::start(&modules, servers).await?;
        info!(
            target: "ascribe::node",
            chain = spec.chain_id(),
            genesis = %spec.genesis_hash(),
            head = chain.head().number,
            http = ?rpc.http,
            ws = ?rpc.ws,
            engine = ?rpc.auth,
            rollup = ?rpc.rollup,
            "Node started"
        );
        Ok(Self { engine, chain, pool, rpc, rollup, _storage: storage, stop })
    }

    /// Waits until a task ends that should not, and tells why. For ever if none does.
    pub async fn failure(&mut self) -> LaunchError {
        match &mut self.rollup {
            Some(rollup) => rollup.failure().await.into(),
            None => std::future::pending().await,
        }
    }

    /// Stops everything; canonical blocks in memory go to disk.
    pub async fn shutdown(self) -> Result<(), LaunchError> {
        self.stop.send_replace(true);
        let sequenced = match self.rollup {
            Some(mut rollup) => rollup.stop().await,
            None => Ok(()),
        };
        self.rpc.stop().await;
        self.engine.shutdown().await?;
        info!(target: "ascribe::node", persisted = self.chain.persisted().number, "Node stopped");
        Ok(sequenced?)
    }
}

/// `ascribe node`: runs until SIGINT or SIGTERM, or until a task fails. A second signal does not
/// wait.
pub async fn run(args: &NodeArgs) -> Result<(), LaunchError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(LaunchError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(LaunchError::Signals)?;
    let mut stopped = async || {
        tokio::select! {
            _ = interrupt.recv() => info!(target: "ascribe::node", "Interrupted, stopping"),
            _ = terminate.recv() => info!(target: "ascribe::node", "Asked to stop"),
        }
    };
    let mut node = tokio::select! {
        node = RunningNode::launch(args) => node?,
        () = stopped() => return Ok(()),
    };
    let failed = tokio::select! {
        error = node.failure() => Err(error),
        () = stopped() => Ok(()),
    };
    if let Err(error) = &failed {
        error!(target: "ascribe::node", %error, "Stopping");
    }
    tokio::select! {
        done = node.shutdown() => failed.and(done),
        () = stopped() => {
            warn!(target: "ascribe::node", "Leaving at once");
            failed
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn args(dir: &Path) -> NodeArgs {
        let dir = dir.to_str().expect("a name in UTF-8");
        let flags = ["--datadir", dir, "--db.cache-size", "16", "--authrpc.port", "0"];
        let flags = flags.into_iter().chain(["--engine.cross-block-cache-size", "16"]);
        NodeArgs::from_flags(flags).expect("valid flags")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_node_starts_stops_and_starts_again() {
        let dir = tempfile::tempdir().expect("a folder");
        for _ in 0..2 {
            let node = RunningNode::launch(&args(dir.path())).await.expect("starts");
            assert_eq!(node.chain.head().hash(), ChainSpec::devnet().genesis_hash());
            node.shutdown().await.expect("stops");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn two_nodes_do_not_share_a_datadir() {
        let dir = tempfile::tempdir().expect("a folder");
        let first = RunningNode::launch(&args(dir.path())).await.expect("starts");
        let second = RunningNode::launch(&args(dir.path())).await;
        assert!(matches!(second, Err(LaunchError::Database(_))), "{second:?}");
        first.shutdown().await.expect("stops");
    }
}
