//! Which L1 block the next L2 block refers to (OP Stack specs, derivation: epochs, sequencer drift).

use ascribe_chainspec::{L2BlockRef, RollupConfig};
use ascribe_l1::L1BlockRef;

/// What is known of the L1 block after the current origin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NextOrigin {
    /// Nothing yet.
    Unknown,
    /// It is not there, or does not lie deep enough.
    Unconfirmed,
    /// It can be taken.
    Known(L1BlockRef),
}

/// The origin of the next block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Origin {
    /// The head's, once more.
    Current,
    /// The one after it.
    Next,
}

/// Why there can be no next block for now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum OriginError {
    #[error("origin-selector: currentL1Origin.Hash != l2Head.L1Origin.Hash")]
    Invalid,
    #[error("origin-selector: nextL1Origin.ParentHash != currentL1Origin.Hash")]
    Orphaned,
    #[error("origin-selector: nextL1Origin not supplied but required to satisfy constraints")]
    NextRequired,
}

/// Chooses the origin of the block after `head`, whose own is `current`.
///
/// The next one is taken as soon as the L2 block is not older than it. Where it is not known, the
/// current one serves until the drift from it would exceed its bound; from then on a block can be
/// valid only if the next origin is later than the block, which has to be known. In recover mode
/// the current one serves only when there is no other.
pub(crate) fn choose_origin(
    rollup: &RollupConfig,
    head: &L2BlockRef,
    current: &L1BlockRef,
    next: NextOrigin,
    recover: bool,
) -> Result<Origin, OriginError> {
    if head.l1_origin.hash != current.hash {
        return Err(OriginError::Invalid);
    }
    let time = head.timestamp + rollup.block_time;
    match next {
        NextOrigin::Known(next) if next.parent_hash != current.hash => Err(OriginError::Orphaned),
        NextOrigin::Known(next) if time >= next.timestamp => Ok(Origin::Next),
        NextOrigin::Known(_) => Ok(Origin::Current),
        NextOrigin::Unknown if recover => Err(OriginError::NextRequired),
        NextOrigin::Unknown | NextOrigin::Unconfirmed => {
            if exceeds_drift(rollup, time, current.timestamp) {
                Err(OriginError::NextRequired)
            } else {
                Ok(Origin::Current)
            }
        }
    }
}

/// Whether a block of that time is so far ahead of its origin that it can hold deposits only.
pub(crate) fn exceeds_drift(rollup: &RollupConfig, time: u64, origin_time: u64) -> bool {
    time > origin_time.saturating_add(rollup.max_sequencer_drift(origin_time))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_chain::rollup;
    use alloy_eips::BlockNumHash;
    use alloy_primitives::B256;

    /// Block time 2 s, drift 1,800 s.
    fn choose(
        head_time: u64,
        current_time: u64,
        next: NextOrigin,
        recover: bool,
    ) -> Result<Origin, OriginError> {
        let current = l1(10, current_time);
        let head = L2BlockRef {
            timestamp: head_time,
            l1_origin: BlockNumHash::new(10, current.hash),
            ..L2BlockRef::default()
        };
        choose_origin(&rollup(), &head, &current, next, recover)
    }

    fn l1(number: u8, timestamp: u64) -> L1BlockRef {
        L1BlockRef {
            hash: B256::repeat_byte(number),
            number: number.into(),
            parent_hash: B256::repeat_byte(number - 1),
            timestamp,
        }
    }

    #[test]
    fn the_rules_as_a_table() {
        use NextOrigin::{Known, Unconfirmed, Unknown};
        let required = Err(OriginError::NextRequired);
        let (current, next) = (Ok(Origin::Current), Ok(Origin::Next));
        // Origin at 1,000; head time, what is known of the next, ordinary and in recover mode.
        let cases = [
            // The next is taken as soon as the block is not older than it.
            (1_008, Known(l1(11, 1_012)), current, current),
            (1_009, Known(l1(11, 1_012)), current, current),
            (1_010, Known(l1(11, 1_012)), next, next),
            (1_011, Known(l1(11, 1_012)), next, next),
            (5_000, Known(l1(11, 1_012)), next, next),
            // Without it the current one serves up to the drift.
            (1_000, Unknown, current, required),
            (1_000, Unconfirmed, current, current),
            (2_797, Unconfirmed, current, current),
            (2_798, Unknown, current, required),
            (2_798, Unconfirmed, current, current),
            // A block at 2,801 is one second too far ahead.
            (2_799, Unknown, required, required),
            (2_799, Unconfirmed, required, required),
            // Unless the next origin is known to be later still: then it goes on without users.
            (2_799, Known(l1(11, 2_802)), current, current),
            (9_000, Known(l1(11, 9_003)), current, current),
        ];
        for (head, known, ordinary, recovering) in cases {
            assert_eq!(choose(head, 1_000, known, false), ordinary, "{head} {known:?}");
            assert_eq!(choose(head, 1_000, known, true), recovering, "{head} {known:?}");
        }
    }

    #[test]
    fn reorgs_are_noticed() {
        let orphan = L1BlockRef { parent_hash: B256::ZERO, ..l1(11, 1_001) };
        let error = choose(1_000, 1_000, NextOrigin::Known(orphan), false);
        assert_eq!(error, Err(OriginError::Orphaned));
        let head = L2BlockRef::default();
        let error = choose_origin(&rollup(), &head, &l1(10, 0), NextOrigin::Unknown, false);
        assert_eq!(error, Err(OriginError::Invalid));
    }

    #[test]
    fn drift_is_a_constant_from_fjord_on() {
        let mut rollup = rollup();
        rollup.max_sequencer_drift = 600;
        assert!(!exceeds_drift(&rollup, 2_800, 1_000));
        assert!(exceeds_drift(&rollup, 2_801, 1_000));
        // By the time of the origin.
        rollup.fjord_time = Some(1_001);
        assert!(exceeds_drift(&rollup, 1_601, 1_000));
        assert!(!exceeds_drift(&rollup, 2_801, 1_001));
    }
}
