//! L1 blocks as a rollup sees them.

use alloy_consensus::Header;
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::B256;
use ascribe_chainspec::L1BlockRef;

/// Which of the blocks that the L1 names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum L1Tag {
    /// The newest.
    Latest,
    /// The newest that will not be reorged if most validators are honest.
    Safe,
    /// The newest that will not be reorged at all.
    Finalized,
}

impl L1Tag {
    /// As JSON-RPC writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Latest => "latest",
            Self::Safe => "safe",
            Self::Finalized => "finalized",
        }
    }
}

impl From<L1Tag> for BlockNumberOrTag {
    fn from(tag: L1Tag) -> Self {
        match tag {
            L1Tag::Latest => Self::Latest,
            L1Tag::Safe => Self::Safe,
            L1Tag::Finalized => Self::Finalized,
        }
    }
}

/// A block without its transactions' contents.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct L1Block {
    /// Hash.
    pub hash: B256,
    /// Header; it hashes to `hash` unless the endpoint is trusted.
    pub header: Header,
    /// Hashes of its transactions.
    pub transactions: Vec<B256>,
}

impl L1Block {
    /// What places it in the chain.
    pub const fn block_ref(&self) -> L1BlockRef {
        L1BlockRef {
            hash: self.hash,
            number: self.header.number,
            parent_hash: self.header.parent_hash,
            timestamp: self.header.timestamp,
        }
    }

    /// About what it takes of memory.
    pub(crate) const fn size(&self) -> usize {
        size_of::<Self>() + self.transactions.len() * size_of::<B256>()
    }
}
