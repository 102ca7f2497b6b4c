//! How the trie sees the store below it.

use crate::{Node, TrieReadError};
use alloy_primitives::{B256, U256};
use alloy_trie::TrieAccount;
use nybbles::Nibbles;
use std::sync::Arc;

/// State at one root: leaves by hashed key, inner trie nodes by path.
///
/// All four answers must come from the same state, also while others write (a snapshot, or layers
/// over one). Implementations are called from several threads at once.
pub trait TrieReader: Sync {
    /// The account with this hashed address, its storage root included.
    fn account(&self, hashed: B256) -> Result<Option<TrieAccount>, TrieReadError>;

    /// Value of a storage slot, both keys hashed; zero when absent.
    fn storage(&self, account: B256, slot: B256) -> Result<U256, TrieReadError>;

    /// The stored node of the account trie at `path`.
    fn account_node(&self, path: &Nibbles) -> Result<Option<Node>, TrieReadError>;

    /// The stored node of an account's storage trie at `path`.
    fn storage_node(&self, account: B256, path: &Nibbles) -> Result<Option<Node>, TrieReadError>;
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
        }
    )*};
}

delegate!(&R: [], Box<R>: [], Arc<R>: [+ Send]);
