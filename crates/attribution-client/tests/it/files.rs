//! `encode` and `decode` over files.

use ascribe_attribution_client::AttributionError;
use std::{fs, path::Path};

fn attribution(line: &[&str]) -> Result<(), AttributionError> {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(crate::attribution(line)).map(drop)
}

const HEADER: [&str; 10] = [
    "--chain-id",
    "901",
    "--model",
    "2",
    "--operator",
    "0x00000000000000000000000000000000000000aa",
    "--sequence",
    "5",
    "--time-base",
    "1790000000",
];

fn encode(records: &Path, out: &Path, more: &[&str]) -> Result<(), AttributionError> {
    let files = ["encode", records.to_str().expect("UTF-8"), "--out", out.to_str().expect("UTF-8")];
    attribution(&[&files[..], &HEADER, more].concat())
}

fn record(adapter: u32, time: u32) -> String {
    format!(
        r#"{{"adapter":{adapter},"prompt_tokens":7,"completion_tokens":9,"time":{time},"shares":[{{"source":1,"weight":10000}}]}}"#
    )
}

#[test]
fn records_become_a_batch() {
    let dir = tempfile::tempdir().expect("a folder");
    let (records, out) = (dir.path().join("records.jsonl"), dir.path().join("batch"));
    fs::write(&records, [record(4, 0), record(3, 0), record(9, 1)].join("\n")).expect("written");
    encode(&records, &out, &[]).expect("a batch");
    let batch =
        ascribe_attribution::Batch::decode(&fs::read(&out).expect("a file")).expect("a batch");
    assert_eq!(batch.records.iter().map(|record| record.adapter).collect::<Vec<_>>(), [3, 4, 9]);
    assert_eq!((batch.header.model, batch.header.sequence), (2, 5));
    encode(&records, &out, &["--keep-order"]).expect("a batch");
    let batch =
        ascribe_attribution::Batch::decode(&fs::read(&out).expect("a file")).expect("a batch");
    assert_eq!(batch.records[0].adapter, 4);
}

#[test]
fn details_follow_their_records() {
    let dir = tempfile::tempdir().expect("a folder");
    let (records, out) = (dir.path().join("records.jsonl"), dir.path().join("batch"));
    fs::write(&records, [record(4, 0), record(3, 0)].join("\n")).expect("written");
    let detail = |byte: u8| ascribe_attribution::Detail {
        request_id: [byte; 32].into(),
        requester: [0; 32].into(),
        prompt_hash: [0; 32].into(),
        output_hash: [0; 32].into(),
        parameters_hash: [0; 32].into(),
        generation: [0; 32].into(),
        signature: vec![byte].into(),
    };
    let path = dir.path().join("details.jsonl");
    let lines = |details: &[u8]| {
        details
            .iter()
            .map(|byte| serde_json::to_string(&detail(*byte)).expect("JSON"))
            .collect::<Vec<_>>()
            .join("\n")
    };
    fs::write(&path, lines(&[1, 2])).expect("written");
    let flags = ["--details", path.to_str().expect("UTF-8")];
    encode(&records, &out, &flags).expect("a batch");
    let batch =
        ascribe_attribution::Batch::decode(&fs::read(&out).expect("a file")).expect("a batch");
    // The records changed places, and so did their details.
    let leaves = ascribe_attribution::Detail::leaves(&[detail(2), detail(1)]);
    assert_eq!(batch.header.detail_root, ascribe_attribution::merkle::root(&leaves));
    fs::write(&path, lines(&[1])).expect("written");
    let error = encode(&records, &out, &flags).expect_err("one is missing");
    assert_eq!(error.to_string(), "1 details for 2 records");
}

#[test]
fn what_is_wrong_is_named() {
    let dir = tempfile::tempdir().expect("a folder");
    let (records, out) = (dir.path().join("records.jsonl"), dir.path().join("batch"));
    let refused = |text: &str| {
        fs::write(&records, text).expect("written");
        encode(&records, &out, &[]).expect_err("refused").to_string()
    };
    assert_eq!(refused(""), "0 records, a batch has 1 to 65536");
    assert!(
        refused(&format!("{}\n{{}}", record(0, 0)))
            .contains("records.jsonl, line 2: missing field")
    );
    let heavy = record(0, 0).replace("10000", "9999");
    assert_eq!(refused(&heavy), "record 0: weights add up to 9999, not 10000");
    fs::write(&out, "0x0102").expect("written");
    let error = attribution(&["decode", out.to_str().expect("UTF-8")]).expect_err("no batch");
    assert_eq!(error.to_string(), "not a batch: 2 bytes, a header has 109");
    let error = attribution(&["decode", "/nonexistent/batch"]).expect_err("no file");
    assert!(error.to_string().starts_with("/nonexistent/batch: "), "{error}");
}
