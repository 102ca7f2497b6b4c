//! Which blocks the consensus side called safe and finalized.
//!
//! After a restart a consensus client trusts these labels, and a label that points at a block the
//! node no longer has sends it into recovery. So the labels on disk only ever name blocks on
//! disk: a label set on a block still in memory is written with that block.

use crate::{
    Column, ExecutedBlock, StorageError, StorageReader, codec, column::meta, database::Rows,
};
use alloy_eips::BlockNumHash;

/// Blocks that the consensus side called safe and finalized.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Labels {
    /// Newest block derived from L1 data.
    pub safe: Option<BlockNumHash>,
    /// Newest block derived from finalized L1 data.
    pub finalized: Option<BlockNumHash>,
}

/// The persisted chain as it is, or as a commit will leave it.
#[derive(Clone, Copy)]
pub(crate) struct Chain<'a> {
    pub(crate) base: &'a StorageReader,
    /// Highest block of `base` on the chain.
    pub(crate) ancestor: u64,
    /// The blocks above it.
    pub(crate) blocks: &'a [ExecutedBlock],
}

impl<'a> Chain<'a> {
    /// The chain of a reader.
    pub(crate) fn of(base: &'a StorageReader) -> Self {
        Self { base, ancestor: base.head().number, blocks: &[] }
    }

    fn contains(self, block: BlockNumHash) -> Result<bool, StorageError> {
        if block.number <= self.ancestor {
            self.base.contains(block)
        } else {
            Ok(self.blocks.iter().any(|executed| executed.num_hash() == block))
        }
    }
}

impl Labels {
    /// Labels as they are on disk.
    pub(crate) fn read(reader: &StorageReader) -> Result<Self, StorageError> {
        let label = |key| reader.snapshot().get_with(Column::Meta, key, codec::decode_num_hash);
        Ok(Self { safe: label(meta::SAFE)?, finalized: label(meta::FINALIZED)? })
    }

    /// What may stand on disk with `chain` when `self` is wanted and `stored` stood there before.
    pub(crate) fn storable(self, stored: Self, chain: Chain<'_>) -> Result<Self, StorageError> {
        Ok(Self {
            safe: storable(self.safe, stored.safe, chain)?,
            finalized: storable(self.finalized, stored.finalized, chain)?,
        })
    }

    /// Labels that `chain` has just lost, lowered to what is on disk. Labels on blocks that were
    /// never there stay: those blocks are in memory.
    pub(crate) fn lowered(self, onto: Self, chain: Chain<'_>) -> Result<Self, StorageError> {
        let lost = |label: Option<BlockNumHash>| match label {
            Some(block) => Ok(chain.base.contains(block)? && !chain.contains(block)?),
            None => Ok::<_, StorageError>(false),
        };
        Ok(Self {
            safe: if lost(self.safe)? { onto.safe } else { self.safe },
            finalized: if lost(self.finalized)? { onto.finalized } else { self.finalized },
        })
    }

    /// Adds the rows of those labels that differ from `stored`.
    pub(crate) fn write(self, stored: Self, rows: &mut Rows<'_>) {
        for (key, new, old) in [
            (meta::SAFE, self.safe, stored.safe),
            (meta::FINALIZED, self.finalized, stored.finalized),
        ] {
            match new {
                Some(block) if new != old => {
                    rows.put(Column::Meta, key, &codec::encode_num_hash(block));
                }
                None if old.is_some() => rows.delete(Column::Meta, key),
                _ => {}
            }
        }
    }
}

fn storable(
    wanted: Option<BlockNumHash>,
    stored: Option<BlockNumHash>,
    chain: Chain<'_>,
) -> Result<Option<BlockNumHash>, StorageError> {
    let Some(wanted) = wanted else { return Ok(None) };
    if chain.contains(wanted)? {
        return Ok(Some(wanted));
    }
    let Some(stored) = stored else { return Ok(None) };
    if chain.contains(stored)? {
        return Ok(Some(stored));
    }
    // What stood there was unwound, down to a block that must bear the label too.
    Ok(Some(chain.base.expect_header(chain.ancestor)?.num_hash()))
}
