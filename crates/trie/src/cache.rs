//! Nodes and accounts kept in memory from block to block.

use crate::{Node, StateLayer, TrieReadError, TrieReader};
use alloy_primitives::{B256, U256, map::DefaultHashBuilder};
use alloy_trie::TrieAccount;
use nybbles::Nibbles;
use parking_lot::RwLock;
use quick_cache::{
    Weighter,
    sync::{Cache, DefaultLifecycle},
};
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// What a cached thing costs beside its own bytes: key, table, list links, reference counts.
const OVERHEAD: u64 = 128;
/// Bytes of a typical node, to size tables by.
const TYPICAL_NODE: u64 = 512;

/// A storage trie's node, or, without an address, an account trie's.
type NodeKey = (Option<B256>, Nibbles);

#[derive(Debug, Clone)]
struct Bytes;

impl Weighter<NodeKey, Node> for Bytes {
    fn weight(&self, _: &NodeKey, node: &Node) -> u64 {
        OVERHEAD + node.encoded().len() as u64
    }
}

impl Weighter<B256, Option<TrieAccount>> for Bytes {
    fn weight(&self, _: &B256, _: &Option<TrieAccount>) -> u64 {
        OVERHEAD + size_of::<Option<TrieAccount>>() as u64
    }
}

/// A byte-bounded cache of trie nodes and accounts, valid at one state root.
///
/// It serves many readers while it is filled and moved on. A [`Cached`] reader made at one root
/// goes on answering for that root when the cache has moved: it then reads past the cache.
pub struct TrieCache {
    nodes: Cache<NodeKey, Node, Bytes, DefaultHashBuilder>,
    accounts: Cache<B256, Option<TrieAccount>, Bytes, DefaultHashBuilder>,
    /// The root that the contents belong to. Filling takes the lock shared, moving exclusively.
    root: RwLock<B256>,
    /// Changes before any content does when the root moves.
    version: AtomicU64,
}

impl TrieCache {
    /// An empty cache of at most `bytes` bytes, valid at `root`.
    pub fn new(bytes: u64, root: B256) -> Self {
        let accounts = bytes / 8;
        Self {
            nodes: cache(bytes - accounts, OVERHEAD + TYPICAL_NODE),
            accounts: cache(accounts, OVERHEAD + size_of::<Option<TrieAccount>>() as u64),
            root: RwLock::new(root),
            version: AtomicU64::new(0),
        }
    }

    /// The state root that the contents belong to.
    pub fn root(&self) -> B256 {
        *self.root.read()
    }

    /// Bytes held.
    pub fn bytes(&self) -> u64 {
        self.nodes.weight() + self.accounts.weight()
    }

    /// Moves from `old_root` to `new_root`, which differ by `layer`. False, and nothing happens,
    /// when the cache is not at `old_root`.
    pub fn advance(&self, old_root: B256, new_root: B256, layer: &StateLayer) -> bool {
        self.shift(old_root, new_root, || {
            // Nodes of wiped storage are left to age out: whatever path the new trie ever uses is
            // written when it comes into use, and no other path is read.
            for (key, node) in node_updates(layer) {
                match node {
                    Some(node) => self.nodes.insert(key, node.clone()),
                    None => {
                        self.nodes.remove(&key);
                    }
                }
            }
            for (address, account) in &layer.accounts {
                self.accounts.insert(*address, *account);
            }
        })
    }

    /// Undoes [`advance`](Self::advance): moves from `new_root` back to `old_root` by forgetting
    /// what `layer` had changed. False, and nothing happens, when the cache is not at `new_root`.
    pub fn revert(&self, new_root: B256, old_root: B256, layer: &StateLayer) -> bool {
        self.shift(new_root, old_root, || {
            for (key, _) in node_updates(layer) {
                self.nodes.remove(&key);
            }
            for address in layer.accounts.keys() {
                self.accounts.remove(address);
            }
        })
    }

    /// Forgets everything and starts over at `root`.
    pub fn reset(&self, root: B256) {
        let mut current = self.root.write();
        self.version.fetch_add(1, Ordering::Release);
        self.nodes.clear();
        self.accounts.clear();
        *current = root;
    }

    fn shift(&self, from: B256, to: B256, change: impl FnOnce()) -> bool {
        let mut current = self.root.write();
        if *current != from {
            return false;
        }
        self.version.fetch_add(1, Ordering::Release);
        change();
        *current = to;
        true
    }
}

impl fmt::Debug for TrieCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrieCache")
            .field("root", &self.root())
            .field("nodes", &self.nodes.len())
            .field("accounts", &self.accounts.len())
            .field("bytes", &self.bytes())
            .finish()
    }
}

fn cache<K, V>(bytes: u64, typical: u64) -> Cache<K, V, Bytes, DefaultHashBuilder>
where
    K: Eq + std::hash::Hash,
    V: Clone,
    Bytes: Weighter<K, V>,
{
    let items = (bytes / typical).try_into().unwrap_or(usize::MAX);
    Cache::with(items, bytes, Bytes, DefaultHashBuilder::default(), DefaultLifecycle::default())
}

fn node_updates(layer: &StateLayer) -> impl Iterator<Item = (NodeKey, &Option<Node>)> {
    let accounts = layer.trie.account_nodes.iter().map(|(path, node)| ((None, *path), node));
    let storages = layer.trie.storages.iter().flat_map(|(address, updates)| {
        updates.nodes.iter().map(|(path, node)| ((Some(*address), *path), node))
    });
    accounts.chain(storages)
}

/// A reader that asks a [`TrieCache`] first, and fills it.
#[derive(Debug, Clone)]
pub struct Cached<R> {
    cache: Arc<TrieCache>,
    /// The cache's version that has the reader's root; `None` when it was elsewhere.
    version: Option<u64>,
    reader: R,
}

impl<R> Cached<R> {
    /// Puts `cache` before `reader`, whose state has root `root`. If the cache is at another root,
    /// it is left alone.
    pub fn new(cache: Arc<TrieCache>, root: B256, reader: R) -> Self {
        let version = {
            let current = cache.root.read();
            (*current == root).then(|| cache.version.load(Ordering::Acquire))
        };
        Self { cache, version, reader }
    }

    /// The reader behind the cache.
    pub const fn inner(&self) -> &R {
        &self.reader
    }

    fn is_current(&self) -> bool {
        self.version == Some(self.cache.version.load(Ordering::Acquire))
    }

    fn get_or_read<K, V>(
        &self,
        cache: &Cache<K, V, Bytes, DefaultHashBuilder>,
        key: K,
        read: impl FnOnce() -> Result<Option<V>, TrieReadError>,
    ) -> Result<Option<V>, TrieReadError>
    where
        K: Eq + std::hash::Hash,
        V: Clone,
        Bytes: Weighter<K, V>,
    {
        if self.version.is_none() {
            return read();
        }
        // The version changes before contents do: if it stands after the look-up, what was found
        // belongs to this reader's root.
        if let Some(found) = cache.get(&key)
            && self.is_current()
        {
            return Ok(Some(found));
        }
        let read = read()?;
        if let Some(value) = &read {
            let _unmoved = self.cache.root.read();
            if self.is_current() {
                cache.insert(key, value.clone());
            }
        }
        Ok(read)
    }
}

impl<R: TrieReader> TrieReader for Cached<R> {
    fn account(&self, hashed: B256) -> Result<Option<TrieAccount>, TrieReadError> {
        let read = || self.reader.account(hashed).map(Some);
        Ok(self.get_or_read(&self.cache.accounts, hashed, read)?.flatten())
    }

    fn storage(&self, account: B256, slot: B256) -> Result<U256, TrieReadError> {
        self.reader.storage(account, slot)
    }

    fn account_node(&self, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        self.get_or_read(&self.cache.nodes, (None, *path), || self.reader.account_node(path))
    }

    fn storage_node(&self, account: B256, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        let read = || self.reader.storage_node(account, path);
        self.get_or_read(&self.cache.nodes, (Some(account), *path), read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{MemoryState, TrieUpdates};
    use alloy_primitives::map::B256Map;

    fn account(nonce: u64) -> TrieAccount {
        TrieAccount { nonce, ..Default::default() }
    }

    fn key(byte: u8) -> B256 {
        B256::repeat_byte(byte)
    }

    fn state(nonce: u64) -> (MemoryState, B256) {
        let accounts = [(key(1), account(nonce)), (key(0x12), account(nonce))];
        MemoryState::build(accounts.into_iter().collect(), B256Map::default()).expect("sorted keys")
    }

    fn layer(state: &MemoryState) -> StateLayer {
        let accounts = state.accounts.iter().map(|(key, account)| (*key, Some(*account))).collect();
        let account_nodes =
            state.account_nodes.iter().map(|(path, node)| (*path, Some(node.clone()))).collect();
        let trie = TrieUpdates { account_nodes, ..Default::default() };
        StateLayer { accounts, trie, ..Default::default() }
    }

    #[test]
    fn a_reader_keeps_its_state_when_the_cache_moves() {
        let ((old, old_root), (new, new_root)) = (state(1), state(2));
        let cache = Arc::new(TrieCache::new(1 << 20, old_root));
        let before = Cached::new(cache.clone(), old_root, &old);
        let root = Nibbles::new();
        let old_node = before.account_node(&root).expect("in memory");
        assert_eq!(before.account(key(1)).expect("in memory"), Some(account(1)));
        assert_eq!(cache.nodes.len() + cache.accounts.len(), 2);

        assert!(!cache.advance(new_root, old_root, &layer(&new)));
        assert!(cache.advance(old_root, new_root, &layer(&new)));
        assert_eq!(before.account(key(1)).expect("in memory"), Some(account(1)));
        assert_eq!(before.account_node(&root).expect("in memory"), old_node);

        // What the new reader sees comes from the cache, not from the reader behind it.
        let after = Cached::new(cache.clone(), new_root, &old);
        assert_eq!(after.account(key(1)).expect("in memory"), Some(account(2)));
        assert_ne!(after.account_node(&root).expect("in memory"), old_node);

        assert!(cache.revert(new_root, old_root, &layer(&new)));
        assert_eq!(cache.nodes.len() + cache.accounts.len(), 0);
        let again = Cached::new(cache, old_root, &old);
        assert_eq!(again.account_node(&root).expect("in memory"), old_node);
    }

    #[test]
    fn a_reader_elsewhere_leaves_the_cache_alone() {
        let ((old, old_root), (new, new_root)) = (state(1), state(2));
        let cache = Arc::new(TrieCache::new(1 << 20, old_root));
        let elsewhere = Cached::new(cache.clone(), new_root, &new);
        assert_eq!(elsewhere.account(key(1)).expect("in memory"), Some(account(2)));
        assert_eq!(cache.accounts.len(), 0);
        drop(old);
    }

    #[test]
    fn bytes_stay_within_the_bound() {
        let bound = 64 << 10;
        let cache = Arc::new(TrieCache::new(bound, B256::ZERO));
        let accounts: B256Map<_> = (0..4000u64)
            .map(|n| (alloy_primitives::keccak256(n.to_be_bytes()), account(n)))
            .collect();
        let (state, _) = MemoryState::build(accounts, B256Map::default()).expect("sorted keys");
        let cached = Cached::new(cache.clone(), B256::ZERO, &state);
        for path in state.account_nodes.keys() {
            assert_eq!(
                cached.account_node(path).expect("in memory").as_ref(),
                state.account_nodes.get(path)
            );
        }
        for (key, account) in &state.accounts {
            assert_eq!(cached.account(*key).expect("in memory").as_ref(), Some(account));
        }
        assert!(cache.bytes() > bound / 2 && cache.bytes() <= bound, "{} bytes", cache.bytes());
    }

    #[test]
    fn readers_of_two_roots_run_beside_moves() {
        let ((old, old_root), (new, new_root)) = (state(1), state(2));
        let cache = Arc::new(TrieCache::new(1 << 20, old_root));
        let (forth, back) = (layer(&new), layer(&new));
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        for (state, root, nonce) in [(&old, old_root, 1), (&new, new_root, 2)] {
                            let cached = Cached::new(cache.clone(), root, state);
                            let found = cached.account(key(1)).expect("in memory");
                            assert_eq!(found, Some(account(nonce)));
                            let path = Nibbles::new();
                            let found = cached.account_node(&path).expect("in memory");
                            assert_eq!(found.as_ref(), state.account_nodes.get(&path));
                        }
                    }
                });
            }
            for _ in 0..2000 {
                assert!(cache.advance(old_root, new_root, &forth));
                assert!(cache.revert(new_root, old_root, &back));
            }
        });
    }
}
