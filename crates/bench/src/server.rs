//! Other programs that a bench starts and asks by JSON-RPC over HTTP.

use std::{
    fs::File,
    io::{Read, Seek, SeekFrom},
    net::{SocketAddr, TcpListener},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::json;

use crate::{BenchError, client::Client};

/// How long a server may take to answer its first request.
const START: Duration = Duration::from_secs(60);
/// How long a server may take to end when it is asked to.
const STOP: Duration = Duration::from_secs(60);
/// How often either is looked after.
const POLL: Duration = Duration::from_millis(50);
/// How much is shown of what a server says before it ends.
const SHOWN: u64 = 2_000;

/// How a server ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Killed, with what it started: anvil from npm is a script that starts the program.
    Killed,
    /// Asked to, since it has servers of its own to end. Ctrl-C asks it too.
    Asked,
}

/// A server; ends with this.
#[derive(Debug)]
pub(crate) struct Server {
    process: Child,
    ending: Ending,
    /// What it says on standard error.
    log: File,
    pub(crate) addr: SocketAddr,
}

impl Server {
    /// Starts a server and waits until it answers at `addr`.
    pub(crate) fn start(
        what: &'static str,
        command: &mut Command,
        addr: SocketAddr,
        ending: Ending,
    ) -> Result<Self, BenchError> {
        let log = tempfile::tempfile()?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log.try_clone()?);
        if ending == Ending::Killed {
            command.process_group(0);
        }
        let process = command.spawn().map_err(|error| {
            BenchError::setup(what, format!("{}: {error}", command.get_program().display()))
        })?;
        let mut server = Self { process, ending, log, addr };
        server.wait_for_answer(what)?;
        Ok(server)
    }

    fn wait_for_answer(&mut self, what: &'static str) -> Result<(), BenchError> {
        let started = Instant::now();
        while started.elapsed() < START {
            if let Some(status) = self.process.try_wait()? {
                let said = self.said();
                return Err(BenchError::setup(what, format!("ended with {status}{said}")));
            }
            let asked = Client::connect(self.addr)
                .and_then(|mut client| client.call("eth_chainId", &json!([])));
            if asked.is_ok() {
                return Ok(());
            }
            std::thread::sleep(POLL);
        }
        let said = self.said();
        Err(BenchError::setup(what, format!("does not answer at {}{said}", self.addr)))
    }

    /// The end of what it has said, if it has said anything.
    fn said(&mut self) -> String {
        let mut text = Vec::new();
        let length = self.log.seek(SeekFrom::End(0)).unwrap_or_default();
        let start = length.saturating_sub(SHOWN);
        let read =
            self.log.seek(SeekFrom::Start(start)).and_then(|_| self.log.read_to_end(&mut text));
        match String::from_utf8_lossy(&text).trim() {
            said if read.is_ok() && !said.is_empty() => format!(": {said}"),
            _ => String::new(),
        }
    }

    fn pid(&self) -> Option<Pid> {
        i32::try_from(self.process.id()).ok().and_then(Pid::from_raw)
    }

    fn has_ended(&mut self) -> bool {
        matches!(self.process.try_wait(), Ok(Some(_)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself.
        match (self.ending, self.pid()) {
            (Ending::Killed, Some(group)) => {
                let _ = kill_process_group(group, Signal::KILL);
            }
            (Ending::Asked, Some(pid)) if !self.has_ended() => {
                let _ = kill_process(pid, Signal::TERM);
                let asked = Instant::now();
                while !self.has_ended() && asked.elapsed() < STOP {
                    std::thread::sleep(POLL);
                }
                let _ = self.process.kill();
            }
            _ => {}
        }
        let _ = self.process.wait();
    }
}

/// Different addresses on loopback that nobody listens at.
pub(crate) fn free_ports<const N: usize>() -> Result<[SocketAddr; N], BenchError> {
    let mut addrs = [SocketAddr::from(([127, 0, 0, 1], 0)); N];
    let listeners: Vec<TcpListener> =
        addrs.iter().map(TcpListener::bind).collect::<Result<_, _>>()?;
    for (addr, listener) in addrs.iter_mut().zip(&listeners) {
        *addr = listener.local_addr()?;
    }
    Ok(addrs)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_server_says_before_it_ends_is_told() {
        let [addr] = free_ports().expect("a port");
        for ending in [Ending::Killed, Ending::Asked] {
            let mut command = Command::new("sh");
            command.args(["-c", "echo no room >&2; exit 3"]);
            let error = Server::start("a server", &mut command, addr, ending).expect_err("ended");
            assert_eq!(error.to_string(), "a server: ended with exit status: 3: no room");
        }
        let missing = Server::start("a server", &mut Command::new("no-such"), addr, Ending::Killed);
        let error = missing.expect_err("missing").to_string();
        assert!(error.starts_with("a server: no-such: "), "{error}");
    }

    #[test]
    fn ports_differ() {
        let [first, second] = free_ports().expect("ports");
        assert_ne!(first, second);
    }
}
