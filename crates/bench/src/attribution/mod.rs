//! `bench attribution`: bytes, time and gas that a record takes.

mod calibrate;
mod devnet;
mod index;
mod workload;

use crate::{
    BenchError, bars,
    report::{Report, median},
};
use alloy_primitives::{Address, B256, aliases::U96};
use alloy_sol_types::SolCall;
use ascribe_attribution::{
    Batch, Columns, Header, MAX_RECORDS, Meter, Record,
    abi::{self, IAttribution},
    hub::HubRates,
    settle,
};
use ascribe_attribution_client::read_records;
use clap::{Args, ValueEnum};
use devnet::DevnetArgs;
use std::{
    fs::File,
    io::{BufWriter, Write},
    path::{Path, PathBuf},
    time::Instant,
};
use workload::Workload;

/// Records in a batch.
const SIZES: [usize; 3] = [256, 2_048, 16_384];
/// Gas of a transaction besides its data and what it calls.
const TRANSACTION: f64 = 21_000.0;
/// Gas of a byte of data that isn't zero, and the least that a transaction with it pays (EIP-7623).
const NON_ZERO_BYTE: (f64, f64) = (16.0, 40.0);
/// The same of a zero.
const ZERO_BYTE: (f64, f64) = (4.0, 10.0);

/// What `bench attribution` takes.
#[derive(Args, Debug, Clone)]
pub struct AttributionArgs {
    /// Records to measure, one JSON object a line [default: the reference workload]
    #[arg(long, value_name = "FILE", conflicts_with = "shape")]
    records: Option<PathBuf>,
    /// What the records are like
    #[arg(long, value_enum, value_name = "SHAPE", default_value_t = Shape::Reference)]
    shape: Shape,
    /// Leave records of one second in the order in which they came
    #[arg(long)]
    keep_order: bool,
    /// Compare what gas buys with keccak256, ecrecover and the bn256 pairing, over batches that are searched for
    /// their slowness
    #[arg(long)]
    calibrate: bool,
    /// Write the records there instead, one JSON object a line
    #[arg(long, value_name = "FILE", conflicts_with = "calibrate")]
    write: Option<PathBuf>,
    /// Rounds
    #[arg(long, value_name = "N", default_value_t = 9)]
    rounds: usize,
    /// One JSON object instead of a table
    #[arg(long)]
    pub(crate) json: bool,
    #[command(flatten)]
    devnet: DevnetArgs,
}

/// What records are like.
#[derive(ValueEnum, Debug, Clone, Copy, PartialEq, Eq)]
enum Shape {
    /// 1,000 adapters, 1 to 8 shares, 20 requests a second
    Reference,
    /// One adapter
    OneAdapter,
    /// A million adapters
    ManyAdapters,
    /// Sixteen shares
    ManyShares,
    /// Each source gets the same
    EqualShares,
    /// One request in ten seconds
    Rare,
}

impl Shape {
    const fn workload(self) -> Workload {
        let mut workload = Workload::REFERENCE;
        match self {
            Self::Reference => {}
            Self::OneAdapter => workload.adapters = 1,
            Self::ManyAdapters => workload.adapters = 1_000_000,
            Self::ManyShares => workload.shares = Some(16),
            Self::EqualShares => workload.equal = true,
            Self::Rare => workload.rate = 0.1,
        }
        workload
    }
}

pub(crate) fn run(args: &AttributionArgs) -> Result<Report, BenchError> {
    if args.calibrate {
        return calibrate::run(args.rounds);
    }
    let records = match &args.records {
        Some(path) => read(path)?,
        None => args.shape.workload().records(*SIZES.last().unwrap_or(&0)),
    };
    if let Some(path) = &args.write {
        return write(path, &records);
    }
    let mut sizes: Vec<usize> = SIZES.into_iter().filter(|size| *size <= records.len()).collect();
    if sizes.is_empty() {
        sizes.push(records.len());
    }
    if args.devnet.devnet {
        return devnet::run(&args.devnet, &records, &sizes, args.keep_order);
    }
    let mut report = Report::new("attribution: what a record takes");
    let bar = bars::bar("measuring".to_owned(), sizes.len() as u64);
    for size in &sizes {
        let batch = batch(records[..*size].to_vec(), args.keep_order);
        measure(&batch, args.rounds, Some(*size) == sizes.last().copied(), &mut report)?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(report)
}

/// A batch for a hub that does not exist, by an operator who doesn't.
fn batch(records: Vec<Record>, keep_order: bool) -> Batch {
    let header = Header {
        chain_id: 901,
        hub: Address::repeat_byte(0x42),
        model: 0,
        operator: Address::repeat_byte(0x0e),
        sequence: 1_000,
        time_base: 1_790_000_000,
        detail_root: B256::repeat_byte(0xde),
    };
    let mut batch = Batch { header, records };
    if !keep_order {
        batch.sort();
    }
    batch
}

/// Usual prices.
fn rates() -> HubRates {
    HubRates {
        prompt: U96::from(150_000_000_000_000_u64),
        completion: U96::from(600_000_000_000_000_u64),
        record: U96::from(1_000_000_000_u64),
        modelShare: 3_000,
        adapterShare: 2_000,
        sourceShare: 4_000,
        operatorShare: 1_000,
    }
}

/// A call that settles `batch` at usual prices.
fn call(batch: Vec<u8>) -> IAttribution::settleCall {
    IAttribution::settleCall { batch: batch.into(), rates: rates().into() }
}

fn measure(
    batch: &Batch,
    rounds: usize,
    speed: bool,
    report: &mut Report,
) -> Result<(), BenchError> {
    let records = batch.records.len();
    let per_record = |all: f64| all / records as f64;
    let invalid = |error: &dyn ToString| BenchError::setup("the records", error.to_string());
    let bytes = batch.encode().map_err(|error| invalid(&error))?;
    report.figure(format!("bytes_per_record_{records}"), per_record(bytes.len() as f64));

    let call = call(bytes.clone());
    let input = call.abi_encode();
    let mut meter = Meter::unlimited();
    abi::call(&input, &mut meter)
        .map_err(|failure| BenchError::setup("settling", format!("{failure:?}")))?;
    let precompile = meter.used() as f64;
    let data = |price: fn((f64, f64)) -> f64| -> f64 {
        bytes.iter().map(|byte| price(if *byte == 0 { ZERO_BYTE } else { NON_ZERO_BYTE })).sum()
    };
    let (data, floor) = (data(|price| price.0), data(|price| price.1));
    report.figure(format!("precompile_gas_per_record_{records}"), per_record(precompile));
    report.figure(format!("data_floor_gas_per_record_{records}"), per_record(floor));
    let gas = TRANSACTION + (data + precompile).max(floor);
    report.figure(format!("gas_per_record_{records}"), per_record(gas));
    if !speed {
        return Ok(());
    }

    let rates = call.rates.into();
    let settled =
        settle(&bytes, &rates, &mut Meter::unlimited()).map_err(|error| invalid(&error))?;
    report.figure("shares_per_record", per_record(settled.columns.share_count() as f64));
    report.figure("payouts_per_record", per_record(settled.payouts.list().len() as f64));
    for (column, bits) in settled.columns.costs() {
        report.figure(format!("bits_{}", snake_case(&format!("{column:?}"))), per_record(bits));
    }
    let per_second = |work: &mut dyn FnMut()| {
        median((0..rounds).map(|_| {
            let start = Instant::now();
            work();
            records as f64 / start.elapsed().as_secs_f64()
        }))
    };
    let encode = per_second(&mut || drop(std::hint::black_box(batch.encode())));
    report.figure("encode_records_per_second", encode);
    let columns = per_second(&mut || drop(std::hint::black_box(Columns::of_batch(&bytes))));
    report.figure("columns_records_per_second", columns);
    let decode = per_second(&mut || {
        drop(std::hint::black_box(settle(&bytes, &rates, &mut Meter::unlimited())));
    });
    report.figure("decode_records_per_second", decode);
    index::measure(&bytes, &settled, self::rates(), &|work| per_second(work), report)
}

fn snake_case(name: &str) -> String {
    let mut out = String::new();
    for letter in name.chars() {
        if letter.is_uppercase() && !out.is_empty() {
            out.push('_');
        }
        out.extend(letter.to_lowercase());
    }
    out
}

/// Writes records, one JSON object a line.
fn write(path: &Path, records: &[Record]) -> Result<Report, BenchError> {
    let mut file = BufWriter::new(File::create(path)?);
    for record in records {
        serde_json::to_writer(&mut file, record).map_err(std::io::Error::from)?;
        file.write_all(b"\n")?;
    }
    file.flush()?;
    let mut report = Report::new("attribution: records written");
    report.figure("records", records.len() as f64);
    Ok(report)
}

/// Reads as many records as a batch can have.
fn read(path: &Path) -> Result<Vec<Record>, BenchError> {
    let mut records =
        read_records(path).map_err(|error| BenchError::setup("the records", error))?;
    records.truncate(MAX_RECORDS);
    if records.is_empty() {
        return Err(BenchError::setup("the records", format!("{} has none", path.display())));
    }
    Ok(records)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes_are_batches() {
        for shape in Shape::value_variants() {
            for size in [1, 300] {
                let batch = batch(shape.workload().records(size), false);
                let bytes = batch.encode().expect("valid records");
                assert_eq!(Batch::decode(&bytes), Ok(batch), "{shape:?}");
            }
        }
    }

    #[test]
    fn the_reference_workload_takes_what_it_should() {
        let records = Workload::REFERENCE.records(16_384);
        let size = |keep_order| {
            batch(records.clone(), keep_order).encode().expect("valid records").len() as f64
                / 16_384.0
        };
        assert!(size(false) < 8.3, "{}", size(false));
        assert!(size(true) < 8.7, "{}", size(true));
        let small = batch(records[..256].to_vec(), false).encode().expect("valid records").len();
        assert!(small as f64 / 256.0 < 10.2, "{small}");
    }

    #[test]
    fn files_of_records_are_checked() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("records.jsonl");
        let line = serde_json::to_string(&Workload::REFERENCE.records(1)[0]).expect("JSON");
        std::fs::write(&path, format!("{line}\n\n{line}\n")).expect("written");
        assert_eq!(read(&path).expect("records").len(), 2);
        for text in ["", "{}\n", "{\"adapter\": 1}\n"] {
            std::fs::write(&path, text).expect("written");
            assert!(matches!(read(&path), Err(BenchError::Setup { .. })), "{text}");
        }
    }
}
