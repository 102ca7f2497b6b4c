//! `kill -9` while blocks are written: this test binary runs itself as the writer.

use crate::chain::{self, Chain};
use alloy_primitives::B256;
use ascribe_storage::{Storage, StorageOptions, SyncPolicy};
use ascribe_trie::state_root;
use rand::{Rng, SeedableRng, rngs::StdRng};
use std::{
    collections::BTreeMap,
    env,
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Command, Stdio},
    thread,
    time::Duration,
};

const DIR: &str = "ASCRIBE_STORAGE_CRASH_DIR";
const SEED: &str = "ASCRIBE_STORAGE_CRASH_SEED";
/// How many times the writer is killed.
const ROUNDS: &str = "ASCRIBE_STORAGE_CRASH_ROUNDS";

#[test]
fn a_killed_writer_leaves_whole_blocks() {
    let rounds = env::var(ROUNDS).map_or(10, |rounds| rounds.parse().unwrap());
    let spec = chain::spec(0);
    let dir = tempfile::tempdir().unwrap();
    let mut rng = StdRng::seed_from_u64(rounds);
    let mut persisted = BTreeMap::from([(0, spec.genesis_hash())]);
    for round in 0..rounds {
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", "crash::writer", "--ignored", "--nocapture"])
            .env(DIR, dir.path())
            .env(SEED, round.to_string())
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .unwrap();
        let output = BufReader::new(child.stdout.take().unwrap());
        // Some are killed while they still open the database or write genesis.
        let patience = Duration::from_millis(rng.random_range(0..400));
        let reports = thread::spawn(move || {
            let lines: Vec<_> = output.lines().map_while(Result::ok).collect();
            lines
        });
        thread::sleep(patience);
        child.kill().unwrap();
        child.wait().unwrap();
        for line in reports.join().unwrap() {
            apply(&mut persisted, &line);
        }
        check(&chain::open(dir.path(), &spec), &persisted, round);
    }
    let head = *persisted.last_key_value().unwrap().0;
    assert!(head > 0, "no writer got as far as a block");
    println!("{rounds} kills, head {head}");
}

/// `ancestor N` comes before a reorganisation, `block N HASH` for each block after its commit.
fn apply(persisted: &mut BTreeMap<u64, B256>, line: &str) {
    let words: Vec<_> = line.split(' ').collect();
    match words[..] {
        ["ancestor", number] => {
            persisted.split_off(&(number.parse::<u64>().unwrap() + 1));
        }
        ["block", number, hash] => {
            // The last line may be cut short by the kill.
            if let (Ok(number), Ok(hash)) = (number.parse(), hash.parse()) {
                persisted.insert(number, hash);
            }
        }
        _ => {}
    }
}

fn check(storage: &Storage, persisted: &BTreeMap<u64, B256>, round: u64) {
    let reader = storage.reader();
    for (number, hash) in persisted {
        let found = reader.canonical_hash(*number).unwrap();
        assert_eq!(found, Some(*hash), "round {round}: block {number} was reported as persisted");
    }
    reader.verify(&mut |_| {}).unwrap();
    // Old state is whole too: it hashes to the root of every header.
    let head = reader.head();
    for number in (0..=head.number).rev().step_by(1 + head.number as usize / 40) {
        let revert = reader.revert_state(number).unwrap();
        let output = state_root(&reader, head.state_root, &revert).unwrap();
        assert_eq!(output.state_root, reader.header(number).unwrap().unwrap().state_root);
    }
}

#[test]
#[ignore = "the writer that a_killed_writer_leaves_whole_blocks starts and kills"]
fn writer() {
    let Some(dir) = env::var_os(DIR).map(PathBuf::from) else { return };
    let seed: u64 = env::var(SEED).unwrap().parse().unwrap();
    let mut rng = StdRng::seed_from_u64(seed);
    let sync = [SyncPolicy::Batch, SyncPolicy::Every(Duration::from_millis(5)), SyncPolicy::Never]
        [seed as usize % 3];
    // Small memtables, so that flushes and compactions are interrupted too.
    let options = StorageOptions { sync, write_buffer_bytes: 256 << 10, ..chain::options() };
    let storage = Storage::open(dir, options, &chain::spec(0), &mut |_| {}).unwrap();
    let mut chain = Chain::resume(&storage.reader(), rng.random());
    let mut out = std::io::stdout();
    // Ends the line on which the test harness prints the test's name.
    writeln!(out).unwrap();
    loop {
        let reader = storage.reader();
        let height = chain.height();
        let ancestor = if rng.random_bool(0.2) {
            height - rng.random_range(0..=5.min(height - chain.root()))
        } else {
            height
        };
        if ancestor < height {
            chain = chain.fork(ancestor, rng.random());
            writeln!(out, "ancestor {ancestor}").unwrap();
            out.flush().unwrap();
        }
        for _ in 0..rng.random_range(1..5) {
            chain.grow(&reader, 60);
        }
        storage.reorg(ancestor, chain.above(ancestor)).unwrap();
        for block in chain.above(ancestor) {
            writeln!(out, "block {} {}", block.number(), block.hash()).unwrap();
        }
        out.flush().unwrap();
    }
}
