//! Payload attributes: what a block shall be made from.

use crate::{AttributesError, decode::decode_transaction, import::activated_fork};
use alloy_consensus::transaction::SignerRecoverable;
use alloy_op_hardforks::OpHardforks;
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_engine::PayloadId;
use ascribe_chainspec::ChainSpec;
use ascribe_evm::NextBlock;
use op_alloy_consensus::OpTxEnvelope;
use op_alloy_rpc_types_engine::OpPayloadAttributes;
use reth_primitives_traits::{Recovered, SealedHeader};

/// The highest gas limit that a header may hold.
const MAX_GAS_LIMIT: u64 = i64::MAX as u64;

/// Checks what attributes say by themselves. op-geth does it before it looks for the head.
pub(crate) fn check(
    spec: &ChainSpec,
    attributes: &OpPayloadAttributes,
) -> Result<(), AttributesError> {
    let inner = &attributes.payload_attributes;
    let time = inner.timestamp;
    match attributes.gas_limit {
        None => return Err(AttributesError::GasLimitMissing),
        Some(limit) if limit > MAX_GAS_LIMIT => {
            return Err(AttributesError::GasLimitTooHigh(limit));
        }
        Some(_) => {}
    }
    match (&inner.withdrawals, spec.is_canyon_active_at_timestamp(time)) {
        (Some(withdrawals), true) if withdrawals.is_empty() => {}
        (_, true) => return Err(AttributesError::WithdrawalsNotEmpty),
        (Some(_), false) => return Err(AttributesError::WithdrawalsUnexpected),
        (None, false) => {}
    }
    match (inner.parent_beacon_block_root, spec.is_ecotone_active_at_timestamp(time)) {
        (None, true) => return Err(AttributesError::BeaconRootMissing),
        (Some(_), false) => return Err(AttributesError::BeaconRootUnexpected),
        _ => {}
    }
    match (attributes.decode_eip_1559_params(), spec.is_holocene_active_at_timestamp(time)) {
        (None, true) => return Err(AttributesError::Eip1559ParamsMissing),
        (Some(_), false) => return Err(AttributesError::Eip1559ParamsUnexpected),
        (Some((elasticity, denominator)), true) => match (elasticity, denominator) {
            (0, 0) => {}
            (0, _) => return Err(AttributesError::ZeroElasticity),
            (_, 0) => return Err(AttributesError::ZeroDenominator),
            _ => {}
        },
        (None, false) => {}
    }
    match (attributes.min_base_fee, spec.is_jovian_active_at_timestamp(time)) {
        (None, true) => Err(AttributesError::MinBaseFeeMissing),
        (Some(_), false) => Err(AttributesError::MinBaseFeeUnexpected),
        _ => Ok(()),
    }
}

/// The id of the payload that is built from these attributes on `parent`: the same for the same
/// input. Its first byte is the version of the attributes, as in op-geth.
pub fn payload_id(spec: &ChainSpec, parent: &B256, attributes: &OpPayloadAttributes) -> PayloadId {
    let time = attributes.payload_attributes.timestamp;
    let version = if spec.is_ecotone_active_at_timestamp(time) {
        3
    } else if spec.is_canyon_active_at_timestamp(time) {
        2
    } else {
        1
    };
    attributes.payload_id(parent, version)
}

/// Attributes that were checked, decoded, and given a parent.
#[derive(Debug, Clone)]
pub(crate) struct BuildInput {
    pub(crate) parent: SealedHeader,
    pub(crate) next: NextBlock,
    /// Transactions that must be in the block, first and in this order.
    pub(crate) forced: Vec<Recovered<OpTxEnvelope>>,
    /// Whether the pool's may follow.
    pub(crate) use_pool: bool,
}

impl BuildInput {
    /// Decodes attributes that passed [`check`].
    pub(crate) fn new(
        spec: &ChainSpec,
        parent: SealedHeader,
        attributes: OpPayloadAttributes,
    ) -> Result<Self, AttributesError> {
        let given = attributes.payload_attributes.timestamp;
        if given <= parent.timestamp {
            return Err(AttributesError::Timestamp { parent: parent.timestamp, given });
        }
        let forced = attributes
            .transactions
            .iter()
            .flatten()
            .enumerate()
            .map(|(index, encoded)| {
                recover(encoded).map_err(|reason| AttributesError::Transaction { index, reason })
            })
            .collect::<Result<_, _>>()?;
        let extra_data = extra_data(spec, &attributes)?;
        let activates = activated_fork(spec, parent.timestamp, given).is_some();
        let inner = attributes.payload_attributes;
        let next = NextBlock {
            timestamp: given,
            fee_recipient: inner.suggested_fee_recipient,
            prev_randao: inner.prev_randao,
            gas_limit: attributes.gas_limit.ok_or(AttributesError::GasLimitMissing)?,
            parent_beacon_block_root: inner.parent_beacon_block_root,
            extra_data,
        };
        let use_pool = !attributes.no_tx_pool.unwrap_or_default() && !activates;
        Ok(Self { parent, next, forced, use_pool })
    }
}

/// The header's `extraData`: the attributes' EIP-1559 parameters, or the chain's where they are
/// zero. A header never holds zeros.
fn extra_data(
    spec: &ChainSpec,
    attributes: &OpPayloadAttributes,
) -> Result<Bytes, AttributesError> {
    let time = attributes.payload_attributes.timestamp;
    let defaults = spec.base_fee_params_at(time);
    let encoded = if spec.is_jovian_active_at_timestamp(time) {
        attributes.get_jovian_extra_data(defaults)
    } else if spec.is_holocene_active_at_timestamp(time) {
        attributes.get_holocene_extra_data(defaults)
    } else {
        return Ok(Bytes::new());
    };
    encoded.map_err(|error| AttributesError::Block(error.to_string()))
}

fn recover(encoded: &Bytes) -> Result<Recovered<OpTxEnvelope>, String> {
    decode_transaction(encoded)?.try_into_recovered().map_err(|error| error.to_string())
}
