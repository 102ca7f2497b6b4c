//! `show`.

use crate::{
    attribution, json_lines, refusal,
    server::Node,
    submitting::{record, submit},
    world::OPERATOR,
};
use ascribe_attribution::ListId;
use serde_json::{Value, json};

async fn node() -> Node {
    let node = Node::start().await;
    let records: Vec<_> = (0..6).map(|time| record(time % 2, time)).collect();
    submit(&node, &records, 3).await;
    node
}

async fn show(node: &Node, line: &[&str]) -> Vec<Value> {
    let line = [&["show"][..], line, &["--rpc-url", &node.url]].concat();
    json_lines(&line).await.expect("an answer")
}

#[tokio::test]
async fn batches_and_records() {
    let node = node().await;
    let name = format!("{OPERATOR}:1");
    let list = ListId::of_batch(OPERATOR, 1);
    let batch = &show(&node, &[&name]).await[0];
    assert_eq!((&batch["list"], &batch["sequence"]), (&json!(list), &json!(1)));
    assert_eq!((&batch["total"], &batch["blockNumber"]), (&json!("7500300"), &json!(2)));
    assert_eq!(
        (&batch["rates"]["prompt"], &batch["gasUsed"]),
        (&json!("1000000"), &json!(1_000_000))
    );
    assert_eq!(show(&node, &[&list.to_string()]).await[0], *batch);
    let raw = &show(&node, &[&name, "--raw"]).await[0];
    assert_eq!((&raw["sequence"], &raw["total"]), (&json!("0x1"), &json!("0x72720c")));

    let record = &show(&node, &[&name, "2"]).await[0];
    assert_eq!((&record["index"], &record["timestamp"]), (&json!(2), &json!(1_790_000_005)));
    assert_eq!(record["shares"][1], json!({"source": 7, "weight": 7_500}));

    let refused = async |line: &[&str]| {
        refusal(&[&["show"][..], line, &["--rpc-url", &node.url]].concat()).await
    };
    let none = ListId::of_batch(OPERATOR, 9);
    assert_eq!(refused(&[&none.to_string()]).await, format!("the node knows no batch {none}"));
    let error = refused(&[&name, "3"]).await;
    assert_eq!(error, format!("the node knows no record 3 of batch {list}"));
}

#[tokio::test]
async fn records_are_found() {
    let node = node().await;
    let count = async |flags: &[&str]| show(&node, &[&["records"], flags].concat()).await.len();
    assert_eq!(count(&[]).await, 6);
    assert_eq!(count(&["--all"]).await, 6);
    assert_eq!(count(&["--limit", "4"]).await, 4);
    assert_eq!(count(&["--model", "0", "--adapter", "1"]).await, 3);
    assert_eq!(count(&["--model", "0", "--adapter", "1", "--source", "2"]).await, 0);
    assert_eq!(count(&["--operator", &OPERATOR.to_string(), "--from-block", "2"]).await, 3);
    assert_eq!(count(&["--to-block", "0"]).await, 0);
}

#[tokio::test]
async fn payouts_earnings_and_sums() {
    let node = node().await;
    let name = format!("{OPERATOR}:0");
    let payouts = show(&node, &["payouts", &name]).await;
    assert_eq!(payouts[0], json!({"position": 0, "payee": "model:0", "amount": "2250090"}));
    let last = payouts.last().expect("payouts");
    assert_eq!(last["payee"], format!("operator:{OPERATOR}"));
    let raw = show(&node, &["payouts", &name, "--raw"]).await;
    assert_eq!((raw.len(), &raw[0]["total"]), (1, &json!("0x72720c")));

    let earnings = &show(&node, &["earnings", "model:0"]).await[0];
    assert_eq!((&earnings["payee"], &earnings["earned"]), (&json!("model:0"), &json!("4500180")));
    assert_eq!(earnings["payouts"].as_array().expect("a list").len(), 2);
    let first = &show(&node, &["earnings", "model:0", "--to-block", "1"]).await[0];
    assert_eq!(first["claimable"], "2250090");

    let stats = &show(&node, &["stats"]).await[0];
    assert_eq!((&stats["batches"], &stats["records"]), (&json!(2), &json!(6)));
    assert_eq!((&stats["fees"], &stats["toBlock"]), (&json!("15000600"), &json!(2)));
    let stats = &show(&node, &["stats", "--from-block", "2"]).await[0];
    assert_eq!(stats["records"], 3);

    let lists = [0, 1].map(|sequence| ListId::of_batch(OPERATOR, sequence));
    node.world().merge(&lists);
    let merged = &show(&node, &["merged:0"]).await[0];
    assert_eq!((&merged["parts"], &merged["total"]), (&json!(lists), &json!("15000600")));
    assert_eq!(merged.get("data"), None);
    let line = ["show", "payouts", "merged:0", "--rpc-url", &node.url];
    assert!(attribution(&line).await.expect("payouts").contains(r#""amount":"4500180""#));
}
