//! The part of a chain's configuration that L1 contracts can change.
//!
//! The consensus side keeps none between blocks: it reads it from the parent block and applies the
//! [`ConfigUpdate`](crate::ConfigUpdate)s of a new L1 origin.

use alloy_consensus::Header;
use alloy_op_hardforks::{OpHardfork, OpHardforks};
use alloy_primitives::{Address, B64, B256};
use serde::{Deserialize, Serialize};

use crate::{
    L1Attributes, L1AttributesError, RollupConfig,
    attributes::Format,
    extra_data::{self, ExtraDataError},
};

/// What a DA footprint scalar of 0 in the system config means (Jovian specification).
pub const DEFAULT_DA_FOOTPRINT_GAS_SCALAR: u16 = 400;

/// Gas that the block which activates Karst has beyond the system config's limit, for the upgrade
/// deposits in it (sum of the gas limits of the official bundle).
pub const KARST_UPGRADE_GAS: u64 = 55_370_657;

/// As op-node names and orders the fields.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SystemConfig {
    /// Whose inbox transactions count.
    pub batcher_addr: Address,
    /// Overhead of the L1 fee, a word; zero from Ecotone.
    pub overhead: B256,
    /// Scalar of the L1 fee, a word: version 1 holds blob base fee and base fee scalars.
    pub scalar: B256,
    /// Gas limit of L2 blocks.
    pub gas_limit: u64,
    /// Denominator ‖ elasticity; zero means the chain's defaults.
    #[serde(default)]
    pub eip1559_params: B64,
    /// A word: scalar at bytes 20..24, constant at bytes 24..32.
    #[serde(default)]
    pub operator_fee_params: B256,
    /// Minimum base fee, in wei.
    #[serde(default)]
    pub min_base_fee: u64,
    /// Gas per byte of DA footprint; 0 means [`DEFAULT_DA_FOOTPRINT_GAS_SCALAR`].
    #[serde(default)]
    pub da_footprint_gas_scalar: u16,
}

/// A block that no system config can be read from, or a system config that no attributes can be
/// made of.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SystemConfigError {
    /// A block at the genesis number that is not the genesis block.
    #[error(
        "expected L2 genesis hash to match L2 block at genesis block number {number}: {genesis} <> {hash}"
    )]
    NotGenesis {
        /// Number of the genesis block.
        number: u64,
        /// Its hash in the rollup config.
        genesis: B256,
        /// The block's hash.
        hash: B256,
    },
    /// The block's first transaction does not carry L1 attributes.
    #[error("failed to parse L1 info deposit tx from L2 block: {0}")]
    Attributes(#[from] L1AttributesError),
    /// The attributes have another form than the block's fork demands.
    #[error("L1 info deposit tx has {got:?} format, want {want:?}")]
    Format {
        /// What is there.
        got: Format,
        /// What the fork demands.
        want: Format,
    },
    /// A batcher hash that is no address.
    #[error("address padding was not empty: {0}")]
    Batcher(B256),
    /// The block's extraData does not fit its fork.
    #[error(transparent)]
    ExtraData(#[from] ExtraDataError),
    /// extraData in a block before Holocene.
    #[error("extraData must be empty before Holocene")]
    EarlyExtraData,
    /// The block that activates Karst has less gas than its upgrade.
    #[error("activation block gas limit {0} below upgrade gas {KARST_UPGRADE_GAS}")]
    UpgradeGas(u64),
    /// A scalar word of unknown version or with padding in version 1.
    #[error("unexpected system config scalar: {0}")]
    Scalar(B256),
}

/// Whether a block is the genesis of the L2; it is an error if only its number says so.
pub(crate) fn is_genesis(
    rollup: &RollupConfig,
    hash: B256,
    number: u64,
) -> Result<bool, SystemConfigError> {
    let genesis = rollup.genesis.l2;
    if number == genesis.number && hash != genesis.hash {
        return Err(SystemConfigError::NotGenesis { number, genesis: genesis.hash, hash });
    }
    Ok(number == genesis.number)
}

impl SystemConfig {
    /// The configuration in force after the block with `header`, whose first transaction has the
    /// calldata `attributes`.
    pub fn after_block(
        rollup: &RollupConfig,
        hash: B256,
        header: &Header,
        attributes: &[u8],
    ) -> Result<Self, SystemConfigError> {
        if is_genesis(rollup, hash, header.number)? {
            return Ok(rollup.genesis.system_config);
        }
        let time = header.timestamp;
        let (info, got) = L1Attributes::decode(attributes)?;
        let want = Format::in_block(rollup, time);
        if got != want {
            return Err(SystemConfigError::Format { got, want });
        }
        if info.batcher_hash[..12] != [0; 12] {
            return Err(SystemConfigError::Batcher(info.batcher_hash));
        }
        let mut config = Self {
            batcher_addr: info.batcher(),
            overhead: info.l1_fee_overhead.into(),
            scalar: info.l1_fee_scalar.into(),
            gas_limit: header.gas_limit,
            ..Self::default()
        };
        if want >= Format::Ecotone {
            config.set_ecotone_scalars(info.base_fee_scalar, info.blob_base_fee_scalar);
        }
        if rollup.is_activation_block(OpHardfork::Karst, time) && !rollup.keep_karst_upgrade_gas {
            let limit = config.gas_limit.checked_sub(KARST_UPGRADE_GAS);
            config.gas_limit = limit.ok_or(SystemConfigError::UpgradeGas(header.gas_limit))?;
        }
        if rollup.is_holocene_active_at_timestamp(time) {
            let extra = extra_data::decode(&header.extra_data)?;
            let jovian = rollup.is_jovian_active_at_timestamp(time);
            if extra.min_base_fee.is_some() != jovian {
                return Err(ExtraDataError::Length(header.extra_data.len()).into());
            }
            config.eip1559_params = extra_data::join_params(extra.denominator, extra.elasticity);
            config.min_base_fee = extra.min_base_fee.unwrap_or_default();
        } else if !header.extra_data.is_empty() {
            return Err(SystemConfigError::EarlyExtraData);
        }
        if rollup.is_isthmus_active_at_timestamp(time) {
            config.set_operator_fee(info.operator_fee_scalar, info.operator_fee_constant);
        }
        if rollup.is_jovian_active_at_timestamp(time) {
            config.da_footprint_gas_scalar = info.da_footprint_gas_scalar;
        }
        Ok(config)
    }

    /// Base fee scalar and blob base fee scalar of the scalar word, as Ecotone reads it. A stored
    /// version-0 word with padding counts as the largest base fee scalar.
    pub fn ecotone_scalars(&self) -> Result<(u32, u32), SystemConfigError> {
        let word = |at: usize| {
            let mut bytes = [0; 4];
            bytes.copy_from_slice(&self.scalar[at..at + 4]);
            u32::from_be_bytes(bytes)
        };
        match self.scalar[0] {
            0 if self.scalar[1..28] != [0; 27] => Ok((u32::MAX, 0)),
            0 => Ok((word(28), 0)),
            1 if self.scalar[1..24] == [0; 23] => Ok((word(28), word(24))),
            _ => Err(SystemConfigError::Scalar(self.scalar)),
        }
    }

    /// Sets the scalar word to version 1 with these scalars.
    pub fn set_ecotone_scalars(&mut self, base_fee: u32, blob_base_fee: u32) {
        let mut word = B256::ZERO;
        word[0] = 1;
        word[24..28].copy_from_slice(&blob_base_fee.to_be_bytes());
        word[28..32].copy_from_slice(&base_fee.to_be_bytes());
        self.scalar = word;
    }

    /// Scalar and constant (wei) of the operator fee.
    pub const fn operator_fee(&self) -> (u32, u64) {
        let w = &self.operator_fee_params.0;
        (
            u32::from_be_bytes([w[20], w[21], w[22], w[23]]),
            u64::from_be_bytes([w[24], w[25], w[26], w[27], w[28], w[29], w[30], w[31]]),
        )
    }

    /// Sets scalar and constant (wei) of the operator fee.
    pub fn set_operator_fee(&mut self, scalar: u32, constant: u64) {
        let mut word = B256::ZERO;
        word[20..24].copy_from_slice(&scalar.to_be_bytes());
        word[24..32].copy_from_slice(&constant.to_be_bytes());
        self.operator_fee_params = word;
    }

    /// The DA footprint scalar that the L1-attributes deposit carries: never zero.
    pub const fn effective_da_footprint_gas_scalar(&self) -> u16 {
        if self.da_footprint_gas_scalar == 0 {
            DEFAULT_DA_FOOTPRINT_GAS_SCALAR
        } else {
            self.da_footprint_gas_scalar
        }
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::{Bytes, U256, b64, hex};

    use super::*;
    use crate::rollup::tests::{config, file};

    #[test]
    fn words() {
        let mut config = SystemConfig::default();
        config.set_ecotone_scalars(5, 6);
        assert_eq!(config.ecotone_scalars(), Ok((5, 6)));
        config.scalar[5] = 1;
        assert!(matches!(config.ecotone_scalars(), Err(SystemConfigError::Scalar(_))));
        config.scalar = B256::with_last_byte(7);
        assert_eq!(config.ecotone_scalars(), Ok((7, 0)));
        config.scalar[5] = 1;
        assert_eq!(config.ecotone_scalars(), Ok((u32::MAX, 0)));
        config.scalar[0] = 2;
        assert!(matches!(config.ecotone_scalars(), Err(SystemConfigError::Scalar(_))));
        config.set_operator_fee(8, 9);
        assert_eq!(config.operator_fee(), (8, 9));
        assert_eq!(config.operator_fee_params[20..24], [0, 0, 0, 8]);
        assert_eq!(config.effective_da_footprint_gas_scalar(), 400);
    }

    fn info() -> L1Attributes {
        L1Attributes {
            batcher_hash: Address::repeat_byte(3).into_word(),
            base_fee_scalar: 1,
            blob_base_fee_scalar: 2,
            operator_fee_scalar: 3,
            operator_fee_constant: 4,
            da_footprint_gas_scalar: 5,
            ..Default::default()
        }
    }

    fn header(time: u64, extra_data: &'static [u8]) -> Header {
        Header {
            number: 9,
            timestamp: time,
            gas_limit: 60_000_000,
            extra_data: Bytes::from_static(extra_data),
            ..Default::default()
        }
    }

    const JOVIAN_EXTRA: [u8; 17] = hex!("01000000fa000000060000000000000007");

    #[test]
    fn a_block_tells_the_whole_configuration() {
        let rollup = config(file());
        let header = header(rollup.genesis.l2_time + 18, &JOVIAN_EXTRA);
        let data = info().encode(Format::Jovian);
        let read = SystemConfig::after_block(&rollup, B256::ZERO, &header, &data).expect("valid");
        let mut expected = SystemConfig {
            batcher_addr: Address::repeat_byte(3),
            gas_limit: 60_000_000,
            eip1559_params: b64!("000000fa00000006"),
            min_base_fee: 7,
            da_footprint_gas_scalar: 5,
            ..Default::default()
        };
        expected.set_ecotone_scalars(1, 2);
        expected.set_operator_fee(3, 4);
        assert_eq!(read, expected);
    }

    #[test]
    fn genesis_is_known_by_its_hash() {
        let rollup = config(file());
        let genesis = Header { number: 0, ..header(rollup.genesis.l2_time, &[]) };
        let read = SystemConfig::after_block(&rollup, rollup.genesis.l2.hash, &genesis, &[]);
        assert_eq!(read, Ok(rollup.genesis.system_config));
        assert!(matches!(
            SystemConfig::after_block(&rollup, B256::ZERO, &genesis, &[]),
            Err(SystemConfigError::NotGenesis { .. })
        ));
    }

    #[test]
    fn the_gas_of_the_karst_upgrade_does_not_stay() {
        let mut rollup = config(file());
        let time = rollup.genesis.l2_time + 100;
        rollup.karst_time = Some(time);
        let mut activation = header(time, &JOVIAN_EXTRA);
        activation.gas_limit += KARST_UPGRADE_GAS;
        let data = info().encode(Format::Jovian);
        let limit = |rollup: &RollupConfig, header: &Header| {
            SystemConfig::after_block(rollup, B256::ZERO, header, &data).map(|it| it.gas_limit)
        };
        assert_eq!(limit(&rollup, &activation), Ok(60_000_000));
        let mut later = activation.clone();
        later.timestamp += 2;
        assert_eq!(limit(&rollup, &later), Ok(activation.gas_limit));
        let mut small = activation.clone();
        small.gas_limit = 1;
        assert_eq!(limit(&rollup, &small), Err(SystemConfigError::UpgradeGas(1)));
        rollup.keep_karst_upgrade_gas = true;
        assert_eq!(limit(&rollup, &activation), Ok(activation.gas_limit));
    }

    #[test]
    fn blocks_of_the_wrong_form_are_refused() {
        let rollup = config(file());
        let time = rollup.genesis.l2_time + 18;
        let read = |header: &Header, data: &[u8]| {
            SystemConfig::after_block(&rollup, B256::ZERO, header, data)
        };
        let good = header(time, &JOVIAN_EXTRA);
        assert_eq!(
            read(&good, &info().encode(Format::Isthmus)),
            Err(SystemConfigError::Format { got: Format::Isthmus, want: Format::Jovian })
        );
        let data = info().encode(Format::Jovian);
        assert!(matches!(read(&good, &data[..9]), Err(SystemConfigError::Attributes(_))));
        let holocene = header(time, &hex!("00000000fa00000006"));
        assert!(matches!(read(&holocene, &data), Err(SystemConfigError::ExtraData(_))));
        let padded = L1Attributes { batcher_hash: U256::MAX.into(), ..info() };
        assert!(matches!(
            read(&good, &padded.encode(Format::Jovian)),
            Err(SystemConfigError::Batcher(_))
        ));
    }

    #[test]
    fn bedrock_blocks_keep_overhead_and_scalar() {
        let mut value = file();
        for fork in ["ecotone", "fjord", "granite", "holocene", "isthmus", "jovian", "karst"] {
            value.as_object_mut().expect("an object").remove(&format!("{fork}_time"));
        }
        let rollup = config(value);
        let info = L1Attributes {
            l1_fee_overhead: U256::from(188),
            l1_fee_scalar: U256::from(684_000),
            batcher_hash: Address::repeat_byte(3).into_word(),
            ..Default::default()
        };
        let header = header(rollup.genesis.l2_time + 18, &[]);
        let data = info.encode(Format::Bedrock);
        let read = SystemConfig::after_block(&rollup, B256::ZERO, &header, &data).expect("valid");
        assert_eq!(read.overhead, B256::from(U256::from(188)));
        assert_eq!(read.scalar, B256::from(U256::from(684_000)));
        let early = Header { extra_data: Bytes::from_static(&[1]), ..header };
        assert_eq!(
            SystemConfig::after_block(&rollup, B256::ZERO, &early, &data),
            Err(SystemConfigError::EarlyExtraData)
        );
    }
}
