//! How the trie sees the store below it.

use crate::{Node, TrieReadError};
use alloy_primitives::{B256, U256};
use alloy_trie::{TrieAccount, nodes::RlpNode};
use nybbles::Nibbles;
use std::sync::Arc;

/// A node to read, and how its parent names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedNode {
    /// Hashed address of the account whose storage trie it is in; `None` is the account trie.
    pub account: Option<B256>,
    /// Where in its trie it stands.
    pub path: Nibbles,
    /// Hash of the node, or its RLP where that is shorter: it determines the node.
    pub reference: RlpNode,
}

/// An account to read, and how the trie names its leaf.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct WantedAccount {
    /// Hashed address.
    pub address: B256,
    /// Hash of the leaf node: it determines the account.
    pub reference: RlpNode,
}

/// A node that a root computation has made.
#[derive(Debug, Clone)]
pub struct MadeNode {
    /// Hash of the node, or its RLP where that is shorter.
    pub reference: RlpNode,
    /// The node.
    pub node: Node,
    /// Whether it differs from the node that stood there.
    pub(crate) differs: bool,
}

/// State at one root: leaves by hashed key, inner trie nodes by path.
///
/// All answers must come from the same state, also while others write (a snapshot, or layers over
/// one). Implementations are called from several threads at once.
pub trait TrieReader: Sync {
    /// The account with this hashed address, its storage root included.
    fn account(&self, hashed: B256) -> Result<Option<TrieAccount>, TrieReadError>;

    /// Value of a storage slot, both keys hashed; zero when absent.
    fn storage(&self, account: B256, slot: B256) -> Result<U256, TrieReadError>;

    /// The stored node of the account trie at `path`.
    fn account_node(&self, path: &Nibbles) -> Result<Option<Node>, TrieReadError>;

    /// The stored node of an account's storage trie at `path`.
    fn storage_node(&self, account: B256, path: &Nibbles) -> Result<Option<Node>, TrieReadError>;

    /// Many nodes, in the order they are wanted: for stores that read many at once faster than one
    /// after the other, and for caches that know nodes by their hash.
    fn nodes(&self, wanted: &[WantedNode]) -> Result<Vec<Option<Node>>, TrieReadError> {
        wanted
            .iter()
            .map(|wanted| match wanted.account {
                None => self.account_node(&wanted.path),
                Some(account) => self.storage_node(account, &wanted.path),
            })
            .collect()
    }

    /// Many accounts, in the order they are wanted.
    fn accounts(
        &self,
        wanted: &[WantedAccount],
    ) -> Result<Vec<Option<TrieAccount>>, TrieReadError> {
        wanted.iter().map(|wanted| self.account(wanted.address)).collect()
    }

    /// Told of the nodes that a root computation makes: a cache keeps them for the next block.
    fn made_nodes(&self, _made: &[MadeNode]) {}

    /// Told of the accounts whose leaves a root computation hashes.
    fn made_accounts(&self, _made: &[(RlpNode, TrieAccount)]) {}
}

macro_rules! delegate {
    ($($ty:ty: [$($bound:tt)*]),* $(,)?) => {$(
        impl<R: TrieReader + ?Sized $($bound)*> TrieReader for $ty {
            fn account(&self, hashed: B256) -> Result<Option<TrieAccount>, TrieReadError> {
                (**self).account(hashed)
            }

            fn storage(&self, account: B256, slot: B256) -> Result<U256, TrieReadError> {
                (**self).storage(account, slot)
            }

            fn account_node(&self, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
                (**self).account_node(path)
            }

            fn storage_node(
                &self,
                account: B256,
                path: &Nibbles,
            ) -> Result<Option<Node>, TrieReadError> {
                (**self).storage_node(account, path)
            }

            fn nodes(&self, wanted: &[WantedNode]) -> Result<Vec<Option<Node>>, TrieReadError> {
                (**self).nodes(wanted)
            }

            fn accounts(
                &self,
                wanted: &[WantedAccount],
            ) -> Result<Vec<Option<TrieAccount>>, TrieReadError> {
                (**self).accounts(wanted)
            }

            fn made_nodes(&self, made: &[MadeNode]) {
                (**self).made_nodes(made);
            }

            fn made_accounts(&self, made: &[(RlpNode, TrieAccount)]) {
                (**self).made_accounts(made);
            }
        }
    )*};
}

delegate!(&R: [], Box<R>: [], Arc<R>: [+ Send]);
