//! The vectors, which implementations in other languages read as well. With `ASCRIBE_WRITE_VECTORS` set they are
//! written anew.

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use ascribe_attribution::{
    Batch, Columns, Detail, Header, MAX_TOKENS, Meter, Payouts, Rates, Record, Share, WHOLE, merge,
    merkle, settle,
};
use serde::{Deserialize, Serialize};
use std::{fs, path::PathBuf};

/// A batch and all that follows from it.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Vector {
    name: String,
    header: Header,
    records: Vec<Record>,
    batch: Bytes,
    rates: Rates,
    record_root: B256,
    payout_root: B256,
    /// Wei, in decimal.
    total: String,
    /// Keys and amounts of the payouts.
    payouts: Vec<(U256, U256)>,
    /// The same as a list for merging.
    payout_list: Bytes,
}

/// Details and their root.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Details {
    details: Vec<Detail>,
    root: B256,
}

/// Bytes that are not a batch.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Invalid {
    name: String,
    batch: Bytes,
    error: String,
}

/// Lists that are made one.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Merge {
    lists: Vec<Bytes>,
    claimed: Vec<Vec<U256>>,
    roots: Vec<B256>,
    merged: Bytes,
    root: B256,
}

#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Vectors {
    valid: Vec<Vector>,
    invalid: Vec<Invalid>,
    merges: Vec<Merge>,
    details: Vec<Details>,
}

/// Numbers that look random, the same everywhere.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, bound: u32) -> u32 {
        self.0 += 1;
        let hash = keccak256(self.0.to_be_bytes());
        (U256::from_be_bytes(hash.0) % U256::from(bound)).to()
    }

    /// Small more often than large.
    fn skewed(&mut self, bound: u32) -> u32 {
        let bits = self.below(bound.ilog2() + 1);
        self.below((2_u64 << bits).min(bound.into()) as u32)
    }
}

const RATES: Rates = Rates {
    prompt: 150_000_000_000_000,
    completion: 600_000_000_000_007,
    record: 1_000_000_001,
    model_share: 3_000,
    adapter_share: 1_500,
    source_share: 5_001,
    operator_share: 499,
};

fn header(sequence: u64) -> Header {
    Header {
        chain_id: 901,
        hub: Address::with_last_byte(0x77),
        model: 0,
        operator: Address::repeat_byte(0xa1),
        sequence,
        time_base: 1_790_000_000,
        detail_root: keccak256(sequence.to_be_bytes()),
    }
}

/// What the records of a vector are like.
struct Shape {
    name: &'static str,
    records: usize,
    adapters: u32,
    sources: u32,
    shares: Option<u32>,
    equal: bool,
    tokens: u32,
    per_second: u32,
    sorted: bool,
}

const PLAIN: Shape = Shape {
    name: "plain",
    records: 100,
    adapters: 40,
    sources: 60,
    shares: None,
    equal: false,
    tokens: 8_000,
    per_second: 10,
    sorted: true,
};

fn shapes() -> Vec<Shape> {
    vec![
        PLAIN,
        Shape { name: "one record", records: 1, ..PLAIN },
        Shape { name: "two records", records: 2, ..PLAIN },
        Shape { name: "in order of arrival", sorted: false, ..PLAIN },
        Shape { name: "one adapter", adapters: 1, ..PLAIN },
        Shape {
            name: "large indices",
            adapters: u32::MAX,
            sources: u32::MAX,
            records: 30,
            ..PLAIN
        },
        Shape { name: "sixteen shares", shares: Some(16), records: 40, ..PLAIN },
        Shape { name: "equal shares", equal: true, ..PLAIN },
        Shape { name: "one share", shares: Some(1), ..PLAIN },
        Shape { name: "all at once", per_second: u32::MAX, ..PLAIN },
        Shape { name: "rare", per_second: 0, ..PLAIN },
        Shape { name: "large numbers of tokens", tokens: MAX_TOKENS, ..PLAIN },
        Shape { name: "no tokens", tokens: 1, ..PLAIN },
        Shape { name: "many", records: 700, ..PLAIN },
    ]
}

fn batch(shape: &Shape, sequence: u64) -> Batch {
    let mut numbers = Numbers(sequence << 32);
    let mut time = 0;
    let records = (0..shape.records)
        .map(|_| {
            time += match shape.per_second {
                0 => numbers.below(100_000),
                rate => u32::from(numbers.below(rate) == 0 && rate < u32::MAX),
            };
            let shares = shape.shares.unwrap_or_else(|| 1 + numbers.skewed(8));
            let mut sources: Vec<u32> = Vec::new();
            while sources.len() < shares as usize {
                sources.push(numbers.skewed(shape.sources));
                sources.sort_unstable();
                sources.dedup();
            }
            let mut left = WHOLE;
            let shares = (1..=shares).zip(sources).map(|(at, source)| {
                let others = shares - at;
                let weight = match others {
                    0 => left,
                    _ if shape.equal => WHOLE / shares,
                    _ => 1 + numbers.below(left - others),
                };
                left -= weight;
                Share { source, weight: weight as u16 }
            });
            let shares = shares.collect();
            Record {
                adapter: numbers.skewed(shape.adapters),
                prompt_tokens: numbers.skewed(shape.tokens),
                completion_tokens: numbers.skewed(shape.tokens),
                time,
                shares,
            }
        })
        .collect();
    let mut batch = Batch { header: header(sequence), records };
    if shape.sorted {
        batch.sort();
    }
    batch
}

fn vector(name: &str, batch: Batch) -> Vector {
    let bytes = batch.encode().expect("valid records");
    let settled = settle(&bytes, &RATES, &mut Meter::unlimited()).expect("a batch");
    Vector {
        name: name.to_owned(),
        header: batch.header,
        records: batch.records,
        batch: bytes.into(),
        rates: RATES,
        record_root: settled.record_root,
        payout_root: settled.payout_root,
        total: settled.payouts.total().to_string(),
        payouts: settled
            .payouts
            .list()
            .iter()
            .map(|payout| (payout.payee.key(), U256::from(payout.amount)))
            .collect(),
        payout_list: settled.payouts.to_bytes().into(),
    }
}

/// Batches with one thing changed, one of each error that this leads to.
fn invalid(valid: &[Vector]) -> Vec<Invalid> {
    let mut all: Vec<Invalid> = Vec::new();
    let mut numbers = Numbers(u64::MAX / 2);
    let mut add = |name: String, batch: Vec<u8>| {
        let Err(error) = Columns::of_batch(&batch) else { return };
        let error = error.to_string();
        if !all.iter().any(|other| other.error == error) {
            all.push(Invalid { name, batch: batch.into(), error });
        }
    };
    let plain = valid[0].batch.to_vec();
    add("empty".to_owned(), Vec::new());
    add("half a header".to_owned(), plain[..50].to_vec());
    add("truncated".to_owned(), plain[..plain.len() - 1].to_vec());
    add("overlong".to_owned(), [&plain[..], &[0]].concat());
    for vector in valid.iter().filter(|vector| vector.batch.len() < 1_500) {
        for _ in 0..400 {
            let mut batch = vector.batch.to_vec();
            match numbers.below(3) {
                // A header that agrees with fewer or more bytes.
                0 => batch.truncate(batch.len() - 1),
                1 => batch.push(numbers.below(256) as u8),
                _ => {}
            }
            if batch.len() <= 109 {
                continue;
            }
            let columns = batch.len() as u32 - 109;
            batch[105..109].copy_from_slice(&columns.to_be_bytes());
            if numbers.below(2) == 0 {
                let at = 109 + numbers.below(columns) as usize;
                batch[at] ^= 1 << numbers.below(8);
            }
            add(vector.name.clone(), batch);
        }
    }
    for (at, name) in [(0, "another version"), (102, "many records")] {
        let mut batch = plain.clone();
        batch[at] ^= 0x10;
        add(name.to_owned(), batch);
    }
    let mut none = plain.clone();
    none[101..105].fill(0);
    add("no records".to_owned(), none);
    let mut late = plain;
    late[61..69].fill(0xff);
    add("a time beyond 64 bits".to_owned(), late);
    all
}

fn merges(valid: &[Vector]) -> Vec<Merge> {
    let of = |names: &[&str], claimed: fn(usize) -> bool| {
        let lists: Vec<Bytes> = names
            .iter()
            .filter_map(|name| valid.iter().find(|vector| vector.name == *name))
            .map(|vector| vector.payout_list.clone())
            .collect();
        let claimed: Vec<Vec<U256>> = lists
            .iter()
            .map(|list| {
                let count = Payouts::from_bytes(list).expect("a list").list().len();
                let mut words = vec![U256::ZERO; count.div_ceil(256)];
                for at in (0..count).filter(|at| claimed(*at)) {
                    words[at / 256].set_bit(at % 256, true);
                }
                words
            })
            .collect();
        let given: Vec<_> =
            lists.iter().zip(&claimed).map(|(list, words)| (&list[..], &words[..])).collect();
        let merged = merge(&given, &mut Meter::unlimited()).expect("lists");
        Merge {
            roots: merged.roots,
            merged: merged.payouts.to_bytes().into(),
            root: merged.root,
            lists,
            claimed,
        }
    };
    vec![
        of(&["plain"], |_| false),
        of(&["plain", "one adapter"], |_| false),
        of(&["plain", "equal shares", "many"], |at| at % 3 == 1),
        of(&["plain", "one record"], |_| true),
    ]
}

fn details() -> Vec<Details> {
    let detail = |byte: u8| Detail {
        request_id: keccak256([byte]),
        requester: B256::left_padding_from(&[byte; 20]),
        prompt_hash: keccak256([byte, 1]),
        output_hash: keccak256([byte, 2]),
        parameters_hash: keccak256([byte, 3]),
        generation: keccak256([byte, 4]),
        signature: vec![byte; 65].into(),
    };
    [1, 2, 7]
        .map(|count| {
            let details: Vec<_> = (0..count).map(detail).collect();
            Details { root: merkle::root(&Detail::leaves(&details)), details }
        })
        .into()
}

#[test]
fn vectors_are_as_written() {
    let valid: Vec<Vector> = (0..)
        .zip(shapes())
        .map(|(sequence, shape)| vector(shape.name, batch(&shape, sequence)))
        .collect();
    let vectors =
        Vectors { invalid: invalid(&valid), merges: merges(&valid), details: details(), valid };
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("vectors/batches.json");
    if std::env::var_os("ASCRIBE_WRITE_VECTORS").is_some() {
        fs::write(&path, serde_json::to_string(&vectors).expect("JSON") + "\n").expect("written");
    }
    let written: Vectors = serde_json::from_slice(&fs::read(path).expect("vectors")).expect("JSON");
    assert!(
        written == vectors,
        "the vectors differ: with ASCRIBE_WRITE_VECTORS set they are written anew"
    );
    for vector in &written.valid {
        let batch = Batch::decode(&vector.batch).expect("a batch");
        assert_eq!((&batch.header, &batch.records), (&vector.header, &vector.records));
    }
    for invalid in &written.invalid {
        let error = Batch::decode(&invalid.batch).expect_err("no batch");
        assert_eq!(error.to_string(), invalid.error);
    }
    println!(
        "attribution: {} batches, {} of another kind, {} merges",
        written.valid.len(),
        written.invalid.len(),
        written.merges.len()
    );
}
