//! The struct logger, geth's tracer when none is named: every instruction with stack, memory and
//! storage.

use std::{
    collections::BTreeMap,
    fmt::{self, Write},
};

use alloy_primitives::{Address, Bytes, U256, hex};
use revm::bytecode::opcode;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    Budget, Exit, REVERTED, StateAccess, Step, StepEnd, TraceError, Tracer, TxEnd, Wants,
    fault::name,
};

/// Options of the struct logger.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(in crate::debug) struct StructLogConfig {
    enable_memory: bool,
    disable_stack: bool,
    disable_storage: bool,
    enable_return_data: bool,
    /// Stop writing once the instructions take more bytes than this; 0 is no limit.
    limit: i64,
}

/// Writes instructions as JSON as they come: they are many, and nothing reads them again.
pub(super) struct StructLogger {
    config: StructLogConfig,
    budget: Budget,
    /// The objects of the instructions so far, with commas between.
    logs: String,
    /// Bytes of them without the commas.
    size: usize,
    /// What is known of the storage of each account: slots read and written.
    storage: BTreeMap<Address, BTreeMap<U256, U256>>,
    output: Bytes,
    error: Option<String>,
    gas_used: u64,
}

impl StructLogger {
    pub(super) const fn new(config: StructLogConfig, budget: Budget) -> Self {
        Self {
            config,
            budget,
            logs: String::new(),
            size: 0,
            storage: BTreeMap::new(),
            output: Bytes::new(),
            error: None,
            gas_used: 0,
        }
    }

    /// Notes what a storage instruction shows; whether it is one.
    fn note_storage(
        &mut self,
        step: &Step<'_>,
        state: &mut dyn StateAccess,
    ) -> Result<bool, TraceError> {
        if self.config.disable_storage {
            return Ok(false);
        }
        let (slot, value) = match (step.op, step.peek(0), step.peek(1)) {
            (opcode::SLOAD, Some(slot), _) => (slot, state.storage(step.address, slot)?),
            (opcode::SSTORE, Some(slot), Some(value)) => (slot, value),
            _ => return Ok(false),
        };
        self.storage.entry(step.address).or_default().insert(slot, value);
        Ok(true)
    }

    fn write(&mut self, step: &Step<'_>, end: &StepEnd<'_>, storage: bool) -> fmt::Result {
        let Self { config, logs, .. } = self;
        write!(
            logs,
            r#"{{"pc":{},"op":"{}","gas":{},"gasCost":{},"depth":{}"#,
            step.pc,
            name(step.op),
            step.gas,
            end.cost,
            step.depth
        )?;
        if let Some(error) = end.error {
            write!(logs, r#","error":"{error}""#)?;
        }
        if !config.disable_stack {
            write_list(logs, "stack", step.stack, |logs, word| write!(logs, "\"{word:#x}\""))?;
        }
        if config.enable_return_data && !step.return_data.is_empty() {
            write!(logs, r#","returnData":"{}""#, hex::encode_prefixed(step.return_data))?;
        }
        if config.enable_memory && !step.memory.is_empty() {
            write_list(logs, "memory", step.memory.chunks(32), |logs, chunk| {
                write!(logs, "\"{}\"", hex::encode(chunk))
            })?;
        }
        if storage && let Some(slots) = self.storage.get(&step.address) {
            logs.push_str(r#","storage":{"#);
            for (index, (slot, value)) in slots.iter().enumerate() {
                let comma = if index == 0 { "" } else { "," };
                write!(logs, r#"{comma}"{slot:064x}":"{value:064x}""#)?;
            }
            logs.push('}');
        }
        if end.refund > 0 {
            write!(logs, r#","refund":{}"#, end.refund)?;
        }
        logs.write_char('}')
    }
}

fn write_list<T>(
    out: &mut String,
    name: &str,
    items: impl IntoIterator<Item = T>,
    write: impl Fn(&mut String, T) -> fmt::Result,
) -> fmt::Result {
    write!(out, ",\"{name}\":[")?;
    for (index, item) in items.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(out, item)?;
    }
    out.write_char(']')
}

impl Tracer for StructLogger {
    fn wants(&self) -> Wants {
        Wants { steps: true, stack: !self.config.disable_stack, memory: self.config.enable_memory }
    }

    fn step_end(
        &mut self,
        step: &Step<'_>,
        end: &StepEnd<'_>,
        state: &mut dyn StateAccess,
    ) -> Result<(), TraceError> {
        if self.config.limit != 0 && i64::try_from(self.size).is_ok_and(|s| s > self.config.limit) {
            return Ok(());
        }
        let storage = self.note_storage(step, state)?;
        if !self.logs.is_empty() {
            self.logs.push(',');
        }
        let before = self.logs.len();
        self.write(step, end, storage)
            .map_err(|_| TraceError::Json("writing failed".to_owned()))?;
        let size = self.logs.len() - before;
        self.size += size;
        self.budget.spend(size)
    }

    fn exit(&mut self, exit: &Exit<'_>) -> Result<(), TraceError> {
        if exit.depth == 0 {
            self.output = exit.output.clone();
            self.error = exit.error.map(str::to_owned);
        }
        Ok(())
    }

    fn tx_end(&mut self, end: &TxEnd, _: &mut dyn StateAccess) -> Result<(), TraceError> {
        self.gas_used = end.gas_used;
        Ok(())
    }

    fn result(&mut self) -> Result<Box<RawValue>, TraceError> {
        let failed = self.error.is_some();
        let shows_output = self.error.as_deref().is_none_or(|error| error == REVERTED);
        let output = if shows_output { self.output.clone() } else { Bytes::new() };
        let mut json = format!(
            r#"{{"gas":{},"failed":{failed},"returnValue":"{}","structLogs":["#,
            self.gas_used,
            hex::encode_prefixed(output),
        );
        json.reserve_exact(self.logs.len() + 2);
        json.push_str(&std::mem::take(&mut self.logs));
        json.push_str("]}");
        Ok(RawValue::from_string(json)?)
    }
}
