//! Whole states in memory.

use crate::{Node, StateLayer, TrieBuilder, TrieError, TrieReadError, TrieReader};
use alloy_primitives::{
    B256, U256,
    map::{B256Map, HashMap},
};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use nybbles::Nibbles;

/// A state with its tries, held in maps: a store for tests, benchmarks and small chains.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct MemoryState {
    /// Accounts by hashed address.
    pub accounts: B256Map<TrieAccount>,
    /// Slots that are not zero, by hashed address and hashed slot.
    pub storages: B256Map<B256Map<U256>>,
    /// Nodes of the account trie by path.
    pub account_nodes: HashMap<Nibbles, Node>,
    /// Nodes of storage tries by hashed address and path.
    pub storage_nodes: B256Map<HashMap<Nibbles, Node>>,
}

impl MemoryState {
    /// Builds a state from accounts and storages; the accounts' storage roots are computed.
    /// Returns it with its root.
    ///
    /// # Errors
    ///
    /// None in practice: keys of a map do not repeat.
    pub fn build(
        mut accounts: B256Map<TrieAccount>,
        mut storages: B256Map<B256Map<U256>>,
    ) -> Result<(Self, B256), TrieError> {
        storages.retain(|address, slots| {
            slots.retain(|_, value| !value.is_zero());
            accounts.contains_key(address) && !slots.is_empty()
        });
        let mut storage_nodes = B256Map::default();
        for (address, account) in &mut accounts {
            let empty = B256Map::default();
            let slots = storages.get(address).unwrap_or(&empty);
            let (nodes, root) = build(slots)?;
            if root != EMPTY_ROOT_HASH {
                storage_nodes.insert(*address, nodes);
            }
            account.storage_root = root;
        }
        let (account_nodes, root) = build(&accounts)?;
        Ok((Self { accounts, storages, account_nodes, storage_nodes }, root))
    }

    /// Moves on by what a block changed.
    pub fn apply(&mut self, layer: &StateLayer) {
        for (address, account) in &layer.accounts {
            match account {
                Some(account) => self.accounts.insert(*address, *account),
                None => self.accounts.remove(address),
            };
        }
        for (address, changes) in &layer.storages {
            let slots = self.storages.entry(*address).or_default();
            if changes.wiped {
                slots.clear();
            }
            for (slot, value) in &changes.slots {
                if value.is_zero() {
                    slots.remove(slot);
                } else {
                    slots.insert(*slot, *value);
                }
            }
            if slots.is_empty() {
                self.storages.remove(address);
            }
        }
        apply(&mut self.account_nodes, &layer.trie.account_nodes);
        for (address, updates) in &layer.trie.storages {
            let nodes = self.storage_nodes.entry(*address).or_default();
            if updates.wiped {
                nodes.clear();
            }
            apply(nodes, &updates.nodes);
            if nodes.is_empty() {
                self.storage_nodes.remove(address);
            }
        }
    }
}

fn apply(nodes: &mut HashMap<Nibbles, Node>, updates: &crate::NodeUpdates) {
    for (path, node) in updates {
        match node {
            Some(node) => nodes.insert(*path, node.clone()),
            None => nodes.remove(path),
        };
    }
}

fn build<V: crate::LeafValue>(
    leaves: &B256Map<V>,
) -> Result<(HashMap<Nibbles, Node>, B256), TrieError> {
    let mut sorted: Vec<_> = leaves.iter().collect();
    sorted.sort_unstable_by_key(|(key, _)| **key);
    let mut nodes = HashMap::default();
    let mut builder = TrieBuilder::new(|path, node| {
        nodes.insert(path, node);
    });
    for (key, value) in sorted {
        builder.add(*key, *value)?;
    }
    let root = builder.finish();
    Ok((nodes, root))
}

impl TrieReader for MemoryState {
    fn account(&self, hashed: B256) -> Result<Option<TrieAccount>, TrieReadError> {
        Ok(self.accounts.get(&hashed).copied())
    }

    fn storage(&self, account: B256, slot: B256) -> Result<U256, TrieReadError> {
        let value = self.storages.get(&account).and_then(|slots| slots.get(&slot));
        Ok(value.copied().unwrap_or_default())
    }

    fn account_node(&self, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        Ok(self.account_nodes.get(path).cloned())
    }

    fn storage_node(&self, account: B256, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        Ok(self.storage_nodes.get(&account).and_then(|nodes| nodes.get(path)).cloned())
    }
}
