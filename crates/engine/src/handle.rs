//! The one door into the chain.

use crate::{
    BuiltPayload, ChainView, DaLimits, EngineConfig, EngineError, EngineStats, ForkchoiceError,
    attribution::Indexer,
    buffer::BlockBuffer,
    build::{Attempts, Builder, Jobs},
    cache::Caches,
    engine::{Engine, Message},
    health::Health,
    import::Importer,
    invalid::InvalidBlocks,
    maintain::PoolMaintenance,
    persist::Persistence,
    stats::Counters,
    tree::Tree,
    view::Chain,
};
use alloy_rpc_types_engine::{ForkchoiceState, ForkchoiceUpdated, PayloadId, PayloadStatus};
use ascribe_evm::EvmConfig;
use ascribe_storage::{Storage, StorageError};
use ascribe_txpool::TxPool;
use crossbeam_channel::{Sender, unbounded};
use op_alloy_rpc_types_engine::{OpExecutionData, OpPayloadAttributes};
use std::sync::Arc;
use tokio::sync::oneshot;
use tracing::info;

/// Starts the engine on a persisted chain: its own thread, one that persists, one that builds, and
/// one that keeps the pool at the head.
///
/// The engine stops when [`EngineHandle::shutdown`] is called, or when the last handle is dropped.
///
/// # Errors
/// When the persisted head cannot be read, or a thread cannot be started.
pub fn spawn(
    config: EngineConfig,
    evm: EvmConfig,
    storage: Storage,
    pool: TxPool,
) -> Result<(EngineHandle, ChainView), EngineError> {
    let spec = evm.chain_spec().clone();
    let tree = Tree::new(storage.reader(), storage.labels());
    let head = tree.head();
    let caches = Caches::new(&config, head.hash());
    let indexer = Indexer { evm: evm.clone(), caches: caches.clone() };
    let chain = Arc::new(Chain::new(tree.clone(), indexer));
    let counters = Arc::new(Counters::default());
    let health = Arc::new(Health::default());
    let jobs = Arc::new(Jobs::new(config.builder.payloads));
    let da_limits =
        Arc::new(DaLimits::new(config.builder.max_da_tx_size, config.builder.max_da_block_size));
    let importer = Importer { evm, caches, counters: counters.clone() };
    let attempts =
        Attempts { importer: importer.clone(), pool: pool.clone(), da_limits: da_limits.clone() };
    let maintenance = PoolMaintenance::spawn(spec.clone(), pool.clone())?;
    let builder = Builder::spawn(
        config.builder.clone(),
        attempts,
        maintenance.progress().clone(),
        jobs.clone(),
    )?;
    let persistence = Persistence::spawn(
        {
            let (storage, chain) = (storage.clone(), chain.clone());
            move |blocks| {
                // What only executing a block tells has to be known before it is written.
                chain.indexer().index(&chain.tree(), &storage.reader(), blocks)?;
                storage.append(blocks)
            }
        },
        counters.clone(),
    )?;
    let engine = Engine {
        spec,
        pool,
        chain: chain.clone(),
        buffer: BlockBuffer::new(config.buffered_blocks, config.buffered_bytes),
        invalid: InvalidBlocks::new(config.invalid_blocks),
        importer,
        counters: counters.clone(),
        health: health.clone(),
        persistence,
        builder,
        maintenance,
        config,
        storage,
        tree,
    };
    // The pool learns where the chain is.
    engine.announce(Vec::new(), &[])?;
    let (messages, incoming) = unbounded();
    std::thread::Builder::new()
        .name("engine".to_owned())
        .spawn(move || engine.run(&incoming))
        .map_err(|error| EngineError::Thread { thread: "engine", reason: error.to_string() })?;
    info!(
        target: "ascribe::engine",
        head = head.number,
        hash = %head.hash(),
        "Engine started"
    );
    let handle = EngineHandle { messages, jobs, da_limits, counters, health };
    Ok((handle, ChainView::new(chain)))
}

/// The engine, for those who drive it: an Engine API server, a sequencer, a derivation pipeline.
/// Cheap to clone.
///
/// What is asked is done in the order in which it was asked; the queue is as long as there are
/// callers who wait.
#[derive(Debug, Clone)]
pub struct EngineHandle {
    messages: Sender<Message>,
    jobs: Arc<Jobs>,
    da_limits: Arc<DaLimits>,
    counters: Arc<Counters>,
    health: Arc<Health>,
}

impl EngineHandle {
    /// `engine_newPayload`: validates and executes a block.
    ///
    /// Anything wrong with the payload is a status: `INVALID` with the newest valid ancestor, or
    /// without one if the payload's hash is wrong or it does not decode; `SYNCING` if the parent is
    /// not known, and then the block waits for it. Versions and missing fields are the server's
    /// business.
    ///
    /// # Errors
    /// Our own trouble only: [`EngineError::code`] is −32603.
    pub async fn new_payload(&self, data: OpExecutionData) -> Result<PayloadStatus, EngineError> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::NewPayload { data: Box::new(data), reply })?;
        answer.await.map_err(|_| EngineError::Stopped)?
    }

    /// `engine_forkchoiceUpdated`: sets head, safe and finalized, and starts building if there are
    /// attributes.
    ///
    /// The head may be any executed block, an ancestor of the current head included: the chain is
    /// rewound to it then. With attributes the answer comes when their transactions are executed,
    /// and a payload can be had from then on.
    ///
    /// # Errors
    /// See [`ForkchoiceError`]; the head may have moved nevertheless.
    pub async fn forkchoice_updated(
        &self,
        state: ForkchoiceState,
        attributes: Option<OpPayloadAttributes>,
    ) -> Result<ForkchoiceUpdated, ForkchoiceError> {
        let (reply, answer) = oneshot::channel();
        let attributes = attributes.map(Box::new);
        self.send(Message::Forkchoice { state, attributes, reply })?;
        answer.await.map_err(|_| EngineError::Stopped)?
    }

    /// `engine_getPayload`: the best payload so far. Building ends with it.
    ///
    /// The block enters the tree as executed: `new_payload` of it is a look-up.
    ///
    /// # Errors
    /// [`EngineError::UnknownPayload`].
    pub async fn get_payload(&self, id: PayloadId) -> Result<Arc<BuiltPayload>, EngineError> {
        let job = self.jobs.get(id).ok_or(EngineError::UnknownPayload)?;
        let (payload, block) = job.resolve().await.ok_or(EngineError::UnknownPayload)?;
        self.send(Message::Built(block))?;
        Ok(Arc::new(payload))
    }

    /// The bounds on what blocks built here may cost in data availability.
    pub const fn da_limits(&self) -> &Arc<DaLimits> {
        &self.da_limits
    }

    /// What the engine has done so far.
    pub fn stats(&self) -> EngineStats {
        self.counters.read()
    }

    /// Why blocks cannot be written to disk, while they cannot.
    pub fn persistence_failure(&self) -> Option<Arc<StorageError>> {
        self.health.failure()
    }

    /// Stops: building ends, and every canonical block goes to disk.
    ///
    /// # Errors
    /// If blocks could not be written. They are lost to this node then, and the consensus side
    /// will give them again.
    pub async fn shutdown(&self) -> Result<(), EngineError> {
        let (reply, answer) = oneshot::channel();
        self.send(Message::Shutdown { reply })?;
        answer.await.map_err(|_| EngineError::Stopped)?
    }

    fn send(&self, message: Message) -> Result<(), EngineError> {
        self.messages.send(message).map_err(|_| EngineError::Stopped)
    }
}
