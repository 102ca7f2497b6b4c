//! Checking a whole database against itself, from the leaves up.

use crate::{
    Column, StorageError, StorageReader, attribution_rows, codec,
    column::{self, number_at},
    snapshot::Scan,
    state::{decode, exact_account_change, exact_hash, exact_slot, exact_storage_change, parse},
};
use alloy_consensus::{BlockHeader, TxReceipt, proofs::calculate_transaction_root};
use alloy_primitives::{B256, Bloom, KECCAK256_EMPTY, keccak256, map::B256Set};
use alloy_trie::TrieAccount;
use ascribe_attribution_index::Table;
use ascribe_trie::{Node, TrieBuilder};
use nybbles::Nibbles;

/// Progress is reported once for so many steps.
const REPORT_EVERY: u64 = 1024;

/// A part of [`StorageReader::verify`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VerifyStage {
    /// Headers, bodies, receipts and lookups.
    Blocks,
    /// Bytecodes.
    Codes,
    /// Accounts, storages and tries.
    State,
    /// Reverse changes and the index over them.
    History,
    /// The attribution index.
    Attribution,
}

/// How far a verification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VerifyProgress {
    /// What is being checked.
    pub stage: VerifyStage,
    /// Blocks, codes, accounts or changes checked.
    pub done: u64,
    /// How many there are in all, where that is known before.
    pub total: Option<u64>,
}

/// What a verification found in order.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, serde::Serialize)]
pub struct VerifyReport {
    /// Blocks, genesis included.
    pub blocks: u64,
    /// Transactions in them.
    pub transactions: u64,
    /// Bytecodes.
    pub codes: u64,
    /// Accounts at the head.
    pub accounts: u64,
    /// Storage slots at the head.
    pub slots: u64,
    /// Nodes of the account trie.
    pub account_nodes: u64,
    /// Nodes of storage tries.
    pub storage_nodes: u64,
    /// Reverse changes of accounts.
    pub account_changes: u64,
    /// Reverse changes of slots.
    pub storage_changes: u64,
    /// Rows of the attribution index.
    pub attribution_rows: u64,
}

impl StorageReader {
    /// Checks the whole database: every header hashes to its hash and names its parent, bodies,
    /// senders, receipts and lookups belong to them; storage roots and the state root follow from
    /// the leaves, and every trie node is the one the leaves make; codes hash to their names; each
    /// reverse change has its index entry; the attribution index is what the blocks make it. The
    /// first thing that is wrong comes back as an error that names it.
    pub fn verify(
        &self,
        progress: &mut dyn FnMut(VerifyProgress),
    ) -> Result<VerifyReport, StorageError> {
        let report = VerifyReport::default();
        let mut check = Check { reader: self, codes_found: B256Set::default(), report, progress };
        check.blocks()?;
        check.codes()?;
        check.state()?;
        check.history()?;
        check.attribution()?;
        Ok(check.report)
    }
}

struct Check<'a> {
    reader: &'a StorageReader,
    /// Code hashes of accounts whose code was found.
    codes_found: B256Set,
    report: VerifyReport,
    progress: &'a mut dyn FnMut(VerifyProgress),
}

impl Check<'_> {
    fn advance(&mut self, stage: VerifyStage, done: u64, total: Option<u64>) {
        if done.is_multiple_of(REPORT_EVERY) || Some(done) == total {
            (self.progress)(VerifyProgress { stage, done, total });
        }
    }

    fn scan(&self, column: Column) -> Scan<'_> {
        self.reader.snapshot().scan(column, &[], None)
    }

    /// That a column has as many entries as others account for.
    fn count(&self, column: Column, expected: u64) -> Result<(), StorageError> {
        let mut scan = self.scan(column);
        let mut count = 0;
        let mut last = Vec::new();
        while let Some((key, _)) = scan.next()? {
            count += 1;
            if count == expected + 1 {
                last = key.to_vec();
            }
        }
        if count == expected {
            return Ok(());
        }
        Err(StorageError::inconsistent(
            column,
            &last,
            format!(
                "{count} entries in the column family, the rest of the database has {expected}"
            ),
        ))
    }

    fn attribution(&mut self) -> Result<(), StorageError> {
        let head = self.reader.head().number;
        let mut counts = [0; Table::ALL.len()];
        for number in 0..=head {
            let changes = attribution_rows::added(self.reader, number)?;
            for (table, count) in Table::ALL.into_iter().zip(&mut counts) {
                for (key, value) in changes.of(table) {
                    let column = table.into();
                    if self.reader.snapshot().get(column, key)?.as_deref() != value {
                        let reason = format!("not what block {number} makes it");
                        return Err(StorageError::inconsistent(column, key, reason));
                    }
                    *count += 1;
                }
            }
            self.advance(VerifyStage::Attribution, number + 1, Some(head + 1));
        }
        self.report.attribution_rows = counts.iter().sum();
        Table::ALL
            .into_iter()
            .zip(counts)
            .try_for_each(|(table, count)| self.count(table.into(), count))
    }

    fn blocks(&mut self) -> Result<(), StorageError> {
        let head = self.reader.head().number;
        let mut parent = B256::ZERO;
        for number in 0..=head {
            parent = self.block(number, parent)?;
            self.report.blocks += 1;
            self.advance(VerifyStage::Blocks, number + 1, Some(head + 1));
        }
        for column in [
            Column::Headers,
            Column::Bodies,
            Column::Senders,
            Column::Receipts,
            Column::BlockNumbers,
        ] {
            self.count(column, self.report.blocks)?;
        }
        self.count(Column::Transactions, self.report.transactions)
    }

    /// Checks a block and returns its hash.
    fn block(&mut self, number: u64, parent: B256) -> Result<B256, StorageError> {
        let key = column::number(number);
        let reader = self.reader;
        let header = reader
            .snapshot()
            .get_with(Column::Headers, &key, codec::decode_header)?
            .ok_or_else(|| StorageError::missing(Column::Headers, &key))?;
        let wrong = |column, what: String| Err(StorageError::inconsistent(column, &key, what));
        let hash = header.header().hash_slow();
        if hash != header.hash() {
            return wrong(Column::Headers, format!("hashes to {hash}, not {}", header.hash()));
        }
        if header.number != number {
            return wrong(Column::Headers, format!("is the header of block {}", header.number));
        }
        if number > 0 && header.parent_hash != parent {
            return wrong(
                Column::Headers,
                format!("has parent {}, block {} is {parent}", header.parent_hash, number - 1),
            );
        }
        let block =
            reader.block(number)?.ok_or_else(|| StorageError::missing(Column::Headers, &key))?;
        let transactions = &block.body().transactions;
        let root = calculate_transaction_root(transactions);
        if root != header.transactions_root() {
            return wrong(
                Column::Bodies,
                format!("transactions root is {root}, not {}", header.transactions_root()),
            );
        }
        let receipts = reader
            .receipts(number)?
            .ok_or_else(|| StorageError::missing(Column::Receipts, &key))?;
        if receipts.len() != transactions.len() {
            return wrong(
                Column::Receipts,
                format!("{} receipts, {} transactions", receipts.len(), transactions.len()),
            );
        }
        let gas = receipts.last().map_or(0, TxReceipt::cumulative_gas_used);
        let mut bloom = Bloom::ZERO;
        for receipt in &receipts {
            bloom |= receipt.bloom();
        }
        if gas != header.gas_used() || bloom != header.logs_bloom() {
            return wrong(Column::Receipts, "gas or logs are not those of the header".to_owned());
        }
        if reader.number(hash)? != Some(number) {
            return Err(StorageError::inconsistent(
                Column::BlockNumbers,
                hash.as_slice(),
                format!("does not lead to block {number}"),
            ));
        }
        for (index, transaction) in transactions.iter().enumerate() {
            let hash = transaction.tx_hash();
            if reader.transaction(hash)? != Some((number, index as u32)) {
                return Err(StorageError::inconsistent(
                    Column::Transactions,
                    hash.as_slice(),
                    format!("does not lead to transaction {index} of block {number}"),
                ));
            }
        }
        self.report.transactions += transactions.len() as u64;
        Ok(hash)
    }

    fn codes(&mut self) -> Result<(), StorageError> {
        let mut count = 0;
        let mut scan = self.reader.snapshot().scan(Column::Codes, &[], None);
        while let Some((key, code)) = scan.next()? {
            let hash = keccak256(code);
            if key != hash.as_slice() {
                return Err(StorageError::inconsistent(
                    Column::Codes,
                    key,
                    format!("hashes to {hash}"),
                ));
            }
            count += 1;
            self.advance(VerifyStage::Codes, count, None);
        }
        self.report.codes = count;
        Ok(())
    }

    /// That the code of an account, of now or of old, is there.
    fn code_of(&mut self, account: &TrieAccount) -> Result<(), StorageError> {
        let hash = account.code_hash;
        if hash == KECCAK256_EMPTY || !self.codes_found.insert(hash) {
            return Ok(());
        }
        match self.reader.snapshot().get(Column::Codes, hash.as_slice())? {
            Some(_) => Ok(()),
            None => Err(StorageError::missing(Column::Codes, hash.as_slice())),
        }
    }

    fn state(&mut self) -> Result<(), StorageError> {
        let reader = self.reader;
        let mut nodes = NodeCheck { reader, count: 0, wrong: None };
        let mut builder = TrieBuilder::new(|path: Nibbles, node: Node| {
            nodes.compare(Column::AccountTrie, column::account_node(&path), &node);
        });
        let mut scan = reader.snapshot().scan(Column::Accounts, &[], None);
        while let Some((key, value)) = scan.next()? {
            let hashed = parse(Column::Accounts, key, exact_hash(key))?;
            let account = decode(Column::Accounts, key, value, codec::decode_account)?;
            self.code_of(&account)?;
            self.storage(hashed, &account)?;
            builder.add(hashed, account)?;
            self.report.accounts += 1;
            self.advance(VerifyStage::State, self.report.accounts, None);
        }
        let root = builder.finish();
        nodes.finish()?;
        self.report.account_nodes = nodes.count;
        if root != reader.head().state_root {
            return Err(StorageError::inconsistent(
                Column::Accounts,
                &[],
                format!("state root is {root}, the head has {}", reader.head().state_root),
            ));
        }
        self.count(Column::AccountTrie, self.report.account_nodes)?;
        self.count(Column::Storages, self.report.slots)?;
        self.count(Column::StorageTrie, self.report.storage_nodes)
    }

    fn storage(&mut self, hashed: B256, account: &TrieAccount) -> Result<(), StorageError> {
        let reader = self.reader;
        let mut nodes = NodeCheck { reader, count: 0, wrong: None };
        let mut builder = TrieBuilder::new(|path: Nibbles, node: Node| {
            nodes.compare(Column::StorageTrie, column::storage_node(hashed, &path), &node);
        });
        let mut scan = reader.snapshot().scan_prefix(Column::Storages, hashed.as_slice());
        while let Some((key, value)) = scan.next()? {
            let slot = parse(Column::Storages, key, exact_slot(key))?;
            let word = decode(Column::Storages, key, value, codec::decode_nonzero_word)?;
            builder.add(slot, word)?;
            self.report.slots += 1;
        }
        let root = builder.finish();
        nodes.finish()?;
        self.report.storage_nodes += nodes.count;
        if root != account.storage_root {
            return Err(StorageError::inconsistent(
                Column::Storages,
                hashed.as_slice(),
                format!("storage root is {root}, the account has {}", account.storage_root),
            ));
        }
        Ok(())
    }

    fn history(&mut self) -> Result<(), StorageError> {
        let (floor, head) = (self.reader.history_floor(), self.reader.head().number);
        let kept = |column, key: &[u8]| {
            let number = parse(column, key, number_at(key, 0))?;
            if number <= floor || number > head {
                return Err(StorageError::inconsistent(
                    column,
                    key,
                    format!("block {number} is not in {}..={head}", floor + 1),
                ));
            }
            Ok(number)
        };
        let snapshot = self.reader.snapshot();
        let mut done = 0;
        let mut scan = snapshot.scan(Column::AccountChanges, &[], None);
        while let Some((key, value)) = scan.next()? {
            let number = kept(Column::AccountChanges, key)?;
            let account = parse(Column::AccountChanges, key, exact_account_change(key))?;
            let old = decode(Column::AccountChanges, key, value, codec::decode_account_change)?;
            if let Some(old) = old {
                self.code_of(&old)?;
            }
            let index = column::account_history(account, number);
            expect_empty(
                snapshot.get(Column::AccountHistory, &index)?,
                Column::AccountHistory,
                &index,
            )?;
            done += 1;
            self.advance(VerifyStage::History, done, None);
        }
        self.report.account_changes = done;
        let mut scan = snapshot.scan(Column::StorageChanges, &[], None);
        while let Some((key, value)) = scan.next()? {
            let number = kept(Column::StorageChanges, key)?;
            let (account, slot) = parse(Column::StorageChanges, key, exact_storage_change(key))?;
            decode(Column::StorageChanges, key, value, codec::decode_word)?;
            let index = column::storage_history(account, slot, number);
            expect_empty(
                snapshot.get(Column::StorageHistory, &index)?,
                Column::StorageHistory,
                &index,
            )?;
            done += 1;
            self.advance(VerifyStage::History, done, None);
        }
        self.report.storage_changes = done - self.report.account_changes;
        self.count(Column::AccountHistory, self.report.account_changes)?;
        self.count(Column::StorageHistory, self.report.storage_changes)
    }
}

/// That an entry is there and holds nothing.
fn expect_empty(
    value: Option<rocksdb::DBPinnableSlice<'_>>,
    column: Column,
    key: &[u8],
) -> Result<(), StorageError> {
    match value {
        Some(value) if value.is_empty() => Ok(()),
        Some(_) => Err(StorageError::inconsistent(column, key, "an index entry with a value")),
        None => Err(StorageError::missing(column, key)),
    }
}

/// Compares nodes that the leaves make with those that are stored.
struct NodeCheck<'a> {
    reader: &'a StorageReader,
    count: u64,
    wrong: Option<StorageError>,
}

impl NodeCheck<'_> {
    fn compare(&mut self, column: Column, key: Vec<u8>, node: &Node) {
        self.count += 1;
        if self.wrong.is_some() {
            return;
        }
        self.wrong = match self.reader.snapshot().get(column, &key) {
            Ok(Some(stored)) if &stored[..] == node.encoded() => None,
            Ok(Some(_)) => Some(StorageError::inconsistent(
                column,
                &key,
                "not the node that the leaves below it make",
            )),
            Ok(None) => Some(StorageError::missing(column, &key)),
            Err(error) => Some(error),
        };
    }

    fn finish(&mut self) -> Result<(), StorageError> {
        self.wrong.take().map_or(Ok(()), Err)
    }
}
