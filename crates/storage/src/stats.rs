//! How large the database is.

use crate::{Column, Storage, StorageError};
use rocksdb::properties;

/// Sizes of the database.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct StorageStats {
    /// Number of the persisted head.
    pub head: u64,
    /// Lowest number whose state is kept.
    pub history_floor: u64,
    /// Each column family.
    pub columns: Vec<ColumnStats>,
    /// Bytes in use in the block cache, memtables included.
    pub cache_bytes: u64,
}

/// Size of a column family.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub struct ColumnStats {
    /// Its name.
    pub name: &'static str,
    /// RocksDB's estimate of the number of keys.
    pub keys: u64,
    /// Bytes of its table files, compressed, stale entries included.
    pub table_bytes: u64,
    /// RocksDB's estimate of the bytes of live data, compressed.
    pub live_bytes: u64,
    /// Bytes of its memtables.
    pub memtable_bytes: u64,
}

impl StorageStats {
    /// Bytes of all table files.
    pub fn table_bytes(&self) -> u64 {
        self.columns.iter().map(|column| column.table_bytes).sum()
    }
}

impl Storage {
    /// How large the database is, by column family.
    pub fn stats(&self) -> Result<StorageStats, StorageError> {
        let database = self.database();
        let columns = Column::ALL
            .iter()
            .map(|column| {
                let property = |name| {
                    database
                        .rocksdb()
                        .property_int_value_cf(database.column(*column), name)
                        .map(Option::unwrap_or_default)
                };
                Ok(ColumnStats {
                    name: column.name(),
                    keys: property(properties::ESTIMATE_NUM_KEYS)?,
                    table_bytes: property(properties::TOTAL_SST_FILES_SIZE)?,
                    live_bytes: property(properties::ESTIMATE_LIVE_DATA_SIZE)?,
                    memtable_bytes: property(properties::CUR_SIZE_ALL_MEM_TABLES)?,
                })
            })
            .collect::<Result<_, StorageError>>()?;
        let reader = self.reader();
        Ok(StorageStats {
            head: reader.head().number,
            history_floor: reader.history_floor(),
            columns,
            cache_bytes: database.cache_usage() as u64,
        })
    }
}
