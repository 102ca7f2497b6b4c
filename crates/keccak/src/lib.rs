#![doc = include_str!("../README.md")]

use alloy_primitives::{B256, keccak256};

/// Messages hashed together.
pub const LANES: usize = 8;
/// Bytes one permutation takes in.
pub const RATE: usize = 136;
/// Blocks a message may have: the RLP of a branch of sixteen hashes (532 bytes) takes four.
const MAX_BLOCKS: usize = 4;
/// Bytes a message may have at most: the last block has room for the padding.
pub const MAX_MESSAGE: usize = MAX_BLOCKS * RATE - 1;

/// Up to [`LANES`] messages that take the same number of blocks.
#[derive(Debug)]
struct Batch<T> {
    tags: [Option<T>; LANES],
    lengths: [usize; LANES],
    used: usize,
    bytes: [[u8; MAX_BLOCKS * RATE]; LANES],
}

/// Gathers messages, hashes them when a batch is full, and hands out hashes under the messages'
/// tags, in any order.
#[derive(Debug)]
pub struct Hasher<T> {
    /// By number of blocks, less one.
    batches: [Batch<T>; MAX_BLOCKS],
}

impl<T: Copy> Hasher<T> {
    /// An empty one. It is large, so it comes boxed.
    pub fn new() -> Box<Self> {
        Box::new(Self {
            batches: std::array::from_fn(|_| Batch {
                tags: [None; LANES],
                lengths: [0; LANES],
                used: 0,
                bytes: [[0; MAX_BLOCKS * RATE]; LANES],
            }),
        })
    }

    /// Takes a message of at most [`MAX_MESSAGE`] bytes; `done` gets the hashes that this makes ready.
    ///
    /// # Panics
    /// If the message is longer.
    #[inline]
    pub fn push(&mut self, tag: T, message: &[u8], done: &mut impl FnMut(T, B256)) {
        let blocks = message.len() / RATE + 1;
        let batch = &mut self.batches[blocks - 1];
        let lane = batch.used;
        batch.bytes[lane][..message.len()].copy_from_slice(message);
        batch.tags[lane] = Some(tag);
        batch.lengths[lane] = message.len();
        batch.used += 1;
        if batch.used == LANES {
            batch.flush(blocks, done);
        }
    }

    /// Hashes what is left.
    pub fn finish(&mut self, done: &mut impl FnMut(T, B256)) {
        for (at, batch) in self.batches.iter_mut().enumerate() {
            if batch.used > 0 {
                batch.flush(at + 1, done);
            }
        }
    }
}

impl<T: Copy> Batch<T> {
    fn flush(&mut self, blocks: usize, done: &mut impl FnMut(T, B256)) {
        let used = std::mem::take(&mut self.used);
        let mut hashes = [B256::ZERO; LANES];
        if used < worthwhile() {
            for (lane, hash) in hashes.iter_mut().enumerate().take(used) {
                *hash = keccak256(&self.bytes[lane][..self.lengths[lane]]);
            }
        } else {
            let end = blocks * RATE;
            for (bytes, length) in self.bytes.iter_mut().zip(self.lengths).take(used) {
                bytes[length..end].fill(0);
                bytes[length] = 0x01;
                bytes[end - 1] |= 0x80;
            }
            many(&self.bytes, blocks, used, &mut hashes);
        }
        for (tag, hash) in self.tags.iter().zip(hashes).take(used) {
            if let Some(tag) = tag {
                done(*tag, hash);
            }
        }
    }
}

/// From how many messages on it pays to hash them together.
fn worthwhile() -> usize {
    #[cfg(target_arch = "x86_64")]
    {
        if std::arch::is_x86_feature_detected!("avx512f") {
            return 2;
        }
        if std::arch::is_x86_feature_detected!("avx2") {
            return 3;
        }
    }
    LANES + 1
}

/// Hashes `used` padded messages of `blocks` blocks.
#[cfg_attr(not(target_arch = "x86_64"), allow(unused_variables))]
fn many(
    bytes: &[[u8; MAX_BLOCKS * RATE]; LANES],
    blocks: usize,
    used: usize,
    hashes: &mut [B256; LANES],
) {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx512f") {
        // SAFETY: the processor has AVX-512F.
        unsafe { avx512::hash(bytes, 0, blocks, hashes) }
    } else {
        for first in (0..used).step_by(avx2::WIDTH) {
            // SAFETY: `worthwhile` sends messages here only if the processor has AVX2.
            unsafe { avx2::hash(bytes, first, blocks, hashes) }
        }
    }
}

#[cfg(target_arch = "x86_64")]
const ROUND_CONSTANTS: [u64; 24] = [
    0x0000_0000_0000_0001,
    0x0000_0000_0000_8082,
    0x8000_0000_0000_808a,
    0x8000_0000_8000_8000,
    0x0000_0000_0000_808b,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8009,
    0x0000_0000_0000_008a,
    0x0000_0000_0000_0088,
    0x0000_0000_8000_8009,
    0x0000_0000_8000_000a,
    0x0000_0000_8000_808b,
    0x8000_0000_0000_008b,
    0x8000_0000_0000_8089,
    0x8000_0000_0000_8003,
    0x8000_0000_0000_8002,
    0x8000_0000_0000_0080,
    0x0000_0000_0000_800a,
    0x8000_0000_8000_000a,
    0x8000_0000_8000_8081,
    0x8000_0000_0000_8080,
    0x0000_0000_8000_0001,
    0x8000_0000_8000_8008,
];

/// The sponge over vectors, given the few operations that differ between instruction sets.
#[cfg(target_arch = "x86_64")]
macro_rules! sponge {
    ($feature:literal) => {
        /// Hashes the messages in lanes `first..first + WIDTH`, padded to `blocks` blocks.
        #[target_feature(enable = $feature)]
        pub(super) fn hash(
            bytes: &[[u8; MAX_BLOCKS * RATE]; LANES],
            first: usize,
            blocks: usize,
            hashes: &mut [B256; LANES],
        ) {
            let mut state = [splat(0); 25];
            for block in 0..blocks {
                for (word, lane) in state.iter_mut().take(RATE / 8).enumerate() {
                    let at = block * RATE + word * 8;
                    *lane = xor(
                        *lane,
                        load(|index| {
                            let bytes = &bytes[first + index][at..at + 8];
                            u64::from_le_bytes(bytes.try_into().expect("invariant: eight bytes"))
                        }),
                    );
                }
                permute(&mut state);
            }
            for (word, lane) in state.into_iter().take(4).enumerate() {
                for (index, value) in store(lane).into_iter().enumerate() {
                    hashes[first + index][word * 8..word * 8 + 8]
                        .copy_from_slice(&value.to_le_bytes());
                }
            }
        }

        /// Keccak-f[1600] (FIPS 202, section 3).
        #[target_feature(enable = $feature)]
        fn permute(state: &mut [Vector; 25]) {
            let mut a = *state;
            for constant in ROUND_CONSTANTS {
                let c0 = xor5(a[0], a[5], a[10], a[15], a[20]);
                let c1 = xor5(a[1], a[6], a[11], a[16], a[21]);
                let c2 = xor5(a[2], a[7], a[12], a[17], a[22]);
                let c3 = xor5(a[3], a[8], a[13], a[18], a[23]);
                let c4 = xor5(a[4], a[9], a[14], a[19], a[24]);
                let d = [
                    xor(c4, rotate::<1, 63>(c1)),
                    xor(c0, rotate::<1, 63>(c2)),
                    xor(c1, rotate::<1, 63>(c3)),
                    xor(c2, rotate::<1, 63>(c4)),
                    xor(c3, rotate::<1, 63>(c0)),
                ];
                let b = [
                    xor(a[0], d[0]),
                    rotate::<44, 20>(xor(a[6], d[1])),
                    rotate::<43, 21>(xor(a[12], d[2])),
                    rotate::<21, 43>(xor(a[18], d[3])),
                    rotate::<14, 50>(xor(a[24], d[4])),
                    rotate::<28, 36>(xor(a[3], d[3])),
                    rotate::<20, 44>(xor(a[9], d[4])),
                    rotate::<3, 61>(xor(a[10], d[0])),
                    rotate::<45, 19>(xor(a[16], d[1])),
                    rotate::<61, 3>(xor(a[22], d[2])),
                    rotate::<1, 63>(xor(a[1], d[1])),
                    rotate::<6, 58>(xor(a[7], d[2])),
                    rotate::<25, 39>(xor(a[13], d[3])),
                    rotate::<8, 56>(xor(a[19], d[4])),
                    rotate::<18, 46>(xor(a[20], d[0])),
                    rotate::<27, 37>(xor(a[4], d[4])),
                    rotate::<36, 28>(xor(a[5], d[0])),
                    rotate::<10, 54>(xor(a[11], d[1])),
                    rotate::<15, 49>(xor(a[17], d[2])),
                    rotate::<56, 8>(xor(a[23], d[3])),
                    rotate::<62, 2>(xor(a[2], d[2])),
                    rotate::<55, 9>(xor(a[8], d[3])),
                    rotate::<39, 25>(xor(a[14], d[4])),
                    rotate::<41, 23>(xor(a[15], d[0])),
                    rotate::<2, 62>(xor(a[21], d[1])),
                ];
                a[0] = chi(b[0], b[1], b[2]);
                a[1] = chi(b[1], b[2], b[3]);
                a[2] = chi(b[2], b[3], b[4]);
                a[3] = chi(b[3], b[4], b[0]);
                a[4] = chi(b[4], b[0], b[1]);
                a[5] = chi(b[5], b[6], b[7]);
                a[6] = chi(b[6], b[7], b[8]);
                a[7] = chi(b[7], b[8], b[9]);
                a[8] = chi(b[8], b[9], b[5]);
                a[9] = chi(b[9], b[5], b[6]);
                a[10] = chi(b[10], b[11], b[12]);
                a[11] = chi(b[11], b[12], b[13]);
                a[12] = chi(b[12], b[13], b[14]);
                a[13] = chi(b[13], b[14], b[10]);
                a[14] = chi(b[14], b[10], b[11]);
                a[15] = chi(b[15], b[16], b[17]);
                a[16] = chi(b[16], b[17], b[18]);
                a[17] = chi(b[17], b[18], b[19]);
                a[18] = chi(b[18], b[19], b[15]);
                a[19] = chi(b[19], b[15], b[16]);
                a[20] = chi(b[20], b[21], b[22]);
                a[21] = chi(b[21], b[22], b[23]);
                a[22] = chi(b[22], b[23], b[24]);
                a[23] = chi(b[23], b[24], b[20]);
                a[24] = chi(b[24], b[20], b[21]);
                a[0] = xor(a[0], splat(constant));
            }
            *state = a;
        }
    };
}

#[cfg(target_arch = "x86_64")]
mod avx512 {
    use super::{LANES, MAX_BLOCKS, RATE, ROUND_CONSTANTS};
    use alloy_primitives::B256;
    use std::arch::x86_64::*;

    type Vector = __m512i;

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn splat(word: u64) -> Vector {
        _mm512_set1_epi64(word as i64)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn load(word: impl Fn(usize) -> u64) -> Vector {
        let word = |index| word(index) as i64;
        _mm512_setr_epi64(word(0), word(1), word(2), word(3), word(4), word(5), word(6), word(7))
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn store(vector: Vector) -> [u64; 8] {
        // SAFETY: both are 64 bytes without invalid values.
        unsafe { std::mem::transmute(vector) }
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn xor(a: Vector, b: Vector) -> Vector {
        _mm512_xor_si512(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn xor5(a: Vector, b: Vector, c: Vector, d: Vector, e: Vector) -> Vector {
        const XOR3: i32 = 0x96;
        let abc = _mm512_ternarylogic_epi64::<XOR3>(a, b, c);
        _mm512_ternarylogic_epi64::<XOR3>(abc, d, e)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn rotate<const LEFT: i32, const RIGHT: i32>(a: Vector) -> Vector {
        _mm512_rol_epi64::<LEFT>(a)
    }

    #[inline]
    #[target_feature(enable = "avx512f")]
    fn chi(a: Vector, b: Vector, c: Vector) -> Vector {
        const A_XOR_NOT_B_AND_C: i32 = 0xd2;
        _mm512_ternarylogic_epi64::<A_XOR_NOT_B_AND_C>(a, b, c)
    }

    sponge!("avx512f");
}

#[cfg(target_arch = "x86_64")]
mod avx2 {
    use super::{LANES, MAX_BLOCKS, RATE, ROUND_CONSTANTS};
    use alloy_primitives::B256;
    use std::arch::x86_64::*;

    type Vector = __m256i;
    pub(super) const WIDTH: usize = 4;

    #[inline]
    #[target_feature(enable = "avx2")]
    fn splat(word: u64) -> Vector {
        _mm256_set1_epi64x(word as i64)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn load(word: impl Fn(usize) -> u64) -> Vector {
        let word = |index| word(index) as i64;
        _mm256_setr_epi64x(word(0), word(1), word(2), word(3))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn store(vector: Vector) -> [u64; 4] {
        // SAFETY: both are 32 bytes without invalid values.
        unsafe { std::mem::transmute(vector) }
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn xor(a: Vector, b: Vector) -> Vector {
        _mm256_xor_si256(a, b)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn xor5(a: Vector, b: Vector, c: Vector, d: Vector, e: Vector) -> Vector {
        xor(xor(xor(a, b), xor(c, d)), e)
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn rotate<const LEFT: i32, const RIGHT: i32>(a: Vector) -> Vector {
        _mm256_or_si256(_mm256_slli_epi64::<LEFT>(a), _mm256_srli_epi64::<RIGHT>(a))
    }

    #[inline]
    #[target_feature(enable = "avx2")]
    fn chi(a: Vector, b: Vector, c: Vector) -> Vector {
        xor(a, _mm256_andnot_si256(b, c))
    }

    sponge!("avx2");
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn pattern(len: usize, seed: u8) -> Vec<u8> {
        (0..len).map(|at| (at as u8).wrapping_mul(31).wrapping_add(seed)).collect()
    }

    fn hash_all(messages: &[Vec<u8>]) -> Vec<B256> {
        let mut hashes = vec![B256::ZERO; messages.len()];
        let mut hasher = Hasher::new();
        let mut done = |tag: usize, hash| hashes[tag] = hash;
        for (tag, message) in messages.iter().enumerate() {
            hasher.push(tag, message, &mut done);
        }
        hasher.finish(&mut done);
        hashes
    }

    #[test]
    fn every_length_hashes_as_keccak256() {
        let messages: Vec<_> = (0..=MAX_MESSAGE).map(|len| pattern(len, 7)).collect();
        let expected: Vec<_> = messages.iter().map(keccak256).collect();
        assert_eq!(hash_all(&messages), expected);
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn the_narrow_sponge_agrees() {
        if !std::arch::is_x86_feature_detected!("avx2") {
            return;
        }
        for blocks in 1..=MAX_BLOCKS {
            let mut bytes = [[0; MAX_BLOCKS * RATE]; LANES];
            let len = blocks * RATE - 9;
            let messages: Vec<_> = (0..LANES).map(|lane| pattern(len, lane as u8)).collect();
            for (lane, message) in messages.iter().enumerate() {
                bytes[lane][..len].copy_from_slice(message);
                bytes[lane][len] = 0x01;
                bytes[lane][blocks * RATE - 1] = 0x80;
            }
            let mut hashes = [B256::ZERO; LANES];
            for first in [0, avx2::WIDTH] {
                // SAFETY: checked above.
                unsafe { avx2::hash(&bytes, first, blocks, &mut hashes) }
            }
            assert_eq!(hashes.to_vec(), messages.iter().map(keccak256).collect::<Vec<_>>());
        }
    }

    proptest! {
        #[test]
        fn any_mix_hashes_as_keccak256(
            messages in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..=MAX_MESSAGE), 0..40),
        ) {
            let expected: Vec<_> = messages.iter().map(keccak256).collect();
            prop_assert_eq!(hash_all(&messages), expected);
        }
    }
}
