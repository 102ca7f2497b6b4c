//! Payloads as they come in and go out, and which version of a method may carry which.

use alloy_eips::{eip4895::Withdrawal, eip7685::Requests};
use alloy_op_hardforks::OpHardforks;
use alloy_primitives::{Address, B256, Bloom, Bytes, U256};
use alloy_rpc_types_engine::{
    BlobsBundleV1, CancunPayloadFields, ExecutionPayloadEnvelopeV2, ExecutionPayloadFieldV2,
    ExecutionPayloadV1, ExecutionPayloadV2, ExecutionPayloadV3, PayloadStatus, PayloadStatusEnum,
    PraguePayloadFields,
};
use op_alloy_rpc_types_engine::{
    OpExecutionData, OpExecutionPayload, OpExecutionPayloadEnvelopeV3,
    OpExecutionPayloadEnvelopeV4, OpExecutionPayloadSidecar, OpExecutionPayloadV4,
};
use serde::{Deserialize, Serialize};

use super::EngineApiError;

/// A payload as any version of `engine_newPayload` carries it.
///
/// Which optional fields must be there is the method's matter; what the fields say is the
/// payload's content, and wrong content is a status, not an error.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PayloadInput {
    parent_hash: B256,
    fee_recipient: Address,
    state_root: B256,
    receipts_root: B256,
    logs_bloom: Bytes,
    prev_randao: B256,
    #[serde(with = "alloy_serde::quantity")]
    block_number: u64,
    #[serde(with = "alloy_serde::quantity")]
    gas_limit: u64,
    #[serde(with = "alloy_serde::quantity")]
    gas_used: u64,
    #[serde(with = "alloy_serde::quantity")]
    timestamp: u64,
    extra_data: Bytes,
    base_fee_per_gas: U256,
    block_hash: B256,
    transactions: Vec<Bytes>,
    #[serde(default)]
    withdrawals: Option<Vec<Withdrawal>>,
    #[serde(default, with = "alloy_serde::quantity::opt")]
    blob_gas_used: Option<u64>,
    #[serde(default, with = "alloy_serde::quantity::opt")]
    excess_blob_gas: Option<u64>,
    #[serde(default)]
    withdrawals_root: Option<B256>,
}

/// All parameters of an `engine_newPayload` call; a version without one passes `None`.
#[derive(Clone, Debug)]
pub(super) struct NewPayload {
    pub(super) payload: PayloadInput,
    pub(super) versioned_hashes: Option<Vec<B256>>,
    pub(super) parent_beacon_block_root: Option<B256>,
    pub(super) execution_requests: Option<Vec<Bytes>>,
}

/// What is left of a call whose parameters fit its version.
#[derive(Clone, Debug)]
#[expect(clippy::large_enum_variant, reason = "made once for a call and taken apart at once")]
pub(super) enum Accepted {
    /// The payload may be executed.
    Execute(OpExecutionData),
    /// The payload cannot be part of any chain.
    Invalid(PayloadStatus),
}

/// The versions of `engine_newPayload` that an OP chain has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum NewPayloadVersion {
    /// Up to Delta.
    V2,
    /// Ecotone to Holocene.
    V3,
    /// From Isthmus on.
    V4,
}

impl NewPayloadVersion {
    /// The version for payloads of this time.
    pub(super) fn at(spec: impl OpHardforks, timestamp: u64) -> Self {
        if spec.is_isthmus_active_at_timestamp(timestamp) {
            Self::V4
        } else if spec.is_ecotone_active_at_timestamp(timestamp) {
            Self::V3
        } else {
            Self::V2
        }
    }
}

/// The versions of `engine_getPayload` that an OP chain has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum GetPayloadVersion {
    /// Up to Delta.
    V2,
    /// Ecotone to Holocene.
    V3,
    /// Isthmus and Jovian.
    V4,
    /// From Karst on.
    V5,
}

impl GetPayloadVersion {
    /// Refuses payloads of a time that belongs to another version.
    pub(super) fn check(
        self,
        spec: impl OpHardforks,
        timestamp: u64,
    ) -> Result<(), EngineApiError> {
        let fits = if spec.is_karst_active_at_timestamp(timestamp) {
            Self::V5
        } else if spec.is_isthmus_active_at_timestamp(timestamp) {
            Self::V4
        } else if spec.is_ecotone_active_at_timestamp(timestamp) {
            Self::V3
        } else {
            Self::V2
        };
        if self == fits {
            return Ok(());
        }
        Err(EngineApiError::UnsupportedFork(format!(
            "getPayload{self:?} called for a payload of timestamp {timestamp}, which needs \
             getPayload{fits:?}"
        )))
    }
}

impl NewPayload {
    /// Checks the parameters against the version of the method and the forks, in geth's order.
    ///
    /// # Errors
    /// −32602 if a parameter that the version needs is missing or one that it does not know is
    /// there, −38005 if the version does not fit the payload's timestamp.
    pub(super) fn check(
        self,
        version: NewPayloadVersion,
        spec: impl OpHardforks,
    ) -> Result<Accepted, EngineApiError> {
        self.check_fields(version, &spec)?;
        Ok(match self.into_data(version, spec) {
            Ok(data) => Accepted::Execute(data),
            Err(validation_error) => Accepted::Invalid(PayloadStatus {
                status: PayloadStatusEnum::Invalid { validation_error },
                latest_valid_hash: None,
            }),
        })
    }

    fn check_fields(
        &self,
        version: NewPayloadVersion,
        spec: impl OpHardforks,
    ) -> Result<(), EngineApiError> {
        let PayloadInput { timestamp, withdrawals, blob_gas_used, excess_blob_gas, .. } =
            &self.payload;
        let params = |text: &str| Err(EngineApiError::InvalidParams(text.to_owned()));
        let fork = |text: &str| Err(EngineApiError::UnsupportedFork(text.to_owned()));

        let canyon = spec.is_canyon_active_at_timestamp(*timestamp);
        let ecotone = spec.is_ecotone_active_at_timestamp(*timestamp);
        let isthmus = spec.is_isthmus_active_at_timestamp(*timestamp);
        if version == NewPayloadVersion::V2 {
            return match (withdrawals, excess_blob_gas, blob_gas_used) {
                _ if ecotone => fork("newPayloadV2 must not be called for cancun payloads"),
                (None, ..) if canyon => params("nil withdrawals post-shanghai"),
                (Some(_), ..) if !canyon => params("non-nil withdrawals pre-shanghai"),
                (_, Some(_), _) => params("non-nil excessBlobGas pre-cancun"),
                (_, _, Some(_)) => params("non-nil blobGasUsed pre-cancun"),
                _ => Ok(()),
            };
        }
        if withdrawals.is_none() {
            return params("nil withdrawals post-shanghai");
        }
        if excess_blob_gas.is_none() {
            return params("nil excessBlobGas post-cancun");
        }
        if blob_gas_used.is_none() {
            return params("nil blobGasUsed post-cancun");
        }
        if self.versioned_hashes.is_none() {
            return params("nil versionedHashes post-cancun");
        }
        if self.parent_beacon_block_root.is_none() {
            return params("nil beaconRoot post-cancun");
        }
        if version == NewPayloadVersion::V3 {
            return if ecotone && !isthmus {
                Ok(())
            } else {
                fork("newPayloadV3 must only be called for cancun payloads")
            };
        }
        let Some(requests) = &self.execution_requests else {
            return params("nil executionRequests post-prague");
        };
        if !isthmus {
            return fork("newPayloadV4 must only be called for prague/osaka payloads");
        }
        for (index, request) in requests.iter().enumerate() {
            if request.len() < 2 {
                return params(&format!("empty request: {request}"));
            }
            if index > 0 && request[0] <= requests[index - 1][0] {
                return params(&format!("invalid request order: {request}"));
            }
        }
        Ok(())
    }

    /// What may be executed, or why the contents are wrong whatever the chain says.
    fn into_data(
        self,
        version: NewPayloadVersion,
        spec: impl OpHardforks,
    ) -> Result<OpExecutionData, String> {
        let Self { payload, versioned_hashes, parent_beacon_block_root, execution_requests } = self;
        let isthmus = spec.is_isthmus_active_at_timestamp(payload.timestamp);
        match payload.withdrawals_root {
            None if isthmus => return Err("nil withdrawalsRoot post-Isthmus".into()),
            Some(_) if !isthmus => return Err("non-nil withdrawalsRoot pre-Isthmus".into()),
            _ => {}
        }
        if payload.logs_bloom.len() != Bloom::len_bytes() {
            return Err(format!("invalid logsBloom length: {}", payload.logs_bloom.len()));
        }
        let versioned_hashes = versioned_hashes.unwrap_or_default();
        if !versioned_hashes.is_empty() {
            return Err(format!(
                "invalid number of versionedHashes: {versioned_hashes:?} blobHashes: []"
            ));
        }
        let requests = execution_requests.unwrap_or_default();
        if !requests.is_empty() {
            return Err("requests should be empty for Isthmus blocks".into());
        }
        let ecotone = CancunPayloadFields {
            versioned_hashes,
            parent_beacon_block_root: parent_beacon_block_root.unwrap_or_default(),
        };
        let sidecar = match version {
            NewPayloadVersion::V2 => OpExecutionPayloadSidecar::default(),
            NewPayloadVersion::V3 => OpExecutionPayloadSidecar::v3(ecotone),
            NewPayloadVersion::V4 => OpExecutionPayloadSidecar::v4(
                ecotone,
                PraguePayloadFields::new(Requests::default()),
            ),
        };
        Ok(OpExecutionData { payload: payload.into_payload(), sidecar })
    }
}

impl PayloadInput {
    pub(super) const fn block_hash(&self) -> B256 {
        self.block_hash
    }

    pub(super) const fn timestamp(&self) -> u64 {
        self.timestamp
    }

    /// The payload of the version that its fields make up. The bloom's length must be right.
    fn into_payload(self) -> OpExecutionPayload {
        let v1 = ExecutionPayloadV1 {
            parent_hash: self.parent_hash,
            fee_recipient: self.fee_recipient,
            state_root: self.state_root,
            receipts_root: self.receipts_root,
            logs_bloom: Bloom::from_slice(&self.logs_bloom),
            prev_randao: self.prev_randao,
            block_number: self.block_number,
            gas_limit: self.gas_limit,
            gas_used: self.gas_used,
            timestamp: self.timestamp,
            extra_data: self.extra_data,
            base_fee_per_gas: self.base_fee_per_gas,
            block_hash: self.block_hash,
            transactions: self.transactions,
        };
        let Some(withdrawals) = self.withdrawals else { return OpExecutionPayload::V1(v1) };
        let v2 = ExecutionPayloadV2 { payload_inner: v1, withdrawals };
        let (Some(blob_gas_used), Some(excess_blob_gas)) =
            (self.blob_gas_used, self.excess_blob_gas)
        else {
            return OpExecutionPayload::V2(v2);
        };
        let v3 = ExecutionPayloadV3 { payload_inner: v2, blob_gas_used, excess_blob_gas };
        match self.withdrawals_root {
            None => OpExecutionPayload::V3(v3),
            Some(withdrawals_root) => {
                OpExecutionPayload::V4(OpExecutionPayloadV4 { payload_inner: v3, withdrawals_root })
            }
        }
    }
}

/// The answer to `engine_getPayload`: `{executionPayload, blockValue}`, from V3 on with
/// `blobsBundle`, `shouldOverrideBuilder` and `parentBeaconBlockRoot`, from V4 on with
/// `executionRequests`. There are no blobs on L2, so V5 looks as V4 does.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum PayloadEnvelope {
    V2(ExecutionPayloadEnvelopeV2),
    V3(OpExecutionPayloadEnvelopeV3),
    V4(OpExecutionPayloadEnvelopeV4),
}

impl PayloadEnvelope {
    /// Wraps a payload built here; `block_value` is what the fee recipient earns, in wei.
    pub(super) fn new(data: OpExecutionData, block_value: U256) -> Self {
        let OpExecutionData { payload, sidecar } = data;
        let parent_beacon_block_root = sidecar.parent_beacon_block_root().unwrap_or_default();
        match payload {
            OpExecutionPayload::V1(payload) => Self::V2(ExecutionPayloadEnvelopeV2 {
                execution_payload: ExecutionPayloadFieldV2::V1(payload),
                block_value,
            }),
            OpExecutionPayload::V2(payload) => Self::V2(ExecutionPayloadEnvelopeV2 {
                execution_payload: ExecutionPayloadFieldV2::V2(payload),
                block_value,
            }),
            OpExecutionPayload::V3(execution_payload) => Self::V3(OpExecutionPayloadEnvelopeV3 {
                execution_payload,
                block_value,
                blobs_bundle: BlobsBundleV1::empty(),
                should_override_builder: false,
                parent_beacon_block_root,
            }),
            OpExecutionPayload::V4(execution_payload) => Self::V4(OpExecutionPayloadEnvelopeV4 {
                execution_payload,
                block_value,
                blobs_bundle: BlobsBundleV1::empty(),
                should_override_builder: false,
                parent_beacon_block_root,
                execution_requests: Vec::new(),
            }),
        }
    }
}
