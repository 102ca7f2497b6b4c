//! `miner_`: how blocks are built here. op-batcher throttles the sequencer through it.

use alloy_primitives::{Bytes, U256};
use metrics::gauge;

use crate::{hex::Hex, method::Registry};

/// Adds the namespace.
pub(crate) fn register(registry: &mut Registry) {
    // Two sizes in bytes, of a transaction and of all of a block; 0 is no limit.
    registry.light(
        "miner_setMaxDASize",
        |context, (Hex(max_tx_size), Hex(max_block_size)): (Hex<U256>, Hex<U256>)| {
            let (tx, block) = (max_tx_size.saturating_to(), max_block_size.saturating_to());
            context.engine.da_limits().set(tx, block);
            tracing::debug!(target: "rpc::miner", max_tx_size = tx, max_block_size = block, "DA limits set");
            gauge!("reth_optimism_rpc_miner_max_da_tx_size").set(tx as f64);
            gauge!("reth_optimism_rpc_miner_max_da_block_size").set(block as f64);
            Ok(true)
        },
    );
    // Every block's gas limit comes with its attributes, so that there is nothing it could change.
    registry.light("miner_setGasLimit", |_, (Hex(gas_limit),): (Hex<u64>,)| {
        gauge!("reth_optimism_rpc_miner_gas_limit").set(gas_limit as f64);
        Ok(true)
    });
    // As op-reth: both are refused.
    registry.light("miner_setExtra", |_, (Hex(_extra),): (Hex<Bytes>,)| Ok(false));
    registry.light("miner_setGasPrice", |_, (Hex(_price),): (Hex<U256>,)| Ok(false));
}
