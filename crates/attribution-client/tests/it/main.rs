//! `ascribe attribution` over files, and with a node that has a hub and an index.

mod claiming;
mod files;
mod proofs;
mod server;
mod showing;
mod submitting;
mod trie;
mod world;

use ascribe_attribution_client::{AttributionCommand, AttributionError, run};
use clap::{CommandFactory, Parser};

#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    command: AttributionCommand,
}

/// What a command writes.
async fn attribution(line: &[&str]) -> Result<String, AttributionError> {
    let line = std::iter::once(&"attribution").chain(line);
    let command = Cli::try_parse_from(line).unwrap_or_else(|error| panic!("{error}")).command;
    let mut out = Vec::new();
    run(&command, &mut out).await?;
    Ok(String::from_utf8(out).expect("text"))
}

/// The same, each line read as JSON.
async fn json_lines(line: &[&str]) -> Result<Vec<serde_json::Value>, AttributionError> {
    let out = attribution(line).await?;
    Ok(out.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect())
}

/// What a command is refused for.
async fn refusal(line: &[&str]) -> String {
    attribution(line).await.expect_err("refused").to_string()
}

#[test]
fn the_command_line_is_consistent() {
    Cli::command().debug_assert();
    let parses = |line: &str| {
        Cli::try_parse_from(std::iter::once("attribution").chain(line.split(' '))).is_ok()
    };
    for line in [
        "show 0x3",
        "show merged:0",
        "show 0x3 7",
        "show records",
        "show payouts merged:0",
        "show records --model 0 --adapter 3 --source 7 --from-block 5 --to-block latest --all",
        "show earnings model:0 --raw",
        "show stats --rpc-url http://localhost:1",
        "submit",
        "submit batch --max-value 1ether",
        "submit --records records.jsonl --model 0",
        "prove record 0x3 0 --block safe",
        "prove payout merged:0 model:0 --out file",
        "verify",
        "verify file",
        "claim model:0 --list 3 --list merged:1 --dry-run",
    ] {
        assert!(parses(line), "{line}");
    }
    for line in [
        "show",
        "show nothing",
        "show 0x3 x",
        "show 0x3 records",
        "show records --adapter 3",
        "show records --limit 3 --all",
        "show earnings nobody",
        "show records --from-block pending",
        "submit --records records.jsonl",
        "submit batch --records records.jsonl --model 0",
        "submit batch --model 0",
        "submit --records file --model 0 --max-records 65537",
        "prove",
        "prove record 0x3",
        "verify file --block-hash 0x3",
        "claim",
    ] {
        assert!(!parses(line), "{line}");
    }
}
