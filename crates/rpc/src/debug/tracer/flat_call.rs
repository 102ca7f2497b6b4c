//! `flatCallTracer`: the calls of a transaction in one list, in Parity's shape.

use std::collections::BTreeSet;

use alloy_primitives::{Address, B256, Bytes, U64, U256};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Budget, Enter, Exit, FrameKind, REVERTED, StateAccess, TraceError, Tracer, TxEnd, TxPlace,
    TxStart,
    call::{CallConfig, CallFrame, CallTracer},
};

/// What Parity says for geth's errors.
const PARITY_ERRORS: [(&str, &str); 10] = [
    ("contract creation code storage out of gas", "Out of gas"),
    ("out of gas", "Out of gas"),
    ("gas uint64 overflow", "Out of gas"),
    ("max code size exceeded", "Out of gas"),
    ("invalid jump destination", "Bad jump destination"),
    ("execution reverted", "Reverted"),
    ("return data out of bounds", "Out of bounds"),
    ("stack limit reached 1024 (1023)", "Out of stack"),
    ("precompiled failed", "Built-in failed"),
    ("invalid input length", "Built-in failed"),
];

/// What Parity says for errors of geth that begin so.
const PARITY_PREFIXES: [(&str, &str); 3] = [
    ("out of gas:", "Out of gas"),
    ("invalid opcode:", "Bad instruction"),
    ("stack underflow", "Stack underflow"),
];

/// Options of `flatCallTracer`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct FlatCallConfig {
    /// Errors in Parity's words.
    convert_parity_errors: bool,
    /// With calls of precompiles.
    include_precompiles: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct FlatCall {
    action: Action,
    block_hash: Option<B256>,
    block_number: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Outcome>,
    subtraces: usize,
    trace_address: Vec<usize>,
    transaction_hash: Option<B256>,
    transaction_position: u64,
    #[serde(rename = "type")]
    kind: &'static str,
}

#[derive(Debug, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum Action {
    Call {
        call_type: String,
        from: Address,
        gas: U64,
        input: Bytes,
        #[serde(skip_serializing_if = "Option::is_none")]
        to: Option<Address>,
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<U256>,
    },
    Create {
        creation_method: String,
        from: Address,
        gas: U64,
        init: Bytes,
        #[serde(skip_serializing_if = "Option::is_none")]
        value: Option<U256>,
    },
    SelfDestruct {
        address: Address,
        #[serde(skip_serializing_if = "Option::is_none")]
        balance: Option<U256>,
        #[serde(skip_serializing_if = "Option::is_none")]
        refund_address: Option<Address>,
    },
}

#[derive(Debug, Serialize)]
#[serde(untagged, rename_all_fields = "camelCase")]
enum Outcome {
    Call {
        gas_used: U64,
        output: Bytes,
    },
    Create {
        #[serde(skip_serializing_if = "Option::is_none")]
        address: Option<Address>,
        code: Bytes,
        gas_used: U64,
    },
}

/// Builds the tree of frames and lays it out flat at the end.
pub(super) struct FlatCallTracer {
    config: FlatCallConfig,
    calls: CallTracer,
    precompiles: BTreeSet<Address>,
    place: TxPlace,
}

impl FlatCallTracer {
    pub(super) const fn new(config: FlatCallConfig, budget: Budget) -> Self {
        Self {
            config,
            calls: CallTracer::new(CallConfig { only_top_call: false, with_log: false }, budget),
            precompiles: BTreeSet::new(),
            place: TxPlace { block_hash: None, block_number: 0, tx_hash: None, tx_index: 0 },
        }
    }

    fn flatten(&self, frame: CallFrame, trace_address: Vec<usize>, list: &mut Vec<FlatCall>) {
        let CallFrame { from, gas, gas_used, to, input, output, error, calls, value, kind, .. } =
            frame;
        let reverted = error.as_deref() == Some(REVERTED);
        let (name, action, result) = match kind {
            FrameKind::Create | FrameKind::Create2 => (
                "create",
                Action::Create {
                    creation_method: kind.name().to_ascii_lowercase(),
                    from,
                    gas,
                    init: input,
                    value,
                },
                Some(Outcome::Create { address: to, code: output, gas_used }),
            ),
            FrameKind::SelfDestruct => (
                "suicide",
                Action::SelfDestruct { address: from, balance: value, refund_address: to },
                None,
            ),
            _ => (
                "call",
                Action::Call {
                    call_type: kind.name().to_ascii_lowercase(),
                    from,
                    gas,
                    input,
                    to,
                    value,
                },
                Some(Outcome::Call { gas_used, output }),
            ),
        };
        list.push(FlatCall {
            action,
            block_hash: self.place.block_hash,
            block_number: self.place.block_number,
            result: result.filter(|_| error.is_none() || reverted),
            error: error.map(|error| self.words(error)),
            subtraces: calls.len(),
            trace_address: trace_address.clone(),
            transaction_hash: self.place.tx_hash,
            transaction_position: self.place.tx_index,
            kind: name,
        });
        for (index, call) in calls.into_iter().enumerate() {
            let mut address = Vec::with_capacity(trace_address.len() + 1);
            address.extend_from_slice(&trace_address);
            address.push(index);
            self.flatten(call, address, list);
        }
    }

    fn words(&self, error: String) -> String {
        if !self.config.convert_parity_errors {
            return error;
        }
        let same = PARITY_ERRORS.iter().find(|(geth, _)| *geth == error);
        let begins = || PARITY_PREFIXES.iter().find(|(geth, _)| error.starts_with(geth));
        match same.or_else(begins) {
            Some((_, parity)) => (*parity).to_owned(),
            None => error,
        }
    }
}

impl Tracer for FlatCallTracer {
    fn tx_start(
        &mut self,
        tx: &TxStart<'_>,
        state: &mut dyn StateAccess,
    ) -> Result<(), TraceError> {
        self.precompiles.clone_from(tx.precompiles);
        self.place = tx.place;
        self.calls.tx_start(tx, state)
    }

    fn enter(&mut self, frame: &Enter<'_>) -> Result<(), TraceError> {
        self.calls.enter(frame)?;
        if frame.depth > 0
            && let Some(call) = self.calls.last()
        {
            call.value.get_or_insert_default();
        }
        Ok(())
    }

    fn exit(&mut self, frame: &Exit<'_>) -> Result<(), TraceError> {
        self.calls.exit(frame)?;
        if frame.depth == 0 || self.config.include_precompiles {
            return Ok(());
        }
        if let Some(parent) = self.calls.last() {
            parent.calls.pop_if(|call| {
                matches!(call.kind, FrameKind::Call | FrameKind::StaticCall)
                    && call.to.is_some_and(|to| self.precompiles.contains(&to))
            });
        }
        Ok(())
    }

    fn tx_end(&mut self, end: &TxEnd, state: &mut dyn StateAccess) -> Result<(), TraceError> {
        self.calls.tx_end(end, state)
    }

    fn result(&mut self) -> Result<Box<RawValue>, TraceError> {
        let top = self.calls.take()?;
        let mut list = Vec::new();
        self.flatten(top, Vec::new(), &mut list);
        Ok(serde_json::value::to_raw_value(&list)?)
    }
}
