//! Nodes and accounts kept in memory from block to block.

use crate::{
    MadeNode, Node, TrieReadError, TrieReader, WantedAccount, WantedNode,
    table::{Cacheable, Table, fetch},
};
use alloy_primitives::{B256, U256};
use alloy_trie::{EMPTY_ROOT_HASH, KECCAK_EMPTY, TrieAccount, nodes::RlpNode};
use nybbles::Nibbles;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// What a node's bytes cost beside themselves: reference counts, and the allocator's own.
const ALLOCATION: usize = 32;
/// Bytes of a typical node.
const TYPICAL_NODE: usize = 420 + ALLOCATION;
/// Bytes of a typical account outside its slot: one in three has code.
const TYPICAL_ACCOUNT: usize = size_of::<TrieAccount>() / 3;

impl Cacheable for Node {
    type Of = Self;

    fn keep(of: &Self) -> Self {
        of.clone()
    }

    fn give(&self) -> Self {
        self.clone()
    }

    fn bytes(&self) -> usize {
        ALLOCATION + self.encoded().len()
    }

    fn fetch(&self) {
        Self::fetch(self);
    }
}

/// An account in so few bytes that it shares a line of the processor's cache with its hash.
#[derive(Debug)]
enum CachedAccount {
    /// Without code and storage, and of ordinary size: nearly every account.
    Plain {
        nonce: u32,
        /// A `u128`, which would be aligned.
        balance: [u8; 16],
    },
    Other(Box<TrieAccount>),
}

impl Cacheable for CachedAccount {
    type Of = TrieAccount;

    fn keep(account: &TrieAccount) -> Self {
        let bare = (account.storage_root, account.code_hash) == (EMPTY_ROOT_HASH, KECCAK_EMPTY);
        match (u32::try_from(account.nonce), u128::try_from(account.balance)) {
            (Ok(nonce), Ok(balance)) if bare => {
                Self::Plain { nonce, balance: balance.to_ne_bytes() }
            }
            _ => Self::Other(Box::new(*account)),
        }
    }

    fn give(&self) -> TrieAccount {
        match self {
            Self::Plain { nonce, balance } => TrieAccount {
                nonce: (*nonce).into(),
                balance: U256::from(u128::from_ne_bytes(*balance)),
                storage_root: EMPTY_ROOT_HASH,
                code_hash: KECCAK_EMPTY,
            },
            Self::Other(account) => **account,
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Self::Plain { .. } => 0,
            Self::Other(account) => size_of_val(&**account),
        }
    }

    fn fetch(&self) {
        if let Self::Other(account) = self {
            fetch(&raw const **account);
        }
    }
}

/// A byte-bounded cache of trie nodes, and of the accounts in leaves, by hash.
///
/// A hash determines what it names, so the cache belongs to no block and no root: it serves readers
/// of any state, side chains and undone blocks included, and nothing in it is ever wrong. Whatever
/// has not been asked for lately gives way.
pub struct TrieCache {
    nodes: Table<Node>,
    accounts: Table<CachedAccount>,
    hits: AtomicU64,
    misses: AtomicU64,
}

/// How many nodes and accounts a [`TrieCache`] has been asked for.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Lookups {
    /// Those that it had.
    pub hits: u64,
    /// Those that were read from what is behind it.
    pub misses: u64,
}

impl TrieCache {
    /// An empty cache of at most `bytes` bytes.
    pub fn new(bytes: u64) -> Self {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let accounts = bytes / 4;
        Self {
            nodes: Table::new(bytes - accounts, TYPICAL_NODE),
            accounts: Table::new(accounts, TYPICAL_ACCOUNT),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
        }
    }

    /// Look-ups since the cache was made.
    pub fn lookups(&self) -> Lookups {
        Lookups {
            hits: self.hits.load(Ordering::Relaxed),
            misses: self.misses.load(Ordering::Relaxed),
        }
    }

    fn count(&self, wanted: usize, missing: usize) {
        self.hits.fetch_add((wanted - missing) as u64, Ordering::Relaxed);
        self.misses.fetch_add(missing as u64, Ordering::Relaxed);
    }

    /// Bytes in use at most: slots not yet in use count, the system has not yet given memory for
    /// them.
    pub fn bytes(&self) -> u64 {
        self.nodes.bytes() + self.accounts.bytes()
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.nodes.clear();
        self.accounts.clear();
    }
}

impl fmt::Debug for TrieCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TrieCache").field("bytes", &self.bytes()).finish_non_exhaustive()
    }
}

/// A reader that asks a [`TrieCache`] first, and fills it.
///
/// It answers from the cache what is wanted by hash; single look-ups go past it.
#[derive(Debug, Clone)]
pub struct Cached<R> {
    cache: Arc<TrieCache>,
    reader: R,
}

impl<R> Cached<R> {
    /// Puts `cache` before `reader`.
    pub const fn new(cache: Arc<TrieCache>, reader: R) -> Self {
        Self { cache, reader }
    }

    /// The reader behind the cache.
    pub const fn inner(&self) -> &R {
        &self.reader
    }

    /// Looks things up in a table, reads those it does not have, and puts them there.
    fn get_or_read<W: Clone, V: Cacheable>(
        &self,
        table: &Table<V>,
        wanted: &[W],
        reference: impl Fn(&W) -> &RlpNode,
        fits: impl Fn(&W, &V::Of) -> bool,
        read: impl FnOnce(&[W]) -> Result<Vec<Option<V::Of>>, TrieReadError>,
    ) -> Result<Vec<Option<V::Of>>, TrieReadError> {
        let mut found = table.get_many(wanted.iter().map(|wanted| hash(reference(wanted))));
        let mut missing = Vec::new();
        for (found, wanted) in found.iter_mut().zip(wanted) {
            if !found.as_ref().is_some_and(|value| fits(wanted, value)) {
                *found = None;
                missing.push(wanted.clone());
            }
        }
        self.cache.count(wanted.len(), missing.len());
        if !missing.is_empty() {
            let read = read(&missing)?;
            let new = missing.iter().zip(&read);
            table.insert_many(
                new.filter_map(|(wanted, value)| Some((hash(reference(wanted))?, value.as_ref()?))),
            );
            let holes = found.iter_mut().filter(|found| found.is_none());
            for (hole, value) in holes.zip(read) {
                *hole = value;
            }
        }
        Ok(found)
    }
}

impl<R: TrieReader> TrieReader for Cached<R> {
    fn account(&self, hashed: B256) -> Result<Option<TrieAccount>, TrieReadError> {
        self.reader.account(hashed)
    }

    fn storage(&self, account: B256, slot: B256) -> Result<U256, TrieReadError> {
        self.reader.storage(account, slot)
    }

    fn account_node(&self, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        self.reader.account_node(path)
    }

    fn storage_node(&self, account: B256, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        self.reader.storage_node(account, path)
    }

    fn nodes(&self, wanted: &[WantedNode]) -> Result<Vec<Option<Node>>, TrieReadError> {
        self.get_or_read(
            &self.cache.nodes,
            wanted,
            |wanted| &wanted.reference,
            // The same subtree elsewhere has the same hash, but other keys.
            |wanted, node: &Node| node.may_stand_at(&wanted.path),
            |missing| self.reader.nodes(missing),
        )
    }

    fn accounts(
        &self,
        wanted: &[WantedAccount],
    ) -> Result<Vec<Option<TrieAccount>>, TrieReadError> {
        self.get_or_read(
            &self.cache.accounts,
            wanted,
            |wanted| &wanted.reference,
            |_, _| true,
            |missing| self.reader.accounts(missing),
        )
    }

    fn made_nodes(&self, made: &[MadeNode]) {
        let new = made.iter().filter(|made| made.differs);
        let hashed = new.filter_map(|made| Some((hash(&made.reference)?, &made.node)));
        self.cache.nodes.insert_many(hashed);
    }

    fn made_accounts(&self, made: &[(RlpNode, TrieAccount)]) {
        let hashed = made.iter().filter_map(|(leaf, account)| Some((hash(leaf)?, account)));
        self.cache.accounts.insert_many(hashed);
    }
}

fn hash(reference: &RlpNode) -> Option<&B256> {
    if reference.is_hash() { reference[1..].try_into().ok() } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HashedAccount, HashedPostState, MemoryState, state_root};
    use alloy_primitives::{keccak256, map::B256Map};

    fn key(n: u64) -> B256 {
        keccak256(n.to_be_bytes())
    }

    fn state() -> (MemoryState, B256) {
        let account = |nonce| TrieAccount { nonce, ..Default::default() };
        let accounts = (0..500).map(|n| (key(n), account(n))).collect();
        MemoryState::build(accounts, B256Map::default()).expect("sorted keys")
    }

    fn changes(nonce: u64) -> HashedPostState {
        let account = HashedAccount { nonce, balance: U256::ZERO, code_hash: B256::ZERO };
        let accounts = (0..50).map(|n| (key(n), Some(account))).collect();
        HashedPostState { accounts, ..Default::default() }
    }

    #[test]
    fn an_account_is_one_line_and_comes_back() {
        assert_eq!(Table::<CachedAccount>::SLOT, 64);
        let plain = TrieAccount {
            nonce: u32::MAX.into(),
            balance: U256::from(u128::MAX),
            storage_root: EMPTY_ROOT_HASH,
            code_hash: KECCAK_EMPTY,
        };
        assert!(matches!(CachedAccount::keep(&plain), CachedAccount::Plain { .. }));
        let others = [
            TrieAccount { nonce: plain.nonce + 1, ..plain },
            TrieAccount { balance: plain.balance + U256::ONE, ..plain },
            TrieAccount { storage_root: key(1), ..plain },
            TrieAccount { code_hash: key(2), ..plain },
        ];
        for account in others.into_iter().chain([plain, TrieAccount::default()]) {
            assert_eq!(CachedAccount::keep(&account).give(), account);
        }
    }

    #[test]
    fn a_second_root_reads_nothing() {
        let (state, root) = state();
        let cache = Arc::new(TrieCache::new(1 << 20));
        let first = state_root(&Cached::new(cache.clone(), &state), root, &changes(1));
        let first = first.expect("sound state");
        assert_eq!(first, state_root(&state, root, &changes(1)).expect("sound state"));

        // Over the old state and over the new, with nothing but a root node behind the cache.
        let new_root = first.updates.account_nodes[&Nibbles::new()].clone().expect("a root");
        let old_root = state.account_nodes[&Nibbles::new()].clone();
        let expected = state_root(&state, root, &changes(2)).expect("sound state").state_root;
        for (node, root) in [(old_root, root), (new_root, first.state_root)] {
            let mut bare = MemoryState::default();
            bare.account_nodes.insert(Nibbles::new(), node);
            let output = state_root(&Cached::new(cache.clone(), &bare), root, &changes(2));
            assert_eq!(output.expect("all in the cache").state_root, expected);
        }
        let Lookups { hits, misses } = cache.lookups();
        assert!(misses > 50 && hits > 100, "{hits} hits, {misses} misses");
    }

    #[test]
    fn a_cache_without_room_changes_nothing() {
        let (state, root) = state();
        let cached = Cached::new(Arc::new(TrieCache::new(0)), &state);
        assert_eq!(
            state_root(&cached, root, &changes(1)).expect("sound state"),
            state_root(&state, root, &changes(1)).expect("sound state")
        );
    }
}
