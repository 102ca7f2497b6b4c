//! The chain as of one moment: executed blocks in memory over the persisted chain.

use crate::{ProviderError, block::MemoryBlock};
use alloy_eips::BlockNumHash;
use alloy_primitives::{B256, map::B256Map};
use ascribe_storage::{Labels, StorageReader};
use reth_primitives_traits::SealedHeader;
use std::sync::Arc;

/// A snapshot of the chain. The engine makes the next one by changing a clone, which copies a few
/// hundred pointers at most; readers hold one for as long as they like.
#[derive(Debug, Clone)]
pub(crate) struct Tree {
    /// The persisted chain. Its head is the parent of the first canonical block in memory.
    reader: StorageReader,
    /// Canonical blocks above the persisted head, ascending.
    canonical: Vec<Arc<MemoryBlock>>,
    /// Every executed block in memory, canonical or not.
    blocks: B256Map<Arc<MemoryBlock>>,
    /// Safe and finalized blocks, always canonical.
    labels: Labels,
}

/// Blocks in memory, newest first, and the persisted block below them.
pub(crate) type Descent = (Vec<Arc<MemoryBlock>>, BlockNumHash);

/// A way from a canonical block to another block, all in memory.
#[derive(Debug, Clone)]
pub(crate) struct Branch {
    /// The canonical block that it leaves from; in memory or persisted.
    pub(crate) ancestor: BlockNumHash,
    /// The blocks above, ascending. Empty if the block itself is canonical.
    pub(crate) blocks: Vec<Arc<MemoryBlock>>,
}

impl Tree {
    pub(crate) fn new(reader: StorageReader, labels: Labels) -> Self {
        Self { reader, canonical: Vec::new(), blocks: B256Map::default(), labels }
    }

    pub(crate) const fn reader(&self) -> &StorageReader {
        &self.reader
    }

    pub(crate) const fn labels(&self) -> Labels {
        self.labels
    }

    pub(crate) fn set_labels(&mut self, labels: Labels) {
        self.labels = labels;
    }

    /// Canonical blocks above the persisted head, ascending.
    pub(crate) fn canonical(&self) -> &[Arc<MemoryBlock>] {
        &self.canonical
    }

    pub(crate) fn head(&self) -> SealedHeader {
        match self.canonical.last() {
            Some(block) => block.sealed_header(),
            None => self.reader.head().clone(),
        }
    }

    pub(crate) fn head_num_hash(&self) -> BlockNumHash {
        match self.canonical.last() {
            Some(block) => block.num_hash(),
            None => self.reader.head().num_hash(),
        }
    }

    /// An executed block in memory.
    pub(crate) fn block(&self, hash: &B256) -> Option<&Arc<MemoryBlock>> {
        self.blocks.get(hash)
    }

    /// Executed blocks in memory that are not canonical.
    pub(crate) fn side_blocks(&self) -> usize {
        self.blocks.len() - self.canonical.len()
    }

    /// The canonical block in memory at this height.
    pub(crate) fn canonical_block(&self, number: u64) -> Option<&Arc<MemoryBlock>> {
        let first = self.canonical.first()?.number();
        self.canonical.get(usize::try_from(number.checked_sub(first)?).ok()?)
    }

    /// Hash of the canonical block at this height.
    pub(crate) fn canonical_hash(&self, number: u64) -> Result<Option<B256>, ProviderError> {
        if let Some(block) = self.canonical_block(number) {
            return Ok(Some(block.hash()));
        }
        Ok(self.reader.canonical_hash(number)?)
    }

    /// Whether this very block is canonical.
    pub(crate) fn is_canonical(&self, block: BlockNumHash) -> Result<bool, ProviderError> {
        Ok(self.canonical_hash(block.number)? == Some(block.hash))
    }

    /// Number of an executed block, canonical or not.
    pub(crate) fn number(&self, hash: &B256) -> Result<Option<u64>, ProviderError> {
        match self.blocks.get(hash) {
            Some(block) => Ok(Some(block.number())),
            None => Ok(self.reader.number(*hash)?),
        }
    }

    /// Header of an executed block, canonical or not.
    pub(crate) fn header(&self, hash: &B256) -> Result<Option<SealedHeader>, ProviderError> {
        match self.blocks.get(hash) {
            Some(block) => Ok(Some(block.sealed_header())),
            None => Ok(self.reader.header_by_hash(*hash)?),
        }
    }

    /// The way to an executed block; nothing if the block, or one between it and the canonical
    /// chain, is not there.
    pub(crate) fn branch(&self, hash: B256) -> Result<Option<Branch>, ProviderError> {
        let mut blocks = Vec::new();
        let mut hash = hash;
        while let Some(block) = self.blocks.get(&hash) {
            if self.canonical_block(block.number()).is_some_and(|found| found.hash() == hash) {
                break;
            }
            blocks.push(block.clone());
            hash = block.parent_hash();
        }
        blocks.reverse();
        let number = self.number(&hash)?;
        Ok(number.map(|number| Branch { ancestor: BlockNumHash { number, hash }, blocks }))
    }

    /// Executed blocks in memory from `hash` down, newest first, and the persisted block below
    /// them; nothing if some block in between is not there.
    pub(crate) fn to_persisted(&self, hash: B256) -> Result<Option<Descent>, ProviderError> {
        let mut blocks = Vec::new();
        let mut hash = hash;
        while let Some(block) = self.blocks.get(&hash) {
            blocks.push(block.clone());
            hash = block.parent_hash();
        }
        let number = self.reader.number(hash)?;
        Ok(number.map(|number| (blocks, BlockNumHash { number, hash })))
    }

    /// Takes in an executed block, which does not become canonical by that.
    pub(crate) fn insert(&mut self, block: Arc<MemoryBlock>) {
        self.blocks.insert(block.hash(), block);
    }

    /// Makes `branch`'s last block the head. Its ancestor must not be below the persisted head.
    /// Returns the blocks that are no longer canonical, ascending.
    pub(crate) fn set_head(&mut self, branch: &Branch) -> Vec<Arc<MemoryBlock>> {
        let persisted = self.reader.head().number;
        debug_assert!(branch.ancestor.number >= persisted, "the persisted chain is unwound first");
        let kept = branch.ancestor.number.saturating_sub(persisted) as usize;
        let old = self.canonical.split_off(kept.min(self.canonical.len()));
        self.canonical.extend(branch.blocks.iter().cloned());
        old
    }

    /// Follows the persisted chain: canonical blocks that are on disk now leave the memory, and so
    /// do side blocks that left the chain more than `side_depth` blocks below the persisted head.
    pub(crate) fn set_persisted(&mut self, reader: StorageReader, side_depth: u64) {
        let head = reader.head().number;
        let kept = self.canonical.partition_point(|block| block.number() <= head);
        for block in self.canonical.drain(..kept) {
            self.blocks.remove(&block.hash());
        }
        let floor = head.saturating_sub(side_depth);
        self.blocks.retain(|_, block| block.number() > floor);
        self.reader = reader;
    }

    /// Starts over from a persisted chain that was reorganised: nothing in memory is canonical,
    /// and what is on disk is not kept in memory.
    pub(crate) fn set_reorganised(
        &mut self,
        reader: StorageReader,
        persisted: &[Arc<MemoryBlock>],
    ) {
        for block in persisted {
            self.blocks.remove(&block.hash());
        }
        self.canonical.clear();
        self.reader = reader;
    }

    /// Forgets a side block.
    pub(crate) fn remove_side(&mut self, hash: &B256) {
        let canonical = |block: &MemoryBlock| {
            self.canonical_block(block.number()).is_some_and(|found| found.hash() == *hash)
        };
        if self.blocks.get(hash).is_some_and(|block| !canonical(block)) {
            self.blocks.remove(hash);
        }
    }

    /// Side blocks that are no ancestor of `keep`, lowest first.
    pub(crate) fn removable(&self, keep: B256) -> Vec<BlockNumHash> {
        let mut side = self.blocks.clone();
        for block in &self.canonical {
            side.remove(&block.hash());
        }
        let mut hash = keep;
        while let Some(block) = side.remove(&hash) {
            hash = block.parent_hash();
        }
        let mut removable: Vec<_> = side.values().map(|block| block.num_hash()).collect();
        removable.sort_unstable_by_key(|block| block.number);
        removable
    }
}
