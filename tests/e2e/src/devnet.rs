//! `ascribe devnet` as a user starts it.

use crate::{Folder, Process, Rpc, ascribe_bin, find_program, free_port, skip, wait_until};
use alloy_primitives::{Address, B256, Bytes, U64, U256, address, keccak256};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

/// How long anything may take; the machine may be busy.
pub const PATIENCE: Duration = Duration::from_secs(120);
/// `GasPriceOracle`.
const ORACLE: Address = address!("420000000000000000000000000000000000000F");

/// A devnet that runs.
#[derive(Debug)]
pub struct Devnet {
    /// Its process.
    pub process: Process,
    /// Of the node, `eth_` and others.
    pub l2: Rpc,
    /// Of the L1.
    pub l1: Rpc,
    /// Of the node, `optimism_` and `admin_`.
    pub rollup: Rpc,
    /// Where its files are.
    pub folder: PathBuf,
}

/// Ports and folder of a devnet, the same at every start.
#[derive(Debug)]
pub struct DevnetSetup {
    /// Where it keeps its files and its log.
    pub folder: Folder,
    ports: [u16; 5],
    args: Vec<String>,
}

/// Where the contracts have been built.
pub fn contracts() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../../contracts"))
}

impl DevnetSetup {
    /// `None`, said aloud, where there is no anvil.
    pub fn new(test: &str, args: &[&str]) -> Option<Self> {
        let Some(anvil) = find_program("anvil") else {
            skip(test, "anvil is not there: run scripts/contracts build");
            return None;
        };
        let mut args: Vec<String> = args.iter().map(|it| (*it).to_owned()).collect();
        args.extend(["--anvil".to_owned(), anvil.display().to_string()]);
        let ports = std::array::from_fn(|_| free_port());
        Some(Self { folder: Folder::new(), ports, args })
    }

    /// The command line.
    pub fn command(&self) -> Command {
        let mut command = Command::new(ascribe_bin());
        command.args(["devnet", "--block-time", "1", "--color", "never", "--artifacts"]);
        command.arg(contracts()).arg("--datadir").arg(self.folder.join("devnet"));
        let flags = ["--http.port", "--ws.port", "--authrpc.port", "--rpc.port", "--l1.port"];
        for (flag, port) in flags.iter().zip(self.ports) {
            command.args([(*flag).to_owned(), port.to_string()]);
        }
        command.args(&self.args);
        command
    }

    /// Starts it and waits for its greeting.
    ///
    /// # Panics
    /// If it ends instead.
    pub fn start(&self) -> Devnet {
        let log = self.folder.join("devnet.log");
        let before = fs::read_to_string(&log).unwrap_or_default().len();
        let mut process = Process::spawn("ascribe devnet", self.command(), &log);
        wait_until("the greeting", PATIENCE, || {
            assert!(process.is_running(), "the devnet has ended: {}", process.output_end());
            process.output()[before..].contains("Ctrl-C stops everything").then_some(())
        });
        let rpc = |port| Rpc::new(format!("http://127.0.0.1:{port}"));
        let [http, _, _, rollup, l1] = self.ports;
        Devnet {
            process,
            l2: rpc(http),
            l1: rpc(l1),
            rollup: rpc(rollup),
            folder: self.folder.join("devnet"),
        }
    }
}

impl Devnet {
    /// Number of its newest block.
    pub fn head(&self) -> u64 {
        self.l2.call::<U64>("eth_blockNumber", json!([])).to()
    }

    /// Waits for a block.
    pub fn wait_for_block(&self, number: u64) {
        wait_until(&format!("block {number}"), PATIENCE, || (self.head() >= number).then_some(()));
    }

    /// Sends a transaction and waits for its receipt.
    pub fn receipt(&self, raw: &Bytes) -> Value {
        let hash: B256 = self.l2.call("eth_sendRawTransaction", json!([raw]));
        wait_until("a receipt", PATIENCE, || {
            let receipt: Value = self.l2.call("eth_getTransactionReceipt", json!([hash]));
            (!receipt.is_null()).then_some(receipt)
        })
    }

    /// A view function at a block: its answer's words.
    pub fn view(&self, to: Address, signature: &str, args: &[u8], block: &Value) -> Vec<U256> {
        let input = Bytes::from([&keccak256(signature)[..4], args].concat());
        let answer: Bytes = self.l2.call("eth_call", json!([{"to": to, "input": input}, block]));
        answer.chunks(32).map(U256::from_be_slice).collect()
    }

    /// A function of the oracle with one `bytes` argument.
    pub fn oracle(&self, signature: &str, data: &[u8], block: &Value) -> U256 {
        let mut args =
            [U256::from(32), U256::from(data.len())].map(|it| it.to_be_bytes::<32>()).concat();
        args.extend_from_slice(data);
        args.resize(args.len().next_multiple_of(32), 0);
        self.view(ORACLE, signature, &args, block)[0]
    }

    /// What an account has, in wei.
    pub fn balance(&self, of: Address, block: &Value) -> U256 {
        self.l2.call("eth_getBalance", json!([of, block]))
    }

    /// Its `rollup.json`.
    ///
    /// # Panics
    /// If there is none.
    pub fn rollup_config(&self) -> Value {
        let text = fs::read_to_string(self.folder.join("rollup.json")).expect("rollup.json");
        serde_json::from_str(&text).expect("JSON")
    }
}
