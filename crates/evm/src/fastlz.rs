//! The length that FastLZ level 1 compresses bytes to, without compressing them.
//!
//! It is the estimate behind Fjord's L1 fee, so the algorithm is fixed to the last quirk
//! (specs: `fjord/exec-engine.md`; op-geth `FlzCompressLen`). What is free is the hash table: the
//! specified one starts out zeroed, 32 KiB for every transaction, as much as a core's first-level
//! cache. This one is kept, and positions of earlier inputs are told apart by an offset.

use std::cell::RefCell;

const TABLE_LEN: usize = 1 << 13;
/// How far back a match may lie.
const WINDOW: u32 = 8_192;
/// The last bytes of an input are always literals.
const TAIL: u32 = 13;
/// The longest run that one match instruction copies, less its first two bytes.
const MAX_MATCH: u32 = 262;

/// Where a hash of three bytes was seen last.
struct Table {
    /// Added to the positions of the input at hand; what is below is of an earlier one.
    offset: u32,
    seen: Box<[u32; TABLE_LEN]>,
}

thread_local! {
    static TABLE: RefCell<Table> =
        RefCell::new(Table { offset: 1, seen: Box::new([0; TABLE_LEN]) });
}

/// The compressed length of `input`, whose own length must be below 4 GiB.
pub(crate) fn compressed_len(input: &[u8]) -> u32 {
    TABLE.with_borrow_mut(|table| {
        let len = table.compressed_len(input);
        table.forget(input.len() as u32);
        len
    })
}

impl Table {
    /// Records `at` for these three bytes and returns where they were before; 0 if nowhere.
    fn replace(&mut self, sequence: u32, at: u32) -> u32 {
        let slot = sequence.wrapping_mul(2_654_435_769) >> 19;
        let before = std::mem::replace(&mut self.seen[slot as usize], self.offset + at);
        before.saturating_sub(self.offset)
    }

    /// Makes every recorded position one of an earlier input.
    fn forget(&mut self, len: u32) {
        match self.offset.checked_add(len).filter(|offset| *offset < u32::MAX / 2) {
            Some(offset) => self.offset = offset,
            None => {
                self.seen.fill(0);
                self.offset = 1;
            }
        }
    }

    fn compressed_len(&mut self, input: &[u8]) -> u32 {
        let len = input.len() as u32;
        let limit = len.saturating_sub(TAIL);
        let mut size = 0;
        // Everything before `anchor` is accounted for.
        let mut anchor = 0;
        let mut at = 2;
        while at < limit {
            let before = loop {
                let sequence = three_bytes(input, at);
                let before = self.replace(sequence, at);
                if at >= limit {
                    break None;
                }
                at += 1;
                if at - 1 - before < WINDOW && sequence == three_bytes(input, before) {
                    break Some(before);
                }
            };
            // A match at the very last position is not used.
            let Some(before) = before.filter(|_| at < limit) else { break };
            at -= 1;
            if at > anchor {
                size += literals(at - anchor);
            }
            let matched = match_len(input, before + 3, at + 3, limit + TAIL - 4);
            size += copy(matched);
            at += matched;
            for _ in 0..2 {
                self.replace(three_bytes(input, at), at);
                at += 1;
            }
            anchor = at;
        }
        size + literals(len - anchor)
    }
}

/// Runs of up to 32 bytes, each behind one byte.
const fn literals(count: u32) -> u32 {
    count + count.div_ceil(32)
}

/// Match instructions for a run of `matched + 2` bytes: two bytes, or three for a long one.
const fn copy(matched: u32) -> u32 {
    let more = matched - 1;
    3 * (more / MAX_MATCH) + if more % MAX_MATCH >= 6 { 3 } else { 2 }
}

/// How many bytes from `a` and `b` on are equal before `end`, counting the first that is not.
fn match_len(input: &[u8], a: u32, b: u32, end: u32) -> u32 {
    let (a, b, end) = (a as usize, b as usize, end as usize);
    let equal = input[a..].iter().zip(&input[b..end]).take_while(|(a, b)| a == b).count();
    (equal + usize::from(b + equal < end)) as u32
}

fn three_bytes(input: &[u8], at: u32) -> u32 {
    let at = at as usize;
    u32::from_le_bytes([input[at], input[at + 1], input[at + 2], 0])
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;
    use op_revm::estimate_tx_compressed_size;
    use proptest::prelude::*;

    #[test]
    fn known_lengths() {
        // op-geth `core/types/rollup_cost_test.go`
        let call = hex!(
            "02f901550a758302df1483be21b88304743f94f80e51afb613d764fa61751affd3313c190a86bb870151bd62fd12adb8e41ef24f3f000000000000000000000000000000000000000000000000000000000000006e000000000000000000000000af88d065e77c8cc2239327c5edb3a432268e5831000000000000000000000000000000000000000000000000000000000003c1e5000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000a000000000000000000000000000000000000000000000000000000000000000148c89ed219d02f1a5be012c689b4f5b731827bebe000000000000000000000000c001a033fd89cb37c31b2cba46b6466e040c61fc9b2a3675a7f5f493ebd5ad77c497f8a07cdf65680e238392693019b4092f610222e71b7cec06449cb922b93b6a12744e"
        );
        let cases: [(&[u8], u32); 5] =
            [(&[], 0), (&[0; 1000], 21), (&[42; 1000], 21), (&hex!("facade"), 4), (&call, 202)];
        for (input, len) in cases {
            assert_eq!(compressed_len(input), len);
        }
    }

    #[test]
    fn earlier_inputs_are_forgotten() {
        let input: Vec<_> = (0..3_000_u32).map(|i| (i * i / 7) as u8).collect();
        let fresh = Table { offset: 1, seen: Box::new([0; TABLE_LEN]) }.compressed_len(&input);
        for _ in 0..10 {
            assert_eq!(compressed_len(&input), fresh);
        }
        // Also where offsets run out.
        let mut table = Table { offset: u32::MAX / 2 - 5_000, seen: Box::new([0; TABLE_LEN]) };
        for _ in 0..4 {
            assert_eq!(table.compressed_len(&input), fresh);
            table.forget(input.len() as u32);
        }
        assert!(table.offset < u32::MAX / 4);
    }

    /// Pieces that repeat, as calldata does.
    fn inputs() -> impl Strategy<Value = Vec<u8>> {
        let piece = prop_oneof![
            proptest::collection::vec(any::<u8>(), 0..40),
            proptest::collection::vec(0..3_u8, 0..40),
            (any::<u8>(), 0..600_usize).prop_map(|(byte, len)| vec![byte; len]),
        ];
        (proptest::collection::vec(piece, 1..12), proptest::collection::vec(any::<usize>(), 0..60))
            .prop_map(|(pieces, order)| {
                order.into_iter().flat_map(|i| pieces[i % pieces.len()].clone()).collect()
            })
    }

    proptest! {
        /// op-revm's own measure shows above the minimum only, which most of these are.
        #[test]
        fn agrees_with_op_revm(input in inputs()) {
            let ours = crate::EstimatedSize::of(&input).scaled();
            prop_assert_eq!(ours, estimate_tx_compressed_size(&input));
        }
    }
}
