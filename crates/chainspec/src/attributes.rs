//! The L1-attributes deposit: the first transaction of every block, by which L2 learns about L1.
//!
//! Bedrock's calldata is ABI-encoded; from Ecotone on it is packed, and each later form is the one
//! before with fields appended (OP Stack specs, `*/l1-attributes.md`).

use alloy_consensus::Header;
use alloy_eips::eip7840::BlobParams;
use alloy_op_hardforks::{OpHardfork, OpHardforks};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, hex};
use op_alloy_consensus::{L1InfoDepositSource, TxDeposit};

use crate::{
    RollupConfig, SystemConfig,
    predeploys::{DEPOSITOR, L1_BLOCK},
    system_config::SystemConfigError,
};

/// `setL1BlockValues(uint64,uint64,uint256,bytes32,uint64,bytes32,uint256,uint256)`.
pub const BEDROCK_SELECTOR: [u8; 4] = hex!("015d8eb9");
/// `setL1BlockValuesEcotone()`.
pub const ECOTONE_SELECTOR: [u8; 4] = hex!("440a5e20");
/// `setL1BlockValuesIsthmus()`.
pub const ISTHMUS_SELECTOR: [u8; 4] = hex!("098999be");
/// `setL1BlockValuesJovian()`.
pub const JOVIAN_SELECTOR: [u8; 4] = hex!("3db6be2b");

const BEDROCK_LEN: usize = 260;
const ECOTONE_LEN: usize = 164;
const ISTHMUS_LEN: usize = 176;
const JOVIAN_LEN: usize = 178;

/// Gas of the deposit from Regolith on.
const REGOLITH_GAS: u64 = 1_000_000;
/// Gas of the deposit before Regolith, which was not counted.
const BEDROCK_GAS: u64 = 150_000_000;

/// Which form the calldata has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Format {
    /// ABI-encoded, 260 bytes.
    Bedrock,
    /// Packed, 164 bytes.
    Ecotone,
    /// Packed with the operator fee, 176 bytes.
    Isthmus,
    /// Packed with the DA footprint scalar, 178 bytes. Karst's form too.
    Jovian,
}

impl Format {
    /// The form in the L2 block at `timestamp`. In the block that activates a fork after genesis the
    /// contract is not upgraded yet, so that block still has the form of its parent.
    pub fn in_block(rollup: &RollupConfig, timestamp: u64) -> Self {
        let upgraded = |fork| {
            rollup.op_fork_activation(fork).active_at_timestamp(timestamp)
                && !rollup.is_activation_block(fork, timestamp)
        };
        if upgraded(OpHardfork::Jovian) {
            Self::Jovian
        } else if upgraded(OpHardfork::Isthmus) {
            Self::Isthmus
        } else if upgraded(OpHardfork::Ecotone) {
            Self::Ecotone
        } else {
            Self::Bedrock
        }
    }
}

/// The L1 block that an L2 block refers to.
#[derive(Debug, Clone, Copy)]
pub struct L1Origin<'a> {
    /// Hash.
    pub hash: B256,
    /// Header.
    pub header: &'a Header,
    /// Blob parameters that L1 uses at that block (EIP-7840).
    pub blob_params: BlobParams,
}

/// What the deposit says. Fields that a form does not have are zero when read and left out when
/// written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct L1Attributes {
    /// Number of the L1 origin.
    pub number: u64,
    /// Time of the L1 origin, in seconds.
    pub timestamp: u64,
    /// Base fee of the L1 origin, in wei.
    pub base_fee: U256,
    /// Blob base fee of the L1 origin, in wei; from Ecotone.
    pub blob_base_fee: U256,
    /// Hash of the L1 origin.
    pub hash: B256,
    /// How many L2 blocks of this origin came before.
    pub sequence_number: u64,
    /// Address of the batcher, as a word.
    pub batcher_hash: B256,
    /// Overhead of the L1 fee, in gas; before Ecotone.
    pub l1_fee_overhead: U256,
    /// Scalar of the L1 fee, in millionths; before Ecotone.
    pub l1_fee_scalar: U256,
    /// Scalar of the L1 base fee; from Ecotone.
    pub base_fee_scalar: u32,
    /// Scalar of the blob base fee; from Ecotone.
    pub blob_base_fee_scalar: u32,
    /// Operator fee scalar; from Isthmus.
    pub operator_fee_scalar: u32,
    /// Operator fee constant, in wei; from Isthmus.
    pub operator_fee_constant: u64,
    /// Gas per byte of DA footprint, never zero; from Jovian.
    pub da_footprint_gas_scalar: u16,
}

/// Calldata that is no L1-attributes deposit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum L1AttributesError {
    /// Neither of the known selectors.
    #[error("unknown L1-attributes selector 0x{}", hex::encode(.0))]
    Selector([u8; 4]),
    /// Too short to have a selector.
    #[error("L1-attributes calldata of {0} bytes has no selector")]
    NoSelector(usize),
    /// The wrong length for the selector.
    #[error("L1-attributes calldata has {got} bytes, want {want}")]
    Length {
        /// What is there.
        got: usize,
        /// What the selector demands.
        want: usize,
    },
    /// A word that does not fit its type.
    #[error("L1-attributes field {0} has non-zero padding")]
    Padding(&'static str),
}

impl L1Attributes {
    /// What the L2 block at `timestamp` says about its L1 origin and the system configuration.
    /// `sequence_number` is how many L2 blocks of that origin came before.
    ///
    /// # Errors
    /// A scalar word that Ecotone cannot read.
    pub fn new(
        rollup: &RollupConfig,
        system: &SystemConfig,
        sequence_number: u64,
        origin: &L1Origin<'_>,
        timestamp: u64,
    ) -> Result<Self, SystemConfigError> {
        let (format, header) = (Format::in_block(rollup, timestamp), origin.header);
        let mut it = Self {
            number: header.number,
            timestamp: header.timestamp,
            base_fee: U256::from(header.base_fee_per_gas.unwrap_or_default()),
            hash: origin.hash,
            sequence_number,
            batcher_hash: system.batcher_addr.into_word(),
            ..Self::default()
        };
        if format == Format::Bedrock {
            it.l1_fee_overhead = system.overhead.into();
            it.l1_fee_scalar = system.scalar.into();
            return Ok(it);
        }
        (it.base_fee_scalar, it.blob_base_fee_scalar) = system.ecotone_scalars()?;
        let cancun = rollup.pectra_blob_schedule_time.is_some_and(|until| header.timestamp < until);
        let params = if cancun { BlobParams::cancun() } else { origin.blob_params };
        // EIP-4844's minimum where L1 has no blobs.
        it.blob_base_fee = U256::from(header.blob_fee(params).unwrap_or(1));
        if format >= Format::Isthmus {
            (it.operator_fee_scalar, it.operator_fee_constant) = system.operator_fee();
        }
        if format == Format::Jovian {
            it.da_footprint_gas_scalar = system.effective_da_footprint_gas_scalar();
        }
        Ok(it)
    }

    /// Address of the batcher.
    pub fn batcher(&self) -> Address {
        Address::from_word(self.batcher_hash)
    }

    /// The calldata in the given form.
    pub fn encode(&self, format: Format) -> Bytes {
        let mut out = Vec::with_capacity(BEDROCK_LEN);
        if format == Format::Bedrock {
            out.extend_from_slice(&BEDROCK_SELECTOR);
            for word in [
                U256::from(self.number),
                U256::from(self.timestamp),
                self.base_fee,
                self.hash.into(),
                U256::from(self.sequence_number),
                self.batcher_hash.into(),
                self.l1_fee_overhead,
                self.l1_fee_scalar,
            ] {
                out.extend_from_slice(&word.to_be_bytes::<32>());
            }
            return out.into();
        }
        out.extend_from_slice(match format {
            Format::Jovian => &JOVIAN_SELECTOR,
            Format::Isthmus => &ISTHMUS_SELECTOR,
            Format::Ecotone | Format::Bedrock => &ECOTONE_SELECTOR,
        });
        out.extend_from_slice(&self.base_fee_scalar.to_be_bytes());
        out.extend_from_slice(&self.blob_base_fee_scalar.to_be_bytes());
        out.extend_from_slice(&self.sequence_number.to_be_bytes());
        out.extend_from_slice(&self.timestamp.to_be_bytes());
        out.extend_from_slice(&self.number.to_be_bytes());
        out.extend_from_slice(&self.base_fee.to_be_bytes::<32>());
        out.extend_from_slice(&self.blob_base_fee.to_be_bytes::<32>());
        out.extend_from_slice(self.hash.as_slice());
        out.extend_from_slice(self.batcher_hash.as_slice());
        if format >= Format::Isthmus {
            out.extend_from_slice(&self.operator_fee_scalar.to_be_bytes());
            out.extend_from_slice(&self.operator_fee_constant.to_be_bytes());
        }
        if format == Format::Jovian {
            out.extend_from_slice(&self.da_footprint_gas_scalar.to_be_bytes());
        }
        out.into()
    }

    /// Reads calldata of any form.
    pub fn decode(calldata: &[u8]) -> Result<(Self, Format), L1AttributesError> {
        let selector =
            calldata.first_chunk::<4>().ok_or(L1AttributesError::NoSelector(calldata.len()))?;
        let (format, want) = match *selector {
            BEDROCK_SELECTOR => (Format::Bedrock, BEDROCK_LEN),
            ECOTONE_SELECTOR => (Format::Ecotone, ECOTONE_LEN),
            ISTHMUS_SELECTOR => (Format::Isthmus, ISTHMUS_LEN),
            JOVIAN_SELECTOR => (Format::Jovian, JOVIAN_LEN),
            other => return Err(L1AttributesError::Selector(other)),
        };
        if calldata.len() != want {
            return Err(L1AttributesError::Length { got: calldata.len(), want });
        }
        let mut reader = Reader { rest: &calldata[4..] };
        let mut it = Self::default();
        if format == Format::Bedrock {
            it.number = reader.padded("number")?;
            it.timestamp = reader.padded("timestamp")?;
            it.base_fee = reader.u256();
            it.hash = reader.word().into();
            it.sequence_number = reader.padded("sequenceNumber")?;
            it.batcher_hash = reader.word().into();
            it.l1_fee_overhead = reader.u256();
            it.l1_fee_scalar = reader.u256();
            return Ok((it, format));
        }
        it.base_fee_scalar = u32::from_be_bytes(reader.take());
        it.blob_base_fee_scalar = u32::from_be_bytes(reader.take());
        it.sequence_number = u64::from_be_bytes(reader.take());
        it.timestamp = u64::from_be_bytes(reader.take());
        it.number = u64::from_be_bytes(reader.take());
        it.base_fee = reader.u256();
        it.blob_base_fee = reader.u256();
        it.hash = reader.word().into();
        it.batcher_hash = reader.word().into();
        if format >= Format::Isthmus {
            it.operator_fee_scalar = u32::from_be_bytes(reader.take());
            it.operator_fee_constant = u64::from_be_bytes(reader.take());
        }
        if format == Format::Jovian {
            it.da_footprint_gas_scalar = u16::from_be_bytes(reader.take());
        }
        Ok((it, format))
    }

    /// The deposit that carries this. `regolith` is whether Regolith is active in the block.
    pub fn deposit(&self, format: Format, regolith: bool) -> TxDeposit {
        let source = L1InfoDepositSource::new(self.hash, self.sequence_number);
        TxDeposit {
            source_hash: source.source_hash(),
            from: DEPOSITOR,
            to: TxKind::Call(L1_BLOCK),
            mint: 0,
            value: U256::ZERO,
            gas_limit: if regolith { REGOLITH_GAS } else { BEDROCK_GAS },
            is_system_transaction: !regolith,
            input: self.encode(format),
        }
    }
}

/// Takes fields off a slice whose length has been checked.
struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> [u8; N] {
        let (head, rest) = self.rest.split_first_chunk::<N>().expect("the length was checked");
        self.rest = rest;
        *head
    }

    fn word(&mut self) -> [u8; 32] {
        self.take()
    }

    fn u256(&mut self) -> U256 {
        U256::from_be_bytes(self.word())
    }

    fn padded(&mut self, field: &'static str) -> Result<u64, L1AttributesError> {
        u64::try_from(self.u256()).map_err(|_| L1AttributesError::Padding(field))
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::keccak256;
    use proptest::prelude::*;

    use super::*;
    use crate::rollup::tests::{config, file};

    #[test]
    fn selectors_are_those_of_the_contract() {
        for (selector, signature) in [
            (
                BEDROCK_SELECTOR,
                "setL1BlockValues(uint64,uint64,uint256,bytes32,uint64,bytes32,uint256,uint256)",
            ),
            (ECOTONE_SELECTOR, "setL1BlockValuesEcotone()"),
            (ISTHMUS_SELECTOR, "setL1BlockValuesIsthmus()"),
            (JOVIAN_SELECTOR, "setL1BlockValuesJovian()"),
        ] {
            assert_eq!(keccak256(signature)[..4], selector, "{signature}");
        }
    }

    #[test]
    fn fields_are_where_the_specification_puts_them() {
        let it = L1Attributes {
            base_fee_scalar: 0x0101_0101,
            blob_base_fee_scalar: 0x0202_0202,
            sequence_number: 3,
            timestamp: 4,
            number: 5,
            base_fee: U256::from(6),
            blob_base_fee: U256::from(7),
            hash: B256::repeat_byte(8),
            batcher_hash: B256::repeat_byte(9),
            operator_fee_scalar: 10,
            operator_fee_constant: 11,
            da_footprint_gas_scalar: 12,
            ..Default::default()
        };
        let data = it.encode(Format::Jovian);
        assert_eq!(data.len(), JOVIAN_LEN);
        assert_eq!(data[4..8], hex!("01010101"));
        assert_eq!(data[8..12], hex!("02020202"));
        assert_eq!((data[19], data[27], data[35], data[67], data[99]), (3, 4, 5, 6, 7));
        assert_eq!(data[100..132], [8; 32]);
        assert_eq!(data[132..164], [9; 32]);
        assert_eq!((data[167], data[175], data[177]), (10, 11, 12));
    }

    #[test]
    fn the_activation_block_keeps_the_parent_form() {
        let mut rollup = config(file());
        let start = rollup.genesis.l2_time;
        assert_eq!(Format::in_block(&rollup, start + 2), Format::Jovian);
        rollup.isthmus_time = Some(start + 1);
        rollup.jovian_time = Some(start + 7);
        rollup.karst_time = None;
        let forms: Vec<_> = (1..=5).map(|n| Format::in_block(&rollup, start + 2 * n)).collect();
        let [e, i, j] = [Format::Ecotone, Format::Isthmus, Format::Jovian];
        assert_eq!(forms, [e, i, i, i, j]);
        rollup.ecotone_time = Some(start + 1);
        assert_eq!(Format::in_block(&rollup, start + 2), Format::Bedrock);
    }

    fn origin(header: &Header) -> L1Origin<'_> {
        L1Origin { hash: header.hash_slow(), header, blob_params: BlobParams::prague() }
    }

    #[test]
    fn attributes_follow_the_system_config() {
        let rollup = config(file());
        let header = Header {
            number: 5,
            timestamp: rollup.genesis.l2_time + 1,
            base_fee_per_gas: Some(7),
            excess_blob_gas: Some(50_000_000),
            ..Default::default()
        };
        let mut system = rollup.genesis.system_config;
        system.set_operator_fee(8, 9);
        system.da_footprint_gas_scalar = 0;
        let time = rollup.genesis.l2_time + 2;
        let it = L1Attributes::new(&rollup, &system, 3, &origin(&header), time).expect("valid");
        assert_eq!((it.number, it.sequence_number, it.base_fee), (5, 3, U256::from(7)));
        assert_eq!((it.base_fee_scalar, it.blob_base_fee_scalar), (1368, 810_949));
        assert_eq!((it.operator_fee_scalar, it.operator_fee_constant), (8, 9));
        assert_eq!(it.da_footprint_gas_scalar, 400);
        assert_eq!(it.batcher(), system.batcher_addr);
        // e^(50,000,000 / 5,007,716)
        assert_eq!(it.blob_base_fee, U256::from(21_689));

        let mut pectra = rollup.clone();
        pectra.pectra_blob_schedule_time = Some(header.timestamp + 1);
        let old = L1Attributes::new(&pectra, &system, 3, &origin(&header), time).expect("valid");
        // e^(50,000,000 / 3,338,477)
        assert_eq!(old.blob_base_fee, U256::from(3_194_333));

        let before_blobs = Header { excess_blob_gas: None, ..header };
        let it =
            L1Attributes::new(&rollup, &system, 3, &origin(&before_blobs), time).expect("valid");
        assert_eq!(it.blob_base_fee, U256::from(1));
        system.scalar[0] = 3;
        assert!(L1Attributes::new(&rollup, &system, 3, &origin(&before_blobs), time).is_err());
    }

    #[test]
    fn bad_calldata_is_refused() {
        assert_eq!(L1Attributes::decode(&[1]), Err(L1AttributesError::NoSelector(1)));
        assert_eq!(L1Attributes::decode(&[0; 164]), Err(L1AttributesError::Selector([0; 4])));
        let mut long = L1Attributes::default().encode(Format::Jovian).to_vec();
        long.push(0);
        assert_eq!(
            L1Attributes::decode(&long),
            Err(L1AttributesError::Length { got: 179, want: 178 })
        );
        let mut padded = L1Attributes::default().encode(Format::Bedrock).to_vec();
        padded[4] = 1;
        assert_eq!(L1Attributes::decode(&padded), Err(L1AttributesError::Padding("number")));
    }

    proptest! {
        #[test]
        fn round_trip(numbers in any::<(u64, u64, u64, u32, u32, u32, u64, u16)>(), seed in any::<u8>()) {
            let (number, timestamp, sequence_number, a, b, c, d, e) = numbers;
            let packed = L1Attributes {
                number, timestamp, sequence_number,
                base_fee: U256::from(seed), blob_base_fee: U256::from(number),
                hash: B256::repeat_byte(seed), batcher_hash: B256::repeat_byte(!seed),
                base_fee_scalar: a, blob_base_fee_scalar: b, operator_fee_scalar: c,
                operator_fee_constant: d, da_footprint_gas_scalar: e,
                ..Default::default()
            };
            prop_assert_eq!(L1Attributes::decode(&packed.encode(Format::Jovian)), Ok((packed, Format::Jovian)));
            let isthmus = L1Attributes { da_footprint_gas_scalar: 0, ..packed };
            prop_assert_eq!(L1Attributes::decode(&packed.encode(Format::Isthmus)), Ok((isthmus, Format::Isthmus)));
            let bedrock = L1Attributes {
                number, timestamp, sequence_number, base_fee: packed.base_fee, hash: packed.hash,
                batcher_hash: packed.batcher_hash, l1_fee_overhead: U256::from(a), l1_fee_scalar: U256::from(b),
                ..Default::default()
            };
            prop_assert_eq!(L1Attributes::decode(&bedrock.encode(Format::Bedrock)), Ok((bedrock, Format::Bedrock)));
        }

        #[test]
        fn rubbish_never_panics(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = L1Attributes::decode(&bytes);
        }
    }
}
