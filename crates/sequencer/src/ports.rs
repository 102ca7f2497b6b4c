//! The two chains as the sequencer needs them.
//!
//! The node gives it an [`L1Client`] and an [`EngineChain`]; tests give it others.

use alloy_consensus::Transaction;
use alloy_eips::BlockNumHash;
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_engine::{ForkchoiceState, PayloadId, PayloadStatusEnum};
use ascribe_chainspec::{L2BlockRef, RollupConfig, SystemConfigError};
use ascribe_engine::{ChainView, EngineError, EngineHandle, ForkchoiceError, ProviderError};
use ascribe_l1::{L1Block, L1Client, L1Error, L1Heads, L1Receipt};
use futures::{StreamExt, stream::BoxStream};
use op_alloy_consensus::OpBlock;
use op_alloy_rpc_types_engine::OpPayloadAttributes;
use reth_primitives_traits::{RecoveredBlock, SealedHeader};
use std::{future::Future, sync::Arc};
use tokio::sync::watch;
use tokio_stream::wrappers::BroadcastStream;

/// The L1.
pub trait L1Source: Clone + Send + Sync + 'static {
    /// Where its head is, as far as [`follow_heads`](Self::follow_heads) found out.
    fn heads(&self) -> watch::Receiver<L1Heads>;

    /// Keeps the heads up to date for as long as it is polled.
    fn follow_heads(&self) -> impl Future<Output = ()> + Send;

    /// A block, canonical or not.
    fn block_by_hash(
        &self,
        hash: B256,
    ) -> impl Future<Output = Result<Option<Arc<L1Block>>, L1Error>> + Send;

    /// The canonical block of a number.
    fn block_by_number(
        &self,
        number: u64,
    ) -> impl Future<Output = Result<Option<Arc<L1Block>>, L1Error>> + Send;

    /// A block's receipts.
    fn receipts(
        &self,
        hash: B256,
    ) -> impl Future<Output = Result<Arc<Vec<L1Receipt>>, L1Error>> + Send;
}

impl L1Source for L1Client {
    fn heads(&self) -> watch::Receiver<L1Heads> {
        Self::heads(self)
    }

    async fn follow_heads(&self) {
        Self::follow_heads(self).await;
    }

    async fn block_by_hash(&self, hash: B256) -> Result<Option<Arc<L1Block>>, L1Error> {
        Self::block_by_hash(self, hash).await
    }

    async fn block_by_number(&self, number: u64) -> Result<Option<Arc<L1Block>>, L1Error> {
        Self::block_by_number(self, number).await
    }

    async fn receipts(&self, hash: B256) -> Result<Arc<Vec<L1Receipt>>, L1Error> {
        Self::receipts(self, hash).await
    }
}

/// An L2 block without its transactions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct L2Block {
    /// Header with its hash.
    pub header: SealedHeader,
    /// Calldata of the first transaction: the L1 attributes, or nothing in the genesis block.
    pub attributes: Bytes,
    /// How many transactions it has.
    pub transactions: usize,
}

impl L2Block {
    /// What places it in both chains.
    pub fn block_ref(&self, rollup: &RollupConfig) -> Result<L2BlockRef, SystemConfigError> {
        L2BlockRef::of_header(rollup, self.header.hash(), &self.header, &self.attributes)
    }
}

impl From<&RecoveredBlock<OpBlock>> for L2Block {
    fn from(block: &RecoveredBlock<OpBlock>) -> Self {
        let transactions = &block.body().transactions;
        Self {
            header: block.clone_sealed_header(),
            attributes: transactions.first().map(|tx| tx.input().clone()).unwrap_or_default(),
            transactions: transactions.len(),
        }
    }
}

/// What the L2 chain calls safe and finalized, once it does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Labels {
    /// The newest block derived from L1.
    pub safe: Option<BlockNumHash>,
    /// The newest block derived from finalized L1 blocks.
    pub finalized: Option<BlockNumHash>,
}

/// The L2 chain and the engine that extends it.
pub trait L2Chain: Clone + Send + Sync + 'static {
    /// The head.
    fn head(&self) -> Result<L2Block, ChainError>;

    /// An executed block.
    fn block(&self, hash: B256) -> Result<Option<L2Block>, ChainError>;

    /// Safe and finalized blocks.
    fn labels(&self) -> Labels;

    /// An item after each change of head or labels.
    fn changes(&self) -> BoxStream<'static, ()>;

    /// Sets head and labels, and starts a block on the head if there are attributes.
    fn set_forkchoice(
        &self,
        state: ForkchoiceState,
        attributes: Option<OpPayloadAttributes>,
    ) -> impl Future<Output = Result<Option<PayloadId>, ChainError>> + Send;

    /// Ends the making of a block. It can be made the head from then on.
    fn seal(&self, id: PayloadId) -> impl Future<Output = Result<L2Block, ChainError>> + Send;
}

/// The engine did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ChainError {
    /// It has stopped, and will not start again.
    #[error("engine has stopped")]
    Stopped,
    /// Its own trouble.
    #[error("{0}")]
    Temporary(String),
    /// It does not know the head.
    #[error("engine is syncing")]
    Syncing,
    /// Head and labels contradict the chain.
    #[error("{0}")]
    Inconsistent(String),
    /// The block cannot be made.
    #[error("{0}")]
    Invalid(String),
    /// The block that was being made is not, any more.
    #[error("Unknown payload")]
    UnknownPayload,
}

impl From<ProviderError> for ChainError {
    fn from(error: ProviderError) -> Self {
        Self::Temporary(error.to_string())
    }
}

impl From<EngineError> for ChainError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::UnknownPayload => Self::UnknownPayload,
            EngineError::Stopped => Self::Stopped,
            error => Self::Temporary(error.to_string()),
        }
    }
}

impl From<ForkchoiceError> for ChainError {
    fn from(error: ForkchoiceError) -> Self {
        let text = match error.reason() {
            Some(reason) => format!("{error}: {reason}"),
            None => error.to_string(),
        };
        match error {
            ForkchoiceError::InvalidState(_) | ForkchoiceError::TooDeepReorg(_) => {
                Self::Inconsistent(text)
            }
            ForkchoiceError::InvalidAttributes(_) => Self::Invalid(text),
            ForkchoiceError::Engine(error) => error.into(),
        }
    }
}

/// The node's own engine and chain.
#[derive(Debug, Clone)]
pub struct EngineChain {
    engine: EngineHandle,
    chain: ChainView,
}

impl EngineChain {
    /// Both sides of one engine.
    pub const fn new(engine: EngineHandle, chain: ChainView) -> Self {
        Self { engine, chain }
    }
}

impl L2Chain for EngineChain {
    fn head(&self) -> Result<L2Block, ChainError> {
        let hash = self.chain.head().hash();
        self.block(hash)?.ok_or_else(|| ChainError::Temporary(format!("head {hash} is gone")))
    }

    fn block(&self, hash: B256) -> Result<Option<L2Block>, ChainError> {
        Ok(self.chain.block_by_hash(hash)?.map(|block| L2Block::from(&*block)))
    }

    fn labels(&self) -> Labels {
        Labels { safe: self.chain.safe(), finalized: self.chain.finalized() }
    }

    fn changes(&self) -> BoxStream<'static, ()> {
        // One who lags behind only has to know that there was something.
        BroadcastStream::new(self.chain.subscribe()).map(drop).boxed()
    }

    async fn set_forkchoice(
        &self,
        state: ForkchoiceState,
        attributes: Option<OpPayloadAttributes>,
    ) -> Result<Option<PayloadId>, ChainError> {
        let answer = self.engine.forkchoice_updated(state, attributes).await?;
        match answer.payload_status.status {
            PayloadStatusEnum::Valid => Ok(answer.payload_id),
            PayloadStatusEnum::Syncing | PayloadStatusEnum::Accepted => Err(ChainError::Syncing),
            PayloadStatusEnum::Invalid { validation_error } => {
                Err(ChainError::Invalid(validation_error))
            }
        }
    }

    async fn seal(&self, id: PayloadId) -> Result<L2Block, ChainError> {
        let payload = self.engine.get_payload(id).await?;
        Ok(L2Block::from(&*payload.block))
    }
}
