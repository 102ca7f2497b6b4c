//! One atomic change of the persisted chain: blocks taken off, blocks put on.
//!
//! Each kind of row has a module with a way on and a way off: [`chain_rows`], [`history_rows`],
//! [`state_rows`], [`attribution_rows`]. A further index over blocks joins by the same pair of calls in
//! [`Commit::append`] and [`Commit::unwind`], and is then as atomic as they are.

use crate::{
    Column, ExecutedBlock, HistoryRetention, StorageError, StorageReader, attribution_rows,
    chain_rows, codec,
    column::meta,
    database::{Database, Rows},
    history_rows, state_rows,
};
use alloy_eips::BlockNumHash;
use ascribe_attribution_index::Changes;
use ascribe_trie::{HashedPostState, Layered, StateLayer, TrieError, state_root};
use std::sync::Arc;

/// How many blocks' history one commit prunes at most, beyond those it adds: catching up after
/// the distance was lowered is spread over many commits.
const PRUNE_BLOCKS: u64 = 64;

/// A change being prepared over the persisted chain as `base` shows it. Nothing is written.
pub(crate) struct Commit<'a> {
    base: &'a StorageReader,
    rows: Rows<'a>,
    /// State and trie changes so far, over `base`.
    overlay: Arc<StateLayer>,
    /// Changes of the attribution index so far, over `base`.
    attribution: Changes,
    head: BlockNumHash,
    /// Highest block of `base` that is still on the chain.
    shared: u64,
    floor: u64,
}

impl<'a> Commit<'a> {
    /// A change that will take off blocks, put on `blocks`, or both.
    pub(crate) fn new(
        database: &'a Database,
        base: &'a StorageReader,
        blocks: &[ExecutedBlock],
    ) -> Self {
        Self {
            base,
            rows: database.rows_of(blocks.iter().map(expected_bytes).sum()),
            overlay: Arc::default(),
            attribution: Changes::default(),
            head: base.head().num_hash(),
            shared: base.head().number,
            floor: base.history_floor(),
        }
    }

    /// Takes off every block above `ancestor`. Comes first if it comes at all.
    pub(crate) fn unwind(&mut self, ancestor: u64) -> Result<(), StorageError> {
        let head = self.base.head();
        if ancestor == head.number {
            return Ok(());
        }
        let revert = self.base.revert_state(ancestor)?;
        let header = self.base.expect_header(ancestor)?;
        let output = state_root(self.base, head.state_root, &revert)?;
        if output.state_root != header.state_root {
            return Err(StorageError::UnwoundRoot {
                number: ancestor,
                computed: output.state_root,
                header: header.state_root,
            });
        }
        self.overlay = Arc::new(StateLayer::new(revert, output));
        history_rows::remove(&mut self.rows, self.base, ancestor + 1, head.number)?;
        for number in (ancestor + 1..=head.number).rev() {
            attribution_rows::unwind(&mut self.attribution, self.base, number)?;
            chain_rows::unwind(&mut self.rows, self.base, number)?;
        }
        self.head = header.num_hash();
        self.shared = ancestor;
        Ok(())
    }

    /// Puts the next block on.
    pub(crate) fn append(&mut self, executed: &ExecutedBlock) -> Result<(), StorageError> {
        let number = executed.number();
        if executed.parent_hash() != self.head.hash || number != self.head.number + 1 {
            return Err(StorageError::NotContiguous {
                number,
                parent: executed.parent_hash(),
                head_number: self.head.number,
                head: self.head.hash,
            });
        }
        self.check_root(executed)?;
        chain_rows::append(&mut self.rows, executed)?;
        history_rows::append(&mut self.rows, self.base, &self.overlay, executed)?;
        attribution_rows::append(&mut self.attribution, self.base, executed)?;
        Arc::make_mut(&mut self.overlay).extend(&executed.layer);
        self.head = executed.num_hash();
        Ok(())
    }

    /// That the root node after a block is the one its header names. What does not hash to its
    /// header must not get onto the disk, whoever made it.
    fn check_root(&self, executed: &ExecutedBlock) -> Result<(), StorageError> {
        let layers = vec![executed.layer.clone(), self.overlay.clone()];
        let view = Layered::new(layers, self.base);
        match state_root(&view, executed.header().state_root, &HashedPostState::default()) {
            Ok(_) => Ok(()),
            Err(error @ TrieError::RootMismatch { .. }) => {
                Err(StorageError::BadBlock { number: executed.number(), reason: error.to_string() })
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Drops history that is older than it has to be kept.
    pub(crate) fn prune(&mut self, retention: HistoryRetention) -> Result<(), StorageError> {
        let HistoryRetention::Blocks(distance) = retention else { return Ok(()) };
        let added = self.head.number - self.shared;
        let floor = self
            .head
            .number
            .saturating_sub(distance)
            .min(self.floor + PRUNE_BLOCKS + added)
            // Blocks of this very commit are not in `base` yet, and wait for the next one.
            .min(self.shared);
        if floor > self.floor {
            history_rows::remove(&mut self.rows, self.base, self.floor + 1, floor)?;
            self.floor = floor;
        }
        Ok(())
    }

    /// The whole batch.
    pub(crate) fn finish(mut self) -> Result<Rows<'a>, StorageError> {
        state_rows::write(&mut self.rows, self.base, &self.overlay)?;
        attribution_rows::write(&mut self.rows, &self.attribution, self.head.number);
        self.rows.put(Column::Meta, meta::HEAD, &codec::encode_num_hash(self.head));
        self.rows.put(Column::Meta, meta::FLOOR, &self.floor.to_be_bytes());
        Ok(self.rows)
    }
}

/// About how many bytes a block takes in a batch, so that the batch does not move as it grows.
fn expected_bytes(executed: &ExecutedBlock) -> usize {
    const TRANSACTION: usize = 512;
    const CHANGED_KEY: usize = 384;
    const NODE: usize = 768;
    let StateLayer { accounts, storages, trie } = &*executed.layer;
    let slots: usize = storages.values().map(|storage| storage.slots.len()).sum();
    let nodes: usize = trie.storages.values().map(|storage| storage.nodes.len()).sum();
    executed.receipts.len() * TRANSACTION
        + (accounts.len() + slots) * CHANGED_KEY
        + (trie.account_nodes.len() + nodes) * NODE
}
