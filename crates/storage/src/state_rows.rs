//! Rows of the state and the tries at the head: where a commit's changes end up, each key written
//! once however many blocks of the commit changed it.

use crate::{Column, StorageError, StorageReader, codec, column, database::Rows};
use alloy_primitives::B256;
use ascribe_trie::{HashedStorage, StateLayer, StorageTrieUpdates, TrieUpdates};

/// Writes `changes` over the state of `base`.
pub(crate) fn write(
    rows: &mut Rows<'_>,
    base: &StorageReader,
    changes: &StateLayer,
) -> Result<(), StorageError> {
    let mut value = Vec::with_capacity(128);
    for (account, new) in sorted(&changes.accounts) {
        match new {
            Some(new) => {
                value.clear();
                codec::encode_account(new, &mut value);
                rows.put(Column::Accounts, account.as_slice(), &value);
            }
            None => rows.delete(Column::Accounts, account.as_slice()),
        }
    }
    for (account, storage) in sorted(&changes.storages) {
        write_storage(rows, base, *account, storage)?;
    }
    write_tries(rows, base, &changes.trie)
}

fn write_storage(
    rows: &mut Rows<'_>,
    base: &StorageReader,
    account: B256,
    storage: &HashedStorage,
) -> Result<(), StorageError> {
    if storage.wiped {
        delete_prefix(rows, base, Column::Storages, account)?;
    }
    let mut value = Vec::with_capacity(32);
    for (slot, word) in sorted(&storage.slots) {
        let key = column::slot(account, *slot);
        if !word.is_zero() {
            value.clear();
            codec::encode_word(*word, &mut value);
            rows.put(Column::Storages, &key, &value);
        } else if !storage.wiped {
            rows.delete(Column::Storages, &key);
        }
    }
    Ok(())
}

fn write_tries(
    rows: &mut Rows<'_>,
    base: &StorageReader,
    updates: &TrieUpdates,
) -> Result<(), StorageError> {
    for (path, node) in sorted(&updates.account_nodes) {
        let key = column::account_node(path);
        match node {
            Some(node) => rows.put(Column::AccountTrie, &key, node.encoded()),
            None => rows.delete(Column::AccountTrie, &key),
        }
    }
    for (account, StorageTrieUpdates { wiped, nodes }) in sorted(&updates.storages) {
        if *wiped {
            delete_prefix(rows, base, Column::StorageTrie, *account)?;
        }
        for (path, node) in sorted(nodes) {
            let key = column::storage_node(*account, path);
            match node {
                Some(node) => rows.put(Column::StorageTrie, &key, node.encoded()),
                None if *wiped => {}
                None => rows.delete(Column::StorageTrie, &key),
            }
        }
    }
    Ok(())
}

/// Deletes everything of one account, key by key: a range would burden all later reads near it.
fn delete_prefix(
    rows: &mut Rows<'_>,
    base: &StorageReader,
    column: Column,
    account: B256,
) -> Result<(), StorageError> {
    let mut scan = base.snapshot().scan_prefix(column, account.as_slice());
    while let Some((key, _)) = scan.next()? {
        rows.delete(column, key);
    }
    Ok(())
}

/// The entries of a map in the order of their keys, in which memtables take them best.
fn sorted<'a, K: Ord, V>(map: impl IntoIterator<Item = (&'a K, &'a V)>) -> Vec<(&'a K, &'a V)> {
    let mut entries: Vec<_> = map.into_iter().collect();
    entries.sort_unstable_by_key(|(key, _)| *key);
    entries
}
