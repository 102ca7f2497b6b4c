//! The `ascribe` binary: parse, call, print.

use std::{error::Error, ffi::OsString, io, process::ExitCode};

use ascribe_attribution_client::AttributionCommand;
use ascribe_bench::BenchCommand;
use ascribe_node::{
    args::{DatadirArgs, DbArgs, NodeArgs, ObserveArgs},
    config_file, database,
    devnet::{self, DevnetArgs},
    genesis::{self, GenesisArgs},
    launch, logging,
};
use clap::{Args, CommandFactory, FromArgMatches, Parser, Subcommand};

/// Blocks are executed and hashed on all cores, and much of what one thread allocates another frees. RocksDB uses it too.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

/// An OP Stack rollup node for AI attribution.
#[derive(Parser, Debug)]
#[command(name = "ascribe", version, propagate_version = true, max_term_width = 100)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
enum Command {
    /// Start a node: an execution client driven through the Engine API
    Node(Box<NodeArgs>),
    /// Begin a database with the genesis of a chain
    Init(OfflineArgs),
    /// Make genesis.json and rollup.json of a new chain
    Genesis(GenesisArgs),
    /// Start an L1, a new rollup on it, and its sequencer
    Devnet(Box<DevnetArgs>),
    /// Look after a database that no node has open
    #[command(subcommand)]
    Db(DbCommand),
    /// Attribution records: batches, proofs, payouts
    #[command(subcommand)]
    Attribution(Attribution),
    /// Measure this machine: a table, or with --json one object
    #[command(subcommand)]
    Bench(BenchCommand),
}

#[derive(Subcommand, Debug)]
enum DbCommand {
    /// How large the database is, by column family
    Stats {
        #[command(flatten)]
        offline: OfflineArgs,
        /// One JSON object instead of a table
        #[arg(long)]
        json: bool,
    },
    /// Check everything against everything, and recompute the state root from its leaves
    Verify(OfflineArgs),
    /// Take off every block above a number
    Unwind {
        #[command(flatten)]
        offline: OfflineArgs,
        /// The block that becomes the head
        #[arg(long, value_name = "BLOCK")]
        to: u64,
    },
}

#[derive(Subcommand, Debug)]
enum Attribution {
    #[command(flatten)]
    Client(AttributionCommand),
    /// Make the index of a database that no node has open again from its blocks
    Reindex(OfflineArgs),
}

#[derive(Args, Debug)]
struct OfflineArgs {
    #[command(flatten)]
    datadir: DatadirArgs,
    #[command(flatten)]
    db: DbArgs,
    #[command(flatten)]
    observe: ObserveArgs,
}

fn main() -> ExitCode {
    let command = match parse(std::env::args_os().collect()) {
        Ok(cli) => cli.command,
        Err(Stop::Clap(error)) => error.exit(),
        Err(Stop::Config(error)) => return fail(&error),
    };
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => fail(error.as_ref()),
    }
}

fn fail(error: &dyn Error) -> ExitCode {
    eprintln!("error: {error}");
    ExitCode::FAILURE
}

/// Why there is nothing to run.
enum Stop {
    /// Wrong arguments, or help that was asked for.
    Clap(clap::Error),
    Config(config_file::ConfigFileError),
}

/// The command line, filled up from the environment and, for `node`, from the TOML file.
fn parse(mut line: Vec<OsString>) -> Result<Cli, Stop> {
    let command = Cli::command()
        .mut_subcommands(config_file::with_environment)
        .mut_subcommand("devnet", devnet::with_defaults);
    let matches = command.clone().try_get_matches_from(&line).map_err(Stop::Clap)?;
    let cli = Cli::from_arg_matches(&matches).map_err(Stop::Clap)?;
    let (Command::Node(args), Some(("node", node))) = (&cli.command, matches.subcommand()) else {
        return Ok(cli);
    };
    let Some(path) = &args.config else { return Ok(cli) };
    let flags = command.find_subcommand("node").unwrap_or(&command);
    line.extend(config_file::arguments_from_file(path, flags, node).map_err(Stop::Config)?);
    let matches = command.try_get_matches_from(line).map_err(Stop::Clap)?;
    Cli::from_arg_matches(&matches).map_err(Stop::Clap)
}

fn run(command: Command) -> Result<(), Box<dyn Error>> {
    match command {
        Command::Node(args) => {
            logging::start(&args.observe)?;
            tokio::runtime::Runtime::new()?.block_on(launch::run(&args))?;
        }
        Command::Genesis(args) => {
            println!("{}", tokio::runtime::Runtime::new()?.block_on(genesis::run(&args))?);
        }
        Command::Devnet(args) => {
            logging::start(&args.observe)?;
            tokio::runtime::Runtime::new()?.block_on(devnet::run(&args))?;
        }
        Command::Init(it) => {
            logging::start(&it.observe)?;
            println!("{}", database::init(&it.datadir, &it.db)?);
        }
        Command::Db(DbCommand::Stats { offline: it, json }) => {
            logging::start(&it.observe)?;
            let stats = database::stats(&it.datadir, &it.db)?;
            if json {
                println!("{}", serde_json::to_string(&stats)?);
            } else {
                println!("{}", database::stats_table(&stats));
            }
        }
        Command::Db(DbCommand::Verify(it)) => {
            logging::start(&it.observe)?;
            let report = database::verify(&it.datadir, &it.db)?;
            println!("{}", serde_json::to_string(&report)?);
        }
        Command::Db(DbCommand::Unwind { offline: it, to }) => {
            logging::start(&it.observe)?;
            println!("head is {}", database::unwind(&it.datadir, &it.db, to)?);
        }
        Command::Attribution(Attribution::Reindex(it)) => {
            logging::start(&it.observe)?;
            let stats = database::reindex_attribution(&it.datadir, &it.db)?;
            println!("{}", serde_json::to_string(&stats)?);
        }
        Command::Attribution(Attribution::Client(command)) => {
            let mut out = io::stdout();
            let run = ascribe_attribution_client::run(&command, &mut out);
            tokio::runtime::Runtime::new()?.block_on(run)?;
        }
        Command::Bench(command) => ascribe_bench::run(&command)?,
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn a_file_fills_up_the_command_line() {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), "[http]\nport = 9000\n").expect("written");
        let path = file.path().to_str().expect("a name in UTF-8");
        let line = ["ascribe", "node", "--http", "--config", path].map(OsString::from);
        let Ok(Cli { command: Command::Node(args) }) = parse(line.to_vec()) else {
            panic!("a node command")
        };
        assert_eq!((args.rpc.http, args.rpc.http_port), (true, 9000));
    }
}
