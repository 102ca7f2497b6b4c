//! `bench execute`: importing prepared blocks, against executing them and nothing else.

use std::{
    path::PathBuf,
    time::{Duration, Instant},
};

use ascribe_engine::EngineStats;
use clap::Args;
use op_alloy_rpc_types_engine::OpExecutionData;

use crate::{
    BenchError, bars, baseline,
    node::{Node, prepare},
    report::{Report, cpu_time, median},
    workload::{Chain, Workload},
};

/// What `bench execute` takes.
#[derive(Args, Debug, Clone)]
pub struct ExecuteArgs {
    /// What the blocks are full of [default: each in turn]
    #[arg(long, value_enum, value_name = "WORKLOAD")]
    workload: Vec<Workload>,
    /// Blocks that are timed
    #[arg(long, value_name = "N", default_value_t = 30)]
    blocks: u64,
    /// Blocks before them that are not
    #[arg(long, value_name = "N", default_value_t = 4)]
    warm: u64,
    /// Gas limit of a block
    #[arg(long, value_name = "GAS", default_value_t = 60_000_000)]
    gas_limit: u64,
    /// Entries of the mapping of the storage workload
    #[arg(long, value_name = "N", default_value_t = 500_000)]
    slots: u64,
    /// Rounds, each with both sides by turns
    #[arg(long, value_name = "N", default_value_t = 3)]
    rounds: usize,
    /// Where databases are made for the time being [default: where temporary files go]
    #[arg(long, value_name = "DIR")]
    dir: Option<PathBuf>,
    /// One JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
}

/// What one import of all blocks took.
struct Import {
    wall: Duration,
    cpu: Duration,
    stats: EngineStats,
}

/// Measures every workload; one row each.
pub(crate) async fn run(args: &ExecuteArgs) -> Result<Report, BenchError> {
    let chain = Chain::new(args.gas_limit, args.slots)?;
    let genesis = baseline::database(&chain.spec);
    let mut report = Report::new("import of prepared blocks, against alloy-op-evm executing them");
    let workloads = if args.workload.is_empty() { &Workload::ALL[..] } else { &args.workload };
    for workload in workloads {
        let built = prepare(&chain, *workload, args.warm + args.blocks, args.dir.as_ref()).await?;
        let blocks: Vec<_> = built.iter().map(|built| built.block.clone()).collect();
        let payloads: Vec<_> = built.iter().map(|built| built.to_execution_data()).collect();
        let timed = &blocks[args.warm as usize..];
        let gas: u64 = timed.iter().map(|block| block.header().gas_used).sum();
        let transactions: usize = timed.iter().map(|block| block.body().transactions.len()).sum();
        let mut rounds = Vec::new();
        let bar = bars::bar(format!("measuring {workload}"), args.rounds as u64);
        for _ in 0..args.rounds {
            let (spec, genesis, blocks) = (&chain.spec, &genesis, &blocks);
            let execution = tokio::task::block_in_place(|| {
                baseline::execute(spec, genesis, blocks, args.warm as usize)
            })?;
            rounds.push((execution, import(args, &chain, &payloads).await?));
            bar.inc(1);
        }
        bar.finish_and_clear();

        let seconds = |time: Duration| time.as_secs_f64();
        let over =
            |value: &dyn Fn(&(baseline::Baseline, Import)) -> f64| median(rounds.iter().map(value));
        let share = |stage: fn(&EngineStats) -> Duration| {
            over(&|(_, import)| seconds(stage(&import.stats)) / seconds(import.wall))
        };
        let wall = over(&|(_, import)| seconds(import.wall));
        report.row(
            workload.to_string(),
            vec![
                (
                    "ratio_to_execution",
                    over(&|(execution, import)| seconds(execution.total()) / seconds(import.wall)),
                ),
                ("mgas_per_s", gas as f64 / 1e6 / wall),
                ("tx_per_s", transactions as f64 / wall),
                (
                    "execution_mgas_per_s",
                    gas as f64 / 1e6 / over(&|(execution, _)| seconds(execution.total())),
                ),
                ("cpu_s", over(&|(_, import)| seconds(import.cpu))),
                ("share_recovery", share(|stats| stats.recovery)),
                ("share_execution", share(|stats| stats.execution)),
                ("share_root", share(|stats| stats.root)),
                ("share_persistence", share(|stats| stats.persistence)),
                (
                    "execution_share_recovery",
                    over(&|(execution, _)| {
                        seconds(execution.recovery) / seconds(execution.total())
                    }),
                ),
            ],
        );
    }
    Ok(report)
}

/// Imports all blocks into a database of its own. The clock stops when the last one is on disk.
async fn import(
    args: &ExecuteArgs,
    chain: &Chain,
    payloads: &[OpExecutionData],
) -> Result<Import, BenchError> {
    let mut node = Node::new(&chain.spec, args.dir.as_ref())?;
    let mut payloads = payloads.iter().cloned();
    for payload in payloads.by_ref().take(args.warm as usize) {
        node.import(payload).await?;
    }
    let (before, cpu, started) = (node.engine.stats(), cpu_time(), Instant::now());
    for payload in payloads {
        node.import(payload).await?;
    }
    node.engine.shutdown().await?;
    let (wall, cpu) = (started.elapsed(), cpu_time().saturating_sub(cpu));
    let after = node.engine.stats();
    let stats = EngineStats {
        recovery: after.recovery - before.recovery,
        execution: after.execution - before.execution,
        root: after.root - before.root,
        persistence: after.persistence - before.persistence,
        ..after
    };
    Ok(Import { wall, cpu, stats })
}
