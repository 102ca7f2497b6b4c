#![doc = include_str!("../README.md")]

mod attribution;
mod bars;
mod baseline;
mod build;
mod client;
mod error;
mod execute;
mod node;
mod report;
mod rpc;
mod server;
mod state_root;
mod workload;

pub use attribution::AttributionArgs;
pub use build::BuildArgs;
pub use error::BenchError;
pub use execute::ExecuteArgs;
pub use rpc::RpcArgs;
pub use state_root::StateRootArgs;
pub use workload::Workload;

use clap::Subcommand;

/// `ascribe bench`.
#[derive(Subcommand, Debug, Clone)]
pub enum BenchCommand {
    /// Import of prepared blocks, against alloy-op-evm executing them in memory
    Execute(ExecuteArgs),
    /// Blocks built from a full pool, against importing them
    Build(BuildArgs),
    /// State root per touched account, at growing sizes of the state
    StateRoot(StateRootArgs),
    /// Requests a second, against anvil with the same chain
    Rpc(RpcArgs),
    /// Bytes, time and gas that a record of attribution takes
    Attribution(AttributionArgs),
}

/// Measures, and prints a table or, with `--json`, one object.
///
/// # Errors
/// Anything that keeps the measurement from being one.
pub fn run(command: &BenchCommand) -> Result<(), BenchError> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let (report, json) = match command {
        BenchCommand::Execute(args) => (runtime.block_on(execute::run(args))?, args.json),
        BenchCommand::Build(args) => (runtime.block_on(build::run(args))?, args.json),
        BenchCommand::StateRoot(args) => (state_root::run(args)?, args.json),
        BenchCommand::Rpc(args) => (rpc::run(args, &runtime)?, args.json),
        BenchCommand::Attribution(args) => (attribution::run(args)?, args.json),
    };
    report.print(json);
    Ok(())
}
