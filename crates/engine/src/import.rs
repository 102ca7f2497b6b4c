//! Executing a block, and making sure that it is what its header says.

use crate::{
    StateView,
    block::MemoryBlock,
    cache::{Caches, PlainChanges},
    decode::DecodedPayload,
    error::{ImportError, ProviderError},
    senders::Senders,
    state::ExecutionState,
    stats::{Counters, Stage},
};
use alloy_consensus::Header;
use alloy_op_hardforks::OpHardforks;
use alloy_primitives::{B256, Bytes, keccak256};
use ascribe_chainspec::ChainSpec;
use ascribe_evm::{
    EvmConfig, ExecutionOutput, L2_TO_L1_MESSAGE_PASSER_ADDRESS, receipts_root_and_bloom,
    validate_block_pre_execution, validate_header, validate_post_execution, validate_state_root,
    validate_withdrawals_root,
};
use ascribe_storage::{AttributionCell, ExecutedBlock};
use ascribe_trie::{
    EMPTY_ROOT_HASH, HashedPostState, ReplacedSlots, StateLayer, TrieReader, state_root,
};
use ascribe_txpool::TxPool;
use op_alloy_consensus::OpBlock;
use reth_primitives_traits::{RecoveredBlock, SealedBlock};
use revm::database::BundleState;
use std::{
    sync::Arc,
    time::{Duration, Instant},
};

/// What turns a block into an executed one. Cheap to clone.
#[derive(Debug, Clone)]
pub(crate) struct Importer {
    pub(crate) evm: EvmConfig,
    pub(crate) caches: Caches,
    pub(crate) counters: Arc<Counters>,
}

impl Importer {
    /// Validates and executes a block on its parent's state.
    pub(crate) fn import(
        &self,
        block: Arc<RecoveredBlock<OpBlock>>,
        parent: &StateView,
    ) -> Result<MemoryBlock, ImportError> {
        self.validate(&block, parent)?;
        let header = block.header();
        let output = self
            .counters
            .time(Stage::Execution, || self.evm.execute(ExecutionState::new(parent), &block))
            .map_err(|error| ImportError::execution(header.number, error))?;
        let committed = self.commit(header, &output, parent)?;
        Ok(committed.into_block(block, output.receipts))
    }

    /// The same with a block whose senders are not known: one thread executes, the others find
    /// senders ahead of it.
    pub(crate) fn import_payload(
        &self,
        payload: DecodedPayload,
        parent: &StateView,
        pool: &TxPool,
    ) -> Result<MemoryBlock, ImportError> {
        let DecodedPayload { block, encoded } = payload;
        self.validate(&block, parent)?;
        let (header, transactions) = (block.header(), &block.body().transactions);
        let sized = self.evm.chain_spec().is_fjord_active_at_timestamp(header.timestamp);
        let senders = Senders::new(transactions, &encoded, sized, pool);
        let (started, mut waited) = (Instant::now(), Duration::ZERO);
        let output = rayon::in_place_scope_fifo(|scope| {
            senders.find(scope);
            let sender = |index| senders.get(index, &mut waited);
            self.evm.execute_with(ExecutionState::new(parent), header, transactions, sender)
        });
        let output = output.map_err(|error| ImportError::execution(header.number, error))?;
        self.counters.record(Stage::Recovery, waited);
        self.counters.record(Stage::Execution, started.elapsed().saturating_sub(waited));

        let committed = self.commit(header, &output, parent)?;
        let senders = senders.into_addresses().unwrap_or_default();
        let block = Arc::new(RecoveredBlock::new_sealed(block, senders));
        Ok(committed.into_block(block, output.receipts))
    }

    /// What can be said of a block before it is executed.
    fn validate(
        &self,
        block: &SealedBlock<OpBlock>,
        parent: &StateView,
    ) -> Result<(), ImportError> {
        let spec = self.evm.chain_spec();
        validate_header(spec, block.header(), parent.header())?;
        validate_block_pre_execution(spec, block)?;
        validate_activation(spec, parent.header(), block)
    }

    /// Computes the roots of what an execution did, and makes sure that the header says the same.
    fn commit(
        &self,
        header: &Header,
        output: &ExecutionOutput,
        parent: &StateView,
    ) -> Result<Committed, ImportError> {
        let spec = self.evm.chain_spec();
        let (committed, (receipts_root, bloom)) = self.counters.time(Stage::Root, || {
            rayon::join(
                || Committed::new(parent, &self.caches, &output.bundle),
                || receipts_root_and_bloom(&output.receipts, spec, header.timestamp),
            )
        });
        validate_post_execution(header, output, receipts_root, bloom)?;
        let committed = committed?;
        validate_withdrawals_root(spec, header, committed.message_passer_root)?;
        validate_state_root(header, committed.state_root)?;

        Counters::add(&self.counters.blocks_imported, 1);
        Counters::add(&self.counters.gas_imported, header.gas_used);
        Ok(committed)
    }
}

/// From Jovian on, the block that activates a fork holds deposits only (specs: `derivation.md` of
/// Jovian and Karst).
fn validate_activation(
    spec: &ChainSpec,
    parent: &Header,
    block: &SealedBlock<OpBlock>,
) -> Result<(), ImportError> {
    match activated_fork(spec, parent.timestamp, block.header().timestamp) {
        Some(fork) if block.body().transactions.iter().any(|tx| !tx.is_deposit()) => {
            Err(ImportError::Invalid(format!(
                "unexpected non-deposit transactions in {fork} activation block"
            )))
        }
        _ => Ok(()),
    }
}

/// The fork that a block activates, if it is one whose activation block is kept free of
/// transactions.
pub(crate) fn activated_fork(
    spec: &ChainSpec,
    parent: u64,
    timestamp: u64,
) -> Option<&'static str> {
    let jovian = |time| spec.is_jovian_active_at_timestamp(time);
    let karst = |time| spec.is_karst_active_at_timestamp(time);
    if karst(timestamp) && !karst(parent) {
        Some("Karst")
    } else if jovian(timestamp) && !jovian(parent) {
        Some("Jovian")
    } else {
        None
    }
}

/// What a block's changes come to.
#[derive(Debug)]
pub(crate) struct Committed {
    layer: StateLayer,
    replaced: ReplacedSlots,
    codes: Vec<(B256, Bytes)>,
    changes: PlainChanges,
    pub(crate) state_root: B256,
    /// Storage root of the `L2ToL1MessagePasser`.
    pub(crate) message_passer_root: B256,
}

impl Committed {
    /// Applies changes to the trie of the parent's state.
    pub(crate) fn new(
        parent: &StateView,
        caches: &Caches,
        bundle: &BundleState,
    ) -> Result<Self, ProviderError> {
        let (output, changes) = rayon::join(
            || {
                let (hashed, replaced) = HashedPostState::with_replaced(bundle);
                let trie = parent.cached_trie(caches);
                let output = state_root(&trie, parent.state_root(), &hashed)?;
                let passer = keccak256(L2_TO_L1_MESSAGE_PASSER_ADDRESS);
                let passer = match output.accounts.get(&passer) {
                    Some(account) => *account,
                    None => trie.account(passer)?,
                };
                let passer_root = passer.map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
                let root = output.state_root;
                Ok((StateLayer::new(hashed, output), replaced, root, passer_root))
            },
            || PlainChanges::from_bundle(bundle),
        );
        let (layer, replaced, state_root, message_passer_root) =
            output.map_err(|error: ascribe_trie::TrieError| ProviderError::from(error))?;
        let codes = bundle.contracts.iter();
        let codes = codes.map(|(hash, code)| (*hash, code.original_bytes())).collect();
        Ok(Self { layer, replaced, codes, changes, state_root, message_passer_root })
    }

    pub(crate) fn into_block(
        self,
        block: Arc<RecoveredBlock<OpBlock>>,
        receipts: Vec<op_alloy_consensus::OpReceipt>,
    ) -> MemoryBlock {
        let executed = ExecutedBlock {
            block,
            receipts: Arc::new(receipts),
            layer: Arc::new(self.layer),
            replaced: Arc::new(self.replaced),
            codes: Arc::new(self.codes),
            attribution: AttributionCell::default(),
        };
        MemoryBlock::new(executed, self.changes)
    }
}
