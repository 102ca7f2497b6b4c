//! The account trie and storage tries, seen alike.

use crate::{
    Node, TrieError, TrieId, TrieReadError, TrieReader, WantedNode,
    rlp::{KEY_NIBBLES, LeafValue},
};
use alloy_primitives::{B256, U256};
use alloy_trie::{TrieAccount, nodes::RlpNode};
use nybbles::Nibbles;

/// One trie of a [`TrieReader`].
pub(crate) trait Tree: Sync {
    /// What its leaves hold.
    type Value: LeafValue;

    fn id(&self) -> TrieId;
    fn read_node(&self, path: &Nibbles) -> Result<Option<Node>, TrieReadError>;
    fn read_value(&self, key: B256) -> Result<Option<Self::Value>, TrieReadError>;

    /// A node, and how its parent names it; for single nodes that were not loaded with others.
    fn read_child(
        &self,
        path: &Nibbles,
        reference: &RlpNode,
    ) -> Result<Option<Node>, TrieReadError>;

    /// A node that a parent points at.
    fn child(&self, path: &Nibbles, reference: &RlpNode) -> Result<Node, TrieError> {
        self.read_child(path, reference)?
            .ok_or_else(|| TrieError::MissingNode { trie: self.id(), path: *path })
    }

    /// A node that a parent points at.
    fn node(&self, path: &Nibbles) -> Result<Node, TrieError> {
        self.read_node(path)?.ok_or_else(|| TrieError::MissingNode { trie: self.id(), path: *path })
    }

    /// The value of a leaf that a node names.
    fn value(&self, key: B256) -> Result<Self::Value, TrieError> {
        self.read_value(key)?.ok_or_else(|| TrieError::MissingLeaf { trie: self.id(), key })
    }

    /// Where the extension at `path` leads to.
    fn beyond(&self, path: &Nibbles, extension: &Nibbles) -> Result<Nibbles, TrieError> {
        if path.len() + extension.len() < KEY_NIBBLES {
            Ok(path.join(extension))
        } else {
            Err(self.misplaced(path))
        }
    }

    fn misplaced(&self, path: &Nibbles) -> TrieError {
        TrieError::Misplaced { trie: self.id(), path: *path }
    }
}

/// The trie of accounts.
pub(crate) struct AccountTree<'a, R>(pub(crate) &'a R);

impl<R: TrieReader> Tree for AccountTree<'_, R> {
    type Value = TrieAccount;

    fn id(&self) -> TrieId {
        TrieId::Accounts
    }

    fn read_node(&self, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        self.0.account_node(path)
    }

    fn read_child(
        &self,
        path: &Nibbles,
        reference: &RlpNode,
    ) -> Result<Option<Node>, TrieReadError> {
        read_one(self.0, None, path, reference)
    }

    fn read_value(&self, key: B256) -> Result<Option<TrieAccount>, TrieReadError> {
        self.0.account(key)
    }
}

/// The storage trie of one account.
pub(crate) struct StorageTree<'a, R> {
    pub(crate) reader: &'a R,
    pub(crate) account: B256,
}

impl<R: TrieReader> Tree for StorageTree<'_, R> {
    type Value = U256;

    fn id(&self) -> TrieId {
        TrieId::Storage(self.account)
    }

    fn read_node(&self, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        self.reader.storage_node(self.account, path)
    }

    fn read_child(
        &self,
        path: &Nibbles,
        reference: &RlpNode,
    ) -> Result<Option<Node>, TrieReadError> {
        read_one(self.reader, Some(self.account), path, reference)
    }

    fn read_value(&self, key: B256) -> Result<Option<U256>, TrieReadError> {
        let value = self.reader.storage(self.account, key)?;
        Ok((!value.is_zero()).then_some(value))
    }
}

fn read_one<R: TrieReader>(
    reader: &R,
    account: Option<B256>,
    path: &Nibbles,
    reference: &RlpNode,
) -> Result<Option<Node>, TrieReadError> {
    let wanted = WantedNode { account, path: *path, reference: reference.clone() };
    Ok(reader.nodes(&[wanted])?.pop().flatten())
}
