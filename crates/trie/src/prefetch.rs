//! Reading ahead.

use crate::{
    TrieError, TrieReader, WantedAccount,
    load::{Walk, load},
};
use alloy_primitives::{
    B256,
    map::{B256Map, B256Set},
};

/// Reads everything that [`state_root`](crate::state_root) will want to read for changes to these
/// accounts and slots (hashed slots by hashed address), in parallel.
///
/// With a [`Cached`](crate::Cached) reader this fills the cache, and can run while the block is
/// still executing. What moves up when a branch dissolves is not read ahead.
///
/// # Errors
///
/// Those of [`state_root`](crate::state_root).
pub fn prefetch<R: TrieReader>(
    reader: &R,
    root: B256,
    touched: &B256Map<B256Set>,
) -> Result<(), TrieError> {
    let mut accounts: Vec<_> = touched.iter().map(|(address, slots)| (*address, slots)).collect();
    accounts.sort_unstable_by_key(|(address, _)| *address);
    let loaded = load(reader, &[Walk { account: None, root, keys: &accounts }])?;

    let wanted: Vec<_> = loaded
        .leaves
        .into_iter()
        .map(|(_, key, reference)| WantedAccount { address: accounts[key].0, reference })
        .collect();
    let mut slots = touched.clone();
    let storages: Vec<_> = wanted
        .iter()
        .zip(reader.accounts(&wanted)?)
        .filter_map(|(wanted, account)| {
            let mut slots: Vec<_> =
                slots.remove(&wanted.address)?.into_iter().map(|slot| (slot, ())).collect();
            slots.sort_unstable();
            Some((wanted.address, account?.storage_root, slots))
        })
        .collect();
    let walks: Vec<_> = storages
        .iter()
        .map(|(address, root, keys)| Walk { account: Some(*address), root: *root, keys })
        .collect();
    load(reader, &walks)?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        Cached, HashedPostState, HashedStorage, MemoryState, TrieAccount, TrieCache, state_root,
    };
    use alloy_primitives::{U256, keccak256};
    use std::sync::Arc;

    #[test]
    fn a_root_reads_nothing_that_was_not_read_ahead() {
        let key = |n: u64| keccak256(n.to_be_bytes());
        let account = |nonce| TrieAccount { nonce, ..Default::default() };
        let slots =
            |shift| (0..500).map(|n| (key(n), U256::from(n + shift))).collect::<B256Map<_>>();
        let accounts = (0..1000).map(|n| (key(n), account(1))).collect();
        let storages = B256Map::from_iter([(key(3), slots(1))]);
        let (state, root) = MemoryState::build(accounts, storages).expect("sorted keys");

        let changes = HashedPostState {
            accounts: (0..200).map(|n| (key(n), Some((&account(2)).into()))).collect(),
            storages: B256Map::from_iter([(
                key(3),
                HashedStorage { wiped: false, slots: slots(2) },
            )]),
        };
        let mut touched: B256Map<B256Set> =
            changes.accounts.keys().map(|address| (*address, B256Set::default())).collect();
        touched.entry(key(3)).or_default().extend(slots(0).into_keys());

        let cache = Arc::new(TrieCache::new(1 << 24));
        prefetch(&Cached::new(cache.clone(), &state), root, &touched).expect("sound state");
        // Nothing but the root node stands behind the cache now.
        let account_nodes = state.account_nodes.clone();
        let mut bare = MemoryState { account_nodes, ..Default::default() };
        bare.account_nodes.retain(|path, _| path.is_empty());
        let blind = state_root(&Cached::new(cache, &bare), root, &changes);
        assert_eq!(
            blind.expect("all in the cache"),
            state_root(&state, root, &changes).expect("sound state")
        );
    }
}
