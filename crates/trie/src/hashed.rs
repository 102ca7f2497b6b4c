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

/// What slots held before they changed, by hashed address and slot.
pub type ReplacedSlots = B256Map<Vec<(B256, U256)>>;

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
        Self::with_replaced(bundle).0
    }

    /// The same, and what every changed slot held before. An account whose storage goes as a whole
    /// is not among the latter: execution has not seen all of it.
    pub fn with_replaced(bundle: &BundleState) -> (Self, ReplacedSlots) {
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
        let mut replaced = ReplacedSlots::default();
        for (address, info, storage) in hashed {
            if let Some(info) = info {
                state.accounts.insert(address, info);
            }
            if let Some(ChangedStorage { wiped, slots }) = storage {
                if !wiped {
                    let old = slots.iter().map(|slot| (slot.key, slot.old));
                    replaced.insert(address, old.collect());
                }
                let slots = slots.iter().map(|slot| (slot.key, slot.new)).collect();
                state.storages.insert(address, HashedStorage { wiped, slots });
            }
        }
        (state, replaced)
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

struct ChangedStorage {
    wiped: bool,
    slots: Vec<ChangedSlot>,
}

struct ChangedSlot {
    key: B256,
    old: U256,
    new: U256,
}

/// The account's storage changes, or nothing when there are none.
fn changed_storage(account: &BundleAccount) -> Option<ChangedStorage> {
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
        .map(|(key, slot)| ChangedSlot {
            key: keccak256(B256::from(**key)),
            old: slot.previous_or_original_value,
            new: slot.present_value,
        })
        .collect();
    Some(ChangedStorage { wiped, slots })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, KECCAK256_EMPTY};
    use revm::{
        database::{AccountStatus, states::StorageSlot},
        primitives::StorageKeyMap,
    };

    fn info(nonce: u64) -> AccountInfo {
        AccountInfo { nonce, ..Default::default() }
    }

    fn slots(slots: &[(u64, u64, u64)]) -> StorageKeyMap<StorageSlot> {
        slots
            .iter()
            .map(|(slot, before, after)| {
                (
                    U256::from(*slot),
                    StorageSlot::new_changed(U256::from(*before), U256::from(*after)),
                )
            })
            .collect()
    }

    fn bundle(accounts: Vec<(u8, BundleAccount)>) -> BundleState {
        let state = accounts
            .into_iter()
            .map(|(byte, account)| (Address::repeat_byte(byte), account))
            .collect();
        BundleState { state, ..Default::default() }
    }

    fn address(byte: u8) -> B256 {
        keccak256(Address::repeat_byte(byte))
    }

    fn slot(slot: u64) -> B256 {
        keccak256(U256::from(slot).to_be_bytes::<32>())
    }

    #[test]
    fn only_what_changed_is_taken() {
        let storage = slots(&[(1, 5, 6), (2, 7, 7), (3, 8, 0)]);
        let state = HashedPostState::from_bundle(&bundle(vec![
            (
                1,
                BundleAccount::new(
                    Some(info(1)),
                    Some(info(2)),
                    Default::default(),
                    AccountStatus::Changed,
                ),
            ),
            (2, BundleAccount::new(Some(info(3)), Some(info(3)), storage, AccountStatus::Changed)),
            (
                3,
                BundleAccount::new(
                    Some(info(4)),
                    Some(info(4)),
                    slots(&[(1, 9, 9)]),
                    AccountStatus::Loaded,
                ),
            ),
            (
                4,
                BundleAccount::new(
                    None,
                    None,
                    Default::default(),
                    AccountStatus::LoadedNotExisting,
                ),
            ),
        ]));
        let changed = HashedAccount { nonce: 2, balance: U256::ZERO, code_hash: KECCAK256_EMPTY };
        assert_eq!(state.accounts, B256Map::from_iter([(address(1), Some(changed))]));
        let slots = B256Map::from_iter([(slot(1), U256::from(6)), (slot(3), U256::ZERO)]);
        let storage = HashedStorage { wiped: false, slots };
        assert_eq!(state.storages, B256Map::from_iter([(address(2), storage)]));
    }

    #[test]
    fn a_destroyed_account_loses_its_storage() {
        // Slot 1 is written again to what it was before the destruction, slot 2 is not.
        let storage = slots(&[(1, 5, 5), (2, 7, 0)]);
        let state = HashedPostState::from_bundle(&bundle(vec![
            (
                1,
                BundleAccount::new(
                    Some(info(1)),
                    None,
                    slots(&[(1, 5, 0)]),
                    AccountStatus::Destroyed,
                ),
            ),
            (
                2,
                BundleAccount::new(
                    Some(info(1)),
                    Some(info(1)),
                    storage,
                    AccountStatus::DestroyedChanged,
                ),
            ),
        ]));
        assert_eq!(state.accounts, B256Map::from_iter([(address(1), None)]));
        let gone = HashedStorage { wiped: true, slots: B256Map::default() };
        let slots = B256Map::from_iter([(slot(1), U256::from(5))]);
        let renewed = HashedStorage { wiped: true, slots };
        assert_eq!(state.storages, B256Map::from_iter([(address(1), gone), (address(2), renewed)]));
    }

    #[test]
    fn later_changes_win() {
        let storage = |wiped, slots: &[(u64, u64)]| HashedStorage {
            wiped,
            slots: slots.iter().map(|(key, value)| (slot(*key), U256::from(*value))).collect(),
        };
        let state = |account, storage| HashedPostState {
            accounts: B256Map::from_iter([(address(1), account)]),
            storages: B256Map::from_iter([(address(1), storage)]),
        };
        let mut changes = state(None, storage(true, &[]));
        let account = Some(HashedAccount::from(&info(1)));
        changes.extend(&state(account, storage(false, &[(1, 2), (3, 4)])));
        assert_eq!(changes, state(account, storage(true, &[(1, 2), (3, 4)])));
        changes.extend(&state(account, storage(false, &[(3, 0)])));
        assert_eq!(changes, state(account, storage(true, &[(1, 2), (3, 0)])));
        changes.extend(&state(None, storage(true, &[(5, 6)])));
        assert_eq!(changes, state(None, storage(true, &[(5, 6)])));
    }
}
