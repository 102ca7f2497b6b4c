//! Threads for calls that are heavy.

use crate::{RpcConfig, RpcError};
use parking_lot::Mutex;
use std::{
    collections::VecDeque,
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};
use tokio::{sync::oneshot, task::spawn_blocking};
use tracing::error;

/// Runs heavy calls on threads of their own, a bounded number at a time, so that they neither hold
/// up the light ones nor each other's memory. Who comes when all are busy waits.
#[derive(Debug, Clone)]
pub(crate) struct Tasks {
    heavy: Arc<Pool>,
    tracing: Arc<Pool>,
}

impl Tasks {
    pub(crate) fn new(config: &RpcConfig) -> Self {
        Self {
            heavy: Pool::new(config.max_heavy_calls),
            tracing: Pool::new(config.max_tracing_calls),
        }
    }

    /// Runs a call that executes, proves or searches.
    pub(crate) async fn heavy<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, RpcError> + Send + 'static,
    ) -> Result<T, RpcError> {
        self.heavy.run(work).await
    }

    /// Runs a call that traces whole blocks.
    pub(crate) async fn tracing<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, RpcError> + Send + 'static,
    ) -> Result<T, RpcError> {
        self.tracing.run(work).await
    }
}

type Job = Box<dyn FnOnce() + Send>;

/// Does jobs in the order they come, some at a time.
///
/// A worker that is done takes the next job itself. Only where there are fewer workers than there
/// may be is a thread woken for a job, so that short ones cost no more the more of them there are.
struct Pool {
    jobs: Mutex<Jobs>,
    max_workers: usize,
}

#[derive(Default)]
struct Jobs {
    waiting: VecDeque<Job>,
    workers: usize,
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Jobs { waiting, workers } = &*self.jobs.lock();
        f.debug_struct("Pool")
            .field("waiting", &waiting.len())
            .field("workers", workers)
            .field("max_workers", &self.max_workers)
            .finish()
    }
}

impl Pool {
    fn new(max_workers: usize) -> Arc<Self> {
        Arc::new(Self { jobs: Mutex::default(), max_workers: max_workers.max(1) })
    }

    async fn run<T: Send + 'static>(
        self: &Arc<Self>,
        work: impl FnOnce() -> Result<T, RpcError> + Send + 'static,
    ) -> Result<T, RpcError> {
        let (answer, answered) = oneshot::channel();
        self.submit(Box::new(move || {
            // A caller who hung up while waiting for a turn wants nothing any more.
            if !answer.is_closed() {
                // One who hangs up now is not told.
                let _ = answer.send(catch_unwind(AssertUnwindSafe(work)));
            }
        }));
        answered.await.ok().and_then(Result::ok).unwrap_or_else(|| {
            error!(target: "ascribe::rpc", "A method handler crashed");
            Err(RpcError::internal("method handler crashed"))
        })
    }

    fn submit(self: &Arc<Self>, job: Job) {
        let mut jobs = self.jobs.lock();
        jobs.waiting.push_back(job);
        if jobs.workers < self.max_workers {
            jobs.workers += 1;
            drop(jobs);
            let pool = self.clone();
            spawn_blocking(move || {
                while let Some(job) = pool.next() {
                    job();
                }
            });
        }
    }

    /// The next job for a worker, who ends when there is none.
    fn next(&self) -> Option<Job> {
        let mut jobs = self.jobs.lock();
        let job = jobs.waiting.pop_front();
        if job.is_none() {
            jobs.workers -= 1;
        }
        job
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    fn tasks(max_heavy_calls: usize) -> Tasks {
        Tasks::new(&RpcConfig { max_heavy_calls, ..RpcConfig::default() })
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn no_more_than_allowed_run_at_a_time() {
        let tasks = tasks(2);
        let (running, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let calls = (0..16).map(|_| {
            let (tasks, running, most) = (tasks.clone(), running.clone(), most.clone());
            tokio::spawn(async move {
                tasks
                    .heavy(move || {
                        most.fetch_max(
                            running.fetch_add(1, Ordering::SeqCst) + 1,
                            Ordering::SeqCst,
                        );
                        std::thread::sleep(std::time::Duration::from_millis(2));
                        running.fetch_sub(1, Ordering::SeqCst);
                        Ok(())
                    })
                    .await
            })
        });
        for call in futures::future::join_all(calls).await {
            call.expect("the task ends").expect("the call succeeds");
        }
        assert_eq!(most.load(Ordering::SeqCst), 2);
    }

    #[tokio::test]
    async fn who_gave_up_waiting_is_passed_over() {
        let tasks = tasks(1);
        let (go, gone) = std::sync::mpsc::channel::<()>();
        let first = tokio::spawn({
            let tasks = tasks.clone();
            async move { tasks.heavy(move || Ok(gone.recv().is_ok())).await }
        });
        while tasks.heavy.jobs.lock().workers == 0 {
            tokio::task::yield_now().await;
        }
        let ran = Arc::new(AtomicUsize::new(0));
        let count = |ran: &Arc<AtomicUsize>| {
            let ran = ran.clone();
            tasks.heavy(move || Ok(ran.fetch_add(1, Ordering::SeqCst)))
        };
        let soon = std::time::Duration::from_millis(5);
        assert!(tokio::time::timeout(soon, count(&ran)).await.is_err());
        go.send(()).expect("the first waits");
        assert!(first.await.expect("the task ends").expect("the call succeeds"));
        assert_eq!(count(&ran).await.expect("the call succeeds"), 0);
    }

    #[tokio::test]
    async fn a_crash_is_an_answer() {
        let tasks = tasks(1);
        let answer = tasks.heavy(|| -> Result<(), _> { panic!("on purpose") }).await;
        let error = answer.expect_err("the call crashed");
        assert_eq!((error.code(), error.message()), (-32603, "method handler crashed"));
        assert!(tasks.heavy(|| Ok(())).await.is_ok(), "the worker lives on");
    }
}
