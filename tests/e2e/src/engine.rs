//! The Engine API.

use alloy_primitives::{Address, B64, B256, Bytes};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::{CallError, Fork, Payload, Rpc};

/// Payload attributes as op-node writes them: what is `None` is left out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "execution-apis and the OP Stack specification describe each")]
pub struct Attributes {
    #[serde(with = "alloy_serde::quantity")]
    pub timestamp: u64,
    pub prev_randao: B256,
    pub suggested_fee_recipient: Address,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub withdrawals: Option<Vec<Value>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parent_beacon_block_root: Option<B256>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub transactions: Vec<Bytes>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_tx_pool: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none", with = "alloy_serde::quantity::opt")]
    pub gas_limit: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub eip1559_params: Option<B64>,
    /// A JSON number, not a hex string.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub min_base_fee: Option<u64>,
}

/// The three hashes of a fork choice; zero leaves one unset.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
#[expect(missing_docs, reason = "execution-apis describes each")]
pub struct ForkchoiceState {
    pub head_block_hash: B256,
    pub safe_block_hash: B256,
    pub finalized_block_hash: B256,
}

impl ForkchoiceState {
    /// This head, and neither safe nor finalized.
    pub const fn head(hash: B256) -> Self {
        let (safe_block_hash, finalized_block_hash) = (B256::ZERO, B256::ZERO);
        Self { head_block_hash: hash, safe_block_hash, finalized_block_hash }
    }
}

/// What the node says of a payload.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "execution-apis describes each")]
pub struct PayloadStatus {
    pub status: String,
    pub latest_valid_hash: Option<B256>,
    pub validation_error: Option<String>,
}

impl PayloadStatus {
    /// VALID.
    pub fn is_valid(&self) -> bool {
        self.status == "VALID"
    }

    /// Asserts VALID with this hash.
    ///
    /// # Panics
    /// If it is something else.
    #[track_caller]
    pub fn expect_valid(&self, hash: B256) {
        assert_eq!(
            *self,
            Self { status: "VALID".into(), latest_valid_hash: Some(hash), validation_error: None }
        );
    }

    /// Asserts SYNCING.
    ///
    /// # Panics
    /// If it is something else.
    #[track_caller]
    pub fn expect_syncing(&self) {
        assert_eq!(
            *self,
            Self { status: "SYNCING".into(), latest_valid_hash: None, validation_error: None }
        );
    }

    /// Asserts INVALID with this newest valid ancestor. Returns the reason.
    ///
    /// # Panics
    /// If it is something else, or without a reason.
    #[track_caller]
    pub fn expect_invalid(&self, latest_valid_hash: Option<B256>) -> &str {
        assert_eq!(self.status, "INVALID", "{self:?}");
        assert_eq!(self.latest_valid_hash, latest_valid_hash, "{self:?}");
        let reason = self.validation_error.as_deref();
        reason.filter(|text| !text.is_empty()).expect("an INVALID payload has a validationError")
    }
}

/// The answer to a fork choice.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct UpdatedForkchoice {
    /// Of the head.
    pub payload_status: PayloadStatus,
    /// Of the payload being built, if attributes were given.
    pub payload_id: Option<B64>,
}

/// The answer to `engine_getPayload`, as far as a consensus client reads it.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Envelope {
    execution_payload: Payload,
    parent_beacon_block_root: B256,
}

/// The Engine API of one node, with the method versions that a fork has.
#[derive(Clone, Debug)]
pub struct Engine {
    /// The authenticated port, which serves `eth_` as well.
    pub rpc: Rpc,
    fork: Fork,
}

impl Engine {
    /// At an authenticated port.
    pub const fn new(rpc: Rpc, fork: Fork) -> Self {
        Self { rpc, fork }
    }

    /// `engine_newPayloadV4`.
    ///
    /// # Errors
    /// If there is no status.
    pub fn new_payload(
        &self,
        payload: &Payload,
        parent_beacon_block_root: B256,
    ) -> Result<PayloadStatus, CallError> {
        let params = json!([payload, [], parent_beacon_block_root, []]);
        self.rpc.try_call("engine_newPayloadV4", params)
    }

    /// `engine_forkchoiceUpdatedV3`.
    ///
    /// # Errors
    /// If it is refused.
    pub fn forkchoice_updated(
        &self,
        state: ForkchoiceState,
        attributes: Option<&Attributes>,
    ) -> Result<UpdatedForkchoice, CallError> {
        self.rpc.try_call("engine_forkchoiceUpdatedV3", json!([state, attributes]))
    }

    /// `engine_getPayloadV5`, or V4 before Karst. Returns the parent beacon block root as well.
    ///
    /// # Errors
    /// If there is no such payload.
    pub fn get_payload(&self, id: B64) -> Result<(Payload, B256), CallError> {
        let method = match self.fork {
            Fork::Jovian => "engine_getPayloadV4",
            Fork::Karst => "engine_getPayloadV5",
        };
        let Envelope { execution_payload, parent_beacon_block_root } =
            self.rpc.try_call(method, json!([id]))?;
        Ok((execution_payload, parent_beacon_block_root))
    }
}
