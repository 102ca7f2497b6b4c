//! One block after the other, on a state that remembers.

use super::{CallFailure, CallResult, SimulatedBlock, transfers::Transfers};
use crate::{
    RpcContext, RpcError,
    error::{
        BLOCK_GAS_LIMIT_REACHED, INIT_CODE_TOO_LARGE, INSUFFICIENT_FUNDS, INTERNAL, INTRINSIC_GAS,
        INVALID_PARAMS, NONCE_TOO_HIGH, NONCE_TOO_LOW, REVERTED, VM_ERROR,
    },
    eth::{
        call::{CallError, Deadline, call_error, executed, free_of_l1_fees, unbound},
        message::{Failure, Message, MessageError, Sender},
        overrides::{CallState, PrecompileChanges},
        transaction_args::TransactionArgs,
        unsigned::{encode_unsigned, unsigned},
    },
    hex::Hex,
};
use alloy_consensus::{
    Block, BlockBody, EMPTY_OMMER_ROOT_HASH, Eip658Value, Header, Receipt, Transaction,
    constants::EMPTY_WITHDRAWALS, proofs::ordered_trie_root_encoded,
};
use alloy_eips::{
    BlockNumHash, eip2935::HISTORY_STORAGE_ADDRESS, eip4788::BEACON_ROOTS_ADDRESS,
    eip4788::SYSTEM_ADDRESS, eip4895::Withdrawals, eip7685::EMPTY_REQUESTS_HASH,
};
use alloy_evm::{Evm, EvmEnv};
use alloy_op_hardforks::OpHardforks;
use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, Log, U256, keccak256};
use ascribe_engine::StateView;
use ascribe_evm::{
    EstimatedSize, L2_TO_L1_MESSAGE_PASSER_ADDRESS, OpHaltReason, OpSpecId,
    l1_fee::da_footprint_gas_scalar, precompiles, receipts_root_and_bloom,
};
use ascribe_trie::{HashedAccount, HashedPostState, HashedStorage, TrieReader, state_root};
use op_alloy_consensus::{OpBlock, OpReceipt, OpTxEnvelope};
use reth_primitives_traits::{RecoveredBlock, SealedHeader};
use revm::{
    Database, DatabaseCommit,
    context::result::ExecutionResult,
    database::{AccountState, CacheDB},
};

/// Executes simulated blocks, each on the state that the one before it left.
#[derive(Debug)]
pub(super) struct Simulator<'a> {
    context: &'a RpcContext,
    view: StateView,
    state: CallState,
    parent: SealedHeader,
    /// Calldata of the base block's L1 attributes, which Jovian's footprint is reckoned by.
    attributes: Option<Bytes>,
    /// Gas that all calls together may still use.
    gas_left: u64,
    traced: bool,
    validated: bool,
}

/// A block while its calls are executed.
struct Open {
    env: EvmEnv<OpSpecId>,
    precompiles: PrecompileChanges,
    gas_used: u64,
    next_log: u64,
    transactions: Vec<OpTxEnvelope>,
    senders: Vec<Address>,
    receipts: Vec<OpReceipt>,
}

/// What came of a call, and its logs with their indices in the block.
type Outcome = (ExecutionResult<OpHaltReason>, Vec<(Log, u64)>);

impl<'a> Simulator<'a> {
    pub(super) fn new(
        context: &'a RpcContext,
        base: BlockNumHash,
        traced: bool,
        validated: bool,
    ) -> Result<Self, RpcError> {
        let view = context.chain.state_at(base.hash)?;
        let block = context.canon_block(base.hash)?.ok_or_else(RpcError::header_not_found)?;
        let first = block.block.body().transactions.first();
        Ok(Self {
            context,
            parent: view.header().clone(),
            state: CacheDB::new(view.clone()),
            view,
            attributes: first.map(|tx| tx.input().clone()),
            gas_left: match context.config.gas_cap {
                0 => u64::MAX,
                cap => cap,
            },
            traced,
            validated,
        })
    }

    /// Number and time of the block that everything is on top of.
    pub(super) fn base(&self) -> (u64, u64) {
        (self.parent.number, self.parent.timestamp)
    }

    /// Executes a block.
    pub(super) fn block(
        &mut self,
        block: SimulatedBlock,
        deadline: Deadline,
    ) -> Result<(RecoveredBlock<OpBlock>, Vec<CallResult>), RpcError> {
        let SimulatedBlock { block_overrides, state_overrides, calls } = block;
        let overrides = block_overrides.unwrap_or_default();
        let mut header = self.header(&overrides)?;
        let mut env = self.context.evm.evm_env(&header);
        unbound(&mut env, self.context.config.evm_memory_limit);
        env.cfg_env.disable_base_fee = !self.validated;
        overrides.apply(&mut env.block_env);

        let known = precompiles(env.cfg_env.spec);
        let precompiles = match &state_overrides {
            Some(overrides) => {
                overrides.apply(&mut self.state, |address| known.contains(address))?
            }
            None => PrecompileChanges::default(),
        };
        let mut open = Open {
            env,
            precompiles,
            gas_used: 0,
            next_log: 0,
            transactions: Vec::with_capacity(calls.len()),
            senders: Vec::with_capacity(calls.len()),
            receipts: Vec::with_capacity(calls.len()),
        };
        self.system_calls(&open.env, &header)?;
        let mut results = Vec::with_capacity(calls.len());
        for call in calls {
            deadline.check()?;
            results.push(self.call(call, &header, &mut open)?);
        }

        header.gas_used = open.gas_used;
        let withdrawals = overrides.withdrawals.unwrap_or_default();
        self.seal(&mut header, &open, &withdrawals)?;
        let body = BlockBody {
            transactions: open.transactions,
            ommers: Vec::new(),
            withdrawals: header.withdrawals_root.map(|_| withdrawals),
        };
        let block = RecoveredBlock::new_unhashed(Block { header, body }, open.senders);
        self.parent = SealedHeader::new(block.header().clone(), block.hash());
        let number = U256::from(self.parent.number);
        self.state.cache.block_hashes.insert(number, self.parent.hash());
        Ok((block, results))
    }

    /// What is known of a header before its block is executed.
    fn header(
        &self,
        overrides: &crate::eth::overrides::BlockOverrides,
    ) -> Result<Header, RpcError> {
        let parent = &self.parent;
        let timestamp = overrides.time.map_or(parent.timestamp, |Hex(time)| time);
        let spec = &self.context.spec;
        let ecotone = spec.is_ecotone_active_at_timestamp(timestamp);
        let base_fee = if self.validated {
            spec.next_block_base_fee(parent, timestamp)
                .unwrap_or_else(|_| parent.base_fee_per_gas.unwrap_or_default())
        } else {
            // Nobody has to pay, and no gas price is below it.
            0
        };
        let header = Header {
            parent_hash: parent.hash(),
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: parent.beneficiary,
            gas_limit: parent.gas_limit,
            base_fee_per_gas: Some(base_fee),
            withdrawals_root: spec
                .is_canyon_active_at_timestamp(timestamp)
                .then_some(EMPTY_WITHDRAWALS),
            excess_blob_gas: ecotone.then_some(0),
            parent_beacon_block_root: ecotone
                .then(|| overrides.beacon_root.map_or(B256::ZERO, |Hex(root)| root)),
            requests_hash: spec
                .is_isthmus_active_at_timestamp(timestamp)
                .then_some(EMPTY_REQUESTS_HASH),
            ..Header::default()
        };
        Ok(overrides.header(&header))
    }

    /// EIP-4788 and EIP-2935, before the first call.
    fn system_calls(&mut self, env: &EvmEnv<OpSpecId>, header: &Header) -> Result<(), RpcError> {
        let history = header.requests_hash.map(|_| (HISTORY_STORAGE_ADDRESS, header.parent_hash));
        let beacon = header.parent_beacon_block_root.map(|root| (BEACON_ROOTS_ADDRESS, root));
        for (contract, input) in history.into_iter().chain(beacon) {
            let mut evm = self.context.evm.evm(&mut self.state, env.clone());
            let mut result = evm
                .transact_system_call(SYSTEM_ADDRESS, contract, input.0.into())
                .map_err(|error| RpcError::server(error.to_string()))?;
            result.state.retain(|address, _| *address == contract);
            self.state.commit(result.state);
        }
        Ok(())
    }

    fn call(
        &mut self,
        mut args: TransactionArgs,
        header: &Header,
        open: &mut Open,
    ) -> Result<CallResult, RpcError> {
        let from = args.from();
        let info = self.state.basic(from)?.unwrap_or_default();
        args.nonce.get_or_insert(Hex(info.nonce));
        let remaining = header.gas_limit.saturating_sub(open.gas_used);
        let Hex(gas) = *args.gas.get_or_insert(Hex(remaining));
        if remaining < gas {
            return Err(RpcError::new(
                BLOCK_GAS_LIMIT_REACHED,
                format!("block gas limit reached: remaining: {remaining}, required: {gas}"),
            ));
        }
        let capped = gas > self.gas_left;
        args.gas = Some(Hex(gas.min(self.gas_left)));
        let chain_id = self.context.spec.chain_id();
        let base_fee = header.base_fee_per_gas.unwrap_or_default();
        let message = args.to_message(0, base_fee, chain_id)?;
        let tx = unsigned(&args, chain_id)?;

        let sender = Sender { nonce: info.nonce, balance: info.balance };
        let (result, logs) = self.execute(&message, sender, open)?;
        let emitted = match &result {
            ExecutionResult::Success { logs, .. } => logs.clone(),
            _ => Vec::new(),
        };
        let executed = executed(result);
        self.gas_left = self.gas_left.checked_sub(executed.gas_used).ok_or_else(|| {
            RpcError::server(format!(
                "RPC gas cap exhausted: need {}, remaining {}",
                executed.gas_used, self.gas_left
            ))
        })?;
        open.gas_used += executed.gas_used;
        open.receipts.push(receipt(&tx, executed.failure.is_none(), open.gas_used, emitted));
        open.transactions.push(tx);
        open.senders.push(from);
        // What a call that failed said is told with its error.
        let output = if executed.failure.is_none() { executed.output } else { Bytes::new() };
        Ok(CallResult {
            output,
            logs,
            gas_used: executed.gas_used,
            max_gas_used: executed.max_gas_used,
            error: executed.failure.map(|failure| call_failure(failure, capped)),
        })
    }

    fn execute(
        &mut self,
        message: &Message,
        sender: Sender,
        open: &mut Open,
    ) -> Result<Outcome, RpcError> {
        message
            .check(sender, &open.env.block_env, self.validated, self.validated)
            .map_err(|error| refused(&error, message.gas_limit))?;
        let mut transfers = Transfers::new(self.traced, open.next_log);
        let env = open.env.clone();
        let chain_id = env.cfg_env.chain_id;
        let mut evm = self.context.evm.evm_with_inspector(&mut self.state, env, &mut transfers);
        open.precompiles.apply(evm.precompiles_mut());
        free_of_l1_fees(&mut evm);
        let done = evm.transact_raw(message.to_tx(chain_id));
        let done = done.map_err(|error| match call_error(message, error) {
            CallError::Refused(error) => refused(&error, message.gas_limit),
            CallError::Failed(error) => error,
        })?;
        self.state.commit(done.state);
        let (logs, next_log) = transfers.into_logs();
        open.next_log = next_log;
        Ok((done.result, logs))
    }

    /// Fills in what follows from the block's execution.
    fn seal(
        &mut self,
        header: &mut Header,
        open: &Open,
        withdrawals: &Withdrawals,
    ) -> Result<(), RpcError> {
        let spec = &self.context.spec;
        let isthmus = spec.is_isthmus_active_at_timestamp(header.timestamp);
        if !withdrawals.is_empty() {
            return Err(RpcError::server(
                "expected non-nil empty withdrawals operation list in Isthmus",
            ));
        }
        if header.excess_blob_gas.is_some() {
            header.blob_gas_used = Some(0);
        }
        if spec.is_jovian_active_at_timestamp(header.timestamp) {
            header.blob_gas_used = Some(self.da_footprint(&open.transactions)?);
        }
        let encoded: Vec<_> = open.transactions.iter().map(encode_unsigned).collect();
        header.transactions_root = ordered_trie_root_encoded(&encoded);
        (header.receipts_root, header.logs_bloom) =
            receipts_root_and_bloom(&open.receipts, &**spec, header.timestamp);

        let changes = hashed_state(&self.state);
        let base_root = self.view.state_root();
        let output = state_root(&self.view, base_root, &changes)
            .map_err(|error| RpcError::internal(error.to_string()))?;
        header.state_root = output.state_root;
        if isthmus {
            let passer = keccak256(L2_TO_L1_MESSAGE_PASSER_ADDRESS);
            let account = match output.accounts.get(&passer) {
                Some(account) => *account,
                None => TrieReader::account(&self.view, passer)
                    .map_err(|error| RpcError::internal(error.to_string()))?,
            };
            header.withdrawals_root =
                Some(account.map_or(B256::ZERO, |account| account.storage_root));
        }
        Ok(())
    }

    fn da_footprint(&self, transactions: &[OpTxEnvelope]) -> Result<u64, RpcError> {
        let wrong =
            |what: String| RpcError::server(format!("error calculating DA footprint: {what}"));
        let attributes = self
            .attributes
            .as_ref()
            .ok_or_else(|| wrong("missing deposit transaction".to_owned()))?;
        let scalar =
            da_footprint_gas_scalar(attributes).map_err(|error| wrong(error.to_string()))?;
        let size = |tx: &OpTxEnvelope| EstimatedSize::of(&encode_unsigned(tx));
        Ok(scalar
            .map_or(0, |scalar| transactions.iter().map(|tx| size(tx).da_footprint(scalar)).sum()))
    }
}

fn receipt(
    tx: &OpTxEnvelope,
    success: bool,
    cumulative_gas_used: u64,
    logs: Vec<Log>,
) -> OpReceipt {
    let receipt = Receipt { status: Eip658Value::Eip658(success), cumulative_gas_used, logs };
    debug_assert!(!tx.is_deposit(), "simulated transactions are never deposits");
    match tx {
        OpTxEnvelope::Legacy(_) => OpReceipt::Legacy(receipt),
        OpTxEnvelope::Eip2930(_) => OpReceipt::Eip2930(receipt),
        OpTxEnvelope::Eip7702(_) => OpReceipt::Eip7702(receipt),
        _ => OpReceipt::Eip1559(receipt),
    }
}

fn call_failure(failure: Failure, capped: bool) -> CallFailure {
    let mut message = failure.message();
    match failure {
        Failure::Reverted(output) => CallFailure { message, code: REVERTED, data: Some(output) },
        Failure::Halted(_) => {
            if capped {
                message += " (gas limit was capped by the RPC server's global gas cap)";
            }
            CallFailure { message, code: VM_ERROR, data: None }
        }
    }
}

/// The code that execution-apis gives to a call that cannot be in a block.
fn refused(error: &MessageError, gas: u64) -> RpcError {
    let code = match error {
        MessageError::NonceTooHigh { .. } => NONCE_TOO_HIGH,
        MessageError::NonceTooLow { .. } => NONCE_TOO_LOW,
        MessageError::TipAboveFeeCap { .. } | MessageError::FeeCapTooLow { .. } => INVALID_PARAMS,
        MessageError::InsufficientFunds { .. } | MessageError::CostOverflow(_) => {
            INSUFFICIENT_FUNDS
        }
        MessageError::IntrinsicGas { .. } => INTRINSIC_GAS,
        MessageError::InitCodeSize { .. } => INIT_CODE_TOO_LARGE,
        _ => INTERNAL,
    };
    RpcError::new(code, format!("err: {error} (supplied gas {gas})"))
}

/// All that a state holds beyond the one under it, by hashed keys. What was only read is among it,
/// and changes nothing.
fn hashed_state(state: &CallState) -> HashedPostState {
    let mut hashed = HashedPostState::default();
    for (address, account) in &state.cache.accounts {
        let key = keccak256(address);
        let info = &account.info;
        let gone = account.account_state == AccountState::NotExisting
            || (info.nonce == 0 && info.balance.is_zero() && info.is_empty_code_hash());
        hashed.accounts.insert(
            key,
            (!gone).then(|| HashedAccount {
                nonce: info.nonce,
                balance: info.balance,
                code_hash: if info.code_hash.is_zero() { KECCAK256_EMPTY } else { info.code_hash },
            }),
        );
        let wiped = account.account_state.is_storage_cleared();
        if !gone && (wiped || !account.storage.is_empty()) {
            let slots = account
                .storage
                .iter()
                .map(|(slot, value)| (keccak256(B256::from(*slot)), *value))
                .collect();
            hashed.storages.insert(key, HashedStorage { wiped, slots });
        }
    }
    hashed
}
