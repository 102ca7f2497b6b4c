//! The version of the layout on disk.

use crate::{Column, StorageError, StorageOptions, column::meta, database::Database};
use std::{path::Path, sync::Arc};

/// Version of the layout that this release writes. A database of a newer one is refused.
///
/// 2: column families of the attribution index, which opening an older database makes.
pub const SCHEMA_VERSION: u32 = 2;

/// Opens the database in `path`, provided that this release understands it.
pub(crate) fn open(path: &Path, options: &StorageOptions) -> Result<Arc<Database>, StorageError> {
    let (database, unknown) = Database::open(path, options)?;
    let found = stored_version(&database)?;
    match found {
        Some(found) if found > SCHEMA_VERSION => {
            return Err(StorageError::NewerSchema { found, supported: SCHEMA_VERSION });
        }
        // A column family that neither this nor a newer release of ours made.
        _ => {
            if let Some(column) = unknown.into_iter().next() {
                return Err(StorageError::Foreign { path: path.to_owned(), column });
            }
        }
    }
    if found != Some(SCHEMA_VERSION) {
        let mut rows = database.rows();
        rows.put(Column::Meta, meta::SCHEMA, &SCHEMA_VERSION.to_be_bytes());
        database.write(rows)?;
    }
    Ok(Arc::new(database))
}

fn stored_version(database: &Database) -> Result<Option<u32>, StorageError> {
    let Some(bytes) = database.get(Column::Meta, meta::SCHEMA)? else { return Ok(None) };
    match <[u8; 4]>::try_from(&bytes[..]) {
        Ok(bytes) => Ok(Some(u32::from_be_bytes(bytes))),
        Err(_) => Err(StorageError::inconsistent(
            Column::Meta,
            meta::SCHEMA,
            format!("a version of {} bytes", bytes.len()),
        )),
    }
}
