//! `ConfigUpdate` logs of the `SystemConfig` contract on L1.

use alloy_primitives::{Address, B64, B256, Log, U256, b256};

use crate::{SystemConfig, deposit::abi_bytes};

/// keccak256 of `ConfigUpdate(uint256,uint8,bytes)`.
pub const CONFIG_UPDATE_TOPIC: B256 =
    b256!("1d2b0bda21d56b8bd12d4f94ebacffdfb35f5e226f84b461103bb8beab6353be");

/// One accepted change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ConfigUpdate {
    /// Type 0: address of the batcher.
    Batcher(Address),
    /// Type 1: overhead and scalar word.
    FeeScalars {
        /// Overhead in gas; zero from Ecotone.
        overhead: B256,
        /// Scalar word; its first byte is its version from Ecotone.
        scalar: B256,
    },
    /// Type 2: gas limit of L2 blocks.
    GasLimit(u64),
    /// Type 3: signer of unsafe blocks. Not read from logs.
    UnsafeBlockSigner,
    /// Type 4: denominator ‖ elasticity.
    Eip1559Params(B64),
    /// Type 5: operator fee word, scalar at bytes 20..24 and constant (wei) at bytes 24..32.
    OperatorFeeParams(B256),
    /// Type 6: minimum base fee, in wei.
    MinBaseFee(u64),
    /// Type 7: gas per byte of DA footprint.
    DaFootprintGasScalar(u16),
}

/// A log that is skipped. The rest of the block's logs still count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConfigUpdateError {
    /// Not three topics, another event or another version.
    #[error("no ConfigUpdate log of version 0")]
    Event,
    /// A type that is not known.
    #[error("ConfigUpdate has the unknown type {0}")]
    Type(B256),
    /// Data that is no ABI-encoded `bytes`, or of the wrong length for its type.
    #[error("ConfigUpdate has malformed data")]
    Data,
    /// A word that is too large for its field.
    #[error("ConfigUpdate has a value that does not fit its field")]
    Overflow,
    /// A scalar word of unknown version or with padding.
    #[error("ConfigUpdate has an invalid scalar word")]
    Scalar,
    /// Exactly one EIP-1559 parameter is zero.
    #[error("ConfigUpdate has one EIP-1559 parameter zero and the other not")]
    HalfZero,
}

impl ConfigUpdate {
    /// Reads a log. `ecotone` is whether Ecotone is active at the time of the L1 block.
    pub fn decode(log: &Log, ecotone: bool) -> Result<Self, ConfigUpdateError> {
        let &[event, version, kind] = log.topics() else { return Err(ConfigUpdateError::Event) };
        if event != CONFIG_UPDATE_TOPIC || version != B256::ZERO {
            return Err(ConfigUpdateError::Event);
        }
        let payload = abi_bytes(&log.data.data).ok_or(ConfigUpdateError::Data)?;
        if kind[..31] != [0; 31] {
            return Err(ConfigUpdateError::Type(kind));
        }
        match kind[31] {
            0 => {
                let word = word(payload)?;
                if word[..12] != [0; 12] {
                    return Err(ConfigUpdateError::Overflow);
                }
                Ok(Self::Batcher(Address::from_word(word)))
            }
            1 => {
                let (overhead, scalar) =
                    payload.split_at_checked(32).ok_or(ConfigUpdateError::Data)?;
                let (overhead, scalar) = (word(overhead)?, word(scalar)?);
                if !ecotone {
                    return Ok(Self::FeeScalars { overhead, scalar });
                }
                match scalar[0] {
                    0 if scalar[1..28] == [0; 27] => {}
                    1 if scalar[1..24] == [0; 23] => {}
                    _ => return Err(ConfigUpdateError::Scalar),
                }
                Ok(Self::FeeScalars { overhead: B256::ZERO, scalar })
            }
            2 => number(payload).map(Self::GasLimit),
            3 => Ok(Self::UnsafeBlockSigner),
            4 => {
                let params = B64::from_slice(&word(payload)?[24..]);
                let (denominator, elasticity) = crate::extra_data::split_params(params);
                if (denominator == 0) != (elasticity == 0) {
                    return Err(ConfigUpdateError::HalfZero);
                }
                Ok(Self::Eip1559Params(params))
            }
            5 => word(payload).map(Self::OperatorFeeParams),
            6 => number(payload).map(Self::MinBaseFee),
            7 => number(payload).map(Self::DaFootprintGasScalar),
            _ => Err(ConfigUpdateError::Type(kind)),
        }
    }

    /// Makes the change.
    pub const fn apply(self, config: &mut SystemConfig) {
        match self {
            Self::Batcher(address) => config.batcher_addr = address,
            Self::FeeScalars { overhead, scalar } => {
                config.overhead = overhead;
                config.scalar = scalar;
            }
            Self::GasLimit(limit) => config.gas_limit = limit,
            Self::UnsafeBlockSigner => {}
            Self::Eip1559Params(params) => config.eip1559_params = params,
            Self::OperatorFeeParams(params) => config.operator_fee_params = params,
            Self::MinBaseFee(fee) => config.min_base_fee = fee,
            Self::DaFootprintGasScalar(scalar) => config.da_footprint_gas_scalar = scalar,
        }
    }
}

fn word(payload: &[u8]) -> Result<B256, ConfigUpdateError> {
    B256::try_from(payload).map_err(|_| ConfigUpdateError::Data)
}

fn number<T: TryFrom<U256>>(payload: &[u8]) -> Result<T, ConfigUpdateError> {
    T::try_from(word(payload)?.into()).map_err(|_| ConfigUpdateError::Overflow)
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{b64, keccak256};

    use super::*;

    fn log(kind: u8, payload: &[u8]) -> Log {
        let mut data = U256::from(32).to_be_bytes::<32>().to_vec();
        data.extend(U256::from(payload.len()).to_be_bytes::<32>());
        data.extend(payload);
        Log::new_unchecked(
            Address::ZERO,
            vec![CONFIG_UPDATE_TOPIC, B256::ZERO, B256::with_last_byte(kind)],
            data.into(),
        )
    }

    fn decode(kind: u8, payload: &[u8]) -> Result<ConfigUpdate, ConfigUpdateError> {
        ConfigUpdate::decode(&log(kind, payload), true)
    }

    #[test]
    fn the_topic_is_the_hash_of_the_event() {
        assert_eq!(keccak256("ConfigUpdate(uint256,uint8,bytes)"), CONFIG_UPDATE_TOPIC);
    }

    #[test]
    fn every_type_changes_its_field() {
        let mut config = SystemConfig::default();
        let mut apply =
            |kind, payload: &[u8]| decode(kind, payload).expect("valid").apply(&mut config);
        let number = |n: u64| U256::from(n).to_be_bytes::<32>();
        apply(0, &Address::repeat_byte(1).into_word().0);
        let mut scalar = [0; 64];
        (scalar[0], scalar[32], scalar[63]) = (9, 1, 7);
        apply(1, &scalar);
        apply(2, &number(30_000_000));
        apply(3, &number(0));
        apply(4, &number((250 << 32) | 6));
        let mut operator = number(11);
        operator[23] = 10;
        apply(5, &operator);
        apply(6, &number(12));
        apply(7, &number(13));
        assert_eq!(config.batcher_addr, Address::repeat_byte(1));
        assert_eq!(config.overhead, B256::ZERO);
        assert_eq!((config.scalar[0], config.scalar[31]), (1, 7));
        assert_eq!(config.gas_limit, 30_000_000);
        assert_eq!(config.eip1559_params, b64!("000000fa00000006"));
        assert_eq!(config.operator_fee(), (10, 11));
        assert_eq!(config.min_base_fee, 12);
        assert_eq!(config.da_footprint_gas_scalar, 13);
    }

    #[test]
    fn bad_updates_are_skipped() {
        let full = [0xff; 32];
        assert_eq!(decode(0, &full), Err(ConfigUpdateError::Overflow));
        assert_eq!(decode(0, &full[1..]), Err(ConfigUpdateError::Data));
        assert_eq!(decode(1, &[0xff; 64]), Err(ConfigUpdateError::Scalar));
        assert_eq!(decode(2, &full), Err(ConfigUpdateError::Overflow));
        assert_eq!(decode(4, &U256::from(6).to_be_bytes::<32>()), Err(ConfigUpdateError::HalfZero));
        // Bytes outside the parameters are not looked at, as op-node does not.
        assert_eq!(decode(5, &full), Ok(ConfigUpdate::OperatorFeeParams(B256::new(full))));
        assert_eq!(decode(4, &full), Ok(ConfigUpdate::Eip1559Params(B64::new([0xff; 8]))));
        assert_eq!(
            decode(7, &U256::from(65_536).to_be_bytes::<32>()),
            Err(ConfigUpdateError::Overflow)
        );
        assert!(matches!(decode(8, &[0; 32]), Err(ConfigUpdateError::Type(_))));
        let before = ConfigUpdate::decode(&log(1, &[0xff; 64]), false);
        assert!(matches!(before, Ok(ConfigUpdate::FeeScalars { .. })));
    }
}
