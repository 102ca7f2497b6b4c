//! Whole numbers whose size varies.

use super::{Coder, Fault, Frequencies};

/// Bits after the highest that are modelled.
const FINE: u32 = 2;
/// Numbers below it are symbols of their own.
const SMALL: u32 = 1 << FINE;
/// What a symbol counts each time it comes, against 1 at the start.
const STEP: u32 = 24;

/// An adaptive model of numbers, fine in proportion to their size: the place of the highest bit and
/// the two bits after it are one symbol, the bits below those are all equally likely.
#[derive(Clone, Debug)]
pub(crate) struct Numbers {
    lead: Frequencies,
}

impl Numbers {
    /// Numbers of at most `bits` bits, up to 32.
    pub(crate) fn new(bits: u32) -> Self {
        Self { lead: Frequencies::new(((bits + 1 - FINE) * SMALL) as usize, 1, STEP) }
    }

    /// Codes a number and learns from it.
    #[inline]
    pub(crate) fn code(
        &mut self,
        coder: &mut impl Coder,
        number: impl Fn() -> u32,
    ) -> Result<u32, Fault> {
        let lead = self.lead.code(coder, || {
            let number = number();
            if number < SMALL {
                return number;
            }
            let below = number.ilog2() - FINE;
            (below << FINE) + (number >> below)
        })?;
        if lead < 2 * SMALL {
            return Ok(lead);
        }
        let below = (lead >> FINE) - 1;
        let low = coder.uniform(1 << below, || (number() & ((1 << below) - 1)).into())?;
        Ok((SMALL | (lead % SMALL)) << below | low as u32)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{RangeDecoder, RangeEncoder};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn numbers_come_back(numbers: Vec<u32>, bits in 3_u32..=32) {
            let mask = u32::MAX >> (32 - bits);
            let numbers: Vec<u32> = numbers.into_iter().map(|number| number & mask).collect();
            let mut coder = RangeEncoder::new();
            let mut model = Numbers::new(bits);
            for number in &numbers {
                model.code(&mut coder, || *number).expect("a symbol");
            }
            let bytes = coder.finish();
            let mut coder = RangeDecoder::new(&bytes);
            let mut model = Numbers::new(bits);
            for number in &numbers {
                prop_assert_eq!(model.code(&mut coder, || unreachable!()), Ok(*number));
            }
            prop_assert_eq!(coder.finish(), Ok(()));
        }
    }
}
