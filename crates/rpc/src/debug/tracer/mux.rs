//! `muxTracer`: several tracers at once.

use std::collections::BTreeMap;

use alloy_primitives::Log;
use serde_json::value::RawValue;

use super::{
    Budget, Enter, Exit, StateAccess, Step, StepEnd, StructLogConfig, TraceError, Tracer, TxEnd,
    TxStart, Wants, tracer,
};

/// Tracers by name, each with its configuration.
pub(super) struct MuxTracer(Vec<(String, Box<dyn Tracer>)>);

/// At most so many tracers run at once.
const MOST: usize = 16;

impl MuxTracer {
    pub(super) fn new(
        config: BTreeMap<String, Box<RawValue>>,
        budget: Budget,
    ) -> Result<Self, TraceError> {
        if config.len() > MOST {
            return Err(TraceError::Config(format!("more than {MOST} tracers")));
        }
        let logger = StructLogConfig::default();
        let tracers = config.into_iter().map(|(name, config)| {
            // One inside another could go on for ever.
            if name == "muxTracer" {
                return Err(TraceError::Config("muxTracer cannot hold a muxTracer".to_owned()));
            }
            let tracer = tracer(Some(&name), Some(&config), &logger, budget)?;
            Ok((name, tracer))
        });
        Ok(Self(tracers.collect::<Result<_, _>>()?))
    }

    fn each(
        &mut self,
        mut tell: impl FnMut(&mut dyn Tracer) -> Result<(), TraceError>,
    ) -> Result<(), TraceError> {
        self.0.iter_mut().try_for_each(|(_, tracer)| tell(&mut **tracer))
    }
}

impl Tracer for MuxTracer {
    fn wants(&self) -> Wants {
        self.0.iter().fold(Wants::default(), |wants, (_, tracer)| wants.or(tracer.wants()))
    }

    fn tx_start(
        &mut self,
        tx: &TxStart<'_>,
        state: &mut dyn StateAccess,
    ) -> Result<(), TraceError> {
        self.each(|tracer| tracer.tx_start(tx, state))
    }

    fn enter(&mut self, frame: &Enter<'_>) -> Result<(), TraceError> {
        self.each(|tracer| tracer.enter(frame))
    }

    fn exit(&mut self, frame: &Exit<'_>) -> Result<(), TraceError> {
        self.each(|tracer| tracer.exit(frame))
    }

    fn step(&mut self, step: &Step<'_>, state: &mut dyn StateAccess) -> Result<(), TraceError> {
        self.each(|tracer| tracer.step(step, state))
    }

    fn step_end(
        &mut self,
        step: &Step<'_>,
        end: &StepEnd<'_>,
        state: &mut dyn StateAccess,
    ) -> Result<(), TraceError> {
        self.each(|tracer| tracer.step_end(step, end, state))
    }

    fn log(&mut self, log: &Log, index: u64) -> Result<(), TraceError> {
        self.each(|tracer| tracer.log(log, index))
    }

    fn tx_end(&mut self, end: &TxEnd, state: &mut dyn StateAccess) -> Result<(), TraceError> {
        self.each(|tracer| tracer.tx_end(end, state))
    }

    fn result(&mut self) -> Result<Box<RawValue>, TraceError> {
        let results = self
            .0
            .iter_mut()
            .map(|(name, tracer)| Ok((name.as_str(), tracer.result()?)))
            .collect::<Result<BTreeMap<_, _>, TraceError>>()?;
        Ok(serde_json::value::to_raw_value(&results)?)
    }
}
