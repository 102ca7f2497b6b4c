//! Blocks that wait: for a parent to arrive, or to become the head again.

use alloy_primitives::{
    B256,
    map::{B256Map, B256Set},
};
use op_alloy_consensus::OpBlock;
use reth_primitives_traits::{InMemorySize, RecoveredBlock};
use std::{collections::BTreeMap, sync::Arc};

/// Blocks that are not executed, by hash and by parent, bounded in count and bytes. When it is
/// full, the block that came first goes.
#[derive(Debug)]
pub(crate) struct BlockBuffer {
    blocks: B256Map<Buffered>,
    children: B256Map<B256Set>,
    /// Hashes by arrival.
    arrivals: BTreeMap<u64, B256>,
    next_arrival: u64,
    bytes: usize,
    max_blocks: usize,
    max_bytes: usize,
}

#[derive(Debug)]
struct Buffered {
    block: Arc<RecoveredBlock<OpBlock>>,
    size: usize,
    arrival: u64,
}

impl BlockBuffer {
    pub(crate) fn new(max_blocks: usize, max_bytes: usize) -> Self {
        Self {
            blocks: B256Map::default(),
            children: B256Map::default(),
            arrivals: BTreeMap::new(),
            next_arrival: 0,
            bytes: 0,
            max_blocks,
            max_bytes,
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.blocks.len()
    }

    /// Bytes of all blocks, as they lie in memory.
    pub(crate) const fn bytes(&self) -> usize {
        self.bytes
    }

    pub(crate) fn get(&self, hash: &B256) -> Option<&Arc<RecoveredBlock<OpBlock>>> {
        self.blocks.get(hash).map(|buffered| &buffered.block)
    }

    /// Keeps a block. False if it alone is larger than the bound.
    pub(crate) fn insert(&mut self, block: Arc<RecoveredBlock<OpBlock>>) -> bool {
        let (hash, size) = (block.hash(), block.size());
        if size > self.max_bytes || self.max_blocks == 0 {
            return false;
        }
        if self.blocks.contains_key(&hash) {
            return true;
        }
        let arrival = self.next_arrival;
        self.next_arrival += 1;
        self.arrivals.insert(arrival, hash);
        self.children.entry(block.header().parent_hash).or_default().insert(hash);
        self.blocks.insert(hash, Buffered { block, size, arrival });
        self.bytes += size;
        while self.blocks.len() > self.max_blocks || self.bytes > self.max_bytes {
            let Some(oldest) = self.arrivals.first_key_value().map(|(_, hash)| *hash) else {
                break;
            };
            self.remove(&oldest);
        }
        true
    }

    pub(crate) fn remove(&mut self, hash: &B256) -> Option<Arc<RecoveredBlock<OpBlock>>> {
        let Buffered { block, size, arrival } = self.blocks.remove(hash)?;
        self.arrivals.remove(&arrival);
        self.bytes -= size;
        let parent = block.header().parent_hash;
        if let Some(siblings) = self.children.get_mut(&parent) {
            siblings.remove(hash);
            if siblings.is_empty() {
                self.children.remove(&parent);
            }
        }
        Some(block)
    }

    /// The blocks on top of `parent`.
    pub(crate) fn children_of(&self, parent: &B256) -> Vec<Arc<RecoveredBlock<OpBlock>>> {
        let hashes = self.children.get(parent).into_iter().flatten();
        hashes.filter_map(|hash| self.get(hash).cloned()).collect()
    }

    /// Removes every block that descends from `ancestor`, and returns their hashes.
    pub(crate) fn remove_descendants(&mut self, ancestor: B256) -> Vec<B256> {
        let mut removed = Vec::new();
        let mut next = vec![ancestor];
        while let Some(parent) = next.pop() {
            for child in self.children_of(&parent) {
                self.remove(&child.hash());
                removed.push(child.hash());
                next.push(child.hash());
            }
        }
        removed
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{Block, BlockBody, Header};
    use proptest::prelude::*;

    fn hash(n: u8) -> B256 {
        B256::repeat_byte(n)
    }

    fn block(n: u8, parent: u8) -> Arc<RecoveredBlock<OpBlock>> {
        let header = Header { parent_hash: hash(parent), ..Default::default() };
        let block = Block { header, body: BlockBody::default() };
        Arc::new(RecoveredBlock::new(block, Vec::new(), hash(n)))
    }

    #[test]
    fn blocks_are_found_by_parent_until_they_leave() {
        let mut buffer = BlockBuffer::new(10, 1 << 20);
        for (n, parent) in [(2, 1), (3, 1), (4, 2), (5, 4)] {
            assert!(buffer.insert(block(n, parent)));
        }
        let children: B256Set =
            buffer.children_of(&hash(1)).iter().map(|block| block.hash()).collect();
        assert_eq!(children, B256Set::from_iter([hash(2), hash(3)]));
        assert_eq!(buffer.remove(&hash(3)).map(|block| block.hash()), Some(hash(3)));
        assert_eq!(buffer.children_of(&hash(1)).len(), 1);
        assert_eq!(buffer.remove_descendants(hash(1)), [hash(2), hash(4), hash(5)]);
        assert_eq!((buffer.len(), buffer.bytes()), (0, 0));
        assert!(buffer.children.is_empty());
    }

    #[test]
    fn a_block_above_the_bound_is_not_kept() {
        let mut buffer = BlockBuffer::new(10, 8);
        assert!(!buffer.insert(block(2, 1)));
        assert_eq!(buffer.len(), 0);
    }

    proptest! {
        /// Whatever comes and goes, the bounds hold and the indices agree with the blocks.
        #[test]
        fn bounds_hold(steps in prop::collection::vec((any::<bool>(), 0u8..40, 0u8..40), 0..300)) {
            let size = block(0, 0).size();
            let mut buffer = BlockBuffer::new(9, 7 * size);
            for (insert, n, parent) in steps {
                if insert {
                    prop_assert!(buffer.insert(block(n, parent)));
                    prop_assert!(buffer.get(&hash(n)).is_some());
                } else {
                    buffer.remove(&hash(n));
                }
                prop_assert!(buffer.len() <= 7);
                prop_assert_eq!(buffer.bytes(), buffer.len() * size);
                prop_assert_eq!(buffer.arrivals.len(), buffer.len());
                let indexed: usize = buffer.children.values().map(|set| set.len()).sum();
                prop_assert_eq!(indexed, buffer.len());
            }
        }
    }
}
