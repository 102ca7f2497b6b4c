//! `callTracer`: the calls of a transaction, one inside another.

use alloy_primitives::{Address, B256, Bytes, Log, U64, U256};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Budget, Enter, Exit, FrameKind, REVERTED, StateAccess, TraceError, Tracer, TxEnd, TxStart,
};
use crate::eth::revert;

/// What a frame takes besides input and output, about.
const FRAME_BYTES: usize = 256;

/// Options of `callTracer`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct CallConfig {
    /// Only the transaction's own frame.
    pub(super) only_top_call: bool,
    /// With the logs each frame wrote.
    pub(super) with_log: bool,
}

/// One frame with all it opened.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct CallFrame {
    pub(super) from: Address,
    pub(super) gas: U64,
    pub(super) gas_used: U64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) to: Option<Address>,
    pub(super) input: Bytes,
    #[serde(skip_serializing_if = "super::no_bytes")]
    pub(super) output: Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    revert_reason: Option<String>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) calls: Vec<Self>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    logs: Vec<CallLog>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) value: Option<U256>,
    #[serde(rename = "type", serialize_with = "kind_name")]
    pub(super) kind: FrameKind,
}

fn kind_name<S: serde::Serializer>(kind: &FrameKind, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(kind.name())
}

#[derive(Clone, Debug, Serialize)]
struct CallLog {
    address: Address,
    topics: Vec<B256>,
    data: Bytes,
    index: U64,
    /// How many calls the frame had made before.
    position: U64,
}

impl CallFrame {
    fn new(frame: &Enter<'_>) -> Self {
        Self {
            from: frame.from,
            gas: U64::from(frame.gas),
            gas_used: U64::ZERO,
            to: Some(frame.to),
            input: frame.input.clone(),
            output: Bytes::new(),
            error: None,
            revert_reason: None,
            calls: Vec::new(),
            logs: Vec::new(),
            value: frame.value,
            kind: frame.kind,
        }
    }

    fn close(&mut self, exit: &Exit<'_>) {
        let Some(error) = exit.error else {
            self.output = exit.output.clone();
            return;
        };
        self.error = Some(error.to_owned());
        if self.kind.creates() {
            self.to = None;
        }
        if error == REVERTED {
            self.output = exit.output.clone();
            self.revert_reason =
                revert::reason(exit.output).filter(|reason| !reason.is_empty()).map(Into::into);
        }
    }

    /// Logs of frames that failed, or whose parents did, were never written.
    fn clear_failed_logs(&mut self, parent_failed: bool) {
        let failed = parent_failed || self.error.is_some();
        if failed {
            self.logs.clear();
        }
        for call in &mut self.calls {
            call.clear_failed_logs(failed);
        }
    }
}

/// Builds the tree of frames.
pub(super) struct CallTracer {
    config: CallConfig,
    budget: Budget,
    /// The frames that are open, the transaction's own first.
    open: Vec<CallFrame>,
    gas_limit: u64,
    depth: usize,
}

impl CallTracer {
    pub(super) const fn new(config: CallConfig, budget: Budget) -> Self {
        Self { config, budget, open: Vec::new(), gas_limit: 0, depth: 0 }
    }

    /// The frame opened last.
    pub(super) fn last(&mut self) -> Option<&mut CallFrame> {
        self.open.last_mut()
    }

    /// The finished tree.
    pub(super) fn take(&mut self) -> Result<CallFrame, TraceError> {
        let mut top = match self.open.pop() {
            Some(top) if self.open.is_empty() => top,
            _ => return Err(TraceError::NoCall),
        };
        if top.kind == FrameKind::Stop {
            top.error = Some("failed deposit transaction".to_owned());
            top.to = None;
            top.gas = U64::ZERO;
        }
        Ok(top)
    }
}

impl Tracer for CallTracer {
    fn tx_start(&mut self, tx: &TxStart<'_>, _: &mut dyn StateAccess) -> Result<(), TraceError> {
        self.gas_limit = tx.gas_limit;
        Ok(())
    }

    fn enter(&mut self, frame: &Enter<'_>) -> Result<(), TraceError> {
        self.depth = frame.depth;
        if self.config.only_top_call && frame.depth > 0 {
            return Ok(());
        }
        self.budget.spend(FRAME_BYTES + 2 * frame.input.len())?;
        let mut call = CallFrame::new(frame);
        if frame.depth == 0 {
            call.gas = U64::from(self.gas_limit);
        }
        self.open.push(call);
        Ok(())
    }

    fn exit(&mut self, exit: &Exit<'_>) -> Result<(), TraceError> {
        self.budget.spend(2 * exit.output.len())?;
        if exit.depth == 0 {
            if let [top] = self.open.as_mut_slice() {
                top.close(exit);
            }
            return Ok(());
        }
        self.depth = exit.depth - 1;
        if self.config.only_top_call || self.open.len() < 2 {
            return Ok(());
        }
        if let Some(mut call) = self.open.pop() {
            call.gas_used = U64::from(exit.gas_used);
            call.close(exit);
            if let Some(parent) = self.open.last_mut() {
                parent.calls.push(call);
            }
        }
        Ok(())
    }

    fn log(&mut self, log: &Log, index: u64) -> Result<(), TraceError> {
        if !self.config.with_log || (self.config.only_top_call && self.depth > 0) {
            return Ok(());
        }
        self.budget.spend(FRAME_BYTES + 2 * log.data.data.len())?;
        if let Some(frame) = self.open.last_mut() {
            frame.logs.push(CallLog {
                address: log.address,
                topics: log.topics().to_vec(),
                data: log.data.data.clone(),
                index: U64::from(index),
                position: U64::from(frame.calls.len()),
            });
        }
        Ok(())
    }

    fn tx_end(&mut self, end: &TxEnd, _: &mut dyn StateAccess) -> Result<(), TraceError> {
        if let Some(top) = self.open.first_mut() {
            top.gas_used = U64::from(end.gas_used);
            top.clear_failed_logs(false);
        }
        Ok(())
    }

    fn result(&mut self) -> Result<Box<RawValue>, TraceError> {
        Ok(serde_json::value::to_raw_value(&self.take()?)?)
    }
}
