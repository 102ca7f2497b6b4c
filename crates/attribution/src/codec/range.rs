//! The range coder: symbols with their shares of a range, as one number.
//!
//! A message is an interval of numbers between 0 and 1. Each symbol narrows it to its own part; in
//! the end the shortest number in the interval is written down (G. N. N. Martin, "Range encoding:
//! an algorithm for removing redundancy from a digitised message", 1979). The arithmetic is on
//! integers of 64 bits, so that encoder and decoder agree everywhere.

use super::{Coder, Fault};

/// Bits of the interval that are kept; those before them are written.
const WINDOW: u32 = 56;
/// Below it the interval is widened by a byte.
const NARROW: u64 = 1 << (WINDOW - 8);
/// The largest total that symbols share. Leaves the interval at least 2^16 times as wide.
pub(crate) const MAX_TOTAL: u64 = 1 << 32;

/// Writes a number.
#[derive(Debug)]
pub(crate) struct RangeEncoder {
    bytes: Vec<u8>,
    /// The interval's start, less what is in `bytes`.
    low: u64,
    range: u64,
}

impl RangeEncoder {
    pub(crate) fn new() -> Self {
        Self { bytes: Vec::new(), low: 0, range: 1 << WINDOW }
    }

    #[inline]
    fn narrow(&mut self, from: u64, size: u64, total: u64) {
        debug_assert!(size > 0 && from + size <= total && total <= MAX_TOTAL);
        let unit = self.range / total;
        self.low += unit * from;
        self.range = unit * size;
        while self.range < NARROW {
            self.shift();
        }
    }

    /// Writes the first byte of the window.
    fn shift(&mut self) {
        if self.low >> WINDOW != 0 {
            self.carry();
        }
        self.bytes.push((self.low >> (WINDOW - 8)) as u8);
        self.low = (self.low << 8) & ((1 << WINDOW) - 1);
        self.range <<= 8;
    }

    fn carry(&mut self) {
        self.low &= (1 << WINDOW) - 1;
        for byte in self.bytes.iter_mut().rev() {
            *byte = byte.wrapping_add(1);
            if *byte != 0 {
                return;
            }
        }
        unreachable!("the interval ends at 1 at the latest");
    }

    /// The shortest number in the interval, the smallest of them, without its zeros at the end.
    pub(crate) fn finish(mut self) -> Vec<u8> {
        let end = self.low + self.range;
        for kept in 0..=WINDOW / 8 {
            let rest = (1_u64 << (WINDOW - 8 * kept)) - 1;
            let number = (self.low + rest) & !rest;
            if number < end {
                self.low = number;
                for _ in 0..kept {
                    self.shift();
                }
                if self.low >> WINDOW != 0 {
                    self.carry();
                }
                break;
            }
        }
        while self.bytes.last() == Some(&0) {
            self.bytes.pop();
        }
        self.bytes
    }
}

impl Coder for RangeEncoder {
    #[inline]
    fn code<T: Copy>(
        &mut self,
        total: u64,
        given: impl FnOnce() -> T,
        part: impl Fn(T) -> (u64, u64),
        _find: impl Fn(u64) -> T,
    ) -> Result<T, Fault> {
        let given = given();
        let (from, size) = part(given);
        self.narrow(from, size, total);
        Ok(given)
    }
}

/// Reads a number.
#[derive(Debug)]
pub(crate) struct RangeDecoder<'a> {
    bytes: &'a [u8],
    /// Bytes of the number, with the zeros after it, that are in the window or before it.
    read: usize,
    /// The number, less the interval's start.
    offset: u64,
    range: u64,
}

impl<'a> RangeDecoder<'a> {
    /// Takes the number; zeros follow it.
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        let mut decoder = Self { bytes, read: 0, offset: 0, range: 1 };
        decoder.shift(WINDOW / 8);
        decoder
    }

    /// Takes in at least one byte.
    #[inline]
    fn shift(&mut self, bytes: u32) {
        let next = match self.bytes.get(self.read..).and_then(|rest| rest.first_chunk::<8>()) {
            Some(next) => u64::from_be_bytes(*next),
            None => {
                let mut next = [0; 8];
                let rest = self.bytes.get(self.read..).unwrap_or(&[]);
                next[..rest.len()].copy_from_slice(rest);
                u64::from_be_bytes(next)
            }
        };
        self.offset = self.offset << (8 * bytes) | next >> (64 - 8 * bytes);
        self.range <<= 8 * bytes;
        self.read += bytes as usize;
    }

    /// Checks that an encoder would have written just these bytes.
    pub(crate) fn finish(self) -> Result<(), Fault> {
        let Some(&last) = self.bytes.last() else { return Ok(()) };
        if last == 0 || self.bytes.len() > self.read {
            return Err(Fault::NotShortest);
        }
        let behind = self.read - self.bytes.len();
        if behind >= (WINDOW / 8) as usize {
            return Ok(());
        }
        // What the last byte counts in. One less would be a smaller number; none in its place, and
        // one more in the place before, a shorter one: neither may be in the interval.
        let unit = 1_u64 << (8 * behind);
        let smaller = self.offset >= unit;
        let shorter = self.offset + (256 - u64::from(last)) * unit < self.range;
        if smaller || shorter { Err(Fault::NotShortest) } else { Ok(()) }
    }
}

impl Coder for RangeDecoder<'_> {
    #[inline]
    fn code<T: Copy>(
        &mut self,
        total: u64,
        _given: impl FnOnce() -> T,
        part: impl Fn(T) -> (u64, u64),
        find: impl Fn(u64) -> T,
    ) -> Result<T, Fault> {
        let unit = self.range / total;
        let at = self.offset / unit;
        if at >= total {
            return Err(Fault::NoSymbol);
        }
        let found = find(at);
        let (from, size) = part(found);
        self.offset -= unit * from;
        self.range = unit * size;
        if self.range < NARROW {
            self.shift((self.range.leading_zeros() - (64 - WINDOW)) / 8);
        }
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn write(symbols: &[(u64, u64)]) -> Vec<u8> {
        let mut coder = RangeEncoder::new();
        for (total, value) in symbols {
            coder.uniform(*total, || *value).expect("a symbol");
        }
        coder.finish()
    }

    fn read(bytes: &[u8], totals: impl Iterator<Item = u64>) -> Result<Vec<u64>, Fault> {
        let mut coder = RangeDecoder::new(bytes);
        let values = totals.map(|total| coder.uniform(total, || unreachable!())).collect();
        coder.finish()?;
        values
    }

    fn symbols() -> impl Strategy<Value = Vec<(u64, u64)>> {
        let total =
            prop_oneof![1_u64..=3, 1_u64..=300, 1_u64..=MAX_TOTAL, Just(MAX_TOTAL), Just(256)];
        let symbol = total
            .prop_flat_map(|total| (Just(total), prop_oneof![0..total, Just(0), Just(total - 1)]));
        prop::collection::vec(symbol, 0..60)
    }

    #[test]
    fn carries_run_through() {
        // The last of 255 of 256 parts, again and again, then a symbol that carries into all of them.
        for length in 0..20 {
            let mut symbols = vec![(256, 255); length];
            symbols.insert(0, (256, 7));
            symbols.push((3, 2));
            let bytes = write(&symbols);
            let values = read(&bytes, symbols.iter().map(|symbol| symbol.0)).expect("as written");
            assert!(values.into_iter().eq(symbols.iter().map(|symbol| symbol.1)));
        }
    }

    proptest! {
        #[test]
        fn symbols_come_back(symbols in symbols()) {
            let bytes = write(&symbols);
            let values = read(&bytes, symbols.iter().map(|symbol| symbol.0)).expect("as written");
            prop_assert!(values.into_iter().eq(symbols.iter().map(|symbol| symbol.1)));
        }

        /// Whatever can be read is what would have been written.
        #[test]
        fn there_is_one_encoding(
            symbols in symbols(), flips in prop::collection::vec((any::<prop::sample::Index>(), 1_u8..), 1..3), cut in 0_usize..3, more: Vec<u8>,
        ) {
            let mut bytes = write(&symbols);
            bytes.truncate(bytes.len().saturating_sub(cut));
            bytes.extend(more.into_iter().take(cut));
            for (index, flip) in flips {
                if !bytes.is_empty() {
                    let index = index.index(bytes.len());
                    bytes[index] ^= flip;
                }
            }
            if let Ok(values) = read(&bytes, symbols.iter().map(|symbol| symbol.0)) {
                let again: Vec<_> =
                    symbols.iter().zip(values).map(|(symbol, value)| (symbol.0, value)).collect();
                prop_assert_eq!(write(&again), bytes);
            }
        }
    }
}
