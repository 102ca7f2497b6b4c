//! What a transaction pays beyond its gas, and how much data it puts on L1.
//!
//! Three numbers come out of the encoded transaction: the L1 data fee, the operator fee and the DA
//! footprint. All of them follow what the `L1Block` predeploy holds after the block's L1-attributes
//! deposit ran (specs: `bedrock/exec-engine.md`, `ecotone/…`, `fjord/…`, `isthmus/…`, `jovian/…`).

use crate::fastlz;
use alloy_primitives::U256;
use op_revm::{
    OpSpecId,
    constants::{L1_BLOCK_CONTRACT, L1_OVERHEAD_SLOT, L1_SCALAR_SLOT},
};
use revm::Database;

pub use op_revm::L1BlockInfo;

/// Selector of `setL1BlockValues(…)`.
const BEDROCK_SELECTOR: [u8; 4] = [0x01, 0x5d, 0x8e, 0xb9];
/// Selector of `setL1BlockValuesEcotone()`.
const ECOTONE_SELECTOR: [u8; 4] = [0x44, 0x0a, 0x5e, 0x20];
/// Selector of `setL1BlockValuesIsthmus()`.
const ISTHMUS_SELECTOR: [u8; 4] = [0x09, 0x89, 0x99, 0xbe];
/// Selector of `setL1BlockValuesJovian()`.
const JOVIAN_SELECTOR: [u8; 4] = [0x3d, 0xb6, 0xbe, 0x2b];
/// Length of the Bedrock L1-attributes calldata.
const BEDROCK_LEN: usize = 260;
/// Length of the Ecotone L1-attributes calldata.
const ECOTONE_LEN: usize = 164;
/// Length of the Isthmus L1-attributes calldata.
const ISTHMUS_LEN: usize = 176;
/// Length of the Jovian L1-attributes calldata.
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

/// Calldata is not the L1 attributes that its block needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum L1AttributesError {
    /// Shorter than the Jovian form.
    #[error("L1 attributes transaction data too short for DA footprint gas scalar: {0}")]
    TooShort(usize),
    /// Long enough, but for another method.
    #[error("L1 attributes transaction data does not have Jovian selector")]
    WrongSelector,
    /// No form that any fork knows.
    #[error("unknown L1 attributes transaction data of {0} bytes")]
    Unknown(usize),
}

/// Reads `daFootprintGasScalar` from the calldata of a Jovian block's L1-attributes deposit.
///
/// `None` in the block that activates Jovian, whose attributes still have the Isthmus form: its
/// footprint is 0 and it can hold no user transaction.
pub fn da_footprint_gas_scalar(calldata: &[u8]) -> Result<Option<u16>, L1AttributesError> {
    if calldata.len() == ISTHMUS_LEN {
        return Ok(None);
    }
    if calldata.len() < JOVIAN_LEN {
        return Err(L1AttributesError::TooShort(calldata.len()));
    }
    if calldata[..4] != JOVIAN_SELECTOR {
        return Err(L1AttributesError::WrongSelector);
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
    let unknown = L1AttributesError::Unknown(calldata.len());
    let (selector, _) = calldata.split_first_chunk::<4>().ok_or(unknown)?;
    let uint = |start: usize, len: usize| U256::from_be_slice(&calldata[start..start + len]);
    let mut info = L1BlockInfo { l2_block: Some(U256::from(number)), ..L1BlockInfo::default() };
    match (*selector, calldata.len()) {
        (BEDROCK_SELECTOR, BEDROCK_LEN) => {
            info.l1_base_fee = uint(68, 32);
            info.l1_fee_overhead = Some(uint(196, 32));
            info.l1_base_fee_scalar = uint(228, 32);
            info.empty_ecotone_scalars = true;
            return Ok(info);
        }
        (ECOTONE_SELECTOR, ECOTONE_LEN) => {}
        (ISTHMUS_SELECTOR, ISTHMUS_LEN) | (JOVIAN_SELECTOR, JOVIAN_LEN) => {
            info.operator_fee_scalar = Some(uint(164, 4));
            info.operator_fee_constant = Some(uint(168, 8));
        }
        _ => return Err(unknown),
    }
    info.l1_base_fee_scalar = uint(4, 4);
    info.l1_blob_base_fee_scalar = Some(uint(8, 4));
    info.l1_base_fee = uint(36, 32);
    info.l1_blob_base_fee = Some(uint(68, 32));
    if calldata.len() == JOVIAN_LEN {
        info.da_footprint_gas_scalar = Some(uint(176, 2).to());
    }
    Ok(info)
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

    /// Every byte is its own index, so that a field in the wrong place shows.
    fn calldata(selector: [u8; 4], len: usize) -> Vec<u8> {
        let mut calldata: Vec<u8> = (0..len).map(|index| index as u8).collect();
        calldata[..4].copy_from_slice(&selector);
        calldata
    }

    fn bytes(start: u8, len: u8) -> U256 {
        U256::from_be_slice(&(start..start + len).collect::<Vec<_>>())
    }

    #[test]
    fn attributes_of_every_fork_are_read() {
        let read = |selector, len| {
            l1_block_info_from_attributes(&calldata(selector, len), 7).expect("a known form")
        };
        let bedrock = read(BEDROCK_SELECTOR, BEDROCK_LEN);
        assert_eq!(bedrock.l2_block, Some(U256::from(7)));
        assert_eq!(bedrock.l1_base_fee, bytes(68, 32));
        assert_eq!(bedrock.l1_fee_overhead, Some(bytes(196, 32)));
        assert_eq!(bedrock.l1_base_fee_scalar, U256::from_be_slice(&calldata([0; 4], 260)[228..]));
        assert!(uses_bedrock_formula(&bedrock, OpSpecId::ECOTONE));

        let ecotone = read(ECOTONE_SELECTOR, ECOTONE_LEN);
        assert_eq!(ecotone.l1_base_fee_scalar, bytes(4, 4));
        assert_eq!(ecotone.l1_blob_base_fee_scalar, Some(bytes(8, 4)));
        assert_eq!(ecotone.l1_base_fee, bytes(36, 32));
        assert_eq!(ecotone.l1_blob_base_fee, Some(bytes(68, 32)));
        assert_eq!(ecotone.operator_fee_scalar, None);
        assert!(!uses_bedrock_formula(&ecotone, OpSpecId::ECOTONE));

        let isthmus = read(ISTHMUS_SELECTOR, ISTHMUS_LEN);
        assert_eq!(isthmus.operator_fee_scalar, Some(bytes(164, 4)));
        assert_eq!(isthmus.operator_fee_constant, Some(bytes(168, 8)));
        assert_eq!(isthmus.da_footprint_gas_scalar, None);

        let jovian = read(JOVIAN_SELECTOR, JOVIAN_LEN);
        assert_eq!(jovian.da_footprint_gas_scalar, Some(0xb0b1));
        assert_eq!(jovian, L1BlockInfo { da_footprint_gas_scalar: Some(0xb0b1), ..isthmus });
    }

    #[test]
    fn other_calldata_is_refused() {
        for (selector, len) in [
            (JOVIAN_SELECTOR, 177),
            (JOVIAN_SELECTOR, 179),
            (ISTHMUS_SELECTOR, 178),
            ([0; 4], 260),
            ([0; 4], 4),
        ] {
            let error = l1_block_info_from_attributes(&calldata(selector, len), 7);
            assert_eq!(error, Err(L1AttributesError::Unknown(len)));
        }
        assert!(l1_block_info_from_attributes(&[0x3d], 7).is_err());
    }

    #[test]
    fn footprint_scalar_is_the_last_word() {
        let jovian = calldata(JOVIAN_SELECTOR, JOVIAN_LEN);
        assert_eq!(da_footprint_gas_scalar(&jovian), Ok(Some(0xb0b1)));
        // op-geth reads on where there is more.
        assert_eq!(da_footprint_gas_scalar(&calldata(JOVIAN_SELECTOR, 200)), Ok(Some(0xb0b1)));
        assert_eq!(da_footprint_gas_scalar(&calldata(ISTHMUS_SELECTOR, ISTHMUS_LEN)), Ok(None));
        let wrong = da_footprint_gas_scalar(&calldata(ISTHMUS_SELECTOR, JOVIAN_LEN));
        assert_eq!(wrong, Err(L1AttributesError::WrongSelector));
        let short = da_footprint_gas_scalar(&calldata(JOVIAN_SELECTOR, 177));
        assert_eq!(short, Err(L1AttributesError::TooShort(177)));
    }
}
