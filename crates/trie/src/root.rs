//! The state root after a set of changes.

use crate::{
    HashedPostState, HashedStorage, StorageTrieUpdates, TrieError, TrieReader, TrieUpdates,
    plan::{Change, Plan},
    proof::check_root,
    tree::{AccountTree, StorageTree},
};
use alloy_primitives::{B256, U256, map::B256Map};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use rayon::prelude::*;

/// A new state root and everything that changed on the way to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrieOutput {
    /// Root of the account trie.
    pub state_root: B256,
    /// Accounts that are not as they were, with their new storage roots; `None` is deleted.
    pub accounts: B256Map<Option<TrieAccount>>,
    /// Nodes to write and to delete.
    pub updates: TrieUpdates,
}

/// Computes the state root after `changes` to the state that `reader` holds, whose root is
/// `parent_root`.
///
/// The cost follows the changed paths, not the size of the state. Accounts are read, storage tries
/// and big branches are walked, and nodes are hashed in parallel on rayon's pool.
///
/// An account that is deleted, or that does not exist after the changes, loses its storage.
///
/// # Errors
///
/// [`TrieError::RootMismatch`] if the reader is not at `parent_root`; any [`TrieError`] if it
/// fails or holds a damaged trie.
pub fn state_root<R: TrieReader>(
    reader: &R,
    parent_root: B256,
    changes: &HashedPostState,
) -> Result<TrieOutput, TrieError> {
    // One hop onto the pool, instead of one for each parallel step.
    rayon::scope(|_| {
        check_root(&AccountTree(reader), parent_root)?;

        let mut storages = TrieUpdates::default().storages;
        let mut touched = touched_accounts(reader, changes)?;
        storage_roots(reader, &mut touched, &mut storages)?;

        let changed: Vec<Change<TrieAccount>> =
            touched.iter().filter(|t| t.old != t.new).map(|t| (t.address, t.new)).collect();
        let mut plan = Plan::new();
        plan.trie(0, &AccountTree(reader), parent_root, &changed)?;
        let hashed = plan.hash(1).pop().unwrap_or_default();

        Ok(TrieOutput {
            state_root: hashed.root.unwrap_or(parent_root),
            accounts: changed.into_iter().collect(),
            updates: TrieUpdates { account_nodes: hashed.nodes, storages },
        })
    })
}

/// An account that the changes speak of.
struct Touched<'a> {
    address: B256,
    old: Option<TrieAccount>,
    /// As it shall be; until storage roots are computed, over its storage before `slots`.
    new: Option<TrieAccount>,
    /// Storage that was there goes first.
    wiped: bool,
    slots: Option<&'a B256Map<U256>>,
}

/// Reads the accounts that change, or whose storage changes; sorted by address.
fn touched_accounts<'a, R: TrieReader>(
    reader: &R,
    changes: &'a HashedPostState,
) -> Result<Vec<Touched<'a>>, TrieError> {
    let storage_only =
        changes.storages.iter().filter(|(address, _)| !changes.accounts.contains_key(*address));
    let mut touched: Vec<_> = changes
        .accounts
        .iter()
        .map(|(address, info)| (*address, Some(info), changes.storages.get(address)))
        .chain(storage_only.map(|(address, storage)| (*address, None, Some(storage))))
        .collect();
    touched.par_sort_unstable_by_key(|(address, ..)| *address);
    touched
        .into_par_iter()
        .with_min_len(32)
        .map(|(address, info, storage)| {
            let old = reader.account(address)?;
            let old_root = old.map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
            let info = info.copied().unwrap_or_else(|| old.as_ref().map(Into::into));
            let wiped = info.is_none() || storage.is_some_and(|storage| storage.wiped);
            let wiped = wiped && old_root != EMPTY_ROOT_HASH;
            let root = if wiped { EMPTY_ROOT_HASH } else { old_root };
            let new = info.map(|info| info.with_storage_root(root));
            let slots = match storage {
                Some(HashedStorage { slots, .. }) if new.is_some() && !slots.is_empty() => {
                    Some(slots)
                }
                _ => None,
            };
            Ok(Touched { address, old, new, wiped, slots })
        })
        .collect()
}

/// Computes the storage roots of `touched`, and what changes in their tries.
fn storage_roots<R: TrieReader>(
    reader: &R,
    touched: &mut [Touched<'_>],
    updates: &mut B256Map<StorageTrieUpdates>,
) -> Result<(), TrieError> {
    let plan_one = |mut plan: Plan<U256>, (index, touched): (usize, &Touched<'_>)| {
        if let (Some(slots), Some(account)) = (touched.slots, touched.new) {
            let mut slots: Vec<Change<U256>> = slots
                .iter()
                .map(|(slot, value)| (*slot, (!value.is_zero()).then_some(*value)))
                .collect();
            slots.sort_unstable_by_key(|(slot, _)| *slot);
            let tree = StorageTree { reader, account: touched.address };
            plan.trie(index as u32, &tree, account.storage_root, &slots)?;
        }
        Ok::<_, TrieError>(plan)
    };
    let plan =
        touched.par_iter().enumerate().with_min_len(8).try_fold(Plan::new, plan_one).try_reduce(
            Plan::new,
            |mut plan, other| {
                plan.append(other);
                Ok(plan)
            },
        )?;
    let hashed = plan.hash(touched.len());
    for (touched, hashed) in touched.iter_mut().zip(hashed) {
        if let (Some(account), Some(root)) = (&mut touched.new, hashed.root) {
            account.storage_root = root;
        }
        if touched.wiped || !hashed.nodes.is_empty() {
            let update = StorageTrieUpdates { wiped: touched.wiped, nodes: hashed.nodes };
            updates.insert(touched.address, update);
        }
    }
    Ok(())
}
