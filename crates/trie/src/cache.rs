//! Nodes and accounts kept in memory from block to block.

use crate::{
    MadeNode, Node, TrieReadError, TrieReader, WantedAccount, WantedNode,
    table::{Cacheable, Table},
};
use alloy_primitives::{B256, U256};
use alloy_trie::{TrieAccount, nodes::RlpNode};
use nybbles::Nibbles;
use std::{fmt, sync::Arc};

/// What a node's bytes cost beside themselves: reference counts, and the allocator's own.
const ALLOCATION: usize = 32;
/// Bytes of a typical node.
const TYPICAL_NODE: usize = 420 + ALLOCATION;

impl Cacheable for Node {
    fn bytes(&self) -> usize {
        ALLOCATION + self.encoded().len()
    }

    fn fetch(&self) {
        self.fetch_head();
    }
}

impl Cacheable for TrieAccount {
    fn bytes(&self) -> usize {
        0
    }

    fn fetch(&self) {}
}

/// A byte-bounded cache of trie nodes, and of the accounts in leaves, by hash.
///
/// A hash determines what it names, so the cache belongs to no block and no root: it serves readers
/// of any state, side chains and undone blocks included, and nothing in it is ever wrong. Whatever
/// has not been asked for lately gives way.
pub struct TrieCache {
    nodes: Table<Node>,
    accounts: Table<TrieAccount>,
}

impl TrieCache {
    /// An empty cache of at most `bytes` bytes.
    pub fn new(bytes: u64) -> Self {
        let bytes = usize::try_from(bytes).unwrap_or(usize::MAX);
        let accounts = bytes / 4;
        Self {
            nodes: Table::new(bytes - accounts, TYPICAL_NODE),
            accounts: Table::new(accounts, 0),
        }
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
        get_or_read(
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
        get_or_read(
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

/// Looks things up in a table, reads those it does not have, and puts them there.
fn get_or_read<W: Clone, V: Cacheable>(
    table: &Table<V>,
    wanted: &[W],
    reference: impl Fn(&W) -> &RlpNode,
    fits: impl Fn(&W, &V) -> bool,
    read: impl FnOnce(&[W]) -> Result<Vec<Option<V>>, TrieReadError>,
) -> Result<Vec<Option<V>>, TrieReadError> {
    let mut found = table.get_many(wanted.iter().map(|wanted| hash(reference(wanted))));
    let mut missing = Vec::new();
    for (found, wanted) in found.iter_mut().zip(wanted) {
        if !found.as_ref().is_some_and(|value| fits(wanted, value)) {
            *found = None;
            missing.push(wanted.clone());
        }
    }
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
