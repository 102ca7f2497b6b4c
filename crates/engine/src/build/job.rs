//! One payload being built, as the builder and those who wait for it share it.

use super::attributes::BuildInput;
use crate::{BuiltPayload, EngineError, ForkchoiceError, StateView, block::MemoryBlock};
use alloy_primitives::U256;
use alloy_rpc_types_engine::{ForkchoiceUpdated, PayloadId};
use parking_lot::{Condvar, Mutex, MutexGuard};
use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU8, Ordering},
    },
    time::Instant,
};
use tokio::sync::oneshot;

/// Where the answer to a fork choice update goes.
pub(crate) type ForkchoiceReply = oneshot::Sender<Result<ForkchoiceUpdated, ForkchoiceError>>;

/// A sealed block that is the payload unless a better one comes.
#[derive(Debug)]
pub(crate) struct Candidate {
    pub(crate) block: Arc<MemoryBlock>,
    pub(crate) fees: U256,
    pub(crate) started: Instant,
    pub(crate) sealed: Instant,
}

impl Candidate {
    fn is_better_than(&self, other: &Self) -> bool {
        let value =
            |candidate: &Self| (candidate.fees, candidate.block.block().body().transactions.len());
        value(self) > value(other)
    }

    fn payload(&self) -> BuiltPayload {
        let executed = self.block.executed();
        BuiltPayload {
            block: executed.block.clone(),
            receipts: executed.receipts.clone(),
            fees: self.fees,
            build_time: self.sealed - self.started,
        }
    }
}

/// What others want of a job. Only ever goes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
pub(crate) enum Wish {
    /// To go on.
    Improve,
    /// To end with what it has now, transactions executed so far included.
    Resolve,
    /// To end at once: nobody wants a better payload.
    Cancel,
}

/// A job. Its first candidate, of the forced transactions alone, answers the fork choice update.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) id: PayloadId,
    pub(crate) input: BuildInput,
    wish: AtomicU8,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug)]
struct State {
    /// The parent's state; goes when the job ends, and the database snapshot with it.
    parent: Option<StateView>,
    best: Option<Candidate>,
    /// Fork choice updates to answer when there is a first candidate, or none can be.
    updates: Vec<(ForkchoiceUpdated, ForkchoiceReply)>,
    /// Those who wait for the end.
    waiting: Vec<oneshot::Sender<()>>,
    /// No attempt is under way, and none will be unless something changes.
    idle: bool,
    ended: bool,
}

impl Job {
    pub(crate) fn new(id: PayloadId, input: BuildInput, parent: StateView) -> Self {
        Self {
            id,
            input,
            wish: AtomicU8::new(Wish::Improve as u8),
            state: Mutex::new(State {
                parent: Some(parent),
                best: None,
                updates: Vec::new(),
                waiting: Vec::new(),
                idle: false,
                ended: false,
            }),
            changed: Condvar::new(),
        }
    }

    pub(crate) fn wish(&self) -> Wish {
        match self.wish.load(Ordering::Acquire) {
            0 => Wish::Improve,
            1 => Wish::Resolve,
            _ => Wish::Cancel,
        }
    }

    fn raise(&self, wish: Wish) {
        self.wish.fetch_max(wish as u8, Ordering::AcqRel);
        // Taking the lock makes sure that whoever looked at the wish before is waiting by now.
        drop(self.state.lock());
        self.changed.notify_all();
    }

    /// Nobody needs a better payload than there is.
    pub(crate) fn cancel(&self) {
        self.raise(Wish::Cancel);
    }

    pub(crate) fn is_cancelled(&self) -> bool {
        self.wish() == Wish::Cancel
    }

    /// Whether the job does, or did, what a new one would do: it was neither cancelled, nor did it
    /// fail before it had a payload.
    pub(crate) fn is_good(&self) -> bool {
        let state = self.state.lock();
        !self.is_cancelled() && (state.best.is_some() || !state.ended)
    }

    /// The parent's state, while the job runs.
    pub(crate) fn parent(&self) -> Option<StateView> {
        self.state.lock().parent.clone()
    }

    /// Answers a fork choice update when the forced transactions are executed.
    pub(crate) fn answer(&self, update: ForkchoiceUpdated, reply: ForkchoiceReply) {
        let mut state = self.state.lock();
        if state.best.is_some() {
            // An error says that the caller has gone.
            let _ = reply.send(Ok(update));
        } else if state.ended {
            let _ = reply.send(Err(EngineError::Stopped.into()));
        } else {
            state.updates.push((update, reply));
        }
    }

    /// Base fee of the block, in wei; known from the first candidate on.
    pub(crate) fn base_fee(&self) -> u64 {
        let state = self.state.lock();
        let best = state.best.as_ref();
        best.and_then(|best| best.block.header().base_fee_per_gas).unwrap_or_default()
    }

    /// Offers a sealed block. Waiting fork choice updates are answered.
    pub(crate) fn offer(&self, candidate: Candidate) {
        let mut state = self.state.lock();
        for (update, reply) in state.updates.drain(..) {
            let _ = reply.send(Ok(update));
        }
        if state.best.as_ref().is_none_or(|best| candidate.is_better_than(best)) {
            state.best = Some(candidate);
        }
    }

    /// Ends the job. With an error, waiting fork choice updates are refused by it.
    pub(crate) fn end(&self, error: Option<ForkchoiceError>) {
        let mut state = self.state.lock();
        state.ended = true;
        state.parent = None;
        let error = error.unwrap_or_else(|| EngineError::Stopped.into());
        for (_, reply) in state.updates.drain(..) {
            let _ = reply.send(Err(error.clone()));
        }
        for waiting in state.waiting.drain(..) {
            let _ = waiting.send(());
        }
    }

    /// Waits for something to change, or for `deadline`. While the job waits, its payload can be
    /// had at once.
    pub(crate) fn idle_until(&self, deadline: Instant) {
        let mut state = self.state.lock();
        state.idle = true;
        while self.wish() == Wish::Improve {
            if self.changed.wait_until(&mut state, deadline).timed_out() {
                break;
            }
        }
        // Who resolved the job while it was idle has taken the best and gone.
        state.idle = false;
    }

    /// The payload, once the job has ended with it. If an attempt is under way, it is cut short.
    pub(crate) async fn resolve(&self) -> Option<(BuiltPayload, Arc<MemoryBlock>)> {
        let waiting = {
            let mut state = self.state.lock();
            self.wish.fetch_max(Wish::Resolve as u8, Ordering::AcqRel);
            self.changed.notify_all();
            if state.idle || state.ended {
                return best(&state);
            }
            let (sender, receiver) = oneshot::channel();
            state.waiting.push(sender);
            receiver
        };
        // An error says that the builder has gone; what there is stays.
        let _ = waiting.await;
        best(&self.state.lock())
    }
}

fn best(state: &MutexGuard<'_, State>) -> Option<(BuiltPayload, Arc<MemoryBlock>)> {
    state.best.as_ref().map(|best| (best.payload(), best.block.clone()))
}

/// The newest jobs, by id.
#[derive(Debug)]
pub(crate) struct Jobs {
    jobs: Mutex<VecDeque<Arc<Job>>>,
    max: usize,
}

impl Jobs {
    pub(crate) const fn new(max: usize) -> Self {
        Self { jobs: Mutex::new(VecDeque::new()), max }
    }

    pub(crate) fn get(&self, id: PayloadId) -> Option<Arc<Job>> {
        self.jobs.lock().iter().find(|job| job.id == id).cloned()
    }

    /// Takes in a job and cancels all others.
    pub(crate) fn insert(&self, job: Arc<Job>) {
        let mut jobs = self.jobs.lock();
        jobs.retain(|other| other.id != job.id);
        for other in jobs.iter() {
            other.cancel();
        }
        jobs.push_front(job);
        jobs.truncate(self.max.max(1));
    }

    /// Cancels the jobs on other parents than `head`.
    pub(crate) fn cancel_others(&self, head: alloy_primitives::B256) {
        for job in self.jobs.lock().iter().filter(|job| job.input.parent.hash() != head) {
            job.cancel();
        }
    }

    pub(crate) fn cancel_all(&self) {
        for job in self.jobs.lock().iter() {
            job.cancel();
        }
    }
}
