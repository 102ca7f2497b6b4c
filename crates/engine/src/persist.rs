//! Writing blocks to disk beside everything else.

use crate::{
    EngineError,
    stats::{Counters, Stage},
};
use ascribe_storage::{ExecutedBlock, StorageError};
use crossbeam_channel::{Receiver, Sender, bounded};
use std::{
    sync::Arc,
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tracing::{error, info};

/// Blocks written in one batch at most; bounds the memory of a batch.
const MAX_BATCH: usize = 64;

/// After a failed write the next one is tried no sooner.
const RETRY: Duration = Duration::from_secs(2);

/// The thread that writes, and what became of what it was given. One batch at a time.
#[derive(Debug)]
pub(crate) struct Persistence {
    batches: Sender<Vec<ExecutedBlock>>,
    done: Receiver<Result<(), StorageError>>,
    thread: Option<JoinHandle<()>>,
    in_flight: bool,
    failure: Option<Failure>,
}

#[derive(Debug)]
struct Failure {
    error: Arc<StorageError>,
    since: Instant,
}

impl Persistence {
    /// Starts the thread, which writes batches by `append`.
    pub(crate) fn spawn(
        append: impl Fn(&[ExecutedBlock]) -> Result<(), StorageError> + Send + 'static,
        counters: Arc<Counters>,
    ) -> Result<Self, EngineError> {
        let (batches, incoming) = bounded::<Vec<ExecutedBlock>>(1);
        let (outgoing, done) = bounded(1);
        let work = move || {
            for batch in incoming {
                let result = counters.time(Stage::Persistence, || append(&batch));
                if result.is_ok() {
                    Counters::add(&counters.blocks_persisted, batch.len() as u64);
                }
                if outgoing.send(result).is_err() {
                    return;
                }
            }
        };
        let thread =
            std::thread::Builder::new().name("persistence".to_owned()).spawn(work).map_err(
                |error| EngineError::Thread { thread: "persistence", reason: error.to_string() },
            )?;
        Ok(Self { batches, done, thread: Some(thread), in_flight: false, failure: None })
    }

    /// Hands over the first of `blocks`, unless a batch is being written or a failure is too
    /// fresh to try again.
    pub(crate) fn append(&mut self, blocks: impl Iterator<Item = ExecutedBlock>) {
        let waiting = self.failure.as_ref().is_some_and(|failure| failure.since.elapsed() < RETRY);
        if self.in_flight || waiting {
            return;
        }
        let batch: Vec<_> = blocks.take(MAX_BATCH).collect();
        if !batch.is_empty() {
            self.in_flight = self.batches.send(batch).is_ok();
        }
    }

    /// Where results arrive; each is to be handed to [`Self::finished`].
    pub(crate) const fn results(&self) -> &Receiver<Result<(), StorageError>> {
        &self.done
    }

    /// Waits for the batch being written, if there is one. True if there was.
    pub(crate) fn wait(&mut self) -> bool {
        if !self.in_flight {
            return false;
        }
        // A closed channel says that the thread is gone, which only a panic in storage can cause.
        let result = self.done.recv().unwrap_or_else(|_| {
            Err(StorageError::Io("the persistence thread has ended".to_owned()))
        });
        self.finished(result);
        true
    }

    /// Notes how writing a batch ended.
    pub(crate) fn finished(&mut self, result: Result<(), StorageError>) {
        self.in_flight = false;
        match result {
            Ok(()) => {
                if self.failure.take().is_some() {
                    info!(target: "ascribe::engine", "Blocks are persisted again");
                }
            }
            Err(error) => {
                error!(
                    target: "ascribe::engine",
                    %error,
                    "Blocks cannot be persisted; those in memory are kept, writing is tried again"
                );
                metrics::counter!("ascribe_engine_persistence_failures").increment(1);
                self.failure = Some(Failure { error: Arc::new(error), since: Instant::now() });
            }
        }
    }

    /// Why blocks cannot be written, if they cannot.
    pub(crate) fn failure(&self) -> Option<Arc<StorageError>> {
        self.failure.as_ref().map(|failure| failure.error.clone())
    }

    /// Ends the thread, after the batch it is writing.
    pub(crate) fn stop(&mut self) {
        self.wait();
        let (closed, _) = bounded(1);
        self.batches = closed;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!(target: "ascribe::engine", "The persistence thread panicked");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ascribe_storage::AttributionCell;
    use parking_lot::Mutex;
    use reth_primitives_traits::RecoveredBlock;
    use std::{collections::VecDeque, sync::atomic::Ordering};

    fn blocks(count: usize) -> impl Iterator<Item = ExecutedBlock> {
        (0..count).map(|_| ExecutedBlock {
            block: Arc::new(RecoveredBlock::default()),
            receipts: Arc::default(),
            layer: Arc::default(),
            replaced: Arc::default(),
            codes: Arc::default(),
            attribution: AttributionCell::default(),
        })
    }

    /// A disk that does what it is told, and remembers how many blocks it was given each time.
    fn disk(
        results: impl IntoIterator<Item = Result<(), StorageError>>,
    ) -> (Persistence, Arc<Mutex<Vec<usize>>>, Arc<Counters>) {
        let results = Mutex::new(results.into_iter().collect::<VecDeque<_>>());
        let (written, counters) = (Arc::new(Mutex::new(Vec::new())), Arc::new(Counters::default()));
        let log = written.clone();
        let append = move |blocks: &[ExecutedBlock]| {
            log.lock().push(blocks.len());
            results.lock().pop_front().unwrap_or(Ok(()))
        };
        let persistence = Persistence::spawn(append, counters.clone()).expect("a thread");
        (persistence, written, counters)
    }

    #[test]
    fn one_batch_at_a_time() {
        let (mut persistence, written, counters) = disk([]);
        assert!(!persistence.wait(), "nothing to wait for");
        persistence.append(blocks(0));
        assert!(!persistence.wait(), "no empty batches");
        persistence.append(blocks(3));
        persistence.append(blocks(5));
        assert!(persistence.wait());
        persistence.append(blocks(2 * MAX_BATCH));
        persistence.stop();
        assert_eq!(*written.lock(), [3, MAX_BATCH]);
        assert_eq!(counters.blocks_persisted.load(Ordering::Relaxed), 3 + MAX_BATCH as u64);
    }

    #[test]
    fn a_failure_stays_until_a_write_succeeds() {
        let (mut persistence, written, counters) =
            disk([Err(StorageError::NoSpace("full".to_owned()))]);
        persistence.append(blocks(3));
        assert!(persistence.wait());
        let failure = persistence.failure().expect("the disk is full");
        assert_eq!(failure.to_string(), "disk full: full");
        // Not again at once.
        persistence.append(blocks(3));
        assert!(!persistence.wait());
        let failed = persistence.failure.as_mut().expect("still failing");
        failed.since -= RETRY;
        persistence.append(blocks(4));
        assert!(persistence.wait());
        assert!(persistence.failure().is_none());
        assert_eq!(*written.lock(), [3, 4]);
        assert_eq!(counters.blocks_persisted.load(Ordering::Relaxed), 4);
    }
}
