//! From the body of an HTTP request to the body of its answer.
//!
//! geth's reading of JSON-RPC, which is wider than jsonrpsee's: ids may be any scalar and come back
//! as they were written, a batch that is too long is answered once, notifications are executed
//! and not answered.

use crate::{
    RpcError,
    error::{INVALID_REQUEST, METHOD_NOT_FOUND, PARSE_ERROR, RESPONSE_TOO_LARGE, TIMEOUT},
};
use jsonrpsee::{
    ConnectionId, Extensions, MethodResponse, Methods,
    core::server::MethodCallback,
    types::{ErrorObjectOwned, Id, Params},
};
use metrics::{counter, histogram};
use serde::{Deserialize, Deserializer};
use serde_json::value::RawValue;
use std::{
    borrow::Cow,
    time::{Duration, Instant},
};
use tokio::time::timeout_at;

/// Bytes that the name of a method may have.
const MAX_METHOD_NAME: usize = 2048;
/// How every answer without id begins.
const NULL_ID: &str = r#"{"jsonrpc":"2.0","id":null"#;

/// Executes requests on a set of methods.
#[derive(Debug)]
pub(crate) struct Dispatcher {
    pub(crate) methods: Methods,
    pub(crate) limits: Limits,
    /// For metrics.
    pub(crate) transport: &'static str,
}

/// What a request may cost.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limits {
    /// Bytes of an answer.
    pub(crate) max_response: usize,
    /// Requests in a batch.
    pub(crate) max_batch: usize,
    /// Bytes of all answers to a batch.
    pub(crate) max_batch_response: usize,
    /// Time for all of it.
    pub(crate) timeout: Duration,
}

/// A message as it came.
#[derive(Debug, Default, Deserialize)]
struct Message<'a> {
    #[serde(borrow, default)]
    jsonrpc: Option<Cow<'a, str>>,
    /// `null` is an id, too.
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
    #[serde(borrow, default)]
    method: Option<Cow<'a, str>>,
    #[serde(borrow, default)]
    params: Option<&'a RawValue>,
    #[serde(borrow, default)]
    result: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

/// What is left of a message that is wrong elsewhere.
#[derive(Default, Deserialize)]
struct OnlyId<'a> {
    #[serde(borrow, default, deserialize_with = "present")]
    id: Option<&'a RawValue>,
}

fn present<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<&'de RawValue>, D::Error> {
    <&RawValue>::deserialize(deserializer).map(Some)
}

impl<'a> Message<'a> {
    /// The message that `body` begins with, if it is one: neither a batch nor wrong.
    fn first(body: &'a [u8]) -> Option<Self> {
        let text = str::from_utf8(body).ok().filter(|text| text.trim_start().starts_with('{'))?;
        serde_json::Deserializer::from_str(text).into_iter().next()?.ok()
    }

    fn parse(text: &'a str) -> Self {
        serde_json::from_str(text).unwrap_or_else(|_| {
            let OnlyId { id } = serde_json::from_str(text).unwrap_or_default();
            Self { id, ..Self::default() }
        })
    }

    fn is_valid(&self) -> bool {
        self.jsonrpc.as_deref() == Some("2.0")
            && self.method.as_ref().is_some_and(|method| !method.is_empty())
    }

    /// The id, if it is one.
    fn valid_id(&self) -> Option<&'a RawValue> {
        self.id.filter(|id| !id.get().starts_with(['{', '[']))
    }

    fn is_notification(&self) -> bool {
        self.is_valid() && self.id.is_none()
    }

    /// An answer to something that this server never asked.
    fn is_answer(&self) -> bool {
        self.jsonrpc.as_deref() == Some("2.0")
            && self.valid_id().is_some()
            && self.method.is_none()
            && self.params.is_none()
            && (self.result.is_some() || self.error.is_some())
    }
}

/// Puts `id` into an answer that was made without one.
fn with_id(answer: &str, id: Option<&RawValue>, out: &mut Vec<u8>) {
    match (answer.strip_prefix(NULL_ID), id) {
        (Some(rest), Some(id)) => {
            out.extend_from_slice(&NULL_ID.as_bytes()[..NULL_ID.len() - "null".len()]);
            out.extend_from_slice(id.get().as_bytes());
            out.extend_from_slice(rest.as_bytes());
        }
        _ => out.extend_from_slice(answer.as_bytes()),
    }
}

fn error(error: RpcError) -> MethodResponse {
    MethodResponse::error(Id::Null, ErrorObjectOwned::from(error))
}

fn invalid_request(text: &'static str) -> MethodResponse {
    error(RpcError::new(INVALID_REQUEST, text))
}

impl Dispatcher {
    /// Executes what `body` asks for. Nothing is answered to nothing, and to notifications.
    pub(crate) async fn handle(&self, body: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        let deadline = Instant::now() + self.limits.timeout;
        // Nearly every body is one message that is well-formed: it is read once only.
        if let Some(message) = Message::first(body) {
            if let Some(answer) = self.message(&message, deadline).await {
                with_id(answer.as_ref(), message.valid_id(), &mut out);
            }
            return out;
        }
        // Whatever comes after the first value is passed over.
        let Some(first) =
            serde_json::Deserializer::from_slice(body).into_iter::<&RawValue>().next()
        else {
            return out;
        };
        match first.map(RawValue::get) {
            Ok(text) if text.starts_with('[') => self.batch(text, deadline, &mut out).await,
            Ok(text) => {
                let message = Message::parse(text);
                if let Some(answer) = self.message(&message, deadline).await {
                    with_id(answer.as_ref(), message.valid_id(), &mut out);
                }
            }
            Err(_) => {
                let answer = error(RpcError::new(PARSE_ERROR, "parse error"));
                with_id(answer.as_ref(), None, &mut out);
            }
        }
        out
    }

    async fn batch(&self, text: &str, deadline: Instant, out: &mut Vec<u8>) {
        let list: Vec<&RawValue> = serde_json::from_str(text).unwrap_or_default();
        if list.is_empty() {
            return with_id(invalid_request("empty batch").as_ref(), None, out);
        }
        let messages = list.iter().map(|text| Message::parse(text.get()));
        if list.len() > self.limits.max_batch {
            let mut calls = messages.filter(|message| message.is_valid());
            out.push(b'[');
            let id = calls.find_map(|message| message.valid_id());
            with_id(invalid_request("batch too large").as_ref(), id, out);
            return out.push(b']');
        }
        let mut too_large = false;
        for message in messages {
            let answer = if !too_large {
                self.message(&message, deadline).await
            } else if message.is_notification() {
                None
            } else {
                Some(error(RpcError::new(RESPONSE_TOO_LARGE, "response too large")))
            };
            let Some(answer) = answer else { continue };
            out.push(if out.is_empty() { b'[' } else { b',' });
            with_id(answer.as_ref(), message.valid_id(), out);
            too_large = too_large || out.len() > self.limits.max_batch_response;
        }
        if !out.is_empty() {
            out.push(b']');
        }
    }

    /// Executes a message, and answers if it wants to be answered.
    async fn message(&self, message: &Message<'_>, deadline: Instant) -> Option<MethodResponse> {
        if message.is_answer() {
            return None;
        }
        let Some(method) = message.method.as_deref().filter(|_| message.is_valid()) else {
            return Some(invalid_request("invalid request"));
        };
        if message.id.is_some() && message.valid_id().is_none() {
            return Some(invalid_request("invalid request"));
        }
        let call = self.call(method, message.params);
        let answer = timeout_at(deadline.into(), call)
            .await
            .unwrap_or_else(|_| error(RpcError::new(TIMEOUT, "request timed out")));
        message.id.is_some().then_some(answer)
    }

    async fn call(&self, method: &str, params: Option<&RawValue>) -> MethodResponse {
        if method.len() > MAX_METHOD_NAME {
            let text = format!("method name too long: {} > {MAX_METHOD_NAME}", method.len());
            return error(RpcError::new(INVALID_REQUEST, text));
        }
        let Some((name, callback)) = self.methods.method_with_name(method) else {
            return error(RpcError::method_not_found(method));
        };
        let params = Params::new(params.map(RawValue::get));
        let measured = Measured::start(name, self.transport);
        let most = self.limits.max_response;
        let answer = match callback {
            MethodCallback::Sync(callback) => callback(Id::Null, params, most, Extensions::new()),
            MethodCallback::Async(callback) => {
                let params = params.into_owned();
                callback(Id::Null, params, ConnectionId(0), most, Extensions::new()).await
            }
            MethodCallback::Subscription(_) => {
                error(RpcError::new(METHOD_NOT_FOUND, "notifications not supported"))
            }
            MethodCallback::Unsubscription(_) => error(RpcError::server("subscription not found")),
        };
        measured.end(answer.is_success());
        answer
    }
}

/// A call that is being measured.
#[derive(Debug)]
pub(crate) struct Measured {
    method: &'static str,
    transport: &'static str,
    started: Instant,
}

impl Measured {
    pub(crate) fn start(method: &'static str, transport: &'static str) -> Self {
        counter!("reth_rpc_server_calls_started_total", "method" => method, "transport" => transport)
            .increment(1);
        Self { method, transport, started: Instant::now() }
    }

    pub(crate) fn end(self, success: bool) {
        let Self { method, transport, started } = self;
        let name = if success {
            "reth_rpc_server_calls_successful_total"
        } else {
            "reth_rpc_server_calls_failed_total"
        };
        counter!(name, "method" => method, "transport" => transport).increment(1);
        histogram!("reth_rpc_server_calls_time_seconds", "method" => method, "transport" => transport)
            .record(started.elapsed());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jsonrpsee::RpcModule;

    fn dispatcher() -> Dispatcher {
        let mut module = RpcModule::new(());
        module
            .register_method("echo", |params, (), _| params.as_str().unwrap_or("none").to_owned())
            .expect("it is the first of its name");
        module
            .register_async_method("slow", |_, _, _| async {
                tokio::time::sleep(Duration::from_secs(60)).await;
            })
            .expect("it is the first of its name");
        Dispatcher {
            methods: module.into(),
            limits: Limits {
                max_response: 1000,
                max_batch: 3,
                max_batch_response: 100,
                timeout: Duration::from_millis(50),
            },
            transport: "http",
        }
    }

    async fn ask(body: &str) -> String {
        String::from_utf8(dispatcher().handle(body.as_bytes()).await).expect("JSON is UTF-8")
    }

    #[tokio::test]
    async fn ids_come_back_as_they_were() {
        for id in
            ["1", "-1", "1.50", "\"a\\u0062\"", "null", "123456789012345678901234567890", "true"]
        {
            let body = format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"echo","params":[1]}}"#);
            let want = format!(r#"{{"jsonrpc":"2.0","id":{id},"result":"[1]"}}"#);
            assert_eq!(ask(&body).await, want);
        }
    }

    #[tokio::test]
    async fn what_follows_the_first_value_is_passed_over() {
        let echo = |id: u8| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"echo"}}"#);
        let want = r#"{"jsonrpc":"2.0","id":1,"result":"none"}"#;
        for rest in ["", "\n", " {", "]", &echo(2)] {
            assert_eq!(ask(&format!("\t{}{rest}", echo(1))).await, want, "{rest:?}");
        }
        let bytes = [echo(1).as_bytes(), b"\xff"].concat();
        assert_eq!(dispatcher().handle(&bytes).await, want.as_bytes());
    }

    #[tokio::test]
    async fn nothing_for_nothing_and_notifications() {
        for body in ["", "  ", r#"{"jsonrpc":"2.0","method":"echo"}"#] {
            assert_eq!(ask(body).await, "", "{body:?}");
        }
        let answers = r#"{"jsonrpc":"2.0","id":1,"result":5}"#;
        assert_eq!(ask(answers).await, "");
        assert_eq!(ask(r#"[{"jsonrpc":"2.0","method":"echo"}]"#).await, "");
    }

    #[tokio::test]
    async fn bad_requests() {
        let refused = |id: &str, code: i32, text: &str| {
            format!(r#"{{"jsonrpc":"2.0","id":{id},"error":{{"code":{code},"message":"{text}"}}}}"#)
        };
        assert_eq!(ask("{").await, refused("null", -32700, "parse error"));
        assert_eq!(ask("[]").await, refused("null", -32600, "empty batch"));
        assert_eq!(ask("5").await, refused("null", -32600, "invalid request"));
        let id = r#"{"jsonrpc":"2.0","id":{"a":1},"method":"echo"}"#;
        assert_eq!(ask(id).await, refused("null", -32600, "invalid request"));
        let version = r#"{"jsonrpc":"1.0","id":7,"method":"echo"}"#;
        assert_eq!(ask(version).await, refused("7", -32600, "invalid request"));
        let method = r#"{"jsonrpc":"2.0","id":7,"method":5}"#;
        assert_eq!(ask(method).await, refused("7", -32600, "invalid request"));
        let unknown = r#"{"jsonrpc":"2.0","id":7,"method":"eth_no"}"#;
        let text = "the method eth_no does not exist/is not available";
        assert_eq!(ask(unknown).await, refused("7", -32601, text));
        let twice = r#"{"jsonrpc":"2.0","id":7,"method":"echo","method":"echo"}"#;
        assert_eq!(ask(twice).await, refused("7", -32600, "invalid request"));
        let slow = r#"{"jsonrpc":"2.0","id":7,"method":"slow"}"#;
        assert_eq!(ask(slow).await, refused("7", -32002, "request timed out"));
    }

    #[tokio::test]
    async fn batches_are_bounded() {
        let call = |id: u8| format!(r#"{{"jsonrpc":"2.0","id":{id},"method":"echo"}}"#);
        let two = format!("[{},{}]", call(1), call(2));
        assert_eq!(
            ask(&two).await,
            r#"[{"jsonrpc":"2.0","id":1,"result":"none"},{"jsonrpc":"2.0","id":2,"result":"none"}]"#
        );
        let four = format!("[{},{},{},{}]", call(9), call(2), call(3), call(4));
        assert_eq!(
            ask(&four).await,
            r#"[{"jsonrpc":"2.0","id":9,"error":{"code":-32600,"message":"batch too large"}}]"#
        );
        let params = "1".repeat(200);
        let large = format!(
            r#"[{{"jsonrpc":"2.0","id":1,"method":"echo","params":[{params}]}},{}]"#,
            call(2)
        );
        let answer = ask(&large).await;
        assert!(answer.ends_with(
            r#"{"jsonrpc":"2.0","id":2,"error":{"code":-32003,"message":"response too large"}}]"#
        ));
    }
}
