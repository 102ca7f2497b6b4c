//! The sequencer as the node runs it.

use crate::{
    AttributesBuilder, EngineChain, SequencerConfig, SequencerError, SequencerHandle,
    clock::Clock,
    metrics,
    ports::{L1Source, L2Chain},
    scout::{Finding, Scout},
    worker::{Settings, Worker},
};
use ascribe_chainspec::RollupConfig;
use ascribe_l1::L1Client;
use futures::{FutureExt, StreamExt, future};
use std::sync::{Arc, atomic::AtomicBool};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

/// Commands that may wait.
const COMMANDS: usize = 16;

/// Makes blocks: one every block time, each on an L1 origin that the rules allow.
#[derive(Debug)]
pub struct Sequencer<S = L1Client, C = EngineChain> {
    config: SequencerConfig,
    rollup: Arc<RollupConfig>,
    l1: S,
    l2: C,
    handle: SequencerHandle,
    commands: mpsc::Receiver<crate::handle::Command>,
    clock: Clock,
}

impl<S: L1Source, C: L2Chain> Sequencer<S, C> {
    /// A sequencer of a rollup, and the handle to control it. Nothing happens before
    /// [`run`](Self::run).
    ///
    /// # Errors
    /// If the rollup config contradicts itself.
    pub fn new(
        config: SequencerConfig,
        rollup: Arc<RollupConfig>,
        l1: S,
        l2: C,
    ) -> Result<(Self, SequencerHandle), SequencerError> {
        rollup.check().map_err(Arc::new)?;
        let (sender, commands) = mpsc::channel(COMMANDS);
        let handle = SequencerHandle {
            enabled: config.enabled,
            active: Arc::new(AtomicBool::new(false)),
            commands: sender,
        };
        let clock = Clock::System;
        let sequencer = Self { config, rollup, l1, l2, handle: handle.clone(), commands, clock };
        Ok((sequencer, handle))
    }

    #[cfg(test)]
    pub(crate) fn with_clock(self, clock: Clock) -> Self {
        Self { clock, ..self }
    }

    /// Follows the L1 and makes blocks until the shutdown, and returns then without waiting for a
    /// block that is being made. A sequencer that is not enabled follows the L1 only.
    ///
    /// # Errors
    /// If there is nothing to build on, ever. What may pass is waited for and logged.
    pub async fn run(self, shutdown: CancellationToken) -> Result<(), SequencerError> {
        let Self { config, rollup, l1, l2, handle, commands, clock } = self;
        let follow = l1.follow_heads().then(|()| future::pending());
        let report = watch_heads(&l1);
        if !config.enabled {
            return tokio::select! {
                () = follow => Ok(()),
                () = report => Ok(()),
                () = shutdown.cancelled() => Ok(()),
            };
        }
        let (wanted, wants) = watch::channel(rollup.genesis.l1.into());
        let found = watch::Sender::new(Finding::Nothing);
        let findings = found.subscribe();
        let scout = Scout { l1: l1.clone(), confs: config.l1_confs };
        let settings = Settings {
            builder: AttributesBuilder::new(rollup.clone(), &config),
            rollup,
            sealing_duration: config.sealing_duration,
            max_safe_lag: config.max_safe_lag,
            recover: config.recover,
            start_active: !config.stopped,
        };
        let worker = Worker::new(settings, l1.clone(), l2, clock, handle.active, wanted, findings);
        tokio::select! {
            result = worker.run(commands, shutdown) => result,
            () = follow => Ok(()),
            () = report => Ok(()),
            () = scout.run(wants, found).then(|()| future::pending()) => Ok(()),
        }
    }
}

/// Shows the L1's head, for ever.
async fn watch_heads<S: L1Source>(l1: &S) {
    let heads = tokio_stream::wrappers::WatchStream::new(l1.heads());
    heads
        .for_each(|heads| {
            heads.latest.iter().for_each(metrics::l1_head);
            future::ready(())
        })
        .await;
    future::pending().await
}
