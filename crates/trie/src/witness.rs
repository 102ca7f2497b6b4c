//! What a stateless client needs to execute a block and compute its root.

use crate::{
    HashedPostState, Node, TrieError, TrieReadError, TrieReader,
    proof::{check_root, node_rlp, prove},
    rlp::NodeRlp,
    root::state_root,
    tree::{AccountTree, StorageTree, Tree},
};
use alloy_primitives::{
    B256, Bytes, U256, keccak256,
    map::{B256Map, B256Set, HashSet},
};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use nybbles::Nibbles;
use parking_lot::Mutex;

/// Gathers every trie node, as RLP, that is needed to read `touched` (hashed slots by hashed
/// address) from the state of `reader`, to apply `changes` to it, and to compute the new root.
///
/// `root` is the root of the reader's state. The nodes come in no particular order, none twice;
/// codes and headers are not among them.
///
/// Beside the paths to all keys, that is the sibling that moves up where a deletion leaves a
/// branch with one child: also where an insertion of the same block fills the branch again, for a
/// client that deletes first.
///
/// # Errors
///
/// Those of [`state_root`].
pub fn witness<R: TrieReader>(
    reader: &R,
    root: B256,
    touched: &B256Map<B256Set>,
    changes: &HashedPostState,
) -> Result<Vec<Bytes>, TrieError> {
    let recorder = Recorder::new(reader);
    state_root(&recorder, root, changes)?;
    state_root(&recorder, root, &deletions(changes))?;
    let mut read = recorder.read.into_inner();
    for (address, slots) in touched {
        read.accounts.insert(*address);
        read.slots.extend(slots.iter().map(|slot| (*address, *slot)));
    }
    read.accounts.extend(changes.accounts.keys().chain(changes.storages.keys()));
    for (address, storage) in &changes.storages {
        read.slots.extend(storage.slots.keys().map(|slot| (*address, *slot)));
    }

    let mut witness = Gathered::default();
    let accounts = AccountTree(reader);
    check_root(&accounts, root)?;
    for path in &read.account_nodes {
        witness.node(&accounts, path)?;
    }
    for (account, path) in &read.storage_nodes {
        witness.node(&StorageTree { reader, account: *account }, path)?;
    }
    for address in &read.accounts {
        witness.path(&accounts, root, *address)?;
    }
    for (account, slot) in &read.slots {
        let storage_root = reader.account(*account)?.map(|account| account.storage_root);
        let tree = StorageTree { reader, account: *account };
        witness.path(&tree, storage_root.unwrap_or(EMPTY_ROOT_HASH), *slot)?;
    }
    Ok(witness.nodes.into_values().collect())
}

/// The deletions among changes.
fn deletions(changes: &HashedPostState) -> HashedPostState {
    let mut deletions = changes.clone();
    deletions.accounts.retain(|_, account| account.is_none());
    for storage in deletions.storages.values_mut() {
        storage.slots.retain(|_, value| value.is_zero());
    }
    deletions
}

#[derive(Default)]
struct Gathered {
    nodes: B256Map<Bytes>,
}

impl Gathered {
    /// Adds a stored node.
    fn node<T: Tree>(&mut self, tree: &T, path: &Nibbles) -> Result<(), TrieError> {
        if let Some(node) = tree.read_node(path)? {
            let mut rlp = NodeRlp::new();
            let rlp = node_rlp(tree, &node, &mut rlp)?;
            if rlp.len() >= 32 || path.is_empty() {
                self.nodes.insert(keccak256(rlp), Bytes::copy_from_slice(rlp));
            }
        }
        Ok(())
    }

    /// Adds the nodes on the way to a key.
    fn path<T: Tree>(&mut self, tree: &T, root: B256, key: B256) -> Result<(), TrieError> {
        for node in prove(tree, root, key)?.nodes {
            self.nodes.insert(keccak256(&node), node);
        }
        Ok(())
    }
}

/// Notes what is read.
struct Recorder<'a, R> {
    reader: &'a R,
    read: Mutex<Read>,
}

#[derive(Default)]
struct Read {
    accounts: B256Set,
    slots: HashSet<(B256, B256)>,
    account_nodes: HashSet<Nibbles>,
    storage_nodes: HashSet<(B256, Nibbles)>,
}

impl<'a, R> Recorder<'a, R> {
    fn new(reader: &'a R) -> Self {
        Self { reader, read: Mutex::default() }
    }
}

impl<R: TrieReader> TrieReader for Recorder<'_, R> {
    fn account(&self, hashed: B256) -> Result<Option<TrieAccount>, TrieReadError> {
        self.read.lock().accounts.insert(hashed);
        self.reader.account(hashed)
    }

    fn storage(&self, account: B256, slot: B256) -> Result<U256, TrieReadError> {
        self.read.lock().slots.insert((account, slot));
        self.reader.storage(account, slot)
    }

    fn account_node(&self, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        self.read.lock().account_nodes.insert(*path);
        self.reader.account_node(path)
    }

    fn storage_node(&self, account: B256, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        self.read.lock().storage_nodes.insert((account, *path));
        self.reader.storage_node(account, path)
    }
}
