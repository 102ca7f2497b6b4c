//! `web3_`

use crate::{hex::Hex, method::Registry};
use alloy_primitives::{Bytes, keccak256};

/// Adds the namespace.
pub(crate) fn register(methods: &mut Registry) {
    methods.light("web3_clientVersion", |context, ()| Ok(context.config.client_version.clone()));
    methods.light("web3_sha3", |_, (Hex(data),): (Hex<Bytes>,)| Ok(keccak256(data)));
}
