//! Whether the engine can do its work.

use ascribe_storage::StorageError;
use parking_lot::RwLock;
use std::sync::Arc;

/// The state of health that others may ask for.
#[derive(Debug, Default)]
pub(crate) struct Health {
    failure: RwLock<Option<Arc<StorageError>>>,
}

impl Health {
    pub(crate) fn set_failure(&self, failure: Option<Arc<StorageError>>) {
        *self.failure.write() = failure;
    }

    pub(crate) fn failure(&self) -> Option<Arc<StorageError>> {
        self.failure.read().clone()
    }
}
