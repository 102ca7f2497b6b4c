//! The first state of a database.

use crate::{
    Column, StorageError, codec,
    column::{self, meta},
    database::{Database, Rows},
};
use alloy_consensus::BlockBody;
use alloy_eips::eip4895::Withdrawals;
use alloy_genesis::GenesisAccount;
use alloy_primitives::{B256, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use ascribe_chainspec::ChainSpec;
use ascribe_trie::{Node, TrieBuilder};
use nybbles::Nibbles;
use std::{sync::Arc, time::Instant};
use tracing::{info, warn};

/// Bytes of rows that are gathered before they are written.
const BATCH_BYTES: usize = 4 << 20;

/// How far the genesis state is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GenesisProgress {
    /// Accounts written.
    pub accounts: u64,
    /// Accounts in all.
    pub total: u64,
}

/// Makes sure that the database holds this chain's genesis block, writing it if there is none.
///
/// The genesis hash is written with the last batch. Rows without it are what a process left that
/// died here, and go first.
pub(crate) fn ensure(
    database: &Arc<Database>,
    spec: &ChainSpec,
    progress: &mut dyn FnMut(GenesisProgress),
) -> Result<(), StorageError> {
    let given = spec.genesis_hash();
    if let Some(bytes) = database.get(Column::Meta, meta::GENESIS)? {
        let stored = B256::try_from(&bytes[..]).map_err(|_| {
            StorageError::inconsistent(Column::Meta, meta::GENESIS, "not a block hash")
        })?;
        if stored != given {
            return Err(StorageError::GenesisMismatch { stored, given });
        }
        return ensure_chain_id(database, spec.chain_id());
    }
    if !spec.has_state() {
        return Err(StorageError::GenesisStateMissing { chain_id: spec.chain_id() });
    }
    clear(database)?;
    let started = Instant::now();
    let mut writer = Writer { database, rows: database.rows() };
    let root = write_state(&mut writer, spec, progress)?;
    let header = spec.genesis_header();
    if root != header.state_root {
        return Err(StorageError::GenesisRoot { computed: root, header: header.state_root });
    }

    let body = BlockBody {
        withdrawals: header.withdrawals_root.map(|_| Withdrawals::default()),
        ..Default::default()
    };
    let key = column::number(header.number);
    let rows = &mut writer.rows;
    rows.put(Column::Headers, &key, &codec::encode_header(header));
    rows.put(Column::Bodies, &key, &codec::encode_body(&body));
    rows.put(Column::Senders, &key, &codec::encode_senders(&[]));
    rows.put(Column::Receipts, &key, &codec::encode_receipts(&[]));
    rows.put(Column::BlockNumbers, given.as_slice(), &key);
    rows.put(Column::Meta, meta::HEAD, &codec::encode_num_hash(header.num_hash()));
    rows.put(Column::Meta, meta::FLOOR, &key);
    rows.put(Column::Meta, meta::CHAIN_ID, &spec.chain_id().to_be_bytes());
    rows.put(Column::Meta, meta::GENESIS, given.as_slice());
    database.write(writer.rows)?;
    info!(
        target: "ascribe::storage",
        hash = %given,
        state_root = %root,
        elapsed = ?started.elapsed(),
        "Wrote genesis"
    );
    Ok(())
}

/// Makes sure that the chain has this id. A database that does not know its chain's learns it.
fn ensure_chain_id(database: &Database, given: u64) -> Result<(), StorageError> {
    let Some(bytes) = database.get(Column::Meta, meta::CHAIN_ID)? else {
        let mut rows = database.rows();
        rows.put(Column::Meta, meta::CHAIN_ID, &given.to_be_bytes());
        return database.write(rows);
    };
    let stored = <[u8; 8]>::try_from(&bytes[..])
        .map(u64::from_be_bytes)
        .map_err(|_| StorageError::inconsistent(Column::Meta, meta::CHAIN_ID, "not eight bytes"))?;
    if stored == given { Ok(()) } else { Err(StorageError::ChainIdMismatch { stored, given }) }
}

/// Removes every row but the schema version.
fn clear(database: &Database) -> Result<(), StorageError> {
    let mut rows = database.rows();
    let mut found = false;
    for column in Column::ALL {
        if column == Column::Meta {
            for key in [meta::HEAD, meta::FLOOR, meta::SAFE, meta::FINALIZED, meta::ATTRIBUTION] {
                rows.delete(column, key);
            }
        } else if !database.is_empty(column)? {
            found = true;
            // No key is longer than this, and none begins with more than 64 such bytes.
            rows.delete_range(column, &[], &[0xff; 128]);
        }
    }
    if found {
        warn!(target: "ascribe::storage", "Genesis was cut short; writing it again");
    }
    database.write(rows)
}

/// Rows that are written as they grow too many.
struct Writer<'a> {
    database: &'a Database,
    rows: Rows<'a>,
}

impl Writer<'_> {
    fn write_if_full(&mut self) -> Result<(), StorageError> {
        if self.rows.bytes() >= BATCH_BYTES {
            let full = std::mem::replace(&mut self.rows, self.database.rows());
            self.database.write(full)?;
        }
        Ok(())
    }
}

/// Writes accounts, storages, codes and tries, and returns the state root.
fn write_state(
    writer: &mut Writer<'_>,
    spec: &ChainSpec,
    progress: &mut dyn FnMut(GenesisProgress),
) -> Result<B256, StorageError> {
    let mut alloc: Vec<_> =
        spec.genesis_accounts().map(|(address, account)| (keccak256(address), account)).collect();
    alloc.sort_unstable_by_key(|(hashed, _)| *hashed);

    let total = alloc.len() as u64;
    let mut accounts = Vec::with_capacity(alloc.len());
    let mut value = Vec::with_capacity(128);
    for (hashed, account) in alloc {
        let leaf = TrieAccount {
            nonce: account.nonce.unwrap_or_default(),
            balance: account.balance,
            storage_root: write_storage(writer, hashed, account)?,
            code_hash: keccak256(account.code.as_ref().map_or(&[][..], |code| code)),
        };
        if let Some(code) = account.code.as_ref().filter(|code| !code.is_empty()) {
            writer.rows.put(Column::Codes, leaf.code_hash.as_slice(), code);
        }
        value.clear();
        codec::encode_account(&leaf, &mut value);
        writer.rows.put(Column::Accounts, hashed.as_slice(), &value);
        writer.write_if_full()?;
        accounts.push((hashed, leaf));
        progress(GenesisProgress { accounts: accounts.len() as u64, total });
    }

    let mut outcome = Ok(());
    let mut builder = TrieBuilder::new(|path: Nibbles, node: Node| {
        writer.rows.put(Column::AccountTrie, &column::account_node(&path), node.encoded());
        if outcome.is_ok() {
            outcome = writer.write_if_full();
        }
    });
    for (hashed, leaf) in accounts {
        builder.add(hashed, leaf)?;
    }
    let root = builder.finish();
    outcome?;
    Ok(root)
}

fn write_storage(
    writer: &mut Writer<'_>,
    hashed: B256,
    account: &GenesisAccount,
) -> Result<B256, StorageError> {
    let mut slots: Vec<_> = account
        .storage
        .iter()
        .flatten()
        .filter(|(_, word)| !word.is_zero())
        .map(|(slot, word)| (keccak256(slot), U256::from_be_bytes(word.0)))
        .collect();
    if slots.is_empty() {
        return Ok(EMPTY_ROOT_HASH);
    }
    slots.sort_unstable_by_key(|(slot, _)| *slot);
    let mut value = Vec::with_capacity(32);
    for (slot, word) in &slots {
        value.clear();
        codec::encode_word(*word, &mut value);
        writer.rows.put(Column::Storages, &column::slot(hashed, *slot), &value);
        writer.write_if_full()?;
    }
    let mut outcome = Ok(());
    let mut builder = TrieBuilder::new(|path: Nibbles, node: Node| {
        let key = column::storage_node(hashed, &path);
        writer.rows.put(Column::StorageTrie, &key, node.encoded());
        if outcome.is_ok() {
            outcome = writer.write_if_full();
        }
    });
    for (slot, word) in slots {
        builder.add(slot, word)?;
    }
    let root = builder.finish();
    outcome?;
    Ok(root)
}
