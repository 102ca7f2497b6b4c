//! What the `optimism_` methods answer.

use crate::{L2Block, L2BlockRef, StatusError};
use alloy_op_hardforks::OpHardforks;
use alloy_primitives::{B256, keccak256};
use ascribe_chainspec::{RollupConfig, predeploys::L2_TO_L1_MESSAGE_PASSER};
use ascribe_engine::{ChainView, ProviderError};
use ascribe_l1::{L1BlockRef, L1Heads};
use serde::{Deserialize, Serialize};
use std::sync::Arc;
use tokio::sync::watch;

/// `optimism_syncStatus`, in op-node's order. Every field is always there, zeroed while unknown.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncStatus {
    /// The L1 block that derivation has reached. Nothing is derived yet, so it is zeroed.
    pub current_l1: L1BlockRef,
    /// The same as `finalized_l1`.
    pub current_l1_finalized: L1BlockRef,
    /// The newest L1 block.
    pub head_l1: L1BlockRef,
    /// The newest safe L1 block.
    pub safe_l1: L1BlockRef,
    /// The newest finalized L1 block.
    pub finalized_l1: L1BlockRef,
    /// The head.
    pub unsafe_l2: L2BlockRef,
    /// The newest block derived from L1: at first the genesis.
    pub safe_l2: L2BlockRef,
    /// The newest block derived from finalized L1 blocks: at first the genesis.
    pub finalized_l2: L2BlockRef,
    /// The same as `safe_l2`.
    pub pending_safe_l2: L2BlockRef,
    /// The same as `safe_l2`.
    pub local_safe_l2: L2BlockRef,
}

/// `optimism_outputAtBlock`, in op-node's order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputResponse {
    /// Version of the output: 0.
    pub version: B256,
    /// What the proposer puts on L1: the hash of version, state root, storage root of the message
    /// passer, and block hash.
    pub output_root: B256,
    /// The block.
    pub block_ref: L2BlockRef,
    /// Storage root of `L2ToL1MessagePasser`.
    pub withdrawal_storage_root: B256,
    /// State root.
    pub state_root: B256,
    /// As of the same moment.
    pub sync_status: SyncStatus,
}

impl OutputResponse {
    /// The output of a block.
    pub fn new(
        block_ref: L2BlockRef,
        state_root: B256,
        withdrawal_storage_root: B256,
        sync_status: SyncStatus,
    ) -> Self {
        let version = B256::ZERO;
        let parts = [version, state_root, withdrawal_storage_root, block_ref.hash];
        let output_root = keccak256(parts.map(|part| part.0).concat());
        Self { version, output_root, block_ref, withdrawal_storage_root, state_root, sync_status }
    }
}

/// Answers questions about both chains. Cheap to clone; it needs no sequencer to run.
#[derive(Debug, Clone)]
pub struct RollupStatus {
    rollup: Arc<RollupConfig>,
    chain: ChainView,
    heads: watch::Receiver<L1Heads>,
}

impl RollupStatus {
    /// For a rollup, its chain, and the L1's heads as its client follows them.
    pub const fn new(
        rollup: Arc<RollupConfig>,
        chain: ChainView,
        heads: watch::Receiver<L1Heads>,
    ) -> Self {
        Self { rollup, chain, heads }
    }

    /// `optimism_rollupConfig`.
    pub const fn rollup_config(&self) -> &Arc<RollupConfig> {
        &self.rollup
    }

    /// `optimism_syncStatus`.
    pub fn sync_status(&self) -> Result<SyncStatus, StatusError> {
        let l1 = *self.heads.borrow();
        let genesis = self.rollup.genesis.l2.hash;
        let label = |label: Option<B256>| self.block_ref(label.unwrap_or(genesis));
        let safe_l2 = label(self.chain.safe().map(|it| it.hash))?;
        let finalized_l1 = l1.finalized.unwrap_or_default();
        Ok(SyncStatus {
            current_l1: L1BlockRef::default(),
            current_l1_finalized: finalized_l1,
            head_l1: l1.latest.unwrap_or_default(),
            safe_l1: l1.safe.unwrap_or_default(),
            finalized_l1,
            unsafe_l2: self.block_ref(self.chain.head().hash())?,
            safe_l2,
            finalized_l2: label(self.chain.finalized().map(|it| it.hash))?,
            pending_safe_l2: safe_l2,
            local_safe_l2: safe_l2,
        })
    }

    /// `optimism_outputAtBlock`.
    pub fn output_at_block(&self, number: u64) -> Result<OutputResponse, StatusError> {
        let hash = self.chain.canonical_hash(number)?.ok_or(StatusError::NotFound)?;
        let sync_status = self.sync_status()?;
        let block = self.chain.block_by_hash(hash)?.ok_or(StatusError::NotFound)?;
        let block_ref = self.block_ref(hash)?;
        let header = block.header();
        let isthmus = self.rollup.is_isthmus_active_at_timestamp(header.timestamp);
        let from_state = || {
            let account = self.chain.state_at(hash)?.trie_account(L2_TO_L1_MESSAGE_PASSER)?;
            Ok(account.unwrap_or_default().storage_root)
        };
        let storage_root = match header.withdrawals_root.filter(|_| isthmus) {
            Some(root) => root,
            None => from_state().map_err(|error: ProviderError| StatusError::Output {
                block: block_ref,
                reason: error.to_string(),
            })?,
        };
        Ok(OutputResponse::new(block_ref, header.state_root, storage_root, sync_status))
    }

    /// A block's place in both chains; zeroed if there is no such block.
    fn block_ref(&self, hash: B256) -> Result<L2BlockRef, StatusError> {
        let Some(block) = self.chain.block_by_hash(hash)? else {
            return Ok(L2BlockRef::default());
        };
        let block = L2Block::from(&*block);
        block.block_ref(&self.rollup).map_err(|error| StatusError::Chain(error.to_string()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn json_is_op_nodes() {
        let json = serde_json::to_string(&SyncStatus::default()).expect("JSON");
        let keys: Vec<_> = [
            "current_l1",
            "current_l1_finalized",
            "head_l1",
            "safe_l1",
            "finalized_l1",
            "unsafe_l2",
            "safe_l2",
            "finalized_l2",
            "pending_safe_l2",
            "local_safe_l2",
        ]
        .iter()
        .map(|key| json.find(&format!("\"{key}\":")).expect("every field is there"))
        .collect();
        assert!(keys.is_sorted(), "in op-node's order");
        let zero = format!("0x{}", "0".repeat(64));
        assert!(json.contains(&format!(
            "\"head_l1\":{{\"hash\":\"{zero}\",\"number\":0,\"parentHash\":\"{zero}\",\"timestamp\":0}}"
        )));
    }

    #[test]
    fn output_roots_are_hashes_of_four_words() {
        let block = L2BlockRef { hash: B256::repeat_byte(3), ..L2BlockRef::default() };
        let output = OutputResponse::new(
            block,
            B256::repeat_byte(1),
            B256::repeat_byte(2),
            SyncStatus::default(),
        );
        assert_eq!(output.output_root, keccak256([[0; 32], [1; 32], [2; 32], [3; 32]].concat()));
        let json = serde_json::to_value(output).expect("JSON");
        let keys: Vec<_> =
            json.as_object().expect("an object").keys().map(String::as_str).collect();
        for key in [
            "version",
            "outputRoot",
            "blockRef",
            "withdrawalStorageRoot",
            "stateRoot",
            "syncStatus",
        ] {
            assert!(keys.contains(&key), "{key}");
        }
    }
}
