//! The loop that makes blocks.
//!
//! One action at a time: start a block, seal it, make it the head. Each sets when the next is due,
//! or that none is until something happens: a command, a change of the chain, news of the L1.

mod commands;

use crate::{
    AdminError, AttributesBuilder, SequencerError,
    clock::Clock,
    handle::Command,
    metrics,
    origin::{Origin, OriginError, choose_origin},
    ports::{ChainError, L1Source, L2Block, L2Chain},
    scout::{Finding, Next, Origins},
    start::{StartError, find_start},
};
use alloy_eips::BlockNumHash;
use alloy_primitives::B256;
use alloy_rpc_types_engine::{ForkchoiceState, PayloadId};
use ascribe_chainspec::{L2BlockRef, RollupConfig};
use futures::{
    FutureExt, StreamExt,
    future::{self, BoxFuture},
};
use std::{
    sync::{Arc, atomic::AtomicBool},
    time::Duration,
};
use tokio::{
    sync::{mpsc, oneshot, watch},
    time::sleep,
};
use tokio_util::sync::CancellationToken;

/// How long to wait after trouble of the engine, or for the L1.
const BACKOFF: Duration = Duration::from_secs(1);
/// How long a block waits for the scout to look beyond an origin that is new. It needs this when
/// blocks are made up without pauses: they would leave the scout, and with it the origins, behind.
const SCOUT_PATIENCE: Duration = Duration::from_millis(200);
/// How long to wait for an engine that is syncing.
const SYNCING_BACKOFF: Duration = Duration::from_secs(30);

/// What does not change.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) rollup: Arc<RollupConfig>,
    pub(crate) builder: AttributesBuilder,
    pub(crate) sealing_duration: Duration,
    pub(crate) max_safe_lag: u64,
    pub(crate) recover: bool,
    pub(crate) start_active: bool,
}

/// A block that is being made.
#[derive(Debug)]
struct Job {
    id: PayloadId,
    parent: B256,
    started: Duration,
}

/// A block that was made and is not the head yet.
#[derive(Debug)]
struct Sealed {
    block: L2Block,
    started: Duration,
    sealing: Duration,
}

/// Which news of the L1 the next block waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Waiting {
    No,
    /// Whatever the scout finds, for a moment.
    ForScout,
    /// An origin without which there can be no block.
    ForL1,
}

/// A search for the block to go on from.
type Search = BoxFuture<'static, Result<L2Block, StartError>>;

pub(crate) struct Worker<S, C> {
    settings: Settings,
    l1: S,
    l2: C,
    clock: Clock,
    active: Arc<AtomicBool>,
    /// Origin of the head, for the scout.
    wanted: watch::Sender<BlockNumHash>,
    findings: watch::Receiver<Finding>,

    /// The block to build on, once the first search is over.
    head: Option<(L2Block, L2BlockRef)>,
    job: Option<Job>,
    sealed: Option<Sealed>,
    /// Callers of stop who wait for the sealed block to become the head.
    stopping: Vec<oneshot::Sender<Result<B256, AdminError>>>,
    /// When the next action is due, in time since 1970.
    next_action: Option<Duration>,
    waiting: Waiting,
    /// The newest origin for which a block has waited for the scout.
    waited_for: Option<B256>,
    /// The safe head is too far behind.
    stalled: bool,
    search: Option<Search>,
}

impl<S: L1Source, C: L2Chain> Worker<S, C> {
    pub(crate) fn new(
        settings: Settings,
        l1: S,
        l2: C,
        clock: Clock,
        active: Arc<AtomicBool>,
        wanted: watch::Sender<BlockNumHash>,
        findings: watch::Receiver<Finding>,
    ) -> Self {
        Self {
            settings,
            l1,
            l2,
            clock,
            active,
            wanted,
            findings,
            head: None,
            job: None,
            sealed: None,
            stopping: Vec::new(),
            next_action: None,
            waiting: Waiting::No,
            waited_for: None,
            stalled: false,
            search: None,
        }
    }

    pub(crate) async fn run(
        mut self,
        mut commands: mpsc::Receiver<Command>,
        shutdown: CancellationToken,
    ) -> Result<(), SequencerError> {
        let mut changes = self.l2.changes();
        self.set_active(self.settings.start_active);
        self.search = Some(self.search_start(Duration::ZERO));
        loop {
            let due = self.next_action;
            let clock = self.clock;
            tokio::select! {
                biased;
                () = shutdown.cancelled() => {
                    self.cancel_job().await;
                    self.set_active(false);
                    return Ok(());
                }
                Some(command) = commands.recv() => self.obey(command).await,
                Some(()) = changes.next() => self.on_change(),
                found = poll_search(&mut self.search) => {
                    self.search = None;
                    self.on_start(found).await?;
                }
                Ok(()) = self.findings.changed() => self.on_finding().await,
                () = async { clock.sleep_until(due.unwrap_or_default()).await },
                    if due.is_some() && self.search.is_none() => self.act().await?,
            }
        }
    }

    // === actions ===

    async fn act(&mut self) -> Result<(), SequencerError> {
        self.next_action = None;
        if !self.is_active() && self.sealed.is_none() {
            return Ok(());
        }
        if let Some(sealed) = self.sealed.take() {
            self.insert(sealed).await
        } else if let Some(job) = self.job.take() {
            self.seal(job).await
        } else {
            self.start_block().await
        }
    }

    async fn start_block(&mut self) -> Result<(), SequencerError> {
        let Some((head, head_ref)) = self.head.clone() else { return Ok(()) };
        let found = self.findings.borrow().of(&head_ref.l1_origin);
        let looked = found.as_ref().is_some_and(|it| !matches!(it.next, Next::Unknown));
        let origin = head_ref.l1_origin.hash;
        if !looked && self.waited_for.replace(origin) != Some(origin) {
            self.waiting = Waiting::ForScout;
            self.next_action = Some(self.clock.now() + SCOUT_PATIENCE);
            return Ok(());
        }
        let Some(Origins { current, next }) = found else {
            self.wait_for_l1(&head_ref);
            return Ok(());
        };
        let (rollup, recover) = (self.settings.rollup.clone(), self.settings.recover);
        let (at, known) = (current.block_ref(), next.origin());
        let (epoch, receipts) = match choose_origin(&rollup, &head_ref, &at, known, recover) {
            Ok(Origin::Current) => (current, None),
            Ok(Origin::Next) => match next {
                Next::Found { block, receipts } => (block, Some(receipts)),
                Next::Unknown | Next::Unconfirmed => return Ok(()),
            },
            Err(OriginError::NextRequired) => {
                self.wait_for_l1(&head_ref);
                return Ok(());
            }
            Err(error @ (OriginError::Orphaned | OriginError::Invalid)) => {
                metrics::inconsistent_l1_origin();
                self.reset(&error.to_string()).await;
                return Ok(());
            }
        };
        self.waiting = Waiting::No;

        let receipts = receipts.as_ref().map(|receipts| receipts.as_slice());
        let mut attributes = match self.settings.builder.prepare(&head, &epoch, receipts) {
            Ok(attributes) => attributes,
            Err(error) if error.is_reset() => {
                self.reset(&error.to_string()).await;
                return Ok(());
            }
            Err(error) => return Err(error.into()),
        };
        if recover {
            attributes.no_tx_pool = Some(true);
        }
        tracing::debug!(
            target: "ascribe::sequencer",
            number = head_ref.number + 1, parent = %head_ref.hash, origin = epoch.header.number,
            no_tx_pool = attributes.no_tx_pool, "Block started"
        );
        let started = self.clock.now();
        match self.l2.set_forkchoice(self.forkchoice(head_ref.id()), Some(attributes)).await {
            Ok(Some(id)) => {
                self.job = Some(Job { id, parent: head_ref.hash, started });
                let now = self.clock.now();
                let seal_at =
                    self.due_time(&head_ref).saturating_sub(self.settings.sealing_duration);
                self.next_action = Some(seal_at.max(now));
            }
            Ok(None) => self.back_off("no payload id", BACKOFF),
            Err(error) => self.on_error(error).await?,
        }
        Ok(())
    }

    async fn seal(&mut self, job: Job) -> Result<(), SequencerError> {
        let start = self.clock.now();
        match self.l2.seal(job.id).await {
            Ok(block) => {
                let sealing = self.clock.now().saturating_sub(start);
                self.insert(Sealed { block, started: job.started, sealing }).await
            }
            Err(ChainError::Stopped) => Err(SequencerError::EngineStopped),
            // Whatever else it is, another block has to be started.
            Err(error) => {
                self.start_afresh(&error.to_string());
                Ok(())
            }
        }
    }

    async fn insert(&mut self, sealed: Sealed) -> Result<(), SequencerError> {
        let header = &sealed.block.header;
        let id = BlockNumHash::new(header.number, header.hash());
        if self.head.as_ref().is_none_or(|(_, head)| head.hash != header.parent_hash) {
            tracing::warn!(target: "ascribe::sequencer", hash = %id.hash, "The chain moved past a sealed block");
            self.plan();
            self.finish_stop().await;
            return Ok(());
        }
        match self.l2.set_forkchoice(self.forkchoice(id), None).await {
            Ok(_) => {
                let block_ref = match sealed.block.block_ref(&self.settings.rollup) {
                    Ok(block_ref) => block_ref,
                    Err(error) => {
                        self.start_afresh(&error.to_string());
                        return Ok(());
                    }
                };
                let took = self.clock.now().saturating_sub(sealed.started).as_secs_f64();
                let block_time = self.settings.rollup.block_time as f64;
                metrics::sequenced(sealed.block.transactions, took - block_time, sealed.sealing);
                tracing::info!(
                    target: "ascribe::sequencer",
                    number = id.number, hash = %id.hash, origin = block_ref.l1_origin.number,
                    transactions = sealed.block.transactions, "Block sequenced"
                );
                self.set_head(sealed.block, block_ref);
                self.plan();
                self.finish_stop().await;
            }
            // The block is there; only the head did not move.
            Err(ChainError::Temporary(reason)) => {
                self.sealed = Some(sealed);
                self.back_off(&reason, BACKOFF);
            }
            Err(ChainError::Syncing) => {
                self.sealed = Some(sealed);
                self.back_off("engine is syncing", SYNCING_BACKOFF);
            }
            Err(error) => {
                self.on_error(error).await?;
                self.finish_stop().await;
            }
        }
        Ok(())
    }

    /// The engine did not start or insert a block.
    async fn on_error(&mut self, error: ChainError) -> Result<(), SequencerError> {
        match error {
            ChainError::Stopped => return Err(SequencerError::EngineStopped),
            ChainError::Temporary(reason) => self.back_off(&reason, BACKOFF),
            ChainError::Syncing => self.back_off("engine is syncing", SYNCING_BACKOFF),
            ChainError::Inconsistent(reason) => self.reset(&reason).await,
            ChainError::Invalid(reason) => self.start_afresh(&reason),
            ChainError::UnknownPayload => self.start_afresh("unknown payload"),
        }
        Ok(())
    }

    // === when to act next ===

    /// When the block after this one is due, since 1970.
    fn due_time(&self, head: &L2BlockRef) -> Duration {
        Duration::from_secs(head.timestamp + self.settings.rollup.block_time)
    }

    /// Plans the next block: one block time before it is due, or at once if that has passed.
    fn plan(&mut self) {
        let Some((_, head)) = &self.head else { return };
        self.waiting = Waiting::No;
        let block_time = Duration::from_secs(self.settings.rollup.block_time);
        let start = self.due_time(head).saturating_sub(block_time).max(self.clock.now());
        self.next_action = self.is_active().then_some(start);
        self.check_lag();
    }

    /// Waits while the safe head is too far behind, and goes on when it has caught up.
    fn check_lag(&mut self) {
        let Some((_, head)) = &self.head else { return };
        let lag = self.settings.max_safe_lag;
        let safe =
            self.l2.labels().safe.map_or(self.settings.rollup.genesis.l2.number, |it| it.number);
        if lag > 0 && safe.saturating_add(lag) <= head.number {
            if !self.stalled {
                tracing::warn!(
                    target: "ascribe::sequencer",
                    head = head.number, safe, max_safe_lag = lag, "Safe head too far behind, waiting"
                );
            }
            self.stalled = true;
            self.next_action = None;
        } else if self.stalled {
            tracing::info!(target: "ascribe::sequencer", head = head.number, safe, "Safe head caught up");
            self.stalled = false;
            self.next_action = self.is_active().then(|| self.clock.now());
        }
    }

    fn back_off(&mut self, reason: &str, pause: Duration) {
        metrics::sequencing_error();
        tracing::error!(target: "ascribe::sequencer", reason, ?pause, "Engine failed, waiting");
        self.next_action = Some(self.clock.now() + pause);
    }

    /// Gives up a block and starts another after one block time.
    fn start_afresh(&mut self, reason: &str) {
        metrics::sequencing_error();
        tracing::error!(target: "ascribe::sequencer", reason, "Block given up");
        self.job = None;
        self.sealed = None;
        let pause = Duration::from_secs(self.settings.rollup.block_time);
        self.next_action = self.is_active().then(|| self.clock.now() + pause);
    }

    /// Without news of the L1 there can be no block. They wake the sequencer; it looks again in any
    /// case.
    fn wait_for_l1(&mut self, head: &L2BlockRef) {
        if self.waiting != Waiting::ForL1 {
            tracing::warn!(
                target: "ascribe::sequencer",
                head = head.number, origin = head.l1_origin.number, "Waiting for the next L1 origin"
            );
        }
        self.waiting = Waiting::ForL1;
        self.next_action = Some(self.clock.now() + BACKOFF);
    }

    async fn on_finding(&mut self) {
        let orphaned = match &*self.findings.borrow() {
            Finding::Orphaned(origin) => Some(*origin),
            _ => None,
        };
        let origin = self.head.as_ref().map(|(_, head)| head.l1_origin);
        if orphaned.is_some() && orphaned == origin && self.search.is_none() {
            metrics::inconsistent_l1_origin();
            self.reset("the head's L1 origin is no longer canonical").await;
        } else if self.waiting != Waiting::No && self.is_active() && !self.stalled {
            self.next_action = Some(self.clock.now());
        }
    }

    // === the head ===

    fn set_head(&mut self, block: L2Block, head: L2BlockRef) {
        metrics::head(&head, self.clock.now());
        self.wanted
            .send_if_modified(|wanted| std::mem::replace(wanted, head.l1_origin) != head.l1_origin);
        self.head = Some((block, head));
    }

    /// The chain changed: by this sequencer, as it knows, or by somebody else.
    fn on_change(&mut self) {
        let Some((_, known)) = &self.head else { return };
        let known = known.hash;
        let head = match self.l2.head() {
            Ok(head) if head.header.hash() == known => return self.check_lag(),
            Ok(head) => head,
            Err(error) => {
                tracing::error!(target: "ascribe::sequencer", %error, "Head not readable");
                return;
            }
        };
        let hash = head.header.hash();
        let head_ref = match head.block_ref(&self.settings.rollup) {
            Ok(head_ref) => head_ref,
            Err(error) => {
                tracing::error!(target: "ascribe::sequencer", %error, %hash, "Head is no rollup block");
                return;
            }
        };
        tracing::info!(target: "ascribe::sequencer", number = head_ref.number, %hash, "Head set by others");
        if self.job.as_ref().is_some_and(|job| job.parent != hash) {
            self.job = None;
        }
        if self.sealed.as_ref().is_some_and(|sealed| sealed.block.header.parent_hash != hash) {
            self.sealed = None;
        }
        self.set_head(head, head_ref);
        self.plan();
    }

    /// Head and labels as the engine shall have them. Labels stay as they are; until there are any,
    /// they are the genesis; none may be above the head.
    fn forkchoice(&self, head: BlockNumHash) -> ForkchoiceState {
        let genesis = self.settings.rollup.genesis.l2.into();
        let labels = self.l2.labels();
        let not_above = |label: Option<BlockNumHash>| match label.unwrap_or(genesis) {
            label if label.number > head.number => head.hash,
            label => label.hash,
        };
        ForkchoiceState {
            head_block_hash: head.hash,
            safe_block_hash: not_above(labels.safe),
            finalized_block_hash: not_above(labels.finalized),
        }
    }

    // === starting over ===

    /// Drops all work and searches the block to go on from.
    async fn reset(&mut self, reason: &str) {
        metrics::reset();
        tracing::error!(target: "ascribe::sequencer", reason, "Starting over");
        self.cancel_job().await;
        self.sealed = None;
        self.stalled = false;
        self.waiting = Waiting::No;
        self.next_action = None;
        self.search = Some(self.search_start(Duration::ZERO));
        self.finish_stop().await;
    }

    fn search_start(&self, pause: Duration) -> Search {
        let (rollup, l1, l2) = (self.settings.rollup.clone(), self.l1.clone(), self.l2.clone());
        async move {
            sleep(pause).await;
            find_start(&rollup, &l1, &l2).await
        }
        .boxed()
    }

    async fn on_start(&mut self, found: Result<L2Block, StartError>) -> Result<(), SequencerError> {
        let block = match found {
            Ok(block) => block,
            Err(StartError::Fatal(error)) => return Err(error),
            Err(StartError::Temporary(reason)) => {
                tracing::warn!(target: "ascribe::sequencer", reason, "No block to start from yet");
                self.search = Some(self.search_start(BACKOFF));
                return Ok(());
            }
        };
        let head = block
            .block_ref(&self.settings.rollup)
            .map_err(|error| SequencerError::Attributes(error.into()))?;
        match self.l2.set_forkchoice(self.forkchoice(head.id()), None).await {
            Ok(_) => {}
            Err(ChainError::Stopped) => return Err(SequencerError::EngineStopped),
            Err(error) => {
                tracing::warn!(target: "ascribe::sequencer", %error, "Start not set");
                self.search = Some(self.search_start(BACKOFF));
                return Ok(());
            }
        }
        tracing::info!(
            target: "ascribe::sequencer",
            number = head.number, hash = %head.hash, origin = head.l1_origin.number, "Starting from"
        );
        // After a reset a block time passes first, so that a loop of resets does not run hot.
        let again = self.head.is_some();
        self.set_head(block, head);
        if again {
            let pause = Duration::from_secs(self.settings.rollup.block_time);
            self.next_action = self.is_active().then(|| self.clock.now() + pause);
            self.check_lag();
        } else {
            for fork in self.settings.builder.missing_upgrades(head.timestamp) {
                tracing::warn!(
                    target: "ascribe::sequencer",
                    fork = fork.name(), "Upgrade deposits not known, blocks will end at this fork"
                );
            }
            self.plan();
        }
        self.finish_stop().await;
        Ok(())
    }

    /// Ends the making of a block that nobody wants any more.
    async fn cancel_job(&mut self) {
        if let Some(job) = self.job.take() {
            _ = self.l2.seal(job.id).await;
        }
    }
}

/// Waits for a search; for ever if there is none.
async fn poll_search(search: &mut Option<Search>) -> Result<L2Block, StartError> {
    match search {
        Some(search) => search.await,
        None => future::pending().await,
    }
}

#[cfg(test)]
mod tests;
