//! What executed blocks change, and reading state through them.

use crate::{
    HashedPostState, HashedStorage, Node, TrieReadError, TrieReader, WantedAccount, WantedNode,
    root::TrieOutput,
};
use alloy_primitives::{
    B256, U256,
    map::{B256Map, HashMap, hash_map::Entry},
};
use alloy_trie::TrieAccount;
use nybbles::Nibbles;
use std::sync::Arc;

/// Nodes to write (`Some`) and to delete (`None`), by path.
pub type NodeUpdates = HashMap<Nibbles, Option<Node>>;

/// Changes to the stored nodes of one storage trie.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StorageTrieUpdates {
    /// Every node stored before goes, then `nodes` apply.
    pub wiped: bool,
    /// Nodes to write or delete.
    pub nodes: NodeUpdates,
}

impl StorageTrieUpdates {
    /// Applies later changes on top of these.
    pub fn extend(&mut self, newer: &Self) {
        if newer.wiped {
            self.wiped = true;
            self.nodes.clear();
        }
        self.nodes.extend(newer.nodes.iter().map(|(path, node)| (*path, node.clone())));
    }
}

/// Changes to the stored nodes of all tries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrieUpdates {
    /// Nodes of the account trie.
    pub account_nodes: NodeUpdates,
    /// Nodes of storage tries, by hashed address.
    pub storages: B256Map<StorageTrieUpdates>,
}

impl TrieUpdates {
    /// Applies later changes on top of these.
    pub fn extend(&mut self, newer: &Self) {
        self.account_nodes
            .extend(newer.account_nodes.iter().map(|(path, node)| (*path, node.clone())));
        for (address, updates) in &newer.storages {
            match self.storages.entry(*address) {
                Entry::Occupied(mut old) => old.get_mut().extend(updates),
                Entry::Vacant(entry) => {
                    entry.insert(updates.clone());
                }
            }
        }
    }
}

/// Everything one executed block changes in state: the unit that is laid over a base in memory and
/// written to disk later.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct StateLayer {
    /// New accounts by hashed address; `None` deletes.
    pub accounts: B256Map<Option<TrieAccount>>,
    /// Storage changes by hashed address.
    pub storages: B256Map<HashedStorage>,
    /// Changes to the stored nodes.
    pub trie: TrieUpdates,
}

impl StateLayer {
    /// Joins a block's changes with what [`state_root`](crate::state_root) made of them.
    ///
    /// Storage is marked wiped exactly where there was some: of every deleted account that had
    /// storage, and of no account that had none.
    pub fn new(changes: HashedPostState, output: TrieOutput) -> Self {
        let TrieOutput { accounts, updates: trie, .. } = output;
        let mut storages = changes.storages;
        storages.retain(|address, storage| {
            storage.wiped = trie.storages.get(address).is_some_and(|updates| updates.wiped);
            if accounts.get(address).is_some_and(Option::is_none) {
                storage.slots.clear();
            }
            storage.wiped || !storage.slots.is_empty()
        });
        for (address, _) in trie.storages.iter().filter(|(_, updates)| updates.wiped) {
            storages.entry(*address).or_default().wiped = true;
        }
        Self { accounts, storages, trie }
    }

    /// Applies a later layer on top of this one.
    pub fn extend(&mut self, newer: &Self) {
        self.accounts.extend(newer.accounts.iter().map(|(address, account)| (*address, *account)));
        for (address, storage) in &newer.storages {
            self.storages.entry(*address).or_default().extend(storage);
        }
        self.trie.extend(&newer.trie);
    }
}

/// Blocks in memory over a base: reads see the newest layer that knows.
#[derive(Debug, Clone)]
pub struct Layered<R> {
    layers: Vec<Arc<StateLayer>>,
    base: R,
}

impl<R> Layered<R> {
    /// Lays `layers`, newest first, over `base`.
    pub const fn new(layers: Vec<Arc<StateLayer>>, base: R) -> Self {
        Self { layers, base }
    }

    /// The layers, newest first.
    pub fn layers(&self) -> &[Arc<StateLayer>] {
        &self.layers
    }

    /// What lies under all layers.
    pub const fn base(&self) -> &R {
        &self.base
    }
}

impl<R> Layered<R> {
    /// What the newest layer that knows has to say of an account.
    fn layered_account(&self, hashed: &B256) -> Option<Option<TrieAccount>> {
        self.layers.iter().find_map(|layer| layer.accounts.get(hashed).copied())
    }

    fn layered_account_node(&self, path: &Nibbles) -> Option<Option<Node>> {
        self.layers.iter().find_map(|layer| layer.trie.account_nodes.get(path).cloned())
    }

    fn layered_storage_node(&self, account: &B256, path: &Nibbles) -> Option<Option<Node>> {
        let mut updates = self.layers.iter().filter_map(|layer| layer.trie.storages.get(account));
        updates.find_map(|updates| match updates.nodes.get(path) {
            None => updates.wiped.then_some(None),
            known => known.cloned(),
        })
    }
}

impl<R: TrieReader> TrieReader for Layered<R> {
    fn account(&self, hashed: B256) -> Result<Option<TrieAccount>, TrieReadError> {
        self.layered_account(&hashed).map_or_else(|| self.base.account(hashed), Ok)
    }

    fn storage(&self, account: B256, slot: B256) -> Result<U256, TrieReadError> {
        for storage in self.layers.iter().filter_map(|layer| layer.storages.get(&account)) {
            if let Some(value) = storage.slots.get(&slot) {
                return Ok(*value);
            }
            if storage.wiped {
                return Ok(U256::ZERO);
            }
        }
        self.base.storage(account, slot)
    }

    fn account_node(&self, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        self.layered_account_node(path).map_or_else(|| self.base.account_node(path), Ok)
    }

    fn storage_node(&self, account: B256, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        let known = self.layered_storage_node(&account, path);
        known.map_or_else(|| self.base.storage_node(account, path), Ok)
    }

    fn nodes(&self, wanted: &[WantedNode]) -> Result<Vec<Option<Node>>, TrieReadError> {
        let known = |wanted: &WantedNode| match &wanted.account {
            None => self.layered_account_node(&wanted.path),
            Some(account) => self.layered_storage_node(account, &wanted.path),
        };
        known_or_read(wanted, known, |unknown| self.base.nodes(unknown))
    }

    fn accounts(
        &self,
        wanted: &[WantedAccount],
    ) -> Result<Vec<Option<TrieAccount>>, TrieReadError> {
        let known = |wanted: &WantedAccount| self.layered_account(&wanted.address);
        known_or_read(wanted, known, |unknown| self.base.accounts(unknown))
    }
}

/// Answers from what is known, and reads the rest together.
fn known_or_read<W: Clone, V>(
    wanted: &[W],
    known: impl Fn(&W) -> Option<Option<V>>,
    read: impl FnOnce(&[W]) -> Result<Vec<Option<V>>, TrieReadError>,
) -> Result<Vec<Option<V>>, TrieReadError> {
    let mut answers: Vec<Option<Option<V>>> = wanted.iter().map(known).collect();
    let unknown: Vec<W> = wanted
        .iter()
        .zip(&answers)
        .filter(|(_, answer)| answer.is_none())
        .map(|(wanted, _)| wanted.clone())
        .collect();
    if !unknown.is_empty() {
        let holes = answers.iter_mut().filter(|answer| answer.is_none());
        for (hole, value) in holes.zip(read(&unknown)?) {
            *hole = Some(value);
        }
    }
    Ok(answers.into_iter().map(Option::flatten).collect())
}
