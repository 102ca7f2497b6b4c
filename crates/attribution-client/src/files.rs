//! Reading and writing files, or with `-` standard input and output.

use crate::AttributionError;
use alloy_primitives::hex;
use ascribe_attribution::MAX_BATCH_LENGTH;
use serde::{Serialize, de::DeserializeOwned};
use std::{
    fs::File,
    io::{self, Read, Write},
    path::Path,
};

/// Bytes of a file of records or details, at most: 65,536 lines of 4 KiB.
const MAX_LINES: u64 = 1 << 28;
/// Bytes of a batch in hex, at most, with room for white space.
const MAX_HEX: u64 = 2 * MAX_BATCH_LENGTH as u64 + 1_024;

fn is_standard(path: &Path) -> bool {
    path.as_os_str() == "-"
}

fn read(path: &Path, most: u64) -> Result<Vec<u8>, AttributionError> {
    let failed = |error| AttributionError::File { path: path.to_owned(), error };
    let mut bytes = Vec::new();
    let source: Box<dyn Read> = if is_standard(path) {
        Box::new(io::stdin())
    } else {
        Box::new(File::open(path).map_err(failed)?)
    };
    source.take(most + 1).read_to_end(&mut bytes).map_err(failed)?;
    if bytes.len() as u64 > most {
        return Err(AttributionError::TooLarge { path: path.to_owned(), most });
    }
    Ok(bytes)
}

/// One JSON object.
pub(crate) fn read_object<T: DeserializeOwned>(path: &Path) -> Result<T, AttributionError> {
    serde_json::from_slice(&read(path, MAX_HEX)?).map_err(|error| AttributionError::Json {
        path: path.to_owned(),
        line: error.line(),
        error,
    })
}

/// JSON objects, one a line; empty lines do not count.
pub(crate) fn read_lines<T: DeserializeOwned>(path: &Path) -> Result<Vec<T>, AttributionError> {
    let bytes = read(path, MAX_LINES)?;
    bytes
        .split(|byte| *byte == b'\n')
        .enumerate()
        .filter(|(_, line)| !line.trim_ascii().is_empty())
        .map(|(at, line)| {
            serde_json::from_slice(line).map_err(|error| AttributionError::Json {
                path: path.to_owned(),
                line: at + 1,
                error,
            })
        })
        .collect()
}

/// A batch: raw, or in hex after `0x`.
pub(crate) fn read_batch(path: &Path) -> Result<Vec<u8>, AttributionError> {
    let bytes = read(path, MAX_HEX)?;
    match bytes.trim_ascii().strip_prefix(b"0x") {
        Some(digits) => hex::decode(digits).map_err(AttributionError::Hex),
        None => Ok(bytes),
    }
}

/// Where commands say what there is to say.
pub(crate) type Out<'a> = &'a mut dyn Write;

/// Into a file, or with `-` out.
pub(crate) fn write(out: Out<'_>, path: &Path, bytes: &[u8]) -> Result<(), AttributionError> {
    if is_standard(path) {
        return print(out, bytes);
    }
    let failed = |error| AttributionError::File { path: path.to_owned(), error };
    std::fs::write(path, bytes).map_err(failed)
}

/// Out.
pub(crate) fn print(out: Out<'_>, bytes: impl AsRef<[u8]>) -> Result<(), AttributionError> {
    let failed = |error| AttributionError::File { path: "-".into(), error };
    out.write_all(bytes.as_ref()).and_then(|()| out.flush()).map_err(failed)
}

/// Out, as JSON in a line.
pub(crate) fn print_json<T: Serialize>(out: Out<'_>, value: &T) -> Result<(), AttributionError> {
    let mut line = serde_json::to_string(value).expect("invariant: what is printed has JSON");
    line.push('\n');
    print(out, line)
}
