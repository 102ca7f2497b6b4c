//! `bench build`: building blocks from a full pool, against importing the same blocks.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use alloy_consensus::transaction::SignerRecoverable;
use ascribe_txpool::{TransactionOrigin, decode_transaction};
use clap::Args;
use rayon::prelude::*;

use crate::{
    BenchError, bars,
    node::Node,
    report::{Report, median},
    workload::{Chain, Workload},
};

/// What `bench build` takes.
#[derive(Args, Debug, Clone)]
pub struct BuildArgs {
    /// What the pool is full of [default: transfers, then ERC-20 transfers]
    #[arg(long, value_enum, value_name = "WORKLOAD")]
    workload: Vec<Workload>,
    /// Blocks that are built
    #[arg(long, value_name = "N", default_value_t = 8)]
    blocks: u64,
    /// Gas limit of a block
    #[arg(long, value_name = "GAS", default_value_t = 60_000_000)]
    gas_limit: u64,
    /// Rounds
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// Where databases are made for the time being [default: where temporary files go]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// One JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// Transactions a second, of one round.
struct Round {
    built: f64,
    imported: f64,
    filled: f64,
}

pub(crate) async fn run(args: &BuildArgs) -> Result<Report, BenchError> {
    let chain = Chain::new(args.gas_limit, 1)?;
    let mut report = Report::new("blocks built from a full pool, against importing them");
    let default = [Workload::Transfer, Workload::Erc20];
    let workloads = if args.workload.is_empty() { &default[..] } else { &args.workload };
    for workload in workloads {
        let bar = bars::bar(format!("building {workload}"), args.rounds as u64);
        let mut rounds = Vec::new();
        for _ in 0..args.rounds {
            rounds.push(round(args, &chain, *workload).await?);
            bar.inc(1);
        }
        bar.finish_and_clear();
        let over = |value: fn(&Round) -> f64| median(rounds.iter().map(value));
        report.row(
            workload.to_string(),
            vec![
                ("ratio_to_import", over(|round| round.built / round.imported)),
                ("built_tx_per_s", over(|round| round.built)),
                ("imported_tx_per_s", over(|round| round.imported)),
                ("pool_intake_tx_per_s", over(|round| round.filled)),
            ],
        );
    }
    Ok(report)
}

async fn round(args: &BuildArgs, chain: &Chain, workload: Workload) -> Result<Round, BenchError> {
    let mut node = Node::new(&chain.spec, args.dir.as_ref())?;
    // One block more than is built, so that none goes short.
    let mut raw = Vec::new();
    for number in 1..=args.blocks + 1 {
        raw.extend(chain.transactions(workload, number)?);
    }
    let started = Instant::now();
    let count = raw.len();
    let accepted: usize = raw
        .par_chunks(256)
        .map(|chunk| {
            let recovered = chunk
                .iter()
                .filter_map(|raw| decode_transaction(raw).ok()?.try_into_recovered().ok());
            let added = node.pool.add_batch(recovered.collect(), TransactionOrigin::External);
            added.iter().filter(|added| added.is_ok()).count()
        })
        .sum();
    let filled = count as f64 / started.elapsed().as_secs_f64();
    if accepted != count {
        return Err(BenchError::setup("the pool", format!("took {accepted} of {count}")));
    }

    let (mut building, mut transactions, mut payloads) = (Duration::ZERO, 0, Vec::new());
    for number in 1..=args.blocks {
        let sealed = node.engine.stats().payloads_sealed;
        let attributes = chain.attributes(number, Vec::new(), true);
        let started = Instant::now();
        let updated = node.update(Some(attributes)).await?;
        // The first payload has the deposit alone, the second what the pool gives.
        while node.engine.stats().payloads_sealed < sealed + 2 {
            if started.elapsed() > Duration::from_secs(60) {
                return Err(BenchError::setup("building", "no payload from the pool in a minute"));
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
        building += started.elapsed();
        let payload = node.take(&updated).await?;
        if payload.block.header().gas_used + 200_000 < args.gas_limit * 9 / 10 {
            let gas = payload.block.header().gas_used;
            return Err(BenchError::setup("building", format!("a block of {gas} gas is not full")));
        }
        transactions += payload.receipts.len();
        payloads.push(payload.to_execution_data());
    }
    node.stop().await?;

    let mut node = Node::new(&chain.spec, args.dir.as_ref())?;
    let started = Instant::now();
    for payload in payloads {
        node.import(payload).await?;
    }
    let importing = started.elapsed();
    node.stop().await?;
    let rate = |time: Duration| transactions as f64 / time.as_secs_f64();
    Ok(Round { built: rate(building), imported: rate(importing), filled })
}
