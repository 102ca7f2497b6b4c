//! What every method works with.

use crate::{RpcConfig, eth::EthState, tasks::Tasks};
use ascribe_chainspec::ChainSpec;
use ascribe_engine::{ChainView, EngineHandle};
use ascribe_evm::EvmConfig;
use ascribe_txpool::TxPool;
use std::sync::Arc;

/// What every method works with: the chain to read, the pool to write to, and the limits. Cheap to
/// clone; all servers share one.
#[derive(Debug, Clone)]
pub struct RpcContext {
    /// The chain's rules.
    pub spec: Arc<ChainSpec>,
    /// Makes EVMs.
    pub evm: EvmConfig,
    /// Blocks and states.
    pub chain: ChainView,
    /// Transactions that are not in a block yet.
    pub pool: TxPool,
    /// The one door into the chain.
    pub engine: EngineHandle,
    /// What a request may cost.
    pub config: Arc<RpcConfig>,
    /// Threads for calls that are heavy.
    pub(crate) tasks: Tasks,
    /// What `eth_` methods remember: filters, suggested fees, blocks as JSON.
    pub(crate) eth: Arc<EthState>,
}

impl RpcContext {
    /// Puts the parts together.
    pub fn new(
        spec: Arc<ChainSpec>,
        evm: EvmConfig,
        chain: ChainView,
        pool: TxPool,
        engine: EngineHandle,
        config: RpcConfig,
    ) -> Self {
        Self {
            tasks: Tasks::new(&config),
            eth: Arc::new(EthState::new(&config)),
            spec,
            evm,
            chain,
            pool,
            engine,
            config: Arc::new(config),
        }
    }
}
