//! The read side: the chain as everybody but the engine sees it.

use crate::{
    AttributionRows, CanonUpdate, ProviderError, StateView,
    attribution::Indexer,
    block::{CanonBlock, MemoryBlock},
    cache::Caches,
    tree::Tree,
};
use alloy_eips::{BlockId, BlockNumHash, BlockNumberOrTag};
use alloy_primitives::B256;
use ascribe_attribution_index::IndexError;
use op_alloy_consensus::{OpBlock, OpReceipt};
use parking_lot::RwLock;
use reth_primitives_traits::{RecoveredBlock, SealedHeader};
use std::sync::Arc;
use tokio::sync::{broadcast, watch};

/// Updates of the canonical chain that a slow subscriber may lag behind before it misses some.
const UPDATES: usize = 256;

/// What engine and readers share: the current snapshot and the ways to hear of the next.
#[derive(Debug)]
pub(crate) struct Chain {
    tree: RwLock<Arc<Tree>>,
    indexer: Indexer,
    updates: broadcast::Sender<Arc<CanonUpdate>>,
    persisted: watch::Sender<BlockNumHash>,
}

impl Chain {
    pub(crate) fn new(tree: Tree, indexer: Indexer) -> Self {
        let persisted = watch::Sender::new(tree.reader().head().num_hash());
        Self {
            tree: RwLock::new(Arc::new(tree)),
            indexer,
            updates: broadcast::Sender::new(UPDATES),
            persisted,
        }
    }

    pub(crate) fn tree(&self) -> Arc<Tree> {
        self.tree.read().clone()
    }

    pub(crate) const fn caches(&self) -> &Caches {
        &self.indexer.caches
    }

    pub(crate) const fn indexer(&self) -> &Indexer {
        &self.indexer
    }

    /// Shows a new snapshot. Only the engine's thread does.
    pub(crate) fn publish(&self, tree: Tree) {
        let persisted = tree.reader().head().num_hash();
        *self.tree.write() = Arc::new(tree);
        self.persisted.send_if_modified(|current| {
            let changed = *current != persisted;
            *current = persisted;
            changed
        });
    }

    pub(crate) fn announce(&self, update: Arc<CanonUpdate>) {
        // An error says that nobody listens.
        let _ = self.updates.send(update);
    }
}

/// A block, and the index of one of its transactions.
pub type BlockPosition = (Arc<RecoveredBlock<OpBlock>>, usize);

/// The chain for readers: blocks in memory over what is persisted. Cheap to clone; reading never
/// waits for the engine.
///
/// Each call reads the newest snapshot. What must be consistent among several calls goes by hash,
/// or through one [`StateView`].
#[derive(Debug, Clone)]
pub struct ChainView {
    chain: Arc<Chain>,
}

impl ChainView {
    pub(crate) const fn new(chain: Arc<Chain>) -> Self {
        Self { chain }
    }

    /// Header of the head: `latest`.
    pub fn head(&self) -> SealedHeader {
        self.chain.tree().head()
    }

    /// The newest block derived from L1 data. After a restart it is the one that was persisted.
    pub fn safe(&self) -> Option<BlockNumHash> {
        self.chain.tree().labels().safe
    }

    /// The newest block derived from finalized L1 data.
    pub fn finalized(&self) -> Option<BlockNumHash> {
        self.chain.tree().labels().finalized
    }

    /// The persisted head. It survives a crash, and so does everything below it.
    pub fn persisted(&self) -> BlockNumHash {
        self.chain.tree().reader().head().num_hash()
    }

    /// Lowest height whose state is kept.
    pub fn history_floor(&self) -> u64 {
        self.chain.tree().reader().history_floor()
    }

    /// The block that an id names. `pending` is the head: there is no block above it that others
    /// could ask for. Nothing for a label that is not set, and for a block that is not canonical
    /// where that was demanded.
    pub fn resolve(&self, id: impl Into<BlockId>) -> Result<Option<BlockNumHash>, ProviderError> {
        let tree = self.chain.tree();
        match id.into() {
            BlockId::Hash(id) => {
                let Some(number) = tree.number(&id.block_hash)? else { return Ok(None) };
                let block = BlockNumHash { number, hash: id.block_hash };
                let demanded = id.require_canonical == Some(true);
                Ok((!demanded || tree.is_canonical(block)?).then_some(block))
            }
            BlockId::Number(BlockNumberOrTag::Latest | BlockNumberOrTag::Pending) => {
                Ok(Some(tree.head_num_hash()))
            }
            BlockId::Number(BlockNumberOrTag::Safe) => Ok(tree.labels().safe),
            BlockId::Number(BlockNumberOrTag::Finalized) => Ok(tree.labels().finalized),
            BlockId::Number(BlockNumberOrTag::Earliest) => Self::canonical(&tree, 0),
            BlockId::Number(BlockNumberOrTag::Number(number)) => Self::canonical(&tree, number),
        }
    }

    fn canonical(tree: &Tree, number: u64) -> Result<Option<BlockNumHash>, ProviderError> {
        Ok(tree.canonical_hash(number)?.map(|hash| BlockNumHash { number, hash }))
    }

    /// Hash of the canonical block at this height.
    pub fn canonical_hash(&self, number: u64) -> Result<Option<B256>, ProviderError> {
        self.chain.tree().canonical_hash(number)
    }

    /// Whether this very block is canonical.
    pub fn is_canonical(&self, block: BlockNumHash) -> Result<bool, ProviderError> {
        self.chain.tree().is_canonical(block)
    }

    /// Number of an executed block, canonical or not.
    pub fn number_of(&self, hash: B256) -> Result<Option<u64>, ProviderError> {
        self.chain.tree().number(&hash)
    }

    /// Header of the canonical block at this height.
    pub fn header_by_number(&self, number: u64) -> Result<Option<SealedHeader>, ProviderError> {
        let tree = self.chain.tree();
        match tree.canonical_block(number) {
            Some(block) => Ok(Some(block.sealed_header())),
            None => Ok(tree.reader().header(number)?),
        }
    }

    /// Header of an executed block, canonical or not.
    pub fn header_by_hash(&self, hash: B256) -> Result<Option<SealedHeader>, ProviderError> {
        self.chain.tree().header(&hash)
    }

    /// The canonical block at this height, with senders.
    pub fn block_by_number(
        &self,
        number: u64,
    ) -> Result<Option<Arc<RecoveredBlock<OpBlock>>>, ProviderError> {
        let tree = self.chain.tree();
        match tree.canonical_block(number) {
            Some(block) => Ok(Some(block.block().clone())),
            None => Ok(tree.reader().block(number)?.map(Arc::new)),
        }
    }

    /// An executed block, canonical or not, with senders.
    pub fn block_by_hash(
        &self,
        hash: B256,
    ) -> Result<Option<Arc<RecoveredBlock<OpBlock>>>, ProviderError> {
        let tree = self.chain.tree();
        match tree.block(&hash) {
            Some(block) => Ok(Some(block.block().clone())),
            None => Ok(tree.reader().block_by_hash(hash)?.map(Arc::new)),
        }
    }

    /// Receipts of the canonical block at this height.
    pub fn receipts_by_number(
        &self,
        number: u64,
    ) -> Result<Option<Arc<Vec<OpReceipt>>>, ProviderError> {
        let tree = self.chain.tree();
        match tree.canonical_block(number) {
            Some(block) => Ok(Some(block.executed().receipts.clone())),
            None => Ok(tree.reader().receipts(number)?.map(Arc::new)),
        }
    }

    /// Receipts of an executed block, canonical or not.
    pub fn receipts_by_hash(
        &self,
        hash: B256,
    ) -> Result<Option<Arc<Vec<OpReceipt>>>, ProviderError> {
        let tree = self.chain.tree();
        if let Some(block) = tree.block(&hash) {
            return Ok(Some(block.executed().receipts.clone()));
        }
        match tree.reader().number(hash)? {
            Some(number) => Ok(tree.reader().receipts(number)?.map(Arc::new)),
            None => Ok(None),
        }
    }

    /// A block with its receipts, canonical or not, out of one snapshot.
    pub fn canon_block(&self, hash: B256) -> Result<Option<CanonBlock>, ProviderError> {
        load(&self.chain.tree(), hash)
    }

    /// The canonical block that holds a transaction, and the transaction's index in it.
    pub fn transaction(&self, hash: B256) -> Result<Option<BlockPosition>, ProviderError> {
        let tree = self.chain.tree();
        for block in tree.canonical().iter().rev() {
            if let Some(index) = block.transaction(&hash) {
                return Ok(Some((block.block().clone(), index as usize)));
            }
        }
        let Some((number, index)) = tree.reader().transaction(hash)? else { return Ok(None) };
        let block = tree.reader().block(number)?;
        Ok(block.map(|block| (Arc::new(block), index as usize)))
    }

    /// State after an executed block, canonical or not.
    pub fn state_at(&self, hash: B256) -> Result<StateView, ProviderError> {
        StateView::new(&self.chain.tree(), hash, self.chain.caches())
    }

    /// State after the head.
    pub fn state_latest(&self) -> Result<StateView, ProviderError> {
        let tree = self.chain.tree();
        StateView::new(&tree, tree.head_num_hash().hash, self.chain.caches())
    }

    /// The attribution index up to the head.
    ///
    /// # Errors
    /// If rows or blocks cannot be read.
    pub fn attribution(&self) -> Result<AttributionRows, IndexError> {
        AttributionRows::new(self.chain.tree(), &self.chain.indexer)
    }

    /// Every change of the canonical chain from now on. A subscriber that lags far behind is told
    /// so by the channel, and reads the chain anew.
    pub fn subscribe(&self) -> broadcast::Receiver<Arc<CanonUpdate>> {
        self.chain.updates.subscribe()
    }

    /// The persisted head, now and whenever it moves.
    pub fn subscribe_persisted(&self) -> watch::Receiver<BlockNumHash> {
        self.chain.persisted.subscribe()
    }
}

/// A block with its receipts, out of memory or from disk.
pub(crate) fn load(tree: &Tree, hash: B256) -> Result<Option<CanonBlock>, ProviderError> {
    if let Some(block) = tree.block(&hash) {
        return Ok(Some(MemoryBlock::canon(block)));
    }
    let reader = tree.reader();
    let Some(number) = reader.number(hash)? else { return Ok(None) };
    match (reader.block(number)?, reader.receipts(number)?) {
        (Some(block), Some(receipts)) => {
            Ok(Some(CanonBlock { block: Arc::new(block), receipts: Arc::new(receipts) }))
        }
        _ => Ok(None),
    }
}
