//! Why a call was stopped, in geth's words.

use std::{
    collections::BTreeSet,
    sync::{Arc, atomic::AtomicBool},
};

use alloy_primitives::Address;
use ascribe_evm::precompiles;
use revm::state::EvmState;
use serde_json::value::RawValue;

use super::tracer::{Exit, FinalState, Hooks, Stop, TraceError, Tracer, TxEnd, TxPlace, TxStart};
use crate::{
    RpcError,
    eth::{
        call::{CallContext, CallError},
        message::Message,
    },
};

/// Remembers the error of the transaction's own frame.
#[derive(Default)]
struct LastError(Option<String>);

impl Tracer for LastError {
    fn exit(&mut self, frame: &Exit<'_>) -> Result<(), TraceError> {
        if frame.depth == 0 {
            self.0 = frame.error.map(str::to_owned);
        }
        Ok(())
    }

    fn result(&mut self) -> Result<Box<RawValue>, TraceError> {
        Ok(serde_json::value::to_raw_value(&self.0)?)
    }
}

/// Executes a message that is known to be stopped once more, and watches it until it is. The EVM
/// alone tells less of it than geth does.
pub(crate) fn why_halted(
    call: &mut CallContext,
    message: &Message,
) -> Result<Option<String>, CallError> {
    let failed = |error: TraceError| CallError::Failed(RpcError::from(error));
    let stop = Stop { deadline: call.deadline.at(), cancelled: Arc::new(AtomicBool::new(false)) };
    let mut hooks = Hooks::new(Box::<LastError>::default(), stop, 0);
    let known: BTreeSet<Address> = precompiles(call.spec()).addresses().copied().collect();
    let start = TxStart {
        from: message.from,
        to: message.kind.to().copied(),
        gas_limit: message.gas_limit,
        coinbase: Address::ZERO,
        authorities: Vec::new(),
        refund: 0,
        spec: call.spec().into_eth_spec(),
        precompiles: &known,
        place: TxPlace::default(),
    };
    let untouched = EvmState::default();
    hooks
        .tx_start(&start, false, &mut FinalState::new(&untouched, &mut call.state))
        .map_err(failed)?;
    let ran = call.transact(message, &mut hooks)?;
    let end = TxEnd { gas_used: ran.result.tx_gas_used() };
    let error =
        hooks.tx_end(&end, &mut FinalState::new(&ran.state, &mut call.state)).map_err(failed)?;
    serde_json::from_str(error.get()).map_err(|error| failed(error.into()))
}
