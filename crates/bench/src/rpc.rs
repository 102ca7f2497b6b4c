//! `bench rpc`: requests a second, against anvil with the same transactions in its blocks.

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Command,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    time::{Duration, Instant},
};

use alloy_primitives::{Bytes, hex, keccak256};
use clap::Args;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::{
    BenchError, bars,
    client::Client,
    node::{Node, prepare},
    report::{Report, median},
    server::{Ending, Server, free_ports},
    workload::{CHAIN_ID, Chain, TOKEN, Workload},
};

/// Different requests of one method, asked in turn.
const VARIANTS: u64 = 64;
/// Blocks that one search for logs spans.
const LOG_SPAN: u64 = 10;
/// Transactions given to anvil in one batch.
const BATCH: usize = 200;

/// What `bench rpc` takes.
#[derive(Args, Debug, Clone)]
pub struct RpcArgs {
    /// The anvil to compare with
    #[arg(long, value_name = "PROGRAM", default_value = "anvil")]
    anvil: PathBuf,
    /// Blocks full of ERC-20 transfers
    #[arg(long, value_name = "N", default_value_t = 20)]
    blocks: u64,
    /// Gas limit of a block
    #[arg(long, value_name = "GAS", default_value_t = 60_000_000)]
    gas_limit: u64,
    /// Connections that ask at a time
    #[arg(long, value_name = "N", default_value_t = 8)]
    connections: usize,
    /// Seconds for each method, round and side
    #[arg(long, value_name = "S", default_value_t = 3)]
    seconds: u64,
    /// Rounds, each with both sides by turns
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// One JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

pub(crate) fn run(args: &RpcArgs, runtime: &Runtime) -> Result<Report, BenchError> {
    let chain = Chain::new(args.gas_limit, 1)?;
    let dir = tempfile::tempdir()?;
    let genesis = dir.path().join("genesis.json");
    let text = serde_json::to_vec(chain.spec.genesis());
    std::fs::write(&genesis, text.map_err(|error| BenchError::setup("genesis", error))?)?;

    let datadir = runtime.block_on(ours_on_disk(args, &chain))?;
    let ours = start_ours(&genesis, datadir.path())?;
    let anvil = start_anvil(args, &genesis)?;
    feed_anvil(args, &chain, anvil.addr)?;

    let mut report = Report::new("requests a second, against anvil");
    for (method, requests) in methods(args, &chain) {
        let bar = bars::bar(method, args.rounds as u64);
        let mut rounds = Vec::new();
        for _ in 0..args.rounds {
            let sides = [&ours, &anvil].map(|server| load(args, server.addr, &requests));
            let [ours, anvil] = sides;
            rounds.push((ours?, anvil?));
            bar.inc(1);
        }
        bar.finish_and_clear();
        report.row(
            method,
            vec![
                ("ratio_to_anvil", median(rounds.iter().map(|(ours, anvil)| ours / anvil))),
                ("requests_per_s", median(rounds.iter().map(|(ours, _)| *ours))),
                ("anvil_requests_per_s", median(rounds.iter().map(|(_, anvil)| *anvil))),
            ],
        );
    }
    Ok(report)
}

/// Builds the chain in a folder that `ascribe node` can open.
async fn ours_on_disk(args: &RpcArgs, chain: &Chain) -> Result<tempfile::TempDir, BenchError> {
    let blocks = prepare(chain, Workload::Erc20, args.blocks, None).await?;
    let mut node = Node::new(&chain.spec, None)?;
    for block in blocks {
        node.import(block.to_execution_data()).await?;
    }
    node.stop().await
}

fn start_ours(genesis: &Path, datadir: &Path) -> Result<Server, BenchError> {
    let [addr] = free_ports()?;
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg("node")
        .arg("--chain")
        .arg(genesis)
        .arg("--datadir")
        .arg(datadir)
        .args(["--http", "--http.port", &addr.port().to_string()])
        .args(["--disable-auth-server", "--quiet"]);
    Server::start("a node", &mut command, addr, Ending::Killed)
}

fn start_anvil(args: &RpcArgs, genesis: &Path) -> Result<Server, BenchError> {
    let [addr] = free_ports()?;
    let mut command = Command::new(&args.anvil);
    command
        .arg("--init")
        .arg(genesis)
        .args(["--port", &addr.port().to_string(), "--chain-id", &CHAIN_ID.to_string()])
        .args(["--gas-limit", &args.gas_limit.to_string(), "--no-mining", "--silent"])
        .args(["--accounts", "0"]);
    Server::start("anvil", &mut command, addr, Ending::Killed)
}

/// Has anvil mine blocks of the same transactions.
fn feed_anvil(args: &RpcArgs, chain: &Chain, addr: SocketAddr) -> Result<(), BenchError> {
    let bar = bars::bar("anvil's blocks", args.blocks);
    let mut client = Client::connect(addr)?;
    for number in 1..=args.blocks {
        let transactions = chain.transactions(Workload::Erc20, number)?;
        for batch in transactions.chunks(BATCH) {
            let batch: Vec<_> = batch.iter().map(|raw| json!([raw])).collect();
            client.batch("eth_sendRawTransaction", &batch)?;
        }
        client.call("evm_mine", &json!([]))?;
        let block = client.call("eth_getBlockByNumber", &json!(["latest", false]))?;
        let mined = block["transactions"].as_array().map_or(0, Vec::len);
        if mined != transactions.len() {
            let text = format!("mined {mined} of {} transactions", transactions.len());
            return Err(BenchError::setup("anvil", text));
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

/// What is asked: variants of each method, as HTTP requests.
fn methods(args: &RpcArgs, chain: &Chain) -> Vec<(&'static str, Vec<Bytes>)> {
    let senders = chain.senders();
    let sender = |n: u64| senders[(n * 31) as usize % senders.len()];
    let block = |n: u64| format!("{:#x}", 1 + n % args.blocks);
    let variants = |method: &str, params: &dyn Fn(u64) -> Value| {
        (0..VARIANTS).map(|n| Client::request(method, &params(n))).collect()
    };
    let balance_of = |n: u64| {
        let input = [&hex!("70a08231")[..], sender(n).into_word().as_slice()].concat();
        json!([{ "to": TOKEN, "data": Bytes::from(input) }, "latest"])
    };
    let logs = |n: u64| {
        let from = 1 + n % args.blocks.saturating_sub(LOG_SPAN).max(1);
        json!([{
            "fromBlock": format!("{from:#x}"),
            "toBlock": format!("{:#x}", args.blocks.min(from + LOG_SPAN - 1)),
            "address": TOKEN,
            "topics": [keccak256("Transfer(address,address,uint256)"), sender(n).into_word()],
        }])
    };
    vec![
        ("getBalance", variants("eth_getBalance", &|n| json!([sender(n), "latest"]))),
        ("getBlockByNumber", variants("eth_getBlockByNumber", &|n| json!([block(n), true]))),
        ("call", variants("eth_call", &balance_of)),
        ("getLogs", variants("eth_getLogs", &logs)),
    ]
}

/// Asks over several connections at once; returns the answers a second.
fn load(args: &RpcArgs, addr: SocketAddr, requests: &[Bytes]) -> Result<f64, BenchError> {
    let (stop, answers) = (AtomicBool::new(false), AtomicU64::new(0));
    let started = Instant::now();
    std::thread::scope(|scope| {
        let askers: Vec<_> = (0..args.connections)
            .map(|first| {
                let (stop, answers) = (&stop, &answers);
                scope.spawn(move || {
                    let mut client = Client::connect(addr)?;
                    for request in requests.iter().cycle().skip(first * 7) {
                        if stop.load(Ordering::Relaxed) {
                            break;
                        }
                        client.ask(request)?;
                        answers.fetch_add(1, Ordering::Relaxed);
                    }
                    Ok::<_, BenchError>(())
                })
            })
            .collect();
        std::thread::sleep(Duration::from_secs(args.seconds));
        let rate = answers.load(Ordering::Relaxed) as f64 / started.elapsed().as_secs_f64();
        stop.store(true, Ordering::Relaxed);
        for asker in askers {
            asker.join().map_err(|_| BenchError::setup("a client", "panicked"))??;
        }
        Ok(rate)
    })
}
