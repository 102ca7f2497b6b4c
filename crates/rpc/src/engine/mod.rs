//! `engine_`: what a consensus client drives the node with, on its own authenticated port.
//!
//! Versions, missing parameters and forks are judged here; everything else is the engine's
//! ([`EngineHandle`](ascribe_engine::EngineHandle)), and a payload that is wrong in itself is a
//! status, never an error.

mod attributes;
mod auth;
mod bodies;
mod error;
mod payload;

use std::{sync::Arc, time::Instant};

use alloy_eips::BlockNumHash;
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_engine::{
    ForkchoiceState, ForkchoiceUpdated, PayloadId, PayloadStatus, PayloadStatusEnum,
};
use metrics::histogram;
use serde::{Deserialize, Serialize};

pub use auth::{Auth, AuthLayer};
pub use error::EngineApiError;

use crate::{RpcContext, RpcError, hex::Hex, method::Registry};
use attributes::{AttributesInput, ForkchoiceVersion};
use payload::{
    Accepted, GetPayloadVersion, NewPayload, NewPayloadVersion, PayloadEnvelope, PayloadInput,
};

/// Bytes that a request to the authenticated port may have: geth's limit, which leaves room for
/// blocks of a hundred megabytes of calldata in hexadecimal.
pub const MAX_REQUEST_SIZE: u32 = 128 << 20;

/// Bytes that an answer of the authenticated port may have.
pub const MAX_RESPONSE_SIZE: u32 = 250_000_000;

/// Requests that a batch to the authenticated port may have: geth's limit.
pub const MAX_BATCH: usize = 2000;

/// What `engine_exchangeCapabilities` answers: every method of the namespace but itself.
const CAPABILITIES: [&str; 13] = [
    "engine_forkchoiceUpdatedV1",
    "engine_forkchoiceUpdatedV2",
    "engine_forkchoiceUpdatedV3",
    "engine_getClientVersionV1",
    "engine_getPayloadBodiesByHashV1",
    "engine_getPayloadBodiesByRangeV1",
    "engine_getPayloadV2",
    "engine_getPayloadV3",
    "engine_getPayloadV4",
    "engine_getPayloadV5",
    "engine_newPayloadV2",
    "engine_newPayloadV3",
    "engine_newPayloadV4",
];

/// Adds the namespace.
pub(crate) fn register(registry: &mut Registry) {
    new_payload(registry);
    forkchoice_updated(registry);
    get_payload(registry);
    registry.heavy("engine_getPayloadBodiesByHashV1", bodies::by_hash);
    registry.heavy("engine_getPayloadBodiesByRangeV1", bodies::by_range);
    registry.light("engine_exchangeCapabilities", |_, (_theirs,): (Vec<String>,)| Ok(CAPABILITIES));
    registry.light("engine_getClientVersionV1", |_, (theirs,): (ClientVersion,)| {
        tracing::debug!(target: "rpc::engine", client = ?theirs, "consensus client");
        Ok([ClientVersion::ours()])
    });
}

fn new_payload(registry: &mut Registry) {
    registry.waiting(
        "engine_newPayloadV2",
        |context: Arc<RpcContext>, (payload,): (PayloadInput,)| async move {
            let call = NewPayload {
                payload,
                versioned_hashes: None,
                parent_beacon_block_root: None,
                execution_requests: None,
            };
            run_new_payload(&context, NewPayloadVersion::V2, call).await
        },
    );
    type V3 = (PayloadInput, Option<Vec<B256>>, Option<B256>);
    registry.waiting(
        "engine_newPayloadV3",
        |context: Arc<RpcContext>, (payload, versioned_hashes, beacon_root): V3| async move {
            let call = NewPayload {
                payload,
                versioned_hashes,
                parent_beacon_block_root: beacon_root,
                execution_requests: None,
            };
            run_new_payload(&context, NewPayloadVersion::V3, call).await
        },
    );
    type V4 = (PayloadInput, Option<Vec<B256>>, Option<B256>, Option<Vec<Bytes>>);
    registry.waiting(
        "engine_newPayloadV4",
        |context: Arc<RpcContext>, (payload, versioned_hashes, beacon_root, requests): V4| async move {
            let call = NewPayload {
                payload,
                versioned_hashes,
                parent_beacon_block_root: beacon_root,
                execution_requests: requests,
            };
            run_new_payload(&context, NewPayloadVersion::V4, call).await
        },
    );
}

async fn run_new_payload(
    context: &RpcContext,
    version: NewPayloadVersion,
    call: NewPayload,
) -> Result<PayloadStatus, RpcError> {
    let started = Instant::now();
    let status = match call.check(version, &*context.spec)? {
        Accepted::Execute(data) => {
            context.engine.new_payload(data).await.map_err(EngineApiError::from)?
        }
        Accepted::Invalid(status) => status,
    };
    let name = match version {
        NewPayloadVersion::V2 => "reth_engine_rpc_new_payload_v2",
        NewPayloadVersion::V3 => "reth_engine_rpc_new_payload_v3",
        NewPayloadVersion::V4 => "reth_engine_rpc_new_payload_v4",
    };
    histogram!(name).record(started.elapsed());
    Ok(status)
}

fn forkchoice_updated(registry: &mut Registry) {
    let versions = [
        ("engine_forkchoiceUpdatedV1", ForkchoiceVersion::V1),
        ("engine_forkchoiceUpdatedV2", ForkchoiceVersion::V2),
        ("engine_forkchoiceUpdatedV3", ForkchoiceVersion::V3),
    ];
    for (name, version) in versions {
        registry.waiting(
            name,
            move |context: Arc<RpcContext>,
                  (state, attributes): (ForkchoiceState, Option<AttributesInput>)| async move {
                run_forkchoice_updated(&context, version, state, attributes).await
            },
        );
    }
}

async fn run_forkchoice_updated(
    context: &RpcContext,
    version: ForkchoiceVersion,
    state: ForkchoiceState,
    attributes: Option<AttributesInput>,
) -> Result<ForkchoiceUpdated, RpcError> {
    let started = Instant::now();
    let attributes =
        attributes.map(|attributes| attributes.check(version, &*context.spec)).transpose()?;
    let updated =
        context.engine.forkchoice_updated(state, attributes).await.map_err(EngineApiError::from)?;
    let name = match version {
        ForkchoiceVersion::V1 => "reth_engine_rpc_fork_choice_updated_v1",
        ForkchoiceVersion::V2 => "reth_engine_rpc_fork_choice_updated_v2",
        ForkchoiceVersion::V3 => "reth_engine_rpc_fork_choice_updated_v3",
    };
    histogram!(name).record(started.elapsed());
    Ok(updated)
}

fn get_payload(registry: &mut Registry) {
    let versions = [
        ("engine_getPayloadV2", GetPayloadVersion::V2),
        ("engine_getPayloadV3", GetPayloadVersion::V3),
        ("engine_getPayloadV4", GetPayloadVersion::V4),
        ("engine_getPayloadV5", GetPayloadVersion::V5),
    ];
    for (name, version) in versions {
        registry.waiting(name, move |context: Arc<RpcContext>, (id,): (PayloadId,)| async move {
            run_get_payload(&context, version, id).await
        });
    }
}

async fn run_get_payload(
    context: &RpcContext,
    version: GetPayloadVersion,
    id: PayloadId,
) -> Result<PayloadEnvelope, RpcError> {
    let started = Instant::now();
    let built = context.engine.get_payload(id).await.map_err(EngineApiError::from)?;
    version.check(&*context.spec, built.block.header().timestamp)?;
    let envelope = PayloadEnvelope::new(built.to_execution_data(), built.fees);
    let name = match version {
        GetPayloadVersion::V2 => "reth_engine_rpc_get_payload_v2",
        GetPayloadVersion::V3 => "reth_engine_rpc_get_payload_v3",
        GetPayloadVersion::V4 => "reth_engine_rpc_get_payload_v4",
        GetPayloadVersion::V5 => "reth_engine_rpc_get_payload_v5",
    };
    histogram!(name).record(started.elapsed());
    Ok(envelope)
}

/// A block that another sequencer of the chain made, as op-conductor hands it over.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UnsafePayload {
    execution_payload: PayloadInput,
    #[serde(default)]
    parent_beacon_block_root: Option<B256>,
}

/// Takes in a block and makes it the head.
pub(crate) async fn import_unsafe(
    context: &RpcContext,
    envelope: UnsafePayload,
) -> Result<(), RpcError> {
    let UnsafePayload { execution_payload: payload, parent_beacon_block_root } = envelope;
    let hash = payload.block_hash();
    let version = NewPayloadVersion::at(&*context.spec, payload.timestamp());
    let call = NewPayload {
        payload,
        versioned_hashes: Some(Vec::new()),
        parent_beacon_block_root,
        execution_requests: Some(Vec::new()),
    };
    let status = run_new_payload(context, version, call).await?;
    if let PayloadStatusEnum::Invalid { validation_error } = status.status {
        return Err(RpcError::server(validation_error));
    }
    let label = |block: Option<BlockNumHash>| block.map_or(B256::ZERO, |block| block.hash);
    let state = ForkchoiceState {
        head_block_hash: hash,
        safe_block_hash: label(context.chain.safe()),
        finalized_block_hash: label(context.chain.finalized()),
    };
    context.engine.forkchoice_updated(state, None).await.map_err(EngineApiError::from)?;
    Ok(())
}

/// Who a client is: execution-apis `src/engine/identification.md`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct ClientVersion {
    /// Two letters.
    code: String,
    name: String,
    version: String,
    /// The first four bytes of the commit it was built from.
    commit: String,
}

impl ClientVersion {
    fn ours() -> Self {
        let commit = option_env!("ASCRIBE_COMMIT").unwrap_or("00000000");
        Self {
            code: "AS".to_owned(),
            name: "ascribe".to_owned(),
            version: format!("v{}", env!("CARGO_PKG_VERSION")),
            commit: format!("0x{}", commit.get(..8).unwrap_or("00000000")),
        }
    }
}

#[cfg(test)]
mod tests;
