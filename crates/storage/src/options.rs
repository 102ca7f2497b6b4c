//! What a user may choose about the database.

use std::{str::FromStr, time::Duration};

/// How a database is opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageOptions {
    /// Bytes of the block cache that all column families share; index and filter blocks live in
    /// it too, and memtables are charged to it, so it bounds the memory of RocksDB.
    pub cache_bytes: usize,
    /// Bytes of memtables over all column families before some are flushed.
    pub write_buffer_bytes: usize,
    /// When a written batch is forced onto the device.
    pub sync: SyncPolicy,
    /// How much old state is kept.
    pub history: HistoryRetention,
    /// Table files open at a time; one file is about 64 MiB.
    pub max_open_files: i32,
}

impl Default for StorageOptions {
    fn default() -> Self {
        Self {
            cache_bytes: 512 << 20,
            write_buffer_bytes: 128 << 20,
            sync: SyncPolicy::default(),
            history: HistoryRetention::default(),
            max_open_files: 1024,
        }
    }
}

/// When the write-ahead log is forced onto the device (`--db.sync`).
///
/// Every batch is handed to the operating system before the call that wrote it returns, whatever
/// the policy: a killed process loses nothing. The policy decides what a power cut or a crash of
/// the operating system can cost. It never costs consistency: the log is replayed up to its last
/// whole batch, so the database opens at the last block that reached the device.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Each batch, before the call returns. Nothing reported as persisted is ever lost.
    Batch,
    /// A thread does it every so often; a power cut costs the blocks of that time at most.
    Every(Duration),
    /// The operating system decides (on Linux usually within 30 s).
    Never,
}

impl Default for SyncPolicy {
    /// Each batch: a batch holds several blocks and is written in the background, where one
    /// `fdatasync` is cheap.
    fn default() -> Self {
        Self::Batch
    }
}

impl FromStr for SyncPolicy {
    type Err = String;

    /// `batch`, `never`, or a number of milliseconds such as `200ms` or `200`.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "batch" => Ok(Self::Batch),
            "never" => Ok(Self::Never),
            _ => {
                let millis = text.strip_suffix("ms").unwrap_or(text);
                match millis.parse::<u64>() {
                    Ok(millis @ 1..=60_000) => Ok(Self::Every(Duration::from_millis(millis))),
                    _ => Err(format!(
                        "sync policy {text:?}: expected \"batch\", \"never\" or 1 to 60000 \
                         milliseconds such as \"200ms\""
                    )),
                }
            }
        }
    }
}

impl std::fmt::Display for SyncPolicy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Batch => f.write_str("batch"),
            Self::Every(time) => write!(f, "{}ms", time.as_millis()),
            Self::Never => f.write_str("never"),
        }
    }
}

/// How much old state is kept. Headers, bodies and receipts are always kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HistoryRetention {
    /// State at every height (an archive).
    #[default]
    Archive,
    /// State at the last so many blocks below the persisted head, which is also how far the
    /// chain can be unwound.
    Blocks(u64),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sync_policies_read_as_they_print() {
        for text in ["batch", "never", "200ms", "1ms", "60000ms"] {
            assert_eq!(
                text.parse::<SyncPolicy>().map(|policy| policy.to_string()),
                Ok(text.into())
            );
        }
        assert_eq!("50".parse(), Ok(SyncPolicy::Every(Duration::from_millis(50))));
        for text in ["", "always", "0ms", "60001", "-1ms", "5s"] {
            assert!(text.parse::<SyncPolicy>().is_err(), "{text:?}");
        }
    }
}
