//! Everybody reads while the chain is built, taken back and changed. What is answered has to belong
//! together: proofs hash to the root of their block, logs are those of the receipts, blocks stand on
//! their parents; and the only thing that may be missing is a block that was taken off the chain.

use std::{
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
    thread,
    time::{Duration, Instant},
};

use alloy_consensus::constants::KECCAK_EMPTY;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::{Nibbles, TrieAccount, proof::verify_proof};
use ascribe_e2e::{CallError, Driver, Fork, Load, NodeOptions, Rpc, TestChain, say};
use rand::{Rng, SeedableRng, rngs::StdRng};
use serde_json::{Value, json};

/// An answer, or `None` if the block it is about has been taken off the chain meanwhile.
#[track_caller]
fn ask(rpc: &Rpc, method: &str, params: Value) -> Option<Value> {
    match rpc.try_call::<Value>(method, params.clone()) {
        Ok(Value::Null) => None,
        Ok(answer) => Some(answer),
        Err(CallError::Rpc(error)) => {
            assert!(
                error.code == -32000 && error.message.ends_with("not found"),
                "{method} {params}: {error}"
            );
            None
        }
        Err(error) => panic!("{method} {params}: {error}"),
    }
}

fn read<T: serde::de::DeserializeOwned>(value: &Value) -> T {
    serde_json::from_value(value.clone()).unwrap_or_else(|error| panic!("{value}: {error}"))
}

/// The account and one of its slots, by a proof that hashes to the root of the block.
fn check_proof(rpc: &Rpc, block: &Value) -> Option<()> {
    let slot = B256::ZERO;
    let at = json!({"blockHash": block["hash"]});
    let proof = ask(rpc, "eth_getProof", json!([TestChain::STORER, [slot], at]))?;
    let account = TrieAccount {
        nonce: read::<U256>(&proof["nonce"]).to(),
        balance: read(&proof["balance"]),
        storage_root: read(&proof["storageHash"]),
        code_hash: read(&proof["codeHash"]),
    };
    assert_ne!(account.code_hash, KECCAK_EMPTY);
    let nodes: Vec<Bytes> = read(&proof["accountProof"]);
    let key = Nibbles::unpack(keccak256(TestChain::STORER));
    let leaf = Some(alloy_rlp::encode(account));
    verify_proof(read(&block["stateRoot"]), key, leaf, &nodes)
        .unwrap_or_else(|error| panic!("{block}: {proof}: {error}"));

    let entry = &proof["storageProof"][0];
    let value: U256 = read(&entry["value"]);
    let nodes: Vec<Bytes> = read(&entry["proof"]);
    let leaf = (!value.is_zero()).then(|| alloy_rlp::encode(value));
    verify_proof(account.storage_root, Nibbles::unpack(keccak256(slot)), leaf, &nodes)
        .unwrap_or_else(|error| panic!("{block}: {entry}: {error}"));
    let stored = ask(rpc, "eth_getStorageAt", json!([TestChain::STORER, slot, at]))?;
    assert_eq!(read::<U256>(&stored), value, "{block}");
    Some(())
}

/// Receipts, logs and bloom of a block.
fn check_logs(rpc: &Rpc, block: &Value) -> Option<()> {
    let hash = &block["hash"];
    let receipts = ask(rpc, "eth_getBlockReceipts", json!([hash]))?;
    let receipts = receipts.as_array().expect("a list");
    assert_eq!(receipts.len(), block["transactions"].as_array().expect("a list").len());
    let of_receipts: Vec<&Value> =
        receipts.iter().flat_map(|it| it["logs"].as_array().expect("a list")).collect();
    let logs = ask(rpc, "eth_getLogs", json!([{"blockHash": hash}]))?;
    assert_eq!(logs.as_array().expect("a list").iter().collect::<Vec<_>>(), of_receipts);
    let last = receipts.last().expect("the L1 attributes at least");
    assert_eq!(last["cumulativeGasUsed"], block["gasUsed"]);
    Some(())
}

/// A block and its parent, by number and by hash.
fn check_links(rpc: &Rpc, block: &Value) -> Option<()> {
    let again = ask(rpc, "eth_getBlockByHash", json!([block["hash"], false]))?;
    assert_eq!(again, *block);
    let parent = ask(rpc, "eth_getBlockByHash", json!([block["parentHash"], false]))?;
    let number: U256 = read(&block["number"]);
    assert_eq!(read::<U256>(&parent["number"]) + U256::from(1), number);
    Some(())
}

/// Calls and simulations on a block, and on whatever is newest.
fn check_calls(rpc: &Rpc, block: &Value) -> Option<()> {
    let input = TestChain::store(U256::from(1), 2, U256::from(3));
    let call = json!({"to": TestChain::STORER, "input": input});
    ask(rpc, "eth_call", json!([call, {"blockHash": block["hash"]}]))?;
    let gas = ask(rpc, "eth_estimateGas", json!([call]))?;
    assert!(read::<U256>(&gas) > U256::from(21_000));
    ask(rpc, "eth_getBalance", json!([Address::ZERO, "latest"]))?;
    ask(rpc, "eth_feeHistory", json!(["0x3", "latest", [50]]))?;
    let hash = &block["transactions"][1];
    let traced = ask(rpc, "debug_traceTransaction", json!([hash, {"tracer": "callTracer"}]))?;
    assert!(traced["type"].is_string(), "{traced}");
    Some(())
}

fn reader(rpc: &Rpc, done: &AtomicBool, seed: u64) -> (u64, u64) {
    let checks = [check_proof, check_logs, check_links, check_calls];
    let mut rng = StdRng::seed_from_u64(seed);
    let (mut whole, mut missing) = (0, 0);
    while !done.load(Ordering::Relaxed) {
        let head = ask(rpc, "eth_blockNumber", json!([])).expect("there is always a head");
        let head: U256 = read(&head);
        let back = U256::from(rng.random_range(0..12u64)).min(head);
        let Some(block) = ask(rpc, "eth_getBlockByNumber", json!([head - back, false])) else {
            missing += 1;
            continue;
        };
        if read::<U256>(&block["number"]).is_zero() {
            continue;
        }
        match checks[rng.random_range(0..checks.len())](rpc, &block) {
            Some(()) => whole += 1,
            None => missing += 1,
        }
    }
    (whole, missing)
}

#[test]
fn readers_see_one_chain_at_a_time() {
    let seconds = if std::env::var_os("ASCRIBE_LONG").is_some() { 120 } else { 12 };
    let seed = std::env::var("ASCRIBE_SEED").ok().map(|text| text.parse().expect("a number"));
    let seed: u64 = seed.unwrap_or_else(rand::random);
    say(&format!("readers: ASCRIBE_SEED={seed}"));
    let chain = TestChain::new(Fork::Karst);
    let node = NodeOptions::new(&chain).start();
    let mut driver = Driver::new(&node);
    let load = Load::new(&chain, 3, 2, 8);
    driver.extend_by(&load, 0, 20);

    let (done, reorgs) = (AtomicBool::new(false), AtomicU64::new(0));
    let (whole, missing) = thread::scope(|scope| {
        let readers: Vec<_> = (0..3)
            .map(|index| {
                let (rpc, done) = (node.rpc.clone(), &done);
                scope.spawn(move || reader(&rpc, done, seed.wrapping_add(index)))
            })
            .collect();
        let mut rng = StdRng::seed_from_u64(!seed);
        let started = Instant::now();
        let mut salt = 0;
        while started.elapsed() < Duration::from_secs(seconds)
            && readers.iter().all(|reader| !reader.is_finished())
        {
            let head = driver.head();
            if rng.random_ratio(1, 4) {
                salt += 1;
                let depth = rng.random_range(1..=16).min(head.number - 1);
                driver.set_head(driver.block(head.number - depth).hash).expect("rewound");
                driver.extend_by(&load, salt, depth + 1);
                if rng.random() {
                    driver.set_head(head.hash).expect("back");
                }
                reorgs.fetch_add(1, Ordering::Relaxed);
            } else {
                driver.extend_by(&load, salt, 1);
            }
        }
        done.store(true, Ordering::Relaxed);
        readers.into_iter().fold((0, 0), |(whole, missing), reader| {
            let (more, fewer) = reader.join().expect("a reader found nothing wrong");
            (whole + more, missing + fewer)
        })
    });
    driver.assert_agrees(&node);
    node.stop().assert_verifies();
    let reorgs = reorgs.into_inner();
    assert!(whole > 100 && reorgs > 3, "{whole} checks, {reorgs} reorgs");
    say(&format!("readers: {whole} checks ({missing} of blocks that went) during {reorgs} reorgs"));
}
