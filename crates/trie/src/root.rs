//! The state root after a set of changes.

use crate::TrieUpdates;
use alloy_primitives::{B256, map::B256Map};
use alloy_trie::TrieAccount;

/// A new state root and everything that changed on the way to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct TrieOutput {
    /// Root of the account trie.
    pub state_root: B256,
    /// Changed accounts with their new storage roots; `None` is deleted.
    pub accounts: B256Map<Option<TrieAccount>>,
    /// Nodes to write and to delete.
    pub updates: TrieUpdates,
}
