//! A batch of the reference workload through a devnet: settled in one transaction by the precompile and the hub, and
//! claimed.

use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address, aliases::U96};
use alloy_sol_types::{SolCall, SolError, SolEvent};
use ascribe_attribution::{
    Meter, Payee, Settled,
    abi::IAttribution::{Settlement, settleCall},
    merkle, settle,
};
use ascribe_e2e::{Account, Devnet, DevnetSetup, PATIENCE, ascribe_bin, say};
use contracts::{Call3, Claim, Hub, Rates, aggregate3Call};
use serde_json::{Value, json};
use std::{fs, path::Path, process::Command};

const CHAIN: u64 = 901;
const HUB: Address = address!("4200000000000000000000000000000000000a77");
const PRECOMPILE: Address = address!("0000000000000000000000000000000000000a77");
const MULTICALL: Address = address!("cA11bde05977b3631167028862bE2a173976CA11");
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

/// What the contracts take.
#[allow(clippy::too_many_arguments, missing_docs, reason = "as many as the event has fields")]
mod contracts {
    alloy_sol_types::sol! {
        #[derive(Debug)]
        struct Rates {
            uint96 prompt;
            uint96 completion;
            uint96 record;
            uint16 modelShare;
            uint16 adapterShare;
            uint16 sourceShare;
            uint16 operatorShare;
        }

        #[derive(Debug)]
        struct Claim {
            uint256 list;
            uint256 position;
            uint256 payee;
            uint256 amount;
            bytes32[] proof;
        }

        struct Call3 {
            address target;
            bool allowFailure;
            bytes callData;
        }

        interface Hub {
            event BatchSettled(
                uint256 indexed list, uint32 indexed model, address indexed operator, uint64 sequence, uint64 timeBase,
                uint64 timeEnd, uint32 records, uint32 payouts, uint64 promptTokens, uint64 completionTokens,
                uint128 total, bytes32 recordRoot, bytes32 payoutRoot, bytes32 detailRoot
            );
            error WrongSequence(uint64 expected, uint64 given);
            error Underfunded(uint256 total, uint256 given);
            error AlreadyClaimed(uint256 list, uint256 position);

            function registerModel(Rates rates) external returns (uint32);
            function transferModel(uint32 model, address to) external;
            function registerAdapter(uint32 model, address owner, bytes32 generation, bytes32 corpusRoot)
                external returns (uint32);
            function setSources(uint32 model, uint32 adapter, uint32 first, address[] payees) external;
            function registerOperator() external payable;
            function submitBatch(bytes batch) external payable returns (uint256);
            function claimMany(Claim[] claims) external;
            function isClaimed(uint256 list, uint256 position) external view returns (bool);
        }

        function aggregate3(Call3[] calls) external payable;
    }
}

fn rates() -> Rates {
    let price = |gwei: u64| U96::from(gwei) * U96::from(1_000_000_000_u64);
    Rates {
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
fn claims(settled: &Settled, list: U256, positions: &[usize]) -> Vec<Claim> {
    let leaves = settled.payouts.leaves();
    let claim = |position: usize| {
        let payout = settled.payouts.list()[position];
        Claim {
            list,
            position: U256::from(position),
            payee: payout.payee.key(),
            amount: U256::from(payout.amount),
            proof: merkle::proof(&leaves, position).expect("a leaf"),
        }
    };
    positions.iter().map(|position| claim(*position)).collect()
}

#[test]
fn a_batch_is_settled_and_claimed() {
    let test = "attribution";
    let Some(setup) = DevnetSetup::new(test, &[]) else { return };
    let mut devnet = setup.start();
    let (mut owner, mut operator) = (Account::dev(0, CHAIN), Account::dev(1, CHAIN));

    // A model, and adapters of it; registering many at once wants a contract that owns the model for a while.
    send(&devnet, &mut owner, HUB, 0, &Hub::registerModelCall { rates: rates() }, 1_000_000);
    send(
        &devnet,
        &mut owner,
        HUB,
        0,
        &Hub::transferModelCall { model: 0, to: MULTICALL },
        1_000_000,
    );
    let register = Hub::registerAdapterCall {
        model: 0,
        owner: owner.address(),
        generation: B256::repeat_byte(1),
        corpusRoot: B256::repeat_byte(2),
    };
    let call = Call3 { target: HUB, allowFailure: false, callData: register.abi_encode().into() };
    for _ in 0..ADAPTERS / AT_ONCE {
        let calls = vec![call.clone(); AT_ONCE];
        send(&devnet, &mut owner, MULTICALL, 0, &aggregate3Call { calls }, GAS);
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

    check_claims(&devnet, &mut owner, &settled, event.list);
    assert!(devnet.process.terminate(PATIENCE).success());
    say(&format!("{test}: {RECORDS} records in {} bytes, {gas_per_record} gas each", bytes.len()));
}

fn settle_call(batch: &[u8]) -> settleCall {
    let Rates { prompt, completion, record, modelShare, adapterShare, sourceShare, operatorShare } =
        rates();
    settleCall {
        batch: batch.to_vec().into(),
        rates: ascribe_attribution::abi::IAttribution::Rates {
            prompt,
            completion,
            record,
            modelShare,
            adapterShare,
            sourceShare,
            operatorShare,
        },
    }
}

/// An adapter's owner and a source get what is theirs, once.
fn check_claims(devnet: &Devnet, sender: &mut Account, settled: &Settled, list: U256) {
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
    let error = Hub::AlreadyClaimed { list, position: U256::from(positions[0]) };
    assert_eq!(refusal(devnet, sender.address(), 0, &claims), error.abi_encode());
}
