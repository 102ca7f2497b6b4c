//! The state root after a set of changes.

use crate::{
    HashedAccount, HashedPostState, HashedStorage, StorageTrieUpdates, TrieError, TrieId,
    TrieReader, TrieUpdates, WantedAccount,
    hash::{Finished, Hashed},
    load::{Loaded, Walk, load},
    part::{self, Below, cut, join},
    plan::{Change, Plan},
    proof::check_root,
    tree::{AccountTree, StorageTree},
};
use alloy_primitives::{B256, U256, map::B256Map};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use rayon::prelude::*;

/// Accounts one thread reads at a time.
const CHUNK: usize = 128;

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
        let tree = AccountTree(reader);
        let root = check_root(&tree, parent_root)?;
        let branch = root.filter(|root| root.as_branch().is_some());

        let addresses = addresses(changes);
        let parts = if branch.is_some() { cut(&addresses) } else { vec![&*addresses] };
        let mut parts: Vec<_> = parts
            .into_par_iter()
            .map(|addresses| Part::new(reader, parent_root, branch.is_some(), addresses))
            .collect::<Result<_, _>>()?;

        let mut new_root = parts.iter().find_map(|part| part.hashed.root);
        let mut top = Hashed::default();
        if let Some(branch) = branch {
            let below = parts.iter_mut().filter_map(|part| part.below.take());
            (top, _) = hash(reader, &join(&tree, &branch, below)?);
            new_root = top.root;
        }

        let count = |part: &Part<'_>| (part.touched.len(), part.hashed.nodes.len());
        let (accounts, nodes) =
            parts.iter().map(count).fold((0, 0), |sum, part| (sum.0 + part.0, sum.1 + part.1));
        let mut output = TrieOutput {
            state_root: new_root.unwrap_or(parent_root),
            accounts: B256Map::with_capacity_and_hasher(accounts, Default::default()),
            updates: TrieUpdates::default(),
        };
        output.updates.account_nodes.reserve(nodes + top.nodes.len());
        for Part { touched, storages, hashed, .. } in parts {
            let changed = touched.into_iter().filter(|touched| touched.old != touched.new);
            output.accounts.extend(changed.map(|touched| (touched.address, touched.new)));
            output.updates.account_nodes.extend(hashed.nodes);
            output.updates.storages.extend(storages);
        }
        output.updates.account_nodes.extend(top.nodes);
        Ok(output)
    })
}

/// The changes to some of the accounts, and what they make of the trie.
struct Part<'a> {
    touched: Vec<Touched<'a>>,
    storages: B256Map<StorageTrieUpdates>,
    hashed: Hashed,
    /// What is left to do, where there is a root branch: all parts have that in common.
    below: Option<Below<TrieAccount>>,
}

impl<'a> Part<'a> {
    fn new<R: TrieReader>(
        reader: &R,
        root: B256,
        branch: bool,
        addresses: &[(B256, Changes<'a>)],
    ) -> Result<Self, TrieError> {
        let tree = AccountTree(reader);
        let loaded = load(reader, &[Walk { account: None, root, keys: addresses }])?;
        let mut touched = touched_accounts(reader, addresses, &loaded)?;
        let storages = storage_roots(reader, &mut touched)?;

        // Also what ends as it was: the walk has to go the way that was loaded.
        let accounts: Vec<Change<TrieAccount>> =
            touched.iter().map(|touched| (touched.address, touched.new)).collect();
        let mut plan = Plan::new();
        let slots = if branch {
            Some(part::plan(&mut plan, &tree, &loaded, &accounts)?)
        } else {
            plan.trie(0, &tree, &loaded, loaded.root(0), &accounts)?;
            None
        };
        let (hashed, finished) = hash(reader, &plan);
        let below = slots.map(|slots| Below::new(&plan, &finished, slots));
        Ok(Self { touched, storages, hashed, below })
    }
}

/// Hashes a plan of the account trie.
fn hash<R: TrieReader>(reader: &R, plan: &Plan<TrieAccount>) -> (Hashed, Finished) {
    let (mut hashed, finished) = plan.hash(1, &|made| reader.made_nodes(made));
    reader.made_accounts(
        &finished
            .leaves
            .iter()
            .cloned()
            .zip(plan.leaves.iter().map(|leaf| leaf.value))
            .collect::<Vec<_>>(),
    );
    (hashed.pop().unwrap_or_default(), finished)
}

/// What the changes say of an account: its new record, if that is among them, and its storage's
/// changes, if there are any.
type Changes<'a> = (Option<&'a Option<HashedAccount>>, Option<&'a HashedStorage>);

/// The accounts that the changes speak of, sorted.
fn addresses(changes: &HashedPostState) -> Vec<(B256, Changes<'_>)> {
    let storage_only =
        changes.storages.iter().filter(|(address, _)| !changes.accounts.contains_key(*address));
    let mut addresses: Vec<_> = changes
        .accounts
        .iter()
        .map(|(address, info)| (*address, (Some(info), changes.storages.get(address))))
        .chain(storage_only.map(|(address, storage)| (*address, (None, Some(storage)))))
        .collect();
    addresses.par_sort_unstable_by_key(|(address, _)| *address);
    addresses
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

impl<'a> Touched<'a> {
    fn new(address: B256, old: Option<TrieAccount>, (info, storage): Changes<'a>) -> Self {
        let old_root = old.map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
        let info = info.copied().unwrap_or_else(|| old.as_ref().map(Into::into));
        let wiped = info.is_none() || storage.is_some_and(|storage| storage.wiped);
        let wiped = wiped && old_root != EMPTY_ROOT_HASH;
        let root = if wiped { EMPTY_ROOT_HASH } else { old_root };
        let new = info.map(|info| info.with_storage_root(root));
        let slots = storage.map(|storage| &storage.slots);
        let slots = slots.filter(|slots| new.is_some() && !slots.is_empty());
        Self { address, old, new, wiped, slots }
    }

    /// The slots that change, sorted, over the storage root that `new` has.
    fn storage(&self) -> Option<(B256, Vec<Change<U256>>)> {
        let (slots, account) = (self.slots?, self.new?);
        let value = |value: &U256| (!value.is_zero()).then_some(*value);
        let mut slots: Vec<_> = slots.iter().map(|(slot, new)| (*slot, value(new))).collect();
        slots.sort_unstable_by_key(|(slot, _)| *slot);
        Some((account.storage_root, slots))
    }
}

/// Reads the accounts that are there.
fn touched_accounts<'a, R: TrieReader>(
    reader: &R,
    addresses: &[(B256, Changes<'a>)],
    loaded: &Loaded,
) -> Result<Vec<Touched<'a>>, TrieError> {
    let mut old = vec![None; addresses.len()];
    let there: Vec<_> = loaded
        .leaves
        .par_chunks(CHUNK)
        .map(|leaves| {
            let wanted: Vec<_> = leaves
                .iter()
                .map(|(_, key, reference)| WantedAccount {
                    address: addresses[*key].0,
                    reference: reference.clone(),
                })
                .collect();
            reader.accounts(&wanted)
        })
        .collect::<Result<_, _>>()?;
    for ((_, key, _), account) in loaded.leaves.iter().zip(there.into_iter().flatten()) {
        let missing = TrieError::MissingLeaf { trie: TrieId::Accounts, key: addresses[*key].0 };
        old[*key] = Some(account.ok_or(missing)?);
    }
    let touched = addresses.iter().zip(old);
    Ok(touched.map(|((address, changes), old)| Touched::new(*address, old, *changes)).collect())
}

/// Computes the storage roots of `touched`; returns what changes in their tries.
fn storage_roots<R: TrieReader>(
    reader: &R,
    touched: &mut [Touched<'_>],
) -> Result<B256Map<StorageTrieUpdates>, TrieError> {
    let slots: Vec<_> = touched
        .par_iter()
        .enumerate()
        .with_min_len(CHUNK)
        .filter_map(|(index, touched)| {
            let (root, slots) = touched.storage()?;
            Some((index, touched.address, root, slots))
        })
        .collect();
    let walks: Vec<_> = slots
        .iter()
        .map(|(_, address, root, keys)| Walk { account: Some(*address), root: *root, keys })
        .collect();
    let loaded = load(reader, &walks)?;

    let plan = slots
        .par_iter()
        .enumerate()
        .with_min_len(8)
        .try_fold(Plan::new, |mut plan, (walk, (_, account, _, slots))| {
            let tree = StorageTree { reader, account: *account };
            plan.trie(walk as u32, &tree, &loaded, loaded.root(walk), slots)?;
            Ok::<_, TrieError>(plan)
        })
        .try_reduce(Plan::new, |mut plan, other| {
            plan.append(other);
            Ok(plan)
        })?;
    let (hashed, _) = plan.hash(slots.len(), &|made| reader.made_nodes(made));

    let mut updates = B256Map::default();
    for ((index, address, ..), hashed) in slots.iter().zip(hashed) {
        let touched = &mut touched[*index];
        if let (Some(account), Some(root)) = (&mut touched.new, hashed.root) {
            account.storage_root = root;
        }
        if !hashed.nodes.is_empty() {
            let nodes = hashed.nodes.into_iter().collect();
            updates.insert(*address, StorageTrieUpdates { wiped: false, nodes });
        }
    }
    for touched in touched.iter().filter(|touched| touched.wiped) {
        updates.entry(touched.address).or_default().wiped = true;
    }
    Ok(updates)
}
