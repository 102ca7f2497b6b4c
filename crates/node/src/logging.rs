//! The log: for people on a terminal, or one JSON object a line.

use std::io::IsTerminal;

use tracing_subscriber::{EnvFilter, fmt, prelude::*};

use crate::args::{Color, LogFormat, ObserveArgs};

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
    started.map_err(|_| LoggingError::Twice)
}
