//! `net_`

use crate::{hex::Hex, method::Registry};

/// Adds the namespace. There is no peer-to-peer network: blocks come from the consensus client.
pub(crate) fn register(methods: &mut Registry) {
    methods.light("net_version", |context, ()| Ok(context.spec.chain_id().to_string()));
    methods.light("net_listening", |_, ()| Ok(true));
    methods.light("net_peerCount", |_, ()| Ok(Hex(0u64)));
}
