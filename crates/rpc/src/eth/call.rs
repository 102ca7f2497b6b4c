//! `eth_call`, and what all calls share: a state, an environment, a bounded EVM.

use super::{
    block_id::BlockRef,
    message::{Failure, Message, MessageError, Sender, halt_text},
    overrides::{BlockOverrides, CallState, PrecompileChanges, StateOverrides},
    transaction_args::TransactionArgs,
};
use crate::{RpcContext, RpcError, debug::why_halted};
use alloy_eips::BlockNumHash;
use alloy_evm::{Evm, EvmEnv};
use alloy_op_evm::{OpEvmContext, OpTxError};
use alloy_primitives::{Address, Bytes, U256};
use ascribe_engine::ProviderError;
use ascribe_evm::{AscribeEvm, EvmConfig, L1BlockInfo, OpHaltReason, OpSpecId, precompiles};
use reth_primitives_traits::SealedHeader;
use revm::{
    Database, Inspector,
    context::result::{EVMError, ExecutionResult, HaltReason, ResultAndState},
    database::CacheDB,
    interpreter::{InstructionResult, Interpreter},
};
use std::time::{Duration, Instant};

/// What no call that may use less gas can take too long for. Above, an EVM is watched while it
/// runs, which costs it a third of its speed.
const UNWATCHED_GAS: u64 = 50_000_000;
/// The clock is looked at once in so many instructions.
const CLOCK_STEPS: u32 = 1024;

/// When a call has taken too long.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    at: Instant,
    timeout: Duration,
}

impl Deadline {
    pub(crate) fn new(timeout: Duration) -> Self {
        Self { at: Instant::now() + timeout, timeout }
    }

    pub(crate) fn is_over(&self) -> bool {
        Instant::now() >= self.at
    }

    /// When time is up.
    pub(crate) const fn at(&self) -> Instant {
        self.at
    }

    pub(crate) fn check(&self) -> Result<(), RpcError> {
        if self.is_over() { Err(self.error()) } else { Ok(()) }
    }

    fn error(&self) -> RpcError {
        RpcError::server(format!("execution aborted (timeout = {:?})", self.timeout))
    }
}

/// Stops an EVM when its time is over.
#[derive(Debug)]
struct Watch {
    deadline: Deadline,
    steps: u32,
    stopped: bool,
}

impl<CTX> Inspector<CTX> for Watch {
    fn step(&mut self, interpreter: &mut Interpreter, _: &mut CTX) {
        self.steps = self.steps.wrapping_add(1);
        self.stopped =
            self.stopped || (self.steps.is_multiple_of(CLOCK_STEPS) && self.deadline.is_over());
        if self.stopped {
            interpreter.halt(InstructionResult::OutOfGas);
        }
    }
}

/// What came of a message.
#[derive(Debug, Clone)]
pub(crate) struct Executed {
    /// Gas used, refunds taken off.
    pub(crate) gas_used: u64,
    /// Gas that was needed on the way, before refunds.
    pub(crate) max_gas_used: u64,
    /// What it returned.
    pub(crate) output: Bytes,
    /// How it ended, if not well.
    pub(crate) failure: Option<Failure>,
    /// Whether what it lacked was gas.
    pub(crate) out_of_gas: bool,
}

/// Why there is nothing to show for a message.
#[derive(Debug)]
pub(crate) enum CallError {
    /// It was not executed.
    Refused(MessageError),
    /// Executing it went wrong, which is not its fault.
    Failed(RpcError),
}

impl From<RpcError> for CallError {
    fn from(error: RpcError) -> Self {
        Self::Failed(error)
    }
}

impl From<MessageError> for CallError {
    fn from(error: MessageError) -> Self {
        Self::Refused(error)
    }
}

/// A state and a block for calls.
#[derive(Debug)]
pub(crate) struct CallContext {
    evm: EvmConfig,
    header: SealedHeader,
    env: EvmEnv<OpSpecId>,
    pub(crate) state: CallState,
    pub(crate) precompiles: PrecompileChanges,
    pub(crate) deadline: Deadline,
}

impl CallContext {
    /// The state after `block` and an environment like its own, overridden.
    pub(crate) fn new(
        context: &RpcContext,
        block: BlockNumHash,
        state_overrides: Option<&StateOverrides>,
        block_overrides: Option<&BlockOverrides>,
    ) -> Result<Self, RpcError> {
        let view = context.chain.state_at(block.hash)?;
        let header = view.header().clone();
        let mut env = match block_overrides {
            None => context.evm.evm_env(&header),
            Some(overrides) => {
                overrides.check_for_call()?;
                let mut env = context.evm.evm_env(&overrides.header(&header));
                overrides.apply(&mut env.block_env);
                env
            }
        };
        unbound(&mut env, context.config.evm_memory_limit);
        let mut state = CacheDB::new(view);
        let known = precompiles(env.cfg_env.spec);
        let precompiles = match state_overrides {
            Some(overrides) => overrides.apply(&mut state, |address| known.contains(address))?,
            None => PrecompileChanges::default(),
        };
        Ok(Self {
            evm: context.evm.clone(),
            header,
            env,
            state,
            precompiles,
            deadline: Deadline::new(context.config.call_timeout),
        })
    }

    /// The block, as it is.
    pub(crate) const fn header(&self) -> &SealedHeader {
        &self.header
    }

    /// The base fee of the block, as it is.
    pub(crate) fn base_fee(&self) -> u64 {
        self.header.base_fee_per_gas.unwrap_or_default()
    }

    /// The rules in force.
    pub(crate) const fn spec(&self) -> OpSpecId {
        self.env.cfg_env.spec
    }

    /// Wei that an account has.
    pub(crate) fn balance(&mut self, address: Address) -> Result<U256, RpcError> {
        Ok(self.state.basic(address)?.unwrap_or_default().balance)
    }

    /// Nonce of an account.
    pub(crate) fn nonce(&mut self, address: Address) -> Result<u64, RpcError> {
        Ok(self.state.basic(address)?.unwrap_or_default().nonce)
    }

    /// Whether an account has code.
    pub(crate) fn has_code(&mut self, address: Address) -> Result<bool, RpcError> {
        Ok(self.state.basic(address)?.is_some_and(|info| !info.is_empty_code_hash()))
    }

    /// Executes a message. The state is left as it was.
    pub(crate) fn execute(&mut self, message: &Message) -> Result<Executed, CallError> {
        self.deadline.check()?;
        let result = if message.gas_limit > UNWATCHED_GAS {
            let mut watch = Watch { deadline: self.deadline, steps: 0, stopped: false };
            let result = self.transact(message, &mut watch);
            if watch.stopped {
                return Err(self.deadline.error().into());
            }
            result
        } else {
            self.transact_unseen(message)
        };
        Ok(executed(result?.result))
    }

    /// The same, and if it was stopped, why, in geth's words.
    pub(crate) fn execute_explained(&mut self, message: &Message) -> Result<Executed, CallError> {
        let mut executed = self.execute(message)?;
        self.explain(message, &mut executed)?;
        Ok(executed)
    }

    /// Finds out why a message was stopped, if it was.
    pub(crate) fn explain(
        &mut self,
        message: &Message,
        executed: &mut Executed,
    ) -> Result<(), CallError> {
        if matches!(executed.failure, Some(Failure::Halted(_)))
            && let Some(why) = why_halted(self, message)?
        {
            // As geth does: an overflow that it found before it looked at the gas is another thing.
            executed.out_of_gas = why.starts_with("out of gas");
            executed.failure = Some(Failure::Halted(why));
        }
        Ok(())
    }

    /// Executes a message under the eyes of `inspector`, and returns what it would change.
    pub(crate) fn transact<I>(
        &mut self,
        message: &Message,
        inspector: I,
    ) -> Result<ResultAndState<OpHaltReason>, CallError>
    where
        I: for<'a> Inspector<OpEvmContext<&'a mut CallState>>,
    {
        let env = self.env_of(message)?;
        let evm = self.evm.evm_with_inspector(&mut self.state, env, inspector);
        transact_in(evm, &self.precompiles, message)
    }

    /// The same with nobody looking on, which is faster.
    fn transact_unseen(
        &mut self,
        message: &Message,
    ) -> Result<ResultAndState<OpHaltReason>, CallError> {
        let env = self.env_of(message)?;
        let evm = self.evm.evm(&mut self.state, env);
        transact_in(evm, &self.precompiles, message)
    }

    /// The environment for a message that may be executed in it.
    fn env_of(&mut self, message: &Message) -> Result<EvmEnv<OpSpecId>, CallError> {
        let info = self.state.basic(message.from).map_err(RpcError::from)?.unwrap_or_default();
        let mut env = self.env.clone();
        message.waive_prices(&mut env.block_env);
        let sender = Sender { nonce: info.nonce, balance: info.balance };
        message.check(sender, &env.block_env, false, false)?;
        Ok(env)
    }
}

/// Executes a message in an EVM made for it.
fn transact_in<I>(
    mut evm: AscribeEvm<&mut CallState, I>,
    precompiles: &PrecompileChanges,
    message: &Message,
) -> Result<ResultAndState<OpHaltReason>, CallError>
where
    I: for<'a> Inspector<OpEvmContext<&'a mut CallState>>,
{
    precompiles.apply(evm.precompiles_mut());
    free_of_l1_fees(&mut evm);
    let tx = message.to_tx(evm.chain_id());
    evm.transact_raw(tx).map_err(|error| call_error(message, error))
}

/// Lifts what is asked of transactions and not of calls.
pub(crate) fn unbound(env: &mut EvmEnv<OpSpecId>, memory_limit: u64) {
    let cfg = &mut env.cfg_env;
    cfg.disable_nonce_check = true;
    cfg.disable_eip3607 = true;
    cfg.disable_block_gas_limit = true;
    cfg.disable_base_fee = true;
    cfg.tx_gas_limit_cap = Some(u64::MAX);
    cfg.memory_limit = memory_limit;
}

/// Makes transactions pay neither L1 data fee nor operator fee.
pub(crate) fn free_of_l1_fees<DB: alloy_evm::Database, I>(evm: &mut AscribeEvm<DB, I>) {
    let context = evm.ctx_mut();
    context.chain = L1BlockInfo {
        l2_block: Some(context.block.number),
        operator_fee_scalar: Some(U256::ZERO),
        operator_fee_constant: Some(U256::ZERO),
        ..L1BlockInfo::default()
    };
}

/// What an error of the EVM means for a message.
pub(crate) fn call_error(
    message: &Message,
    error: EVMError<ProviderError, OpTxError>,
) -> CallError {
    match error {
        EVMError::Transaction(error) => CallError::Refused(message.refused(error)),
        EVMError::Database(error) => CallError::Failed(error.into()),
        other => CallError::Failed(RpcError::server(other.to_string())),
    }
}

/// What a result means.
pub(crate) fn executed(result: ExecutionResult<OpHaltReason>) -> Executed {
    let gas = *result.gas();
    let (output, failure, out_of_gas) = match result {
        ExecutionResult::Success { output, .. } => (output.into_data(), None, false),
        ExecutionResult::Revert { output, .. } => {
            (output.clone(), Some(Failure::Reverted(output)), false)
        }
        ExecutionResult::Halt { reason, .. } => {
            let out_of_gas = matches!(reason, OpHaltReason::Base(HaltReason::OutOfGas(_)));
            (Bytes::new(), Some(Failure::Halted(halt_text(&reason))), out_of_gas)
        }
    };
    Executed {
        gas_used: gas.tx_gas_used(),
        max_gas_used: gas.total_gas_spent().max(gas.floor_gas()),
        output,
        failure,
        out_of_gas,
    }
}

/// `eth_call`
pub(super) fn call(
    context: &RpcContext,
    (args, block, state_overrides, block_overrides): (
        TransactionArgs,
        Option<BlockRef>,
        Option<StateOverrides>,
        Option<BlockOverrides>,
    ),
) -> Result<Bytes, RpcError> {
    let block = context.header_block(block.unwrap_or(BlockRef::LATEST))?;
    let mut call =
        CallContext::new(context, block, state_overrides.as_ref(), block_overrides.as_ref())?;
    let message =
        args.to_message(context.config.gas_cap, call.base_fee(), context.spec.chain_id())?;
    let gas = message.gas_limit;
    let executed = call.execute_explained(&message).map_err(|error| match error {
        CallError::Refused(error) => RpcError::server(format!("err: {error} (supplied gas {gas})")),
        CallError::Failed(error) => error,
    })?;
    match executed.failure {
        None => Ok(executed.output),
        Some(failure) => Err(failure.into()),
    }
}
