//! `eth_`: blocks, transactions, accounts, calls, fees, logs, filters and subscriptions.

mod access_list;
mod block;
pub(crate) mod block_id;
pub(crate) mod call;
mod config;
mod estimate;
mod fees;
mod filter;
mod follow;
mod json;
mod logs;
pub(crate) mod message;
pub(crate) mod overrides;
pub(crate) mod revert;
mod send;
mod simulate;
mod state;
mod subscribe;
mod transaction;
pub(crate) mod transaction_args;
mod unsigned;

pub(crate) use follow::Steps;
pub(crate) use json::TransactionJson;
pub(crate) use subscribe::HexIds;

use crate::{RpcConfig, RpcContext, RpcError, hex::Hex, method::Registry};
use alloy_primitives::B256;
use ascribe_engine::CanonBlock;
use block::BlockCache;
use fees::FeeCache;
use filter::Filters;
use quick_cache::{Weighter, sync::Cache};
use reth_primitives_traits::InMemorySize;

/// What `eth_` methods remember from one request to the next.
#[derive(Debug)]
pub(crate) struct EthState {
    pub(crate) filters: Filters,
    pub(crate) fees: FeeCache,
    /// Blocks as JSON.
    pub(crate) blocks: BlockCache,
    /// Blocks and receipts, decoded.
    decoded: Cache<B256, CanonBlock, BlockWeight>,
}

#[derive(Debug, Clone)]
struct BlockWeight;

impl Weighter<B256, CanonBlock> for BlockWeight {
    fn weight(&self, _: &B256, block: &CanonBlock) -> u64 {
        let receipts: usize = block.receipts.iter().map(InMemorySize::size).sum();
        (block.block.size() + receipts) as u64
    }
}

impl EthState {
    pub(crate) fn new(config: &RpcConfig) -> Self {
        Self {
            filters: Filters::new(config),
            fees: FeeCache::new(),
            blocks: BlockCache::new(config.block_cache_bytes),
            decoded: Cache::with_weighter(1024, config.block_cache_bytes, BlockWeight),
        }
    }
}

impl RpcContext {
    /// An executed block with its receipts, canonical or not.
    pub(crate) fn canon_block(&self, hash: B256) -> Result<Option<CanonBlock>, RpcError> {
        if let Some(block) = self.eth.decoded.get(&hash) {
            return Ok(Some(block));
        }
        let block = self.chain.canon_block(hash)?;
        if let Some(block) = &block {
            self.eth.decoded.insert(hash, block.clone());
        }
        Ok(block)
    }
}

/// `eth_chainId`
fn chain_id(context: &RpcContext, (): ()) -> Result<Hex<u64>, RpcError> {
    Ok(Hex(context.spec.chain_id()))
}

/// `eth_syncing`: never. What is behind the chain's head, its consensus client knows, not this
/// node.
fn syncing(_: &RpcContext, (): ()) -> Result<bool, RpcError> {
    Ok(false)
}

/// Adds the namespace.
pub(crate) fn register(methods: &mut Registry) {
    methods.light("eth_chainId", chain_id);
    methods.light("eth_syncing", syncing);

    methods.light("eth_blockNumber", block::number);
    methods.waiting("eth_getBlockByNumber", block::by_number);
    methods.waiting("eth_getBlockByHash", block::by_hash);
    methods.light("eth_getHeaderByNumber", block::header_by_number);
    methods.light("eth_getHeaderByHash", block::header_by_hash);
    methods.light("eth_getBlockTransactionCountByNumber", block::transaction_count_by_number);
    methods.light("eth_getBlockTransactionCountByHash", block::transaction_count_by_hash);
    methods.light("eth_getUncleCountByBlockNumber", block::uncle_count_by_number);
    methods.light("eth_getUncleCountByBlockHash", block::uncle_count_by_hash);
    methods.light("eth_getUncleByBlockNumberAndIndex", block::uncle_by_number);
    methods.light("eth_getUncleByBlockHashAndIndex", block::uncle_by_hash);

    methods.light("eth_getTransactionByHash", transaction::by_hash);
    methods.light("eth_getTransactionByBlockNumberAndIndex", transaction::by_block_number);
    methods.light("eth_getTransactionByBlockHashAndIndex", transaction::by_block_hash);
    methods.light("eth_getRawTransactionByHash", transaction::raw_by_hash);
    methods.light("eth_getRawTransactionByBlockNumberAndIndex", transaction::raw_by_block_number);
    methods.light("eth_getRawTransactionByBlockHashAndIndex", transaction::raw_by_block_hash);
    methods.heavy("eth_getTransactionBySenderAndNonce", transaction::by_sender_and_nonce);
    methods.light("eth_getTransactionReceipt", transaction::receipt);
    methods.heavy("eth_getBlockReceipts", transaction::block_receipts);
    methods.light("eth_pendingTransactions", transaction::pending);

    methods.light("eth_getBalance", state::balance);
    methods.light("eth_getCode", state::code);
    methods.light("eth_getTransactionCount", state::transaction_count);
    methods.light("eth_getStorageAt", state::storage_at);
    methods.heavy("eth_getStorageValues", state::storage_values);
    methods.heavy("eth_getProof", state::proof);
    methods.light("eth_getAccount", state::account);
    methods.light("eth_getAccountInfo", state::account_info);

    methods.heavy("eth_call", call::call);
    methods.heavy("eth_estimateGas", estimate::estimate_gas);
    methods.heavy("eth_createAccessList", access_list::create_access_list);
    methods.heavy("eth_simulateV1", simulate::simulate);
    methods.heavy("eth_fillTransaction", unsigned::fill);

    methods.light("eth_gasPrice", fees::gas_price);
    methods.light("eth_maxPriorityFeePerGas", fees::max_priority_fee);
    methods.light("eth_baseFee", fees::base_fee);
    methods.light("eth_blobBaseFee", fees::blob_base_fee);
    methods.heavy("eth_feeHistory", fees::fee_history);
    methods.light("eth_config", config::config);

    methods.heavy("eth_getLogs", logs::get_logs);
    methods.light("eth_newFilter", filter::new_filter);
    methods.light("eth_newBlockFilter", filter::new_block_filter);
    methods.light("eth_newPendingTransactionFilter", filter::new_pending_filter);
    methods.light("eth_uninstallFilter", filter::uninstall);
    methods.heavy("eth_getFilterChanges", filter::changes);
    methods.heavy("eth_getFilterLogs", filter::logs);

    methods.light("eth_sendRawTransaction", send::send_raw);
    methods.waiting("eth_sendRawTransactionSync", send::send_raw_sync);
    methods.light("eth_accounts", send::accounts);
    methods.light("eth_sign", send::sign);
    methods.light("eth_sendTransaction", send::send_transaction);
    methods.light("eth_signTransaction", send::sign_transaction);

    subscribe::register(methods.module_mut());
}
