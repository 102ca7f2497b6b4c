//! Blocks that were found invalid.

use alloy_primitives::B256;
use lru::LruCache;
use std::num::NonZeroUsize;

/// After so many questions about one block it is forgotten, and executed again when it is next
/// given: should the verdict have been ours to blame (a full disk read as a bad root), the node
/// heals. geth and reth use the same number.
const MAX_HITS: u32 = 128;

/// Why a block is invalid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Invalid {
    /// The newest valid block below it, where that is known.
    pub(crate) latest_valid: Option<B256>,
    /// What the Engine API says under `validationError`.
    pub(crate) reason: String,
}

impl Invalid {
    /// What it means for a block on top.
    pub(crate) fn inherited(self) -> Self {
        Self { reason: "links to previously rejected block".to_owned(), ..self }
    }
}

/// A bounded memory of invalid blocks, by hash. The one not asked about for longest goes first.
#[derive(Debug)]
pub(crate) struct InvalidBlocks {
    blocks: LruCache<B256, (Invalid, u32)>,
}

impl InvalidBlocks {
    pub(crate) fn new(max: u32) -> Self {
        let max = NonZeroUsize::new(max as usize).unwrap_or(NonZeroUsize::MIN);
        Self { blocks: LruCache::new(max) }
    }

    pub(crate) fn insert(&mut self, hash: B256, invalid: Invalid) {
        self.blocks.put(hash, (invalid, 0));
    }

    /// What is known against `hash` itself.
    pub(crate) fn get(&mut self, hash: &B256) -> Option<Invalid> {
        let (invalid, hits) = self.blocks.get_mut(hash)?;
        *hits += 1;
        if *hits > MAX_HITS {
            self.blocks.pop(hash);
            return None;
        }
        Some(invalid.clone())
    }

    /// What is known against a block from its parent. If there is something, the block is invalid
    /// as well, and remembered.
    pub(crate) fn inherit(&mut self, hash: B256, parent: &B256) -> Option<Invalid> {
        let invalid = self.get(parent)?.inherited();
        self.insert(hash, invalid.clone());
        Some(invalid)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hash(n: u8) -> B256 {
        B256::repeat_byte(n)
    }

    fn invalid() -> Invalid {
        Invalid { latest_valid: Some(hash(0)), reason: "bad".to_owned() }
    }

    #[test]
    fn descendants_inherit_the_latest_valid_hash() {
        let mut blocks = InvalidBlocks::new(8);
        blocks.insert(hash(1), invalid());
        assert_eq!(blocks.get(&hash(1)), Some(invalid()));
        for child in 2..5 {
            let inherited = blocks.inherit(hash(child), &hash(child - 1)).expect("parent is bad");
            assert_eq!(inherited.latest_valid, Some(hash(0)));
            assert_eq!(inherited.reason, "links to previously rejected block");
        }
        assert_eq!(blocks.inherit(hash(9), &hash(8)), None);
        assert_eq!(blocks.get(&hash(9)), None);
    }

    #[test]
    fn the_memory_is_bounded_and_forgives() {
        let mut blocks = InvalidBlocks::new(2);
        for n in 1..4 {
            blocks.insert(hash(n), invalid());
        }
        assert_eq!(blocks.get(&hash(1)), None);
        for _ in 0..MAX_HITS {
            assert!(blocks.get(&hash(3)).is_some());
        }
        assert_eq!(blocks.get(&hash(3)), None);
        assert!(blocks.get(&hash(2)).is_some());
    }
}
