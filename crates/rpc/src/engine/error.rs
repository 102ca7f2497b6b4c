//! What the Engine API refuses with, apart from payload statuses.

use crate::RpcError;
use ascribe_engine::{EngineError, ForkchoiceError};
use serde::Serialize;

/// An error of the Engine API. Codes are those of execution-apis `src/engine/common.md`, messages
/// and the `{"err": …}` data those of geth, which consensus clients tell apart by code alone.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EngineApiError {
    /// There is no payload of this id, or no longer (−38001).
    #[error("Unknown payload")]
    UnknownPayload,
    /// The fork choice contradicts itself or the chain (−38002).
    #[error("Invalid forkchoice state: {0}")]
    InvalidForkchoiceState(String),
    /// No block can be built from these attributes (−38003).
    #[error("Invalid payload attributes: {0}")]
    InvalidPayloadAttributes(String),
    /// More than 1,024 entries asked for (−38004).
    #[error("Too large request: {0}")]
    TooLargeRequest(String),
    /// The method's version does not fit the fork at the payload's timestamp (−38005).
    #[error("Unsupported fork: {0}")]
    UnsupportedFork(String),
    /// A field that the method's version needs is missing, or one it does not know is there
    /// (−32602).
    #[error("Invalid parameters: {0}")]
    InvalidParams(String),
    /// State is no longer kept where the head shall be (−38006).
    #[error("Too deep reorg: {0}")]
    TooDeepReorg(String),
    /// The node failed, not the caller (−32603): the call may be repeated.
    #[error("{0}")]
    Internal(String),
}

/// The data of an error object: `{"err": "…"}`.
#[derive(Serialize)]
struct Data<'a> {
    err: &'a str,
}

impl EngineApiError {
    /// The error object's code.
    pub const fn code(&self) -> i32 {
        match self {
            Self::UnknownPayload => -38001,
            Self::InvalidForkchoiceState(_) => -38002,
            Self::InvalidPayloadAttributes(_) => -38003,
            Self::TooLargeRequest(_) => -38004,
            Self::UnsupportedFork(_) => -38005,
            Self::InvalidParams(_) => -32602,
            Self::TooDeepReorg(_) => -38006,
            Self::Internal(_) => -32603,
        }
    }
}

impl From<EngineApiError> for RpcError {
    fn from(error: EngineApiError) -> Self {
        let code = error.code();
        let (message, detail) = match error {
            EngineApiError::UnknownPayload => ("Unknown payload", None),
            EngineApiError::InvalidForkchoiceState(err) => ("Invalid forkchoice state", Some(err)),
            EngineApiError::InvalidPayloadAttributes(err) => {
                ("Invalid payload attributes", Some(err))
            }
            EngineApiError::TooLargeRequest(err) => ("Too large request", Some(err)),
            EngineApiError::UnsupportedFork(err) => ("Unsupported fork", Some(err)),
            EngineApiError::InvalidParams(err) => ("Invalid parameters", Some(err)),
            EngineApiError::TooDeepReorg(err) => ("Too deep reorg", Some(err)),
            EngineApiError::Internal(text) => return Self::new(code, text),
        };
        match detail {
            Some(err) => Self::new(code, message).with_data(&Data { err: &err }),
            None => Self::new(code, message),
        }
    }
}

impl From<EngineError> for EngineApiError {
    fn from(error: EngineError) -> Self {
        match error {
            EngineError::UnknownPayload => Self::UnknownPayload,
            other => Self::Internal(other.to_string()),
        }
    }
}

impl From<ForkchoiceError> for EngineApiError {
    fn from(error: ForkchoiceError) -> Self {
        let reason = error.reason().unwrap_or_default();
        match error {
            ForkchoiceError::InvalidState(_) => Self::InvalidForkchoiceState(reason),
            ForkchoiceError::InvalidAttributes(_) => Self::InvalidPayloadAttributes(reason),
            ForkchoiceError::TooDeepReorg(_) => Self::TooDeepReorg(reason),
            ForkchoiceError::Engine(error) => error.into(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonrpsee::types::ErrorObjectOwned;

    #[test]
    fn objects_have_the_shape_of_geth() {
        let json = |error: EngineApiError| {
            let error = ErrorObjectOwned::from(RpcError::from(error));
            serde_json::to_string(&error).expect("errors serialize")
        };
        assert_eq!(
            json(EngineApiError::UnknownPayload),
            r#"{"code":-38001,"message":"Unknown payload"}"#
        );
        assert_eq!(
            json(EngineApiError::UnsupportedFork("why".into())),
            r#"{"code":-38005,"message":"Unsupported fork","data":{"err":"why"}}"#
        );
        assert_eq!(
            json(EngineApiError::InvalidParams("nil withdrawals post-shanghai".into())),
            r#"{"code":-32602,"message":"Invalid parameters","data":{"err":"nil withdrawals post-shanghai"}}"#
        );
    }
}
