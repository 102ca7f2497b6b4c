//! geth's native tracers.
//!
//! revm shows an inspector interpreters and frames; geth shows its tracers transactions, frames
//! and opcodes with their cost. [`Hooks`] turns the one into the other, so that each tracer here
//! can be read beside its original, and answers agree to the byte: order of events, gas of
//! failing instructions, error texts, and what a deposit that never ran looks like.

mod call;
mod fault;
mod flat_call;
mod four_byte;
mod hooks;
mod mux;
mod precompile;
mod prestate;
mod state;
mod struct_log;

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, Bytes, Log, U256};
use revm::primitives::hardfork::SpecId;
use serde_json::value::RawValue;

pub(super) use fault::delegation;
pub(super) use hooks::{Hooks, Stop};
pub(super) use state::{FinalState, StateAccess, StateReadError};
pub(super) use struct_log::StructLogConfig;

/// Why there is no trace.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum TraceError {
    /// The transaction ran longer than its time limit.
    #[error("execution timeout")]
    Timeout,
    /// The caller has gone.
    #[error("request cancelled")]
    Cancelled,
    /// The trace does not fit into an answer.
    #[error("trace exceeds the limit of {0} bytes")]
    TooLarge(usize),
    /// No tracer of this name, which geth therefore takes for JavaScript.
    #[error("{0}")]
    UnknownTracer(String),
    /// The tracer's configuration cannot be used.
    #[error("{0}")]
    Config(String),
    /// The state could not be read.
    #[error(transparent)]
    State(#[from] StateReadError),
    /// The tracer saw events that do not make up a transaction.
    #[error("incorrect number of top-level calls")]
    NoCall,
    /// The trace could not be written as JSON.
    #[error("{0}")]
    Json(String),
}

impl From<serde_json::Error> for TraceError {
    fn from(error: serde_json::Error) -> Self {
        Self::Json(error.to_string())
    }
}

/// Which events a tracer wants; the rest is not even prepared.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wants {
    /// Every opcode, with the top seven words of the stack.
    pub(super) steps: bool,
    /// The whole stack, at every opcode.
    pub(super) stack: bool,
    /// The memory, at every opcode.
    pub(super) memory: bool,
}

impl Wants {
    const fn or(self, other: Self) -> Self {
        Self {
            steps: self.steps || other.steps,
            stack: self.stack || other.stack,
            memory: self.memory || other.memory,
        }
    }
}

/// What a frame is, by the opcode that opens it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameKind {
    /// Not a frame: a deposit that failed before its first instruction.
    Stop,
    Create,
    Create2,
    Call,
    CallCode,
    DelegateCall,
    StaticCall,
    SelfDestruct,
}

impl FrameKind {
    const fn name(self) -> &'static str {
        match self {
            Self::Stop => "STOP",
            Self::Create => "CREATE",
            Self::Create2 => "CREATE2",
            Self::Call => "CALL",
            Self::CallCode => "CALLCODE",
            Self::DelegateCall => "DELEGATECALL",
            Self::StaticCall => "STATICCALL",
            Self::SelfDestruct => "SELFDESTRUCT",
        }
    }

    const fn creates(self) -> bool {
        matches!(self, Self::Create | Self::Create2)
    }
}

/// A transaction about to run.
#[derive(Debug)]
pub(super) struct TxStart<'a> {
    pub(super) from: Address,
    /// Nothing for a creation.
    pub(super) to: Option<Address>,
    pub(super) gas_limit: u64,
    pub(super) coinbase: Address,
    /// The signers of EIP-7702 authorizations.
    pub(super) authorities: Vec<Address>,
    /// What the authorizations put on the refund counter.
    pub(super) refund: u64,
    pub(super) spec: SpecId,
    pub(super) precompiles: &'a BTreeSet<Address>,
    /// Where the transaction is; all empty for a call.
    pub(super) place: TxPlace,
}

/// Where in the chain a transaction is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct TxPlace {
    pub(super) block_hash: Option<B256>,
    pub(super) block_number: u64,
    pub(super) tx_hash: Option<B256>,
    pub(super) tx_index: u64,
}

/// A frame that opens. `depth` is 0 for the transaction's own.
#[derive(Debug)]
pub(super) struct Enter<'a> {
    pub(super) depth: usize,
    pub(super) kind: FrameKind,
    pub(super) from: Address,
    pub(super) to: Address,
    pub(super) input: &'a Bytes,
    pub(super) gas: u64,
    /// Nothing for a static call.
    pub(super) value: Option<U256>,
}

/// A frame that closes.
#[derive(Debug)]
pub(super) struct Exit<'a> {
    pub(super) depth: usize,
    pub(super) output: &'a Bytes,
    pub(super) gas_used: u64,
    /// Nothing if it went well; else the error, with which its changes were reverted.
    pub(super) error: Option<&'a str>,
}

/// The error of a frame that reverted on purpose.
pub(super) const REVERTED: &str = "execution reverted";

/// An instruction, as things stand before it. Frames count from 1 here.
#[derive(Debug)]
pub(super) struct Step<'a> {
    pub(super) pc: usize,
    pub(super) op: u8,
    pub(super) gas: u64,
    pub(super) depth: usize,
    /// The account that runs.
    pub(super) address: Address,
    /// The stack, top last; only its top unless the tracer wants all of it.
    pub(super) stack: &'a [U256],
    /// The memory, if the tracer wants it.
    pub(super) memory: &'a [u8],
    pub(super) return_data: &'a [u8],
}

impl Step<'_> {
    /// The word `n` below the top of the stack.
    fn peek(&self, n: usize) -> Option<U256> {
        self.stack.len().checked_sub(n + 1).map(|at| self.stack[at])
    }
}

/// What an instruction cost and did to the refund counter.
#[derive(Clone, Copy, Debug)]
pub(super) struct StepEnd<'a> {
    pub(super) cost: u64,
    pub(super) refund: u64,
    /// Why it did not run at all: stack or gas.
    pub(super) error: Option<&'a str>,
}

/// A transaction that has run.
#[derive(Clone, Copy, Debug)]
pub(super) struct TxEnd {
    pub(super) gas_used: u64,
}

/// Sees a transaction run and tells what it saw.
pub(super) trait Tracer: Send {
    /// The events to be shown.
    fn wants(&self) -> Wants {
        Wants::default()
    }

    /// The transaction starts; `state` is as before it.
    fn tx_start(
        &mut self,
        _tx: &TxStart<'_>,
        _state: &mut dyn StateAccess,
    ) -> Result<(), TraceError> {
        Ok(())
    }

    /// A frame opens.
    fn enter(&mut self, _frame: &Enter<'_>) -> Result<(), TraceError> {
        Ok(())
    }

    /// The frame opened last closes.
    fn exit(&mut self, _frame: &Exit<'_>) -> Result<(), TraceError> {
        Ok(())
    }

    /// An instruction is about to run.
    fn step(&mut self, _step: &Step<'_>, _state: &mut dyn StateAccess) -> Result<(), TraceError> {
        Ok(())
    }

    /// It ran, or could not. `state` shows what it did; calls have not begun yet.
    fn step_end(
        &mut self,
        _step: &Step<'_>,
        _end: &StepEnd<'_>,
        _state: &mut dyn StateAccess,
    ) -> Result<(), TraceError> {
        Ok(())
    }

    /// A log was written; `index` is its place in the block.
    fn log(&mut self, _log: &Log, _index: u64) -> Result<(), TraceError> {
        Ok(())
    }

    /// The transaction has run; `state` is as after it.
    fn tx_end(&mut self, _end: &TxEnd, _state: &mut dyn StateAccess) -> Result<(), TraceError> {
        Ok(())
    }

    /// The trace.
    fn result(&mut self) -> Result<Box<RawValue>, TraceError>;
}

/// Bounds what a tracer may keep: code that calls itself with the same megabyte of memory a
/// hundred thousand times must not fill the node's.
#[derive(Clone, Copy, Debug)]
pub(super) struct Budget {
    limit: usize,
    left: usize,
}

impl Budget {
    /// At most `limit` bytes.
    pub(super) const fn new(limit: usize) -> Self {
        Self { limit, left: limit }
    }

    fn spend(&mut self, bytes: usize) -> Result<(), TraceError> {
        self.left = self.left.checked_sub(bytes).ok_or(TraceError::TooLarge(self.limit))?;
        Ok(())
    }
}

/// The tracer of this name. Without a name: the struct logger.
pub(super) fn tracer(
    name: Option<&str>,
    config: Option<&RawValue>,
    logger: &StructLogConfig,
    budget: Budget,
) -> Result<Box<dyn Tracer>, TraceError> {
    let Some(name) = name else {
        return Ok(Box::new(struct_log::StructLogger::new(*logger, budget)));
    };
    Ok(match name {
        "callTracer" => Box::new(call::CallTracer::new(read(config)?, budget)),
        "flatCallTracer" => Box::new(flat_call::FlatCallTracer::new(read(config)?, budget)),
        "prestateTracer" => Box::new(prestate::PrestateTracer::new(read(config)?, budget)?),
        "4byteTracer" => Box::<four_byte::FourByteTracer>::default(),
        "muxTracer" => Box::new(mux::MuxTracer::new(read(config)?, budget)?),
        "noopTracer" => Box::new(Noop),
        _ => return Err(TraceError::UnknownTracer(unknown(name))),
    })
}

/// Whether JSON leaves the bytes out.
fn no_bytes(bytes: &Bytes) -> bool {
    bytes.is_empty()
}

fn read<T: serde::de::DeserializeOwned + Default>(
    config: Option<&RawValue>,
) -> Result<T, TraceError> {
    let Some(config) = config.filter(|config| config.get() != "null") else {
        return Ok(T::default());
    };
    serde_json::from_str(config.get()).map_err(|error| TraceError::Config(error.to_string()))
}

/// geth runs an unknown name as JavaScript, in which an identifier alone is undefined. There is
/// no JavaScript here.
fn unknown(name: &str) -> String {
    let mut letters = name.chars();
    let identifier = letters.next().is_some_and(|c| c.is_ascii_alphabetic() || "_$".contains(c))
        && letters.all(|c| c.is_ascii_alphanumeric() || "_$".contains(c));
    if identifier {
        format!("ReferenceError: {name} is not defined at <eval>:1:2(0)")
    } else {
        "JavaScript tracers are not supported".to_owned()
    }
}

/// Sees nothing and answers `{}`.
struct Noop;

impl Tracer for Noop {
    fn result(&mut self) -> Result<Box<RawValue>, TraceError> {
        Ok(RawValue::from_string("{}".to_owned())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unknown_names_read_as_javascript() {
        let error = |name| {
            tracer(Some(name), None, &StructLogConfig::default(), Budget::new(1))
                .err()
                .map(|error| error.to_string())
        };
        assert_eq!(
            error("fooTracer").as_deref(),
            Some("ReferenceError: fooTracer is not defined at <eval>:1:2(0)")
        );
        assert_eq!(error("").as_deref(), Some("JavaScript tracers are not supported"));
        assert_eq!(
            error("{result: function() {}}").as_deref(),
            Some("JavaScript tracers are not supported")
        );
        assert_eq!(error("noopTracer"), None);
    }

    #[test]
    fn budgets_end() {
        let mut budget = Budget::new(10);
        assert_eq!(budget.spend(10), Ok(()));
        assert_eq!(budget.spend(0), Ok(()));
        assert_eq!(budget.spend(1), Err(TraceError::TooLarge(10)));
    }
}
