//! Builds a block transaction by transaction.

use crate::{
    EvmConfig, ExecutionError, ExecutionOutput, NextBlock, PushError, executor::BlockExecutor,
    l1_fee::EstimatedSize,
};
use alloy_consensus::{Block, BlockBody, Header, Transaction, transaction::Recovered};
use alloy_eips::eip4895::Withdrawals;
use alloy_evm::Database;
use alloy_op_hardforks::OpHardforks;
use alloy_primitives::{Address, B256, U256};
use op_alloy_consensus::{OpBlock, OpTxEnvelope};
use reth_primitives_traits::{RecoveredBlock, SealedHeader};
use revm::database::State;

/// A block under construction.
///
/// Transactions enter in the order in which they are pushed: L1 attributes and deposits, the other
/// forced ones, then the pool's. One that is refused leaves no trace, so the caller decides what a
/// refusal means: of a forced transaction that the attributes are bad, of a pool transaction that
/// the next one is tried.
#[derive(Debug)]
pub struct BlockBuilder<'a, DB: Database> {
    executor: BlockExecutor<'a, DB>,
    parent_hash: B256,
    number: u64,
    next: NextBlock,
    canyon: bool,
    transactions: Vec<OpTxEnvelope>,
    senders: Vec<Address>,
    fees: U256,
}

/// What a pushed transaction did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PushedTx {
    /// Gas used.
    pub gas_used: u64,
    /// Whether it neither reverted nor halted.
    pub success: bool,
}

/// A block whose transactions are executed, and whose roots are not known yet.
#[derive(Debug, Clone)]
pub struct BuiltParts {
    /// The parent's hash.
    pub parent_hash: B256,
    /// The block's number.
    pub number: u64,
    /// The block's base fee.
    pub base_fee: u64,
    /// What it was made from.
    pub next: NextBlock,
    /// What execution yielded.
    pub output: ExecutionOutput,
    /// The transactions, in order.
    pub transactions: Vec<OpTxEnvelope>,
    /// Their senders.
    pub senders: Vec<Address>,
    /// What the fee recipient earned from tips, in wei: the payload's block value.
    pub fees: U256,
    /// Whether the body has a (always empty) list of withdrawals: from Canyon on.
    pub has_withdrawals: bool,
}

impl<'a, DB: Database> BlockBuilder<'a, DB> {
    pub(crate) fn new(
        config: &'a EvmConfig,
        state: &'a mut State<DB>,
        parent: &SealedHeader,
        next: NextBlock,
    ) -> Result<Self, ExecutionError> {
        let env = config.next_evm_env(parent.header(), &next)?;
        let canyon = config.chain_spec().is_canyon_active_at_timestamp(next.timestamp);
        let mut executor = BlockExecutor::new(config, state, env);
        executor.apply_pre_execution(parent.hash(), next.parent_beacon_block_root)?;
        Ok(Self {
            executor,
            parent_hash: parent.hash(),
            number: parent.number.saturating_add(1),
            next,
            canyon,
            transactions: Vec::new(),
            senders: Vec::new(),
            fees: U256::ZERO,
        })
    }

    /// Executes a transaction and puts it at the end of the block.
    pub fn push(&mut self, tx: Recovered<OpTxEnvelope>) -> Result<PushedTx, PushError> {
        self.push_sized(tx, None)
    }

    /// As [`Self::push`], with the estimated size of the transaction if it is known already.
    pub fn push_sized(
        &mut self,
        tx: Recovered<OpTxEnvelope>,
        size: Option<EstimatedSize>,
    ) -> Result<PushedTx, PushError> {
        let (tx, sender) = tx.into_parts();
        let executed = self.executor.execute(&tx, sender, size)?;
        if !tx.is_deposit() {
            let tip = tx.effective_tip_per_gas(self.executor.base_fee()).unwrap_or_default();
            self.fees += U256::from(tip) * U256::from(executed.gas_used);
        }
        self.transactions.push(tx);
        self.senders.push(sender);
        Ok(PushedTx { gas_used: executed.gas_used, success: executed.success })
    }

    /// Gas that is left.
    pub const fn remaining_gas(&self) -> u64 {
        self.executor.remaining_gas()
    }

    /// Gas used so far.
    pub const fn gas_used(&self) -> u64 {
        self.executor.gas_used()
    }

    /// DA footprint so far, in gas; bounded by the gas limit. 0 before Jovian.
    pub const fn da_footprint(&self) -> u64 {
        self.executor.footprint_used()
    }

    /// The block's base fee.
    pub fn base_fee(&self) -> u64 {
        self.executor.base_fee()
    }

    /// The block's number.
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The transactions so far.
    pub fn transactions(&self) -> &[OpTxEnvelope] {
        &self.transactions
    }

    /// Tips earned so far, in wei.
    pub const fn fees(&self) -> U256 {
        self.fees
    }

    /// Ends the block.
    ///
    /// # Errors
    /// [`ConsensusError::MissingL1Attributes`](crate::ConsensusError) for a block without
    /// transactions from Jovian on.
    pub fn finish(self) -> Result<BuiltParts, ExecutionError> {
        let base_fee = self.executor.base_fee();
        Ok(BuiltParts {
            parent_hash: self.parent_hash,
            number: self.number,
            base_fee,
            next: self.next,
            output: self.executor.finish()?,
            transactions: self.transactions,
            senders: self.senders,
            fees: self.fees,
            has_withdrawals: self.canyon,
        })
    }
}

impl BuiltParts {
    /// The block under `header` (see [`crate::assemble_header`]), and what execution yielded.
    pub fn into_block(self, header: Header) -> (RecoveredBlock<OpBlock>, ExecutionOutput) {
        let body = BlockBody {
            transactions: self.transactions,
            ommers: Vec::new(),
            withdrawals: self.has_withdrawals.then(Withdrawals::default),
        };
        let block = RecoveredBlock::new_unhashed(Block { header, body }, self.senders);
        (block, self.output)
    }
}
