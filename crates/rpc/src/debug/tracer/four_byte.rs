//! `4byteTracer`: how often which selector was called with how much data.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, hex};
use serde_json::value::RawValue;

use super::{Enter, FrameKind, StateAccess, TraceError, Tracer, TxStart};

/// Counts calls by `0x<selector>-<bytes of arguments>`.
#[derive(Default)]
pub(super) struct FourByteTracer {
    counts: BTreeMap<String, u64>,
    precompiles: BTreeSet<Address>,
}

impl Tracer for FourByteTracer {
    fn tx_start(&mut self, tx: &TxStart<'_>, _: &mut dyn StateAccess) -> Result<(), TraceError> {
        self.precompiles.clone_from(tx.precompiles);
        Ok(())
    }

    fn enter(&mut self, frame: &Enter<'_>) -> Result<(), TraceError> {
        let calls = matches!(
            frame.kind,
            FrameKind::Call | FrameKind::CallCode | FrameKind::DelegateCall | FrameKind::StaticCall
        );
        if calls
            && !self.precompiles.contains(&frame.to)
            && let Some((selector, arguments)) = frame.input.split_at_checked(4)
        {
            let key = format!("{}-{}", hex::encode_prefixed(selector), arguments.len());
            *self.counts.entry(key).or_default() += 1;
        }
        Ok(())
    }

    fn result(&mut self) -> Result<Box<RawValue>, TraceError> {
        Ok(serde_json::value::to_raw_value(&self.counts)?)
    }
}
