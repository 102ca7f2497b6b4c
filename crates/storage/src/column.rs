//! Column families and the layout of their keys.
//!
//! Numbers in keys are big-endian, so that the order of keys is the order of numbers. A trie path
//! takes one byte a nibble: order and prefixes of paths are order and prefixes of keys, and real
//! paths are short (about log₁₆ of the number of leaves), shorter than any packed form of fixed
//! length.

use alloy_primitives::B256;
use ascribe_attribution_index::Table;
use nybbles::Nibbles;
use std::fmt;

/// The tables of the database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Column {
    /// Fixed names (and names of other rooms) → schema version, genesis, head, labels, floor.
    Meta,
    /// Number → hash and RLP of the header.
    Headers,
    /// Number → RLP of transactions, ommers, withdrawals.
    Bodies,
    /// Number → senders of the transactions.
    Senders,
    /// Number → receipts without blooms.
    Receipts,
    /// Block hash → number.
    BlockNumbers,
    /// Transaction hash → number and index.
    Transactions,
    /// Account hash → account at the head.
    Accounts,
    /// Account hash ‖ slot hash → word at the head; zero words are absent.
    Storages,
    /// Code hash → bytecode.
    Codes,
    /// Path → node of the account trie at the head.
    AccountTrie,
    /// Account hash ‖ path → node of the account's storage trie at the head.
    StorageTrie,
    /// Number ‖ account hash → the account before that block.
    AccountChanges,
    /// Number ‖ account hash ‖ slot hash → the word before that block.
    StorageChanges,
    /// Account hash ‖ number → nothing: the account changed in that block.
    AccountHistory,
    /// Account hash ‖ slot hash ‖ number → nothing: the slot changed in that block.
    StorageHistory,
    /// [`Table::Lists`] of the attribution index.
    AttributionLists,
    /// [`Table::Ordinals`].
    AttributionOrdinals,
    /// [`Table::Adapters`].
    AttributionAdapters,
    /// [`Table::Payees`].
    AttributionPayees,
    /// [`Table::Claims`].
    AttributionClaims,
    /// [`Table::Merges`].
    AttributionMerges,
    /// [`Table::Contents`].
    AttributionContents,
}

impl From<Table> for Column {
    fn from(table: Table) -> Self {
        match table {
            Table::Lists => Self::AttributionLists,
            Table::Ordinals => Self::AttributionOrdinals,
            Table::Adapters => Self::AttributionAdapters,
            Table::Payees => Self::AttributionPayees,
            Table::Claims => Self::AttributionClaims,
            Table::Merges => Self::AttributionMerges,
            Table::Contents => Self::AttributionContents,
        }
    }
}

impl Column {
    /// Every column, in the order of `Column as usize`.
    pub const ALL: [Self; 23] = [
        Self::Meta,
        Self::Headers,
        Self::Bodies,
        Self::Senders,
        Self::Receipts,
        Self::BlockNumbers,
        Self::Transactions,
        Self::Accounts,
        Self::Storages,
        Self::Codes,
        Self::AccountTrie,
        Self::StorageTrie,
        Self::AccountChanges,
        Self::StorageChanges,
        Self::AccountHistory,
        Self::StorageHistory,
        Self::AttributionLists,
        Self::AttributionOrdinals,
        Self::AttributionAdapters,
        Self::AttributionPayees,
        Self::AttributionClaims,
        Self::AttributionMerges,
        Self::AttributionContents,
    ];

    /// Name of the column family on disk.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Meta => "meta",
            Self::Headers => "headers",
            Self::Bodies => "bodies",
            Self::Senders => "senders",
            Self::Receipts => "receipts",
            Self::BlockNumbers => "block-numbers",
            Self::Transactions => "transactions",
            Self::Accounts => "accounts",
            Self::Storages => "storages",
            Self::Codes => "codes",
            Self::AccountTrie => "account-trie",
            Self::StorageTrie => "storage-trie",
            Self::AccountChanges => "account-changes",
            Self::StorageChanges => "storage-changes",
            Self::AccountHistory => "account-history",
            Self::StorageHistory => "storage-history",
            Self::AttributionLists => "attribution-lists",
            Self::AttributionOrdinals => "attribution-ordinals",
            Self::AttributionAdapters => "attribution-adapters",
            Self::AttributionPayees => "attribution-payees",
            Self::AttributionClaims => "attribution-claims",
            Self::AttributionMerges => "attribution-merges",
            Self::AttributionContents => "attribution-contents",
        }
    }

    /// Length of the key prefix that scans stay within, if they stay within one.
    pub(crate) const fn scan_prefix(self) -> Option<usize> {
        match self {
            Self::Storages | Self::StorageTrie | Self::AccountHistory => Some(32),
            Self::StorageHistory => Some(64),
            _ => None,
        }
    }

    /// Whether blocks read and write many single keys of it.
    pub(crate) const fn is_hot(self) -> bool {
        !self.by_number() && !self.is_attribution()
    }

    /// Whether it is a table of the attribution index.
    const fn is_attribution(self) -> bool {
        self as u8 >= Self::AttributionLists as u8
    }

    /// Whether keys grow with the block number, so that writes never overlap older files.
    pub(crate) const fn by_number(self) -> bool {
        matches!(
            self,
            Self::Headers
                | Self::Bodies
                | Self::Senders
                | Self::Receipts
                | Self::AccountChanges
                | Self::StorageChanges
                | Self::AttributionOrdinals
        )
    }
}

impl fmt::Display for Column {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Names in [`Column::Meta`].
pub(crate) mod meta {
    /// Schema version, four big-endian bytes.
    pub(crate) const SCHEMA: &[u8] = b"schema";
    /// Hash of the genesis block; written with the last batch of the genesis state.
    pub(crate) const GENESIS: &[u8] = b"genesis";
    /// EIP-155 chain id, eight big-endian bytes: the genesis hash does not cover it.
    pub(crate) const CHAIN_ID: &[u8] = b"chain-id";
    /// Number and hash of the persisted head.
    pub(crate) const HEAD: &[u8] = b"head";
    /// Number and hash of the safe label.
    pub(crate) const SAFE: &[u8] = b"safe";
    /// Number and hash of the finalized label.
    pub(crate) const FINALIZED: &[u8] = b"finalized";
    /// Lowest block number whose state is kept.
    pub(crate) const FLOOR: &[u8] = b"history-floor";
    /// What the attribution index is of: its version, and the last block in it.
    pub(crate) const ATTRIBUTION: &[u8] = b"attribution-index";
    /// Prefix of the names of other rooms.
    pub(crate) const ROOM: &[u8] = b"room/";
}

/// Number.
pub(crate) const fn number(number: u64) -> [u8; 8] {
    number.to_be_bytes()
}

fn concat<const N: usize>(parts: &[&[u8]]) -> [u8; N] {
    let mut key = [0; N];
    let mut at = 0;
    for part in parts {
        key[at..at + part.len()].copy_from_slice(part);
        at += part.len();
    }
    debug_assert_eq!(at, N, "parts fill the key");
    key
}

/// Account hash ‖ slot hash.
pub(crate) fn slot(account: B256, slot: B256) -> [u8; 64] {
    concat(&[account.as_slice(), slot.as_slice()])
}

/// Number ‖ account hash.
pub(crate) fn account_change(block: u64, account: B256) -> [u8; 40] {
    concat(&[&number(block), account.as_slice()])
}

/// Number ‖ account hash ‖ slot hash.
pub(crate) fn storage_change(block: u64, account: B256, slot: B256) -> [u8; 72] {
    concat(&[&number(block), account.as_slice(), slot.as_slice()])
}

/// Account hash ‖ number.
pub(crate) fn account_history(account: B256, block: u64) -> [u8; 40] {
    concat(&[account.as_slice(), &number(block)])
}

/// Account hash ‖ slot hash ‖ number.
pub(crate) fn storage_history(account: B256, slot: B256, block: u64) -> [u8; 72] {
    concat(&[account.as_slice(), slot.as_slice(), &number(block)])
}

/// Path, one byte a nibble.
pub(crate) fn account_node(path: &Nibbles) -> Vec<u8> {
    path.to_vec()
}

/// Account hash ‖ path.
pub(crate) fn storage_node(account: B256, path: &Nibbles) -> Vec<u8> {
    let mut key = Vec::with_capacity(32 + path.len());
    key.extend_from_slice(account.as_slice());
    key.extend(path.iter());
    key
}

/// The 32 bytes at `at`, for keys whose length has been checked.
pub(crate) fn hash_at(key: &[u8], at: usize) -> Option<B256> {
    key.get(at..at + 32).map(B256::from_slice)
}

/// The number in the eight bytes at `at`.
pub(crate) fn number_at(key: &[u8], at: usize) -> Option<u64> {
    let bytes = key.get(at..at + 8)?;
    bytes.try_into().ok().map(u64::from_be_bytes)
}

/// The smallest key above every key with this prefix; none if there is no such key.
pub(crate) fn after_prefix(prefix: &[u8]) -> Option<Vec<u8>> {
    let last = prefix.iter().rposition(|byte| *byte != 0xff)?;
    let mut end = prefix[..=last].to_vec();
    end[last] += 1;
    Some(end)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn paths() -> impl Strategy<Value = Nibbles> {
        prop::collection::vec(0..16u8, 0..=64).prop_map(Nibbles::from_nibbles)
    }

    proptest! {
        #[test]
        fn keys_of_paths_keep_order_and_prefixes(a in paths(), b in paths(), cut in 0..=64usize) {
            let account = B256::repeat_byte(9);
            let (ka, kb) = (account_node(&a), account_node(&b));
            prop_assert_eq!(a.cmp(&b), ka.cmp(&kb));
            prop_assert_eq!(
                a.cmp(&b),
                storage_node(account, &a).cmp(&storage_node(account, &b))
            );
            let prefix = a.slice(..cut.min(a.len()));
            prop_assert!(ka.starts_with(&account_node(&prefix)));
            prop_assert_eq!(b.starts_with(&prefix), kb.starts_with(&account_node(&prefix)));
        }

        #[test]
        fn nothing_lies_between_a_prefix_and_its_end(
            prefix in prop::collection::vec(any::<u8>(), 0..6),
            key in prop::collection::vec(any::<u8>(), 0..8),
        ) {
            let within = key >= prefix && after_prefix(&prefix).is_none_or(|end| key < end);
            prop_assert_eq!(within, key.starts_with(&prefix));
        }
    }

    #[test]
    fn columns_are_in_order_and_named_apart() {
        for (index, column) in Column::ALL.into_iter().enumerate() {
            assert_eq!(column as usize, index);
            assert_eq!(Column::ALL.iter().filter(|other| other.name() == column.name()).count(), 1);
        }
    }

    #[test]
    fn keys_take_apart_again() {
        let (account, slot) = (B256::repeat_byte(1), B256::repeat_byte(2));
        let key = storage_change(7, account, slot);
        assert_eq!(number_at(&key, 0), Some(7));
        assert_eq!((hash_at(&key, 8), hash_at(&key, 40)), (Some(account), Some(slot)));
        assert_eq!(number_at(&storage_history(account, slot, 7), 64), Some(7));
        assert_eq!(number_at(&account_history(account, 7), 32), Some(7));
        assert_eq!(hash_at(&account_change(7, account), 8), Some(account));
        assert_eq!(hash_at(&key, 41), None);
    }
}
