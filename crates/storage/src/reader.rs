//! The persisted chain as of one moment: headers, bodies, receipts, lookups.

use crate::{
    Column, StorageError, codec,
    column::{meta, number as number_key},
    snapshot::Snapshot,
};
use alloy_consensus::{Block, BlockBody};
use alloy_eips::BlockNumHash;
use alloy_primitives::{Address, B256, Bytes};
use ascribe_trie::{HashedPostState, TrieError, state_root};
use op_alloy_consensus::{OpBlock, OpReceipt, OpTxEnvelope};
use reth_primitives_traits::{RecoveredBlock, SealedHeader};
use std::{fmt, sync::Arc};

/// A consistent view of the persisted chain and its state at the persisted head.
///
/// Clones share one RocksDB snapshot. The view does not follow later writes, and while it lives
/// RocksDB keeps what it shows: hold it for the length of a request, not for ever. It also keeps
/// the database open.
#[derive(Clone)]
pub struct StorageReader {
    inner: Arc<Inner>,
}

struct Inner {
    snapshot: Snapshot,
    head: SealedHeader,
    floor: u64,
    chain_id: u64,
}

impl fmt::Debug for StorageReader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StorageReader")
            .field("head", &self.inner.head.num_hash())
            .field("floor", &self.inner.floor)
            .finish_non_exhaustive()
    }
}

impl StorageReader {
    /// Reads head and floor out of the snapshot; the database must hold a genesis block.
    pub(crate) fn new(snapshot: Snapshot) -> Result<Self, StorageError> {
        let head = snapshot
            .get_with(Column::Meta, meta::HEAD, codec::decode_num_hash)?
            .ok_or_else(|| StorageError::missing(Column::Meta, meta::HEAD))?;
        let floor = snapshot
            .get_with(Column::Meta, meta::FLOOR, codec::decode_number)?
            .ok_or_else(|| StorageError::missing(Column::Meta, meta::FLOOR))?;
        if floor > head.number {
            return Err(StorageError::inconsistent(
                Column::Meta,
                meta::FLOOR,
                format!("floor {floor} is above the head {}", head.number),
            ));
        }
        let chain_id = snapshot
            .get_with(Column::Meta, meta::CHAIN_ID, codec::decode_number)?
            .ok_or_else(|| StorageError::missing(Column::Meta, meta::CHAIN_ID))?;
        let key = number_key(head.number);
        let header = snapshot
            .get_with(Column::Headers, &key, codec::decode_header)?
            .ok_or_else(|| StorageError::missing(Column::Headers, &key))?;
        if header.hash() != head.hash {
            return Err(StorageError::inconsistent(
                Column::Headers,
                &key,
                format!("hash {} is not that of the head, {}", header.hash(), head.hash),
            ));
        }
        Ok(Self { inner: Arc::new(Inner { snapshot, head: header, floor, chain_id }) })
    }

    /// That the head is whole: its state root is that of the root node, and its parts are there.
    pub(crate) fn check_head(&self) -> Result<(), StorageError> {
        let head = self.head();
        match state_root(self, head.state_root, &HashedPostState::default()) {
            Ok(_) => {}
            Err(error @ TrieError::RootMismatch { .. }) => {
                return Err(StorageError::inconsistent(
                    Column::AccountTrie,
                    &[],
                    error.to_string(),
                ));
            }
            Err(error) => return Err(error.into()),
        }
        let key = number_key(head.number);
        for column in [Column::Bodies, Column::Senders, Column::Receipts] {
            if self.snapshot().get(column, &key)?.is_none() {
                return Err(StorageError::missing(column, &key));
            }
        }
        Ok(())
    }

    pub(crate) fn snapshot(&self) -> &Snapshot {
        &self.inner.snapshot
    }

    /// Header of the persisted head.
    pub fn head(&self) -> &SealedHeader {
        &self.inner.head
    }

    /// EIP-155 chain id.
    pub fn chain_id(&self) -> u64 {
        self.inner.chain_id
    }

    /// Lowest block number whose state is kept.
    pub fn history_floor(&self) -> u64 {
        self.inner.floor
    }

    /// Header of a persisted block.
    pub fn header(&self, number: u64) -> Result<Option<SealedHeader>, StorageError> {
        if number == self.inner.head.number {
            return Ok(Some(self.inner.head.clone()));
        }
        self.snapshot().get_with(Column::Headers, &number_key(number), codec::decode_header)
    }

    /// Header of a persisted block that must exist, being at or below the head.
    pub(crate) fn expect_header(&self, number: u64) -> Result<SealedHeader, StorageError> {
        let head = self.inner.head.number;
        if number > head {
            return Err(StorageError::AboveHead { number, head });
        }
        self.header(number)?
            .ok_or_else(|| StorageError::missing(Column::Headers, &number_key(number)))
    }

    /// Header of a persisted block.
    pub fn header_by_hash(&self, hash: B256) -> Result<Option<SealedHeader>, StorageError> {
        self.number(hash)?.map(|number| self.expect_header(number)).transpose()
    }

    /// Number of a persisted block.
    pub fn number(&self, hash: B256) -> Result<Option<u64>, StorageError> {
        if hash == self.inner.head.hash() {
            return Ok(Some(self.inner.head.number));
        }
        self.snapshot().get_with(Column::BlockNumbers, hash.as_slice(), codec::decode_number)
    }

    /// Hash of the persisted block with this number.
    pub fn canonical_hash(&self, number: u64) -> Result<Option<B256>, StorageError> {
        if number == self.inner.head.number {
            return Ok(Some(self.inner.head.hash()));
        }
        self.snapshot().get_with(Column::Headers, &number_key(number), codec::decode_header_hash)
    }

    /// Whether this very block is persisted.
    pub fn contains(&self, block: BlockNumHash) -> Result<bool, StorageError> {
        Ok(self.canonical_hash(block.number)? == Some(block.hash))
    }

    /// Transactions, ommers and withdrawals of a persisted block.
    pub fn body(&self, number: u64) -> Result<Option<BlockBody<OpTxEnvelope>>, StorageError> {
        self.snapshot().get_with(Column::Bodies, &number_key(number), codec::decode_body)
    }

    /// Senders of a persisted block's transactions, in their order.
    pub fn senders(&self, number: u64) -> Result<Option<Vec<Address>>, StorageError> {
        self.snapshot().get_with(Column::Senders, &number_key(number), codec::decode_senders)
    }

    /// Receipts of a persisted block, in the order of its transactions.
    pub fn receipts(&self, number: u64) -> Result<Option<Vec<OpReceipt>>, StorageError> {
        self.snapshot().get_with(Column::Receipts, &number_key(number), codec::decode_receipts)
    }

    /// A persisted block with its senders.
    pub fn block(&self, number: u64) -> Result<Option<RecoveredBlock<OpBlock>>, StorageError> {
        let Some(header) = self.header(number)? else { return Ok(None) };
        let key = number_key(number);
        let body = self.body(number)?.ok_or_else(|| StorageError::missing(Column::Bodies, &key))?;
        let senders =
            self.senders(number)?.ok_or_else(|| StorageError::missing(Column::Senders, &key))?;
        if senders.len() != body.transactions.len() {
            return Err(StorageError::inconsistent(
                Column::Senders,
                &key,
                format!("{} senders, {} transactions", senders.len(), body.transactions.len()),
            ));
        }
        let hash = header.hash();
        Ok(Some(RecoveredBlock::new(Block::new(header.unseal(), body), senders, hash)))
    }

    /// A persisted block with its senders.
    pub fn block_by_hash(
        &self,
        hash: B256,
    ) -> Result<Option<RecoveredBlock<OpBlock>>, StorageError> {
        match self.number(hash)? {
            Some(number) => self.block(number),
            None => Ok(None),
        }
    }

    /// Block number and index of a persisted transaction.
    pub fn transaction(&self, hash: B256) -> Result<Option<(u64, u32)>, StorageError> {
        self.snapshot().get_with(Column::Transactions, hash.as_slice(), codec::decode_lookup)
    }

    /// Bytecode with this hash. Codes of unwound blocks may still be there.
    pub fn code(&self, hash: B256) -> Result<Option<Bytes>, StorageError> {
        self.snapshot()
            .get_with(Column::Codes, hash.as_slice(), |code| Ok(Bytes::copy_from_slice(code)))
    }
}
