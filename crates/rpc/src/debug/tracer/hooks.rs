//! From revm's inspector to geth's hooks.

use std::{
    borrow::Cow,
    collections::BTreeSet,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};

use alloy_primitives::{Address, Bytes, Log, U256};
use revm::{
    Database, Inspector, Journal,
    bytecode::opcode as op,
    context::{Context, LocalContextTr},
    context_interface::{Block, Cfg, CreateScheme, JournalTr, Transaction},
    interpreter::{
        CallInputs, CallOutcome, CallScheme, CreateInputs, CreateOutcome, FrameInput, Gas,
        InstructionResult, Interpreter, InterpreterAction, InterpreterResult,
        interpreter::EthInterpreter,
        interpreter_types::{
            InputsTr, Jumps, LegacyBytecode, LoopControl, MemoryTr, ReturnData, RuntimeFlag,
        },
    },
    primitives::hardfork::SpecId,
};
use serde_json::value::RawValue;

use super::{
    Enter, Exit, FrameKind, StateAccess, Step, StepEnd, TraceError, Tracer, TxEnd, TxStart, Wants,
    fault::{self, Fault, Instruction, delegation, deposit_error, frame_error},
    precompile::precompile_error,
    state::{account_is_cold, live, slot_is_cold},
};

/// As many words of the stack as an instruction can use.
const STACK_TOP: usize = 7;
/// The clock is looked at once in so many instructions.
const CLOCK_STEPS: u32 = 1024;

/// When to stop, finished or not.
#[derive(Clone, Debug)]
pub(in crate::debug) struct Stop {
    /// When time is up.
    pub(in crate::debug) deadline: Instant,
    /// Set when nobody waits for the trace any more.
    pub(in crate::debug) cancelled: Arc<AtomicBool>,
}

impl Stop {
    pub(in crate::debug) fn check(&self) -> Result<(), TraceError> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Err(TraceError::Cancelled);
        }
        if Instant::now() >= self.deadline {
            return Err(TraceError::Timeout);
        }
        Ok(())
    }
}

/// A frame that is open.
#[derive(Debug, Default)]
struct Frame {
    creates: bool,
    gas_limit: u64,
    /// The code that runs, to tell precompiles apart.
    code_address: Address,
    /// Kept for precompiles alone, whose errors depend on it.
    input: Bytes,
    /// Why its last instruction failed, if one did.
    fault: Option<Cow<'static, str>>,
    /// What its instructions added to the refund counter, or took from it.
    refund: i64,
}

/// An instruction between its two hooks. The buffers are used again and again.
#[derive(Debug, Default)]
struct Running {
    /// Whether there is one.
    live: bool,
    pc: usize,
    op: u8,
    gas: u64,
    address: Address,
    stack: Vec<U256>,
    stack_len: usize,
    memory: Vec<u8>,
    memory_len: u64,
    return_data: Bytes,
    cold: bool,
    delegate_cold: Option<bool>,
    slot: Option<(U256, U256)>,
    /// For `SELFDESTRUCT`: the balance that goes.
    balance: U256,
}

impl Running {
    fn step(&self, depth: usize) -> Step<'_> {
        Step {
            pc: self.pc,
            op: self.op,
            gas: self.gas,
            depth,
            address: self.address,
            stack: &self.stack,
            memory: &self.memory,
            return_data: &self.return_data,
        }
    }

    fn instruction(&self, spec: SpecId, is_static: bool) -> Instruction<'_> {
        Instruction {
            op: self.op,
            spec,
            gas: self.gas,
            stack: &self.stack,
            stack_len: self.stack_len,
            memory_len: self.memory_len,
            is_static,
            cold: self.cold,
            delegate_cold: self.delegate_cold,
            slot: self.slot,
            address: self.address,
        }
    }

    fn peek(&self, n: usize) -> Option<U256> {
        self.stack.len().checked_sub(n + 1).map(|at| self.stack[at])
    }
}

/// Shows one transaction to a [`Tracer`] as geth would.
pub(in crate::debug) struct Hooks {
    tracer: Box<dyn Tracer>,
    wants: Wants,
    stop: Stop,
    precompiles: BTreeSet<Address>,
    spec: SpecId,
    frames: Vec<Frame>,
    running: Running,
    /// Logs that earlier transactions of the block wrote.
    logs_before: u64,
    deposit: bool,
    /// Whether the transaction's own frame was opened.
    entered: bool,
    steps: u32,
    /// What was refunded before the first instruction.
    refund: u64,
    error: Option<TraceError>,
}

impl std::fmt::Debug for Hooks {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Hooks").field("frames", &self.frames).finish_non_exhaustive()
    }
}

impl Hooks {
    /// Shows a transaction to `tracer`, in a block whose earlier transactions wrote
    /// `logs_before` logs.
    pub(in crate::debug) fn new(tracer: Box<dyn Tracer>, stop: Stop, logs_before: u64) -> Self {
        Self {
            wants: tracer.wants(),
            tracer,
            stop,
            precompiles: BTreeSet::new(),
            spec: SpecId::default(),
            frames: Vec::new(),
            running: Running::default(),
            logs_before,
            deposit: false,
            entered: false,
            steps: 0,
            refund: 0,
            error: None,
        }
    }

    /// The transaction is about to run on `state`.
    pub(in crate::debug) fn tx_start(
        &mut self,
        tx: &TxStart<'_>,
        deposit: bool,
        state: &mut dyn StateAccess,
    ) -> Result<(), TraceError> {
        self.precompiles.clone_from(tx.precompiles);
        self.spec = tx.spec;
        self.deposit = deposit;
        self.refund = tx.refund;
        self.tracer.tx_start(tx, state)
    }

    /// The transaction has run and `state` is what it left: the trace.
    pub(in crate::debug) fn tx_end(
        mut self,
        end: &TxEnd,
        state: &mut dyn StateAccess,
    ) -> Result<Box<RawValue>, TraceError> {
        if let Some(error) = self.error.take() {
            return Err(error);
        }
        self.stop.check()?;
        if self.deposit && !self.entered {
            self.tracer.enter(&Enter {
                depth: 0,
                kind: FrameKind::Stop,
                from: Address::ZERO,
                to: Address::ZERO,
                input: &Bytes::new(),
                gas: 0,
                value: None,
            })?;
        }
        self.tracer.tx_end(end, state)?;
        self.tracer.result()
    }

    fn note(&mut self, done: Result<(), TraceError>) {
        if let Err(error) = done {
            self.error.get_or_insert(error);
        }
    }

    fn enter(&mut self, frame: Frame, enter: &Enter<'_>) {
        self.entered = true;
        let done = self.tracer.enter(enter);
        self.note(done);
        self.frames.push(frame);
    }

    fn exit(&mut self, result: &InterpreterResult) {
        let Some(frame) = self.frames.pop() else { return };
        let InterpreterResult { result, output, gas } = result;
        let error = frame.error(*result, output.len(), &self.precompiles, self.spec);
        let kept = result.is_ok() || result.is_revert();
        if let Some(parent) = self.frames.last_mut()
            && result.is_ok()
        {
            parent.refund += frame.refund;
        }
        let done = self.tracer.exit(&Exit {
            depth: self.frames.len(),
            output,
            gas_used: if kept { spent(frame.gas_limit, gas) } else { frame.gas_limit },
            error: error.as_deref(),
        });
        self.note(done);
    }

    /// Whether the transaction's own frame must not open: a deposit that cannot pay what it sends
    /// fails before.
    fn deposit_cannot_pay<DB: Database>(
        &mut self,
        journal: &mut Journal<DB>,
        caller: Address,
        value: U256,
    ) -> bool {
        if !self.deposit || !self.frames.is_empty() || value.is_zero() {
            return false;
        }
        match live(journal).account(caller) {
            Ok(account) => account.balance < value,
            Err(error) => {
                self.note(Err(error.into()));
                false
            }
        }
    }

    /// Notes how things stand before an instruction.
    fn before<DB: Database>(
        &mut self,
        interp: &mut Interpreter<EthInterpreter>,
        journal: &mut Journal<DB>,
    ) -> Result<(), TraceError> {
        let running = &mut self.running;
        let opcode = interp.bytecode.opcode();
        running.pc = interp.bytecode.pc();
        running.op = opcode;
        running.gas = interp.gas.remaining();
        running.address = interp.input.target_address();
        running.memory_len = interp.memory.size() as u64;
        let stack = interp.stack.data();
        running.stack_len = stack.len();
        running.stack.clear();
        let top = if self.wants.stack { 0 } else { stack.len().saturating_sub(STACK_TOP) };
        running.stack.extend_from_slice(&stack[top..]);
        (running.cold, running.delegate_cold, running.slot) = (false, None, None);

        let address = running.address;
        let word = |n| running.peek(n).map(|word: U256| Address::from_word(word.into()));
        match opcode {
            op::CALL | op::CALLCODE | op::DELEGATECALL | op::STATICCALL => {
                if let Some(to) = word(1) {
                    running.cold = account_is_cold(&journal.inner, &to);
                    if interp.runtime_flag.spec_id().is_enabled_in(SpecId::PRAGUE) {
                        running.delegate_cold = delegation(&live(journal).code(to)?)
                            .map(|target| account_is_cold(&journal.inner, &target));
                    }
                }
            }
            op::SELFDESTRUCT => {
                if let Some(heir) = word(0) {
                    running.cold = account_is_cold(&journal.inner, &heir);
                }
                running.balance = live(journal).account(address)?.balance;
            }
            op::BALANCE | op::EXTCODESIZE | op::EXTCODECOPY | op::EXTCODEHASH
                if self.wants.steps =>
            {
                if let Some(account) = word(0) {
                    running.cold = account_is_cold(&journal.inner, &account);
                }
            }
            op::SLOAD | op::SSTORE if self.wants.steps => {
                if let Some(slot) = running.peek(0) {
                    running.cold = slot_is_cold(&journal.inner, &address, slot);
                    if opcode == op::SSTORE {
                        running.slot = Some(slot_values(journal, address, slot)?);
                    }
                }
            }
            _ => {}
        }
        running.live = true;
        if !self.wants.steps {
            return Ok(());
        }
        running.return_data = interp.return_data.buffer().clone();
        running.memory.clear();
        if self.wants.memory || opcode == op::CREATE2 {
            let size = interp.memory.size();
            running.memory.extend_from_slice(&interp.memory.slice(0..size));
        }
        let step = self.running.step(self.frames.len());
        self.tracer.step(&step, &mut live(journal))
    }

    /// Tells what the instruction did.
    fn after<DB: Database>(
        &mut self,
        interp: &mut Interpreter<EthInterpreter>,
        journal: &mut Journal<DB>,
    ) -> Result<(), TraceError> {
        let result = interp.bytecode.instruction_result();
        let fault = match result {
            Some(result) if !result.is_ok() && result != InstructionResult::Revert => {
                let flags = &interp.runtime_flag;
                let instruction = self.running.instruction(flags.spec_id(), flags.is_static());
                Some(fault::explain(&instruction, result, &mut live(journal))?)
            }
            _ => None,
        };
        let refund = interp.gas.refunded();
        if let Some(frame) = self.frames.last_mut() {
            frame.fault = fault.as_ref().map(|fault| fault.error.clone());
            // What finished calls added is in the interpreter's own counter as well.
            frame.refund = refund;
        }
        if self.wants.steps {
            let cost = match &fault {
                Some(fault) => fault.cost,
                None => self.running.gas.saturating_sub(interp.gas.remaining()) - forwarded(interp),
            };
            let error = match &fault {
                Some(Fault { error, ran: false, .. }) => Some(&**error),
                _ => None,
            };
            let change: i64 = self.frames.iter().map(|frame| frame.refund).sum();
            let refund = self.refund.saturating_add_signed(change);
            let end = StepEnd { cost, refund, error };
            let step = self.running.step(self.frames.len());
            self.tracer.step_end(&step, &end, &mut live(journal))?;
        }
        if result == Some(InstructionResult::SelfDestruct) {
            self.selfdestruct()?;
        }
        Ok(())
    }

    /// To geth a `SELFDESTRUCT` is a frame of its own, opened and closed at once.
    fn selfdestruct(&mut self) -> Result<(), TraceError> {
        let heir = self.running.peek(0).unwrap_or_default();
        let (depth, nothing) = (self.frames.len(), Bytes::new());
        self.tracer.enter(&Enter {
            depth,
            kind: FrameKind::SelfDestruct,
            from: self.running.address,
            to: Address::from_word(heir.into()),
            input: &nothing,
            gas: 0,
            value: Some(self.running.balance),
        })?;
        self.tracer.exit(&Exit { depth, output: &nothing, gas_used: 0, error: None })
    }
}

impl Frame {
    /// The error it ended with, in geth's words.
    fn error(
        &self,
        result: InstructionResult,
        output_len: usize,
        precompiles: &BTreeSet<Address>,
        spec: SpecId,
    ) -> Option<Cow<'static, str>> {
        if result.is_ok() {
            return None;
        }
        Some(match &self.fault {
            Some(fault) => fault.clone(),
            None if self.creates => deposit_error(result, output_len),
            None if result == InstructionResult::PrecompileError
                && precompiles.contains(&self.code_address) =>
            {
                precompile_error(&self.code_address, &self.input, spec).into()
            }
            None => frame_error(result),
        })
    }
}

/// The slot's value at the start of the transaction and now.
fn slot_values<DB: Database>(
    journal: &mut Journal<DB>,
    address: Address,
    slot: U256,
) -> Result<(U256, U256), TraceError> {
    let account = journal.inner.state.get(&address);
    if let Some(loaded) = account.and_then(|account| account.storage.get(&slot)) {
        return Ok((loaded.original_value, loaded.present_value));
    }
    let value = live(journal).storage(address, slot)?;
    Ok((value, value))
}

/// The gas that a creation passes on. geth takes it from the frame after it has told the cost; for
/// calls it is part of the cost.
fn forwarded(interp: &mut Interpreter<EthInterpreter>) -> u64 {
    match interp.bytecode.action() {
        Some(InterpreterAction::NewFrame(FrameInput::Create(inputs))) => inputs.gas_limit(),
        _ => 0,
    }
}

const fn spent(limit: u64, gas: &Gas) -> u64 {
    limit.saturating_sub(gas.remaining())
}

impl<BLOCK, TX, CFG, DB, CHAIN, LOCAL>
    Inspector<Context<BLOCK, TX, CFG, DB, Journal<DB>, CHAIN, LOCAL>> for Hooks
where
    BLOCK: Block,
    TX: Transaction,
    CFG: Cfg,
    DB: Database,
    LOCAL: LocalContextTr,
{
    fn step(
        &mut self,
        interp: &mut Interpreter<EthInterpreter>,
        context: &mut Context<BLOCK, TX, CFG, DB, Journal<DB>, CHAIN, LOCAL>,
    ) {
        self.running.live = false;
        self.steps = self.steps.wrapping_add(1);
        if self.steps.is_multiple_of(CLOCK_STEPS) {
            let done = self.stop.check();
            self.note(done);
        }
        // geth does not run empty code; revm runs it when it creates with it.
        if self.error.is_none() && interp.bytecode.bytecode_len() > 0 {
            let done = self.before(interp, &mut context.journaled_state);
            self.note(done);
        }
        if self.error.is_some() {
            // Any end will do: the trace is lost.
            interp.halt(InstructionResult::OutOfGas);
        }
    }

    fn step_end(
        &mut self,
        interp: &mut Interpreter<EthInterpreter>,
        context: &mut Context<BLOCK, TX, CFG, DB, Journal<DB>, CHAIN, LOCAL>,
    ) {
        if std::mem::take(&mut self.running.live) {
            let done = self.after(interp, &mut context.journaled_state);
            self.note(done);
        }
    }

    fn log(
        &mut self,
        context: &mut Context<BLOCK, TX, CFG, DB, Journal<DB>, CHAIN, LOCAL>,
        log: Log,
    ) {
        let index = self.logs_before + context.journaled_state.logs().len() as u64 - 1;
        let done = self.tracer.log(&log, index);
        self.note(done);
    }

    fn call(
        &mut self,
        context: &mut Context<BLOCK, TX, CFG, DB, Journal<DB>, CHAIN, LOCAL>,
        inputs: &mut CallInputs,
    ) -> Option<CallOutcome> {
        let input = inputs.input.bytes(context);
        let value = inputs.call_value();
        if self.deposit_cannot_pay(&mut context.journaled_state, inputs.caller, value) {
            return None;
        }
        let code = inputs.bytecode_address;
        let (kind, from, to, value) = match inputs.scheme {
            CallScheme::Call => {
                (FrameKind::Call, inputs.caller, inputs.target_address, Some(value))
            }
            CallScheme::CallCode => (FrameKind::CallCode, inputs.caller, code, Some(value)),
            CallScheme::DelegateCall => {
                (FrameKind::DelegateCall, inputs.target_address, code, Some(value))
            }
            CallScheme::StaticCall => (FrameKind::StaticCall, inputs.caller, code, None),
        };
        let frame = Frame {
            gas_limit: inputs.gas_limit,
            code_address: code,
            input: if self.precompiles.contains(&code) { input.clone() } else { Bytes::new() },
            ..Frame::default()
        };
        let depth = self.frames.len();
        let gas = inputs.gas_limit;
        self.enter(frame, &Enter { depth, kind, from, to, input: &input, gas, value });
        None
    }

    fn call_end(
        &mut self,
        _: &mut Context<BLOCK, TX, CFG, DB, Journal<DB>, CHAIN, LOCAL>,
        _: &CallInputs,
        outcome: &mut CallOutcome,
    ) {
        self.exit(&outcome.result);
    }

    fn create(
        &mut self,
        context: &mut Context<BLOCK, TX, CFG, DB, Journal<DB>, CHAIN, LOCAL>,
        inputs: &mut CreateInputs,
    ) -> Option<CreateOutcome> {
        let journal = &mut context.journaled_state;
        if self.deposit_cannot_pay(journal, inputs.caller(), inputs.value()) {
            return None;
        }
        let nonce = match live(journal).account(inputs.caller()) {
            Ok(account) => account.nonce,
            Err(error) => {
                self.note(Err(error.into()));
                0
            }
        };
        let kind = match inputs.scheme() {
            CreateScheme::Create2 { .. } => FrameKind::Create2,
            CreateScheme::Create | CreateScheme::Custom { .. } => FrameKind::Create,
        };
        let frame = Frame { creates: true, gas_limit: inputs.gas_limit(), ..Frame::default() };
        let enter = Enter {
            depth: self.frames.len(),
            kind,
            from: inputs.caller(),
            to: inputs.created_address(nonce),
            input: inputs.init_code(),
            gas: inputs.gas_limit(),
            value: Some(inputs.value()),
        };
        self.enter(frame, &enter);
        None
    }

    fn create_end(
        &mut self,
        _: &mut Context<BLOCK, TX, CFG, DB, Journal<DB>, CHAIN, LOCAL>,
        _: &CreateInputs,
        outcome: &mut CreateOutcome,
    ) {
        self.exit(&outcome.result);
    }
}
