//! The engine's thread: the only one that changes the chain.

use crate::{
    CanonUpdate, EngineConfig, EngineError, ProviderError, StateView,
    block::{CanonBlock, MemoryBlock},
    buffer::BlockBuffer,
    build::{Builder, ForkchoiceReply},
    health::Health,
    import::Importer,
    invalid::InvalidBlocks,
    maintain::{PoolMaintenance, PoolUpdate},
    persist::Persistence,
    stats::Counters,
    tree::Tree,
    view::Chain,
};
use alloy_primitives::B256;
use alloy_rpc_types_engine::{ForkchoiceState, PayloadStatus};
use ascribe_chainspec::ChainSpec;
use ascribe_storage::{Storage, StorageError};
use ascribe_txpool::TxPool;
use crossbeam_channel::{Receiver, never, select, tick};
use op_alloy_rpc_types_engine::{OpExecutionData, OpPayloadAttributes};
use std::{sync::Arc, time::Duration};
use tokio::sync::oneshot;
use tracing::{debug, error, info};

/// How often the engine looks whether a failed write is to be tried again.
const TICK: Duration = Duration::from_millis(500);

/// Heights below the persisted head at which side blocks are still kept in memory.
const SIDE_BLOCK_DEPTH: u64 = 128;

/// What the engine is asked.
#[derive(Debug)]
pub(crate) enum Message {
    /// `engine_newPayload`.
    NewPayload {
        data: Box<OpExecutionData>,
        reply: oneshot::Sender<Result<PayloadStatus, EngineError>>,
    },
    /// `engine_forkchoiceUpdated`.
    Forkchoice {
        state: ForkchoiceState,
        attributes: Option<Box<OpPayloadAttributes>>,
        reply: ForkchoiceReply,
    },
    /// A payload built here was fetched.
    Built(Arc<MemoryBlock>),
    Shutdown {
        reply: oneshot::Sender<Result<(), EngineError>>,
    },
}

/// Everything the thread works with.
#[derive(Debug)]
pub(crate) struct Engine {
    pub(crate) config: EngineConfig,
    pub(crate) spec: Arc<ChainSpec>,
    pub(crate) storage: Storage,
    pub(crate) pool: TxPool,
    /// Where snapshots are shown.
    pub(crate) chain: Arc<Chain>,
    /// The chain as this thread has it: shown after each change.
    pub(crate) tree: Tree,
    pub(crate) buffer: BlockBuffer,
    pub(crate) invalid: InvalidBlocks,
    pub(crate) importer: Importer,
    pub(crate) counters: Arc<Counters>,
    pub(crate) health: Arc<Health>,
    pub(crate) persistence: Persistence,
    pub(crate) builder: Builder,
    pub(crate) maintenance: PoolMaintenance,
}

impl Engine {
    pub(crate) fn run(mut self, messages: &Receiver<Message>) {
        let ticks = tick(TICK);
        let mut results = self.persistence.results().clone();
        let reply = loop {
            select! {
                recv(messages) -> message => match message {
                    Ok(Message::Shutdown { reply }) => break Some(reply),
                    Ok(message) => self.handle(message),
                    // Every handle is gone: nobody will ask for anything more.
                    Err(_) => break None,
                },
                recv(results) -> result => self.persisted(result.unwrap_or_else(|_| {
                    results = never();
                    Err(StorageError::Io("the persistence thread has ended".to_owned()))
                })),
                recv(ticks) -> _ => self.persist(),
            }
        };
        let result = self.stop();
        if let Some(reply) = reply {
            let _ = reply.send(result);
        }
    }

    fn handle(&mut self, message: Message) {
        // An answer that nobody waits for any more is dropped: what was asked is done all the same.
        match message {
            Message::NewPayload { data, reply } => {
                let _ = reply.send(self.new_payload(*data));
            }
            Message::Forkchoice { state, attributes, reply } => {
                self.forkchoice_updated(state, attributes.map(|attributes| *attributes), reply);
            }
            Message::Built(block) => self.built(block),
            Message::Shutdown { .. } => {}
        }
        self.report();
    }

    /// Takes a block that was built here into the tree: it is executed already.
    fn built(&mut self, block: Arc<MemoryBlock>) {
        if self.tree.block(&block.hash()).is_some() {
            return;
        }
        match self.tree.header(&block.parent_hash()) {
            Ok(Some(_)) => {
                debug!(
                    target: "ascribe::engine",
                    number = block.number(),
                    hash = %block.hash(),
                    "Inserted built block"
                );
                Counters::add(&self.counters.payloads_inserted, 1);
                self.insert(block);
            }
            // The parent was reorganised away: when this block comes as a payload, it is looked at
            // like any other.
            Ok(None) => {}
            Err(error) => error!(target: "ascribe::engine", %error, "Could not insert built block"),
        }
    }

    /// Takes an executed block into the tree and moves the caches on to it.
    pub(crate) fn insert(&mut self, block: Arc<MemoryBlock>) {
        self.chain.caches().advance(&block);
        self.buffer.remove(&block.hash());
        self.tree.insert(block);
        self.publish();
    }

    /// Shows the chain as it is now.
    pub(crate) fn publish(&self) {
        self.chain.publish(self.tree.clone());
    }

    /// State after an executed block, for executing on it.
    pub(crate) fn state(&self, hash: B256) -> Result<StateView, ProviderError> {
        StateView::new(&self.tree, hash, self.chain.caches())
    }

    /// Refuses work while blocks cannot be persisted, and waits when too many are not.
    pub(crate) fn admit(&mut self) -> Result<(), EngineError> {
        while self.tree.canonical().len() as u64 >= self.config.backpressure {
            self.persist();
            metrics::counter!("ascribe_engine_backpressure_waits").increment(1);
            if !self.wait_persisted() {
                break;
            }
            if self.persistence.failure().is_some() {
                break;
            }
        }
        match self.persistence.failure() {
            Some(error) => Err(EngineError::Persistence(error)),
            None => Ok(()),
        }
    }

    /// Hands blocks to the persistence thread, if there are enough and it is free.
    pub(crate) fn persist(&mut self) {
        let canonical = self.tree.canonical();
        let retry = self.persistence.failure().is_some();
        if canonical.len() as u64 > self.config.persistence_threshold || retry {
            let buffer = usize::try_from(self.config.memory_block_buffer).unwrap_or(usize::MAX);
            let count = canonical.len().saturating_sub(if retry { 0 } else { buffer });
            let blocks = canonical.iter().take(count).map(|block| block.executed().clone());
            self.persistence.append(blocks);
        }
    }

    /// Waits for the batch that is being written, if there is one. True if there was.
    pub(crate) fn wait_persisted(&mut self) -> bool {
        let waited = self.persistence.wait();
        if waited {
            self.follow_storage();
        }
        waited
    }

    fn persisted(&mut self, result: Result<(), StorageError>) {
        self.persistence.finished(result);
        self.follow_storage();
        self.persist();
        self.report();
    }

    fn follow_storage(&mut self) {
        let reader = self.storage.reader();
        if reader.head().number != self.tree.reader().head().number {
            self.tree.set_persisted(reader, SIDE_BLOCK_DEPTH);
            self.publish();
        }
        self.health.set_failure(self.persistence.failure());
    }

    /// Tells everybody that the canonical chain changed.
    pub(crate) fn announce(
        &self,
        old: Vec<CanonBlock>,
        new: &[Arc<MemoryBlock>],
    ) -> Result<(), ProviderError> {
        let head = self.tree.head();
        let state = self.state(head.hash())?;
        self.maintenance.update(PoolUpdate {
            old: old.clone(),
            head: self.tree.block(&head.hash()).cloned(),
            state,
        });
        let new = new.iter().map(|block| block.canon()).collect();
        self.chain.announce(Arc::new(CanonUpdate { old, new, head }));
        Ok(())
    }

    /// Shows how full everything is.
    fn report(&self) {
        let caches = self.chain.caches();
        metrics::gauge!("reth_blockchain_tree_canonical_chain_height")
            .set(self.tree.head_num_hash().number as f64);
        metrics::gauge!("reth_blockchain_tree_in_mem_blocks")
            .set(self.tree.canonical().len() as f64);
        metrics::gauge!("ascribe_engine_side_blocks").set(self.tree.side_blocks() as f64);
        metrics::gauge!("ascribe_engine_buffered_blocks").set(self.buffer.len() as f64);
        metrics::gauge!("ascribe_engine_buffered_bytes").set(self.buffer.bytes() as f64);
        metrics::gauge!("ascribe_engine_state_cache_bytes").set(caches.state.bytes() as f64);
        metrics::gauge!("ascribe_engine_trie_cache_bytes").set(caches.trie.bytes() as f64);
    }

    /// Ends building, writes every canonical block that is still in memory, and ends the threads.
    fn stop(mut self) -> Result<(), EngineError> {
        self.builder.stop();
        self.persistence.stop();
        self.follow_storage();
        let blocks: Vec<_> =
            self.tree.canonical().iter().map(|block| block.executed().clone()).collect();
        let result = self.storage.append(&blocks).and_then(|()| self.storage.sync());
        self.maintenance.stop();
        let head = self.storage.reader().head().num_hash();
        match result {
            Ok(()) => {
                self.tree.set_persisted(self.storage.reader(), SIDE_BLOCK_DEPTH);
                self.publish();
                info!(
                    target: "ascribe::engine",
                    head = head.number,
                    hash = %head.hash,
                    flushed = blocks.len(),
                    "Stopped with every canonical block on disk"
                );
                Ok(())
            }
            Err(error) => {
                error!(
                    target: "ascribe::engine",
                    %error,
                    head = head.number,
                    lost = blocks.len(),
                    "Stopped, but the newest blocks could not be written"
                );
                Err(EngineError::Persistence(Arc::new(error)))
            }
        }
    }
}
