//! `bench attribution --devnet`: what a record takes on a chain, all included, and which limit binds.

mod account;
mod limits;
mod ways;

use crate::{
    BenchError, bars,
    report::Report,
    server::{Ending, Server, free_ports},
};
use account::Account;
use alloy_primitives::Bytes;
use ascribe_attribution::Record;
use ascribe_chainspec::genesis::{Artifacts, DevnetConfig};
use clap::Args;
use limits::{Blocks, Cost, POOL_BYTES, USUAL_POOL_BYTES, USUAL_SCALAR, binding};
use std::{
    net::{SocketAddr, ToSocketAddrs},
    path::PathBuf,
    process::Command,
};
use ways::{Baseline, Hub};

/// Where the records go.
#[derive(Args, Debug, Clone)]
#[command(next_help_heading = "Devnet")]
pub(crate) struct DevnetArgs {
    /// Settle the records on a devnet, beside the same as one event each and as one struct in storage each, and say
    /// what they take of a block
    #[arg(long, conflicts_with_all = ["calibrate", "write"])]
    pub(super) devnet: bool,
    /// A devnet that runs already, instead of a new one: its first account sends
    #[arg(long, value_name = "URL", value_parser = node_at, requires = "devnet")]
    rpc_url: Option<SocketAddr>,
    /// Folder of the contracts, where scripts/contracts has built them
    #[arg(long, value_name = "DIR", default_value = "contracts", requires = "devnet")]
    artifacts: PathBuf,
    /// The anvil that is the L1 of a new devnet
    #[arg(
        long,
        value_name = "PROGRAM",
        default_value = "anvil",
        requires = "devnet",
        conflicts_with = "rpc_url"
    )]
    anvil: PathBuf,
}

/// `http://HOST:PORT`.
fn node_at(url: &str) -> Result<SocketAddr, String> {
    let allowed = |why: &str| format!("{why}; allowed is http://HOST:PORT");
    let place = url.strip_prefix("http://").ok_or_else(|| allowed("it is not HTTP"))?;
    let addrs = place.trim_end_matches('/').to_socket_addrs();
    addrs
        .map_err(|error| allowed(&error.to_string()))?
        .next()
        .ok_or_else(|| allowed("the host has no address"))
}

impl DevnetArgs {
    /// Starts a devnet, as a user would, on ports of its own.
    fn start(&self) -> Result<Server, BenchError> {
        let bar = bars::spinner("devnet");
        let ports: [SocketAddr; 5] = free_ports()?;
        let mut command = Command::new(std::env::current_exe()?);
        command.args(["devnet", "--quiet", "--artifacts"]).arg(&self.artifacts);
        command.arg("--anvil").arg(&self.anvil);
        command.args(["--txpool.max-tx-input-bytes", &POOL_BYTES.to_string()]);
        let flags = ["--http.port", "--ws.port", "--authrpc.port", "--rpc.port", "--l1.port"];
        for (flag, addr) in flags.iter().zip(ports) {
            command.args([*flag, &addr.port().to_string()]);
        }
        let server = Server::start("the devnet", &mut command, ports[0], Ending::Asked)?;
        bar.finish_and_clear();
        Ok(server)
    }
}

pub(super) fn run(
    args: &DevnetArgs,
    records: &[Record],
    sizes: &[usize],
    keep_order: bool,
) -> Result<Report, BenchError> {
    let artifacts = Artifacts::new(&args.artifacts);
    let codes: Vec<Bytes> = Baseline::ALL
        .iter()
        .map(|baseline| artifacts.creation_code(baseline.contract))
        .collect::<Result<_, _>>()?;
    let config = DevnetConfig::devnet();
    let key = config.accounts.iter().find_map(|account| account.key);
    let key = key.ok_or_else(|| BenchError::setup("the devnet", "no account has a key"))?;

    // Ours ends when all is measured.
    let (addr, _ours) = match args.rpc_url {
        Some(addr) => (addr, None),
        None => {
            let devnet = args.start()?;
            (devnet.addr, Some(devnet))
        }
    };
    let mut account = Account::connect(addr, &key)?;
    let mut hub = Hub::register(&mut account, records)?;
    let mut batches = Vec::new();
    for size in sizes {
        batches.push(hub.submit(&mut account, &records[..*size], keep_order)?);
    }
    let mut baselines = Vec::new();
    for (baseline, code) in Baseline::ALL.iter().zip(codes) {
        baselines.push((baseline.name, baseline.submit(&mut account, code, records)?));
    }
    Ok(report(account.blocks()?, &batches, &baselines))
}

/// What is said of batches in order of size, and of the same records put on the chain in other ways.
fn report(blocks: Blocks, batches: &[Cost], baselines: &[(&'static str, Cost)]) -> Report {
    let usual = Blocks { da_footprint_gas_scalar: USUAL_SCALAR, ..blocks };
    let mut report = Report::new("attribution: what a record takes on a devnet").by_column();
    let batch_rows = batches.iter().map(|cost| (cost.records.to_string(), cost));
    let baseline_rows = baselines.iter().map(|(name, cost)| ((*name).to_owned(), cost));
    for (name, cost) in batch_rows.chain(baseline_rows) {
        let per_second = |blocks| binding(&cost.per_block(blocks)).1 / blocks.time as f64;
        report.row(
            name,
            vec![
                ("records", cost.records as f64),
                ("transactions", cost.transactions as f64),
                ("gas_per_record", cost.gas_per_record()),
                ("bytes_per_record", cost.per_record(cost.input_bytes as f64)),
                ("da_fee_gwei_per_record", cost.per_record(f64::from(cost.da_fee) / 1e9)),
                ("records_per_second", per_second(blocks)),
                ("records_per_second_at_400", per_second(usual)),
            ],
        );
    }
    let Some(batch) = batches.last() else { return report };
    for (name, cost) in baselines {
        let ratio = cost.gas_per_record() / batch.gas_per_record();
        report.figure(format!("{name}_over_batch"), ratio);
    }
    let share = |used: u64| used as f64 / blocks.gas_limit as f64;
    report.figure("block_gas_share", share(batch.gas));
    for (suffix, blocks) in [("", blocks), ("_at_400", usual)] {
        let footprint = batch.da_bytes * blocks.da_footprint_gas_scalar;
        report.figure(format!("da_footprint_share{suffix}"), share(footprint));
    }
    for (suffix, blocks) in [("", blocks), ("_at_400", usual)] {
        let limits = batch.per_block(blocks);
        for (name, records) in limits {
            // The gas limit is the same at any scalar.
            if suffix.is_empty() || name == "da_footprint" {
                report.figure(format!("records_per_block_{name}{suffix}"), records);
            }
        }
        report.word(format!("binding_limit{suffix}"), binding(&limits).0);
    }
    let limits = batch.per_transaction();
    for (name, records) in limits {
        report.figure(format!("records_per_transaction_{name}"), records);
    }
    report.word("binding_limit_of_transactions", binding(&limits).0);
    report.figure("records_per_transaction_usual_pool_bytes", batch.in_bytes(USUAL_POOL_BYTES));
    report.note(format!(
        "Blocks have {} gas every {} s, and a byte's DA footprint is {} gas; at 400: if it were the usual {USUAL_SCALAR}.\n\
         Figures below the table are the largest batch's. Usual pools take {USUAL_POOL_BYTES} bytes, a devnet's {POOL_BYTES}.",
        blocks.gas_limit, blocks.time, blocks.da_footprint_gas_scalar
    ));
    report
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_are_found_by_url() {
        let found = node_at("http://127.0.0.1:8545/").expect("an address");
        assert_eq!(found, SocketAddr::from(([127, 0, 0, 1], 8545)));
        for url in ["127.0.0.1:8545", "https://127.0.0.1:8545", "http://127.0.0.1", ""] {
            assert!(node_at(url).is_err(), "{url}");
        }
    }

    #[test]
    fn keys_of_the_report_are_stable() {
        let cost = |records: usize, gas: u64| Cost {
            records,
            transactions: 1,
            input_bytes: 9 * records,
            gas: gas * records as u64,
            da_bytes: 8 * records as u64,
            ..Cost::default()
        };
        let blocks = Blocks { gas_limit: 60_000_000, time: 2, da_footprint_gas_scalar: 8 };
        let batches = [(256, 800), (2_048, 400), (16_384, 330)].map(|(n, gas)| cost(n, gas));
        let baselines = [("events", cost(16_384, 6_600)), ("storage", cost(2_048, 132_000))];
        let text = report(blocks, &batches, &baselines).json();
        let value: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        for (key, wanted) in [
            ("gas_per_record_256", 800.0),
            ("gas_per_record_2048", 400.0),
            ("gas_per_record_16384", 330.0),
            ("gas_per_record_events", 6_600.0),
            ("gas_per_record_storage", 132_000.0),
            ("bytes_per_record_16384", 9.0),
            ("events_over_batch", 20.0),
            ("storage_over_batch", 400.0),
            ("block_gas_share", 0.0901),
            ("da_footprint_share", 0.0175),
            ("da_footprint_share_at_400", 0.8738),
        ] {
            assert_eq!(value[key].as_f64(), Some(wanted), "{key}");
        }
        assert_eq!(value["binding_limit"], "block_gas");
        assert_eq!(value["binding_limit_at_400"], "da_footprint");
    }
}
