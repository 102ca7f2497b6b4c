//! Environment and TOML beside the command line.
//!
//! A value is taken from the first place that has one: the command line, the environment, the
//! TOML file, the default. All three speak of the same flags by the same names, derived from the
//! clap command itself, so that a new flag is at once a variable and a key:
//!
//! ```text
//! --http.port 9000      ASCRIBE_HTTP_PORT=9000      [http]
//!                                                   port = 9000
//! ```

use std::{ffi::OsString, path::Path};

use clap::{ArgMatches, Command, parser::ValueSource};
use toml::{Table, Value};

/// Largest configuration file that is read, in bytes.
const MAX_CONFIG_BYTES: u64 = 1 << 20;

/// What can be wrong with a configuration file.
#[derive(Debug, thiserror::Error)]
pub enum ConfigFileError {
    /// The file cannot be read.
    #[error("cannot read the configuration file {path}: {source}")]
    Read {
        /// Path as given.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// The file is not a configuration file by its size.
    #[error(
        "the configuration file {path} has {bytes} bytes, more than the allowed {MAX_CONFIG_BYTES}"
    )]
    TooLarge {
        /// Path as given.
        path: String,
        /// Its size.
        bytes: u64,
    },
    /// The file is not TOML.
    #[error("the configuration file {path} is not valid TOML: {source}")]
    Toml {
        /// Path as given.
        path: String,
        /// Where and why.
        source: Box<toml::de::Error>,
    },
    /// A key that is no flag.
    #[error("the configuration file {path} has the key '{key}', and there is no flag --{key}")]
    UnknownKey {
        /// Path as given.
        path: String,
        /// The dotted key.
        key: String,
    },
    /// A value that no flag can have.
    #[error(
        "the configuration file {path} has a {kind} at '{key}': use a string, a number, true or false, or a list of strings"
    )]
    Value {
        /// Path as given.
        path: String,
        /// The dotted key.
        key: String,
        /// What is there.
        kind: &'static str,
    },
}

/// Gives every flag of `command` its environment variable.
pub fn with_environment(command: Command) -> Command {
    command.mut_args(|arg| match arg.get_long() {
        Some(long) if !matches!(long, "help" | "version") => {
            let name = variable(long);
            arg.env(name)
        }
        _ => arg,
    })
}

/// `http.port` → `ASCRIBE_HTTP_PORT`.
fn variable(flag: &str) -> String {
    let upper = flag.to_ascii_uppercase().replace(['.', '-'], "_");
    format!("ASCRIBE_{upper}")
}

/// What the TOML file at `path` says, as command-line arguments, for those flags of `command`
/// that neither the command line nor the environment has set in `matches`.
pub fn arguments_from_file(
    path: &Path,
    command: &Command,
    matches: &ArgMatches,
) -> Result<Vec<OsString>, ConfigFileError> {
    let name = path.display().to_string();
    let read = |source| ConfigFileError::Read { path: name.clone(), source };
    let bytes = std::fs::metadata(path).map_err(read)?.len();
    if bytes > MAX_CONFIG_BYTES {
        return Err(ConfigFileError::TooLarge { path: name, bytes });
    }
    let text = std::fs::read_to_string(path).map_err(read)?;
    let table: Table = text
        .parse()
        .map_err(|source| ConfigFileError::Toml { path: name.clone(), source: Box::new(source) })?;

    let mut arguments = Vec::new();
    for (key, value) in flatten("", table) {
        let arg = command
            .get_arguments()
            .find(|arg| arg.get_long() == Some(&key))
            .ok_or_else(|| ConfigFileError::UnknownKey { path: name.clone(), key: key.clone() })?;
        let set = matches.value_source(arg.get_id().as_str());
        if matches!(set, Some(ValueSource::CommandLine | ValueSource::EnvVariable)) {
            continue;
        }
        let wrong = |kind| ConfigFileError::Value { path: name.clone(), key: key.clone(), kind };
        if !arg.get_action().takes_values() {
            match value {
                Value::Boolean(true) => arguments.push(format!("--{key}").into()),
                Value::Boolean(false) => {}
                other => return Err(wrong(other.type_str())),
            }
            continue;
        }
        let text = match value {
            Value::Array(items) => items
                .iter()
                .map(|item| item.as_str().ok_or_else(|| wrong("list of other things")))
                .collect::<Result<Vec<_>, _>>()?
                .join(","),
            Value::String(text) => text,
            Value::Integer(number) => number.to_string(),
            Value::Float(number) => number.to_string(),
            Value::Boolean(yes) => yes.to_string(),
            other @ (Value::Datetime(_) | Value::Table(_)) => return Err(wrong(other.type_str())),
        };
        arguments.push(format!("--{key}={text}").into());
    }
    Ok(arguments)
}

/// Tables within tables become dotted keys.
fn flatten(prefix: &str, table: Table) -> Vec<(String, Value)> {
    let mut flat = Vec::new();
    for (key, value) in table {
        let key = if prefix.is_empty() { key } else { format!("{prefix}.{key}") };
        match value {
            Value::Table(inner) => flat.extend(flatten(&key, inner)),
            value => flat.push((key, value)),
        }
    }
    flat
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use clap::{Args, FromArgMatches};

    use super::*;
    use crate::args::NodeArgs;

    fn command() -> Command {
        with_environment(NodeArgs::augment_args(Command::new("node")))
    }

    fn load(text: &str, line: &[&str]) -> Result<NodeArgs, String> {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("written");
        let mut line: Vec<OsString> = line.iter().map(Into::into).collect();
        let matches = command().try_get_matches_from(&line).map_err(|e| e.to_string())?;
        line.extend(
            arguments_from_file(file.path(), &command(), &matches).map_err(|e| e.to_string())?,
        );
        let matches = command().try_get_matches_from(line).map_err(|e| e.to_string())?;
        NodeArgs::from_arg_matches(&matches).map_err(|e| e.to_string())
    }

    #[test]
    fn the_command_line_wins_over_the_file_and_the_file_over_defaults() {
        let file = "chain = \"my.json\"\n[http]\nport = 9000\napi = [\"eth\", \"debug\"]\n";
        let args = load(file, &["node", "--http.port", "7000"]).expect("valid");
        assert_eq!(args.rpc.http_port, 7000);
        assert_eq!(args.rpc.http_api.to_string(), "debug,eth,rpc");
        assert_eq!(args.datadir.chain, "my.json");
        assert_eq!(args.rpc.ws_port, 8546);
        assert!(!args.rpc.http);
    }

    #[test]
    fn switches_are_booleans() {
        assert!(load("ws = true", &["node"]).expect("valid").rpc.ws);
        assert!(!load("ws = false", &["node"]).expect("valid").rpc.ws);
        let error = load("ws = 3", &["node"]).expect_err("no boolean");
        assert!(error.contains("integer at 'ws'"), "{error}");
    }

    #[test]
    fn unknown_keys_and_broken_files_are_named() {
        let error = load("[http]\nprot = 1", &["node"]).expect_err("misspelt");
        assert!(error.contains("no flag --http.prot"), "{error}");
        assert!(load("http = [", &["node"]).expect_err("no TOML").contains("not valid TOML"));
        assert!(load("[http]\nport = 1979-05-27", &["node"]).is_err());
    }

    #[test]
    fn every_flag_has_a_variable() {
        for arg in command().get_arguments() {
            if let Some(long) = arg.get_long().filter(|long| !matches!(*long, "help" | "version")) {
                let name = arg.get_env().map(|name| name.to_string_lossy().into_owned());
                assert_eq!(name, Some(variable(long)));
            }
        }
        assert_eq!(variable("rpc.enable-admin"), "ASCRIBE_RPC_ENABLE_ADMIN");
    }
}
