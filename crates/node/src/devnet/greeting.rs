//! What `ascribe devnet` says when it is ready.

use std::fmt::{self, Display};

use alloy_primitives::Address;
use ascribe_chainspec::{RollupConfig, genesis::DevnetConfig, predeploys::ATTRIBUTION_HUB};
use ascribe_rpc::RpcServers;

/// How many accounts are shown.
const SHOWN: usize = 20;

/// Everything that a user needs to begin.
pub(super) struct Greeting<'a> {
    pub(super) config: &'a DevnetConfig,
    pub(super) rollup: &'a RollupConfig,
    pub(super) servers: &'a RpcServers,
    /// JSON-RPC of the L1.
    pub(super) l1: &'a str,
    /// Whether the L1 is ours, so that accounts have ether there too.
    pub(super) own_l1: bool,
    /// Number of L2's newest block.
    pub(super) head: u64,
    /// What holds the devnet, unless it goes when the devnet ends.
    pub(super) folder: Option<&'a std::path::Path>,
    /// The file with the secret of the Engine API.
    pub(super) jwt: &'a std::path::Path,
}

const BANNER: &str = r"
                          _ _
   __ _ ___  ___ _ __ (_) |__   ___
  / _` / __|/ __| '__|| | '_ \ / _ \
 | (_| \__ \ (__| |   | | |_) |  __/
  \__,_|___/\___|_|   |_|_.__/ \___|
";

impl Display for Greeting<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (config, rollup) = (self.config, self.rollup);
        writeln!(f, "{BANNER}\n    {} devnet", env!("CARGO_PKG_VERSION"))?;

        let shown = &config.accounts[..config.accounts.len().min(SHOWN)];
        let funded = if self.own_l1 { "L1 and L2" } else { "L2" };
        heading(f, &format!("Accounts (began with {} ETH on {funded})", config.l2.balance))?;
        for (index, account) in shown.iter().enumerate() {
            writeln!(f, "({index}) {}", account.address)?;
        }
        heading(f, "Private keys (known to everybody: never use them elsewhere)")?;
        for (index, account) in shown.iter().enumerate() {
            if let Some(key) = account.key {
                writeln!(f, "({index}) {key}")?;
            }
        }

        heading(
            f,
            &format!("L2: chain {}, a block every {} s", rollup.l2_chain_id, rollup.block_time),
        )?;
        let forks = rollup.fork_times();
        let fork = forks.iter().rev().find(|(_, time)| *time == Some(0)).map_or("", |(it, _)| it);
        writeln!(f, "Genesis      {} ({fork} rules)", rollup.genesis.l2.hash)?;
        writeln!(f, "Head         {}", self.head)?;
        let servers = self.servers;
        for (name, scheme, addr) in [
            ("HTTP", "http", servers.http),
            ("WebSocket", "ws", servers.ws),
            ("Rollup RPC", "http", servers.rollup),
            ("Engine API", "http", servers.auth),
        ] {
            if let Some(addr) = addr {
                writeln!(f, "{name:<12} {scheme}://{addr}")?;
            }
        }
        writeln!(f, "JWT secret   {}", self.jwt.display())?;
        if self.config.forks.attribution.is_some() {
            writeln!(f, "Attribution  {ATTRIBUTION_HUB} is the hub; 'ascribe attribution --help'")?;
        }

        heading(f, &format!("L1: chain {}", rollup.l1_chain_id))?;
        writeln!(f, "RPC          {}", self.l1)?;
        writeln!(f, "Portal       {}", rollup.deposit_contract_address)?;
        writeln!(f, "SystemConfig {}", rollup.l1_system_config_address)?;
        writeln!(f, "Batcher      {}", rollup.genesis.system_config.batcher_addr)?;

        heading(f, "Begin")?;
        if let Some(http) = servers.http {
            writeln!(
                f,
                "Wallet       network \"ascribe devnet\", RPC http://{http}, chain id {}, currency ETH",
                rollup.l2_chain_id
            )?;
            if let [from, to, ..] = shown
                && let Some(key) = from.key
            {
                let (to, rpc) = (to.address, format!("--rpc-url http://{http}"));
                writeln!(
                    f,
                    "Transfer     cast send {to} --value 1ether {rpc} --private-key {key}"
                )?;
                let portal: Address = rollup.deposit_contract_address;
                let rpc = format!("--rpc-url {}", self.l1);
                writeln!(
                    f,
                    "Deposit      cast send {portal} --value 1ether {rpc} --private-key {key}"
                )?;
            }
        }
        match self.folder {
            Some(folder) => writeln!(f, "Folder       {} (kept)", folder.display())?,
            None => writeln!(
                f,
                "Folder       none: the chain ends with this process; --datadir DIR keeps it"
            )?,
        }
        writeln!(f, "\nCtrl-C stops everything.")
    }
}

fn heading(f: &mut fmt::Formatter<'_>, text: &str) -> fmt::Result {
    writeln!(f, "\n{text}\n{}", "=".repeat(text.chars().count()))
}
