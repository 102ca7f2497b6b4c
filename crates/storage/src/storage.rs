//! The one writer of the database, and the doors to it.

use crate::{
    ExecutedBlock, HistoryRetention, IndexProgress, Labels, StorageError, StorageOptions,
    StorageReader, SyncPolicy, attribution_rows,
    commit::Commit,
    database::Database,
    genesis::{self, GenesisProgress},
    labels::Chain,
    schema,
    snapshot::Snapshot,
    syncer::Syncer,
};
use ascribe_chainspec::ChainSpec;
use parking_lot::{Mutex, RwLock};
use std::{fmt, path::Path, sync::Arc, time::Instant};
use tracing::{debug, error, info};

/// Blocks that [`Storage::unwind_to`] takes off in one batch.
const UNWIND_STEP: u64 = 256;

/// The persisted chain. Clones share one database; one process may have it open.
///
/// Reads go through [`reader`](Self::reader) and never wait for a writer; writers wait for each
/// other.
#[derive(Clone)]
pub struct Storage {
    inner: Arc<Inner>,
}

struct Inner {
    database: Arc<Database>,
    history: HistoryRetention,
    /// Held while a batch is made and written. Guards the labels as they are on disk.
    writer: Mutex<Labels>,
    /// Labels as last set.
    labels: RwLock<Labels>,
    /// View of the newest batch.
    current: RwLock<StorageReader>,
    /// Stops before the database closes.
    _syncer: Option<Syncer>,
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage")
            .field("path", &self.inner.database.path())
            .field("head", &self.reader().head().num_hash())
            .finish_non_exhaustive()
    }
}

impl Storage {
    /// Opens the database in `path` for this chain. An empty one is filled with the genesis
    /// state, which `progress` is told about.
    pub fn open(
        path: impl AsRef<Path>,
        options: StorageOptions,
        spec: &ChainSpec,
        progress: &mut dyn FnMut(GenesisProgress),
    ) -> Result<Self, StorageError> {
        let started = Instant::now();
        let path = path.as_ref();
        let database = schema::open(path, &options)?;
        genesis::ensure(&database, spec, progress)?;
        attribution_rows::complete(&database, &mut |_| {})?;

        let reader = StorageReader::new(Snapshot::new(database.clone()))?;
        reader.check_head()?;
        let labels = Labels::read(&reader)?;
        info!(
            target: "ascribe::storage",
            path = %path.display(),
            head = reader.head().number,
            hash = %reader.head().hash(),
            floor = reader.history_floor(),
            elapsed = ?started.elapsed(),
            "Opened database"
        );
        let syncer = match options.sync {
            SyncPolicy::Every(period) => Some(Syncer::spawn(database.clone(), period)?),
            SyncPolicy::Batch | SyncPolicy::Never => None,
        };
        Ok(Self {
            inner: Arc::new(Inner {
                database,
                history: options.history,
                writer: Mutex::new(labels),
                labels: RwLock::new(labels),
                current: RwLock::new(reader),
                _syncer: syncer,
            }),
        })
    }

    /// View of the persisted chain as of the newest batch.
    pub fn reader(&self) -> StorageReader {
        self.inner.current.read().clone()
    }

    pub(crate) fn database(&self) -> &Database {
        &self.inner.database
    }

    /// Appends blocks to the persisted head in one atomic batch.
    pub fn append(&self, blocks: &[ExecutedBlock]) -> Result<(), StorageError> {
        let mut stored = self.inner.writer.lock();
        let head = self.reader().head().number;
        self.commit(&mut stored, head, blocks)
    }

    /// Replaces every block above `ancestor` by `blocks` in one atomic batch: either all of it
    /// happens or nothing.
    pub fn reorg(&self, ancestor: u64, blocks: &[ExecutedBlock]) -> Result<(), StorageError> {
        self.commit(&mut self.inner.writer.lock(), ancestor, blocks)
    }

    /// Takes off every block above `number`. Long ways are gone in atomic steps, after each of
    /// which `progress` is told the head reached.
    pub fn unwind_to(
        &self,
        number: u64,
        progress: &mut dyn FnMut(u64),
    ) -> Result<(), StorageError> {
        let mut stored = self.inner.writer.lock();
        self.reader().check_kept(number)?;
        loop {
            let head = self.reader().head().number;
            if head <= number {
                return Ok(());
            }
            let step = number.max(head.saturating_sub(UNWIND_STEP));
            self.commit(&mut stored, step, &[])?;
            progress(step);
        }
    }

    /// Makes the attribution index again, from blocks alone.
    pub fn reindex_attribution(
        &self,
        progress: &mut dyn FnMut(IndexProgress),
    ) -> Result<(), StorageError> {
        let _writer = self.inner.writer.lock();
        attribution_rows::clear(&self.inner.database)?;
        attribution_rows::complete(&self.inner.database, progress)?;
        let reader = StorageReader::new(Snapshot::new(self.inner.database.clone()))?;
        *self.inner.current.write() = reader;
        Ok(())
    }

    fn commit(
        &self,
        stored: &mut Labels,
        ancestor: u64,
        blocks: &[ExecutedBlock],
    ) -> Result<(), StorageError> {
        let started = Instant::now();
        let base = self.reader();
        let head = base.head().number;
        if ancestor == head && blocks.is_empty() {
            return Ok(());
        }
        let mut commit = Commit::new(&self.inner.database, &base, blocks);
        commit.unwind(ancestor)?;
        for block in blocks {
            commit.append(block)?;
        }
        commit.prune(self.inner.history)?;
        let mut rows = commit.finish()?;
        let chain = Chain { base: &base, ancestor, blocks };
        let labels = self.labels().storable(*stored, chain)?;
        labels.write(*stored, &mut rows);
        let (bytes, made) = (rows.bytes(), started.elapsed());
        self.inner.database.write(rows)?;

        let reader = StorageReader::new(Snapshot::new(self.inner.database.clone()))?;
        let new_head = reader.head().num_hash();
        *self.inner.current.write() = reader;
        *stored = labels;
        {
            let mut wanted = self.inner.labels.write();
            *wanted = wanted.lowered(labels, chain)?;
        }

        let (unwound, elapsed) = (head - ancestor, started.elapsed());
        metrics::histogram!("ascribe_storage_commit_seconds").record(elapsed);
        metrics::histogram!("ascribe_storage_commit_bytes").record(bytes as f64);
        metrics::counter!("ascribe_storage_appended_blocks").increment(blocks.len() as u64);
        metrics::counter!("ascribe_storage_unwound_blocks").increment(unwound);
        metrics::gauge!("ascribe_storage_persisted_block").set(new_head.number as f64);
        debug!(
            target: "ascribe::storage",
            head = new_head.number,
            hash = %new_head.hash,
            appended = blocks.len(),
            unwound,
            bytes,
            ?made,
            ?elapsed,
            "Committed blocks"
        );
        Ok(())
    }

    /// Labels as last set, which may be ahead of the persisted head. After opening, they are on
    /// the persisted chain.
    pub fn labels(&self) -> Labels {
        *self.inner.labels.read()
    }

    /// Sets the labels. What is on the persisted chain is written now, the rest with its block;
    /// while a commit is being written, all of it with the next commit or call.
    pub fn set_forkchoice(&self, labels: Labels) -> Result<(), StorageError> {
        *self.inner.labels.write() = labels;
        match self.inner.writer.try_lock() {
            Some(mut stored) => self.store_labels(&mut stored),
            None => Ok(()),
        }
    }

    fn store_labels(&self, stored: &mut Labels) -> Result<(), StorageError> {
        let labels = self.labels().storable(*stored, Chain::of(&self.reader()))?;
        if labels != *stored {
            let mut rows = self.inner.database.rows();
            labels.write(*stored, &mut rows);
            self.inner.database.write_unsynced(rows)?;
            *stored = labels;
        }
        Ok(())
    }

    /// Forces everything written so far onto the device, whatever the sync policy.
    pub fn sync(&self) -> Result<(), StorageError> {
        let mut stored = self.inner.writer.lock();
        self.store_labels(&mut stored)?;
        self.inner.database.sync()
    }

    /// Writes memtables out as tables, so that the next start has no log to replay.
    pub fn flush(&self) -> Result<(), StorageError> {
        self.sync()?;
        self.inner.database.flush()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        if let Err(error) = self.database.sync() {
            error!(target: "ascribe::storage", %error, "Could not sync the log while closing");
        }
    }
}
