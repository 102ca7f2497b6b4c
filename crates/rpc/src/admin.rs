//! `admin_`: control of a running node. op-conductor and op-batcher use it.

use std::{fmt, sync::Arc};

use alloy_primitives::B256;
use serde::Serialize;
use serde_json::json;

use crate::{RpcContext, RpcError, engine, hex::Hex, method::Registry, optimism::RollupNode};

/// Changes how much is logged while the node runs.
pub trait LogControl: fmt::Debug + Send + Sync {
    /// Sets the level: `trace`, `debug`, `info`, `warn`, `error` or `crit`.
    ///
    /// # Errors
    /// In words, if there is no such level.
    fn set_log_level(&self, level: &str) -> Result<(), String>;
}

/// Adds the namespace: with `rollup` what op-node has, with `logs` the level of logs.
pub(crate) fn register(
    registry: &mut Registry,
    rollup: Option<&RollupNode>,
    logs: Option<&Arc<dyn LogControl>>,
) {
    registry.light("admin_nodeInfo", |context, ()| Ok(node_info(context)));
    // Blocks come from the consensus side: there is no peer-to-peer network here.
    registry.light("admin_peers", |_, ()| Ok([(); 0]));
    if let Some(logs) = logs.cloned() {
        registry.light("admin_setLogLevel", move |_, (level,): (String,)| {
            logs.set_log_level(&level).map_err(RpcError::server)
        });
    }
    if let Some(rollup) = rollup {
        consensus(registry, rollup);
    }
}

/// op-node's part of the namespace.
fn consensus(registry: &mut Registry, rollup: &RollupNode) {
    let api = rollup.api().clone();
    registry.waiting("admin_startSequencer", move |_, (Hex(head),): (Hex<B256>,)| {
        let api = api.clone();
        async move { Ok(api.start_sequencer(head).await?) }
    });
    let api = rollup.api().clone();
    registry.waiting("admin_stopSequencer", move |_, ()| {
        let api = api.clone();
        async move { Ok(api.stop_sequencer().await?) }
    });
    let api = rollup.api().clone();
    registry.light("admin_sequencerActive", move |_, ()| Ok(api.sequencer_active()));
    let api = rollup.api().clone();
    registry.waiting("admin_setRecoverMode", move |_, (on,): (bool,)| {
        let api = api.clone();
        async move { Ok(api.set_recover_mode(on).await?) }
    });
    let api = rollup.api().clone();
    registry.waiting("admin_resetDerivationPipeline", move |_, ()| {
        let api = api.clone();
        async move { Ok(api.reset().await?) }
    });
    registry.waiting(
        "admin_postUnsafePayload",
        |context: Arc<RpcContext>, (envelope,): (engine::UnsafePayload,)| async move {
            engine::import_unsafe(&context, envelope).await
        },
    );
    // There is no conductor, and so no leader but this node.
    registry.light("admin_overrideLeader", |_, ()| Ok(()));
    registry.light("admin_conductorEnabled", |_, ()| Ok(false));
}

/// geth's shape. What belongs to the peer-to-peer network is empty.
fn node_info(context: &RpcContext) -> impl Serialize + use<> {
    json!({
        "id": "",
        "name": context.config.client_version,
        "enode": "",
        "ip": "",
        "ports": { "discovery": 0, "listener": 0 },
        "listenAddr": "",
        "protocols": {
            "eth": {
                "network": context.spec.chain_id(),
                "genesis": context.spec.genesis_hash(),
                "config": context.spec.genesis().config,
                "head": context.chain.head().hash(),
            },
        },
    })
}
