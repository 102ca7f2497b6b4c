//! How a trace is to be made.

use std::time::Duration;

use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

use super::tracer::{Budget, StructLogConfig, TraceError, tracer};
use crate::{
    RpcError,
    eth::overrides::{BlockOverrides, StateOverrides},
    hex::Hex,
};

/// What one transaction may take unless the caller says otherwise: geth's default.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(5);

/// What it may take at most.
const MAX_TIMEOUT: Duration = Duration::from_secs(300);

/// Options of all tracing methods. How far back blocks may be executed again (`reexec`) does not
/// matter here: state is there, or it is not.
#[derive(Debug, Default)]
pub(super) struct TraceOptions {
    /// The tracer, or the struct logger.
    pub(super) tracer: Option<String>,
    /// Its options.
    pub(super) tracer_config: Option<Box<RawValue>>,
    /// Options of the struct logger, which stand beside the others.
    pub(super) logger: StructLogConfig,
    /// Go's notation of the time a transaction may take.
    timeout: Option<String>,
}

impl<'de> Deserialize<'de> for TraceOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Named {
            tracer: Option<String>,
            tracer_config: Option<Box<RawValue>>,
            timeout: Option<String>,
        }
        let json = <&RawValue>::deserialize(deserializer)?.get();
        let Named { tracer, tracer_config, timeout } =
            serde_json::from_str(json).map_err(de::Error::custom)?;
        let logger = serde_json::from_str(json).map_err(de::Error::custom)?;
        Ok(Self { tracer, tracer_config, logger, timeout })
    }
}

impl TraceOptions {
    /// Why the tracer that is named cannot be had, if there is none of that name.
    pub(super) fn unknown_tracer(&self) -> Option<String> {
        let config = self.tracer_config.as_deref();
        match tracer(self.tracer.as_deref(), config, &self.logger, Budget::new(0)) {
            Err(TraceError::UnknownTracer(error)) => Some(error),
            _ => None,
        }
    }

    /// The time one transaction may take.
    pub(super) fn timeout(&self) -> Result<Duration, RpcError> {
        let Some(text) = &self.timeout else { return Ok(DEFAULT_TIMEOUT) };
        Ok(go_duration(text).map_err(RpcError::server)?.min(MAX_TIMEOUT))
    }
}

/// Options of `debug_traceCall`.
#[derive(Debug, Default)]
pub(super) struct TraceCallOptions {
    pub(super) trace: TraceOptions,
    pub(super) state_overrides: Option<StateOverrides>,
    pub(super) block_overrides: Option<BlockOverrides>,
    /// Run after this many transactions of the block, rather than after all.
    pub(super) tx_index: Option<u64>,
}

impl<'de> Deserialize<'de> for TraceCallOptions {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Named {
            state_overrides: Option<StateOverrides>,
            block_overrides: Option<BlockOverrides>,
            tx_index: Option<Hex<u64>>,
        }
        let json = <&RawValue>::deserialize(deserializer)?.get();
        let trace = serde_json::from_str(json).map_err(de::Error::custom)?;
        let Named { state_overrides, block_overrides, tx_index } =
            serde_json::from_str(json).map_err(de::Error::custom)?;
        Ok(Self {
            trace,
            state_overrides,
            block_overrides,
            tx_index: tx_index.map(|Hex(index)| index),
        })
    }
}

/// Reads a duration as Go writes it: numbers with units, as in `1m30.5s`. What is negative is no
/// time at all.
fn go_duration(text: &str) -> Result<Duration, String> {
    let invalid = || format!("time: invalid duration {text:?}");
    let (negative, mut rest) = match text.as_bytes().first() {
        Some(b'-') => (true, &text[1..]),
        Some(b'+') => (false, &text[1..]),
        _ => (false, text),
    };
    if rest == "0" {
        return Ok(Duration::ZERO);
    }
    if rest.is_empty() {
        return Err(invalid());
    }
    let mut seconds = 0.0;
    while !rest.is_empty() {
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, tail) = rest.split_at(end);
        let number: f64 = number.parse().map_err(|_| invalid())?;
        let end = tail.find(|c: char| c.is_ascii_digit() || c == '.').unwrap_or(tail.len());
        let (unit, tail) = tail.split_at(end);
        let unit = match unit {
            "ns" => 1e-9,
            "us" | "µs" | "μs" => 1e-6,
            "ms" => 1e-3,
            "s" => 1.0,
            "m" => 60.0,
            "h" => 3600.0,
            "" => return Err(format!("time: missing unit in duration {text:?}")),
            other => return Err(format!("time: unknown unit {other:?} in duration {text:?}")),
        };
        seconds += number * unit;
        rest = tail;
    }
    if negative {
        return Ok(Duration::ZERO);
    }
    Duration::try_from_secs_f64(seconds).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn durations_are_gos() {
        let good = [
            ("0", 0.0),
            ("5s", 5.0),
            ("300ms", 0.3),
            ("1m30.5s", 90.5),
            (".5s", 0.5),
            ("+2h", 7200.0),
            ("-5s", 0.0),
            ("10us", 1e-5),
        ];
        for (text, seconds) in good {
            assert_eq!(go_duration(text), Ok(Duration::from_secs_f64(seconds)), "{text}");
        }
        let bad = [
            ("", "time: invalid duration \"\""),
            ("5", "time: missing unit in duration \"5\""),
            ("5x", "time: unknown unit \"x\" in duration \"5x\""),
            ("s", "time: invalid duration \"s\""),
            ("1.2.3s", "time: invalid duration \"1.2.3s\""),
            ("1e9s", "time: unknown unit \"e\" in duration \"1e9s\""),
        ];
        for (text, error) in bad {
            assert_eq!(go_duration(text), Err(error.to_owned()), "{text}");
        }
    }

    #[test]
    fn options_stand_side_by_side() {
        let options: TraceOptions = serde_json::from_str(
            r#"{"tracer":"callTracer","tracerConfig":{"withLog":true},"disableStack":true,
                "timeout":"20m","reexec":5}"#,
        )
        .unwrap();
        assert_eq!(options.tracer.as_deref(), Some("callTracer"));
        assert_eq!(options.tracer_config.as_ref().unwrap().get(), r#"{"withLog":true}"#);
        let logger: StructLogConfig = serde_json::from_str(r#"{"disableStack":true}"#).unwrap();
        assert_eq!(options.logger, logger);
        assert_eq!(options.timeout().unwrap(), MAX_TIMEOUT);
        assert_eq!(TraceOptions::default().timeout().unwrap(), DEFAULT_TIMEOUT);

        let call: TraceCallOptions =
            serde_json::from_str(r#"{"txIndex":"0x2","tracer":"noopTracer"}"#).unwrap();
        assert_eq!(call.tx_index, Some(2));
        assert_eq!(call.trace.tracer.as_deref(), Some("noopTracer"));
        assert!(call.state_overrides.is_none() && call.block_overrides.is_none());
    }
}
