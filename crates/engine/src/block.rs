//! An executed block as the engine keeps it in memory.

use crate::cache::PlainChanges;
use alloy_consensus::Header;
use alloy_eips::{BlockNumHash, Encodable2718};
use alloy_primitives::{B256, Bytes, U256, map::B256Map};
use ascribe_storage::ExecutedBlock;
use op_alloy_consensus::{OpBlock, OpReceipt};
use op_alloy_rpc_types_engine::OpExecutionData;
use reth_primitives_traits::{RecoveredBlock, SealedHeader};
use std::{
    sync::{Arc, OnceLock},
    time::Duration,
};

/// An executed block in memory: what storage will persist, and what moves the caches.
#[derive(Debug)]
pub(crate) struct MemoryBlock {
    executed: ExecutedBlock,
    changes: PlainChanges,
    /// Places of its transactions by hash; made when first asked for.
    transactions: OnceLock<B256Map<u32>>,
}

impl MemoryBlock {
    pub(crate) const fn new(executed: ExecutedBlock, changes: PlainChanges) -> Self {
        Self { executed, changes, transactions: OnceLock::new() }
    }

    pub(crate) const fn executed(&self) -> &ExecutedBlock {
        &self.executed
    }

    pub(crate) const fn changes(&self) -> &PlainChanges {
        &self.changes
    }

    pub(crate) fn number(&self) -> u64 {
        self.executed.number()
    }

    pub(crate) fn hash(&self) -> B256 {
        self.executed.hash()
    }

    pub(crate) fn parent_hash(&self) -> B256 {
        self.executed.parent_hash()
    }

    pub(crate) fn num_hash(&self) -> BlockNumHash {
        self.executed.num_hash()
    }

    pub(crate) fn header(&self) -> &Header {
        self.executed.header()
    }

    pub(crate) fn sealed_header(&self) -> SealedHeader {
        self.executed.sealed_header()
    }

    pub(crate) fn block(&self) -> &Arc<RecoveredBlock<OpBlock>> {
        &self.executed.block
    }

    pub(crate) fn code(&self, hash: &B256) -> Option<&Bytes> {
        self.executed.codes.iter().find_map(|(key, code)| (key == hash).then_some(code))
    }

    /// The index of a transaction in this block.
    pub(crate) fn transaction(&self, hash: &B256) -> Option<u32> {
        let index = self.transactions.get_or_init(|| {
            let transactions = self.block().body().transactions.iter();
            transactions.enumerate().map(|(index, tx)| (tx.trie_hash(), index as u32)).collect()
        });
        index.get(hash).copied()
    }

    pub(crate) fn canon(&self) -> CanonBlock {
        CanonBlock { block: self.executed.block.clone(), receipts: self.executed.receipts.clone() }
    }
}

/// A block with its receipts. Cheap to clone.
#[derive(Debug, Clone)]
pub struct CanonBlock {
    /// The block with its senders.
    pub block: Arc<RecoveredBlock<OpBlock>>,
    /// Its receipts, in the order of its transactions.
    pub receipts: Arc<Vec<OpReceipt>>,
}

/// How the canonical chain changed.
#[derive(Debug, Clone)]
pub struct CanonUpdate {
    /// Blocks that left it, in ascending order. Of a rewind that took off more than
    /// [`MAX_REPORTED`](Self::MAX_REPORTED) blocks, the newest ones.
    pub old: Vec<CanonBlock>,
    /// Blocks that joined it, in ascending order.
    pub new: Vec<CanonBlock>,
    /// The head.
    pub head: SealedHeader,
}

impl CanonUpdate {
    /// Blocks that one update reports as taken off at most.
    pub const MAX_REPORTED: u64 = 512;
}

/// A block built here.
#[derive(Debug, Clone)]
pub struct BuiltPayload {
    /// The block with its senders.
    pub block: Arc<RecoveredBlock<OpBlock>>,
    /// Its receipts, in the order of its transactions.
    pub receipts: Arc<Vec<OpReceipt>>,
    /// What the fee recipient earns from tips, in wei: `blockValue`.
    pub fees: U256,
    /// Time from the start of the attempt that made it until it was sealed.
    pub build_time: Duration,
}

impl BuiltPayload {
    /// The header's `parentBeaconBlockRoot`, which `engine_getPayloadV3` and later return beside
    /// the payload.
    pub fn parent_beacon_block_root(&self) -> Option<B256> {
        self.block.header().parent_beacon_block_root
    }

    /// The payload as `engine_newPayload` takes it.
    pub fn to_execution_data(&self) -> OpExecutionData {
        let block = self.block.sealed_block();
        OpExecutionData::from_block_unchecked(self.block.hash(), &block.clone_block())
    }
}
