//! State at the persisted head, and at every kept height below it.
//!
//! Below the head, a value is found from the first block after the height that changed it: what
//! that block replaced is the value. Where no later block changed it, the head's value holds.

use crate::{
    Column, DecodeError, StorageError, StorageReader, codec,
    column::{self, after_prefix, hash_at, number_at},
};
use alloy_primitives::{B256, U256, map::hash_map::Entry};
use alloy_trie::TrieAccount;
use ascribe_trie::{
    HashedAccount, HashedPostState, Node, TrieReadError, TrieReader, WantedAccount, WantedNode,
};
use nybbles::Nibbles;

impl StorageReader {
    /// An account at the persisted head.
    pub fn account(&self, hashed: B256) -> Result<Option<TrieAccount>, StorageError> {
        self.snapshot().get_with(Column::Accounts, hashed.as_slice(), codec::decode_account)
    }

    /// Accounts at the persisted head, in the order of the keys given; sorted keys are faster.
    pub fn accounts_many(&self, hashed: &[B256]) -> Result<Vec<Option<TrieAccount>>, StorageError> {
        let sorted = hashed.is_sorted();
        self.snapshot().get_many(Column::Accounts, hashed, sorted, codec::decode_account)
    }

    /// A storage word at the persisted head; zero if the slot is not set.
    pub fn storage(&self, account: B256, slot: B256) -> Result<U256, StorageError> {
        let key = column::slot(account, slot);
        let word = self.snapshot().get_with(Column::Storages, &key, codec::decode_nonzero_word)?;
        Ok(word.unwrap_or_default())
    }

    /// Words of many (account, slot) pairs at the persisted head, in their order.
    pub fn storages_many(&self, slots: &[(B256, B256)]) -> Result<Vec<U256>, StorageError> {
        let sorted = slots.is_sorted();
        let keys: Vec<_> =
            slots.iter().map(|(account, slot)| column::slot(*account, *slot)).collect();
        let words = self.snapshot().get_many(
            Column::Storages,
            &keys,
            sorted,
            codec::decode_nonzero_word,
        )?;
        Ok(words.into_iter().map(Option::unwrap_or_default).collect())
    }

    /// Up to `limit` accounts at the persisted head from `start` on, in the order of their hashes.
    pub fn accounts_from(
        &self,
        start: B256,
        limit: usize,
    ) -> Result<Vec<(B256, TrieAccount)>, StorageError> {
        let mut scan = self.snapshot().scan(Column::Accounts, start.as_slice(), None);
        let mut accounts = Vec::new();
        while accounts.len() < limit {
            let Some((key, value)) = scan.next()? else { break };
            accounts.push((
                parse(Column::Accounts, key, exact_hash(key))?,
                decode(Column::Accounts, key, value, codec::decode_account)?,
            ));
        }
        Ok(accounts)
    }

    /// Up to `limit` set slots of an account at the persisted head from `start` on, in the order
    /// of their hashes.
    pub fn storages_from(
        &self,
        account: B256,
        start: B256,
        limit: usize,
    ) -> Result<Vec<(B256, U256)>, StorageError> {
        let from = column::slot(account, start);
        let to = after_prefix(account.as_slice());
        let mut scan = self.snapshot().seek(Column::Storages, &from, to);
        let mut slots = Vec::new();
        while slots.len() < limit {
            let Some((key, value)) = scan.next()? else { break };
            slots.push((
                parse(Column::Storages, key, exact_slot(key))?,
                decode(Column::Storages, key, value, codec::decode_nonzero_word)?,
            ));
        }
        Ok(slots)
    }

    /// An account after block `number`, with the storage root it had then.
    pub fn account_at(
        &self,
        hashed: B256,
        number: u64,
    ) -> Result<Option<TrieAccount>, StorageError> {
        if number == self.head().number {
            return self.account(hashed);
        }
        self.check_kept(number)?;
        let from = column::account_history(hashed, number + 1);
        let to = after_prefix(hashed.as_slice());
        let mut history = self.snapshot().seek(Column::AccountHistory, &from, to);
        let Some((key, _)) = history.next()? else { return self.account(hashed) };
        let changed = parse(Column::AccountHistory, key, number_at(key, 32))?;
        let key = column::account_change(changed, hashed);
        self.snapshot()
            .get_with(Column::AccountChanges, &key, codec::decode_account_change)?
            .ok_or_else(|| StorageError::missing(Column::AccountChanges, &key))
    }

    /// A storage word after block `number`; zero if the slot was not set.
    pub fn storage_at(&self, account: B256, slot: B256, number: u64) -> Result<U256, StorageError> {
        if number == self.head().number {
            return self.storage(account, slot);
        }
        self.check_kept(number)?;
        let from = column::storage_history(account, slot, number + 1);
        let to = after_prefix(&column::slot(account, slot));
        let mut history = self.snapshot().seek(Column::StorageHistory, &from, to);
        let Some((key, _)) = history.next()? else { return self.storage(account, slot) };
        let changed = parse(Column::StorageHistory, key, number_at(key, 64))?;
        let key = column::storage_change(changed, account, slot);
        self.snapshot()
            .get_with(Column::StorageChanges, &key, codec::decode_word)?
            .ok_or_else(|| StorageError::missing(Column::StorageChanges, &key))
    }

    /// What leads from the state at the persisted head back to the state after block `number`:
    /// the value each account and slot changed since had then. Its size follows the number of
    /// changes, so it suits heights near the head.
    ///
    /// Over this reader it is a change like any block's: [`ascribe_trie::state_root`] makes the
    /// nodes at that height from it.
    pub fn revert_state(&self, number: u64) -> Result<HashedPostState, StorageError> {
        self.check_kept(number)?;
        let mut state = HashedPostState::default();
        let from = column::number(number + 1);
        // Oldest first, so the first old value of a key is the one it had at `number`.
        let mut scan = self.snapshot().scan(Column::AccountChanges, &from, None);
        while let Some((key, value)) = scan.next()? {
            let account = parse(Column::AccountChanges, key, exact_account_change(key))?;
            if let Entry::Vacant(entry) = state.accounts.entry(account) {
                let old = decode(Column::AccountChanges, key, value, codec::decode_account_change)?;
                entry.insert(old.as_ref().map(HashedAccount::from));
            }
        }
        let mut scan = self.snapshot().scan(Column::StorageChanges, &from, None);
        while let Some((key, value)) = scan.next()? {
            let (account, slot) = parse(Column::StorageChanges, key, exact_storage_change(key))?;
            // The storage of an account that did not exist goes with it.
            if state.accounts.get(&account).is_some_and(Option::is_none) {
                continue;
            }
            if let Entry::Vacant(entry) =
                state.storages.entry(account).or_default().slots.entry(slot)
            {
                entry.insert(decode(Column::StorageChanges, key, value, codec::decode_word)?);
            }
        }
        Ok(state)
    }

    /// A node of the account trie at the persisted head.
    pub fn account_trie_node(&self, path: &Nibbles) -> Result<Option<Node>, StorageError> {
        self.snapshot().get_with(Column::AccountTrie, &column::account_node(path), decode_node)
    }

    /// A node of a storage trie at the persisted head.
    pub fn storage_trie_node(
        &self,
        account: B256,
        path: &Nibbles,
    ) -> Result<Option<Node>, StorageError> {
        let key = column::storage_node(account, path);
        self.snapshot().get_with(Column::StorageTrie, &key, decode_node)
    }

    /// Nodes of the account trie at the persisted head, in the order of the paths given; sorted
    /// paths are faster.
    pub fn account_trie_nodes_many(
        &self,
        paths: &[Nibbles],
    ) -> Result<Vec<Option<Node>>, StorageError> {
        let keys: Vec<_> = paths.iter().map(column::account_node).collect();
        self.snapshot().get_many(Column::AccountTrie, &keys, keys.is_sorted(), decode_node)
    }

    /// Nodes of storage tries at the persisted head, in the order of the accounts and paths given;
    /// sorted ones are faster.
    pub fn storage_trie_nodes_many(
        &self,
        nodes: &[(B256, Nibbles)],
    ) -> Result<Vec<Option<Node>>, StorageError> {
        let keys: Vec<_> =
            nodes.iter().map(|(account, path)| column::storage_node(*account, path)).collect();
        self.snapshot().get_many(Column::StorageTrie, &keys, keys.is_sorted(), decode_node)
    }

    /// That the state after block `number` can be read.
    pub(crate) fn check_kept(&self, number: u64) -> Result<(), StorageError> {
        let head = self.head().number;
        if number > head {
            return Err(StorageError::AboveHead { number, head });
        }
        let floor = self.history_floor();
        if number < floor {
            return Err(StorageError::Pruned { number, floor });
        }
        Ok(())
    }
}

impl TrieReader for StorageReader {
    fn account(&self, hashed: B256) -> Result<Option<TrieAccount>, TrieReadError> {
        Ok(Self::account(self, hashed)?)
    }

    fn storage(&self, account: B256, slot: B256) -> Result<U256, TrieReadError> {
        Ok(Self::storage(self, account, slot)?)
    }

    fn account_node(&self, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        Ok(self.account_trie_node(path)?)
    }

    fn storage_node(&self, account: B256, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        Ok(self.storage_trie_node(account, path)?)
    }

    fn nodes(&self, wanted: &[WantedNode]) -> Result<Vec<Option<Node>>, TrieReadError> {
        let (mut accounts, mut storages) = (Vec::new(), Vec::new());
        for WantedNode { account, path, .. } in wanted {
            match account {
                None => accounts.push(*path),
                Some(account) => storages.push((*account, *path)),
            }
        }
        let mut accounts = self.account_trie_nodes_many(&accounts)?.into_iter();
        let mut storages = self.storage_trie_nodes_many(&storages)?.into_iter();
        let next = |wanted: &WantedNode| match wanted.account {
            None => accounts.next().flatten(),
            Some(_) => storages.next().flatten(),
        };
        Ok(wanted.iter().map(next).collect())
    }

    fn accounts(
        &self,
        wanted: &[WantedAccount],
    ) -> Result<Vec<Option<TrieAccount>>, TrieReadError> {
        let addresses: Vec<_> = wanted.iter().map(|wanted| wanted.address).collect();
        Ok(self.accounts_many(&addresses)?)
    }
}

pub(crate) fn decode_node(bytes: &[u8]) -> Result<Node, DecodeError> {
    Ok(Node::decode(bytes)?)
}

/// A key of [`Column::Accounts`].
pub(crate) fn exact_hash(key: &[u8]) -> Option<B256> {
    (key.len() == 32).then(|| hash_at(key, 0)).flatten()
}

/// The slot in a key of [`Column::Storages`].
pub(crate) fn exact_slot(key: &[u8]) -> Option<B256> {
    (key.len() == 64).then(|| hash_at(key, 32)).flatten()
}

/// The account in a key of [`Column::AccountChanges`].
pub(crate) fn exact_account_change(key: &[u8]) -> Option<B256> {
    (key.len() == 40).then(|| hash_at(key, 8)).flatten()
}

/// Account and slot in a key of [`Column::StorageChanges`].
pub(crate) fn exact_storage_change(key: &[u8]) -> Option<(B256, B256)> {
    (key.len() == 72).then(|| hash_at(key, 8).zip(hash_at(key, 40))).flatten()
}

/// What was parsed out of a key, or an error that names it.
pub(crate) fn parse<T>(column: Column, key: &[u8], parsed: Option<T>) -> Result<T, StorageError> {
    parsed.ok_or_else(|| {
        StorageError::inconsistent(column, key, format!("a key of {} bytes", key.len()))
    })
}

/// What a value decodes to, or an error that names the entry.
pub(crate) fn decode<T>(
    column: Column,
    key: &[u8],
    value: &[u8],
    decode: impl FnOnce(&[u8]) -> Result<T, DecodeError>,
) -> Result<T, StorageError> {
    decode(value).map_err(|reason| StorageError::corrupt(column, key, reason))
}
