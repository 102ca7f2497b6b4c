//! A folder for one test.

use std::{ops::Deref, path::Path};

use tempfile::TempDir;

/// A temporary folder that is removed with its contents, unless the test fails.
#[derive(Debug)]
pub struct Folder(Option<TempDir>);

impl Folder {
    /// A new one.
    ///
    /// # Panics
    /// If it cannot be made.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("ascribe-e2e-").tempdir();
        Self(Some(folder.expect("a temporary folder")))
    }
}

impl Default for Folder {
    fn default() -> Self {
        Self::new()
    }
}

impl Deref for Folder {
    type Target = Path;

    fn deref(&self) -> &Path {
        self.0.as_ref().expect("invariant: taken at the end only").path()
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if std::thread::panicking()
            && let Some(folder) = self.0.take()
        {
            eprintln!("--- kept {}", folder.keep().display());
        }
    }
}
