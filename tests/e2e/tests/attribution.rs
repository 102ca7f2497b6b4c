//! A batch of the reference workload through a devnet: settled in one transaction by the precompile and the hub, and
//! claimed.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, aliases::U96};
use alloy_sol_types::{SolCall, SolError, SolEvent};
use ascribe_attribution::{
    ListId, Meter, Payee, Settled,
    abi::IAttribution::{Settlement, settleCall},
    hub::{Claim, HubRates, IAttributionHub as Hub},
    merkle, settle,
};
use ascribe_e2e::{
    Account, Devnet, DevnetSetup, PATIENCE, ascribe_bin, contracts, find_program, say, skip,
};
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command};

const CHAIN: u64 = 901;
const HUB: Address = address!("4200000000000000000000000000000000000a77");
const PRECOMPILE: Address = address!("0000000000000000000000000000000000000a77");
const RECORDS: usize = 16_384;
/// Adapters of the reference workload.
const ADAPTERS: usize = 1_000;
/// Adapters registered in one transaction.
const AT_ONCE: usize = 125;
/// What a large transaction may use: at what the accounts here offer for gas, just under a node's cap on fees.
const GAS: u64 = 9_900_000;
/// What a record of the reference workload may use, all included.
const GAS_PER_RECORD: u64 = 400;
const ETHER: u64 = 1_000_000_000_000_000_000;

fn rates() -> HubRates {
    let price = |gwei: u64| U96::from(gwei) * U96::from(1_000_000_000_u64);
    HubRates {
        prompt: price(150_000),
        completion: price(600_000),
        record: price(1),
        modelShare: 3_000,
        adapterShare: 2_000,
        sourceShare: 4_000,
        operatorShare: 1_000,
    }
}

/// Sends a call and wants it to succeed.
fn send(
    devnet: &Devnet,
    from: &mut Account,
    to: Address,
    value: u64,
    call: &impl SolCall,
    gas: u64,
) -> Value {
    let raw = from.send(TxKind::Call(to), U256::from(value), call.abi_encode().into(), gas);
    let receipt = devnet.receipt(&raw);
    assert_eq!(receipt["status"], "0x1", "{receipt}");
    receipt
}

/// What a call that is refused reverts with.
fn refusal(devnet: &Devnet, from: Address, value: u64, call: &impl SolCall) -> Bytes {
    let request = json!({"from": from, "to": HUB, "value": U256::from(value), "input": Bytes::from(call.abi_encode())});
    let error = devnet
        .l2
        .try_call::<Bytes>("eth_call", json!([request, "latest"]))
        .expect_err("the call is refused");
    serde_json::from_value(error.into_rpc().data).expect("revert data")
}

/// The records of the reference workload as a batch of `operator`, made by the command line.
fn batch(folder: &Path, operator: Address) -> Vec<u8> {
    let (records, out) = (folder.join("records.jsonl"), folder.join("batch"));
    let run = |command: &mut Command| {
        let output = command.output().expect("started");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    };
    run(Command::new(ascribe_bin()).args(["bench", "attribution", "--write"]).arg(&records));
    let operator = operator.to_string();
    let header =
        ["--chain-id", "901", "--model", "0", "--sequence", "0", "--time-base", "1790000000"];
    let mut encode = Command::new(ascribe_bin());
    encode.args(["attribution", "encode"]).args(header).args(["--operator", &operator]);
    run(encode.arg("--out").arg(&out).arg(&records));
    let decoded = run(Command::new(ascribe_bin()).args(["attribution", "decode"]).arg(&out));
    assert_eq!(decoded.split(|byte| *byte == b'\n').count(), RECORDS + 1);
    fs::read(out).expect("a batch")
}

/// The payouts at these positions, with their proofs.
fn claims(settled: &Settled, list: ListId, positions: &[usize]) -> Vec<Claim> {
    let leaves = settled.payouts.leaves();
    let claim = |position: usize| {
        let proof = merkle::proof(&leaves, position).expect("a leaf");
        Claim::new(list, position as u32, &settled.payouts.list()[position], proof)
    };
    positions.iter().map(|position| claim(*position)).collect()
}

#[test]
fn a_batch_is_settled_and_claimed() {
    let test = "attribution";
    let Some(setup) = DevnetSetup::new(test, &[]) else { return };
    let mut devnet = setup.start();
    let (mut owner, mut operator) = (Account::dev(0, CHAIN), Account::dev(1, CHAIN));

    send(&devnet, &mut owner, HUB, 0, &Hub::registerModelCall { rates: rates() }, 1_000_000);
    for _ in 0..ADAPTERS / AT_ONCE {
        let register = Hub::registerAdaptersCall {
            model: 0,
            owner: owner.address(),
            generations: vec![B256::repeat_byte(1); AT_ONCE],
            corpusRoots: vec![B256::repeat_byte(2); AT_ONCE],
        };
        send(&devnet, &mut owner, HUB, 0, &register, GAS);
    }
    send(&devnet, &mut operator, HUB, ETHER, &Hub::registerOperatorCall {}, 1_000_000);

    let bytes = batch(&devnet.folder, operator.address());
    let settle_call = settle_call(&bytes);
    let settled = settle(&bytes, &settle_call.rates.clone().into(), &mut Meter::unlimited())
        .expect("a batch");
    let submit = Hub::submitBatchCall { batch: bytes.clone().into() };
    let total = u64::try_from(settled.payouts.total()).expect("a few ether");

    // The precompile by itself answers as the library does.
    let request = json!({"to": PRECOMPILE, "input": Bytes::from(settle_call.abi_encode())});
    let answer: Bytes = devnet.l2.call("eth_call", json!([request, "latest"]));
    let answer = settleCall::abi_decode_returns_validate(&answer).expect("a settlement");
    assert_eq!(answer, Settlement::from(settled.clone()));

    // Too little money; too much comes back.
    let error = Hub::Underfunded { total: U256::from(total), given: U256::from(total - 1) };
    assert_eq!(refusal(&devnet, operator.address(), total - 1, &submit), error.abi_encode());
    let before = devnet.balance(HUB, &json!("latest"));
    let receipt = send(&devnet, &mut operator, HUB, total + 12_345, &submit, GAS);
    assert_eq!(devnet.balance(HUB, &json!("latest")) - before, U256::from(total));
    let gas: U256 = serde_json::from_value(receipt["gasUsed"].clone()).expect("gas");
    let gas_per_record = gas.to::<u64>() / RECORDS as u64;
    assert!(gas_per_record <= GAS_PER_RECORD, "{gas_per_record} gas a record");

    let log: alloy_primitives::Log =
        serde_json::from_value(receipt["logs"][0].clone()).expect("a log");
    let event = Hub::BatchSettled::decode_log_validate(&log).expect("the event");
    assert_eq!((event.recordRoot, event.payoutRoot), (settled.record_root, settled.payout_root));
    assert_eq!((event.records as usize, u64::try_from(event.total)), (RECORDS, Ok(total)));

    // The same batch is not the next one.
    let error = Hub::WrongSequence { expected: 1, given: 0 };
    assert_eq!(refusal(&devnet, operator.address(), total, &submit), error.abi_encode());

    // Tracing sees the hub call the precompile.
    let tracer = json!([receipt["transactionHash"], {"tracer": "callTracer"}]);
    let trace: Value = devnet.l2.call("debug_traceTransaction", tracer);
    let inner = trace["calls"][0]["calls"][0].clone();
    assert_eq!(inner["to"], json!(PRECOMPILE), "{}", trace["calls"][0]["type"]);

    let list = ListId::of_batch(operator.address(), 0);
    assert_eq!(event.list, list.number());
    check_claims(&devnet, &mut owner, &settled, list);
    check_command_line(&devnet, &operator, &settled, list);
    assert!(devnet.process.terminate(PATIENCE).success());
    say(&format!("{test}: {RECORDS} records in {} bytes, {gas_per_record} gas each", bytes.len()));
}

fn settle_call(batch: &[u8]) -> settleCall {
    settleCall { batch: batch.to_vec().into(), rates: rates().into() }
}

/// An adapter's owner and a source get what is theirs, once.
fn check_claims(devnet: &Devnet, sender: &mut Account, settled: &Settled, list: ListId) {
    let receiver = address!("00000000000000000000000000000000000ca5e1");
    let (mut adapter_at, mut source_at) = (None, None);
    for (position, payout) in settled.payouts.list().iter().enumerate() {
        match payout.payee {
            Payee::Adapter { adapter: 3, .. } => adapter_at = Some(position),
            Payee::Source { adapter: 3, source: 0, .. } => source_at = Some(position),
            _ => {}
        }
    }
    let positions = [adapter_at, source_at].map(|at| at.expect("adapter 3 has answered"));
    let sources = Hub::setSourcesCall { model: 0, adapter: 3, first: 0, payees: vec![receiver] };
    send(devnet, sender, HUB, 0, &sources, 1_000_000);
    let claims = Hub::claimManyCall { claims: claims(settled, list, &positions) };
    send(devnet, sender, HUB, 0, &claims, 1_000_000);
    let amount = settled.payouts.list()[positions[1]].amount;
    assert_eq!(devnet.balance(receiver, &json!("latest")), U256::from(amount));
    let error = Hub::AlreadyClaimed { list: list.number(), position: U256::from(positions[0]) };
    assert_eq!(refusal(devnet, sender.address(), 0, &claims), error.abi_encode());
}

#[test]
fn the_bench_measures_a_devnet() {
    let Some(anvil) = find_program("anvil") else {
        return skip("attribution", "anvil is not there: run scripts/contracts build");
    };
    let mut bench = Command::new(ascribe_bin());
    bench.args(["bench", "attribution", "--devnet", "--json", "--anvil"]).arg(anvil);
    let output = bench.arg("--artifacts").arg(contracts()).output().expect("started");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let figure = |name: &str| report[name].as_f64().unwrap_or_else(|| panic!("{name}: {report}"));
    assert!(figure("gas_per_record_16384") <= GAS_PER_RECORD as f64);
    assert!(figure("events_over_batch") > 10.0 && figure("storage_over_batch") > 100.0);
    assert_eq!(report["binding_limit_at_400"], "da_footprint");
}

/// Runs `ascribe attribution` against a devnet; what it prints, or says when it fails.
fn attribution(devnet: &Devnet, args: &[&str]) -> Result<String, String> {
    let mut command = Command::new(ascribe_bin());
    command.arg("attribution").args(args).env("ETH_RPC_URL", devnet.l2.url());
    let output = command.output().expect("started");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// Whoever has no more than the command line finds a record, proves it to somebody without a node, submits more, and gets
/// what is theirs.
fn check_command_line(devnet: &Devnet, operator: &Account, settled: &Settled, list: ListId) {
    let run = |args: &[&str]| attribution(devnet, args).expect("it succeeds");
    let json = |text: &str| -> Value { serde_json::from_str(text).expect("JSON") };
    let list = list.to_string();

    let shown = json(&run(&["show", &list]));
    assert_eq!(shown["records"], json!(RECORDS));
    assert_eq!(shown["recordRoot"], json!(settled.record_root));
    let record = settled.columns.records().nth(4_711).expect("a record");
    let shown = json(&run(&["show", &list, "4711"]));
    assert_eq!(shown["completionTokens"], json!(record.completion_tokens));
    let of_adapter = settled.columns.records().filter(|record| record.adapter == 3).count();
    let found = run(&["show", "records", "--model", "0", "--adapter", "3", "--all"]);
    assert_eq!(found.lines().count(), of_adapter);

    // A proof is good for one block only, and for just what it says.
    let file = devnet.folder.join("proof.json");
    let path = file.to_str().expect("UTF-8");
    let block: Value = devnet.l2.call("eth_getBlockByNumber", json!(["latest", false]));
    let (number, hash) =
        (block["number"].as_str().expect("a number"), block["hash"].as_str().expect("a hash"));
    run(&["prove", "record", &list, "4711", "--block", number, "--out", path]);
    let proven = run(&["verify", path, "--block-hash", hash]);
    assert!(proven.contains(&operator.address().to_string()), "{proven}");
    let other = block["parentHash"].as_str().expect("a hash");
    attribution(devnet, &["verify", path, "--block-hash", other]).expect_err("another block");
    let output: Value = devnet.rollup.call("optimism_outputAtBlock", json!([number]));
    let root = output["outputRoot"].as_str().expect("a root");
    run(&["verify", path, "--output-root", root]);
    run(&["prove", "payout", &list, "adapter:0:3", "--block", number, "--out", path]);
    run(&["verify", path, "--block-hash", hash]);

    // More records, in two batches; a claim of what one adapter has earned in all three.
    let few = devnet.folder.join("few.jsonl");
    let lines: Vec<String> = settled
        .columns
        .records()
        .take(300)
        .map(|record| serde_json::to_string(&record).expect("JSON"))
        .collect();
    fs::write(&few, lines.join("\n")).expect("written");
    let (few, key) = (few.to_str().expect("UTF-8"), operator.private_key());
    let header = ["--model", "0", "--time-base", "1790000000", "--max-records", "200"];
    let submit = [&["submit", "--private-key", &key, "--records", few][..], &header].concat();
    let submitted = run(&submit);
    assert_eq!(submitted.lines().count(), 2, "{submitted}");
    let poor = [&submit[..], &["--max-value", "1"]].concat();
    let refused = attribution(devnet, &poor).expect_err("it costs more");
    assert!(refused.starts_with("error:"), "{refused}");

    let payee = "adapter:0:4";
    let earned = json(run(&["show", "earnings", payee]).lines().last().expect("a line"));
    run(&["claim", payee, "--private-key", &key]);
    let after = json(run(&["show", "earnings", payee]).lines().last().expect("a line"));
    assert_eq!(after["claimed"], earned["earned"], "{after}");
    let nothing = attribution(devnet, &["claim", payee, "--private-key", &key]);
    let said = nothing.unwrap_or_else(|said| said);
    assert!(said.is_empty() || said.contains("nothing"), "{said}");
    let stats = json(&run(&["show", "stats"]));
    assert_eq!((&stats["batches"], &stats["records"]), (&json!(3), &json!(RECORDS + 300)));
}
