//! Runs transactions one after the other and keeps the block's accounts.

use crate::{
    ConsensusError, EvmConfig, ExecutionError, ExecutionOutput,
    bundle::into_bundle,
    canyon,
    error::{BlockFull, FatalError, InvalidTx, PushError},
    evm::AscribeEvm,
    l1_fee::{self, EstimatedSize},
    receipts::{DepositFields, receipt},
};
use alloy_consensus::Transaction;
use alloy_eips::{
    Encodable2718, Typed2718, eip2935::HISTORY_STORAGE_ADDRESS, eip4788,
    eip7685::EMPTY_REQUESTS_HASH,
};
use alloy_evm::{Database, Evm, EvmEnv, FromTxWithEncoded};
use alloy_op_evm::{OpEvmContext, OpTx, OpTxError};
use alloy_op_hardforks::OpHardforks;
use alloy_primitives::{Address, B256, Bytes};
use op_alloy_consensus::{OpReceipt, OpTxEnvelope};
use op_revm::OpSpecId;
use rayon::prelude::*;
use revm::{
    Database as _, DatabaseCommit, Inspector,
    context::{Block, result::EVMError},
    database::{State, TransitionState},
    inspector::NoOpInspector,
};

/// Below this many transactions, handing them to other threads costs more than it gains.
const PARALLEL_THRESHOLD: usize = 64;

/// What one executed transaction did.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Executed {
    pub(crate) gas_used: u64,
    pub(crate) success: bool,
}

/// How the DA footprint of this block's user transactions is counted.
#[derive(Debug, Clone, Copy)]
enum Footprint {
    /// Not at all: before Jovian.
    None,
    /// Jovian; the L1-attributes deposit, which says the scalar, has not come yet.
    Unknown,
    /// The block that activates Jovian: no user transactions.
    ActivationBlock,
    /// Jovian.
    Scalar(u16),
}

/// Executes a block's transactions over a [`State`].
pub(crate) struct BlockExecutor<'a, DB: Database> {
    evm: AscribeEvm<&'a mut State<DB>, NoOpInspector>,
    config: &'a EvmConfig,
    spec_id: OpSpecId,
    gas_limit: u64,
    gas_used: u64,
    footprint: Footprint,
    footprint_used: u64,
    receipts: Vec<OpReceipt>,
    /// The encoding of the transaction at hand; kept for its allocation.
    encoded: Vec<u8>,
}

impl<DB: Database> std::fmt::Debug for BlockExecutor<'_, DB> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("BlockExecutor")
            .field("spec_id", &self.spec_id)
            .field("gas_used", &self.gas_used)
            .field("footprint_used", &self.footprint_used)
            .field("transactions", &self.receipts.len())
            .finish_non_exhaustive()
    }
}

impl<'a, DB: Database> BlockExecutor<'a, DB> {
    pub(crate) fn new(
        config: &'a EvmConfig,
        state: &'a mut State<DB>,
        env: EvmEnv<OpSpecId>,
    ) -> Self {
        let spec_id = env.cfg_env.spec;
        let gas_limit = env.block_env.gas_limit;
        let footprint = if spec_id.is_enabled_in(OpSpecId::JOVIAN) {
            Footprint::Unknown
        } else {
            Footprint::None
        };
        Self {
            evm: config.evm(state, env),
            config,
            spec_id,
            gas_limit,
            gas_used: 0,
            footprint,
            footprint_used: 0,
            receipts: Vec::new(),
            encoded: Vec::new(),
        }
    }

    pub(crate) fn reserve(&mut self, transactions: usize) {
        self.receipts.reserve(transactions);
    }

    pub(crate) fn apply_pre_execution(
        &mut self,
        parent_hash: B256,
        parent_beacon_block_root: Option<B256>,
    ) -> Result<(), ExecutionError> {
        apply_pre_execution(
            self.config.chain_spec(),
            &mut self.evm,
            parent_hash,
            parent_beacon_block_root,
        )
    }

    pub(crate) const fn remaining_gas(&self) -> u64 {
        self.gas_limit.saturating_sub(self.gas_used)
    }

    pub(crate) const fn gas_used(&self) -> u64 {
        self.gas_used
    }

    pub(crate) const fn footprint_used(&self) -> u64 {
        self.footprint_used
    }

    pub(crate) fn base_fee(&self) -> u64 {
        self.evm.block().basefee()
    }

    /// Executes `tx` and commits what it did, or fails and changes nothing.
    ///
    /// `size` is taken from the encoded transaction where it is not known already.
    pub(crate) fn execute(
        &mut self,
        tx: &OpTxEnvelope,
        sender: Address,
        size: Option<EstimatedSize>,
    ) -> Result<Executed, PushError> {
        let deposit = tx.is_deposit();
        if tx.is_post_exec() {
            return Err(InvalidTx::UnsupportedType(tx.ty()).into());
        }
        let footprint_rule = self.footprint_rule(tx)?;
        let regolith = self.spec_id.is_enabled_in(OpSpecId::REGOLITH);

        // Before Regolith a system transaction is outside the block's gas.
        let counts = regolith || !tx.as_deposit().is_some_and(|tx| tx.is_system_transaction);
        if counts && tx.gas_limit() > self.remaining_gas() {
            return Err(BlockFull::Gas {
                gas_limit: tx.gas_limit(),
                available: self.remaining_gas(),
            }
            .into());
        }

        let mut footprint = 0;
        let mut deposit_fields = DepositFields::default();
        if deposit {
            if regolith {
                let account = self.evm.db_mut().basic(sender).map_err(FatalError::database)?;
                deposit_fields.nonce = Some(account.map_or(0, |account| account.nonce));
            }
            deposit_fields.version = self.spec_id.is_enabled_in(OpSpecId::CANYON).then_some(1);
        } else {
            footprint = self.price(tx, size)?;
        }

        let result = self.evm.transact_raw(tx_env(tx, sender)).map_err(evm_error)?;
        self.evm.db_mut().commit(result.state);

        let success = result.result.is_success();
        let gas_used = result.result.tx_gas_used();
        self.footprint = footprint_rule;
        self.gas_used += gas_used;
        self.footprint_used += footprint;
        self.receipts.push(receipt(
            tx.tx_type(),
            success,
            self.gas_used,
            result.result.into_logs(),
            deposit_fields,
        ));
        Ok(Executed { gas_used, success })
    }

    /// How footprints are counted once `tx` is in the block: the first transaction of a Jovian
    /// block says it.
    fn footprint_rule(&self, tx: &OpTxEnvelope) -> Result<Footprint, InvalidTx> {
        if !matches!(self.footprint, Footprint::Unknown) {
            return Ok(self.footprint);
        }
        let attributes = tx.as_deposit().ok_or(InvalidTx::MissingL1Attributes)?;
        let scalar = l1_fee::da_footprint_gas_scalar(&attributes.input)?;
        Ok(scalar.map_or(Footprint::ActivationBlock, Footprint::Scalar))
    }

    /// Tells the EVM what a user transaction pays for L1 data, and returns its DA footprint, which
    /// is made sure to fit the block.
    ///
    /// The EVM would find the fee itself from the encoded transaction; it is done here because fee
    /// and footprint come from one pass over the same bytes, and that pass can have been made
    /// before.
    fn price(&mut self, tx: &OpTxEnvelope, size: Option<EstimatedSize>) -> Result<u64, PushError> {
        let number = self.evm.block().number();
        if self.evm.ctx().chain.l2_block != Some(number) {
            // The first user transaction: all deposits that set the parameters have run.
            let state = self.evm.db_mut();
            let info = l1_fee::l1_block_info(state, number.saturating_to(), self.spec_id)
                .map_err(FatalError::database)?;
            self.evm.ctx_mut().chain = info;
        }
        let fjord = self.spec_id.is_enabled_in(OpSpecId::FJORD)
            && !l1_fee::uses_bedrock_formula(&self.evm.ctx().chain, self.spec_id);
        let by_size = fjord || matches!(self.footprint, Footprint::Scalar(_));
        if size.is_none() || !fjord {
            self.encoded.clear();
            tx.encode_2718(&mut self.encoded);
        }
        let size = by_size.then(|| size.unwrap_or_else(|| EstimatedSize::of(&self.encoded)));

        let mut footprint = 0;
        match (self.footprint, size) {
            (Footprint::Scalar(scalar), Some(size)) => {
                footprint = size.da_footprint(scalar);
                let available = self.gas_limit.saturating_sub(self.footprint_used);
                if footprint > available {
                    return Err(BlockFull::DaFootprint { footprint, available }.into());
                }
            }
            (Footprint::ActivationBlock, _) => return Err(BlockFull::ActivationBlock.into()),
            _ => {}
        }
        let cost = match size {
            Some(size) if fjord => l1_fee::l1_cost_of_size(&self.evm.ctx().chain, size),
            _ => l1_fee::l1_cost(&self.evm.ctx().chain, &self.encoded, self.spec_id),
        };
        self.evm.ctx_mut().chain.tx_l1_cost = Some(cost);
        Ok(footprint)
    }

    /// Ends the block and takes the state's transitions out as its bundle.
    pub(crate) fn finish(mut self) -> Result<ExecutionOutput, ConsensusError> {
        if matches!(self.footprint, Footprint::Unknown) {
            return Err(ConsensusError::MissingL1Attributes);
        }
        let transitions = self.evm.db_mut().transition_state.as_mut().map(TransitionState::take);
        Ok(ExecutionOutput {
            bundle: into_bundle(transitions.unwrap_or_default()),
            receipts: self.receipts,
            gas_used: self.gas_used,
            blob_gas_used: self.footprint_used,
            requests_hash: self
                .spec_id
                .is_enabled_in(OpSpecId::ISTHMUS)
                .then_some(EMPTY_REQUESTS_HASH),
        })
    }
}

/// The estimated size of every transaction, found on all cores; empty where the fork does not
/// need sizes, and for a block so small that finding them one by one is as fast.
pub(crate) fn sizes(spec_id: OpSpecId, transactions: &[OpTxEnvelope]) -> Vec<EstimatedSize> {
    if !spec_id.is_enabled_in(OpSpecId::FJORD) || transactions.len() < PARALLEL_THRESHOLD {
        return Vec::new();
    }
    transactions
        .par_iter()
        .map_init(Vec::new, |encoded, tx| {
            if tx.is_deposit() {
                return EstimatedSize::MIN;
            }
            encoded.clear();
            tx.encode_2718(encoded);
            EstimatedSize::of(encoded)
        })
        .collect()
}

/// What happens in a block before its first transaction.
pub(crate) fn apply_pre_execution<DB, I>(
    spec: &impl OpHardforks,
    evm: &mut AscribeEvm<&mut State<DB>, I>,
    parent_hash: B256,
    parent_beacon_block_root: Option<B256>,
) -> Result<(), ExecutionError>
where
    DB: Database,
    I: for<'a> Inspector<OpEvmContext<&'a mut State<DB>>>,
{
    let timestamp = evm.block().timestamp().saturating_to();
    // Neither call is made in the genesis block.
    if !evm.block().number().is_zero() {
        if spec.is_ecotone_active_at_timestamp(timestamp) {
            let root =
                parent_beacon_block_root.ok_or(ConsensusError::MissingParentBeaconBlockRoot)?;
            system_call(evm, eip4788::BEACON_ROOTS_ADDRESS, root)?;
        }
        if spec.is_isthmus_active_at_timestamp(timestamp) {
            system_call(evm, HISTORY_STORAGE_ADDRESS, parent_hash)?;
        }
    }
    if canyon::is_first_block(spec, timestamp) {
        canyon::deploy_create2_deployer(evm.db_mut()).map_err(FatalError::database)?;
    }
    Ok(())
}

/// Calls `contract` as the system does: 30 M gas that count nowhere, and a failure of the contract
/// is no failure of the block.
fn system_call<DB, I>(
    evm: &mut AscribeEvm<&mut State<DB>, I>,
    contract: Address,
    word: B256,
) -> Result<(), FatalError>
where
    DB: Database,
    I: for<'a> Inspector<OpEvmContext<&'a mut State<DB>>>,
{
    let result = evm
        .transact_system_call(eip4788::SYSTEM_ADDRESS, contract, Bytes::from(word.0))
        .map_err(|error| match error {
        EVMError::Database(error) => FatalError::database(error),
        other => FatalError::Evm(other.to_string()),
    })?;
    evm.db_mut().commit(result.state);
    Ok(())
}

/// A transaction as the EVM takes it.
///
/// Of the encoded transaction only the type byte is given: the EVM asks the rest of it for nothing
/// but the L1 fee, which [`BlockExecutor::price`] has found already.
fn tx_env(tx: &OpTxEnvelope, sender: Address) -> OpTx {
    static TYPES: [u8; 256] = {
        let mut types = [0; 256];
        let mut i = 0;
        while i < 256 {
            types[i] = i as u8;
            i += 1;
        }
        types
    };
    let ty = tx.ty() as usize;
    OpTx::from_encoded_tx(tx, sender, Bytes::from_static(&TYPES[ty..=ty]))
}

pub(crate) fn evm_error<E: std::error::Error + Send + Sync + 'static>(
    error: EVMError<E, OpTxError>,
) -> PushError {
    match error {
        EVMError::Transaction(OpTxError(error)) => InvalidTx::Rejected(error).into(),
        EVMError::Database(error) => FatalError::database(error).into(),
        other => FatalError::Evm(other.to_string()).into(),
    }
}

/// A transaction of a finished block that fails makes the block invalid.
pub(crate) fn in_block(error: PushError, index: usize, hash: B256) -> ExecutionError {
    match error {
        PushError::Invalid(InvalidTx::MissingL1Attributes) => {
            ConsensusError::MissingL1Attributes.into()
        }
        PushError::Invalid(reason) => ConsensusError::Transaction { index, hash, reason }.into(),
        PushError::BlockFull(reason) => {
            ConsensusError::TransactionDoesNotFit { index, hash, reason }.into()
        }
        PushError::Fatal(error) => error.into(),
    }
}

#[cfg(test)]
mod tests;
