//! The unit of persistence.

use crate::AttributionCell;
use alloy_consensus::{BlockHeader, Header};
use alloy_eips::BlockNumHash;
use alloy_primitives::{B256, Bytes};
use ascribe_trie::{ReplacedSlots, StateLayer};
use op_alloy_consensus::{OpBlock, OpReceipt};
use reth_primitives_traits::{RecoveredBlock, SealedHeader};
use std::sync::Arc;

/// An executed block: everything that a block adds to the chain and changes in state. Cheap to
/// clone.
#[derive(Debug, Clone)]
pub struct ExecutedBlock {
    /// The block with its senders.
    pub block: Arc<RecoveredBlock<OpBlock>>,
    /// Its receipts, in the order of its transactions.
    pub receipts: Arc<Vec<OpReceipt>>,
    /// What it changes in state and tries, against its parent's state.
    pub layer: Arc<StateLayer>,
    /// What the slots it changes held before, where that is known. An account that is here is here
    /// with every slot of it in `layer`; of the others the parent's state is asked.
    pub replaced: Arc<ReplacedSlots>,
    /// Bytecodes it adds, by code hash.
    pub codes: Arc<Vec<(B256, Bytes)>>,
    /// What it adds to the attribution index; found out when first asked for.
    pub attribution: AttributionCell,
}

impl ExecutedBlock {
    /// Block number.
    pub fn number(&self) -> u64 {
        self.header().number()
    }

    /// Block hash.
    pub fn hash(&self) -> B256 {
        self.block.hash()
    }

    /// Number and hash.
    pub fn num_hash(&self) -> BlockNumHash {
        BlockNumHash { number: self.number(), hash: self.hash() }
    }

    /// Hash of the parent block.
    pub fn parent_hash(&self) -> B256 {
        self.header().parent_hash()
    }

    /// The header.
    pub fn header(&self) -> &Header {
        self.block.header()
    }

    /// The header with its hash.
    pub fn sealed_header(&self) -> SealedHeader {
        SealedHeader::new(self.header().clone(), self.hash())
    }
}
