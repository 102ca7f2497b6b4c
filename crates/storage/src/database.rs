//! The RocksDB instance: opening, tuning, atomic batches.

use crate::{Column, StorageError, StorageOptions, SyncPolicy};
use rocksdb::{
    BlockBasedIndexType, BlockBasedOptions, Cache, ColumnFamily, ColumnFamilyDescriptor,
    CompactionPri, DB, DBCompressionType, DBPinnableSlice, DBRecoveryMode, DataBlockIndexType,
    FlushOptions, IteratorMode, Options, ReadOptions, SliceTransform, WriteBatch,
    WriteBufferManager, WriteOptions,
};
use std::path::Path;

/// An open RocksDB database with the columns of [`Column`].
pub(crate) struct Database {
    db: DB,
    cache: Cache,
    sync: SyncPolicy,
}

impl Database {
    /// Opens the database in `path`, making it if the directory is empty.
    ///
    /// Column families that this release does not know are opened too, so that the caller can
    /// read the schema version before it refuses them; their names come back.
    pub(crate) fn open(
        path: &Path,
        options: &StorageOptions,
    ) -> Result<(Self, Vec<String>), StorageError> {
        std::fs::create_dir_all(path).map_err(|error| StorageError::Io(error.to_string()))?;
        let cache = new_cache(options.cache_bytes);
        let db_options = database_options(options, &cache);

        let existing = if path.join("CURRENT").exists() {
            DB::list_cf(&db_options, path).map_err(|error| StorageError::opening(path, error))?
        } else if holds_tables(path) {
            return Err(StorageError::Damaged(format!(
                "{} holds table files but no CURRENT file",
                path.display()
            )));
        } else {
            Vec::new()
        };
        refuse_foreign(&db_options, path, &existing)?;
        let unknown: Vec<String> = existing
            .into_iter()
            .filter(|name| name != rocksdb::DEFAULT_COLUMN_FAMILY_NAME)
            .filter(|name| Column::ALL.iter().all(|column| column.name() != name))
            .collect();

        let descriptors = Column::ALL
            .iter()
            .map(|column| {
                ColumnFamilyDescriptor::new(column.name(), column_options(*column, options, &cache))
            })
            .chain(
                unknown.iter().map(|name| ColumnFamilyDescriptor::new(name, Options::default())),
            );
        let db = DB::open_cf_descriptors(&db_options, path, descriptors)
            .map_err(|error| StorageError::opening(path, error))?;
        Ok((Self { db, cache, sync: options.sync }, unknown))
    }

    pub(crate) const fn rocksdb(&self) -> &DB {
        &self.db
    }

    pub(crate) fn path(&self) -> &Path {
        self.db.path()
    }

    pub(crate) fn column(&self, column: Column) -> &ColumnFamily {
        self.db
            .cf_handle(column.name())
            .expect("invariant: every column is opened with the database")
    }

    /// Newest value of a key, outside any snapshot.
    pub(crate) fn get(
        &self,
        column: Column,
        key: &[u8],
    ) -> Result<Option<DBPinnableSlice<'_>>, StorageError> {
        self.db
            .get_pinned_cf(self.column(column), key)
            .map_err(|error| StorageError::reading(column, key, error))
    }

    pub(crate) fn is_empty(&self, column: Column) -> Result<bool, StorageError> {
        let mut options = ReadOptions::default();
        options.set_total_order_seek(true);
        let mut iterator = self.db.raw_iterator_cf_opt(self.column(column), options);
        iterator.seek_to_first();
        iterator.status().map_err(|error| StorageError::reading(column, &[], error))?;
        Ok(!iterator.valid())
    }

    /// Writes a batch atomically and, if the policy says so, durably.
    pub(crate) fn write(&self, rows: Rows<'_>) -> Result<(), StorageError> {
        self.write_synced(rows, self.sync == SyncPolicy::Batch)
    }

    /// Writes a batch that need not survive a power cut by itself.
    pub(crate) fn write_unsynced(&self, rows: Rows<'_>) -> Result<(), StorageError> {
        self.write_synced(rows, false)
    }

    fn write_synced(&self, rows: Rows<'_>, sync: bool) -> Result<(), StorageError> {
        let mut options = WriteOptions::new();
        options.set_sync(sync);
        Ok(self.db.write_opt(rows.batch, &options)?)
    }

    /// Forces the write-ahead log onto the device.
    pub(crate) fn sync(&self) -> Result<(), StorageError> {
        Ok(self.db.flush_wal(true)?)
    }

    /// Writes all memtables out as tables.
    pub(crate) fn flush(&self) -> Result<(), StorageError> {
        let mut options = FlushOptions::new();
        options.set_wait(true);
        let columns: Vec<_> = Column::ALL.iter().map(|column| self.column(*column)).collect();
        Ok(self.db.flush_cfs_opt(&columns, &options)?)
    }

    /// Bytes in the block cache, memtables included.
    pub(crate) fn cache_usage(&self) -> usize {
        self.cache.get_usage()
    }

    /// Empty batch for this database.
    pub(crate) fn rows(&self) -> Rows<'_> {
        self.rows_of(0)
    }

    /// Empty batch with room for about so many bytes.
    pub(crate) fn rows_of(&self, bytes: usize) -> Rows<'_> {
        Rows {
            columns: Column::ALL.map(|column| self.column(column)),
            batch: WriteBatch::with_capacity_bytes(bytes),
        }
    }
}

/// Rows being gathered for one atomic write. A later row wins over an earlier one.
pub(crate) struct Rows<'a> {
    columns: [&'a ColumnFamily; Column::ALL.len()],
    batch: WriteBatch,
}

impl Rows<'_> {
    pub(crate) fn put(&mut self, column: Column, key: &[u8], value: &[u8]) {
        self.batch.put_cf(self.columns[column as usize], key, value);
    }

    pub(crate) fn delete(&mut self, column: Column, key: &[u8]) {
        self.batch.delete_cf(self.columns[column as usize], key);
    }

    /// Deletes all keys in `from..to`. Cheap to write, but costs later readers of the range: only
    /// for ranges that nobody reads again.
    pub(crate) fn delete_range(&mut self, column: Column, from: &[u8], to: &[u8]) {
        self.batch.delete_range_cf(self.columns[column as usize], from, to);
    }

    pub(crate) fn bytes(&self) -> usize {
        self.batch.size_in_bytes()
    }
}

/// Refuses a database that another program made, before anything is added to it.
///
/// Ours has the column `meta`, or was left behind while it was being made: then it has nothing
/// but some of our columns, and nothing in RocksDB's default one.
fn refuse_foreign(options: &Options, path: &Path, existing: &[String]) -> Result<(), StorageError> {
    if existing.is_empty() || existing.iter().any(|name| name == Column::Meta.name()) {
        return Ok(());
    }
    let foreign =
        |column: &str| StorageError::Foreign { path: path.to_owned(), column: column.to_owned() };
    let default = rocksdb::DEFAULT_COLUMN_FAMILY_NAME;
    if let Some(name) = existing.iter().find(|name| *name != default) {
        return Err(foreign(name));
    }
    let db = DB::open_for_read_only(options, path, false)
        .map_err(|error| StorageError::opening(path, error))?;
    match db.iterator(IteratorMode::Start).next() {
        Some(_) => Err(foreign(default)),
        None => Ok(()),
    }
}

fn holds_tables(path: &Path) -> bool {
    std::fs::read_dir(path).is_ok_and(|entries| {
        entries.flatten().any(|entry| entry.path().extension().is_some_and(|ext| ext == "sst"))
    })
}

/// Cold reads, persistence and compaction meet here: a table whose look-ups take no lock.
fn new_cache(bytes: usize) -> Cache {
    // Zero has the table grow with what is in it.
    Cache::new_hyper_clock_cache(bytes, 0)
}

fn database_options(options: &StorageOptions, cache: &Cache) -> Options {
    let mut db = Options::default();
    db.create_if_missing(true);
    db.create_missing_column_families(true);
    db.set_max_open_files(options.max_open_files);
    // One flush and one compaction at a time on two cores; more cores may compact more.
    let cores = std::thread::available_parallelism().map_or(2, |cores| cores.get() as i32);
    db.set_max_background_jobs(cores.clamp(2, 6));
    db.set_write_buffer_manager(&WriteBufferManager::new_write_buffer_manager_with_cache(
        options.write_buffer_bytes,
        false,
        cache.clone(),
    ));
    // The log of a column that is hardly written must not pin hundreds of megabytes to replay.
    db.set_max_total_wal_size(2 * options.write_buffer_bytes as u64);
    // A torn last record is a batch that was never acknowledged: replay up to it.
    db.set_wal_recovery_mode(DBRecoveryMode::PointInTime);
    // A missing log file is noticed, not skipped.
    db.set_track_and_verify_wals_in_manifest(true);
    // One writer: hints work, and memtables need no atomics.
    db.set_allow_concurrent_memtable_write(false);
    db.set_bytes_per_sync(1 << 20);
    db.set_wal_bytes_per_sync(512 << 10);
    db.set_keep_log_file_num(4);
    db.set_max_log_file_size(8 << 20);
    db.set_skip_stats_update_on_db_open(true);
    db
}

/// Options that the C interface has no setters for.
fn without_setters() -> Options {
    Options::default()
        .get_options_from_string(concat!(
            // A key's place in a memtable is looked for where its neighbour went: batches come
            // sorted, and that halves what it costs to take them in.
            "memtable_insert_with_hint_prefix_extractor=rocksdb.FixedPrefix.1;",
            // Snapshots come and go with each batch. By default every file that was written while
            // there was one is written again, only to forget in which order its keys came.
            "bottommost_file_compaction_delay=86400;",
        ))
        .unwrap_or_default()
}

fn column_options(column: Column, options: &StorageOptions, cache: &Cache) -> Options {
    let mut table = BlockBasedOptions::default();
    table.set_block_cache(cache);
    table.set_format_version(6);
    table.set_cache_index_and_filter_blocks(true);
    table.set_cache_index_and_filter_blocks_with_high_priority(true);
    table.set_pin_l0_filter_and_index_blocks_in_cache(true);
    table.set_index_type(BlockBasedIndexType::TwoLevelIndexSearch);
    table.set_partition_filters(true);
    table.set_pin_top_level_index_and_filter(true);
    table.set_bloom_filter(10.0, false);
    table.set_optimize_filters_for_memory(true);
    if column.by_number() {
        // Read by whole blocks of the chain: larger blocks compress better.
        table.set_block_size(16 << 10);
    } else {
        table.set_block_size(4 << 10);
        table.set_data_block_index_type(DataBlockIndexType::BinaryAndHash);
    }

    let mut cf = without_setters();
    cf.set_compression_type(match column {
        Column::Headers | Column::Bodies | Column::Receipts | Column::Codes => {
            DBCompressionType::Lz4
        }
        // Keys and values are hashes, references and small numbers: random bytes.
        _ => DBCompressionType::None,
    });
    cf.set_level_compaction_dynamic_level_bytes(true);
    cf.set_write_buffer_size((options.write_buffer_bytes / 4).max(1 << 20));
    cf.set_max_write_buffer_number(3);
    cf.set_target_file_size_base(64 << 20);
    cf.set_max_bytes_for_level_base(256 << 20);
    cf.set_compaction_pri(CompactionPri::MinOverlappingRatio);
    if let Some(prefix) = column.scan_prefix() {
        cf.set_prefix_extractor(SliceTransform::create_fixed_prefix(prefix));
    }
    if column.is_hot() {
        // Its room is taken with the memtable, however little gets into that.
        cf.set_memtable_prefix_bloom_ratio(0.1);
        cf.set_memtable_whole_key_filtering(true);
    }
    cf.set_block_based_table_factory(&table);
    cf
}
