//! Settings of the sequencer.

use alloy_op_hardforks::OpHardfork;
use alloy_primitives::Bytes;
use ascribe_l1::BlobSchedule;
use std::{collections::HashMap, time::Duration};

/// `--sequencer.l1-confs`
pub(crate) const L1_CONFS: u64 = 4;
/// `--sequencer.sealing-duration`
pub(crate) const SEALING_DURATION: Duration = Duration::from_millis(50);

/// Settings of the sequencer. Names and defaults are those of op-node's `--sequencer.*` flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SequencerConfig {
    /// Whether this node can make blocks at all (`--sequencer.enabled`).
    pub enabled: bool,
    /// Waits for `admin_startSequencer` before making any (`--sequencer.stopped`).
    pub stopped: bool,
    /// How many L1 blocks an L1 block must lie below the head to become an origin
    /// (`--sequencer.l1-confs`).
    pub l1_confs: u64,
    /// How many blocks the head may be ahead of the safe head before the sequencer waits; 0 is
    /// without bound (`--sequencer.max-safe-lag`).
    pub max_safe_lag: u64,
    /// Makes blocks without transactions from the pool, each with the next L1 origin as soon as the
    /// rules allow, until the origins have caught up with L1 (`--sequencer.recover`).
    pub recover: bool,
    /// How long before a block's time it is sealed (`--sequencer.sealing-duration`).
    pub sealing_duration: Duration,
    /// Blob parameters of the L1; by default those of its chain id, or Prague's if that is not a
    /// public chain (op-node's `--rollup.l1-chain-config`).
    pub l1_blobs: Option<BlobSchedule>,
    /// Deposits of blocks that activate a fork after genesis.
    pub upgrades: HashMap<OpHardfork, UpgradeDeposits>,
}

impl Default for SequencerConfig {
    fn default() -> Self {
        Self {
            enabled: true,
            stopped: false,
            l1_confs: L1_CONFS,
            max_safe_lag: 0,
            recover: false,
            sealing_duration: SEALING_DURATION,
            l1_blobs: None,
            upgrades: HashMap::new(),
        }
    }
}

/// What the block that activates a fork executes before anything else but the deposits of L1.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct UpgradeDeposits {
    /// EIP-2718 encodings in order.
    pub transactions: Vec<Bytes>,
    /// Gas that the block has for them beyond its limit (from Karst on).
    pub gas: u64,
}
