//! The sequencer as `admin_` methods see it.

use crate::AdminError;
use alloy_primitives::B256;
use std::sync::{
    Arc,
    atomic::{AtomicBool, Ordering},
};
use tokio::sync::{mpsc, oneshot};

/// What the sequencer can be told.
#[derive(Debug)]
pub(crate) enum Command {
    Start { head: B256, reply: oneshot::Sender<Result<(), AdminError>> },
    Stop { reply: oneshot::Sender<Result<B256, AdminError>> },
    SetMaxSafeLag { blocks: u64, reply: oneshot::Sender<()> },
    SetRecover { recover: bool, reply: oneshot::Sender<()> },
    Reset { reply: oneshot::Sender<()> },
}

/// Starts and stops a [`Sequencer`](crate::Sequencer). Cheap to clone.
#[derive(Debug, Clone)]
pub struct SequencerHandle {
    pub(crate) enabled: bool,
    pub(crate) active: Arc<AtomicBool>,
    pub(crate) commands: mpsc::Sender<Command>,
}

impl SequencerHandle {
    /// `admin_startSequencer`: makes blocks on the head, which must be the given one.
    ///
    /// # Errors
    /// If the sequencer is not enabled, runs already, or the head is another.
    pub async fn start(&self, head: B256) -> Result<(), AdminError> {
        self.ask(|reply| Command::Start { head, reply }).await?
    }

    /// `admin_stopSequencer`: makes no more blocks and returns the head. A block that was sealed
    /// becomes the head first.
    ///
    /// # Errors
    /// If the sequencer is not enabled or does not run.
    pub async fn stop(&self) -> Result<B256, AdminError> {
        self.ask(|reply| Command::Stop { reply }).await?
    }

    /// Whether this node can make blocks at all.
    pub const fn enabled(&self) -> bool {
        self.enabled
    }

    /// `admin_sequencerActive`.
    pub fn active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    /// How many blocks the head may be ahead of the safe head; 0 is without bound.
    pub async fn set_max_safe_lag(&self, blocks: u64) -> Result<(), AdminError> {
        self.ask(|reply| Command::SetMaxSafeLag { blocks, reply }).await
    }

    /// `admin_setRecoverMode`.
    pub async fn set_recover_mode(&self, recover: bool) -> Result<(), AdminError> {
        self.ask(|reply| Command::SetRecover { recover, reply }).await
    }

    /// Compares the chain with the L1 anew, as after an L1 reorg.
    pub async fn reset(&self) -> Result<(), AdminError> {
        self.ask(|reply| Command::Reset { reply }).await
    }

    async fn ask<T>(
        &self,
        command: impl FnOnce(oneshot::Sender<T>) -> Command,
    ) -> Result<T, AdminError> {
        if !self.enabled {
            return Err(AdminError::NotEnabled);
        }
        let (reply, answer) = oneshot::channel();
        self.commands.send(command(reply)).await.map_err(|_| AdminError::Closed)?;
        answer.await.map_err(|_| AdminError::Closed)
    }
}
