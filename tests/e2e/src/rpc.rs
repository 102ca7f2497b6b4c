//! JSON-RPC over HTTP.

use std::{
    future::Future,
    sync::{
        LazyLock,
        atomic::{AtomicU64, Ordering},
        mpsc,
    },
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use alloy_rpc_types_engine::JwtSecret;
use base64::{Engine as _, prelude::BASE64_URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::runtime::Runtime;

/// No answer takes longer in a test.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Requests run here, so that callers may be plain functions, and tasks of another runtime as well.
static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime")
});

/// Where tests wait for what is asynchronous.
pub fn runtime() -> &'static Runtime {
    &RUNTIME
}

/// An error object.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, thiserror::Error)]
#[error("{message} ({code})")]
pub struct RpcError {
    /// Such as −32602.
    pub code: i64,
    /// For people.
    pub message: String,
    /// What else there is, e.g. revert data.
    #[serde(default)]
    pub data: Value,
}

/// Why a call has no result.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// The server says no.
    #[error(transparent)]
    Rpc(#[from] RpcError),
    /// The server is not there, or went away.
    #[error("no answer: {0}")]
    Transport(String),
    /// The server does not speak JSON-RPC, e.g. with status 401.
    #[error("HTTP {status}: {body}")]
    Http {
        /// The status.
        status: u16,
        /// The answer's body.
        body: String,
    },
}

impl CallError {
    /// The error object.
    ///
    /// # Panics
    /// If there is none.
    pub fn into_rpc(self) -> RpcError {
        match self {
            Self::Rpc(error) => error,
            other => panic!("expected a JSON-RPC error, not: {other}"),
        }
    }
}

/// A JSON-RPC server, asked over HTTP. Calls block.
#[derive(Clone, Debug)]
pub struct Rpc {
    url: String,
    secret: Option<JwtSecret>,
    client: reqwest::Client,
}

impl Rpc {
    /// A server at `url`.
    pub fn new(url: impl Into<String>) -> Self {
        let client =
            reqwest::Client::builder().no_proxy().timeout(TIMEOUT).build().expect("an HTTP client");
        Self { url: url.into(), secret: None, client }
    }

    /// The same with a fresh token on every request.
    #[must_use]
    pub const fn with_secret(mut self, secret: JwtSecret) -> Self {
        self.secret = Some(secret);
        self
    }

    /// Where the server is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// One call.
    ///
    /// # Errors
    /// If there is no result.
    ///
    /// # Panics
    /// If the result is of another type than asked for.
    pub fn try_call<T: DeserializeOwned>(
        &self,
        method: &str,
        params: Value,
    ) -> Result<T, CallError> {
        static ID: AtomicU64 = AtomicU64::new(1);
        let id = ID.fetch_add(1, Ordering::Relaxed);
        let request = json!({"jsonrpc": "2.0", "id": id, "method": method, "params": params});
        let (status, body) = self.post(request.to_string(), &[])?;
        let strange = |body| CallError::Http { status, body };
        let Ok(mut answer) = serde_json::from_str::<Value>(&body) else {
            return Err(strange(body));
        };
        if let Some(error) = answer.get_mut("error").map(Value::take)
            && !error.is_null()
        {
            let error = serde_json::from_value::<RpcError>(error).map_err(|_| strange(body))?;
            return Err(error.into());
        }
        let Some(result) = answer.get_mut("result").map(Value::take) else {
            return Err(strange(body));
        };
        assert_eq!(answer["id"], id, "the answer to another request");
        let text = result.to_string();
        Ok(serde_json::from_value(result)
            .unwrap_or_else(|error| panic!("{method} answered {text}: {error}")))
    }

    /// One call that must succeed.
    ///
    /// # Panics
    /// If it does not.
    pub fn call<T: DeserializeOwned>(&self, method: &str, params: Value) -> T {
        let shown = shorten(&params.to_string());
        self.try_call(method, params)
            .unwrap_or_else(|error| panic!("{method} {shown} failed: {error}"))
    }

    /// One call that must be refused with an error object.
    ///
    /// # Panics
    /// If it is not.
    pub fn refused(&self, method: &str, params: Value) -> RpcError {
        let shown = shorten(&params.to_string());
        match self.try_call::<Value>(method, params) {
            Ok(result) => panic!("{method} {shown} should be refused, but answers {result}"),
            Err(error) => error.into_rpc(),
        }
    }

    /// Posts any body as JSON, with these headers or in place of those. Returns the status and the answer's body.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn post(
        &self,
        body: impl Into<reqwest::Body>,
        headers: &[(&str, &str)],
    ) -> Result<(u16, String), CallError> {
        let mut given = HeaderMap::new();
        given.insert("content-type", HeaderValue::from_static("application/json"));
        if let Some(secret) = &self.secret {
            let bearer = format!("Bearer {}", token(secret, json!({"iat": unix_time()})));
            given.insert("authorization", bearer.parse().expect("printable characters"));
        }
        for (name, value) in headers {
            let name: HeaderName = name.parse().expect("the name of a header");
            given.insert(name, value.parse().expect("the value of a header"));
        }
        let request = self.client.post(&self.url).headers(given).body(body);
        run(async move {
            let response = request.send().await.map_err(|error| transport(&error))?;
            let status = response.status().as_u16();
            Ok((status, response.text().await.map_err(|error| transport(&error))?))
        })
    }

    /// Fetches the text at `path` of a server, e.g. `/metrics`.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn get(&self, path: &str) -> Result<(u16, String), CallError> {
        self.get_with(path, &[])
    }

    /// The same with headers.
    ///
    /// # Errors
    /// If there is no answer.
    pub fn get_with(
        &self,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<(u16, String), CallError> {
        let mut request = self.client.get(format!("{}{path}", self.url));
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        run(async move {
            let response = request.send().await.map_err(|error| transport(&error))?;
            let status = response.status().as_u16();
            Ok((status, response.text().await.map_err(|error| transport(&error))?))
        })
    }
}

/// Seconds since 1970.
pub fn unix_time() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A token of the Engine API with these claims.
///
/// # Panics
/// Never: a key may have any length.
pub fn token(secret: &JwtSecret, claims: Value) -> String {
    let part = |value: Value| BASE64_URL_SAFE_NO_PAD.encode(value.to_string());
    let text = format!("{}.{}", part(json!({"alg": "HS256", "typ": "JWT"})), part(claims));
    let mut mac =
        Hmac::<Sha256>::new_from_slice(secret.as_bytes()).expect("a key of any length will do");
    mac.update(text.as_bytes());
    format!("{text}.{}", BASE64_URL_SAFE_NO_PAD.encode(mac.finalize().into_bytes()))
}

fn transport(error: &reqwest::Error) -> CallError {
    let mut text = error.to_string();
    let mut cause = std::error::Error::source(error);
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    CallError::Transport(text)
}

/// Runs `future` to its end and waits for it.
fn run<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> T {
    let (done, result) = mpsc::sync_channel(1);
    RUNTIME.spawn(async move {
        // The other end waits.
        let _ = done.send(future.await);
    });
    result.recv().expect("the request did not panic")
}

fn shorten(text: &str) -> String {
    match text.char_indices().nth(300) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
