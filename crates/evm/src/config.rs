//! The EVM of this chain, block by block.

use crate::{
    ConsensusError, EstimatedSize, ExecutionError, InvalidTx, attribution,
    builder::BlockBuilder,
    evm::AscribeEvm,
    executor::{self, BlockExecutor},
    factory::AscribeEvmFactory,
};
use alloy_consensus::Header;
use alloy_evm::{Database, EvmEnv, EvmFactory};
use alloy_op_evm::OpEvmContext;
use alloy_op_hardforks::OpHardforks;
use alloy_primitives::{Address, B256, Bytes, U256};
use ascribe_chainspec::ChainSpec;
use op_alloy_consensus::{OpBlock, OpReceipt, OpTxEnvelope};
use op_revm::OpSpecId;
use reth_primitives_traits::{RecoveredBlock, SealedHeader};
use revm::{
    Inspector,
    context::{BlockEnv, CfgEnv},
    context_interface::block::BlobExcessGasAndPrice,
    database::{BundleState, State},
    inspector::NoOpInspector,
    primitives::hardfork::SpecId,
};
use std::sync::Arc;

/// What a block on top of a parent is made from, besides its transactions: the payload attributes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NextBlock {
    /// Seconds; after the parent's.
    pub timestamp: u64,
    /// Where tips go: the sequencer fee vault on any usual chain.
    pub fee_recipient: Address,
    /// The L1 origin's randomness.
    pub prev_randao: B256,
    /// The gas limit, which may be any, whatever the parent's.
    pub gas_limit: u64,
    /// The L1 origin's beacon root (EIP-4788); from Ecotone on.
    pub parent_beacon_block_root: Option<B256>,
    /// The header's `extraData`, already encoded: empty before Holocene, 9 bytes from then on, 17
    /// from Jovian.
    pub extra_data: Bytes,
}

/// What came of executing a block.
#[derive(Debug, Clone, Default)]
pub struct ExecutionOutput {
    /// One a transaction, without blooms.
    pub receipts: Vec<OpReceipt>,
    /// Every account, slot and code that changed, with the values before. No reverts: storage
    /// keeps its own.
    pub bundle: BundleState,
    /// Gas used by all transactions.
    pub gas_used: u64,
    /// The DA footprint, in gas; 0 before Jovian.
    pub blob_gas_used: u64,
    /// The hash of the empty list of EIP-7685 requests, from Isthmus on.
    pub requests_hash: Option<B256>,
}

/// Who sent a transaction of a block, and how large it is by estimate where that is known already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TxSender {
    /// The sender.
    pub address: Address,
    /// The estimated size.
    pub size: Option<EstimatedSize>,
}

/// Makes EVMs, executes blocks and starts builders for one chain. Cheap to clone.
#[derive(Debug, Clone)]
pub struct EvmConfig {
    spec: Arc<ChainSpec>,
    factory: AscribeEvmFactory,
}

impl EvmConfig {
    /// The EVM of `spec`'s chain, with the attribution precompile if the chain has a time for it.
    pub fn new(spec: Arc<ChainSpec>) -> Self {
        let scheduled = spec.attribution_time().map(attribution).into_iter().collect();
        Self::with_factory(spec, AscribeEvmFactory::new(scheduled))
    }

    /// The EVM of `spec`'s chain with precompiles of its own.
    pub const fn with_factory(spec: Arc<ChainSpec>, factory: AscribeEvmFactory) -> Self {
        Self { spec, factory }
    }

    /// The chain.
    pub const fn chain_spec(&self) -> &Arc<ChainSpec> {
        &self.spec
    }

    /// What makes the EVMs.
    pub const fn factory(&self) -> &AscribeEvmFactory {
        &self.factory
    }

    /// The environment that `header`'s block ran in: to execute or trace it again, or to call in
    /// its context.
    pub fn evm_env(&self, header: &Header) -> EvmEnv<OpSpecId> {
        self.env(
            header.timestamp,
            BlockEnv {
                number: U256::from(header.number),
                beneficiary: header.beneficiary,
                gas_limit: header.gas_limit,
                basefee: header.base_fee_per_gas.unwrap_or_default(),
                prevrandao: Some(header.mix_hash),
                ..BlockEnv::default()
            },
        )
    }

    /// The environment of the block that `next` describes on top of `parent`.
    ///
    /// # Errors
    /// [`ConsensusError::BaseFeeUnknown`] if `parent`'s `extraData` holds no EIP-1559 parameters.
    pub fn next_evm_env(
        &self,
        parent: &Header,
        next: &NextBlock,
    ) -> Result<EvmEnv<OpSpecId>, ConsensusError> {
        let basefee = self
            .spec
            .next_block_base_fee(parent, next.timestamp)
            .map_err(|error| ConsensusError::BaseFeeUnknown(error.to_string()))?;
        Ok(self.env(
            next.timestamp,
            BlockEnv {
                number: U256::from(parent.number.saturating_add(1)),
                beneficiary: next.fee_recipient,
                gas_limit: next.gas_limit,
                basefee,
                prevrandao: Some(next.prev_randao),
                ..BlockEnv::default()
            },
        ))
    }

    fn env(&self, timestamp: u64, block: BlockEnv) -> EvmEnv<OpSpecId> {
        let spec = op_spec_id(&*self.spec, timestamp);
        let cfg = CfgEnv::new()
            .with_chain_id(self.spec.chain_id())
            .with_spec_and_mainnet_gas_params(spec);
        // There are no blobs on L2: from Ecotone on BLOBBASEFEE is 1.
        let blob = spec
            .into_eth_spec()
            .is_enabled_in(SpecId::CANCUN)
            .then_some(BlobExcessGasAndPrice { excess_blob_gas: 0, blob_gasprice: 1 });
        EvmEnv::new(
            cfg,
            BlockEnv {
                timestamp: U256::from(timestamp),
                difficulty: U256::ZERO,
                blob_excess_gas_and_price: blob,
                ..block
            },
        )
    }

    /// An EVM over `db`.
    pub fn evm<DB: Database>(
        &self,
        db: DB,
        env: EvmEnv<OpSpecId>,
    ) -> AscribeEvm<DB, NoOpInspector> {
        self.factory.create_evm(db, env)
    }

    /// An EVM over `db` that shows every step to `inspector`.
    pub fn evm_with_inspector<DB: Database, I: Inspector<OpEvmContext<DB>>>(
        &self,
        db: DB,
        env: EvmEnv<OpSpecId>,
        inspector: I,
    ) -> AscribeEvm<DB, I> {
        self.factory.create_evm_with_inspector(db, env, inspector)
    }

    /// Applies what happens in a block before its first transaction: the EIP-4788 and EIP-2935
    /// system calls and Canyon's create2 deployer.
    ///
    /// [`Self::execute`] and [`BlockBuilder`] do it themselves; tracers, which step through a
    /// block's transactions on their own, call it first.
    pub fn apply_pre_execution<DB, I>(
        &self,
        evm: &mut AscribeEvm<&mut State<DB>, I>,
        parent_hash: B256,
        parent_beacon_block_root: Option<B256>,
    ) -> Result<(), ExecutionError>
    where
        DB: Database,
        I: for<'a> Inspector<OpEvmContext<&'a mut State<DB>>>,
    {
        executor::apply_pre_execution(&self.spec, evm, parent_hash, parent_beacon_block_root)
    }

    /// Executes a whole block on the state of its parent, which `db` reads.
    ///
    /// Gas, receipts, footprint and state are *not* compared with the header:
    /// see [`crate::validate_post_execution`].
    pub fn execute<DB: Database>(
        &self,
        db: DB,
        block: &RecoveredBlock<OpBlock>,
    ) -> Result<ExecutionOutput, ExecutionError> {
        let (header, transactions) = (block.header(), &block.body().transactions);
        let sizes = executor::sizes(op_spec_id(&*self.spec, header.timestamp), transactions);
        self.execute_with(db, header, transactions, |index| {
            let address = block.senders().get(index).copied()?;
            Some(TxSender { address, size: sizes.get(index).copied() })
        })
    }

    /// Executes a block whose senders may still be being found: `sender` is asked for each
    /// transaction's right before its turn, by index, and says `None` of a signature that is not
    /// valid.
    ///
    /// Otherwise as [`Self::execute`].
    pub fn execute_with<DB: Database>(
        &self,
        db: DB,
        header: &Header,
        transactions: &[OpTxEnvelope],
        mut sender: impl FnMut(usize) -> Option<TxSender>,
    ) -> Result<ExecutionOutput, ExecutionError> {
        let mut state = State::builder().with_database(db).with_bundle_update().build();
        let mut executor = BlockExecutor::new(self, &mut state, self.evm_env(header));
        executor.reserve(transactions.len());
        executor.apply_pre_execution(header.parent_hash, header.parent_beacon_block_root)?;
        for (index, tx) in transactions.iter().enumerate() {
            sender(index)
                .ok_or_else(|| InvalidTx::Signature.into())
                .and_then(|sender| executor.execute(tx, sender.address, sender.size))
                .map_err(|error| executor::in_block(error, index, tx.tx_hash()))?;
        }
        Ok(executor.finish()?)
    }

    /// Starts a block on `state`, the state of `parent`, and applies what comes before its first
    /// transaction.
    ///
    /// `state` must collect a bundle (`State::builder().with_bundle_update()`).
    pub fn builder<'a, DB: Database>(
        &'a self,
        state: &'a mut State<DB>,
        parent: &SealedHeader,
        next: NextBlock,
    ) -> Result<BlockBuilder<'a, DB>, ExecutionError> {
        BlockBuilder::new(self, state, parent, next)
    }
}

/// The rules that the EVM applies at `timestamp`.
///
/// Bedrock is taken as active always. op-revm's `INTEROP` is never returned: that fork is not part
/// of this chain, and op-revm would step back from Osaka to Prague with it.
pub fn op_spec_id(spec: impl OpHardforks, timestamp: u64) -> OpSpecId {
    let newest_first = [
        (spec.is_karst_active_at_timestamp(timestamp), OpSpecId::KARST),
        (spec.is_jovian_active_at_timestamp(timestamp), OpSpecId::JOVIAN),
        (spec.is_isthmus_active_at_timestamp(timestamp), OpSpecId::ISTHMUS),
        (spec.is_holocene_active_at_timestamp(timestamp), OpSpecId::HOLOCENE),
        (spec.is_granite_active_at_timestamp(timestamp), OpSpecId::GRANITE),
        (spec.is_fjord_active_at_timestamp(timestamp), OpSpecId::FJORD),
        (spec.is_ecotone_active_at_timestamp(timestamp), OpSpecId::ECOTONE),
        (spec.is_canyon_active_at_timestamp(timestamp), OpSpecId::CANYON),
        (spec.is_regolith_active_at_timestamp(timestamp), OpSpecId::REGOLITH),
    ];
    newest_first
        .into_iter()
        .find_map(|(active, id)| active.then_some(id))
        .unwrap_or(OpSpecId::BEDROCK)
}
