//! What a commit costs; run by hand:
//! `cargo test -p ascribe-storage --test it cost -- --ignored --nocapture`.

use crate::chain::{self, Chain, Changes};
use alloy_primitives::{B256, U256, keccak256};
use ascribe_storage::{Storage, StorageOptions, SyncPolicy};
use ascribe_trie::{HashedAccount, HashedPostState, HashedStorage};
use std::{env, time::Instant};

/// Accounts in the state before measuring begins.
const ACCOUNTS: &str = "ASCRIBE_STORAGE_COST_ACCOUNTS";

/// Sync policy.
const SYNC: &str = "ASCRIBE_STORAGE_COST_SYNC";

fn key(n: u64) -> B256 {
    keccak256(n.to_be_bytes())
}

fn transfers(accounts: impl Iterator<Item = u64>, value: u64) -> HashedPostState {
    let mut state = HashedPostState::default();
    for n in accounts {
        let account =
            HashedAccount { nonce: value, balance: U256::from(value), code_hash: keccak256([]) };
        state.accounts.insert(key(n), Some(account));
    }
    state
}

fn slots(account: u64, slots: impl Iterator<Item = u64>, value: u64) -> HashedPostState {
    let mut state = transfers([account].into_iter(), value);
    let slots = slots.map(|slot| (key(slot), U256::from(value + slot))).collect();
    state.storages.insert(key(account), HashedStorage { wiped: false, slots });
    state
}

#[test]
#[ignore = "measures"]
fn cost_of_a_commit() {
    let accounts = env::var(ACCOUNTS).map_or(200_000, |accounts| accounts.parse().unwrap());
    let spec = chain::spec(0);
    let dir = tempfile::tempdir().unwrap();
    let sync = env::var(SYNC).map_or(SyncPolicy::Batch, |sync| sync.parse().unwrap());
    let options = StorageOptions { sync, ..Default::default() };
    let storage = Storage::open(dir.path(), options, &spec, &mut |_| {}).unwrap();
    let mut chain = Chain::new(&spec, 1);
    let push = |chain: &mut Chain, state| {
        let changes = Changes { state, codes: Vec::new() };
        chain.push(&storage.reader(), Default::default(), changes);
    };
    let started = Instant::now();
    for chunk in 0..accounts / 10_000 {
        push(&mut chain, transfers(chunk * 10_000..(chunk + 1) * 10_000, 1));
        storage.append(chain.above(chain.height() - 1)).unwrap();
    }
    push(&mut chain, slots(0, 0..20_000, 1));
    storage.append(chain.above(chain.height() - 1)).unwrap();
    println!("filled with {accounts} accounts in {:?}", started.elapsed());

    for (what, blocks) in [("one block", 1), ("seven blocks", 7)] {
        for (kind, round) in [("3000 accounts", 0), ("3000 slots", 1)] {
            let mut times = Vec::new();
            for step in 0..12u64 {
                let from = chain.height();
                for block in 0..blocks {
                    let seed = (step * 31 + block) * 7919;
                    let picked = (0..3000).map(|n| (seed + n * 61) % accounts);
                    let value = 2 + step + block;
                    let state = if round == 0 {
                        transfers(picked, value)
                    } else {
                        slots(0, picked.map(|n| n % 20_000), value)
                    };
                    push(&mut chain, state);
                }
                let started = Instant::now();
                storage.append(chain.above(from)).unwrap();
                times.push(started.elapsed());
            }
            times.sort();
            println!("{what}, {kind} each: median {:?}, worst {:?}", times[6], times[11]);
        }
    }
    let head = chain.height();
    let started = Instant::now();
    storage.unwind_to(head - 7, &mut |_| {}).unwrap();
    println!("unwound 7 blocks of 3000 slots in {:?}", started.elapsed());
    let reader = storage.reader();
    let started = Instant::now();
    for n in 0..10_000 {
        reader.account_at(key(n * 17 % accounts), head - 40).unwrap();
    }
    println!("an account 33 blocks ago: {:?}", started.elapsed() / 10_000);
    let started = Instant::now();
    for n in 0..10_000 {
        reader.account(key(n * 17 % accounts)).unwrap();
    }
    println!("an account at the head: {:?}", started.elapsed() / 10_000);
    let started = Instant::now();
    let report = reader.verify(&mut |_| {}).unwrap();
    println!("verified in {:?}: {report:?}", started.elapsed());
    println!("{} bytes of tables", storage.stats().unwrap().table_bytes());
}
