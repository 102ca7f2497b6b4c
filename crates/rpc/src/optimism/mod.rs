//! `optimism_`: what op-node answers, served by this node when it follows an L1 itself.

mod output;
mod status;

use std::{fmt, sync::Arc};

use alloy_primitives::B256;
use ascribe_chainspec::RollupConfig;
use futures::future::BoxFuture;

pub use output::OutputResponse;
pub use status::{SafeHeadResponse, SyncStatus};

use crate::{RpcContext, RpcError, hex::Hex, method::Registry};

/// Why the consensus side did not do what it was asked. The texts are op-node's.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ConsensusError {
    /// Which L2 block was safe at an L1 block is not recorded.
    #[error("safe head database not enabled")]
    SafeDbNotEnabled,
    /// It is recorded, and there is no such L1 block in it.
    #[error("not found")]
    NotFound,
    /// The sequencer's answer.
    #[error("{0}")]
    Sequencer(String),
}

impl From<ConsensusError> for RpcError {
    fn from(error: ConsensusError) -> Self {
        Self::server(error.to_string())
    }
}

/// What drives the chain from its L1: the sequencer, and the derivation.
pub trait ConsensusApi: fmt::Debug + Send + Sync {
    /// Where L1 and L2 stand; zeros where that is not known yet.
    fn sync_status(&self) -> SyncStatus;

    /// The L2 block that was safe when derivation had seen an L1 block.
    ///
    /// # Errors
    /// [`ConsensusError::SafeDbNotEnabled`] unless this is recorded.
    fn safe_head_at_l1_block(&self, _number: u64) -> Result<SafeHeadResponse, ConsensusError> {
        Err(ConsensusError::SafeDbNotEnabled)
    }

    /// Whether blocks are being made.
    fn sequencer_active(&self) -> bool;

    /// Starts making blocks on `head`, which must be the head.
    fn start_sequencer(&self, head: B256) -> BoxFuture<'_, Result<(), ConsensusError>>;

    /// Stops making blocks once the block in hand is the head, and tells the head.
    fn stop_sequencer(&self) -> BoxFuture<'_, Result<B256, ConsensusError>>;

    /// In recover mode the sequencer takes the next L1 origin as soon as it may, and no
    /// transactions of the pool.
    ///
    /// # Errors
    /// If this node does not sequence.
    fn set_recover_mode(&self, on: bool) -> BoxFuture<'_, Result<(), ConsensusError>>;

    /// Compares the chain with the L1 anew.
    fn reset(&self) -> BoxFuture<'_, Result<(), ConsensusError>>;
}

/// The consensus side of a node and the chain's rollup configuration.
#[derive(Clone, Debug)]
pub struct RollupNode {
    config: Arc<RollupConfig>,
    api: Arc<dyn ConsensusApi>,
}

impl RollupNode {
    /// `config` is what `optimism_rollupConfig` answers.
    pub const fn new(config: Arc<RollupConfig>, api: Arc<dyn ConsensusApi>) -> Self {
        Self { config, api }
    }

    /// The consensus side.
    pub fn api(&self) -> &Arc<dyn ConsensusApi> {
        &self.api
    }
}

/// Adds the namespace.
pub(crate) fn register(registry: &mut Registry, node: &RollupNode) {
    let rollup = node.clone();
    registry.light("optimism_rollupConfig", move |_, ()| Ok(rollup.config.clone()));
    let rollup = node.clone();
    registry.light("optimism_syncStatus", move |_, ()| Ok(rollup.api.sync_status()));
    let rollup = node.clone();
    registry.heavy(
        "optimism_outputAtBlock",
        move |context: &RpcContext, (Hex(number),): (Hex<u64>,)| {
            output::at(context, &rollup, number)
        },
    );
    let rollup = node.clone();
    registry.light("optimism_safeHeadAtL1Block", move |_, (Hex(number),): (Hex<u64>,)| {
        rollup.api.safe_head_at_l1_block(number).map_err(|error| match error {
            ConsensusError::NotFound => error.into(),
            other => RpcError::server(format!(
                "failed to get safe head at l1 block {number:#x}: {other}"
            )),
        })
    });
    registry.light("optimism_version", |_, ()| Ok(version()));
    // There is no interop here.
    registry.light("optimism_dependencySet", |_, ()| Err::<(), _>(RpcError::server("not found")));
}

/// Version and commit, as op-node writes them.
fn version() -> String {
    let commit = option_env!("ASCRIBE_COMMIT").and_then(|commit| commit.get(..8));
    format!("v{}-{}", env!("CARGO_PKG_VERSION"), commit.unwrap_or("unknown"))
}
