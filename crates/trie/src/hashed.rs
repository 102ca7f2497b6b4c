//! State changes under hashed keys.

use alloy_primitives::{
    B256, U256, keccak256,
    map::{B256Map, hash_map::Entry},
};
use alloy_trie::TrieAccount;
use rayon::prelude::*;
use revm::{
    database::{BundleAccount, BundleState},
    state::AccountInfo,
};

/// An account without its storage root, as execution knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HashedAccount {
    /// Transactions sent, or contracts created.
    pub nonce: u64,
    /// Balance in wei.
    pub balance: U256,
    /// keccak256 of the code.
    pub code_hash: B256,
}

impl HashedAccount {
    /// The leaf of this account over the given storage.
    pub const fn with_storage_root(self, storage_root: B256) -> TrieAccount {
        TrieAccount::new(self.nonce, self.balance, storage_root, self.code_hash)
    }
}

impl From<&AccountInfo> for HashedAccount {
    fn from(info: &AccountInfo) -> Self {
        Self { nonce: info.nonce, balance: info.balance, code_hash: info.code_hash }
    }
}

impl From<&TrieAccount> for HashedAccount {
    fn from(account: &TrieAccount) -> Self {
        Self { nonce: account.nonce, balance: account.balance, code_hash: account.code_hash }
    }
}

/// Changes of one account's storage.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HashedStorage {
    /// Everything stored before goes, then `slots` apply.
    pub wiped: bool,
    /// New values by hashed slot; zero deletes.
    pub slots: B256Map<U256>,
}

impl HashedStorage {
    /// Applies later changes on top of these.
    pub fn extend(&mut self, newer: &Self) {
        if newer.wiped {
            self.wiped = true;
            self.slots.clear();
        }
        self.slots.extend(newer.slots.iter().map(|(slot, value)| (*slot, *value)));
    }
}

/// What one or more blocks change, under hashed keys.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct HashedPostState {
    /// New accounts by hashed address; `None` deletes, and its storage goes with it. Accounts
    /// that are empty by EIP-161 are deletions: the caller decides.
    pub accounts: B256Map<Option<HashedAccount>>,
    /// Storage changes by hashed address.
    pub storages: B256Map<HashedStorage>,
}

impl HashedPostState {
    /// Takes the changes out of what revm gathered, leaving out what ended as it began.
    ///
    /// Hashes in parallel: a block has thousands of keys, and each costs a permutation.
    pub fn from_bundle(bundle: &BundleState) -> Self {
        let hashed: Vec<_> = bundle
            .state
            .par_iter()
            .map(|(address, account)| {
                (keccak256(address), changed_info(account), changed_storage(account))
            })
            .collect();

        let mut state = Self {
            accounts: B256Map::with_capacity_and_hasher(hashed.len(), Default::default()),
            storages: B256Map::default(),
        };
        for (address, info, storage) in hashed {
            if let Some(info) = info {
                state.accounts.insert(address, info);
            }
            if let Some(storage) = storage {
                state.storages.insert(address, storage);
            }
        }
        state
    }

    /// Applies later changes on top of these.
    pub fn extend(&mut self, newer: &Self) {
        self.accounts.extend(newer.accounts.iter().map(|(address, info)| (*address, *info)));
        for (address, storage) in &newer.storages {
            match self.storages.entry(*address) {
                Entry::Occupied(mut old) => old.get_mut().extend(storage),
                Entry::Vacant(entry) => {
                    entry.insert(storage.clone());
                }
            }
        }
    }

    /// True when nothing changes.
    pub fn is_empty(&self) -> bool {
        self.accounts.is_empty() && self.storages.is_empty()
    }
}

/// The account's new record, or nothing when it is the old one. The inner `None` deletes.
fn changed_info(account: &BundleAccount) -> Option<Option<HashedAccount>> {
    account.is_info_changed().then(|| account.info.as_ref().map(HashedAccount::from))
}

/// The account's storage changes, or nothing when there are none.
fn changed_storage(account: &BundleAccount) -> Option<HashedStorage> {
    let wiped = account.was_destroyed();
    let changed: Vec<_> = account
        .storage
        .iter()
        .filter(|(_, slot)| {
            // After a destruction the old values are gone, whatever they were.
            let before = if wiped { U256::ZERO } else { slot.previous_or_original_value };
            slot.present_value != before
        })
        .collect();
    if !wiped && changed.is_empty() {
        return None;
    }
    let slots = changed
        .par_iter()
        .with_min_len(64)
        .map(|(key, slot)| (keccak256(B256::from(**key)), slot.present_value))
        .collect();
    Some(HashedStorage { wiped, slots })
}
