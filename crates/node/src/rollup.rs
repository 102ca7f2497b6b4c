//! The rollup side of a node: the L1 that it follows, the sequencer, and what op-node would answer.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
};

use alloy_genesis::ChainConfig;
use alloy_primitives::B256;
use ascribe_chainspec::{
    ChainSpec, FileError, L2BlockRef, RollupConfig, RollupConfigError, read_json,
};
use ascribe_engine::{ChainView, EngineHandle};
use ascribe_l1::{BlobSchedule, L1BlockRef, L1Client, L1Error, L1Heads, L1Options};
use ascribe_rpc::{
    HttpServerConfig, Namespace, Namespaces, Origins,
    optimism::{ConsensusApi, ConsensusError, RollupNode, SyncStatus},
};
use ascribe_sequencer::{
    AdminError, EngineChain, Sequencer, SequencerConfig, SequencerError, SequencerHandle,
};
use futures::{FutureExt, TryFutureExt, future::BoxFuture};
use serde_json::Value;
use tokio::{sync::watch, task::JoinHandle};
use tokio_util::sync::CancellationToken;
use tracing::info;

use crate::args::RollupArgs;

/// Largest configuration of an L1 that is read, in bytes: its genesis may hold accounts.
const MAX_L1_CONFIG_BYTES: u64 = 64 << 20;

/// Why the rollup side does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RollupError {
    /// A flag that does nothing without another.
    #[error("{flag} needs {missing}")]
    Flag {
        /// Given.
        flag: &'static str,
        /// Not given.
        missing: &'static str,
    },
    /// The rollup config cannot be read, contradicts itself, or is of another chain.
    #[error("--rollup.config {path}: {source}")]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: RollupConfigError,
    },
    /// The configuration of the L1 cannot be read.
    #[error("--rollup.l1-chain-config: {0}")]
    L1ChainConfig(#[from] FileError),
    /// The L1 cannot be reached, or is another.
    #[error(transparent)]
    L1(#[from] L1Error),
    /// The L1 does not have the block that the rollup begins after.
    #[error("L1 genesis block {expected}:{number} of the rollup config: the L1 has {actual}")]
    L1Genesis {
        /// Its number.
        number: u64,
        /// Its hash in the rollup config.
        expected: B256,
        /// The hash of the L1's block, or that there is none.
        actual: String,
    },
    /// The sequencer cannot go on.
    #[error("sequencer: {0}")]
    Sequencer(Box<SequencerError>),
    /// The sequencer's task panicked.
    #[error("sequencer: {0}")]
    Task(#[from] tokio::task::JoinError),
}

impl From<SequencerError> for RollupError {
    fn from(error: SequencerError) -> Self {
        Self::Sequencer(Box::new(error))
    }
}

/// What is known before there is a chain: the flags make sense, and the L1 is there.
#[derive(Debug)]
pub(crate) struct Plan {
    config: Arc<RollupConfig>,
    l1: L1Client,
    sequencer: SequencerConfig,
    server: HttpServerConfig,
}

impl Plan {
    /// Reads the rollup config, compares it with the chain, and connects to the L1. Nothing if the
    /// flags ask for an execution client alone.
    pub(crate) async fn make(
        args: &RollupArgs,
        chain: &ChainSpec,
    ) -> Result<Option<Self>, RollupError> {
        let needs = |flag, missing| Err(RollupError::Flag { flag, missing });
        let (url, path) = match (&args.l1, &args.rollup_config) {
            (Some(url), Some(path)) => (url, path),
            (Some(_), None) => return needs("--l1", "--rollup.config"),
            (None, _) if args.sequencer_enabled => return needs("--sequencer.enabled", "--l1"),
            (None, _) if args.rpc_enable_admin => return needs("--rpc.enable-admin", "--l1"),
            (None, Some(_)) => return needs("--rollup.config", "--l1"),
            (None, None) => return Ok(None),
        };
        let config = RollupConfig::from_file(path)
            .and_then(|config| config.check_chain(chain).map(|()| config))
            .map_err(|source| RollupError::Config { path: path.clone(), source })?;
        let l1_blobs = args.l1_chain_config.as_deref().map(blob_schedule).transpose()?;
        let l1 = L1Client::connect(url, l1_options(args), config.l1_chain_id).await?;
        check_l1_genesis(&l1, &config).await?;
        Ok(Some(Self {
            config: Arc::new(config),
            l1,
            sequencer: sequencer(args, l1_blobs),
            server: server(args),
        }))
    }

    /// The server of `optimism_` and `admin_`.
    pub(crate) fn server(&self) -> HttpServerConfig {
        self.server.clone()
    }

    /// Starts to follow the L1 and, if that is wanted, to make blocks.
    pub(crate) fn start(
        self,
        engine: EngineHandle,
        chain: ChainView,
    ) -> Result<Rollup, RollupError> {
        let heads = self.l1.heads();
        let (sequencer, handle) = Sequencer::new(
            self.sequencer,
            self.config.clone(),
            self.l1,
            EngineChain::new(engine, chain.clone()),
        )?;
        let shutdown = CancellationToken::new();
        let task = tokio::spawn(sequencer.run(shutdown.clone()));
        let api =
            Consensus { config: self.config.clone(), chain, heads, sequencer: handle.clone() };
        let node = RollupNode::new(self.config.clone(), Arc::new(api));
        info!(
            target: "ascribe::node",
            l1_chain = self.config.l1_chain_id,
            block_time = self.config.block_time,
            sequencer = handle.enabled(),
            "Following L1"
        );
        Ok(Rollup { config: self.config, node, sequencer: handle, shutdown, task: Some(task) })
    }
}

/// The rollup side while it runs.
#[derive(Debug)]
pub struct Rollup {
    /// The chain's rollup config.
    pub config: Arc<RollupConfig>,
    /// Starts and stops the sequencer.
    pub sequencer: SequencerHandle,
    /// What RPC answers from.
    pub(crate) node: RollupNode,
    shutdown: CancellationToken,
    /// Until its end was seen.
    task: Option<JoinHandle<Result<(), SequencerError>>>,
}

impl Rollup {
    /// Waits for the end that nobody asked for.
    pub(crate) async fn failure(&mut self) -> RollupError {
        if let Some(task) = &mut self.task {
            let ended = task.await;
            self.task = None;
            match ended {
                Ok(Err(error)) => return error.into(),
                Err(panic) => return panic.into(),
                // It was told to stop.
                Ok(Ok(())) => {}
            }
        }
        std::future::pending().await
    }

    /// Stops making blocks and waits until that is so.
    pub(crate) async fn stop(&mut self) -> Result<(), RollupError> {
        self.shutdown.cancel();
        match self.task.take() {
            Some(task) => Ok(task.await??),
            None => Ok(()),
        }
    }
}

fn l1_options(args: &RollupArgs) -> L1Options {
    L1Options {
        trust_rpc: args.l1_trustrpc,
        max_concurrency: args.l1_max_concurrency,
        poll_interval: args.l1_http_poll_interval,
        epoch_poll_interval: args.l1_epoch_poll_interval,
        ..L1Options::default()
    }
}

fn sequencer(args: &RollupArgs, l1_blobs: Option<BlobSchedule>) -> SequencerConfig {
    SequencerConfig {
        enabled: args.sequencer_enabled,
        stopped: args.sequencer_stopped,
        l1_confs: args.sequencer_l1_confs,
        max_safe_lag: args.sequencer_max_safe_lag,
        recover: args.sequencer_recover,
        sealing_duration: args.sequencer_sealing_duration,
        l1_blobs,
        ..SequencerConfig::default()
    }
}

/// As open as op-node's: whoever reaches the port may ask, from any page and by any host name.
fn server(args: &RollupArgs) -> HttpServerConfig {
    let admin = args.rpc_enable_admin.then_some(Namespace::Admin);
    HttpServerConfig {
        addr: SocketAddr::new(args.rpc_addr, args.rpc_port),
        namespaces: Namespaces::new(std::iter::once(Namespace::Optimism).chain(admin)),
        cors: Some(Origins::Any),
        vhosts: vec!["*".to_owned()],
    }
}

/// Blob parameters out of a chain configuration, or out of a genesis that holds one.
fn blob_schedule(path: &Path) -> Result<BlobSchedule, FileError> {
    let what = "chain configuration";
    let mut file: Value = read_json(path, what, MAX_L1_CONFIG_BYTES)?;
    let config = file.get_mut("config").map(Value::take).unwrap_or(file);
    let config: ChainConfig = serde_json::from_value(config).map_err(|source| FileError::Json {
        path: path.to_owned(),
        what,
        source,
    })?;
    Ok(BlobSchedule::of_config(&config))
}

async fn check_l1_genesis(l1: &L1Client, config: &RollupConfig) -> Result<(), RollupError> {
    let genesis = config.genesis.l1;
    let block = l1.block_by_number(genesis.number).await?;
    if block.as_ref().is_some_and(|block| block.hash == genesis.hash) {
        return Ok(());
    }
    let actual = block.map_or_else(|| "no such block".to_owned(), |block| block.hash.to_string());
    Err(RollupError::L1Genesis { number: genesis.number, expected: genesis.hash, actual })
}

/// Answers as op-node does.
#[derive(Debug)]
struct Consensus {
    config: Arc<RollupConfig>,
    chain: ChainView,
    heads: watch::Receiver<L1Heads>,
    sequencer: SequencerHandle,
}

impl Consensus {
    /// A block's place in both chains; zeros where it cannot be read.
    fn block_ref(&self, hash: B256) -> L2BlockRef {
        let block = self.chain.block_by_hash(hash).ok().flatten();
        block.and_then(|block| L2BlockRef::of_block(&self.config, &block).ok()).unwrap_or_default()
    }
}

impl ConsensusApi for Consensus {
    fn sync_status(&self) -> SyncStatus {
        let l1 = *self.heads.borrow();
        let genesis = self.config.genesis.l2.hash;
        let finalized_l1 = l1.finalized.unwrap_or_default();
        let safe_l2 = self.block_ref(self.chain.safe().map_or(genesis, |it| it.hash));
        SyncStatus {
            // Blocks are not derived from L1 here: there is none that derivation has come to.
            current_l1: L1BlockRef::default(),
            current_l1_finalized: finalized_l1,
            head_l1: l1.latest.unwrap_or_default(),
            safe_l1: l1.safe.unwrap_or_default(),
            finalized_l1,
            unsafe_l2: self.block_ref(self.chain.head().hash()),
            safe_l2,
            finalized_l2: self.block_ref(self.chain.finalized().map_or(genesis, |it| it.hash)),
            pending_safe_l2: safe_l2,
            local_safe_l2: safe_l2,
        }
    }

    fn sequencer_active(&self) -> bool {
        self.sequencer.active()
    }

    fn start_sequencer(&self, head: B256) -> BoxFuture<'_, Result<(), ConsensusError>> {
        self.sequencer.start(head).map_err(refusal).boxed()
    }

    fn stop_sequencer(&self) -> BoxFuture<'_, Result<B256, ConsensusError>> {
        self.sequencer.stop().map_err(refusal).boxed()
    }

    fn set_recover_mode(&self, on: bool) -> BoxFuture<'_, Result<(), ConsensusError>> {
        self.sequencer.set_recover_mode(on).map_err(refusal).boxed()
    }

    fn reset(&self) -> BoxFuture<'_, Result<(), ConsensusError>> {
        self.sequencer.reset().map_err(refusal).boxed()
    }
}

fn refusal(error: AdminError) -> ConsensusError {
    ConsensusError::Sequencer(error.to_string())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::args::NodeArgs;

    async fn refused(flags: &[&str]) -> String {
        let args = NodeArgs::from_flags(flags).expect("valid flags");
        let plan = Plan::make(&args.rollup, &ChainSpec::devnet()).await;
        plan.expect_err("refused").to_string()
    }

    #[tokio::test]
    async fn flags_without_the_flags_they_need_are_refused() {
        for (flags, message) in [
            (&["--sequencer.enabled"][..], "--sequencer.enabled needs --l1"),
            (&["--rpc.enable-admin"], "--rpc.enable-admin needs --l1"),
            (&["--rollup.config", "a"], "--rollup.config needs --l1"),
            (&["--l1", "ws://localhost"], "--l1 needs --rollup.config"),
        ] {
            assert_eq!(refused(flags).await, message);
        }
        let args = NodeArgs::from_flags([""; 0]).expect("no flags");
        let plan = Plan::make(&args.rollup, &ChainSpec::devnet()).await;
        assert!(plan.expect("fine").is_none());
    }

    #[test]
    fn defaults_are_op_nodes() {
        let args = NodeArgs::from_flags([""; 0]).expect("no flags").rollup;
        assert_eq!(l1_options(&args), L1Options::default());
        assert_eq!(
            sequencer(&args, None),
            SequencerConfig { enabled: false, ..Default::default() }
        );
        let server = server(&args);
        assert_eq!(server.addr.to_string(), "127.0.0.1:9545");
        assert!(!server.namespaces.contains(Namespace::Admin));
    }

    #[test]
    fn blob_parameters_come_from_a_genesis_or_its_configuration() {
        let config = json!({
            "chainId": 900, "cancunTime": 0, "pragueTime": 10,
            "blobSchedule": {
                "cancun": {"target": 3, "max": 6, "baseFeeUpdateFraction": 3_338_477},
                "prague": {"target": 7, "max": 9, "baseFeeUpdateFraction": 5_007_716},
            },
        });
        let dir = tempfile::tempdir().expect("a folder");
        let genesis = json!({"config": config, "alloc": {}, "gasLimit": "0x1"});
        for file in [&config, &genesis] {
            let path = dir.path().join("l1.json");
            std::fs::write(&path, file.to_string()).expect("written");
            let schedule = blob_schedule(&path).expect("read");
            assert_eq!(schedule.at(9).target_blob_count, 3);
            assert_eq!(schedule.at(10).target_blob_count, 7);
        }
    }
}
