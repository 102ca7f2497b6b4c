//! A frozen view of the database that owns what it looks at.

use crate::{Column, StorageError, column::after_prefix, database::Database};
use rocksdb::{DB, DBPinnableSlice, DBRawIterator, ReadOptions, SnapshotWithThreadMode};
use std::sync::Arc;

/// A RocksDB snapshot together with the database it belongs to.
///
/// Everything read through it is of one moment, whatever is written meanwhile.
pub(crate) struct Snapshot {
    // Fields are dropped in this order: the snapshot must go before the database.
    options: ReadOptions,
    snapshot: SnapshotWithThreadMode<'static, DB>,
    database: Arc<Database>,
}

impl Snapshot {
    #[expect(unsafe_code, reason = "RocksDB's snapshot borrows the database it must live with")]
    pub(crate) fn new(database: Arc<Database>) -> Self {
        // SAFETY: the reference points into the allocation of the `Arc` beside it, which never
        // moves and is released after the snapshot, as the order of fields says. Neither the
        // reference nor the snapshot leaves this struct with the lengthened lifetime.
        let db: &'static DB = unsafe { &*std::ptr::from_ref(database.rocksdb()) };
        let snapshot = SnapshotWithThreadMode::new(db);
        let mut options = ReadOptions::default();
        options.set_snapshot(&snapshot);
        Self { options, snapshot, database }
    }

    /// Value of a key.
    pub(crate) fn get(
        &self,
        column: Column,
        key: &[u8],
    ) -> Result<Option<DBPinnableSlice<'_>>, StorageError> {
        self.database
            .rocksdb()
            .get_pinned_cf_opt(self.database.column(column), key, &self.options)
            .map_err(|error| StorageError::reading(column, key, error))
    }

    /// Value of a key, decoded.
    pub(crate) fn get_with<T>(
        &self,
        column: Column,
        key: &[u8],
        decode: impl FnOnce(&[u8]) -> Result<T, crate::DecodeError>,
    ) -> Result<Option<T>, StorageError> {
        self.get(column, key)?
            .map(|bytes| {
                decode(&bytes).map_err(|reason| StorageError::corrupt(column, key, reason))
            })
            .transpose()
    }

    /// Values of many keys, decoded, in the order of the keys. Sorted keys are read faster.
    pub(crate) fn get_many<K: AsRef<[u8]>, T>(
        &self,
        column: Column,
        keys: &[K],
        sorted: bool,
        decode: impl Fn(&[u8]) -> Result<T, crate::DecodeError>,
    ) -> Result<Vec<Option<T>>, StorageError> {
        // Values stay pinned until they are decoded: do not pin a whole block's worth at once.
        const CHUNK: usize = 256;
        let mut values = Vec::with_capacity(keys.len());
        for keys in keys.chunks(CHUNK) {
            let found = self.database.rocksdb().batched_multi_get_cf_opt(
                self.database.column(column),
                keys,
                sorted,
                &self.options,
            );
            for (key, value) in keys.iter().zip(found) {
                let key = key.as_ref();
                let value = value.map_err(|error| StorageError::reading(column, key, error))?;
                let value = value
                    .map(|bytes| {
                        decode(&bytes).map_err(|reason| StorageError::corrupt(column, key, reason))
                    })
                    .transpose()?;
                values.push(value);
            }
        }
        Ok(values)
    }

    /// Entries whose keys begin with `prefix`, which must not be shorter than the column's scan
    /// prefix if it has one.
    pub(crate) fn scan_prefix(&self, column: Column, prefix: &[u8]) -> Scan<'_> {
        debug_assert!(column.scan_prefix().is_none_or(|len| prefix.len() >= len));
        let within_prefix = column.scan_prefix().is_some();
        self.scan_bounded(column, prefix.to_vec(), after_prefix(prefix), within_prefix)
    }

    /// Entries with keys in `from..to`, across prefixes.
    pub(crate) fn scan(&self, column: Column, from: &[u8], to: Option<&[u8]>) -> Scan<'_> {
        self.scan_bounded(column, from.to_vec(), to.map(<[u8]>::to_vec), false)
    }

    /// Entries with keys in `from..to` that share the column's scan prefix. Filters of the prefix
    /// make this cheap where nothing is found.
    pub(crate) fn seek(&self, column: Column, from: &[u8], to: Option<Vec<u8>>) -> Scan<'_> {
        self.scan_bounded(column, from.to_vec(), to, true)
    }

    /// The last entry with a key in `from..to`.
    pub(crate) fn last(
        &self,
        column: Column,
        from: &[u8],
        to: &[u8],
    ) -> Result<Option<OwnedEntry>, StorageError> {
        let mut options = ReadOptions::default();
        options.set_snapshot(&self.snapshot);
        options.set_total_order_seek(true);
        options.set_iterate_lower_bound(from);
        options.set_iterate_upper_bound(to);
        let mut iterator =
            self.database.rocksdb().raw_iterator_cf_opt(self.database.column(column), options);
        iterator.seek_to_last();
        iterator.status().map_err(|error| StorageError::reading(column, from, error))?;
        Ok(iterator.item().map(|(key, value)| (key.to_vec(), value.to_vec())))
    }

    fn scan_bounded(
        &self,
        column: Column,
        from: Vec<u8>,
        to: Option<Vec<u8>>,
        within_prefix: bool,
    ) -> Scan<'_> {
        let mut options = ReadOptions::default();
        options.set_snapshot(&self.snapshot);
        if within_prefix {
            options.set_prefix_same_as_start(true);
        } else {
            options.set_total_order_seek(true);
        }
        if let Some(to) = to {
            options.set_iterate_upper_bound(to);
        }
        let mut iterator =
            self.database.rocksdb().raw_iterator_cf_opt(self.database.column(column), options);
        iterator.seek(&from);
        Scan { column, from, iterator, started: false }
    }
}

/// A key and its value, copied.
pub(crate) type OwnedEntry = (Vec<u8>, Vec<u8>);

/// A key and its value.
pub(crate) type Entry<'a> = (&'a [u8], &'a [u8]);

/// Entries in the order of their keys.
pub(crate) struct Scan<'a> {
    column: Column,
    from: Vec<u8>,
    iterator: DBRawIterator<'a>,
    started: bool,
}

impl Scan<'_> {
    /// The next entry.
    pub(crate) fn next(&mut self) -> Result<Option<Entry<'_>>, StorageError> {
        if self.started {
            if self.iterator.valid() {
                self.iterator.next();
            }
        } else {
            self.started = true;
        }
        if !self.iterator.valid() {
            // Where the iterator stopped cannot be asked; the start of the scan names the place.
            self.iterator
                .status()
                .map_err(|error| StorageError::reading(self.column, &self.from, error))?;
            return Ok(None);
        }
        Ok(self.iterator.item())
    }
}
