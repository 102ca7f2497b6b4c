//! The client against anvil, which is the L1 of a devnet. Looks for the program named by
//! `ASCRIBE_ANVIL`, or `anvil` on the path, and says so when there is none.

use alloy_primitives::{Address, B256};
use ascribe_l1::{L1Client, L1Options};
use rustix::process::{Pid, Signal, kill_process_group};
use serde_json::json;
use std::{
    io::{BufRead, BufReader},
    os::unix::process::CommandExt,
    process::{Child, Command, Stdio},
    time::Duration,
};
use tokio::time::timeout;

const CHAIN_ID: u64 = 900;

struct Anvil {
    process: Child,
    address: String,
}

impl Anvil {
    /// Starts anvil on a free port with a block every second; `None` if there is no anvil.
    fn start() -> Option<Self> {
        let program = std::env::var("ASCRIBE_ANVIL").unwrap_or_else(|_| "anvil".to_owned());
        let mut process = Command::new(&program)
            .args(["--port", "0", "--block-time", "1", "--chain-id", &CHAIN_ID.to_string()])
            .stdout(Stdio::piped())
            // npm's anvil is a script that leaves the program behind when it is killed alone.
            .process_group(0)
            .spawn()
            .inspect_err(|error| eprintln!("SKIPPED: {program} does not start: {error}"))
            .ok()?;
        let mut lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let address = lines.find_map(|line| {
            line.ok()?.strip_prefix("Listening on ").map(|address| address.trim().to_owned())
        });
        // Its log has to go somewhere, or it stops.
        std::thread::spawn(move || lines.for_each(drop));
        Some(Self { process, address: address.expect("anvil says where it listens") })
    }
}

impl Drop for Anvil {
    fn drop(&mut self) {
        _ = kill_process_group(Pid::from_child(&self.process), Signal::KILL);
        _ = self.process.wait();
    }
}

#[tokio::test]
async fn follows_anvil_over_http_and_websocket() {
    let Some(anvil) = Anvil::start() else { return };
    let options = L1Options {
        poll_interval: Duration::from_secs(600),
        epoch_poll_interval: Duration::from_millis(500),
        ..L1Options::default()
    };
    // Sends ether from an account whose key anvil holds.
    let http = format!("http://{}", anvil.address);
    let rpc = alloy_rpc_client::ClientBuilder::default().http(http.parse().expect("a URL"));
    let accounts: Vec<Address> =
        rpc.request("eth_accounts", Vec::<()>::new()).await.expect("accounts");
    let tx = json!({ "from": accounts[0], "to": accounts[1], "value": "0x1" });
    let _: B256 = rpc.request("eth_sendTransaction", [tx]).await.expect("sent");

    // Announcements must do: the poll interval is too long to matter.
    let url = format!("ws://{}", anvil.address);
    let ws = L1Client::connect(&url, options.clone(), CHAIN_ID).await.expect("connected");
    let mut heads = ws.heads();
    let wanted = heads.wait_for(|heads| heads.latest.is_some_and(|at| at.number >= 3));
    let heads = tokio::select! {
        () = ws.follow_heads() => unreachable!("heads are followed for ever"),
        heads = timeout(Duration::from_secs(30), wanted) => *heads.expect("in time").expect("open"),
    };
    assert_eq!(heads.reorgs, 0);

    let client = L1Client::connect(&http, options, CHAIN_ID).await.expect("connected");
    let mut receipts = 0;
    for number in 0..=heads.latest.expect("a head").number {
        let block = client.block_by_number(number).await.expect("a checked header");
        let block = block.expect("up to the head");
        receipts += client.receipts(block.hash).await.expect("checked receipts").len();
    }
    assert_eq!(receipts, 1);
}
