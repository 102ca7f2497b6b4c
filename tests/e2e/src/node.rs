//! `ascribe node`.

use std::{
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    sync::Arc,
    time::Duration,
};

use alloy_primitives::{B256, U64, hex};
use alloy_rpc_types_engine::JwtSecret;
use serde_json::{Value, json};

use crate::{
    Engine, Fork, Process, Rpc, TestChain, ascribe_bin,
    folder::Folder,
    free_port,
    process::{command, wait_until},
};

/// How long a node may take to come up or go down.
const PATIENCE: Duration = Duration::from_secs(60);

/// How a node is started. Clones share the folder, so that a node can be started again on it.
#[derive(Clone, Debug)]
pub struct NodeOptions {
    /// `--chain`.
    pub chain: String,
    /// Further arguments.
    pub args: Vec<String>,
    /// Environment variables.
    pub env: Vec<(String, String)>,
    /// Decides which versions of methods [`Engine`] uses.
    pub fork: Fork,
    /// Runs the node instead of starting it directly, e.g. `["prlimit", "--fsize=1000000"]`.
    pub wrapper: Vec<String>,
    folder: Arc<Folder>,
}

impl NodeOptions {
    /// A node of a test chain with an empty folder, small caches, and everything on.
    pub fn new(chain: &TestChain) -> Self {
        let genesis = chain.genesis_file().to_str().expect("a path in UTF-8");
        Self::preset(genesis, chain.fork)
    }

    /// The same for any value of `--chain`.
    pub fn preset(chain: &str, fork: Fork) -> Self {
        let args = ["--db.cache-size", "32", "--engine.cross-block-cache-size", "32"];
        Self {
            chain: chain.to_owned(),
            args: args.map(str::to_owned).to_vec(),
            env: Vec::new(),
            fork,
            wrapper: Vec::new(),
            folder: Arc::new(Folder::new()),
        }
    }

    /// With further arguments.
    #[must_use]
    pub fn with(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// The node's `--datadir`.
    pub fn datadir(&self) -> PathBuf {
        self.folder.join("data")
    }

    /// The file with all that nodes of this folder have printed.
    pub fn log(&self) -> PathBuf {
        self.folder.join("node.log")
    }

    /// A folder for whatever a test needs besides.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Runs a command of `ascribe` on this chain and folder to its end, e.g. `["db", "verify"]`.
    /// Returns how it ended and what it printed.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn run(&self, subcommand: &[&str], args: &[&str]) -> (ExitStatus, String) {
        let mut ascribe = command(&ascribe_bin(), subcommand);
        ascribe.args(["--chain", &self.chain, "--datadir"]).arg(self.datadir()).args(args);
        let output = ascribe.output().expect("ascribe can be started");
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text += &String::from_utf8_lossy(&output.stderr);
        (output.status, text)
    }

    /// Runs `ascribe db verify`, which computes the state root from its leaves.
    ///
    /// # Panics
    /// If the database is not in order.
    #[track_caller]
    pub fn assert_verifies(&self) {
        let (status, output) = self.run(&["db", "verify"], &[]);
        assert!(status.success(), "db verify: {output}");
    }

    fn command(&self, ports: &Ports) -> Command {
        let bin = ascribe_bin();
        let mut it = match self.wrapper.split_first() {
            Some((wrapper, args)) => {
                let mut it = command(Path::new(wrapper), args);
                it.arg(bin);
                it
            }
            None => Command::new(bin),
        };
        it.args(["node", "--chain", &self.chain, "--datadir"]).arg(self.datadir());
        it.args(["--color", "never", "--http", "--http.api", "all", "--ws", "--ws.api", "all"]);
        for (flag, port) in
            [("--http.port", ports.http), ("--ws.port", ports.ws), ("--authrpc.port", ports.auth)]
        {
            it.args([flag.to_owned(), port.to_string()]);
        }
        it.args(["--metrics".to_owned(), format!("127.0.0.1:{}", ports.metrics)]);
        it.args(&self.args).envs(self.env.iter().map(|(name, value)| (name, value)));
        it
    }

    /// Starts the node and does not wait for anything.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn spawn(&self) -> Process {
        Process::spawn("ascribe node", self.command(&Ports::free()), &self.log())
    }

    /// Starts the node and waits until it answers.
    ///
    /// # Panics
    /// If it does not.
    pub fn start(&self) -> AscribeNode {
        self.try_start().unwrap_or_else(|(status, output)| {
            panic!("the node has ended with {status}:\n{output}")
        })
    }

    /// Starts the node, which must end by itself and say why. Returns what it printed.
    ///
    /// # Panics
    /// If it starts, ends with success, or panics.
    #[track_caller]
    pub fn refused_start(&self) -> String {
        match self.try_start() {
            Ok(node) => panic!("the node should not start: {}", node.process.output_end()),
            Err((status, output)) => {
                assert!(!status.success() && !output.contains("panicked"), "{status}: {output}");
                output
            }
        }
    }

    /// Starts the node and waits until it answers.
    ///
    /// # Errors
    /// How it ended and what it printed, if it ends instead.
    ///
    /// # Panics
    /// If it does neither.
    pub fn try_start(&self) -> Result<AscribeNode, (ExitStatus, String)> {
        let ports = Ports::free();
        let before = std::fs::metadata(self.log()).map_or(0, |file| file.len());
        let mut process = Process::spawn("ascribe node", self.command(&ports), &self.log());
        let secret_file = self.datadir().join("jwt.hex");
        let auth = Rpc::new(format!("http://127.0.0.1:{}", ports.auth));
        let up = wait_until("the node", PATIENCE, || {
            if let Some(status) = process.exited() {
                let printed = process.output();
                let start = usize::try_from(before).unwrap_or_default();
                let printed = printed.get(start..).unwrap_or_default().to_owned();
                return Some(Err((status, printed)));
            }
            let secret = read_secret(&secret_file)?;
            let auth = auth.clone().with_secret(secret);
            // The servers start one after another, the authenticated one last.
            auth.try_call::<U64>("eth_chainId", json!([])).ok()?;
            Some(Ok((secret, auth)))
        });
        let (secret, auth) = up?;
        Ok(AscribeNode {
            process,
            rpc: Rpc::new(format!("http://127.0.0.1:{}", ports.http)),
            engine: Engine::new(auth, self.fork),
            monitor: Rpc::new(format!("http://127.0.0.1:{}", ports.metrics)),
            ws: format!("ws://127.0.0.1:{}", ports.ws),
            secret,
            options: self.clone(),
        })
    }
}

#[derive(Debug)]
struct Ports {
    http: u16,
    ws: u16,
    auth: u16,
    metrics: u16,
}

impl Ports {
    fn free() -> Self {
        Self { http: free_port(), ws: free_port(), auth: free_port(), metrics: free_port() }
    }
}

fn read_secret(path: &Path) -> Option<JwtSecret> {
    // Absent or half written at first.
    JwtSecret::from_hex(std::fs::read_to_string(path).ok()?).ok()
}

/// A running node.
#[derive(Debug)]
pub struct AscribeNode {
    /// The process.
    pub process: Process,
    /// The public JSON-RPC, every namespace.
    pub rpc: Rpc,
    /// The Engine API.
    pub engine: Engine,
    /// Metrics and health.
    pub monitor: Rpc,
    /// Where WebSockets are served.
    pub ws: String,
    /// The secret of the Engine API.
    pub secret: JwtSecret,
    /// How it was started.
    pub options: NodeOptions,
}

impl AscribeNode {
    /// Asserts that it runs and answers.
    ///
    /// # Panics
    /// If it does not.
    #[track_caller]
    pub fn assert_alive(&mut self) {
        assert!(self.process.is_running(), "{}", self.process.output_end());
        let _: U64 = self.rpc.call("eth_chainId", json!([]));
    }

    /// A metric without labels, as Prometheus reads it. `None` if it has not been set.
    pub fn metric(&self, name: &str) -> Option<f64> {
        let (status, text) = self.monitor.get("/metrics").ok()?;
        assert_eq!(status, 200, "{text}");
        let value = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
        Some(value.parse().expect("a metric is a number"))
    }

    /// Number and hash of the head.
    ///
    /// # Panics
    /// If the node does not say.
    pub fn head(&self) -> (u64, B256) {
        self.block("latest").expect("there is always a head")
    }

    /// Number and hash of the block at a tag or number (`latest`, `safe`, `0x7`), if there is one.
    ///
    /// # Panics
    /// If the node does not say.
    pub fn block(&self, tag: &str) -> Option<(u64, B256)> {
        let block: Value = self.rpc.call("eth_getBlockByNumber", json!([tag, false]));
        let hash = block.get("hash")?.as_str()?;
        let number = block.get("number")?.as_str()?;
        let number = u64::from_str_radix(number.trim_start_matches("0x"), 16);
        Some((number.expect("a number"), hash.parse().expect("a hash")))
    }

    /// The hash of the canonical block of a number, if there is one.
    pub fn canonical(&self, number: u64) -> Option<B256> {
        self.block(&format!("{number:#x}")).map(|(_, hash)| hash)
    }

    /// The 32 bytes of the secret in hexadecimal.
    pub fn secret_hex(&self) -> String {
        hex::encode(self.secret.as_bytes())
    }

    /// SIGTERM; waits for the end.
    ///
    /// # Panics
    /// If it does not end, or not with success.
    pub fn stop(mut self) -> NodeOptions {
        let status = self.process.terminate(PATIENCE);
        assert!(status.success(), "the node has stopped with {status}");
        self.options.clone()
    }

    /// `kill -9`.
    pub fn kill(mut self) -> NodeOptions {
        self.process.kill();
        self.options.clone()
    }
}
