//! Where sequencing starts: the newest block of the chain whose L1 origin is still part of the L1.

use crate::{
    SequencerError,
    ports::{ChainError, L1Source, L2Block, L2Chain},
};
use alloy_eips::BlockNumHash;
use alloy_primitives::B256;
use ascribe_chainspec::{L2BlockRef, RollupConfig, SystemConfigError};
use ascribe_l1::L1Error;

/// No start was found.
#[derive(Debug)]
pub(crate) enum StartError {
    /// Try again.
    Temporary(String),
    /// There is none.
    Fatal(SequencerError),
}

impl From<L1Error> for StartError {
    fn from(error: L1Error) -> Self {
        Self::Temporary(error.to_string())
    }
}

impl From<ChainError> for StartError {
    fn from(error: ChainError) -> Self {
        Self::Temporary(error.to_string())
    }
}

impl From<SystemConfigError> for StartError {
    fn from(error: SystemConfigError) -> Self {
        Self::Fatal(SequencerError::Attributes(error.into()))
    }
}

/// How an L2 block's origin relates to the L1.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Relation {
    Canonical,
    /// The L1 node is not that far yet; nothing speaks against the block.
    Ahead,
    Orphaned,
}

/// Walks back from the head to the first block whose origin is canonical, and returns the newest
/// block on it that no reorg of the L1 makes invalid. Finalized blocks are not given up.
pub(crate) async fn find_start<S: L1Source, C: L2Chain>(
    rollup: &RollupConfig,
    l1: &S,
    l2: &C,
) -> Result<L2Block, StartError> {
    let finalized = l2.labels().finalized;
    let mut block = l2.head()?;
    let mut candidate: Option<L2Block> = None;
    let mut seen: Option<(BlockNumHash, Relation, Option<B256>)> = None;
    loop {
        let at = block.block_ref(rollup)?;
        let (relation, canonical) = match seen {
            Some((origin, relation, canonical)) if origin == at.l1_origin => (relation, canonical),
            _ => {
                let found = l1.block_by_number(at.l1_origin.number).await?;
                let canonical = found.map(|block| block.hash);
                let relation = match canonical {
                    None => Relation::Ahead,
                    Some(hash) if hash == at.l1_origin.hash => Relation::Canonical,
                    Some(_) => Relation::Orphaned,
                };
                seen = Some((at.l1_origin, relation, canonical));
                (relation, canonical)
            }
        };
        match relation {
            Relation::Canonical => return Ok(candidate.unwrap_or(block)),
            Relation::Ahead => _ = candidate.get_or_insert_with(|| block.clone()),
            Relation::Orphaned => candidate = None,
        }
        if at.number == rollup.genesis.l2.number {
            return match (candidate, canonical) {
                (Some(candidate), _) => Ok(candidate),
                (None, actual) => Err(StartError::Fatal(SequencerError::L1Genesis {
                    expected: rollup.genesis.l1.into(),
                    actual: actual.unwrap_or_default(),
                })),
            };
        }
        if finalized.is_some_and(|finalized| finalized.number >= at.number) {
            return candidate.ok_or_else(|| {
                StartError::Fatal(SequencerError::ReorgFinalized {
                    finalized: at.id(),
                    origin: at.l1_origin,
                })
            });
        }
        let parent = at.parent_hash;
        block = l2.block(parent)?.ok_or_else(|| missing(&at))?;
    }
}

fn missing(child: &L2BlockRef) -> StartError {
    StartError::Temporary(format!("block {} below {child} is gone", child.parent_hash))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_chain::{FakeChain, FakeL1, rollup};

    /// Ten L1 blocks, and two L2 blocks on each.
    fn chains() -> (FakeL1, FakeChain) {
        let l1 = FakeL1::new();
        l1.extend(10);
        let l2 = FakeChain::new();
        for number in 1..=10 {
            for sequence_number in 0..2 {
                l2.append(l1.id(number), sequence_number);
            }
        }
        (l1, l2)
    }

    async fn start(l1: &FakeL1, l2: &FakeChain) -> Result<u64, StartError> {
        find_start(&rollup(), l1, l2).await.map(|block| block.header.number)
    }

    #[tokio::test]
    async fn a_consistent_head_stays() {
        let (l1, l2) = chains();
        assert_eq!(start(&l1, &l2).await.expect("found"), 20);
        // Origins that the L1 node does not have yet are believed.
        l1.truncate(7);
        assert_eq!(start(&l1, &l2).await.expect("found"), 20);
    }

    #[tokio::test]
    async fn blocks_on_orphans_go() {
        let (l1, l2) = chains();
        // Blocks 8 to 10 become others; 10 is missing.
        l1.reorg(7, 2);
        assert_eq!(start(&l1, &l2).await.expect("found"), 14);
    }

    #[tokio::test]
    async fn finality_and_genesis_stay() {
        let (l1, l2) = chains();
        l1.reorg(0, 10);
        assert_eq!(start(&l1, &l2).await.expect("the genesis is there"), 0);
        l2.finalize(16);
        let error = start(&l1, &l2).await.expect_err("finalized");
        assert!(matches!(error, StartError::Fatal(SequencerError::ReorgFinalized { .. })));
        let other = FakeL1::on_another_genesis();
        let (_, l2) = chains();
        let error = start(&other, &l2).await.expect_err("another chain");
        assert!(matches!(error, StartError::Temporary(_) | StartError::Fatal(_)), "{error:?}");
    }

    #[tokio::test]
    async fn an_outage_is_temporary() {
        let (l1, l2) = chains();
        l1.fail(true);
        assert!(matches!(start(&l1, &l2).await, Err(StartError::Temporary(_))));
    }
}
