//! What gas buys: the precompile's worst batches beside what else a transaction can spend it on.

use super::{batch, call, workload::Workload};
use crate::{
    BenchError, bars,
    report::{Report, median},
};
use alloy_primitives::{B256, U256, hex, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;
use alloy_sol_types::SolCall;
use ascribe_attribution::{
    Columns, Meter, Payouts,
    abi::{self, IAttribution},
};
use rand::{Rng, SeedableRng, seq::IndexedRandom};
use rand_chacha::ChaCha8Rng;
use revm::precompile::{
    EthPrecompileResult,
    bn254::{
        pair::{ISTANBUL_PAIR_BASE, ISTANBUL_PAIR_PER_POINT},
        run_pair,
    },
    secp256k1::ec_recover_run,
};
use std::time::Instant;

/// A precompile, given gas without end.
type Precompile = fn(&[u8]) -> EthPrecompileResult;

/// Batches tried.
const TRIES: u64 = 120;
/// Gas up to which a call is tried: what a transaction may use (EIP-7825).
const MOST_GAS: u64 = 16_777_216;

/// The slowest call found, in nanoseconds per gas.
struct Worst {
    name: String,
    ns_per_gas: f64,
}

pub(super) fn run(rounds: usize) -> Result<Report, BenchError> {
    let mut report = Report::new("nanoseconds that a unit of gas buys");
    let mut cheapest = f64::MIN;
    let bar = bars::bar("calibrating".to_owned(), TRIES);
    for (name, ns_per_gas) in others(rounds)? {
        report.figure(format!("ns_per_gas_{name}"), ns_per_gas);
        cheapest = cheapest.max(ns_per_gas);
    }
    let mut worst: Vec<Worst> = Vec::new();
    let mut rng = ChaCha8Rng::seed_from_u64(1);
    for seed in 0..TRIES {
        let (name, input) = match seed {
            0 => many_sources(),
            _ => candidate(&mut rng, seed),
        };
        if let Some(ns_per_gas) = time(&input, rounds.min(3)) {
            worst.push(Worst { name, ns_per_gas });
        }
        bar.inc(1);
    }
    bar.finish_and_clear();
    worst.sort_by(|one, other| other.ns_per_gas.total_cmp(&one.ns_per_gas));
    for (rank, found) in worst.iter().take(8).enumerate() {
        report.note(format!(
            "slowest {}: {:.2} ns per gas, {}",
            rank + 1,
            found.ns_per_gas,
            found.name
        ));
    }
    let slowest = worst.first().map_or(0.0, |found| found.ns_per_gas);
    report.figure("ns_per_gas_attribution", slowest);
    report.figure("ratio_to_cheapest", slowest / cheapest);
    Ok(report)
}

/// Nanoseconds per gas of a call, `None` if it takes more gas than a transaction has.
fn time(input: &[u8], rounds: usize) -> Option<f64> {
    let mut meter = Meter::new(MOST_GAS);
    // A refusal costs as well.
    if matches!(abi::call(input, &mut meter), Err(abi::Failure::OutOfGas)) {
        return None;
    }
    let gas = meter.used() as f64;
    let ns = median((0..rounds).map(|_| {
        let start = Instant::now();
        let result = abi::call(std::hint::black_box(input), &mut Meter::new(MOST_GAS));
        drop(std::hint::black_box(result));
        start.elapsed().as_nanos() as f64
    }));
    Some(ns / gas)
}

/// As many different sources as a batch can have.
fn many_sources() -> (String, Vec<u8>) {
    let mut records =
        Workload { shares: Some(16), sources: 16, ..Workload::REFERENCE }.records(20_000);
    for (at, record) in records.iter_mut().enumerate() {
        for share in &mut record.shares {
            share.source += at as u32 % 4_096 * 16;
        }
    }
    let input = call(batch(records, false).encode().unwrap_or_default()).abi_encode();
    ("65,536 sources".to_owned(), input)
}

/// A batch of a random shape, a batch with noise for columns, or a list to merge.
fn candidate(rng: &mut ChaCha8Rng, seed: u64) -> (String, Vec<u8>) {
    let mut pick = |of: &[u32]| of.choose(rng).copied().unwrap_or(1);
    let workload = Workload {
        adapters: pick(&[1, 2, 30, 1_000, 60_000, 1_000_000]),
        sources: pick(&[1, 2, 16, 200, 5_000, 100_000]),
        shares: [None, Some(1), Some(2), Some(3), Some(16)][pick(&[0, 1, 2, 3, 4]) as usize],
        equal: pick(&[0, 1]) == 1,
        rate: [0.01, 1.0, 20.0, 500.0, 1e9][pick(&[0, 1, 2, 3, 4]) as usize],
        seed,
    };
    let records = pick(&[1, 2, 10, 100, 1_000, 16_384, 65_536]) as usize;
    let kind = pick(&[0, 0, 0, 1, 2]);
    let name = format!("{records} records, {workload:?}");
    let batch = batch(workload.records(records), pick(&[0, 1]) == 1);
    match kind {
        1 => {
            let mut columns = vec![0; records * 10];
            rng.fill(&mut columns[..]);
            columns.truncate(400_000);
            let header = batch.header.to_bytes(records as u32, columns.len() as u32);
            (
                format!("noise, {records} records"),
                call([&header[..], &columns].concat()).abi_encode(),
            )
        }
        2 => {
            let bytes = batch.encode().unwrap_or_default();
            let rates = call(Vec::new()).rates.into();
            let list = Columns::of_batch(&bytes)
                .ok()
                .and_then(|(header, columns)| Payouts::of_batch(&header, &columns, &rates).ok())
                .unwrap_or_default();
            let words = vec![U256::ZERO; list.list().len().div_ceil(256)];
            let call = IAttribution::mergeCall {
                lists: vec![list.to_bytes().into()],
                claimed: vec![words],
            };
            (format!("merge of {} payouts, {name}", list.list().len()), call.abi_encode())
        }
        _ => (name, call(batch.encode().unwrap_or_default()).abi_encode()),
    }
}

/// What else gas buys, in nanoseconds per gas.
fn others(rounds: usize) -> Result<Vec<(&'static str, f64)>, BenchError> {
    let mut measured = Vec::new();
    for (name, length) in
        [("keccak256_32", 32_usize), ("keccak256_136", 136), ("keccak256_4096", 4_096)]
    {
        let message = vec![7_u8; length];
        let gas = 30 + 6 * length.div_ceil(32);
        let ns = nanoseconds(rounds, || {
            std::hint::black_box(keccak256(std::hint::black_box(&message)));
        });
        measured.push((name, ns / gas as f64));
    }
    let (signed, pair) = (signed()?, pair());
    let precompiles: [(_, &[u8], Precompile); 2] = [
        ("ecrecover", &signed, |input| ec_recover_run(input, u64::MAX)),
        ("bn256_pairing", &pair, |input| {
            run_pair(input, ISTANBUL_PAIR_PER_POINT, ISTANBUL_PAIR_BASE, u64::MAX)
        }),
    ];
    for (name, input, run) in precompiles {
        let output = run(input).map_err(|error| BenchError::setup(name, format!("{error:?}")))?;
        if output.bytes.iter().all(|byte| *byte == 0) {
            return Err(BenchError::setup(name, "the input is not a valid one"));
        }
        let ns =
            nanoseconds(rounds, || drop(std::hint::black_box(run(std::hint::black_box(input)))));
        measured.push((name, ns / output.gas_used as f64));
    }
    Ok(measured)
}

/// A signature as ecrecover takes it.
fn signed() -> Result<Vec<u8>, BenchError> {
    let hash = keccak256("a message");
    let signature = PrivateKeySigner::from_bytes(&keccak256("a key"))
        .map_err(|error| BenchError::setup("a key", error))?
        .sign_hash_sync(&hash)
        .map_err(|error| BenchError::setup("a signature", error))?;
    let parity = B256::with_last_byte(27 + u8::from(signature.v()));
    let (r, s) = (signature.r().to_be_bytes::<32>(), signature.s().to_be_bytes::<32>());
    Ok([hash.as_slice(), parity.as_slice(), &r, &s].concat())
}

/// Two pairs of points whose pairings multiply to one: the generators, and the first negated.
fn pair() -> Vec<u8> {
    const G2: [u8; 128] = hex!(
        "198e9393920d483a7260bfb731fb5d25f1aa493335a9e71297e485b7aef312c2"
        "1800deef121f1e76426a00665e5c4479674322d4f75edadd46debd5cd992f6ed"
        "090689d0585ff075ec9e99ad690c3395bc4b313370b38ef355acdadcd122975b"
        "12c85ea5db8c6deb4aab71808dcb408fe3d1e7690c43d37b4ce6cc0166fa7daa"
    );
    const MINUS_TWO: [u8; 32] =
        hex!("30644e72e131a029b85045b68181585d97816a916871ca8d3c208c16d87cfd45");
    let (one, two) = (B256::with_last_byte(1), B256::with_last_byte(2));
    [one.as_slice(), two.as_slice(), &G2, one.as_slice(), &MINUS_TWO, &G2].concat()
}

/// Of one run of `work`.
fn nanoseconds(rounds: usize, mut work: impl FnMut()) -> f64 {
    const TIMES: u32 = 200;
    median((0..rounds).map(|_| {
        let start = Instant::now();
        for _ in 0..TIMES {
            work();
        }
        start.elapsed().as_nanos() as f64 / f64::from(TIMES)
    }))
}
