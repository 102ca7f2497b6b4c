//! What a transaction pays beyond its gas, and how much data it puts on L1.
//!
//! Three numbers come out of the encoded transaction: the L1 data fee, the operator fee and the DA
//! footprint. All of them follow what the `L1Block` predeploy holds after the block's L1-attributes
//! deposit ran (specs: `bedrock/exec-engine.md`, `ecotone/…`, `fjord/…`, `isthmus/…`, `jovian/…`).

use crate::fastlz;
use alloy_primitives::U256;
use ascribe_chainspec::{
    L1Attributes, L1AttributesError,
    attributes::{Format, JOVIAN_SELECTOR},
};
use op_revm::{
    OpSpecId,
    constants::{L1_BLOCK_CONTRACT, L1_OVERHEAD_SLOT, L1_SCALAR_SLOT},
};
use revm::Database;

pub use op_revm::L1BlockInfo;

/// Length of the Isthmus L1-attributes calldata.
const ISTHMUS_LEN: usize = 176;
/// Length of the Jovian L1-attributes calldata, which ends with `daFootprintGasScalar`.
const JOVIAN_LEN: usize = 178;

/// A transaction's size after compression as Fjord estimates it, in millionths of a byte:
/// `max(100e6, 836500 * fastlz_size - 42585600)`.
///
/// Finding it takes a pass of FastLZ over the encoded transaction (microseconds), so whoever knows
/// it already (the pool) hands it on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EstimatedSize(u64);

impl EstimatedSize {
    /// No transaction is estimated smaller than 100 bytes.
    pub const MIN: Self = Self(100_000_000);

    /// Estimates the EIP-2718 encoding of a transaction.
    pub fn of(encoded: &[u8]) -> Self {
        let fastlz_size = u64::from(fastlz::compressed_len(encoded));
        Self((836_500 * fastlz_size).saturating_sub(42_585_600).max(Self::MIN.0))
    }

    /// Millionths of a byte.
    pub const fn scaled(self) -> u64 {
        self.0
    }

    /// Whole bytes, rounded down: the size that DA limits count.
    pub const fn bytes(self) -> u64 {
        self.0 / 1_000_000
    }

    /// The gas that the transaction takes of the block's DA footprint at Jovian's
    /// `daFootprintGasScalar`.
    pub const fn da_footprint(self, scalar: u16) -> u64 {
        self.bytes().saturating_mul(scalar as u64)
    }
}

/// The L1-attributes calldata of a Jovian block does not say its DA footprint gas scalar.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FootprintScalarError {
    /// Shorter than the Jovian form.
    #[error("L1 attributes transaction data too short for DA footprint gas scalar: {0}")]
    TooShort(usize),
    /// Long enough, but for another method.
    #[error("L1 attributes transaction data does not have Jovian selector")]
    WrongSelector,
}

/// Reads `daFootprintGasScalar` from the calldata of a Jovian block's L1-attributes deposit.
///
/// `None` in the block that activates Jovian, whose attributes still have the Isthmus form: its
/// footprint is 0 and it can hold no user transaction.
pub fn da_footprint_gas_scalar(calldata: &[u8]) -> Result<Option<u16>, FootprintScalarError> {
    if calldata.len() == ISTHMUS_LEN {
        return Ok(None);
    }
    if calldata.len() < JOVIAN_LEN {
        return Err(FootprintScalarError::TooShort(calldata.len()));
    }
    if calldata[..4] != JOVIAN_SELECTOR {
        return Err(FootprintScalarError::WrongSelector);
    }
    Ok(Some(u16::from_be_bytes([calldata[JOVIAN_LEN - 2], calldata[JOVIAN_LEN - 1]])))
}

/// Reads the fee parameters of block `number` from the calldata of its L1-attributes deposit.
///
/// For whoever has the block at hand and not its state: receipts, and the pool's next head. In a
/// block that activates Ecotone the attributes are Bedrock's, and so is the fee.
pub fn l1_block_info_from_attributes(
    calldata: &[u8],
    number: u64,
) -> Result<L1BlockInfo, L1AttributesError> {
    let (attributes, format) = L1Attributes::decode(calldata)?;
    let bedrock = format == Format::Bedrock;
    let isthmus = format >= Format::Isthmus;
    Ok(L1BlockInfo {
        l2_block: Some(U256::from(number)),
        l1_base_fee: attributes.base_fee,
        l1_base_fee_scalar: if bedrock {
            attributes.l1_fee_scalar
        } else {
            U256::from(attributes.base_fee_scalar)
        },
        l1_fee_overhead: bedrock.then_some(attributes.l1_fee_overhead),
        empty_ecotone_scalars: bedrock,
        l1_blob_base_fee: (!bedrock).then_some(attributes.blob_base_fee),
        l1_blob_base_fee_scalar: (!bedrock).then(|| U256::from(attributes.blob_base_fee_scalar)),
        operator_fee_scalar: isthmus.then(|| U256::from(attributes.operator_fee_scalar)),
        operator_fee_constant: isthmus.then(|| U256::from(attributes.operator_fee_constant)),
        da_footprint_gas_scalar: (format == Format::Jovian)
            .then_some(attributes.da_footprint_gas_scalar),
        tx_l1_cost: None,
    })
}

/// Reads the fee parameters from `L1Block`'s storage, as they are valid in block `number`.
///
/// Call it with the state *after* the block's L1-attributes deposit. It differs from op-revm's own
/// in the first Ecotone block (see [`l1_cost`]), for which it keeps the Bedrock scalar.
pub fn l1_block_info<DB: Database>(
    db: &mut DB,
    number: u64,
    spec: OpSpecId,
) -> Result<L1BlockInfo, DB::Error> {
    let mut info = L1BlockInfo::try_fetch(db, U256::from(number), spec)?;
    if spec.is_enabled_in(OpSpecId::ECOTONE) && is_first_ecotone_block(&info) {
        info.l1_base_fee_scalar = db.storage(L1_BLOCK_CONTRACT, L1_SCALAR_SLOT)?;
        info.l1_fee_overhead = Some(db.storage(L1_BLOCK_CONTRACT, L1_OVERHEAD_SLOT)?);
    }
    Ok(info)
}

/// The L1 data fee of an encoded transaction, in wei; 0 for a deposit.
///
/// The first block of Ecotone still has Bedrock's attributes and so Bedrock's formula, whatever
/// other forks it activates.
pub fn l1_cost(info: &L1BlockInfo, encoded: &[u8], spec: OpSpecId) -> U256 {
    if is_free(encoded) {
        return U256::ZERO;
    }
    if uses_bedrock_formula(info, spec) {
        return bedrock_data_gas(info, encoded, spec)
            .saturating_mul(info.l1_base_fee)
            .saturating_mul(info.l1_base_fee_scalar)
            / U256::from(1_000_000);
    }
    if spec.is_enabled_in(OpSpecId::FJORD) {
        return l1_cost_of_size(info, EstimatedSize::of(encoded));
    }
    info.data_gas(encoded, spec).saturating_mul(fee_scaled(info)) / U256::from(16_000_000)
}

/// The L1 data fee from Fjord on, in wei, of a transaction whose size is known.
pub fn l1_cost_of_size(info: &L1BlockInfo, size: EstimatedSize) -> U256 {
    U256::from(size.scaled()).saturating_mul(fee_scaled(info)) / U256::from(1_000_000_000_000u64)
}

/// `l1GasUsed` as receipts report it: the L1 gas that the L1 data fee stands for.
pub fn l1_gas_used(info: &L1BlockInfo, encoded: &[u8], spec: OpSpecId) -> U256 {
    if is_free(encoded) {
        U256::ZERO
    } else if uses_bedrock_formula(info, spec) {
        bedrock_data_gas(info, encoded, spec)
    } else {
        info.data_gas(encoded, spec)
    }
}

/// The operator fee for `gas`, in wei: 0 before Isthmus, `gas * scalar / 1e6 + constant` at
/// Isthmus, `gas * scalar * 100 + constant` from Jovian on.
pub fn operator_fee(info: &L1BlockInfo, gas: u64, spec: OpSpecId) -> U256 {
    if !spec.is_enabled_in(OpSpecId::ISTHMUS) {
        return U256::ZERO;
    }
    let scaled = U256::from(gas).saturating_mul(info.operator_fee_scalar.unwrap_or_default());
    let variable = if spec.is_enabled_in(OpSpecId::JOVIAN) {
        scaled.saturating_mul(U256::from(100))
    } else {
        scaled / U256::from(1_000_000)
    };
    variable.saturating_add(info.operator_fee_constant.unwrap_or_default())
}

/// Whether the L1 fee of this block is that of an upgrade block which has Ecotone's rules but not
/// yet its attributes.
pub(crate) fn uses_bedrock_formula(info: &L1BlockInfo, spec: OpSpecId) -> bool {
    !spec.is_enabled_in(OpSpecId::ECOTONE) || is_first_ecotone_block(info)
}

/// Neither Ecotone's scalars nor the blob base fee were ever written.
fn is_first_ecotone_block(info: &L1BlockInfo) -> bool {
    info.empty_ecotone_scalars && info.l1_blob_base_fee.is_none_or(|fee| fee.is_zero())
}

/// Deposits are paid for on L1.
fn is_free(encoded: &[u8]) -> bool {
    matches!(encoded.first(), None | Some(&op_alloy_consensus::DEPOSIT_TX_TYPE_ID))
}

fn bedrock_data_gas(info: &L1BlockInfo, encoded: &[u8], spec: OpSpecId) -> U256 {
    info.data_gas(encoded, spec.min(OpSpecId::ECOTONE))
        .saturating_add(info.l1_fee_overhead.unwrap_or_default())
}

/// `16 * l1BaseFee * baseFeeScalar + blobBaseFee * blobBaseFeeScalar`.
fn fee_scaled(info: &L1BlockInfo) -> U256 {
    let calldata =
        info.l1_base_fee.saturating_mul(U256::from(16)).saturating_mul(info.l1_base_fee_scalar);
    let blob = info
        .l1_blob_base_fee
        .unwrap_or_default()
        .saturating_mul(info.l1_blob_base_fee_scalar.unwrap_or_default());
    calldata.saturating_add(blob)
}

#[cfg(test)]
mod tests {
    use super::*;
    use revm::{bytecode::Bytecode, database::InMemoryDB, state::AccountInfo};

    const ATTRIBUTES: L1Attributes = L1Attributes {
        number: 1,
        timestamp: 2,
        base_fee: U256::from_limbs([1_001, 0, 0, 0]),
        blob_base_fee: U256::from_limbs([1_007, 0, 0, 0]),
        hash: alloy_primitives::B256::repeat_byte(3),
        sequence_number: 4,
        batcher_hash: alloy_primitives::B256::repeat_byte(5),
        l1_fee_overhead: U256::from_limbs([1_005, 0, 0, 0]),
        l1_fee_scalar: U256::from_limbs([1_006, 0, 0, 0]),
        base_fee_scalar: 10,
        blob_base_fee_scalar: 11,
        operator_fee_scalar: 12,
        operator_fee_constant: 13,
        da_footprint_gas_scalar: 0xb0b1,
    };

    /// `L1Block`'s storage as the contract of each form leaves it behind.
    fn stored(format: Format) -> InMemoryDB {
        let mut db = InMemoryDB::default();
        let code = Bytecode::new_raw([0].into());
        db.insert_account_info(L1_BLOCK_CONTRACT, AccountInfo::from_bytecode(code));
        let mut set = |slot: u64, value| {
            db.insert_account_storage(L1_BLOCK_CONTRACT, U256::from(slot), value)
                .expect("memory does not fail");
        };
        set(1, U256::from(1_001));
        if format == Format::Bedrock {
            set(5, U256::from(1_005));
            set(6, U256::from(1_006));
        } else {
            set(3, U256::from(10) << 96 | U256::from(11) << 64 | U256::from(4));
            set(7, U256::from(1_007));
        }
        let footprint = if format == Format::Jovian { 0xb0b1 } else { 0 };
        if format >= Format::Isthmus {
            set(8, U256::from(footprint) << 96 | U256::from(12) << 64 | U256::from(13));
        }
        db
    }

    #[test]
    fn attributes_say_what_storage_says() {
        for (format, spec) in [
            (Format::Bedrock, OpSpecId::REGOLITH),
            (Format::Ecotone, OpSpecId::FJORD),
            (Format::Isthmus, OpSpecId::ISTHMUS),
            (Format::Jovian, OpSpecId::KARST),
        ] {
            let mut info =
                l1_block_info_from_attributes(&ATTRIBUTES.encode(format), 7).expect("a known form");
            assert_eq!(uses_bedrock_formula(&info, OpSpecId::ECOTONE), format == Format::Bedrock);
            // Before Ecotone storage cannot tell that it has no Ecotone scalars.
            info.empty_ecotone_scalars = false;
            let stored = l1_block_info(&mut stored(format), 7, spec).expect("memory");
            assert_eq!(info, stored, "{format:?}");
        }
        // An activation block: Bedrock's attributes under Ecotone's rules.
        let info = l1_block_info_from_attributes(&ATTRIBUTES.encode(Format::Bedrock), 7);
        let stored = l1_block_info(&mut stored(Format::Bedrock), 7, OpSpecId::ECOTONE);
        let (info, stored) = (info.expect("known"), stored.expect("memory"));
        let tx = [1; 100];
        let fee = l1_cost(&stored, &tx, OpSpecId::ECOTONE);
        assert_eq!(fee, U256::from((1_600 + 1_005) * 1_001 * 1_006_u64 / 1_000_000));
        assert_eq!(l1_cost(&info, &tx, OpSpecId::ECOTONE), fee);
    }

    #[test]
    fn footprint_scalar_is_the_last_word() {
        let jovian = ATTRIBUTES.encode(Format::Jovian).to_vec();
        assert_eq!(da_footprint_gas_scalar(&jovian), Ok(Some(0xb0b1)));
        // op-geth reads on where there is more.
        assert_eq!(da_footprint_gas_scalar(&[&jovian[..], &[9]].concat()), Ok(Some(0xb0b1)));
        let isthmus = ATTRIBUTES.encode(Format::Isthmus).to_vec();
        assert_eq!(da_footprint_gas_scalar(&isthmus), Ok(None));
        let wrong = da_footprint_gas_scalar(&[&isthmus[..], &[0, 1]].concat());
        assert_eq!(wrong, Err(FootprintScalarError::WrongSelector));
        let short = da_footprint_gas_scalar(&jovian[..177]);
        assert_eq!(short, Err(FootprintScalarError::TooShort(177)));
    }
}
