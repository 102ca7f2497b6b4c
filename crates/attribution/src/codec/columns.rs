//! The columns of a batch and how each is modelled.

use super::{Coder, Fault, Frequencies, cost::Cost, number::Numbers, weights::Weights, words};
use crate::{MAX_SHARES, Record, Share};
use std::cmp::Ordering;

/// Bits of a number of tokens.
pub(crate) const TOKEN_BITS: u32 = 24;
/// Bits of a number of records at one time.
const RUN_BITS: u32 = 16;
/// What an index counts before it came, and each time it comes.
const WORD: (u32, u32) = (2, 3);
/// The same of a number of shares.
const SHARES: (u32, u32) = (1, 8);

/// The columns of a batch, in the order in which they are coded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Column {
    /// Whether records at the same time come in ascending order of adapters.
    Order = 0,
    /// Times, as gaps between different ones and how many records there are at each.
    Time = 1,
    /// Adapters: the different ones, then which of them each record has.
    Adapter = 2,
    /// How many shares each record has.
    Shares = 3,
    /// Sources: the different ones, then which of them each share goes to.
    Source = 4,
    /// Weights of the shares.
    Weight = 5,
    /// Prompt tokens.
    PromptTokens = 6,
    /// Completion tokens.
    CompletionTokens = 7,
}

impl Column {
    /// All of them in order.
    pub const ALL: [Self; 8] = [
        Self::Order,
        Self::Time,
        Self::Adapter,
        Self::Shares,
        Self::Source,
        Self::Weight,
        Self::PromptTokens,
        Self::CompletionTokens,
    ];
}

/// The records of a batch, column by column. Indices of adapters and sources are kept as places in
/// lists of the different ones.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Columns {
    in_order: bool,
    /// Seconds after the batch's time base, ascending.
    pub(crate) times: Vec<u32>,
    pub(crate) adapter_words: Vec<u32>,
    pub(crate) adapters: Vec<u32>,
    /// How many shares each record has, 1 to [`MAX_SHARES`].
    pub(crate) shares: Vec<u8>,
    pub(crate) source_words: Vec<u32>,
    /// Of all records' shares, one after the other.
    pub(crate) sources: Vec<u32>,
    /// The same.
    pub(crate) weights: Vec<u16>,
    pub(crate) prompt_tokens: Vec<u32>,
    pub(crate) completion_tokens: Vec<u32>,
}

impl Columns {
    /// Of records that are valid and in order of time.
    pub(crate) fn new(records: &[Record]) -> Self {
        let shares = || records.iter().flat_map(|record| &record.shares);
        let adapter_words = distinct(records.iter().map(|record| record.adapter));
        let source_words = distinct(shares().map(|share| share.source));
        let mut columns = Self {
            in_order: false,
            times: records.iter().map(|record| record.time).collect(),
            adapters: places(&adapter_words, records.iter().map(|record| record.adapter)),
            adapter_words,
            shares: records.iter().map(|record| record.shares.len() as u8).collect(),
            sources: places(&source_words, shares().map(|share| share.source)),
            source_words,
            weights: shares().map(|share| share.weight).collect(),
            prompt_tokens: records.iter().map(|record| record.prompt_tokens).collect(),
            completion_tokens: records.iter().map(|record| record.completion_tokens).collect(),
        };
        columns.in_order = columns.are_in_order();
        columns
    }

    /// Of as many records, about which nothing is known.
    pub(super) fn blank(records: usize) -> Self {
        Self {
            in_order: false,
            times: vec![0; records],
            adapter_words: Vec::new(),
            adapters: vec![0; records],
            shares: vec![0; records],
            source_words: Vec::new(),
            sources: Vec::new(),
            weights: Vec::new(),
            prompt_tokens: vec![0; records],
            completion_tokens: vec![0; records],
        }
    }

    /// How many records there are.
    pub fn record_count(&self) -> usize {
        self.times.len()
    }

    /// How many shares the records have together.
    pub fn share_count(&self) -> usize {
        self.shares.iter().map(|shares| usize::from(*shares)).sum()
    }

    /// The adapters, ascending, each with how many of the records are its.
    pub fn adapter_counts(&self) -> impl Iterator<Item = (u32, u32)> + '_ {
        let mut counts = vec![0; self.adapter_words.len()];
        for adapter in &self.adapters {
            counts[*adapter as usize] += 1;
        }
        self.adapter_words.iter().copied().zip(counts)
    }

    /// The records, in order.
    pub fn records(&self) -> impl Iterator<Item = Record> + '_ {
        let mut from = 0;
        (0..self.record_count()).map(move |at| {
            let shares = from..from + usize::from(self.shares[at]);
            from = shares.end;
            Record {
                adapter: self.adapter_words[self.adapters[at] as usize],
                prompt_tokens: self.prompt_tokens[at],
                completion_tokens: self.completion_tokens[at],
                time: self.times[at],
                shares: shares
                    .map(|share| Share {
                        source: self.source_words[self.sources[share] as usize],
                        weight: self.weights[share],
                    })
                    .collect(),
            }
        })
    }

    /// Bits that each column takes.
    pub fn costs(&self) -> [(Column, f64); 8] {
        let mut columns = self.clone();
        Column::ALL.map(|column| {
            let mut cost = Cost::default();
            columns.code(column, &mut cost).expect("invariant: counting refuses nothing");
            (column, cost.bits)
        })
    }

    fn are_in_order(&self) -> bool {
        let order = |at| (self.times[at], self.adapters[at]);
        (1..self.record_count()).all(|at| order(at - 1) <= order(at))
    }

    /// Codes one column. Those before it are known.
    pub(super) fn code(&mut self, column: Column, coder: &mut impl Coder) -> Result<(), Fault> {
        match column {
            Column::Order => {
                self.in_order = coder.uniform(2, || self.in_order.into())? == 1;
                Ok(())
            }
            Column::Time => self.code_times(coder),
            Column::Adapter => self.code_adapters(coder),
            Column::Shares => self.code_shares(coder),
            Column::Source => self.code_sources(coder),
            Column::Weight => self.code_weights(coder),
            Column::PromptTokens => code_tokens(&mut self.prompt_tokens, coder),
            Column::CompletionTokens => code_tokens(&mut self.completion_tokens, coder),
        }
    }

    fn code_times(&mut self, coder: &mut impl Coder) -> Result<(), Fault> {
        let (mut gaps, mut runs) = (Numbers::new(32), Numbers::new(RUN_BITS));
        let records = self.times.len();
        let (mut at, mut least) = (0, Some(0_u32));
        while at < records {
            let after = least.ok_or(Fault::TimeTooLarge)?;
            let times = &mut self.times[at..];
            let gap = gaps.code(coder, || times[0] - after)?;
            let time = after.checked_add(gap).ok_or(Fault::TimeTooLarge)?;
            let same = || times.iter().take_while(|other| **other == time).count() as u32 - 1;
            let run = runs.code(coder, same)? as usize + 1;
            times.get_mut(..run).ok_or(Fault::TooManyAtOnce)?.fill(time);
            at += run;
            least = time.checked_add(1);
        }
        Ok(())
    }

    fn code_adapters(&mut self, coder: &mut impl Coder) -> Result<(), Fault> {
        words::code(&mut self.adapter_words, self.times.len(), coder)?;
        let mut model = Frequencies::new(self.adapter_words.len(), WORD.0, WORD.1);
        if self.in_order {
            for run in runs(&self.times) {
                let adapters = &mut self.adapters[run];
                let (mut left, mut after) = (adapters.len() as u32, 0);
                for adapter in &mut *adapters {
                    let found = model.code_smallest(coder, || *adapter, after, left)?;
                    *adapter = found.symbol;
                    left -= 1;
                    // The same may come again: it keeps half of its counts.
                    after = after.max(found.from + (found.to - found.from) / 2);
                }
                for adapter in adapters {
                    model.add(*adapter);
                }
            }
        } else {
            for adapter in &mut self.adapters {
                *adapter = model.code(coder, || *adapter)?;
            }
            if self.are_in_order() {
                return Err(Fault::OrderNotMarked);
            }
        }
        check_used(&self.adapter_words, &self.adapters)
    }

    fn code_shares(&mut self, coder: &mut impl Coder) -> Result<(), Fault> {
        let mut model = Frequencies::new(MAX_SHARES, SHARES.0, SHARES.1);
        for shares in &mut self.shares {
            *shares = model.code(coder, || u32::from(*shares) - 1)? as u8 + 1;
        }
        Ok(())
    }

    fn code_sources(&mut self, coder: &mut impl Coder) -> Result<(), Fault> {
        let shares = self.share_count();
        words::code(&mut self.source_words, shares, coder)?;
        self.sources.resize(shares, 0);
        let mut model = Frequencies::new(self.source_words.len(), WORD.0, WORD.1);
        let mut rest = &mut self.sources[..];
        for shares in &self.shares {
            let (sources, others) = rest.split_at_mut((*shares).into());
            rest = others;
            let (mut left, mut after) = (u32::from(*shares), 0);
            for source in &mut *sources {
                if after == model.total() {
                    return Err(Fault::NoSourceLeft);
                }
                let found = model.code_smallest(coder, || *source, after, left)?;
                *source = found.symbol;
                left -= 1;
                after = found.to;
            }
            for source in sources {
                model.add(*source);
            }
        }
        check_used(&self.source_words, &self.sources)
    }

    fn code_weights(&mut self, coder: &mut impl Coder) -> Result<(), Fault> {
        self.weights.resize(self.sources.len(), 0);
        let mut model = Weights::new();
        let mut from = 0;
        for shares in &self.shares {
            let shares = (*shares).into();
            model.code(coder, &mut self.weights, from, shares)?;
            from += shares;
        }
        Ok(())
    }
}

fn code_tokens(tokens: &mut [u32], coder: &mut impl Coder) -> Result<(), Fault> {
    let mut model = Numbers::new(TOKEN_BITS);
    for tokens in tokens {
        *tokens = model.code(coder, || *tokens)?;
    }
    Ok(())
}

/// Records at the same time.
fn runs(times: &[u32]) -> impl Iterator<Item = std::ops::Range<usize>> + '_ {
    let mut at = 0;
    times.chunk_by(|one, other| one.cmp(other) == Ordering::Equal).map(move |run| {
        let from = at;
        at += run.len();
        from..at
    })
}

fn distinct(words: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut words: Vec<_> = words.collect();
    words.sort_unstable();
    words.dedup();
    words
}

/// Where each of `used` stands in `words`.
fn places(words: &[u32], used: impl Iterator<Item = u32>) -> Vec<u32> {
    used.map(|word| {
        words.binary_search(&word).expect("invariant: the list has all words that are used") as u32
    })
    .collect()
}

fn check_used(words: &[u32], used: &[u32]) -> Result<(), Fault> {
    let mut seen = vec![false; words.len()];
    for place in used {
        seen[*place as usize] = true;
    }
    if seen.contains(&false) { Err(Fault::UnusedWord) } else { Ok(()) }
}
