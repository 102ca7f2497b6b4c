//! A chain on disk with its engine, driven as a consensus client would.

use std::{path::PathBuf, sync::Arc, time::Duration};

use alloy_primitives::B256;
use alloy_rpc_types_engine::{
    ForkchoiceState, ForkchoiceUpdated, PayloadStatus, PayloadStatusEnum,
};
use ascribe_chainspec::ChainSpec;
use ascribe_engine::{BuilderConfig, BuiltPayload, ChainView, EngineConfig, EngineHandle, spawn};
use ascribe_evm::EvmConfig;
use ascribe_storage::{Storage, StorageOptions};
use ascribe_txpool::{PoolConfig, SubPoolLimit, TxPool};
use op_alloy_rpc_types_engine::{OpExecutionData, OpPayloadAttributes};
use tempfile::TempDir;

use crate::{
    BenchError, bars,
    workload::{Chain, Workload},
};

/// The canonical blocks that a consensus client calls safe and finalized lie so far behind.
const SAFE_DISTANCE: usize = 16;
const FINALIZED_DISTANCE: usize = 32;
/// Transactions and megabytes that the pool takes: all.
const POOL_LIMIT: SubPoolLimit = SubPoolLimit::new(1_000_000, 4_096);

/// A node without its RPC.
#[derive(Debug)]
pub(crate) struct Node {
    pub(crate) engine: EngineHandle,
    pub(crate) view: ChainView,
    pub(crate) pool: TxPool,
    /// Hashes of the canonical chain from genesis on.
    hashes: Vec<B256>,
    storage: Storage,
    dir: TempDir,
}

impl Node {
    /// Begins a chain in a folder of its own within `dir`, or where temporary files go.
    pub(crate) fn new(spec: &Arc<ChainSpec>, dir: Option<&PathBuf>) -> Result<Self, BenchError> {
        let dir = match dir {
            Some(dir) => TempDir::new_in(dir)?,
            None => TempDir::new()?,
        };
        let path = dir.path().join("db");
        let storage = Storage::open(path, StorageOptions::default(), spec, &mut |_| {})?;
        // Genesis lies in tables, as the state of an older chain does.
        storage.flush()?;
        let limits = PoolConfig {
            pending: POOL_LIMIT,
            basefee: POOL_LIMIT,
            queued: POOL_LIMIT,
            max_account_slots: POOL_LIMIT.max_count,
            ..PoolConfig::default()
        };
        let pool = TxPool::new(limits, spec.chain_id());
        let builder =
            BuilderConfig { max_da_block_size: 0, max_da_tx_size: 0, ..BuilderConfig::default() };
        let config = EngineConfig { builder, ..EngineConfig::default() };
        let evm = EvmConfig::new(spec.clone());
        let (engine, view) = spawn(config, evm, storage.clone(), pool.clone())?;
        Ok(Self { engine, view, pool, hashes: vec![spec.genesis_hash()], storage, dir })
    }

    /// Takes a block in as a payload and makes it the head.
    pub(crate) async fn import(&mut self, payload: OpExecutionData) -> Result<(), BenchError> {
        let hash = payload.block_hash();
        let status = self.engine.new_payload(payload).await?;
        expect_valid(&status)?;
        self.hashes.push(hash);
        self.update(None).await?;
        Ok(())
    }

    /// Says that the newest block is the head; with attributes, building starts.
    pub(crate) async fn update(
        &self,
        attributes: Option<OpPayloadAttributes>,
    ) -> Result<ForkchoiceUpdated, BenchError> {
        let behind = |distance| self.hashes[self.hashes.len().saturating_sub(1 + distance)];
        let state = ForkchoiceState {
            head_block_hash: behind(0),
            safe_block_hash: behind(SAFE_DISTANCE),
            finalized_block_hash: behind(FINALIZED_DISTANCE),
        };
        let updated = self.engine.forkchoice_updated(state, attributes).await?;
        expect_valid(&updated.payload_status)?;
        Ok(updated)
    }

    /// Builds a block on the head from these attributes alone, and makes it the head.
    pub(crate) async fn build(
        &mut self,
        attributes: OpPayloadAttributes,
    ) -> Result<Arc<BuiltPayload>, BenchError> {
        let updated = self.update(Some(attributes)).await?;
        self.take(&updated).await
    }

    /// Fetches the payload of an update with attributes, and makes it the head.
    pub(crate) async fn take(
        &mut self,
        updated: &ForkchoiceUpdated,
    ) -> Result<Arc<BuiltPayload>, BenchError> {
        let id = updated.payload_id.ok_or_else(|| BenchError::setup("building", "no payload"))?;
        let payload = self.engine.get_payload(id).await?;
        self.import(payload.to_execution_data()).await?;
        Ok(payload)
    }

    /// Stops; every block is on disk then.
    pub(crate) async fn stop(self) -> Result<TempDir, BenchError> {
        self.engine.shutdown().await?;
        let Self { engine, view, pool, storage, dir, .. } = self;
        drop((engine, view, pool));
        // Threads that are ending may hold the database for a moment.
        drop(storage);
        tokio::time::sleep(Duration::from_millis(100)).await;
        Ok(dir)
    }
}

fn expect_valid(status: &PayloadStatus) -> Result<(), BenchError> {
    match &status.status {
        PayloadStatusEnum::Valid => Ok(()),
        other => Err(BenchError::setup("a block of our own", other)),
    }
}

/// Builds `blocks` full blocks of a workload, one on the other.
pub(crate) async fn prepare(
    chain: &Chain,
    workload: Workload,
    blocks: u64,
    dir: Option<&PathBuf>,
) -> Result<Vec<Arc<BuiltPayload>>, BenchError> {
    let bar = bars::bar(format!("preparing {workload}"), blocks);
    let mut node = Node::new(&chain.spec, dir)?;
    let mut built = Vec::new();
    for number in 1..=blocks {
        let transactions = chain.transactions(workload, number)?;
        let count = transactions.len() + 1;
        let block = node.build(chain.attributes(number, transactions, false)).await?;
        let failed = block
            .receipts
            .iter()
            .filter(|receipt| !receipt.as_receipt().status.coerce_status())
            .count();
        if block.receipts.len() != count || failed > 0 {
            let text = format!("{failed} of {} transactions failed", block.receipts.len());
            return Err(BenchError::setup("the workload", text));
        }
        built.push(block);
        bar.inc(1);
    }
    bar.finish_and_clear();
    node.stop().await?;
    Ok(built)
}
