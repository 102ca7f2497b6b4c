//! State kept in memory from block to block, under plain keys.
//!
//! A hit saves hashing the key, a look into every block in memory, and a read from the database.

use crate::{EngineConfig, block::MemoryBlock};
use alloy_primitives::{Address, B256, U256, map::DefaultHashBuilder};
use ascribe_trie::TrieCache;
use parking_lot::RwLock;
use quick_cache::{
    Weighter,
    sync::{Cache, DefaultLifecycle},
};
use revm::{
    bytecode::Bytecode, database::BundleState, primitives::KECCAK_EMPTY, state::AccountInfo,
};
use std::{
    fmt,
    hash::Hash,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// What an entry costs beside key and value: table, list links.
const OVERHEAD: u64 = 48;
const ACCOUNT_BYTES: u64 = OVERHEAD + size_of::<(Address, Option<PlainAccount>)>() as u64;
const SLOT_BYTES: u64 = OVERHEAD + size_of::<(SlotKey, U256)>() as u64;

type SlotKey = (Address, U256);
type Table<K, V> = Cache<K, V, Weight, DefaultHashBuilder>;

/// An account as execution sees it, without code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct PlainAccount {
    pub(crate) nonce: u64,
    pub(crate) balance: U256,
    pub(crate) code_hash: B256,
}

impl PlainAccount {
    /// As revm takes it. `code: None` has revm ask for the code by its hash.
    pub(crate) const fn into_info(self) -> AccountInfo {
        AccountInfo {
            balance: self.balance,
            nonce: self.nonce,
            code_hash: self.code_hash,
            account_id: None,
            code: None,
        }
    }
}

impl From<&AccountInfo> for PlainAccount {
    fn from(info: &AccountInfo) -> Self {
        Self { nonce: info.nonce, balance: info.balance, code_hash: info.code_hash }
    }
}

impl From<&ascribe_trie::TrieAccount> for PlainAccount {
    fn from(account: &ascribe_trie::TrieAccount) -> Self {
        Self { nonce: account.nonce, balance: account.balance, code_hash: account.code_hash }
    }
}

/// What a block changes, under plain keys.
#[derive(Debug, Clone, Default)]
pub(crate) struct PlainChanges {
    /// New accounts; `None` is gone.
    pub(crate) accounts: Vec<(Address, Option<PlainAccount>)>,
    /// New storage words.
    pub(crate) slots: Vec<(SlotKey, U256)>,
    /// Storage that had been there went as a whole: any slot may have changed.
    pub(crate) wiped: bool,
}

impl PlainChanges {
    pub(crate) fn from_bundle(bundle: &BundleState) -> Self {
        let mut changes = Self::default();
        changes.accounts.reserve(bundle.state.len());
        for (address, account) in &bundle.state {
            if account.is_info_changed() {
                changes.accounts.push((*address, account.info.as_ref().map(PlainAccount::from)));
            }
            // Only an account with code can have had storage.
            let had_storage = account
                .original_info
                .as_ref()
                .is_some_and(|info| info.code_hash != KECCAK_EMPTY || !account.storage.is_empty());
            changes.wiped |= account.was_destroyed() && had_storage;
            for (slot, value) in &account.storage {
                if value.is_changed() || account.was_destroyed() {
                    changes.slots.push(((*address, *slot), value.present_value));
                }
            }
        }
        changes
    }
}

#[derive(Debug, Clone)]
struct Weight(u64);

impl<K, V> Weighter<K, V> for Weight {
    fn weight(&self, _: &K, _: &V) -> u64 {
        self.0
    }
}

/// A byte-bounded cache of accounts and storage words, valid after one block.
///
/// Readers made for that block go on answering for it when the cache has moved: they then find
/// nothing here. The version moves before any entry does, so a reader that finds an entry and
/// *then* sees its own version knows that the entry is of its own block.
pub(crate) struct StateCache {
    accounts: Table<Address, Option<PlainAccount>>,
    slots: Table<SlotKey, U256>,
    /// The block whose state is held. Filling takes the lock shared, moving exclusively.
    block: RwLock<B256>,
    version: AtomicU64,
}

impl StateCache {
    /// An empty cache of at most `bytes` bytes, valid after `block`.
    pub(crate) fn new(bytes: u64, block: B256) -> Self {
        let accounts = bytes / 3;
        Self {
            accounts: table(accounts, ACCOUNT_BYTES),
            slots: table(bytes - accounts, SLOT_BYTES),
            block: RwLock::new(block),
            version: AtomicU64::new(0),
        }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> u64 {
        self.accounts.weight() + self.slots.weight()
    }

    /// Moves on from `parent` to `block`. False, and nothing happens, if it is not at `parent`.
    fn advance(&self, parent: B256, block: B256, changes: &PlainChanges) -> bool {
        self.shift(parent, block, || {
            if changes.wiped {
                self.slots.clear();
            }
            for (address, account) in &changes.accounts {
                self.accounts.insert(*address, *account);
            }
            for (key, value) in &changes.slots {
                self.slots.insert(*key, *value);
            }
        })
    }

    /// Moves back from `block` to `parent`, by forgetting what the block had changed.
    fn revert(&self, block: B256, parent: B256, changes: &PlainChanges) -> bool {
        self.shift(block, parent, || {
            if changes.wiped {
                self.slots.clear();
            }
            for (address, _) in &changes.accounts {
                self.accounts.remove(address);
            }
            for (key, _) in &changes.slots {
                self.slots.remove(key);
            }
        })
    }

    fn reset(&self, block: B256) {
        let mut current = self.block.write();
        self.version.fetch_add(1, Ordering::Release);
        self.accounts.clear();
        self.slots.clear();
        *current = block;
    }

    fn shift(&self, from: B256, to: B256, change: impl FnOnce()) -> bool {
        let mut current = self.block.write();
        if *current != from {
            return false;
        }
        self.version.fetch_add(1, Ordering::Release);
        change();
        *current = to;
        true
    }
}

impl fmt::Debug for StateCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StateCache")
            .field("block", &*self.block.read())
            .field("accounts", &self.accounts.len())
            .field("slots", &self.slots.len())
            .finish_non_exhaustive()
    }
}

fn table<K: Eq + Hash, V: Clone>(bytes: u64, entry: u64) -> Table<K, V> {
    let items = usize::try_from(bytes / entry).unwrap_or(usize::MAX);
    Cache::with(
        items,
        bytes,
        Weight(entry),
        DefaultHashBuilder::default(),
        DefaultLifecycle::default(),
    )
}

/// One block's way into the [`StateCache`], where it puts what it reads from below.
///
/// Requests may ask for anything. The table lets go of what was asked for once before what is asked
/// for again, so they do not displace what execution works on.
#[derive(Debug, Clone)]
pub(crate) struct StateCacheView {
    cache: Arc<StateCache>,
    version: u64,
}

impl StateCacheView {
    /// A view for the state after `block`, or nothing when the cache is elsewhere.
    pub(crate) fn new(cache: &Arc<StateCache>, block: B256) -> Option<Self> {
        let current = cache.block.read();
        let version = cache.version.load(Ordering::Acquire);
        (*current == block).then(|| Self { cache: cache.clone(), version })
    }

    pub(crate) fn account<E>(
        &self,
        address: Address,
        read: impl FnOnce() -> Result<Option<PlainAccount>, E>,
    ) -> Result<Option<PlainAccount>, E> {
        self.get_or_read(&self.cache.accounts, address, read)
    }

    pub(crate) fn slot<E>(
        &self,
        address: Address,
        slot: U256,
        read: impl FnOnce() -> Result<U256, E>,
    ) -> Result<U256, E> {
        self.get_or_read(&self.cache.slots, (address, slot), read)
    }

    fn get_or_read<K: Eq + Hash, V: Copy, E>(
        &self,
        table: &Table<K, V>,
        key: K,
        read: impl FnOnce() -> Result<V, E>,
    ) -> Result<V, E> {
        if let Some(found) = table.get(&key)
            && self.is_current()
        {
            return Ok(found);
        }
        let value = read()?;
        let _unmoved = self.cache.block.read();
        if self.is_current() {
            table.insert(key, value);
        }
        Ok(value)
    }

    fn is_current(&self) -> bool {
        self.version == self.cache.version.load(Ordering::Acquire)
    }
}

#[derive(Debug, Clone)]
struct CodeWeight;

impl Weighter<B256, Bytecode> for CodeWeight {
    fn weight(&self, _: &B256, code: &Bytecode) -> u64 {
        // One bit a byte for the jump table.
        OVERHEAD + size_of::<B256>() as u64 + code.len() as u64 * 9 / 8
    }
}

/// Analysed code by its hash. It has no version: a hash always means the same code.
pub(crate) struct CodeCache(Cache<B256, Bytecode, CodeWeight, DefaultHashBuilder>);

impl CodeCache {
    pub(crate) fn new(bytes: u64) -> Self {
        /// Bytes of a usual contract, to size tables by.
        const TYPICAL: u64 = 8 << 10;
        let items = usize::try_from(bytes / TYPICAL).unwrap_or(usize::MAX);
        let lifecycle = DefaultLifecycle::default();
        Self(Cache::with(items, bytes, CodeWeight, DefaultHashBuilder::default(), lifecycle))
    }

    pub(crate) fn get_or_read<E>(
        &self,
        hash: B256,
        read: impl FnOnce() -> Result<Bytecode, E>,
    ) -> Result<Bytecode, E> {
        if let Some(code) = self.0.get(&hash) {
            return Ok(code);
        }
        let code = read()?;
        self.0.insert(hash, code.clone());
        Ok(code)
    }
}

impl fmt::Debug for CodeCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CodeCache").field("codes", &self.0.len()).finish_non_exhaustive()
    }
}

/// Everything that lives across blocks. State is that after the newest executed block; trie nodes
/// and code go by their hash. Importing and building share them.
#[derive(Debug, Clone)]
pub(crate) struct Caches {
    pub(crate) state: Arc<StateCache>,
    pub(crate) trie: Arc<TrieCache>,
    pub(crate) code: Arc<CodeCache>,
}

impl Caches {
    pub(crate) fn new(config: &EngineConfig, block: B256) -> Self {
        Self {
            state: Arc::new(StateCache::new(config.state_cache_bytes, block)),
            trie: Arc::new(TrieCache::new(config.trie_cache_bytes)),
            code: Arc::new(CodeCache::new(config.code_cache_bytes)),
        }
    }

    /// The block whose state they hold.
    pub(crate) fn block(&self) -> B256 {
        *self.state.block.read()
    }

    /// Moves on to `block` if they are at its parent.
    pub(crate) fn advance(&self, block: &MemoryBlock) {
        self.state.advance(block.parent_hash(), block.hash(), block.changes());
    }

    /// Moves back to the parent if they are at `block`.
    pub(crate) fn revert(&self, block: &MemoryBlock) {
        self.state.revert(block.hash(), block.parent_hash(), block.changes());
    }

    /// Forgets all state and starts over after `block`.
    pub(crate) fn reset(&self, block: B256) {
        self.state.reset(block);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::{collections::BTreeMap, convert::Infallible};

    fn hash(n: u64) -> B256 {
        B256::from(U256::from(n))
    }

    fn address(n: u8) -> Address {
        Address::repeat_byte(n)
    }

    fn account(nonce: u64) -> PlainAccount {
        PlainAccount { nonce, balance: U256::ZERO, code_hash: KECCAK_EMPTY }
    }

    fn changes(accounts: &[(u8, u64)], slots: &[(u8, u64, u64)]) -> PlainChanges {
        PlainChanges {
            accounts: accounts.iter().map(|(a, n)| (address(*a), Some(account(*n)))).collect(),
            slots: slots
                .iter()
                .map(|(a, slot, value)| ((address(*a), U256::from(*slot)), U256::from(*value)))
                .collect(),
            wiped: false,
        }
    }

    fn nonce(view: &StateCacheView, a: u8, below: u64) -> u64 {
        let read = || Ok::<_, Infallible>(Some(account(below)));
        view.account(address(a), read).expect("infallible").expect("present").nonce
    }

    #[test]
    fn a_reader_keeps_its_block_when_the_cache_moves() {
        let cache = Arc::new(StateCache::new(1 << 20, hash(1)));
        let old = StateCacheView::new(&cache, hash(1)).expect("at block 1");
        assert_eq!(nonce(&old, 1, 7), 7);
        assert_eq!(nonce(&old, 1, 8), 7, "a hit");

        assert!(!cache.advance(hash(5), hash(6), &changes(&[(1, 9)], &[])));
        assert!(cache.advance(hash(1), hash(2), &changes(&[(1, 9)], &[])));
        assert_eq!(nonce(&old, 1, 7), 7, "read from below");
        assert!(StateCacheView::new(&cache, hash(1)).is_none());
        let new = StateCacheView::new(&cache, hash(2)).expect("at block 2");
        assert_eq!(nonce(&new, 1, 0), 9);

        assert!(cache.revert(hash(2), hash(1), &changes(&[(1, 9)], &[])));
        let again = StateCacheView::new(&cache, hash(1)).expect("at block 1");
        assert_eq!(nonce(&again, 1, 7), 7);
        assert_eq!(nonce(&new, 1, 9), 9, "read from below");
    }

    #[test]
    fn a_scan_displaces_nothing_that_is_used() {
        let bound = 1 << 20;
        let cache = Arc::new(StateCache::new(bound, hash(1)));
        let view = StateCacheView::new(&cache, hash(1)).expect("at block 1");
        let missed = std::cell::Cell::new(0);
        let slot = |n: u64| {
            let read = || {
                missed.set(missed.get() + 1);
                Ok::<_, Infallible>(U256::from(n))
            };
            view.slot(address(1), U256::from(n), read).expect("infallible");
        };
        let used = bound / SLOT_BYTES / 3;
        (0..used).chain(0..used).for_each(slot);
        (used..50 * used).for_each(slot);
        missed.set(0);
        (0..used).for_each(slot);
        assert!(missed.get() < used / 20, "{} of {used} were displaced", missed.get());
    }

    #[test]
    fn wiped_storage_is_forgotten() {
        let cache = Arc::new(StateCache::new(1 << 20, hash(1)));
        let view = StateCacheView::new(&cache, hash(1)).expect("at block 1");
        let slot = |view: &StateCacheView, below: u64| {
            view.slot(address(1), U256::ONE, || Ok::<_, Infallible>(U256::from(below)))
                .expect("infallible")
        };
        assert_eq!(slot(&view, 3), U256::from(3));
        assert!(cache.advance(
            hash(1),
            hash(2),
            &PlainChanges { wiped: true, ..changes(&[], &[]) }
        ));
        let view = StateCacheView::new(&cache, hash(2)).expect("at block 2");
        assert_eq!(slot(&view, 0), U256::ZERO);
    }

    #[test]
    fn bytes_stay_within_the_bound() {
        let bound = 64 << 10;
        let cache = Arc::new(StateCache::new(bound, hash(1)));
        let view = StateCacheView::new(&cache, hash(1)).expect("at block 1");
        for n in 0..5_000u64 {
            let read = || Ok::<_, Infallible>(U256::from(n));
            view.slot(address(1), U256::from(n), read).expect("infallible");
            let address = Address::from_word(hash(n));
            view.account(address, || Ok::<_, Infallible>(None)).expect("infallible");
        }
        assert!(cache.bytes() > bound / 2 && cache.bytes() <= bound, "{} bytes", cache.bytes());
    }

    proptest! {
        /// Over random walks forth and back, whatever the cache answers is what plain maps say.
        #[test]
        fn the_cache_answers_as_the_state_below(
            steps in prop::collection::vec(
                (any::<bool>(), prop::collection::vec((0u8..6, 0u64..4, 0u64..100), 0..6)),
                1..40,
            ),
        ) {
            let cache = Arc::new(StateCache::new(1 << 20, hash(0)));
            let mut states = vec![BTreeMap::<(u8, u64), u64>::new()];
            let mut blocks: Vec<PlainChanges> = Vec::new();
            for (back, writes) in steps {
                let height = blocks.len() as u64;
                if back && let Some(undone) = blocks.pop() {
                    states.pop();
                    prop_assert!(cache.revert(hash(height), hash(height - 1), &undone));
                } else {
                    let mut state = states.last().cloned().unwrap_or_default();
                    state.extend(writes.iter().map(|(a, slot, value)| ((*a, *slot), *value)));
                    let block = changes(&[], &writes);
                    prop_assert!(cache.advance(hash(height), hash(height + 1), &block));
                    states.push(state);
                    blocks.push(block);
                }
                let tip = hash(blocks.len() as u64);
                let view = StateCacheView::new(&cache, tip).expect("at the tip");
                let state = states.last().expect("never empty");
                for a in 0..6u8 {
                    for slot in 0..4u64 {
                        let below = state.get(&(a, slot)).copied().unwrap_or_default();
                        let read = || Ok::<_, Infallible>(U256::from(below));
                        let got = view.slot(address(a), U256::from(slot), read).expect("infallible");
                        prop_assert_eq!(got, U256::from(below));
                    }
                }
            }
        }
    }
}
