//! Small values that other parts of the node keep beside the chain, each under its own name.

use crate::{Column, Storage, StorageError, column::meta};
use alloy_primitives::Bytes;

/// Longest key of a room, its name included, in bytes.
pub const MAX_ROOM_KEY: usize = 256;

/// Longest value of a room, in bytes.
pub const MAX_ROOM_VALUE: usize = 1 << 20;

/// The values of one part of the node. They are not unwound with blocks.
#[derive(Debug, Clone)]
pub struct Room {
    storage: Storage,
    name: &'static str,
}

impl Storage {
    /// The values kept under `name`, which must not contain `/`.
    pub fn room(&self, name: &'static str) -> Room {
        debug_assert!(!name.contains('/'), "a slash ends the name of a room");
        Room { storage: self.clone(), name }
    }
}

impl Room {
    /// Value of a key.
    pub fn get(&self, key: &[u8]) -> Result<Option<Bytes>, StorageError> {
        let key = self.key(key)?;
        let value = self.storage.database().get(Column::Meta, &key)?;
        Ok(value.map(|value| Bytes::copy_from_slice(&value)))
    }

    /// Sets a key. Keys are at most [`MAX_ROOM_KEY`] bytes, values [`MAX_ROOM_VALUE`].
    pub fn put(&self, key: &[u8], value: &[u8]) -> Result<(), StorageError> {
        let key = self.key(key)?;
        check("value", value.len(), MAX_ROOM_VALUE)?;
        let mut rows = self.storage.database().rows();
        rows.put(Column::Meta, &key, value);
        self.storage.database().write(rows)
    }

    /// Removes a key, if it is there.
    pub fn delete(&self, key: &[u8]) -> Result<(), StorageError> {
        let mut rows = self.storage.database().rows();
        rows.delete(Column::Meta, &self.key(key)?);
        self.storage.database().write(rows)
    }

    fn key(&self, key: &[u8]) -> Result<Vec<u8>, StorageError> {
        let full = [meta::ROOM, self.name.as_bytes(), b"/", key].concat();
        check("key", full.len(), MAX_ROOM_KEY)?;
        Ok(full)
    }
}

const fn check(what: &'static str, given: usize, allowed: usize) -> Result<(), StorageError> {
    if given > allowed {
        return Err(StorageError::TooLarge { what, given, allowed });
    }
    Ok(())
}
