//! Threads with room for deep recursion.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

use crate::{RpcContext, RpcError};

/// Bytes of stack of a thread that traces. Calls go 1,024 deep, and a trace of them is written and
/// dropped by functions that call themselves as deep.
const STACK: usize = 64 << 20;

/// Set when the caller has gone.
struct CancelOnDrop(Arc<AtomicBool>);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Runs a call that traces, no more of them at a time than there may be. `work` is given what is
/// set when nobody waits for its answer any more.
pub(super) async fn run<T: Send + 'static>(
    context: &RpcContext,
    work: impl FnOnce(Arc<AtomicBool>) -> Result<T, RpcError> + Send + 'static,
) -> Result<T, RpcError> {
    let cancelled = Arc::new(AtomicBool::new(false));
    let _guard = CancelOnDrop(cancelled.clone());
    context
        .tasks
        .tracing(move || {
            let thread = thread::Builder::new()
                .name("rpc-trace".to_owned())
                .stack_size(STACK)
                .spawn(move || work(cancelled))
                .map_err(|error| RpcError::internal(format!("no thread to trace on: {error}")))?;
            thread.join().unwrap_or_else(|_| Err(RpcError::internal("method handler crashed")))
        })
        .await
}
