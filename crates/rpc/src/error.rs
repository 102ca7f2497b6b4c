//! What a method answers when it cannot answer: geth's codes and texts.

use alloy_primitives::{Bytes, hex};
use ascribe_engine::{EngineError, ProviderError};
use ascribe_txpool::PoolError;
use jsonrpsee::types::ErrorObjectOwned;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};
use std::borrow::Cow;

/// JSON-RPC: the body is not JSON.
pub(crate) const PARSE_ERROR: i32 = -32700;
/// JSON-RPC: the JSON is not a request.
pub(crate) const INVALID_REQUEST: i32 = -32600;
/// JSON-RPC: the parameters cannot be read, or contradict each other.
pub(crate) const INVALID_PARAMS: i32 = -32602;
/// JSON-RPC: this node failed.
pub(crate) const INTERNAL: i32 = -32603;
/// JSON-RPC: no such method.
pub(crate) const METHOD_NOT_FOUND: i32 = -32601;
/// geth: whatever has no code of its own.
pub(crate) const SERVER: i32 = -32000;
/// geth: the call took longer than it may.
pub(crate) const TIMEOUT: i32 = -32002;
/// geth: the answer is larger than it may be.
pub(crate) const RESPONSE_TOO_LARGE: i32 = -32003;
/// EIP-1474: more than this server is willing to do.
pub(crate) const LIMIT_EXCEEDED: i32 = -32005;
/// execution-apis: more calls, blocks or slots than a client may ask for at once.
pub(crate) const LIMIT_EXCEEDED_CLIENT: i32 = -38026;
/// execution-apis: the nonce of a simulated call is below its sender's.
pub(crate) const NONCE_TOO_LOW: i32 = -38010;
/// execution-apis: the nonce of a simulated call is above its sender's.
pub(crate) const NONCE_TOO_HIGH: i32 = -38011;
/// execution-apis: a simulated call has less gas than it takes to begin.
pub(crate) const INTRINSIC_GAS: i32 = -38013;
/// execution-apis: the sender of a simulated call cannot pay for it.
pub(crate) const INSUFFICIENT_FUNDS: i32 = -38014;
/// execution-apis: a simulated block is full.
pub(crate) const BLOCK_GAS_LIMIT_REACHED: i32 = -38015;
/// execution-apis: simulated blocks are out of order by number.
pub(crate) const BLOCK_NUMBER_INVALID: i32 = -38020;
/// execution-apis: simulated blocks are out of order by time.
pub(crate) const BLOCK_TIMESTAMP_INVALID: i32 = -38021;
/// execution-apis: the init code of a simulated call is too long.
pub(crate) const INIT_CODE_TOO_LARGE: i32 = -38025;
/// execution-apis: a simulated call halted.
pub(crate) const VM_ERROR: i32 = -32015;
/// geth: a call reverted; the data is what it returned.
pub(crate) const REVERTED: i32 = 3;
/// geth: a transaction sent synchronously was not included in time; the data is its hash.
pub(crate) const TX_SYNC_TIMEOUT: i32 = 4;

/// A JSON-RPC error object.
#[derive(Debug, Clone, thiserror::Error)]
#[error("{message}")]
pub struct RpcError {
    code: i32,
    message: Cow<'static, str>,
    data: Option<Box<RawValue>>,
}

impl RpcError {
    /// An error with any code.
    pub fn new(code: i32, message: impl Into<Cow<'static, str>>) -> Self {
        Self { code, message: message.into(), data: None }
    }

    /// What geth answers to everything that has no code of its own: −32000.
    pub fn server(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(SERVER, message)
    }

    /// Parameters that make no sense: −32602.
    pub fn invalid_params(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(INVALID_PARAMS, message)
    }

    /// This node's own fault: −32603.
    pub fn internal(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(INTERNAL, message)
    }

    /// geth's text for a method that is not served: −32601.
    pub fn method_not_found(method: &str) -> Self {
        Self::new(METHOD_NOT_FOUND, format!("the method {method} does not exist/is not available"))
    }

    /// More than this server does for one request: −32005.
    pub fn limit_exceeded(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(LIMIT_EXCEEDED, message)
    }

    /// State was asked for at a block that is not there.
    pub fn header_not_found() -> Self {
        Self::server("header not found")
    }

    /// A block was asked for that is not there, by a method that cannot answer `null`.
    pub fn block_not_found() -> Self {
        Self::server("block not found")
    }

    /// A call that reverted: code 3, the reason in the text if it is one that Solidity writes, and
    /// the bytes themselves as data.
    pub fn reverted(output: &Bytes) -> Self {
        Self::new(REVERTED, crate::eth::revert::message(output))
            .with_data(&hex::encode_prefixed(output))
    }

    /// The same error with `data`.
    #[must_use]
    pub fn with_data(mut self, data: &impl Serialize) -> Self {
        self.data = to_raw_value(data).ok();
        self
    }

    /// The code.
    pub const fn code(&self) -> i32 {
        self.code
    }

    /// The text.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The data.
    pub fn data(&self) -> Option<&RawValue> {
        self.data.as_deref()
    }
}

impl From<RpcError> for ErrorObjectOwned {
    fn from(error: RpcError) -> Self {
        Self::owned(error.code, error.message, error.data)
    }
}

impl From<ErrorObjectOwned> for RpcError {
    fn from(error: ErrorObjectOwned) -> Self {
        Self {
            code: error.code(),
            message: error.message().to_owned().into(),
            data: error.data().map(ToOwned::to_owned),
        }
    }
}

impl From<ProviderError> for RpcError {
    fn from(error: ProviderError) -> Self {
        match error {
            ProviderError::UnknownBlock(_) => Self::header_not_found(),
            other => Self::server(other.to_string()),
        }
    }
}

impl From<EngineError> for RpcError {
    fn from(error: EngineError) -> Self {
        Self::new(error.code(), error.to_string())
    }
}

impl From<PoolError> for RpcError {
    fn from(error: PoolError) -> Self {
        Self::server(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_keep_code_text_and_data() {
        let error = RpcError::reverted(&Bytes::new());
        assert_eq!((error.code(), error.message()), (3, "execution reverted"));
        let object = ErrorObjectOwned::from(error);
        let json = serde_json::to_string(&object).expect("an error object serializes");
        assert_eq!(json, r#"{"code":3,"message":"execution reverted","data":"0x"}"#);
        let back = RpcError::from(object);
        assert_eq!(back.data().map(RawValue::get), Some(r#""0x""#));
    }

    #[test]
    fn unknown_blocks_are_headers_not_found() {
        let error = RpcError::from(ProviderError::UnknownBlock(Default::default()));
        assert_eq!((error.code(), error.message()), (-32000, "header not found"));
    }
}
