//! `submit`.

use crate::{
    json_lines, refusal,
    server::Node,
    world::{CHAIN, HUB, KEY, OPERATOR, OTHER_KEY},
};
use alloy_consensus::Transaction;
use alloy_primitives::{Address, U256};
use ascribe_attribution::{Batch, Header, ListId, Record, Share};
use serde_json::json;
use std::{fs, path::Path};

pub(crate) fn record(adapter: u32, time: u32) -> Record {
    Record {
        adapter,
        prompt_tokens: 1_000,
        completion_tokens: 500,
        time,
        shares: vec![Share { source: 1, weight: 2_500 }, Share { source: 7, weight: 7_500 }],
    }
}

pub(crate) fn lines(records: &[Record]) -> String {
    let line = |record| serde_json::to_string(record).expect("JSON");
    records.iter().map(line).collect::<Vec<_>>().join("\n")
}

fn header() -> Header {
    Header {
        chain_id: CHAIN,
        hub: HUB,
        model: 0,
        operator: OPERATOR,
        sequence: 0,
        time_base: 1_790_000_000,
        detail_root: [7; 32].into(),
    }
}

fn write_batch(path: &Path, header: Header, records: Vec<Record>) {
    fs::write(path, Batch { header, records }.encode().expect("valid records")).expect("written");
}

/// Submits records as batches of `most`.
pub(crate) async fn submit(node: &Node, records: &[Record], most: u32) -> Vec<serde_json::Value> {
    let file = tempfile::NamedTempFile::new().expect("a file");
    fs::write(file.path(), lines(records)).expect("written");
    let path = file.path().to_str().expect("UTF-8");
    let most = most.to_string();
    let source = ["submit", "--records", path, "--model", "0", "--max-records", &most];
    let flags = ["--time-base", "1790000000", "--rpc-url", &node.url, "--private-key", KEY];
    json_lines(&[&source[..], &flags].concat()).await.expect("settled")
}

#[tokio::test]
async fn a_batch_is_settled() {
    let (node, dir) = (Node::start().await, tempfile::tempdir().expect("a folder"));
    let path = dir.path().join("batch");
    write_batch(&path, header(), vec![record(0, 0), record(3, 4)]);
    let path = path.to_str().expect("UTF-8");
    let flags = ["--rpc-url", &node.url, "--private-key", KEY];
    let settled = json_lines(&[&["submit", path][..], &flags].concat()).await.expect("settled");
    let sent = node.world().sent.clone();
    // 1,000 of 1,000,000 wei per 1,000, half as many of 3,000,000, and 100 each.
    let total = 2 * (1_000_000 + 1_500_000 + 100);
    assert_eq!((sent.len(), sent[0].value()), (1, U256::from(total)));
    let wanted = json!([{
        "list": ListId::of_batch(OPERATOR, 0), "transactionHash": sent[0].tx_hash(), "blockNumber": 1,
        "records": 2, "bytes": fs::metadata(path).expect("a file").len(), "total": total.to_string(),
        "gasUsed": 1_000_000, "gasPerRecord": 500_000.0,
    }]);
    assert_eq!(json!(settled), wanted);
    let error = refusal(&[&["submit", path][..], &flags].concat()).await;
    assert_eq!(error, "the batch has sequence number 0, the operator's next is 1");
}

#[tokio::test]
async fn many_records_are_settled_in_order() {
    let node = Node::start().await;
    let records: Vec<_> = (0..5).map(|time| record(time % 3, time)).collect();
    let settled = submit(&node, &records, 2).await;
    let found: Vec<_> =
        settled.iter().map(|it| (it["list"].clone(), it["records"].clone())).collect();
    let list = |sequence| json!(ListId::of_batch(OPERATOR, sequence));
    let wanted = [(list(0), json!(2)), (list(1), json!(2)), (list(2), json!(1))];
    assert_eq!(found, wanted);
    let world = node.world();
    let last = world.index().record(ListId::of_batch(OPERATOR, 2), 0).expect("rows");
    let last = last.expect("a record");
    assert_eq!((last.timestamp, last.adapter, last.block_number), (1_790_000_004, 1, 3));
}

#[tokio::test]
async fn what_the_hub_would_refuse_is_not_sent() {
    let (node, dir) = (Node::start().await, tempfile::tempdir().expect("a folder"));
    let path = dir.path().join("batch");
    let file = path.to_str().expect("UTF-8").to_owned();
    let with = async |header: Header, adapter: u32, flags: &[&str]| {
        write_batch(&path, header, vec![record(adapter, 0)]);
        let line = ["submit", &file, "--rpc-url", &node.url];
        refusal(&[&line[..], flags].concat()).await
    };
    let key = ["--private-key", KEY];
    let other = Address::repeat_byte(9);
    let error = with(Header { chain_id: 10, ..header() }, 0, &key).await;
    assert_eq!(error, "the batch is for chain 10, the node is on chain 901");
    let error = with(Header { hub: other, ..header() }, 0, &key).await;
    assert_eq!(error, format!("the batch is for hub {other}, --hub is {HUB}"));
    let error = with(Header { operator: other, ..header() }, 0, &key).await;
    assert_eq!(error, format!("the batch is of operator {other}, the key is that of {OPERATOR}"));
    let error = with(Header { sequence: 4, ..header() }, 0, &key).await;
    assert_eq!(error, "the batch has sequence number 4, the operator's next is 0");
    let error = with(Header { model: 3, ..header() }, 0, &key).await;
    assert_eq!(error, "the hub refuses modelOf: UnknownModel { model: 3 }");
    let error = with(header(), 10, &key).await;
    assert_eq!(error, "the hub refuses submitBatch: UnknownAdapter { model: 0, adapter: 10 }");
    let error = with(header(), 0, &[&key[..], &["--max-value", "0.0025gwei"]].concat()).await;
    assert_eq!(error, "the batch costs 2500100 wei, --max-value is 2500000");
    let error = with(header(), 0, &["--private-key", OTHER_KEY]).await;
    assert!(
        error.ends_with("is no operator: registerOperator of the hub takes its bond"),
        "{error}"
    );
    node.world().operators.insert(OPERATOR, (0, 1_800_000_000));
    let error = with(header(), 0, &key).await;
    assert_eq!(error, format!("operator {OPERATOR} is leaving and submits no more"));
    assert!(node.world().sent.is_empty());

    let line = ["submit", &file, "--rpc-url", "http://127.0.0.1:1", "--private-key", KEY];
    let error = refusal(&line).await;
    assert!(error.starts_with("--rpc-url: no connection to http://127.0.0.1:1"), "{error}");
}

#[tokio::test]
async fn times_are_since_1970_or_the_base_is_said() {
    let (node, dir) = (Node::start().await, tempfile::tempdir().expect("a folder"));
    let path = dir.path().join("records.jsonl");
    let file = path.to_str().expect("UTF-8");
    let flags = ["--model", "0", "--rpc-url", &node.url, "--private-key", KEY];
    let line = [&["submit", "--records", file][..], &flags].concat();
    fs::write(&path, lines(&[record(0, 5)])).expect("written");
    let error = refusal(&line).await;
    assert!(error.starts_with("--time-base: "), "{error}");
    fs::write(&path, lines(&[record(0, 1_790_000_005)])).expect("written");
    json_lines(&line).await.expect("settled");
    let record = node.world().index().record(ListId::of_batch(OPERATOR, 0), 0).expect("rows");
    assert_eq!(record.expect("a record").timestamp, 1_790_000_005);
}
