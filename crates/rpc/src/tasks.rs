//! Threads for calls that are heavy.

use crate::{RpcConfig, RpcError};
use std::sync::Arc;
use tokio::{sync::Semaphore, task::spawn_blocking};
use tracing::error;

/// Runs heavy calls on threads of their own, a bounded number at a time, so that they neither hold
/// up the light ones nor each other's memory. Who comes when all are busy waits.
#[derive(Debug, Clone)]
pub(crate) struct Tasks {
    heavy: Arc<Semaphore>,
    tracing: Arc<Semaphore>,
}

impl Tasks {
    pub(crate) fn new(config: &RpcConfig) -> Self {
        Self {
            heavy: Arc::new(Semaphore::new(config.max_heavy_calls.max(1))),
            tracing: Arc::new(Semaphore::new(config.max_tracing_calls.max(1))),
        }
    }

    /// Runs a call that executes, proves or searches.
    pub(crate) async fn heavy<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, RpcError> + Send + 'static,
    ) -> Result<T, RpcError> {
        run(&self.heavy, work).await
    }

    /// Runs a call that traces whole blocks.
    pub(crate) async fn tracing<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, RpcError> + Send + 'static,
    ) -> Result<T, RpcError> {
        run(&self.tracing, work).await
    }
}

async fn run<T: Send + 'static>(
    permits: &Arc<Semaphore>,
    work: impl FnOnce() -> Result<T, RpcError> + Send + 'static,
) -> Result<T, RpcError> {
    let Ok(permit) = permits.clone().acquire_owned().await else {
        return Err(RpcError::internal("server is shutting down"));
    };
    // The permit goes with the work: a caller who hangs up does not make room for another while
    // the work is still being done.
    let done = spawn_blocking(move || {
        let result = work();
        drop(permit);
        result
    });
    done.await.unwrap_or_else(|failure| {
        error!(target: "ascribe::rpc", %failure, "A method handler crashed");
        Err(RpcError::internal("method handler crashed"))
    })
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
    async fn a_crash_is_an_answer() {
        let answer = tasks(1).heavy(|| -> Result<(), _> { panic!("on purpose") }).await;
        let error = answer.expect_err("the call crashed");
        assert_eq!((error.code(), error.message()), (-32603, "method handler crashed"));
        assert!(tasks(1).heavy(|| Ok(())).await.is_ok());
    }
}
