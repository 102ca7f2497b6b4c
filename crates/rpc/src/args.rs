//! Positional parameters, read the way geth reads them.
//!
//! The order of the refusals and their texts (`-32602`) are what clients and tests of other
//! nodes know: too many parameters, one that cannot be read, one that is missing.

use jsonrpsee::types::{ErrorObjectOwned, Params, error::INVALID_PARAMS_CODE};
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

/// The parameters of one call.
#[derive(Debug)]
pub(crate) struct Args<'a>(Vec<&'a RawValue>);

impl<'a> Args<'a> {
    /// Splits `params` into at most `most` parameters. Absent and `null` parameters mean none.
    pub(crate) fn parse(params: &'a Params<'_>, most: usize) -> Result<Self, ErrorObjectOwned> {
        let text = params.as_str().unwrap_or_default().trim();
        if text.is_empty() || text == "null" {
            return Ok(Self(Vec::new()));
        }
        if !text.starts_with('[') {
            return Err(invalid("non-array args"));
        }
        let list: Vec<&RawValue> =
            serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        if list.len() > most {
            return Err(invalid(format!("too many arguments, want at most {most}")));
        }
        Ok(Self(list))
    }

    /// The parameter at `index` as it was sent, `null` included.
    pub(crate) fn get(&self, index: usize) -> Option<&'a RawValue> {
        self.0.get(index).copied()
    }

    /// The parameter at `index`, which decides itself what `null` means; absent reads as `null`.
    pub(crate) fn read<T: DeserializeOwned>(&self, index: usize) -> Result<T, ErrorObjectOwned> {
        let text = self.get(index).map_or("null", RawValue::get);
        serde_json::from_str(text)
            .map_err(|error| invalid(format!("invalid argument {index}: {}", plain(&error))))
    }

    /// The parameter at `index`, which must be there and not `null`.
    pub(crate) fn required<T: DeserializeOwned>(
        &self,
        index: usize,
    ) -> Result<T, ErrorObjectOwned> {
        self.optional(index)?
            .ok_or_else(|| invalid(format!("missing value for required argument {index}")))
    }

    /// The parameter at `index`, or nothing if it is absent or `null`.
    pub(crate) fn optional<T: DeserializeOwned>(
        &self,
        index: usize,
    ) -> Result<Option<T>, ErrorObjectOwned> {
        self.read(index)
    }
}

/// An "invalid params" error with this text.
pub(crate) fn invalid(text: impl Into<String>) -> ErrorObjectOwned {
    ErrorObjectOwned::owned(INVALID_PARAMS_CODE, text, None::<()>)
}

/// What went wrong, without serde_json's position in a text the caller never sees.
fn plain(error: &serde_json::Error) -> String {
    let text = error.to_string();
    match text.rsplit_once(" at line ") {
        Some((what, _)) => what.to_owned(),
        None => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(text: Option<&str>, most: usize, read: impl Fn(&Args<'_>) -> String) -> String {
        let params = Params::new(text);
        Args::parse(&params, most)
            .map_or_else(|error| error.message().to_owned(), |args| read(&args))
    }

    fn number(args: &Args<'_>) -> String {
        match args.required::<u64>(0) {
            Ok(number) => number.to_string(),
            Err(error) => {
                assert_eq!(error.code(), -32602);
                error.message().to_owned()
            }
        }
    }

    #[test]
    fn reads_as_geth_does() {
        let missing = "missing value for required argument 0";
        let table = [
            (None, missing),
            (Some(""), missing),
            (Some("null"), missing),
            (Some("[]"), missing),
            (Some("[null]"), missing),
            (Some("[7]"), "7"),
            (Some(" [ 7 ] "), "7"),
            (Some("[7,8]"), "too many arguments, want at most 1"),
            (Some(r#"{"a":7}"#), "non-array args"),
            (Some("7"), "non-array args"),
            (Some("[-1]"), "invalid argument 0: invalid value: integer `-1`, expected u64"),
        ];
        for (text, want) in table {
            assert_eq!(args(text, 1, number), want, "{text:?}");
        }
    }

    #[test]
    fn optional_may_be_absent_or_null() {
        for text in ["[1]", "[1,null]"] {
            let read = |args: &Args<'_>| format!("{:?}", args.optional::<u64>(1).ok());
            assert_eq!(args(Some(text), 2, read), "Some(None)");
        }
    }
}
