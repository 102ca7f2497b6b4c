//! An L1.

use std::time::Duration;

use crate::Folder;
use alloy_primitives::U64;
use serde_json::json;

use crate::{
    Process, Rpc, find_program, free_port,
    process::{command, wait_until},
};

/// anvil, which knows the same accounts as the devnet does.
#[derive(Debug)]
pub struct Anvil {
    /// The process.
    pub process: Process,
    /// Its JSON-RPC over HTTP; the same port answers WebSockets.
    pub rpc: Rpc,
    port: u16,
    _folder: Folder,
}

impl Anvil {
    /// Starts it with further arguments, e.g. `["--block-time", "1"]`. `None` if there is no anvil
    /// here.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start(args: &[&str]) -> Option<Self> {
        Self::start_on(free_port(), args)
    }

    /// The same on a port of choice: one that had another anvil before.
    ///
    /// # Panics
    /// If it does not come up.
    pub fn start_on(port: u16, args: &[&str]) -> Option<Self> {
        let program = find_program("anvil")?;
        let folder = Folder::new();
        let mut anvil = command(&program, ["--host", "127.0.0.1", "--port"]);
        anvil.arg(port.to_string()).args(args);
        let mut process = Process::spawn("anvil", anvil, &folder.join("anvil.log"));
        let rpc = Rpc::new(format!("http://127.0.0.1:{port}"));
        wait_until("anvil", Duration::from_secs(30), || {
            assert!(process.is_running(), "anvil has ended: {}", process.output_end());
            rpc.try_call::<U64>("eth_chainId", json!([])).ok()
        });
        Some(Self { process, rpc, port, _folder: folder })
    }

    /// Where it listens.
    pub const fn port(&self) -> u16 {
        self.port
    }

    /// `http://…`.
    pub fn http(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// `ws://…`.
    pub fn ws(&self) -> String {
        format!("ws://127.0.0.1:{}", self.port)
    }
}
