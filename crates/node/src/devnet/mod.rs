//! `ascribe devnet`: an L1, a rollup on it, and a sequencer, in one command.
//!
//! The L1 is an anvil that is started and stopped with the devnet, or one that runs already. The
//! official L1 contracts are not there: two small ones of ours take deposits and change the system
//! configuration, with the events that derivation reads. Withdrawals need proofs on L1 and do not
//! exist here.

mod anvil;
mod args;
mod contracts;
mod greeting;

use std::{
    fs::{self, File, TryLockError},
    io,
    path::{Path, PathBuf},
    time::Duration,
};

use ascribe_chainspec::{
    RollupConfig, RollupConfigError,
    genesis::{self, Artifacts, DevnetConfig},
};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use tracing::{error, info};

pub use anvil::AnvilError;
pub use args::{DevnetArgs, with_defaults};
pub use contracts::DeployError;

use crate::{
    args::NodeArgs,
    genesis::{ChainFiles, MakeError, newest_block},
    launch::{LaunchError, RunningNode},
    progress,
};
use anvil::Anvil;
use greeting::Greeting;

/// How often the L1's safe and finalized blocks are asked for.
const EPOCH_POLL: Duration = Duration::from_secs(10);

/// Why a devnet does not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum DevnetError {
    /// The chain could not be made.
    #[error(transparent)]
    Make(#[from] MakeError),
    /// Its contracts on L1 could not be created.
    #[error(transparent)]
    Deploy(#[from] DeployError),
    /// The L1.
    #[error(transparent)]
    Anvil(#[from] AnvilError),
    /// The node.
    #[error(transparent)]
    Node(#[from] LaunchError),
    /// The folder cannot be used.
    #[error("cannot use the folder {path}: {source}")]
    Folder {
        /// The folder.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Another process has it.
    #[error("the devnet in {0} is running already")]
    Running(PathBuf),
    /// The folder holds a chain whose description cannot be read.
    #[error("rollup config {path}: {source}")]
    Rollup {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        source: RollupConfigError,
    },
    /// The folder holds another chain than is asked for.
    #[error("the devnet in {path} has {what} {kept}, not {asked}: a chain cannot change it")]
    OtherChain {
        /// The folder.
        path: PathBuf,
        /// What differs.
        what: &'static str,
        /// What is there.
        kept: u64,
        /// What is asked for.
        asked: u64,
    },
    /// Signals cannot be received.
    #[error("cannot listen for signals: {0}")]
    Signals(io::Error),
}

/// `ascribe devnet`: runs until SIGINT or SIGTERM, or until a part of it ends.
pub async fn run(args: &DevnetArgs) -> Result<(), DevnetError> {
    let mut interrupt = signal(SignalKind::interrupt()).map_err(DevnetError::Signals)?;
    let mut terminate = signal(SignalKind::terminate()).map_err(DevnetError::Signals)?;
    let mut stopped = async || {
        tokio::select! {
            _ = interrupt.recv() => {}
            _ = terminate.recv() => {}
        }
        info!(target: "ascribe::devnet", "Stopping");
    };
    let folder = Folder::open(args.datadir.as_deref())?;
    let mut config = args.chain.read_config().map_err(MakeError::from)?;
    if let Some(seconds) = args.block_time {
        config.l2.block_time = seconds;
        config.check().map_err(MakeError::from)?;
    }
    let files = ChainFiles::in_folder(&folder.path);
    let kept = match files.rollup.exists() {
        true => Some(kept_chain(&folder.path, &files, &config)?),
        false => None,
    };
    let l1 = tokio::select! {
        l1 = L1::start(args, &folder, &config) => l1?,
        () = stopped() => return Ok(()),
    };
    let (outcome, l1) = with_l1(args, &folder, (config, kept), l1, &mut stopped).await;
    // A second signal does not wait for the L1; it is killed then.
    tokio::select! {
        () = l1.stop() => {}
        () = stopped() => {}
    }
    outcome
}

/// Everything between the start and the end of the L1.
async fn with_l1(
    args: &DevnetArgs,
    folder: &Folder,
    (mut config, kept): (DevnetConfig, Option<RollupConfig>),
    mut l1: L1,
    stopped: &mut impl AsyncFnMut(),
) -> (Result<(), DevnetError>, L1) {
    let url = l1.url.clone();
    let started = async {
        let files = ChainFiles::in_folder(&folder.path);
        let rollup = match kept {
            Some(kept) => kept,
            None => make_chain(args, &files, &mut config, &url).await?,
        };
        let node_args = node_args(args, &folder.path, &files, &config, &url);
        let node = RunningNode::launch(&node_args).await?;
        Ok::<_, DevnetError>((node, rollup, node_args))
    };
    let started = tokio::select! {
        started = started => started,
        error = l1.failure() => Err(error.into()),
        () = stopped() => return (Ok(()), l1),
    };
    let (mut node, rollup, node_args) = match started {
        Ok(started) => started,
        Err(error) => return (Err(error), l1),
    };
    let greeting = Greeting {
        config: &config,
        rollup: &rollup,
        servers: &node.rpc,
        l1: &url,
        own_l1: l1.anvil.is_some(),
        head: node.chain.head().number,
        folder: folder.kept(),
        jwt: &jwt_file(&node_args, &folder.path),
    };
    println!("{greeting}");
    let ended = tokio::select! {
        error = node.failure() => Err(error.into()),
        error = l1.failure() => Err(error.into()),
        () = stopped() => Ok(()),
    };
    if let Err(error) = &ended {
        error!(target: "ascribe::devnet", %error, "Stopping");
    }
    let stopping = tokio::select! {
        done = node.shutdown() => done.map_err(DevnetError::from),
        () = stopped() => Ok(()),
    };
    (ended.and(stopping), l1)
}

/// The chain that the folder holds, if it is the one that is asked for.
fn kept_chain(
    folder: &Path,
    files: &ChainFiles,
    config: &DevnetConfig,
) -> Result<RollupConfig, DevnetError> {
    let path = files.rollup.clone();
    let rollup = RollupConfig::from_file(&path);
    let rollup = rollup.map_err(|source| DevnetError::Rollup { path, source })?;
    for (what, kept, asked) in [
        ("chain id", rollup.l2_chain_id, config.l2.chain_id),
        ("block time", rollup.block_time, config.l2.block_time),
    ] {
        if kept != asked {
            let path = folder.to_owned();
            return Err(DevnetError::OtherChain { path, what, kept, asked });
        }
    }
    Ok(rollup)
}

/// A new chain after the newest block of the L1.
async fn make_chain(
    args: &DevnetArgs,
    files: &ChainFiles,
    config: &mut DevnetConfig,
    l1: &str,
) -> Result<RollupConfig, DevnetError> {
    let bar = progress::bar("L1 contracts", None);
    contracts::ensure(l1, config, &Artifacts::new(&args.chain.artifacts)).await?;
    bar.set_message("genesis");
    let alloc = args.chain.alloc(config).map_err(MakeError::from)?;
    let start = newest_block(l1, config.l1.chain_id).await?;
    let chain = genesis::new_chain(config, alloc, start).map_err(MakeError::from)?;
    files.write(&chain)?;
    bar.finish_and_clear();
    Ok(chain.rollup)
}

/// The node of the devnet.
fn node_args(
    args: &DevnetArgs,
    folder: &Path,
    files: &ChainFiles,
    config: &DevnetConfig,
    l1: &str,
) -> NodeArgs {
    let mut node = args::node_args(args);
    node.datadir.chain = files.genesis.to_string_lossy().into_owned();
    node.datadir.datadir = Some(folder.to_owned());
    node.rollup.l1 = Some(l1.to_owned());
    node.rollup.rollup_config = Some(files.rollup.clone());
    // Twice in the time of an L1 block, so that L2 is not late by more than that.
    node.rollup.l1_http_poll_interval = Duration::from_secs(config.l1.block_time) / 2;
    node.rollup.l1_epoch_poll_interval = EPOCH_POLL;
    node
}

fn jwt_file(args: &NodeArgs, folder: &Path) -> PathBuf {
    args.rpc.authrpc_jwtsecret.clone().unwrap_or_else(|| folder.join("jwt.hex"))
}

/// The L1: ours, or somebody's.
#[derive(Debug)]
struct L1 {
    anvil: Option<Anvil>,
    url: String,
}

impl L1 {
    async fn start(
        args: &DevnetArgs,
        folder: &Folder,
        config: &DevnetConfig,
    ) -> Result<Self, AnvilError> {
        if let Some(url) = &args.l1 {
            return Ok(Self { anvil: None, url: url.clone() });
        }
        let bar = progress::bar("L1", None);
        let chain = folder.path.join("l1");
        let anvil = Anvil::start(&args.anvil, &chain, args.l1_port, &config.l1).await?;
        bar.finish_and_clear();
        Ok(Self { url: anvil.url(), anvil: Some(anvil) })
    }

    /// Waits for the end of our L1; for ever if it is somebody else's.
    async fn failure(&mut self) -> AnvilError {
        match &mut self.anvil {
            Some(anvil) => anvil.failure().await,
            None => std::future::pending().await,
        }
    }

    async fn stop(self) {
        if let Some(anvil) = self.anvil {
            anvil.stop().await;
        }
    }
}

/// The folder of a devnet, held by this process.
#[derive(Debug)]
struct Folder {
    path: PathBuf,
    /// Removed at the end, if nobody asked to keep it.
    temporary: Option<TempDir>,
    _lock: File,
}

impl Folder {
    fn open(datadir: Option<&Path>) -> Result<Self, DevnetError> {
        let failed = |path: &Path| {
            let path = path.to_owned();
            move |source| DevnetError::Folder { path, source }
        };
        let (path, temporary) = match datadir {
            // Paths are shown to the user, who may be elsewhere then.
            Some(path) => (std::path::absolute(path).map_err(failed(path))?, None),
            None => {
                let temporary = tempfile::Builder::new().prefix("ascribe-devnet-").tempdir();
                let temporary = temporary.map_err(failed(&std::env::temp_dir()))?;
                (temporary.path().to_owned(), Some(temporary))
            }
        };
        fs::create_dir_all(&path).map_err(failed(&path))?;
        let lock = File::create(path.join("devnet.lock")).map_err(failed(&path))?;
        match lock.try_lock() {
            Ok(()) => Ok(Self { path, temporary, _lock: lock }),
            Err(TryLockError::WouldBlock) => Err(DevnetError::Running(path)),
            Err(TryLockError::Error(source)) => Err(DevnetError::Folder { path, source }),
        }
    }

    fn kept(&self) -> Option<&Path> {
        self.temporary.is_none().then_some(&self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_is_one_devnet_at_a_time() {
        let dir = tempfile::tempdir().expect("a folder");
        let folder = Folder::open(Some(dir.path())).expect("free");
        assert_eq!(folder.kept(), Some(dir.path()));
        assert!(matches!(Folder::open(Some(dir.path())), Err(DevnetError::Running(_))));
        drop(folder);
        Folder::open(Some(dir.path())).expect("free again");
    }

    #[test]
    fn without_a_folder_nothing_is_kept() {
        let folder = Folder::open(None).expect("a temporary folder");
        let path = folder.path.clone();
        assert!(folder.kept().is_none() && path.exists());
        drop(folder);
        assert!(!path.exists());
    }
}
