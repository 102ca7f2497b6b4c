//! The log: for people on a terminal, or one JSON object a line.

use std::{
    io::IsTerminal,
    sync::{Arc, OnceLock},
};

use ascribe_rpc::admin::LogControl;
use tracing_subscriber::{EnvFilter, Registry, fmt, prelude::*, reload};

use crate::args::{Color, LogFormat, ObserveArgs};

/// What is logged, to be changed while the process runs. There is one log in a process.
static FILTER: OnceLock<reload::Handle<EnvFilter, Registry>> = OnceLock::new();

/// A log that cannot be written as asked for.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// `--log.stdout.filter` is no filter.
    #[error(
        "--log.stdout.filter '{filter}' is no filter such as info,ascribe::engine=debug: {source}"
    )]
    Filter {
        /// As given.
        filter: String,
        /// Where and why.
        source: tracing_subscriber::filter::ParseError,
    },
    /// There is a log already.
    #[error("the log is set up twice")]
    Twice,
}

/// Starts logging to standard error, once for the process.
///
/// What is logged: `--log.stdout.filter`, else `RUST_LOG`, else `info` (`-v` debug, `-vv` trace,
/// `-q` nothing).
pub fn start(args: &ObserveArgs) -> Result<(), LoggingError> {
    if args.quiet {
        return Ok(());
    }
    let default = match args.verbosity {
        0 => "info",
        1 => "debug",
        _ => "trace",
    };
    let directives = args
        .log_filter
        .clone()
        .or_else(|| std::env::var("RUST_LOG").ok().filter(|filter| !filter.is_empty()))
        .unwrap_or_else(|| default.to_owned());
    let filter = EnvFilter::try_new(&directives)
        .map_err(|source| LoggingError::Filter { filter: directives, source })?;
    let (filter, handle) = reload::Layer::new(filter);
    let layer = fmt::layer().with_writer(std::io::stderr);
    let registry = tracing_subscriber::registry().with(filter);
    let started = match args.log_format {
        LogFormat::Json => registry.with(layer.json().flatten_event(true)).try_init(),
        LogFormat::Terminal => {
            let ansi = match args.color {
                Color::Always => true,
                Color::Never => false,
                Color::Auto => std::io::stderr().is_terminal(),
            };
            registry.with(layer.with_ansi(ansi)).try_init()
        }
    };
    started.map_err(|_| LoggingError::Twice)?;
    FILTER.set(handle).map_err(|_| LoggingError::Twice)
}

/// Control of the log that was started; none of a process that logs elsewhere or not at all.
pub(crate) fn control() -> Option<Arc<dyn LogControl>> {
    FILTER.get().map(|_| Arc::new(LogFilter) as _)
}

/// The filter of the process.
#[derive(Debug)]
struct LogFilter;

impl LogControl for LogFilter {
    fn set_log_level(&self, level: &str) -> Result<(), String> {
        let filter = EnvFilter::new(as_level(level)?);
        let handle = FILTER.get().ok_or("there is no log")?;
        handle.reload(filter).map_err(|error| error.to_string())
    }
}

/// A level by geth's names, in ours.
fn as_level(name: &str) -> Result<&'static str, String> {
    match name.to_ascii_lowercase().as_str() {
        "trace" | "trce" => Ok("trace"),
        "debug" | "dbug" => Ok("debug"),
        "info" => Ok("info"),
        "warn" => Ok("warn"),
        "error" | "eror" | "crit" => Ok("error"),
        _ => Err(format!("unknown level: {name}")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_geths_names() {
        for (name, level) in [("INFO", "info"), ("crit", "error"), ("dbug", "debug")] {
            assert_eq!(as_level(name), Ok(level));
        }
        assert_eq!(as_level("loud"), Err("unknown level: loud".to_owned()));
    }
}
