//! Status as op-node writes it: numbers are numbers, and nothing is ever left out.

use ascribe_chainspec::{BlockId, L1BlockRef, L2BlockRef};
use serde::{Deserialize, Serialize};

/// The answer to `optimism_syncStatus`. What is not known is zero.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SyncStatus {
    /// The L1 block that derivation has come to.
    pub current_l1: L1BlockRef,
    /// The same as `finalized_l1`, for old clients.
    pub current_l1_finalized: L1BlockRef,
    /// The newest L1 block.
    pub head_l1: L1BlockRef,
    /// The newest L1 block that is safe.
    pub safe_l1: L1BlockRef,
    /// The newest L1 block that is final.
    pub finalized_l1: L1BlockRef,
    /// The newest L2 block.
    pub unsafe_l2: L2BlockRef,
    /// The newest L2 block derived from L1.
    pub safe_l2: L2BlockRef,
    /// The newest L2 block derived from final L1 blocks.
    pub finalized_l2: L2BlockRef,
    /// The newest L2 block of a batch that is not derived in full.
    pub pending_safe_l2: L2BlockRef,
    /// The same as `safe_l2`: there is no interop. op-batcher reads this one.
    pub local_safe_l2: L2BlockRef,
}

/// The answer to `optimism_safeHeadAtL1Block`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SafeHeadResponse {
    /// The L1 block.
    pub l1_block: BlockId,
    /// The L2 block that was safe then.
    pub safe_head: BlockId,
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::B256;
    use serde_json::json;

    #[test]
    fn shapes_are_op_nodes() {
        let zero = B256::ZERO;
        let id = json!({"hash": zero, "number": 0});
        let l1 = json!({"hash": zero, "number": 0, "parentHash": zero, "timestamp": 0});
        let mut l2 = l1.clone();
        l2["l1origin"] = id.clone();
        l2["sequenceNumber"] = json!(0);
        assert_eq!(
            serde_json::to_value(SyncStatus::default()).expect("status serializes"),
            json!({
                "current_l1": l1, "current_l1_finalized": l1, "head_l1": l1, "safe_l1": l1,
                "finalized_l1": l1, "unsafe_l2": l2, "safe_l2": l2, "finalized_l2": l2,
                "pending_safe_l2": l2, "local_safe_l2": l2,
            })
        );
        let safe = SafeHeadResponse { l1_block: BlockId::default(), safe_head: BlockId::default() };
        assert_eq!(
            serde_json::to_value(safe).expect("status serializes"),
            json!({"l1Block": id, "safeHead": id})
        );
    }
}
