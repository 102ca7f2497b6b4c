//! What geth says of a precompile that failed. revm does not pass on why.

use alloy_eips::eip4844::kzg_to_versioned_hash;
use alloy_primitives::{Address, U256};
use revm::primitives::hardfork::SpecId;

/// Why the precompile at `address` refused `input`, as far as its length and its coordinates tell.
pub(super) fn precompile_error(address: &Address, input: &[u8], spec: SpecId) -> &'static str {
    const BN254_MODULUS: U256 = U256::from_limbs([
        0x3c20_8c16_d87c_fd47,
        0x9781_6a91_6871_ca8d,
        0xb850_45b6_8181_585d,
        0x3064_4e72_e131_a029,
    ]);
    let bn254_point = |input: &[u8]| {
        let outside = input
            .chunks(32)
            .map(|word| {
                let mut padded = [0; 32];
                padded[..word.len()].copy_from_slice(word);
                U256::from_be_bytes(padded)
            })
            .any(|coordinate| coordinate >= BN254_MODULUS);
        if outside { "invalid fp.Element encoding" } else { "point is not on curve" }
    };
    match address.as_slice().split_last() {
        // Before the lengths had a limit, nobody could pay for longer ones.
        Some((5, _)) if !spec.is_enabled_in(SpecId::OSAKA) => "out of gas",
        Some((5, _)) => "one or more of base/exponent/modulus length exceeded 1024 bytes",
        Some((6, _)) => bn254_point(&input[..input.len().min(128)]),
        Some((7, _)) => bn254_point(&input[..input.len().min(64)]),
        Some((8, _)) if !input.len().is_multiple_of(192) => "bad elliptic curve pairing size",
        Some((8, _)) if input.len() > 57_600 => "bad elliptic curve pairing input size",
        Some((8, _)) => bn254_point(input),
        Some((9, _)) if input.len() == 213 => "invalid final flag",
        Some((10, _)) if input.len() == 192 && !names_its_commitment(input) => {
            "mismatched versioned hash"
        }
        Some((10, _)) if input.len() == 192 => "error verifying kzg proof",
        Some((12, _)) if input.len() > 288_960 => "g1 msm input size exceeds maximum",
        Some((14, _)) if input.len() > 278_784 => "g2 msm input size exceeds maximum",
        Some((15, _)) if input.len() > 156_672 => "pairing input size exceeds maximum",
        Some((11..=17, _)) if !bls_length_fits(address, input.len()) => "invalid input length",
        Some((last @ 11..=17, _)) if !top_bytes_are_zero(*last, input) => {
            "invalid field element top bytes"
        }
        Some((11..=17, _)) => "invalid point: not on curve",
        _ => "invalid input length",
    }
}

/// Whether the versioned hash that a point evaluation starts with is that of its commitment.
fn names_its_commitment(input: &[u8]) -> bool {
    input.get(96..144).is_some_and(|point| kzg_to_versioned_hash(point)[..] == input[..32])
}

/// Whether the first point or field element of a BLS12-381 precompile's input starts each of its
/// coordinates with 16 zeros.
fn top_bytes_are_zero(precompile: u8, input: &[u8]) -> bool {
    let first = match precompile {
        11 | 12 | 15 | 17 => 128,
        16 => 64,
        _ => 256,
    };
    let elements = input[..first.min(input.len())].chunks(64);
    elements.into_iter().all(|element| element.iter().take(16).all(|byte| *byte == 0))
}

/// Whether a BLS12-381 precompile takes inputs of this length.
fn bls_length_fits(address: &Address, length: usize) -> bool {
    let exact = |size| length == size;
    let many = |size| length > 0 && length.is_multiple_of(size);
    match address.as_slice().last() {
        Some(11) => exact(256),
        Some(12) => many(160),
        Some(13) => exact(512),
        Some(14) => many(288),
        Some(15) => many(384),
        Some(16) => exact(64),
        Some(17) => exact(128),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_tell_why_they_were_refused() {
        let error = |last, input: &[u8]| {
            precompile_error(&Address::with_last_byte(last), input, SpecId::PRAGUE)
        };
        assert_eq!(error(6, &[0xff; 128]), "invalid fp.Element encoding");
        assert_eq!(error(6, &[0, 1]), "point is not on curve");
        assert_eq!(error(8, &[0; 191]), "bad elliptic curve pairing size");
        assert_eq!(error(8, &[0; 192 * 301]), "bad elliptic curve pairing input size");
        assert_eq!(error(9, &[0; 212]), "invalid input length");
        assert_eq!(error(9, &[2; 213]), "invalid final flag");
        assert_eq!(error(11, &[0; 255]), "invalid input length");
        assert_eq!(error(11, &[1; 256]), "invalid field element top bytes");
        let mut point = [0; 256];
        point[63] = 1;
        assert_eq!(error(11, &point), "invalid point: not on curve");
        assert_eq!(error(10, &[0; 192]), "mismatched versioned hash");
        let mut proof = [0; 192];
        let hash = kzg_to_versioned_hash(&[0; 48]);
        proof[..32].copy_from_slice(&hash[..]);
        assert_eq!(error(10, &proof), "error verifying kzg proof");
        assert_eq!(error(5, &[0xff; 96]), "out of gas");
        let osaka = precompile_error(&Address::with_last_byte(5), &[0xff; 96], SpecId::OSAKA);
        assert_eq!(osaka, "one or more of base/exponent/modulus length exceeded 1024 bytes");
        assert_eq!(error(12, &[0; 160 * 1807]), "g1 msm input size exceeds maximum");
    }
}
