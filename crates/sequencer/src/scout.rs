//! Looks at the L1 ahead of the sequencer.
//!
//! Making blocks never waits for an L1 request. The scout is told the origin of the head and says
//! what it found about it and the L1 block after it; it looks again whenever the L1's head moves.

use crate::{metrics, origin::NextOrigin, ports::L1Source};
use alloy_eips::BlockNumHash;
use ascribe_l1::{L1Block, L1Error, L1Receipt};
use std::{sync::Arc, time::Duration};
use tokio::{sync::watch, time::sleep};

/// How long the scout waits after the L1 did not answer.
const RETRY: Duration = Duration::from_secs(1);

/// An origin and what may follow it.
#[derive(Debug, Clone)]
pub(crate) struct Origins {
    pub(crate) current: Arc<L1Block>,
    pub(crate) next: Next,
}

/// The L1 block after the current origin.
#[derive(Debug, Clone)]
pub(crate) enum Next {
    Unknown,
    Unconfirmed,
    Found { block: Arc<L1Block>, receipts: Arc<Vec<L1Receipt>> },
}

impl Next {
    /// As much as the choice of an origin needs.
    pub(crate) fn origin(&self) -> NextOrigin {
        match self {
            Self::Unknown => NextOrigin::Unknown,
            Self::Unconfirmed => NextOrigin::Unconfirmed,
            Self::Found { block, .. } => NextOrigin::Known(block.block_ref()),
        }
    }
}

/// What the scout found.
#[derive(Debug, Clone)]
pub(crate) enum Finding {
    Nothing,
    Origins(Origins),
    /// This origin is no longer part of the L1.
    Orphaned(BlockNumHash),
}

impl Finding {
    /// What is known of an origin: also that it is the block which was found to come next.
    pub(crate) fn of(&self, origin: &BlockNumHash) -> Option<Origins> {
        let Self::Origins(origins) = self else { return None };
        if origins.current.hash == origin.hash {
            return Some(origins.clone());
        }
        match &origins.next {
            Next::Found { block, .. } if block.hash == origin.hash => {
                Some(Origins { current: block.clone(), next: Next::Unknown })
            }
            _ => None,
        }
    }
}

#[derive(Debug)]
pub(crate) struct Scout<S> {
    pub(crate) l1: S,
    pub(crate) confs: u64,
}

impl<S: L1Source> Scout<S> {
    /// Looks ahead of the origin that is wanted, until nobody wants to know any more.
    pub(crate) async fn run(
        &self,
        mut wanted: watch::Receiver<BlockNumHash>,
        found: watch::Sender<Finding>,
    ) {
        let mut heads = self.l1.heads();
        // The number of reorgs with which the origin was last seen to be canonical.
        let mut reorgs = None;
        loop {
            let origin = *wanted.borrow_and_update();
            let seen = heads.borrow_and_update().reorgs;
            let again = tokio::select! {
                looked = self.look(origin, reorgs != Some(seen)) => match looked {
                    Ok(finding) => {
                        reorgs = Some(seen);
                        found.send_replace(finding);
                        false
                    }
                    Err(error) => {
                        metrics::l1_error();
                        tracing::warn!(
                            target: "ascribe::sequencer",
                            %error, origin = origin.number, "Next L1 origin not known"
                        );
                        true
                    }
                },
                changed = wanted.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return,
                },
            };
            tokio::select! {
                changed = wanted.changed() => if changed.is_err() {
                    return;
                },
                Ok(()) = heads.changed() => {}
                () = sleep(RETRY), if again => {}
            }
        }
    }

    /// Looks at an origin and the block after it. `suspicious` after a reorg of the L1, whatever
    /// its depth.
    async fn look(&self, origin: BlockNumHash, suspicious: bool) -> Result<Finding, L1Error> {
        let current = self.l1.block_by_hash(origin.hash).await?;
        if suspicious || current.is_none() {
            // An L1 node that is behind does not know the number; that says nothing.
            let canonical = self.l1.block_by_number(origin.number).await?;
            if canonical.is_some_and(|block| block.hash != origin.hash) {
                return Ok(Finding::Orphaned(origin));
            }
        }
        let current = current.ok_or(L1Error::BlockGone(origin.hash))?;
        let number = origin.number + 1;
        if !self.is_confirmed(number) {
            return Ok(Finding::Origins(Origins { current, next: Next::Unconfirmed }));
        }
        let Some(block) = self.l1.block_by_number(number).await? else {
            return Ok(Finding::Origins(Origins { current, next: Next::Unconfirmed }));
        };
        if block.header.parent_hash != origin.hash {
            return Ok(Finding::Orphaned(origin));
        }
        let receipts = self.l1.receipts(block.hash).await?;
        Ok(Finding::Origins(Origins { current, next: Next::Found { block, receipts } }))
    }

    /// Whether a block lies deep enough. Without confirmations wanted, and while the head is not
    /// known, any does.
    fn is_confirmed(&self, number: u64) -> bool {
        let head = self.l1.heads().borrow().latest;
        self.confs == 0 || head.is_none_or(|head| number + self.confs <= head.number)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_chain::FakeL1;

    async fn look(l1: &FakeL1, number: u64, confs: u64, suspicious: bool) -> Finding {
        let scout = Scout { l1: l1.clone(), confs };
        scout.look(l1.id(number), suspicious).await.expect("answered")
    }

    fn next(finding: &Finding) -> Option<u64> {
        match finding {
            Finding::Origins(Origins { next: Next::Found { block, .. }, .. }) => {
                Some(block.header.number)
            }
            Finding::Origins(Origins { next: Next::Unconfirmed, .. }) => None,
            other => panic!("{other:?}"),
        }
    }

    #[tokio::test]
    async fn the_next_origin_needs_confirmations() {
        let l1 = FakeL1::new();
        l1.extend(10);
        for (number, confs, expected) in [
            (4, 4, Some(5)),
            (5, 4, Some(6)),
            (6, 4, None),
            (9, 0, Some(10)),
            (9, 1, None),
            (10, 0, None),
        ] {
            assert_eq!(next(&look(&l1, number, confs, false).await), expected, "{number} {confs}");
        }
    }

    #[tokio::test]
    async fn an_orphaned_origin_is_told() {
        let l1 = FakeL1::new();
        l1.extend(10);
        let gone = l1.id(8);
        l1.reorg(7, 5);
        let scout = Scout { l1: l1.clone(), confs: 0 };
        let finding = scout.look(gone, false).await.expect("answered");
        assert!(matches!(finding, Finding::Orphaned(orphan) if orphan == gone));
        // Where the next is not deep enough to be looked at, the reorg itself makes it look.
        let last = l1.id(12);
        l1.reorg(11, 1);
        let finding = scout.look(last, true).await.expect("answered");
        assert!(matches!(finding, Finding::Orphaned(orphan) if orphan == last));
    }
}
