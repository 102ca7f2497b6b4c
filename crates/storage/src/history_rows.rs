//! Rows that a block adds to history: what each changed account and slot was before it, and that
//! it changed there.
//!
//! The two tables of changes are ordered by block, so appending to them never rewrites older
//! files, and unwinding and pruning read one range. The two tables of history name the
//! blocks that changed a key, as one key each: appending writes without reading, unlike lists
//! that are read, extended and written again, and the shared prefixes of neighbouring keys are
//! stored once per block of a file.

use crate::{
    Column, ExecutedBlock, StorageError, StorageReader, codec,
    column::{self, number_at},
    database::Rows,
    state::{exact_account_change, exact_storage_change, parse},
};
use alloy_primitives::{B256, U256, map::B256Map};
use alloy_trie::TrieAccount;
use ascribe_trie::{HashedStorage, ReplacedSlots, StateLayer};

/// Adds the rows of a block, where `overlay` over `base` is its parent's state.
pub(crate) fn append(
    rows: &mut Rows<'_>,
    base: &StorageReader,
    overlay: &StateLayer,
    executed: &ExecutedBlock,
) -> Result<(), StorageError> {
    let (number, layer) = (executed.number(), &*executed.layer);
    let mut value = Vec::with_capacity(128);
    for (account, new, old) in changed_accounts(base, overlay, layer)? {
        if old == new {
            continue;
        }
        value.clear();
        codec::encode_account_change(old.as_ref(), &mut value);
        rows.put(Column::AccountChanges, &column::account_change(number, account), &value);
        rows.put(Column::AccountHistory, &column::account_history(account, number), &[]);
    }
    for (account, slot, old) in changed_slots(base, overlay, layer, &executed.replaced)? {
        value.clear();
        codec::encode_word(old, &mut value);
        rows.put(Column::StorageChanges, &column::storage_change(number, account, slot), &value);
        rows.put(Column::StorageHistory, &column::storage_history(account, slot, number), &[]);
    }
    Ok(())
}

/// Account, new value, old value of every account in `layer`.
#[expect(clippy::type_complexity, reason = "three columns of one small table")]
fn changed_accounts(
    base: &StorageReader,
    overlay: &StateLayer,
    layer: &StateLayer,
) -> Result<Vec<(B256, Option<TrieAccount>, Option<TrieAccount>)>, StorageError> {
    let mut unread: Vec<B256> = layer
        .accounts
        .keys()
        .filter(|account| !overlay.accounts.contains_key(*account))
        .copied()
        .collect();
    unread.sort_unstable();
    let read = base.accounts_many(&unread)?;
    let read: B256Map<_> = unread.into_iter().zip(read).collect();
    let mut changed: Vec<_> = layer
        .accounts
        .iter()
        .map(|(account, new)| {
            let old = overlay.accounts.get(account).or_else(|| read.get(account));
            (*account, *new, old.copied().flatten())
        })
        .collect();
    changed.sort_unstable_by_key(|(account, ..)| *account);
    Ok(changed)
}

/// Account, slot and old value of every slot that `layer` gives another value, wiped ones
/// included.
fn changed_slots(
    base: &StorageReader,
    overlay: &StateLayer,
    layer: &StateLayer,
    replaced: &ReplacedSlots,
) -> Result<Vec<(B256, B256, U256)>, StorageError> {
    let mut changed = Vec::new();
    let mut unread = Vec::new();
    for (account, storage) in &layer.storages {
        if let Some(slots) = replaced.get(account).filter(|_| !storage.wiped) {
            debug_assert_eq!(slots.len(), storage.slots.len());
            changed.extend(slots.iter().map(|(slot, old)| (*account, *slot, *old)));
            continue;
        }
        let before = overlay.storages.get(account);
        if storage.wiped {
            for (slot, old) in whole_storage(base, *account, before)? {
                if storage.slots.get(&slot).copied().unwrap_or_default() != old {
                    changed.push((*account, slot, old));
                }
            }
        }
        for (slot, new) in &storage.slots {
            match known_word(before, *slot) {
                // Set slots of a wiped storage are through already.
                Some(old) if storage.wiped && !old.is_zero() => {}
                Some(old) if old == *new => {}
                Some(old) => changed.push((*account, *slot, old)),
                None => unread.push((*account, *slot)),
            }
        }
    }
    unread.sort_unstable();
    let olds = base.storages_many(&unread)?;
    for ((account, slot), old) in unread.into_iter().zip(olds) {
        let storage = &layer.storages[&account];
        let through = storage.wiped && !old.is_zero();
        if !through && storage.slots[&slot] != old {
            changed.push((account, slot, old));
        }
    }
    changed.sort_unstable_by_key(|(account, slot, _)| (*account, *slot));
    Ok(changed)
}

/// The word of a slot as far as an overlay alone tells.
fn known_word(storage: Option<&HashedStorage>, slot: B256) -> Option<U256> {
    let storage = storage?;
    storage.slots.get(&slot).copied().or_else(|| storage.wiped.then_some(U256::ZERO))
}

/// Every set slot of an account under `overlay`.
fn whole_storage(
    base: &StorageReader,
    account: B256,
    overlay: Option<&HashedStorage>,
) -> Result<Vec<(B256, U256)>, StorageError> {
    let mut slots = if overlay.is_some_and(|storage| storage.wiped) {
        Vec::new()
    } else {
        base.storages_from(account, B256::ZERO, usize::MAX)?
    };
    if let Some(overlay) = overlay {
        slots.retain(|(slot, _)| !overlay.slots.contains_key(slot));
        slots.extend(
            overlay
                .slots
                .iter()
                .filter(|(_, word)| !word.is_zero())
                .map(|(slot, word)| (*slot, *word)),
        );
    }
    Ok(slots)
}

/// Removes the rows of the blocks in `from..=to`.
pub(crate) fn remove(
    rows: &mut Rows<'_>,
    base: &StorageReader,
    from: u64,
    to: u64,
) -> Result<(), StorageError> {
    let (start, end) = (column::number(from), column::number(to + 1));
    let mut scan = base.snapshot().scan(Column::AccountChanges, &start, Some(&end));
    while let Some((key, _)) = scan.next()? {
        let account = parse(Column::AccountChanges, key, exact_account_change(key))?;
        let number = parse(Column::AccountChanges, key, number_at(key, 0))?;
        rows.delete(Column::AccountChanges, key);
        rows.delete(Column::AccountHistory, &column::account_history(account, number));
    }
    let mut scan = base.snapshot().scan(Column::StorageChanges, &start, Some(&end));
    while let Some((key, _)) = scan.next()? {
        let (account, slot) = parse(Column::StorageChanges, key, exact_storage_change(key))?;
        let number = parse(Column::StorageChanges, key, number_at(key, 0))?;
        rows.delete(Column::StorageChanges, key);
        rows.delete(Column::StorageHistory, &column::storage_history(account, slot, number));
    }
    Ok(())
}
