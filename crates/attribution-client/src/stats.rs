//! Where the bytes of a batch go.

use ascribe_attribution::{Column, Columns, HEADER_LENGTH, Record, WHOLE};
use std::{collections::HashMap, fmt::Write, hash::Hash};

/// A table: bits a record by column, and the entropy of what is in the column.
pub(crate) fn table(columns: &Columns, bytes: usize) -> String {
    let records: Vec<Record> = columns.records().collect();
    let count = records.len() as f64;
    let bounds = bounds(&records);
    let mut out = format!("{:18}{:>12}{:>12}\n", "bits a record", "written", "entropy");
    let mut line = |name: &str, written: f64, bound: f64| {
        let _ = writeln!(out, "{name:18}{written:>12.3}{bound:>12.3}");
    };
    for (column, bits) in columns.costs() {
        line(name(column), bits / count, bounds[column as usize] / count);
    }
    line("header", 8.0 * HEADER_LENGTH as f64 / count, 0.0);
    let (written, bound) = (bytes as f64 / count, bounds.iter().sum::<f64>() / 8.0 / count);
    let _ = writeln!(out, "{:18}{written:>12.3}{bound:>12.3}", "bytes a record");
    let _ = writeln!(out, "{:18}{:>12}", "records", records.len());
    let _ = writeln!(out, "{:18}{bytes:>12}", "bytes");
    out
}

const fn name(column: Column) -> &'static str {
    match column {
        Column::Order => "order",
        Column::Time => "time",
        Column::Adapter => "adapter",
        Column::Shares => "number of shares",
        Column::Source => "source",
        Column::Weight => "weight",
        Column::PromptTokens => "prompt tokens",
        Column::CompletionTokens => "completion tokens",
    }
}

/// The entropy of each column, in bits, as if the frequencies of values were known and values independent of each
/// other; records of one time and sources of one record in no order; all splits of the whole equally likely. What
/// repeats beyond that can take less.
fn bounds(records: &[Record]) -> [f64; 8] {
    let mut bounds = [0.0; 8];
    let times: Vec<u32> = records.iter().map(|record| record.time).collect();
    let runs: Vec<&[u32]> = times.chunk_by(|one, other| one == other).collect();
    let gaps = runs.windows(2).map(|pair| pair[1][0] - pair[0][0]);
    bounds[Column::Time as usize] = entropy(gaps) + entropy(runs.iter().map(|run| run.len()));
    let at_once = records.chunk_by(|one, other| one.time == other.time);
    let orders: f64 = at_once
        .map(|run| {
            let mut adapters: Vec<u32> = run.iter().map(|record| record.adapter).collect();
            adapters.sort_unstable();
            let same: f64 = adapters
                .chunk_by(|one, other| one == other)
                .map(|same| log2_factorial(same.len()))
                .sum();
            log2_factorial(run.len()) - same
        })
        .sum();
    bounds[Column::Adapter as usize] =
        (entropy(records.iter().map(|record| record.adapter)) - orders).max(0.0);
    bounds[Column::Shares as usize] = entropy(records.iter().map(|record| record.shares.len()));
    let shares = || records.iter().flat_map(|record| &record.shares);
    let orders: f64 = records.iter().map(|record| log2_factorial(record.shares.len())).sum();
    bounds[Column::Source as usize] =
        (entropy(shares().map(|share| share.source)) - orders).max(0.0);
    bounds[Column::Weight as usize] = records
        .iter()
        .map(|record| {
            let cuts = record.shares.len() - 1;
            // Of the 9,999 places between 10,000 steps, one for each cut.
            (0..cuts).map(|cut| f64::from(WHOLE - 1 - cut as u32).log2()).sum::<f64>()
                - log2_factorial(cuts)
        })
        .sum();
    bounds[Column::PromptTokens as usize] =
        entropy(records.iter().map(|record| record.prompt_tokens));
    bounds[Column::CompletionTokens as usize] =
        entropy(records.iter().map(|record| record.completion_tokens));
    bounds
}

/// Of all values together, by how often each comes.
fn entropy<T: Eq + Hash>(values: impl Iterator<Item = T>) -> f64 {
    let mut counts: HashMap<T, u64> = HashMap::new();
    let mut all = 0_u64;
    for value in values {
        *counts.entry(value).or_default() += 1;
        all += 1;
    }
    counts.values().map(|count| *count as f64 * (all as f64 / *count as f64).log2()).sum()
}

fn log2_factorial(number: usize) -> f64 {
    (2..=number).map(|factor| (factor as f64).log2()).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn entropies() {
        assert_eq!(entropy([1, 1, 1].into_iter()), 0.0);
        assert_eq!(entropy([1, 2, 1, 2].into_iter()), 4.0);
        assert!((log2_factorial(4) - 24_f64.log2()).abs() < 1e-9);
        assert_eq!(log2_factorial(0), 0.0);
    }
}
