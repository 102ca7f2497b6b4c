//! What operators tell the worker.

use super::Worker;
use crate::{
    AdminError,
    handle::Command,
    metrics,
    ports::{L1Source, L2Chain},
};
use alloy_primitives::B256;
use std::sync::atomic::Ordering;

impl<S: L1Source, C: L2Chain> Worker<S, C> {
    pub(super) fn is_active(&self) -> bool {
        self.active.load(Ordering::Acquire)
    }

    pub(super) fn set_active(&self, active: bool) {
        metrics::active(active);
        self.active.store(active, Ordering::Release);
    }

    pub(super) async fn obey(&mut self, command: Command) {
        // Callers who went away do not want to know.
        match command {
            Command::Start { head, reply } => _ = reply.send(self.start(head)),
            Command::Stop { reply } => {
                if self.is_active() {
                    self.stopping.push(reply);
                    self.finish_stop().await;
                } else {
                    _ = reply.send(Err(AdminError::AlreadyStopped));
                }
            }
            Command::SetMaxSafeLag { blocks, reply } => {
                self.settings.max_safe_lag = blocks;
                self.check_lag();
                _ = reply.send(());
            }
            Command::SetRecover { recover, reply } => {
                self.settings.recover = recover;
                _ = reply.send(());
            }
            Command::Reset { reply } => {
                self.reset("requested").await;
                _ = reply.send(());
            }
        }
    }

    fn start(&mut self, received: B256) -> Result<(), AdminError> {
        if self.is_active() {
            return Err(AdminError::AlreadyStarted);
        }
        match &self.head {
            None => return Err(AdminError::NoPrestate(received)),
            Some((_, head)) if head.hash != received => {
                return Err(AdminError::HashMismatch { head: head.id(), received });
            }
            Some(_) => {}
        }
        tracing::info!(target: "ascribe::sequencer", head = %received, "Sequencer started");
        self.set_active(true);
        self.stalled = false;
        self.plan();
        Ok(())
    }

    /// Stops for those who asked for it, unless a sealed block has yet to become the head.
    pub(super) async fn finish_stop(&mut self) {
        if self.stopping.is_empty() || self.sealed.is_some() {
            return;
        }
        let Some((_, head)) = &self.head else { return };
        let hash = head.hash;
        self.set_active(false);
        self.next_action = None;
        self.stalled = false;
        self.cancel_job().await;
        tracing::info!(target: "ascribe::sequencer", head = %hash, "Sequencer stopped");
        // Whoever asked second finds it stopped.
        let mut answer = Ok(hash);
        for reply in self.stopping.drain(..) {
            _ = reply.send(answer);
            answer = Err(AdminError::AlreadyStopped);
        }
    }
}
