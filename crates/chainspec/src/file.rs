//! Reading configuration files.

use std::{fs::File, io::Read, path::Path};

use serde::de::DeserializeOwned;

use crate::error::FileError;

/// The bytes of `path`, a `what`, of which there may be at most `limit`.
pub(crate) fn read(path: &Path, what: &'static str, limit: u64) -> Result<Vec<u8>, FileError> {
    let failed = |source| FileError::Read { path: path.to_owned(), source };
    let file = File::open(path).map_err(failed)?;
    let bytes = file.metadata().map_err(failed)?.len();
    if bytes > limit {
        return Err(FileError::TooLarge { path: path.to_owned(), bytes, limit, what });
    }
    // A file that is no regular one, or that grows, is cut here.
    let mut out = Vec::with_capacity(usize::try_from(bytes).unwrap_or_default());
    file.take(limit + 1).read_to_end(&mut out).map_err(failed)?;
    if out.len() as u64 > limit {
        let bytes = out.len() as u64;
        return Err(FileError::TooLarge { path: path.to_owned(), bytes, limit, what });
    }
    Ok(out)
}

/// The JSON of `path`, a `what` of at most `limit` bytes.
///
/// # Errors
/// If the file cannot be read, is too large, or holds something else.
pub fn read_json<T: DeserializeOwned>(
    path: &Path,
    what: &'static str,
    limit: u64,
) -> Result<T, FileError> {
    let bytes = read(path, what, limit)?;
    serde_json::from_slice(&bytes).map_err(|source| FileError::Json {
        path: path.to_owned(),
        what,
        source,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_bounded_and_named() {
        let dir = tempfile::tempdir().expect("a folder");
        let path = dir.path().join("a.json");
        std::fs::write(&path, "[1, 2]").expect("written");
        assert_eq!(read_json::<Vec<u8>>(&path, "list", 6).expect("read"), [1, 2]);
        let error = read(&path, "list", 5).expect_err("too long").to_string();
        assert!(error.ends_with("a.json has 6 bytes, more than the 5 that a list may have"));
        let error = read_json::<bool>(&path, "list", 6).expect_err("no bool").to_string();
        assert!(error.contains("a.json is not a list: invalid type"), "{error}");
        let error = read(&dir.path().join("b"), "list", 5).expect_err("absent").to_string();
        assert!(error.starts_with("cannot read "), "{error}");
    }

    #[cfg(unix)]
    #[test]
    fn an_endless_file_is_cut() {
        let endless = read(Path::new("/dev/zero"), "list", 100);
        assert!(matches!(endless, Err(FileError::TooLarge { bytes: 101, .. })));
    }
}
