//! The L1 of a devnet: an anvil of our own.

use std::{
    fs::{self, File},
    io,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    process::{ExitStatus, Stdio},
    time::Duration,
};

use ascribe_chainspec::genesis::L1Config;
use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};
use tokio::{
    net::{TcpListener, TcpStream},
    process::{Child, Command},
    time::{Instant, sleep, timeout},
};
use tracing::{info, warn};

/// How long anvil may take until it listens; it may have a long chain to read.
const START: Duration = Duration::from_secs(60);
/// How long it may take to write its chain to disk.
const STOP: Duration = Duration::from_secs(30);
/// How often it writes its chain to disk while it runs, in seconds. What came later is lost with a
/// power cut, and L2 then reorganises as after any L1 reorg.
const DUMP_INTERVAL: &str = "30";
/// Rules of the L1: what the rollup's blob fees are computed by.
const HARDFORK: &str = "prague";
/// How much of its log is shown when it has ended.
const SHOWN: usize = 2_000;

/// What can go wrong with anvil.
#[derive(Debug, thiserror::Error)]
pub enum AnvilError {
    /// The program is not there.
    #[error(
        "cannot start {program} as L1: {source}. It comes with the contracts ('scripts/contracts build'); \
         name it with --anvil, or an L1 that runs already with --l1"
    )]
    Start {
        /// As given.
        program: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Something listens there.
    #[error(
        "port {0} for the L1 is taken: choose another with --l1.port, or end what listens there"
    )]
    Port(u16),
    /// A file cannot be made.
    #[error("cannot write {path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// It ended by itself.
    #[error("the L1 is gone: anvil has ended with {status}{said}")]
    Ended {
        /// How.
        status: String,
        /// The last lines of its log, if it said anything.
        said: String,
    },
    /// It runs and does not listen.
    #[error("anvil does not listen on port {port} after {} s; its log is {log}", START.as_secs())]
    Silent {
        /// The port.
        port: u16,
        /// Its log.
        log: PathBuf,
    },
}

/// A running anvil. It is killed when dropped, and keeps its chain when it is [stopped](Self::stop).
#[derive(Debug)]
pub(super) struct Anvil {
    child: Child,
    port: u16,
    log: PathBuf,
}

impl Anvil {
    /// Starts anvil with its chain in `folder`, and waits until it listens.
    pub(super) async fn start(
        program: &Path,
        folder: &Path,
        port: u16,
        config: &L1Config,
    ) -> Result<Self, AnvilError> {
        let file = |path: &Path| {
            let path = path.to_owned();
            move |source| AnvilError::File { path, source }
        };
        if TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await.is_err() {
            return Err(AnvilError::Port(port));
        }
        fs::create_dir_all(folder).map_err(file(folder))?;
        let log = folder.join("anvil.log");
        let out = File::create(&log).map_err(file(&log))?;
        let err = out.try_clone().map_err(file(&log))?;
        let child = Command::new(program)
            .args(["--silent", "--host", "127.0.0.1", "--hardfork", HARDFORK])
            .args(["--port", &port.to_string()])
            .args(["--chain-id", &config.chain_id.to_string()])
            .args(["--block-time", &config.block_time.to_string()])
            .args(["--state-interval", DUMP_INTERVAL, "--state"])
            .arg(folder.join("state.json"))
            .stdin(Stdio::null())
            .stdout(out)
            .stderr(err)
            // A terminal's Ctrl-C is ours to pass on, after L2 has stopped.
            .process_group(0)
            .spawn()
            .map_err(|source| AnvilError::Start { program: program.to_owned(), source })?;
        let mut anvil = Self { child, port, log };
        anvil.wait_until_it_listens().await?;
        info!(target: "ascribe::devnet", port, chain = config.chain_id, "L1 started");
        Ok(anvil)
    }

    /// Where it listens.
    pub(super) fn url(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    async fn wait_until_it_listens(&mut self) -> Result<(), AnvilError> {
        let addr = SocketAddr::from((Ipv4Addr::LOCALHOST, self.port));
        let started = Instant::now();
        while started.elapsed() < START {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Err(self.ended(Some(status)));
            }
            if TcpStream::connect(addr).await.is_ok() {
                return Ok(());
            }
            sleep(Duration::from_millis(50)).await;
        }
        Err(AnvilError::Silent { port: self.port, log: self.log.clone() })
    }

    /// Waits for the end that nobody asked for.
    pub(super) async fn failure(&mut self) -> AnvilError {
        let status = self.child.wait().await.ok();
        self.ended(status)
    }

    fn ended(&self, status: Option<ExitStatus>) -> AnvilError {
        let text = fs::read(&self.log).unwrap_or_default();
        let end = String::from_utf8_lossy(&text[text.len().saturating_sub(SHOWN)..]);
        let said = match end.trim() {
            "" => String::new(),
            end => format!("; {} ends with:\n{end}", self.log.display()),
        };
        let status = status.map_or_else(|| "an unknown status".to_owned(), |it| it.to_string());
        AnvilError::Ended { status, said }
    }

    /// Lets anvil write its chain to disk and end.
    pub(super) async fn stop(mut self) {
        let Some(pid) = self.pid() else { return };
        // npm's anvil is a script that passes this signal on and ends at once, before anvil does.
        let asked = kill_process(pid, Signal::INT);
        let ended = async {
            let _ = self.child.wait().await;
            while test_kill_process_group(pid).is_ok() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        if asked.is_ok() && timeout(STOP, ended).await.is_err() {
            warn!(target: "ascribe::devnet", "anvil does not stop and is killed");
            // With the script before it.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }

    /// While it has not been seen to end.
    fn pid(&self) -> Option<Pid> {
        self.child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?))
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        if let Some(pid) = self.pid() {
            // There may be nobody left.
            let _ = kill_process_group(pid, Signal::KILL);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const L1: L1Config =
        L1Config { chain_id: 900, block_time: 1, deployer: alloy_primitives::Address::ZERO };

    #[tokio::test]
    async fn what_is_wrong_is_told() {
        let dir = tempfile::tempdir().expect("a folder");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let port = listener.local_addr().expect("bound").port();
        let started = Anvil::start(Path::new("anvil"), dir.path(), port, &L1).await;
        assert!(matches!(started, Err(AnvilError::Port(it)) if it == port));
        drop(listener);
        let missing = dir.path().join("no-anvil");
        let started = Anvil::start(&missing, dir.path(), port, &L1).await;
        assert!(matches!(started, Err(AnvilError::Start { .. })));
        // A program that ends at once instead of listening.
        let started = Anvil::start(Path::new("false"), dir.path(), port, &L1).await;
        let error = started.expect_err("ended").to_string();
        assert!(error.contains("anvil has ended with exit status: 1"), "{error}");
    }
}
