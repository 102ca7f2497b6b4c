//! How often each symbol came so far.

use super::{Coder, Fault};

/// Bits of the probabilities of [`Frequencies::code_smallest`].
pub(crate) const POINT: u32 = 31;
/// One in 2^FLOOR goes to the symbols by frequency alone, so that none is impossible.
const FLOOR: u32 = 9;
/// When the counts together exceed it, each is halved.
const LIMIT: u32 = 1 << 20;
/// Children of a node.
const WIDTH: usize = 16;
const BITS: usize = WIDTH.ilog2() as usize;

/// For each child of a node the sum of the counts under its elder siblings.
type Node = [u32; WIDTH];

/// An adaptive model of symbols `0..n`: their counts, in a tree of sums.
#[derive(Clone, Debug)]
pub(crate) struct Frequencies {
    /// Nodes by level, leaves last: child `i` of node `n` is node `16 n + i` of the next level.
    nodes: Vec<Node>,
    /// Where each level starts in `nodes`.
    levels: Vec<usize>,
    symbols: usize,
    total: u32,
    step: u32,
}

/// A symbol and its counts: `from..to` of all.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) symbol: u32,
    pub(crate) from: u32,
    pub(crate) to: u32,
}

impl Frequencies {
    /// `symbols` symbols, each seen `start` times; each further time counts `step`.
    pub(crate) fn new(symbols: usize, start: u32, step: u32) -> Self {
        let (mut levels, mut nodes, mut width) = (Vec::new(), 0, symbols);
        while width > 1 || levels.is_empty() {
            width = width.div_ceil(WIDTH);
            levels.push(width);
        }
        levels.reverse();
        for level in &mut levels {
            let size = std::mem::replace(level, nodes);
            nodes += size;
        }
        let mut this = Self { nodes: vec![[0; WIDTH]; nodes], levels, symbols, total: 0, step };
        this.fill(|_| start);
        this
    }

    /// Makes `count(symbol)` the counts.
    fn fill(&mut self, count: impl Fn(usize) -> u32) {
        let mut sums: Vec<u32> = (0..self.symbols).map(count).collect();
        for level in (0..self.levels.len()).rev() {
            let start = self.levels[level];
            sums = sums
                .chunks(WIDTH)
                .enumerate()
                .map(|(at, counts)| {
                    let node = &mut self.nodes[start + at];
                    let mut sum = 0;
                    for (child, place) in node.iter_mut().enumerate() {
                        *place = sum;
                        sum += counts.get(child).copied().unwrap_or(0);
                    }
                    sum
                })
                .collect();
        }
        self.total = sums.iter().sum();
    }

    #[cold]
    fn halve(&mut self) {
        let counts: Vec<u32> = (0..self.symbols as u32)
            .map(|symbol| {
                let found = self.found(symbol);
                found.to - found.from
            })
            .collect();
        self.fill(|symbol| counts[symbol] - counts[symbol] / 2);
    }

    #[inline]
    fn found(&self, symbol: u32) -> Found {
        let (mut from, mut to) = (0, self.total);
        for (level, &start) in self.levels.iter().enumerate() {
            let path = symbol as usize >> (BITS * (self.levels.len() - 1 - level));
            let node = &self.nodes[start + path / WIDTH];
            let child = path % WIDTH;
            if child + 1 < WIDTH {
                to = from + node[child + 1];
            }
            from += node[child];
        }
        Found { symbol, from, to }
    }

    /// The symbol whose counts contain `at`.
    #[inline]
    fn find(&self, at: u32) -> Found {
        let (mut path, mut from, mut to) = (0, 0, self.total);
        for &start in &self.levels {
            let node = &self.nodes[start + path];
            let rest = at - from;
            let child = node.iter().map(|sum| u32::from(*sum <= rest)).sum::<u32>() as usize - 1;
            if child + 1 < WIDTH {
                to = from + node[child + 1];
            }
            from += node[child];
            path = path * WIDTH + child;
        }
        Found { symbol: path as u32, from, to }
    }

    /// The last symbol whose counts begin where it `fits`, which they do at 0.
    #[inline]
    fn find_last(&self, fits: impl Fn(u32) -> bool) -> Found {
        let (mut path, mut from, mut to) = (0, 0, self.total);
        for &start in &self.levels {
            let node = &self.nodes[start + path];
            let mut child = 0;
            let mut step = WIDTH / 2;
            while step > 0 {
                if fits(from + node[child + step]) {
                    child += step;
                }
                step /= 2;
            }
            if child + 1 < WIDTH {
                to = from + node[child + 1];
            }
            from += node[child];
            path = path * WIDTH + child;
        }
        Found { symbol: path as u32, from, to }
    }

    /// Counts a symbol.
    #[inline]
    pub(crate) fn add(&mut self, symbol: u32) {
        let mut path = symbol as usize;
        for &start in self.levels.iter().rev() {
            let node = &mut self.nodes[start + path / WIDTH];
            let child = (path % WIDTH) as u32;
            for (at, sum) in (0_u32..).zip(node) {
                *sum += if at > child { self.step } else { 0 };
            }
            path /= WIDTH;
        }
        self.total += self.step;
        if self.total > LIMIT {
            self.halve();
        }
    }

    /// Codes a symbol and learns from it.
    #[inline]
    pub(crate) fn code(
        &mut self,
        coder: &mut impl Coder,
        symbol: impl FnOnce() -> u32,
    ) -> Result<u32, Fault> {
        let found = coder.code(
            self.total.into(),
            || self.found(symbol()),
            |found| (found.from.into(), (found.to - found.from).into()),
            |at| self.find(at as u32),
        )?;
        self.add(found.symbol);
        Ok(found.symbol)
    }

    /// Codes the smallest of `draws` symbols drawn by frequency, none of them before the count
    /// `after`, which is less than all. Does not learn from it.
    ///
    /// Symbols in order carry less than symbols in any order: if a share `x` of the counts lies behind a
    /// place, then the smallest of the draws does with probability `x^draws`.
    #[inline]
    pub(crate) fn code_smallest(
        &self,
        coder: &mut impl Coder,
        symbol: impl FnOnce() -> u32,
        after: u32,
        draws: u32,
    ) -> Result<Found, Fault> {
        if draws == 1 {
            return coder.code(
                (self.total - after).into(),
                || self.found(symbol()),
                |found| {
                    let from = found.from.max(after);
                    ((from - after).into(), (found.to - from).into())
                },
                |at| self.find(at as u32 + after),
            );
        }
        let law = Smallest::new(self.total, after, draws);
        coder.code(
            law.before(self.total),
            || self.found(symbol()),
            |found| {
                let from = law.before(found.from.max(after));
                (from, law.before(found.to) - from)
            },
            |at| self.find_last(|sum| sum <= after || law.before(sum) <= at),
        )
    }

    /// All counts together.
    pub(crate) fn total(&self) -> u32 {
        self.total
    }
}

/// Where the smallest of several draws lies.
struct Smallest {
    total: u32,
    after: u32,
    draws: u32,
    inverse: u64,
}

impl Smallest {
    #[inline]
    fn new(total: u32, after: u32, draws: u32) -> Self {
        let inverse = (1_u64 << (POINT + 31)) / u64::from(total - after);
        Self { total, after, draws, inverse }
    }

    /// The probability that it is before `place`, growing with each count.
    #[inline]
    fn before(&self, place: u32) -> u64 {
        if place == self.after {
            return 0;
        }
        let behind = (u64::from(self.total - place) * self.inverse) >> 31;
        let share = (u64::from(place - self.after) * self.inverse) >> (31 + FLOOR);
        (1 << POINT) - power(behind, self.draws) + share + 1
    }
}

/// `base^exponent` of fractions of 31 bits.
#[inline]
pub(crate) fn power(mut base: u64, mut exponent: u32) -> u64 {
    let mut result = 1 << POINT;
    loop {
        if exponent & 1 != 0 {
            result = (result * base) >> POINT;
        }
        exponent >>= 1;
        if exponent == 0 {
            return result;
        }
        base = (base * base) >> POINT;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{RangeDecoder, RangeEncoder};
    use proptest::prelude::*;

    #[test]
    fn symbols_have_their_counts() {
        for symbols in [1, 2, 15, 16, 17, 255, 256, 257, 5_000] {
            let mut model = Frequencies::new(symbols, 3, 5);
            let mut counts = vec![3; symbols];
            for round in 0..200 {
                let symbol = round * round % symbols;
                model.add(symbol as u32);
                counts[symbol] += 5;
            }
            let mut from = 0;
            for (symbol, count) in (0..).zip(counts) {
                let found = Found { symbol, from, to: from + count };
                assert_eq!(model.found(symbol), found);
                for at in [from, from + count - 1] {
                    assert_eq!(model.find(at), found);
                    assert_eq!(model.find_last(|sum| sum <= at), found);
                }
                from += count;
            }
            assert_eq!(model.total(), from);
        }
    }

    #[test]
    fn halving_keeps_every_symbol() {
        let mut model = Frequencies::new(20, 1, LIMIT / 3);
        for _ in 0..40 {
            model.add(7);
            assert!(model.total() <= LIMIT);
        }
        for symbol in 0..20 {
            let found = model.found(symbol);
            assert!(found.to > found.from);
        }
    }

    proptest! {
        /// The part of each symbol is not empty, however unlikely it is.
        #[test]
        fn the_smallest_of_many_comes_back(
            counts in prop::collection::vec(prop_oneof![Just(0_usize), 0..2_000_usize], 1..40),
            draws in prop_oneof![1_u32..20, 1_u32..70_000],
            order: prop::sample::Index, half: bool,
        ) {
            let mut model = Frequencies::new(counts.len(), 1, 1);
            for (symbol, count) in (0..).zip(&counts) {
                for _ in 0..*count {
                    model.add(symbol);
                }
            }
            let first = model.found(order.index(counts.len()) as u32);
            let after = if half { (first.from + first.to) / 2 } else { first.from };
            for symbol in first.symbol..counts.len() as u32 {
                let mut coder = RangeEncoder::new();
                model.code_smallest(&mut coder, || symbol, after, draws).expect("a symbol");
                let bytes = coder.finish();
                let mut coder = RangeDecoder::new(&bytes);
                let found = model.code_smallest(&mut coder, || unreachable!(), after, draws).expect("a symbol");
                prop_assert_eq!(found, model.found(symbol));
                prop_assert_eq!(coder.finish(), Ok(()));
            }
        }
    }
}
