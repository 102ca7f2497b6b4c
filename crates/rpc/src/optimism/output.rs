//! Output roots: what a proposer writes to L1 about an L2 block.

use alloy_op_hardforks::OpHardforks;
use alloy_primitives::{B256, keccak256};
use ascribe_chainspec::{L2BlockRef, predeploys::L2_TO_L1_MESSAGE_PASSER};
use ascribe_trie::EMPTY_ROOT_HASH;
use serde::Serialize;

use super::{RollupNode, SyncStatus};
use crate::{RpcContext, RpcError};

/// The answer to `optimism_outputAtBlock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputResponse {
    /// Always zero.
    pub version: B256,
    /// keccak256 of version, state root, the message passer's storage root and block hash.
    pub output_root: B256,
    /// The block.
    pub block_ref: L2BlockRef,
    /// Storage root of the `L2ToL1MessagePasser`.
    pub withdrawal_storage_root: B256,
    /// State root after the block.
    pub state_root: B256,
    /// Where the node stands.
    pub sync_status: SyncStatus,
}

/// The output root of version 0 (specs: `proposals.md`).
fn output_root(state_root: B256, withdrawal_storage_root: B256, block_hash: B256) -> B256 {
    let mut preimage = [0; 128];
    preimage[32..64].copy_from_slice(&state_root[..]);
    preimage[64..96].copy_from_slice(&withdrawal_storage_root[..]);
    preimage[96..].copy_from_slice(&block_hash[..]);
    keccak256(preimage)
}

pub(super) fn at(
    context: &RpcContext,
    rollup: &RollupNode,
    number: u64,
) -> Result<OutputResponse, RpcError> {
    let missing = |what: String| {
        RpcError::server(format!(
            "failed to get L2 block ref with sync status: \
             failed to determine L2BlockRef of height {number}, {what}"
        ))
    };
    let sync_status = rollup.api.sync_status();
    let block = context.chain.block_by_number(number)?;
    let block = block.ok_or_else(|| missing("could not get payload: not found".to_owned()))?;
    let block_ref =
        L2BlockRef::of_block(&rollup.config, &block).map_err(|error| missing(error.to_string()))?;
    let isthmus = rollup.config.is_isthmus_active_at_timestamp(block.header().timestamp);
    let withdrawal_storage_root = match block.header().withdrawals_root {
        // Before Isthmus it is the root of the empty list, or not there.
        Some(root) if isthmus => root,
        _ => context
            .chain
            .state_at(block.hash())?
            .trie_account(L2_TO_L1_MESSAGE_PASSER)?
            .map_or(EMPTY_ROOT_HASH, |account| account.storage_root),
    };
    let state_root = block.header().state_root;
    Ok(OutputResponse {
        version: B256::ZERO,
        output_root: output_root(state_root, withdrawal_storage_root, block.hash()),
        block_ref,
        withdrawal_storage_root,
        state_root,
        sync_status,
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn root_of_known_output() {
        let root = output_root(B256::ZERO, B256::ZERO, B256::ZERO);
        assert_eq!(root, keccak256([0; 128]));
        let one = output_root(B256::repeat_byte(1), B256::repeat_byte(2), B256::repeat_byte(3));
        let preimage = [[0; 32], [1; 32], [2; 32], [3; 32]].concat();
        assert_eq!(one, keccak256(preimage));
    }
}
