//! `claim`.

use crate::{
    json_lines, refusal,
    server::Node,
    submitting::{record, submit},
    world::{KEY, OPERATOR},
};
use alloy_primitives::Address;
use ascribe_attribution::{ListId, Payee};
use serde_json::{Value, json};

const SOURCE: Payee = Payee::Source { model: 0, adapter: 2, source: 7 };
const TO: Address = Address::repeat_byte(0x70);

/// Three batches that pay the source, and one that does not.
async fn node() -> Node {
    let node = Node::start().await;
    submit(&node, &[record(2, 0), record(2, 1), record(2, 2), record(1, 3)], 1).await;
    node.world().payees.insert(SOURCE.key(), TO);
    node
}

fn list(sequence: u64) -> ListId {
    ListId::of_batch(OPERATOR, sequence)
}

async fn claim(node: &Node, more: &[&str]) -> Vec<Value> {
    let line = ["claim", "source:0:2:7", "--rpc-url", &node.url, "--private-key", KEY];
    json_lines(&[&line[..], more].concat()).await.expect("claimed")
}

async fn refused(node: &Node, payee: &str, more: &[&str]) -> String {
    let line = ["claim", payee, "--rpc-url", &node.url, "--private-key", KEY];
    refusal(&[&line[..], more].concat()).await
}

fn lists(claimed: &[Value]) -> Vec<Value> {
    claimed.iter().map(|line| line["list"].clone()).collect()
}

#[tokio::test]
async fn all_that_is_open_is_claimed_at_once() {
    let node = node().await;
    let line = ["claim", "source:0:2:7", "--dry-run", "--rpc-url", &node.url];
    let dry = json_lines(&line).await.expect("claimable");
    assert_eq!(node.world().sent.len(), 4, "a dry run sends nothing");
    assert_eq!(dry[0].get("transactionHash"), None);

    let one = claim(&node, &["--list", &format!("{OPERATOR}:1")]).await;
    assert_eq!(lists(&one), [json!(list(1))]);
    let both = claim(&node, &[]).await;
    assert_eq!(lists(&both), [json!(list(0)), json!(list(2))]);
    let transaction = *node.world().sent[5].tx_hash();
    assert_eq!(node.world().sent.len(), 6);
    // Three quarters of four tenths of 2,500,100 wei.
    let wanted = json!({
        "list": list(2), "position": 3, "payee": "source:0:2:7", "amount": "750030", "to": TO,
        "transactionHash": transaction, "blockNumber": 6,
    });
    assert_eq!(both[1], wanted);
    for sequence in 0..3 {
        assert!(node.world().is_claimed(list(sequence), 3));
    }
    assert_eq!(refused(&node, "source:0:2:7", &[]).await, "nothing to claim for source:0:2:7");
    let error = refused(&node, "source:0:2:7", &["--list", &list(0).to_string()]).await;
    assert_eq!(error, format!("--list: the payout of list {} is claimed already", list(0)));
}

#[tokio::test]
async fn merged_lists_are_claimed_of_once() {
    let node = node().await;
    claim(&node, &["--list", &list(0).to_string()]).await;
    let merged = node.world().merge(&[list(0), list(1), list(2)]);
    let error = refused(&node, "source:0:2:7", &["--list", &list(1).to_string()]).await;
    assert_eq!(error, format!("--list: list {} was merged into {merged}; claim of that", list(1)));
    let claimed = claim(&node, &[]).await;
    assert_eq!(lists(&claimed), [json!(merged)]);
    assert_eq!(claimed[0]["amount"], "1500060");
}

#[tokio::test]
async fn nobody_is_paid_without_an_address() {
    let node = node().await;
    let error = refused(&node, "adapter:0:2", &[]).await;
    assert!(error.starts_with("adapter:0:2 has no address yet"), "{error}");
    let error = refused(&node, "source:0:2:7", &["--list", &list(3).to_string()]).await;
    assert_eq!(error, format!("the node knows no payout of list {} to source:0:2:7", list(3)));
}
