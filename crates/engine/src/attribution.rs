//! The attribution index up to the head: what blocks in memory add, over what is persisted.

use crate::{StateView, cache::Caches, state::ExecutionState, tree::Tree};
use alloy_primitives::Bytes;
use ascribe_attribution_index::{Changes, IndexError, Layers, Row, Rows, Table, Visit};
use ascribe_evm::EvmConfig;
use ascribe_storage::{ExecutedBlock, StorageReader};
use std::sync::Arc;

/// Finds what blocks add to the index.
#[derive(Clone, Debug)]
pub(crate) struct Indexer {
    pub(crate) evm: EvmConfig,
    pub(crate) caches: Caches,
}

impl Indexer {
    /// Finds what blocks of `tree` add, each on the one before and the first on the head of `persisted`.
    pub(crate) fn index<'a>(
        &self,
        tree: &Tree,
        persisted: &StorageReader,
        blocks: impl IntoIterator<Item = &'a ExecutedBlock>,
    ) -> Result<(), IndexError> {
        let mut layers: Vec<&Changes> = Vec::new();
        for block in blocks {
            let view = Layers::new(persisted, layers.iter().copied());
            let see = |places: &[u32]| self.see(tree, block, places);
            layers.push(block.attribution(&view, persisted.chain_id(), see)?);
        }
        Ok(())
    }

    /// Finds what cannot be found later in blocks that will become the persisted chain, whatever they are on.
    pub(crate) fn prepare(&self, tree: &Tree, blocks: &[ExecutedBlock]) -> Result<(), IndexError> {
        for block in blocks {
            let places = block.unfound_batches(tree.reader().chain_id());
            if !places.is_empty() {
                block.saw(self.see(tree, block, &places)?);
            }
        }
        Ok(())
    }

    /// The batches that the precompile was given in these transactions.
    fn see(
        &self,
        tree: &Tree,
        block: &ExecutedBlock,
        places: &[u32],
    ) -> Result<Vec<Bytes>, IndexError> {
        let parent = StateView::new(tree, block.parent_hash(), &self.caches);
        let parent = parent.map_err(IndexError::read)?;
        let batches = self.evm.settled_batches(ExecutionState::new(&parent), &block.block, places);
        batches.map_err(IndexError::read)
    }
}

/// Rows of the attribution index as of the head at one moment.
#[derive(Clone, Debug)]
pub struct AttributionRows {
    tree: Arc<Tree>,
}

impl AttributionRows {
    pub(crate) fn new(tree: Arc<Tree>, indexer: &Indexer) -> Result<Self, IndexError> {
        indexer.index(
            &tree,
            tree.reader(),
            tree.canonical().iter().map(|block| block.executed()),
        )?;
        Ok(Self { tree })
    }

    /// The number of the head.
    pub fn head(&self) -> u64 {
        self.tree.head_num_hash().number
    }

    fn layers(&self) -> Layers<'_, StorageReader> {
        let blocks = self.tree.canonical().iter();
        Layers::new(self.tree.reader(), blocks.filter_map(|block| block.executed().indexed()))
    }
}

impl Rows for AttributionRows {
    fn get(&self, table: Table, key: &[u8]) -> Result<Option<Vec<u8>>, IndexError> {
        self.layers().get(table, key)
    }

    fn scan(
        &self,
        table: Table,
        from: &[u8],
        to: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<(), IndexError> {
        self.layers().scan(table, from, to, visit)
    }

    fn last(&self, table: Table, from: &[u8], to: &[u8]) -> Result<Option<Row>, IndexError> {
        self.layers().last(table, from, to)
    }

    fn input(&self, block: u64, transaction: u32) -> Result<Option<Bytes>, IndexError> {
        self.layers().input(block, transaction)
    }
}
