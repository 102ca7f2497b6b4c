//! Reading ahead.

use crate::{
    TrieError, TrieReader,
    proof::walk,
    tree::{AccountTree, StorageTree},
};
use alloy_primitives::{
    B256,
    map::{B256Map, B256Set},
};
use alloy_trie::EMPTY_ROOT_HASH;
use rayon::prelude::*;

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
    let touched: Vec<_> = touched.iter().collect();
    touched.into_par_iter().with_min_len(8).try_for_each(|(address, slots)| {
        walk(&AccountTree(reader), root, *address, |_| Ok(()))?;
        let account = reader.account(*address)?;
        let storage_root = account.map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
        let tree = StorageTree { reader, account: *address };
        let slots: Vec<_> = slots.iter().collect();
        slots.into_par_iter().with_min_len(32).try_for_each(|slot| {
            walk(&tree, storage_root, *slot, |_| Ok(()))?;
            Ok(())
        })
    })
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

        let cache = Arc::new(TrieCache::new(1 << 24, root));
        prefetch(&Cached::new(cache.clone(), root, &state), root, &touched).expect("sound state");
        // Nothing stands behind the cache now.
        let empty = MemoryState::default();
        let blind = state_root(&Cached::new(cache, root, &empty), root, &changes);
        assert_eq!(
            blind.expect("all in the cache"),
            state_root(&state, root, &changes).expect("sound state")
        );
    }
}
