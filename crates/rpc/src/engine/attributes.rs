//! Payload attributes as they come in, and which version of `engine_forkchoiceUpdated` may carry
//! which.

use alloy_eips::eip4895::Withdrawal;
use alloy_op_hardforks::OpHardforks;
use alloy_primitives::{Address, B64, B256, Bytes};
use alloy_rpc_types_engine::PayloadAttributes;
use op_alloy_rpc_types_engine::OpPayloadAttributes;
use serde::Deserialize;

use super::EngineApiError;

/// Payload attributes of any version. `minBaseFee` is a JSON number, everything else that counts
/// is a hex quantity; `transactions` and `noTxPool` may be left out.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AttributesInput {
    #[serde(with = "alloy_serde::quantity")]
    timestamp: u64,
    prev_randao: B256,
    suggested_fee_recipient: Address,
    #[serde(default)]
    withdrawals: Option<Vec<Withdrawal>>,
    #[serde(default)]
    parent_beacon_block_root: Option<B256>,
    #[serde(default)]
    transactions: Option<Vec<Bytes>>,
    #[serde(default)]
    no_tx_pool: Option<bool>,
    #[serde(default, with = "alloy_serde::quantity::opt")]
    gas_limit: Option<u64>,
    #[serde(default)]
    eip1559_params: Option<Bytes>,
    #[serde(default)]
    min_base_fee: Option<u64>,
}

/// The versions of `engine_forkchoiceUpdated` that an OP chain has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ForkchoiceVersion {
    /// Before Canyon.
    V1,
    /// Up to Delta.
    V2,
    /// From Ecotone on.
    V3,
}

impl AttributesInput {
    /// Checks the attributes against the version of the method and the forks, in geth's order.
    /// What an OP chain wants of their contents is the engine's matter.
    ///
    /// # Errors
    /// −32602, −38003 or −38005, as geth has it for each version.
    pub(super) fn check(
        self,
        version: ForkchoiceVersion,
        spec: impl OpHardforks,
    ) -> Result<OpPayloadAttributes, EngineApiError> {
        let canyon = spec.is_canyon_active_at_timestamp(self.timestamp);
        let ecotone = spec.is_ecotone_active_at_timestamp(self.timestamp);
        let params = |text: &str| Err(EngineApiError::InvalidParams(text.to_owned()));
        let attributes =
            |text: &str| Err(EngineApiError::InvalidPayloadAttributes(text.to_owned()));
        let fork = |text: &str| Err(EngineApiError::UnsupportedFork(text.to_owned()));

        let withdrawals = self.withdrawals.is_some();
        let beacon_root = self.parent_beacon_block_root.is_some();
        match version {
            ForkchoiceVersion::V1 if withdrawals || beacon_root => {
                params("withdrawals and beacon root not supported in V1")
            }
            ForkchoiceVersion::V1 if canyon => params("fcuV1 called post-shanghai"),
            ForkchoiceVersion::V2 if beacon_root => attributes("unexpected beacon root"),
            ForkchoiceVersion::V2 if !canyon && withdrawals => {
                attributes("withdrawals before shanghai")
            }
            ForkchoiceVersion::V2 if canyon && !ecotone && !withdrawals => {
                attributes("missing withdrawals")
            }
            ForkchoiceVersion::V2 if ecotone => {
                fork("fcuV2 must only be called with paris or shanghai payloads")
            }
            ForkchoiceVersion::V3 if !withdrawals => attributes("missing withdrawals"),
            ForkchoiceVersion::V3 if !beacon_root => attributes("missing beacon root"),
            ForkchoiceVersion::V3 if !ecotone => {
                fork("fcuV3 must only be called for cancun/prague/osaka payloads")
            }
            _ => Ok(()),
        }?;
        self.into_attributes()
    }

    fn into_attributes(self) -> Result<OpPayloadAttributes, EngineApiError> {
        let eip_1559_params = self
            .eip1559_params
            .filter(|bytes| !bytes.is_empty())
            .map(|bytes| {
                B64::try_from(&bytes[..]).map_err(|_| {
                    EngineApiError::InvalidPayloadAttributes(format!(
                        "holocene eip-1559 params should be 8 bytes, got {}",
                        bytes.len()
                    ))
                })
            })
            .transpose()?;
        Ok(OpPayloadAttributes {
            payload_attributes: PayloadAttributes {
                timestamp: self.timestamp,
                prev_randao: self.prev_randao,
                suggested_fee_recipient: self.suggested_fee_recipient,
                withdrawals: self.withdrawals,
                parent_beacon_block_root: self.parent_beacon_block_root,
                ..PayloadAttributes::default()
            },
            transactions: self.transactions,
            no_tx_pool: self.no_tx_pool,
            gas_limit: self.gas_limit,
            eip_1559_params,
            min_base_fee: self.min_base_fee,
        })
    }
}
