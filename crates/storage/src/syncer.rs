//! The thread behind [`SyncPolicy::Every`](crate::SyncPolicy::Every).

use crate::{StorageError, database::Database};
use std::{
    sync::{
        Arc,
        mpsc::{self, RecvTimeoutError, Sender},
    },
    thread::JoinHandle,
    time::Duration,
};
use tracing::error;

/// Forces the log onto the device every so often, until dropped.
pub(crate) struct Syncer {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Syncer {
    pub(crate) fn spawn(database: Arc<Database>, period: Duration) -> Result<Self, StorageError> {
        let (stop, stopped) = mpsc::channel();
        let thread = std::thread::Builder::new()
            .name("storage-sync".into())
            .spawn(move || {
                while stopped.recv_timeout(period) == Err(RecvTimeoutError::Timeout) {
                    if let Err(error) = database.sync() {
                        error!(target: "ascribe::storage", %error, "Could not sync the log");
                    }
                }
            })
            .map_err(|error| StorageError::Io(error.to_string()))?;
        Ok(Self { stop: Some(stop), thread: Some(thread) })
    }
}

impl Drop for Syncer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            error!(target: "ascribe::storage", "The sync thread panicked");
        }
    }
}
