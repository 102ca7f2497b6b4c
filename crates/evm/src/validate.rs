//! The rules a block must obey, sorted by what they need: the parent's header, nothing but the
//! block, or the outcome of its execution.

use crate::{ConsensusError, ExecutionOutput, error::InvalidTx};
use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header, constants::EMPTY_WITHDRAWALS};
use alloy_eips::{Typed2718, eip7685::EMPTY_REQUESTS_HASH};
use alloy_op_hardforks::OpHardforks;
use alloy_primitives::{B256, Bloom};
use ascribe_chainspec::{ChainSpec, extra_data};
use op_alloy_consensus::OpBlock;
use reth_primitives_traits::{RecoveredBlock, SealedHeader};

/// The longest `extraData` before Holocene fixes its length, in bytes.
const MAX_EXTRA_DATA_LEN: usize = 32;
/// The highest gas limit.
const MAX_GAS_LIMIT: u64 = i64::MAX as u64;

/// Checks a header by itself and against its parent's, whose hash is `parent.hash()`.
///
/// The gas limit may change by any amount: on an OP chain the system configuration sets it.
pub fn validate_header(
    spec: &ChainSpec,
    header: &Header,
    parent: &SealedHeader,
) -> Result<(), ConsensusError> {
    validate_standalone(spec, header)?;
    if header.parent_hash != parent.hash() {
        return Err(ConsensusError::ParentHash {
            got: header.parent_hash,
            expected: parent.hash(),
        });
    }
    if parent.number.checked_add(1) != Some(header.number) {
        return Err(ConsensusError::Number { number: header.number, parent: parent.number });
    }
    if header.timestamp <= parent.timestamp {
        return Err(ConsensusError::Timestamp {
            timestamp: header.timestamp,
            parent: parent.timestamp,
        });
    }
    let got = header.base_fee_per_gas.ok_or(ConsensusError::BaseFeeMissing)?;
    let expected = spec
        .next_block_base_fee(parent.header(), header.timestamp)
        .map_err(|error| ConsensusError::BaseFeeUnknown(error.to_string()))?;
    if got != expected {
        return Err(ConsensusError::BaseFee { got, expected });
    }
    Ok(())
}

fn validate_standalone(spec: &ChainSpec, header: &Header) -> Result<(), ConsensusError> {
    if !header.difficulty.is_zero() {
        return Err(ConsensusError::Difficulty);
    }
    if !header.nonce.is_zero() {
        return Err(ConsensusError::Nonce);
    }
    if header.ommers_hash != EMPTY_OMMER_ROOT_HASH {
        return Err(ConsensusError::Ommers);
    }
    if header.gas_limit > MAX_GAS_LIMIT {
        return Err(ConsensusError::GasLimit(header.gas_limit));
    }
    if header.gas_used > header.gas_limit {
        return Err(ConsensusError::GasUsedAboveLimit {
            gas_used: header.gas_used,
            gas_limit: header.gas_limit,
        });
    }
    validate_extra_data(spec, header)?;
    validate_canyon_fields(spec, header)?;
    validate_ecotone_fields(spec, header)?;
    validate_isthmus_fields(spec, header)?;
    if header.block_access_list_hash.is_some() {
        return Err(ConsensusError::FieldUnexpected("blockAccessListHash"));
    }
    if header.slot_number.is_some() {
        return Err(ConsensusError::FieldUnexpected("slotNumber"));
    }
    Ok(())
}

fn validate_extra_data(spec: &ChainSpec, header: &Header) -> Result<(), ConsensusError> {
    let holocene = spec.is_holocene_active_at_timestamp(header.timestamp);
    let jovian = spec.is_jovian_active_at_timestamp(header.timestamp);
    if !holocene {
        let len = header.extra_data.len();
        return if len > MAX_EXTRA_DATA_LEN {
            Err(ConsensusError::ExtraDataLength { len })
        } else {
            Ok(())
        };
    }
    let refuse = |reason: String| {
        Err(ConsensusError::ExtraData { extra_data: header.extra_data.clone(), reason })
    };
    match extra_data::decode(&header.extra_data) {
        Err(error) => refuse(error.to_string()),
        Ok(params) if params.min_base_fee.is_some() != jovian => refuse(format!(
            "{} bytes, want {}",
            header.extra_data.len(),
            if jovian { "17 from Jovian on" } else { "9 before Jovian" }
        )),
        // Zeros stand for the chain's defaults in attributes; a header holds the values themselves.
        Ok(params) if params.denominator == 0 || params.elasticity == 0 => {
            refuse("EIP-1559 denominator and elasticity must not be zero".to_owned())
        }
        Ok(_) => Ok(()),
    }
}

fn validate_canyon_fields(spec: &ChainSpec, header: &Header) -> Result<(), ConsensusError> {
    if spec.is_isthmus_active_at_timestamp(header.timestamp) {
        // Compared with the message passer's storage root after execution.
        require(header.withdrawals_root, "withdrawalsRoot", "Isthmus").map(drop)
    } else if spec.is_canyon_active_at_timestamp(header.timestamp) {
        let got = require(header.withdrawals_root, "withdrawalsRoot", "Canyon")?;
        if got != EMPTY_WITHDRAWALS {
            return Err(ConsensusError::WithdrawalsRoot { got, expected: EMPTY_WITHDRAWALS });
        }
        Ok(())
    } else {
        forbid(header.withdrawals_root.is_some(), "withdrawalsRoot")
    }
}

fn validate_ecotone_fields(spec: &ChainSpec, header: &Header) -> Result<(), ConsensusError> {
    if !spec.is_ecotone_active_at_timestamp(header.timestamp) {
        forbid(header.blob_gas_used.is_some(), "blobGasUsed")?;
        forbid(header.excess_blob_gas.is_some(), "excessBlobGas")?;
        return forbid(header.parent_beacon_block_root.is_some(), "parentBeaconBlockRoot");
    }
    require(header.parent_beacon_block_root, "parentBeaconBlockRoot", "Ecotone")?;
    let excess = require(header.excess_blob_gas, "excessBlobGas", "Ecotone")?;
    if excess != 0 {
        return Err(ConsensusError::FieldNotZero { field: "excessBlobGas", got: excess });
    }
    let footprint = require(header.blob_gas_used, "blobGasUsed", "Ecotone")?;
    if spec.is_jovian_active_at_timestamp(header.timestamp) {
        if footprint > header.gas_limit {
            return Err(ConsensusError::DaFootprintAboveLimit {
                footprint,
                gas_limit: header.gas_limit,
            });
        }
    } else if footprint != 0 {
        return Err(ConsensusError::FieldNotZero { field: "blobGasUsed", got: footprint });
    }
    Ok(())
}

fn validate_isthmus_fields(spec: &ChainSpec, header: &Header) -> Result<(), ConsensusError> {
    if !spec.is_isthmus_active_at_timestamp(header.timestamp) {
        return forbid(header.requests_hash.is_some(), "requestsHash");
    }
    let got = require(header.requests_hash, "requestsHash", "Isthmus")?;
    if got != EMPTY_REQUESTS_HASH {
        return Err(ConsensusError::RequestsHash { got, expected: EMPTY_REQUESTS_HASH });
    }
    Ok(())
}

/// Checks what a block's body says by itself. The EVM checks the transactions one by one; roots
/// are left to [`validate_body_against_header`].
pub fn validate_block_pre_execution(
    spec: &ChainSpec,
    block: &RecoveredBlock<OpBlock>,
) -> Result<(), ConsensusError> {
    let body = block.body();
    if !body.ommers.is_empty() {
        return Err(ConsensusError::Ommers);
    }
    let canyon = spec.is_canyon_active_at_timestamp(block.header().timestamp);
    match &body.withdrawals {
        Some(withdrawals) if canyon => {
            if !withdrawals.is_empty() {
                return Err(ConsensusError::WithdrawalsNotEmpty(withdrawals.len()));
            }
        }
        Some(_) => return Err(ConsensusError::FieldUnexpected("withdrawals")),
        None if canyon => {
            return Err(ConsensusError::FieldMissing { field: "withdrawals", fork: "Canyon" });
        }
        None => {}
    }
    if let Some((index, tx)) =
        body.transactions.iter().enumerate().find(|(_, tx)| tx.is_post_exec())
    {
        return Err(ConsensusError::Transaction {
            index,
            hash: tx.tx_hash(),
            reason: InvalidTx::UnsupportedType(tx.ty()),
        });
    }
    if spec.is_jovian_active_at_timestamp(block.header().timestamp)
        && !body.transactions.first().is_some_and(|tx| tx.is_deposit())
    {
        return Err(ConsensusError::MissingL1Attributes);
    }
    Ok(())
}

/// Checks that a body is the one its header commits to.
///
/// Not needed for a block that was made from an execution payload: there the header's root *is*
/// computed from the transactions, and the block hash tells whether it is the right one.
pub fn validate_body_against_header(block: &RecoveredBlock<OpBlock>) -> Result<(), ConsensusError> {
    let got = crate::transactions_root(&block.body().transactions);
    let expected = block.header().transactions_root;
    if got != expected {
        return Err(ConsensusError::TransactionsRoot { got, expected });
    }
    Ok(())
}

/// Compares what execution yielded with what the header says, but for the state root.
pub fn validate_post_execution(
    header: &Header,
    output: &ExecutionOutput,
    receipts_root: B256,
    logs_bloom: Bloom,
) -> Result<(), ConsensusError> {
    if output.gas_used != header.gas_used {
        return Err(ConsensusError::GasUsed { got: output.gas_used, expected: header.gas_used });
    }
    let expected = header.blob_gas_used.unwrap_or_default();
    if output.blob_gas_used != expected {
        return Err(ConsensusError::BlobGasUsed { got: output.blob_gas_used, expected });
    }
    if receipts_root != header.receipts_root {
        return Err(ConsensusError::ReceiptsRoot {
            got: receipts_root,
            expected: header.receipts_root,
        });
    }
    if logs_bloom != header.logs_bloom {
        return Err(ConsensusError::LogsBloom {
            got: Box::new(logs_bloom),
            expected: Box::new(header.logs_bloom),
        });
    }
    Ok(())
}

/// Compares the state root after the block with the header's.
pub fn validate_state_root(header: &Header, state_root: B256) -> Result<(), ConsensusError> {
    if state_root != header.state_root {
        return Err(ConsensusError::StateRoot { got: state_root, expected: header.state_root });
    }
    Ok(())
}

/// Compares the header's `withdrawalsRoot` with the storage root that the
/// [`L2ToL1MessagePasser`](crate::L2_TO_L1_MESSAGE_PASSER_ADDRESS) has after the block, from
/// Isthmus on; before, it does nothing.
pub fn validate_withdrawals_root(
    spec: &ChainSpec,
    header: &Header,
    message_passer_root: B256,
) -> Result<(), ConsensusError> {
    if !spec.is_isthmus_active_at_timestamp(header.timestamp) {
        return Ok(());
    }
    let got = require(header.withdrawals_root, "withdrawalsRoot", "Isthmus")?;
    if got != message_passer_root {
        return Err(ConsensusError::WithdrawalsRoot { got, expected: message_passer_root });
    }
    Ok(())
}

fn require<T>(
    value: Option<T>,
    field: &'static str,
    fork: &'static str,
) -> Result<T, ConsensusError> {
    value.ok_or(ConsensusError::FieldMissing { field, fork })
}

const fn forbid(present: bool, field: &'static str) -> Result<(), ConsensusError> {
    if present { Err(ConsensusError::FieldUnexpected(field)) } else { Ok(()) }
}
