//! Building payloads, on a thread of its own: a sequencer builds most of the time, and the engine
//! must hear others meanwhile.

mod attempt;
mod attributes;
mod job;

pub(crate) use attempt::Attempts;
pub use attributes::payload_id;
pub(crate) use attributes::{BuildInput, check};
pub(crate) use job::{ForkchoiceReply, Job, Jobs};

use crate::{EngineError, config::BuilderConfig, maintain::PoolProgress};
use ascribe_txpool::PooledTx;
use crossbeam_channel::{Receiver, Sender, unbounded};
use job::Wish;
use std::{
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::broadcast::{self, error::TryRecvError};
use tracing::{debug, error, warn};

/// How long a job waits for the pool to hear of its parent.
const POOL_PATIENCE: Duration = Duration::from_secs(1);

/// How often a job looks up while it waits for the pool.
const SLICE: Duration = Duration::from_millis(5);

/// Attempts leave the cores to others for so many times as long as the last one took.
const REST: u32 = 2;

/// The thread that builds, and the jobs it has had.
#[derive(Debug)]
pub(crate) struct Builder {
    queue: Sender<Arc<Job>>,
    jobs: Arc<Jobs>,
    thread: Option<JoinHandle<()>>,
}

impl Builder {
    pub(crate) fn spawn(
        config: BuilderConfig,
        attempts: Attempts,
        pool_progress: Arc<PoolProgress>,
        jobs: Arc<Jobs>,
    ) -> Result<Self, EngineError> {
        let (queue, incoming) = unbounded();
        let worker = Worker { config, attempts, pool_progress };
        let thread = std::thread::Builder::new()
            .name("payload-builder".to_owned())
            .spawn(move || worker.run(&incoming))
            .map_err(|error| EngineError::Thread {
                thread: "payload-builder",
                reason: error.to_string(),
            })?;
        Ok(Self { queue, jobs, thread: Some(thread) })
    }

    pub(crate) const fn jobs(&self) -> &Arc<Jobs> {
        &self.jobs
    }

    /// Starts a job; every other one is cancelled.
    pub(crate) fn start(&self, job: Arc<Job>) {
        self.jobs.insert(job.clone());
        if let Err(error) = self.queue.send(job) {
            error!(target: "ascribe::payload", "The payload builder thread has ended");
            error.into_inner().end(None);
        }
    }

    /// Ends the thread; jobs end with what they have.
    pub(crate) fn stop(&mut self) {
        self.jobs.cancel_all();
        self.queue = unbounded().0;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!(target: "ascribe::payload", "The payload builder thread panicked");
        }
    }
}

#[derive(Debug)]
struct Worker {
    config: BuilderConfig,
    attempts: Attempts,
    pool_progress: Arc<PoolProgress>,
}

impl Worker {
    fn run(&self, queue: &Receiver<Arc<Job>>) {
        for job in queue {
            let result = self.build(&job);
            if let Err(error) = &result {
                debug!(
                    target: "ascribe::payload",
                    id = %job.id,
                    %error,
                    reason = error.reason(),
                    "Could not build a payload"
                );
            }
            job.end(result.err());
        }
    }

    /// Builds a payload and improves it until somebody fetches it, or nobody wants it any more.
    fn build(&self, job: &Job) -> Result<(), crate::ForkchoiceError> {
        let started = Instant::now();
        let Some(parent) = job.parent() else { return Ok(()) };
        // Also when it was cancelled meanwhile: whoever started it waits for an answer.
        job.offer(self.attempts.forced(job, &parent)?.candidate);
        if !job.input.use_pool {
            return Ok(());
        }
        let deadline = started + self.config.deadline;
        let at_parent = || self.pool_progress.wait_for(job.input.parent.hash(), SLICE);
        let patience = started + POOL_PATIENCE;
        while !at_parent() && job.wish() == Wish::Improve && Instant::now() < patience {}

        let base_fee = job.base_fee();
        let mut pending = self.attempts.pool.subscribe_pending();
        while !job.is_cancelled() && Instant::now() < deadline {
            let attempt_started = Instant::now();
            let mut lowest_tip = None;
            match self.attempts.with_pool(job, &parent) {
                Ok(Some(attempt)) => {
                    lowest_tip = attempt.lowest_tip;
                    job.offer(attempt.candidate);
                }
                Ok(None) => {}
                // There is a payload already, and a better one is a matter of luck now.
                Err(error) => {
                    warn!(
                        target: "ascribe::payload",
                        id = %job.id,
                        %error,
                        reason = error.reason(),
                        "Could not improve a payload"
                    );
                }
            }
            let rest = Instant::now() + attempt_started.elapsed() * REST;
            job.idle_until((attempt_started + self.config.interval).max(rest).min(deadline));
            while job.wish() == Wish::Improve && !may_improve(&mut pending, base_fee, lowest_tip) {
                if Instant::now() >= deadline {
                    return Ok(());
                }
                job.idle_until((Instant::now() + self.config.interval).min(deadline));
            }
            if job.wish() != Wish::Improve {
                return Ok(());
            }
            pending = pending.resubscribe();
        }
        Ok(())
    }
}

/// Whether the pool has got a transaction that could make the block better: any, or, if the block
/// is full, one with a tip above the lowest in it.
fn may_improve(
    pending: &mut broadcast::Receiver<Arc<PooledTx>>,
    base_fee: u64,
    lowest_tip: Option<u128>,
) -> bool {
    loop {
        match pending.try_recv() {
            Ok(tx) if tx.effective_tip(base_fee) > lowest_tip => return true,
            Ok(_) => {}
            Err(TryRecvError::Lagged(_)) => return true,
            Err(TryRecvError::Empty | TryRecvError::Closed) => return false,
        }
    }
}
