//! How a whole is split.

use super::{
    Coder, Fault, Frequencies,
    frequencies::{POINT, power},
};
use crate::{MAX_SHARES, WHOLE};
use std::sync::LazyLock;

/// Parts into which the range of a weight is cut, equally likely when all splits are.
const PARTS: usize = 16;

/// Where the parts begin, in 1/65,536 of the range: `STARTS[shares left][part]`.
///
/// Of the ways to split a range into `shares` pieces, a part `x^(shares - 1)` has a first piece larger
/// than `1 - x` of it.
static STARTS: LazyLock<[[u32; PARTS + 1]; MAX_SHARES + 1]> = LazyLock::new(|| {
    std::array::from_fn(|shares| {
        std::array::from_fn(|part| {
            if part == PARTS {
                return 65_536;
            }
            if shares < 2 {
                return 0;
            }
            let larger = ((PARTS - part) as u64) << (POINT - PARTS.ilog2());
            // The largest x, in 1/65,536, whose power is not above it.
            let (mut fits, mut exceeds) = (0, 65_537);
            while exceeds - fits > 1 {
                let middle = (fits + exceeds) / 2;
                if power(middle << (POINT - 16), shares as u32 - 1) <= larger {
                    fits = middle;
                } else {
                    exceeds = middle;
                }
            }
            65_536 - fits as u32
        })
    })
});

/// An adaptive model of weights: the last split into as many shares again, or else one share after
/// the other, each as a part of its range and a place in that part. The last share has what is left.
#[derive(Debug)]
pub(crate) struct Weights {
    again: [Frequencies; MAX_SHARES + 1],
    part: [Frequencies; MAX_SHARES + 1],
    /// Where the last split into so many shares began.
    last: [Option<usize>; MAX_SHARES + 1],
}

impl Weights {
    pub(crate) fn new() -> Self {
        Self {
            again: std::array::from_fn(|_| Frequencies::new(2, 1, 2)),
            part: std::array::from_fn(|_| Frequencies::new(PARTS, 2, 1)),
            last: [None; MAX_SHARES + 1],
        }
    }

    /// Codes `weights[from..from + shares]`, which add up to [`WHOLE`], and learns from them.
    #[inline]
    pub(crate) fn code(
        &mut self,
        coder: &mut impl Coder,
        weights: &mut [u16],
        from: usize,
        shares: usize,
    ) -> Result<(), Fault> {
        if shares == 1 {
            weights[from] = WHOLE as u16;
            return Ok(());
        }
        let (before, now) = weights.split_at_mut(from);
        let now = &mut now[..shares];
        let last = self.last[shares].replace(from).map(|last| &before[last..last + shares]);
        if let Some(last) = last
            && self.again[shares].code(coder, || u32::from(last == now))? == 1
        {
            now.copy_from_slice(last);
            return Ok(());
        }
        let mut left = WHOLE;
        for (at, weight) in now.iter_mut().enumerate() {
            let shares = shares - at;
            if shares == 1 {
                *weight = left as u16;
                break;
            }
            // Each of the others takes at least one.
            let choices = left - (shares as u32 - 1);
            let starts = &STARTS[shares];
            let start = |part: usize| (choices * starts[part]) >> 16;
            let given = u32::from(*weight).wrapping_sub(1);
            let part = self.part[shares].code(coder, || {
                starts.partition_point(|start| (choices * start) >> 16 <= given) as u32 - 1
            })? as usize;
            let (begin, end) = (start(part), start(part + 1));
            if begin == end {
                return Err(Fault::NoSymbol);
            }
            let place = coder.uniform((end - begin).into(), || (given - begin).into())? as u32;
            *weight = (begin + place + 1) as u16;
            left -= begin + place + 1;
        }
        if last.is_some_and(|last| last == now) { Err(Fault::RepeatNotMarked) } else { Ok(()) }
    }
}
