//! EIP-1559 parameters in the `extraData` of a header.
//!
//! From Holocene: version 0 ‖ u32 denominator ‖ u32 elasticity, 9 bytes. From Jovian: version 1 and
//! a u64 minimum base fee in wei at the end, 17 bytes. All big-endian. (OP Stack specs, Holocene and
//! Jovian `exec-engine.md`.)

use alloy_eips::eip1559::BaseFeeParams;
use alloy_primitives::{B64, Bytes};

/// Version byte of Holocene's form.
const HOLOCENE_VERSION: u8 = 0;
/// Version byte of Jovian's form.
const JOVIAN_VERSION: u8 = 1;
/// Length of Holocene's form, in bytes.
pub const HOLOCENE_LEN: usize = 9;
/// Length of Jovian's form, in bytes.
pub const JOVIAN_LEN: usize = 17;

/// What a header's `extraData` says about its successor's base fee.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Eip1559Extra {
    /// Base fee change denominator, never zero.
    pub denominator: u32,
    /// Elasticity multiplier, never zero.
    pub elasticity: u32,
    /// Minimum base fee in wei; absent before Jovian.
    pub min_base_fee: Option<u64>,
}

impl Eip1559Extra {
    /// The parameters as the base fee computation takes them.
    pub fn base_fee_params(&self) -> BaseFeeParams {
        BaseFeeParams::new(self.denominator.into(), self.elasticity.into())
    }
}

/// An `extraData` that is not what its fork demands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ExtraDataError {
    /// Neither Holocene's nor Jovian's length.
    #[error(
        "invalid extraData length {0}: expected {HOLOCENE_LEN} (Holocene) or {JOVIAN_LEN} (Jovian)"
    )]
    Length(usize),
    /// A version byte that does not belong to this length.
    #[error("invalid extraData version {version}: expected {expected}")]
    Version {
        /// What is there.
        version: u8,
        /// What the length demands.
        expected: u8,
    },
    /// A denominator of zero, which would divide by zero.
    #[error("the EIP-1559 denominator in extraData must not be zero")]
    ZeroDenominator,
    /// An elasticity of zero, which would divide by zero.
    #[error("the EIP-1559 elasticity in extraData must not be zero")]
    ZeroElasticity,
    /// Attributes with one parameter zero and the other not.
    #[error(
        "eip1559Params has denominator {denominator} and elasticity {elasticity}: both or neither may be zero"
    )]
    HalfZero {
        /// As given.
        denominator: u32,
        /// As given.
        elasticity: u32,
    },
    /// Defaults that do not fit into 32 bits.
    #[error("the chain's default EIP-1559 parameters do not fit into extraData")]
    Defaults,
}

/// Reads either form, strictly.
pub fn decode(extra_data: &[u8]) -> Result<Eip1559Extra, ExtraDataError> {
    let expected = match extra_data.len() {
        HOLOCENE_LEN => HOLOCENE_VERSION,
        JOVIAN_LEN => JOVIAN_VERSION,
        other => return Err(ExtraDataError::Length(other)),
    };
    if extra_data[0] != expected {
        return Err(ExtraDataError::Version { version: extra_data[0], expected });
    }
    let word = |at: usize| {
        let mut bytes = [0; 4];
        bytes.copy_from_slice(&extra_data[at..at + 4]);
        u32::from_be_bytes(bytes)
    };
    let (denominator, elasticity) = (word(1), word(5));
    if denominator == 0 {
        return Err(ExtraDataError::ZeroDenominator);
    }
    if elasticity == 0 {
        return Err(ExtraDataError::ZeroElasticity);
    }
    let min_base_fee =
        (expected == JOVIAN_VERSION).then(|| (u64::from(word(9)) << 32) | u64::from(word(13)));
    Ok(Eip1559Extra { denominator, elasticity, min_base_fee })
}

/// Splits the `eip1559Params` of payload attributes into denominator and elasticity.
pub fn split_params(params: B64) -> (u32, u32) {
    let [a, b, c, d, e, f, g, h] = params.0;
    (u32::from_be_bytes([a, b, c, d]), u32::from_be_bytes([e, f, g, h]))
}

/// The `eip1559Params` of payload attributes with this denominator and elasticity.
pub fn join_params(denominator: u32, elasticity: u32) -> B64 {
    let mut params = B64::ZERO;
    params[..4].copy_from_slice(&denominator.to_be_bytes());
    params[4..].copy_from_slice(&elasticity.to_be_bytes());
    params
}

/// Replaces all-zero attribute parameters by the chain's defaults.
fn translate(params: B64, defaults: BaseFeeParams) -> Result<(u32, u32), ExtraDataError> {
    match split_params(params) {
        (0, 0) => {
            let fit = |value: u128| {
                u32::try_from(value)
                    .ok()
                    .filter(|value| *value != 0)
                    .ok_or(ExtraDataError::Defaults)
            };
            Ok((fit(defaults.max_change_denominator)?, fit(defaults.elasticity_multiplier)?))
        }
        (denominator, elasticity) if denominator == 0 || elasticity == 0 => {
            Err(ExtraDataError::HalfZero { denominator, elasticity })
        }
        both => Ok(both),
    }
}

/// Holocene's 9 bytes for attributes with these parameters; zero means `defaults`.
pub fn encode_holocene(params: B64, defaults: BaseFeeParams) -> Result<Bytes, ExtraDataError> {
    let (denominator, elasticity) = translate(params, defaults)?;
    let mut out = [HOLOCENE_VERSION; HOLOCENE_LEN];
    out[1..5].copy_from_slice(&denominator.to_be_bytes());
    out[5..9].copy_from_slice(&elasticity.to_be_bytes());
    Ok(out.to_vec().into())
}

/// Jovian's 17 bytes for attributes with these parameters; zero means `defaults`.
pub fn encode_jovian(
    params: B64,
    defaults: BaseFeeParams,
    min_base_fee: u64,
) -> Result<Bytes, ExtraDataError> {
    let (denominator, elasticity) = translate(params, defaults)?;
    let mut out = [JOVIAN_VERSION; JOVIAN_LEN];
    out[1..5].copy_from_slice(&denominator.to_be_bytes());
    out[5..9].copy_from_slice(&elasticity.to_be_bytes());
    out[9..17].copy_from_slice(&min_base_fee.to_be_bytes());
    Ok(out.to_vec().into())
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{b64, hex};
    use proptest::prelude::*;

    use super::*;

    const DEFAULTS: BaseFeeParams = BaseFeeParams::new(250, 6);

    #[test]
    fn a_real_jovian_header() {
        // Base, block 42,710,625.
        let extra = decode(&hex!("010000007d0000000600000000004c4b40")).expect("valid");
        assert_eq!(
            extra,
            Eip1559Extra { denominator: 125, elasticity: 6, min_base_fee: Some(5_000_000) }
        );
    }

    #[test]
    fn zero_attributes_mean_the_defaults() {
        let bytes = encode_jovian(B64::ZERO, DEFAULTS, 0).expect("valid");
        assert_eq!(bytes[..], hex!("01000000fa000000060000000000000000"));
        let bytes = encode_holocene(B64::ZERO, DEFAULTS).expect("valid");
        assert_eq!(bytes[..], hex!("00000000fa00000006"));
    }

    #[test]
    fn half_zero_attributes_are_refused() {
        for params in [b64!("0000000000000001"), b64!("0000000100000000")] {
            assert!(matches!(
                encode_holocene(params, DEFAULTS),
                Err(ExtraDataError::HalfZero { .. })
            ));
        }
    }

    #[test]
    fn headers_never_hold_zeros_or_other_versions() {
        assert_eq!(decode(&[]), Err(ExtraDataError::Length(0)));
        assert_eq!(decode(&hex!("000000000000000006")), Err(ExtraDataError::ZeroDenominator));
        assert_eq!(decode(&hex!("000000000600000000")), Err(ExtraDataError::ZeroElasticity));
        assert_eq!(
            decode(&hex!("01000000fa00000006")),
            Err(ExtraDataError::Version { version: 1, expected: 0 })
        );
        assert_eq!(
            decode(&hex!("00000000fa000000060000000000000000")),
            Err(ExtraDataError::Version { version: 0, expected: 1 })
        );
    }

    proptest! {
        #[test]
        fn round_trip(denominator in 1u32.., elasticity in 1u32.., min in any::<u64>()) {
            let params = join_params(denominator, elasticity);
            prop_assert_eq!(split_params(params), (denominator, elasticity));
            let jovian = decode(&encode_jovian(params, DEFAULTS, min).expect("valid"));
            prop_assert_eq!(jovian, Ok(Eip1559Extra { denominator, elasticity, min_base_fee: Some(min) }));
            let holocene = decode(&encode_holocene(params, DEFAULTS).expect("valid"));
            prop_assert_eq!(holocene, Ok(Eip1559Extra { denominator, elasticity, min_base_fee: None }));
        }

        #[test]
        fn rubbish_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..40)) {
            let _ = decode(&bytes);
        }
    }
}
