//! `prove` and `verify`.

use crate::{
    attribution, refusal,
    server::Node,
    submitting::{record, submit},
    world::{HUB, OPERATOR},
};
use alloy_primitives::{Address, B256, U256, keccak256};
use ascribe_attribution::ListId;
use ascribe_attribution_client::{Proof, ProofError};
use serde_json::Value;
use std::{fs, path::Path};

/// Five records in a batch, of which one payout is claimed, and a later batch.
async fn node() -> Node {
    let node = Node::start().await;
    let records: Vec<_> = (0..6).map(|time| record(time % 3, time)).collect();
    submit(&node, &records, 5).await;
    let to = Address::repeat_byte(0x70);
    let key = ascribe_attribution::Payee::Model { model: 0 }.key();
    node.world().payees.insert(key, to);
    let list = format!("{OPERATOR}:0");
    let line = ["claim", "model:0", "--list", &list, "--rpc-url", &node.url, "--private-key"];
    attribution(&[&line[..], &[crate::world::KEY]].concat()).await.expect("claimed");
    node
}

async fn prove(node: &Node, line: &[&str]) -> String {
    attribution(&[&["prove"][..], line, &["--rpc-url", &node.url]].concat()).await.expect("a proof")
}

/// Hash and output root of the last block.
fn anchors(node: &Node) -> (String, String) {
    let world = node.world();
    let header = world.header(world.head()).expect("a block");
    let hash = header.hash_slow();
    let passer = header.withdrawals_root.expect("there is one");
    let output = keccak256([B256::ZERO, header.state_root, passer, hash].concat());
    (hash.to_string(), output.to_string())
}

async fn verify(path: &Path, flags: &[&str]) -> String {
    let path = path.to_str().expect("UTF-8");
    attribution(&[&["verify", path][..], flags].concat()).await.expect("proven")
}

#[tokio::test]
async fn proofs_are_checked_without_a_node() {
    let (node, dir) = (node().await, tempfile::tempdir().expect("a folder"));
    let path = dir.path().join("proof.json");
    let file = path.to_str().expect("UTF-8");
    let (hash, output) = anchors(&node);
    let list = format!("{OPERATOR}:0");

    prove(&node, &["record", &list, "3", "--out", file]).await;
    let told = verify(&path, &["--block-hash", &hash]).await;
    for fact in [
        "adapter 0 of model 0 answered 1000 prompt tokens with 500 completion tokens at 1790000003",
        "source:0:0:7 gets 7500/10000",
        "one of 5 in batch 0 for this hub on chain 901; times from 1790000000",
        "that is the block hash given",
    ] {
        assert!(told.contains(fact), "{fact}: {told}");
    }
    let told = verify(&path, &["--output-root", &output]).await;
    assert!(told.ends_with(&format!("its output root is {output}, the one given\n")), "{told}");
    let told = verify(&path, &[]).await;
    let open = format!("NOT PROVEN: that block 3 of chain 901 has the hash {hash}\n");
    assert!(told.contains(&open) && told.contains(&output), "{told}");

    let error = refusal(&["verify", file, "--block-hash", &output]).await;
    let wanted =
        format!("not proven: --block-hash: the proof's block has hash {hash}, not {output}");
    assert_eq!(error, wanted);
    let error = refusal(&["verify", file, "--output-root", &hash]).await;
    assert!(error.starts_with("not proven: --output-root: "), "{error}");
    let other = Address::repeat_byte(9).to_string();
    let error = refusal(&["verify", file, "--hub", &other]).await;
    assert!(error.contains("is of contract 0x42"), "{error}");

    prove(&node, &["payout", &list, "source:0:1:7", "--out", file]).await;
    let told = verify(&path, &["--block-hash", &hash]).await;
    assert!(told.contains("1500060 wei to source:0:1:7\nit is not claimed of this list"), "{told}");
    prove(&node, &["payout", &list, "model:0", "--out", file]).await;
    let told = verify(&path, &["--block-hash", &hash]).await;
    assert!(told.contains("to model:0\nit is claimed of this list"), "{told}");
    // The block before the claim.
    prove(&node, &["payout", &list, "model:0", "--block", "2", "--out", file]).await;
    let told = verify(&path, &[]).await;
    assert!(told.contains("not claimed") && told.contains("block 2 of chain"), "{told}");
}

#[tokio::test]
async fn there_is_no_proof_of_what_was_not_there() {
    let node = node().await;
    let refused = async |line: &[&str]| {
        refusal(&[&["prove"][..], line, &["--rpc-url", &node.url]].concat()).await
    };
    let list = format!("{OPERATOR}:1");
    let error = refused(&["record", &list, "0", "--block", "1"]).await;
    assert!(error.contains("the hub has no record root of list 0x"), "{error}");
    let error = refused(&["record", &list, "1"]).await;
    assert!(error.starts_with("the node knows no record 1 of batch 0x"), "{error}");
    let error = refused(&["payout", &list, "source:0:9:9"]).await;
    assert!(error.ends_with("to source:0:9:9"), "{error}");
    let error = refused(&["record", &list, "0", "--block", "77"]).await;
    assert!(error.starts_with("the node knows no block"), "{error}");
}

#[tokio::test]
async fn payouts_come_with_the_state_of_their_list() {
    let (node, dir) = (node().await, tempfile::tempdir().expect("a folder"));
    let path = dir.path().join("proof.json");
    let file = path.to_str().expect("UTF-8");
    let lists = [0, 1].map(|sequence| ListId::of_batch(OPERATOR, sequence));
    let list = lists[0].to_string();
    let told = async |list: &str, block: &str| {
        prove(&node, &["payout", list, "source:0:1:7", "--block", block, "--out", file]).await;
        verify(&path, &[]).await
    };
    // Five records of 2,500,100 wei, of which the model has three tenths. Payees are the model, three adapters, two
    // sources of each, and the operator.
    let open = "not claimed of this list\nthe list, of 11 payouts, is open: ";
    let before = told(&list, "2").await;
    assert!(before.contains(&format!("{open}12500500 wei of it are unclaimed\n")), "{before}");
    let after = told(&list, "3").await;
    assert!(after.contains(&format!("{open}8750350 wei of it are unclaimed\n")), "{after}");

    let payout = async |list: &str| -> Value {
        let proof = prove(&node, &["payout", list, "model:0"]).await;
        serde_json::from_str(&proof).expect("JSON")
    };
    let while_open = payout(&list).await;
    let merged = node.world().merge(&lists).to_string();
    let after = told(&list, "latest").await;
    let closed =
        "not claimed of this list\nthe list, of 11 payouts, is merged into another: 0 wei ";
    assert!(after.contains(closed), "{after}");
    let before = told(&list, "3").await;
    assert!(before.contains(open), "it was not merged then: {before}");
    let after = told(&merged, "latest").await;
    assert!(after.contains(" payouts, is open: 11250450 wei of it are unclaimed\n"), "{after}");

    // The slot as it was, in a proof of what is.
    let mut proof = payout(&list).await;
    let slots = &mut proof["account"]["storageProof"];
    assert_eq!(slots[2]["key"], while_open["account"]["storageProof"][2]["key"]);
    slots[2] = while_open["account"]["storageProof"][2].clone();
    let check =
        |proof: &Value| serde_json::from_value::<Proof>(proof.clone()).expect("it").check(HUB);
    assert!(matches!(check(&proof), Err(ProofError::Storage { .. })));
    // No slot of the state, or another list's.
    let slots = proof["account"]["storageProof"].as_array_mut().expect("slots");
    slots.pop();
    assert!(matches!(check(&proof), Err(ProofError::Slots { .. })));
    let other = payout(&merged).await;
    let slots = proof["account"]["storageProof"].as_array_mut().expect("slots");
    slots.push(other["account"]["storageProof"][2].clone());
    assert!(matches!(check(&proof), Err(ProofError::Slots { .. })));

    node.world().set_state(lists[0], U256::from(3) << 160);
    let error = refusal(&["prove", "payout", &list, "model:0", "--rpc-url", &node.url]).await;
    let wanted = "is not the state of an open or merged list";
    assert!(error.starts_with("the node's answers do not prove it: storageProof: 0x3"), "{error}");
    assert!(error.ends_with(wanted), "{error}");
}

/// All documents that differ from `value` in one place: a digit, a truth, something left out, something twice.
fn tampered(value: &Value) -> Vec<(String, Value)> {
    match value {
        Value::Object(fields) => fields
            .iter()
            .flat_map(|(name, value)| {
                tampered(value).into_iter().map(move |(path, other)| {
                    let mut fields = fields.clone();
                    fields.insert(name.clone(), other);
                    (format!(".{name}{path}"), Value::Object(fields))
                })
            })
            .collect(),
        Value::Array(values) => {
            let inner = values.iter().enumerate().flat_map(|(at, value)| {
                tampered(value).into_iter().map(move |(path, other)| {
                    let mut values = values.clone();
                    values[at] = other;
                    (format!("[{at}]{path}"), Value::Array(values))
                })
            });
            let less = (0..values.len()).map(|at| {
                let mut values = values.clone();
                values.remove(at);
                (format!("[{at}] left out"), Value::Array(values))
            });
            let more = (0..values.len()).map(|at| {
                let mut values = values.clone();
                values.insert(at, values[at].clone());
                (format!("[{at}] twice"), Value::Array(values))
            });
            inner.chain(less).chain(more).collect()
        }
        Value::String(text) => {
            let digits = (2..text.len()).map(|at| {
                let mut other = text.clone().into_bytes();
                other[at] = if other[at] == b'1' { b'2' } else { b'1' };
                let other = String::from_utf8(other).expect("ASCII");
                (format!(" digit {at}"), Value::String(other))
            });
            digits.collect()
        }
        Value::Bool(truth) => vec![(String::new(), Value::Bool(!truth))],
        value => panic!("{value} has no place in a proof"),
    }
}

#[tokio::test]
async fn everything_counts() {
    let node = node().await;
    let list = format!("{OPERATOR}:0");
    let other = format!("{OPERATOR}:1");
    everything_counts_of(
        &node,
        &[
            &["record", &list, "4"],
            &["payout", &list, "source:0:1:7"],
            &["payout", &other, "model:0"],
        ],
    )
    .await;
    node.world().merge(&[0, 1].map(|sequence| ListId::of_batch(OPERATOR, sequence)));
    everything_counts_of(
        &node,
        &[&["payout", &list, "source:0:1:7"], &["payout", "merged:0", "model:0"]],
    )
    .await;
}

async fn everything_counts_of(node: &Node, proofs: &[&[&str]]) {
    let (hash, _) = anchors(node);
    let hash: B256 = hash.parse().expect("a hash");
    let holds = |value: &Value| {
        let proof: Option<Proof> = serde_json::from_value(value.clone()).ok();
        let verified = proof.and_then(|proof| proof.check(HUB).ok());
        verified.is_some_and(|verified| verified.check_block_hash(hash).is_ok())
    };
    for line in proofs {
        let proof: Value = serde_json::from_str(&prove(node, line).await).expect("JSON");
        assert!(holds(&proof));
        let mut places = 0;
        for (place, other) in tampered(&proof) {
            // Nothing of a payout says what chain it is on but the block.
            if line[0] == "payout" && place.starts_with(".chainId") {
                continue;
            }
            assert!(!holds(&other), "{line:?}: {place}");
            places += 1;
        }
        assert!(places > 1_000, "{places}");
        let mut more = proof.clone();
        more["more"] = Value::Null;
        assert!(!holds(&more), "what is not known is not proven");
    }
}

#[test]
fn a_file_that_is_no_proof_is_refused() {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), "{\n\"chainId\": 3 }").expect("written");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let error = runtime.block_on(refusal(&["verify", file.path().to_str().expect("UTF-8")]));
    assert!(error.contains(", line 2: "), "{error}");
}
