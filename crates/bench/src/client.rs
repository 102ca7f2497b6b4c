//! JSON-RPC over one blocking connection, as cheap as it can be: the client shares the processors
//! with what it measures.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use alloy_primitives::Bytes;
use serde_json::{Value, json};

use crate::BenchError;

/// No answer takes longer.
const TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of an answer, at most.
const MAX_BODY: usize = 1 << 28;

#[derive(Debug)]
pub(crate) struct Client {
    stream: BufReader<TcpStream>,
    line: String,
    body: Vec<u8>,
}

impl Client {
    pub(crate) fn connect(addr: SocketAddr) -> Result<Self, BenchError> {
        let stream = TcpStream::connect(addr)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Self {
            stream: BufReader::with_capacity(1 << 16, stream),
            line: String::new(),
            body: Vec::new(),
        })
    }

    /// A call as the bytes of an HTTP request.
    pub(crate) fn request(method: &str, params: &Value) -> Bytes {
        http(&json!({ "jsonrpc": "2.0", "id": 1, "method": method, "params": params }))
    }

    /// Sends a request and reads the answer, which must be a result that is not empty.
    pub(crate) fn ask(&mut self, request: &[u8]) -> Result<&[u8], BenchError> {
        self.exchange(request)?;
        let head = &self.body[..self.body.len().min(64)];
        let has = |text: &[u8]| head.windows(text.len()).any(|at| at == text);
        if !has(br#""result":"#) || has(br#""result":null"#) {
            return Err(BenchError::setup("an answer", String::from_utf8_lossy(head)));
        }
        Ok(&self.body)
    }

    /// Calls a method and returns its result.
    pub(crate) fn call(&mut self, method: &str, params: &Value) -> Result<Value, BenchError> {
        self.exchange(&Self::request(method, params))?;
        result(
            serde_json::from_slice(&self.body)
                .map_err(|error| BenchError::setup("an answer", error))?,
        )
    }

    /// Calls a method several times in one batch; all must succeed.
    pub(crate) fn batch(&mut self, method: &str, params: &[Value]) -> Result<(), BenchError> {
        let call = |(id, params): (usize, &Value)| json!({ "jsonrpc": "2.0", "id": id, "method": method, "params": params });
        let calls: Value = params.iter().enumerate().map(call).collect();
        self.exchange(&http(&calls))?;
        let answers: Vec<Value> = serde_json::from_slice(&self.body)
            .map_err(|error| BenchError::setup("an answer", error))?;
        answers.into_iter().try_for_each(|answer| result(answer).map(|_| ()))
    }

    fn exchange(&mut self, request: &[u8]) -> Result<(), BenchError> {
        self.stream.get_mut().write_all(request)?;
        let (mut length, mut chunked) = (0, false);
        loop {
            let line = self.read_line()?;
            if line.is_empty() {
                break;
            }
            let Some((name, value)) = line.split_once(':') else { continue };
            if name.eq_ignore_ascii_case("content-length") {
                length = number(value, 10)?;
            } else if name.eq_ignore_ascii_case("transfer-encoding") {
                chunked = value.trim().eq_ignore_ascii_case("chunked");
            }
        }
        self.body.clear();
        if !chunked {
            return self.read_body(length);
        }
        loop {
            let size = number(self.read_line()?, 16)?;
            self.read_body(size)?;
            self.read_line()?;
            if size == 0 {
                return Ok(());
            }
        }
    }

    fn read_line(&mut self) -> Result<&str, BenchError> {
        self.line.clear();
        if self.stream.read_line(&mut self.line)? == 0 {
            return Err(BenchError::setup("an answer", "the connection was closed"));
        }
        Ok(self.line.trim_end())
    }

    fn read_body(&mut self, length: usize) -> Result<(), BenchError> {
        let at = self.body.len();
        if length > MAX_BODY - at {
            return Err(BenchError::setup("an answer", "is too large"));
        }
        self.body.resize(at + length, 0);
        Ok(self.stream.read_exact(&mut self.body[at..])?)
    }
}

fn number(text: &str, radix: u32) -> Result<usize, BenchError> {
    usize::from_str_radix(text.trim(), radix).map_err(|error| BenchError::setup("an answer", error))
}

fn http(body: &Value) -> Bytes {
    let body = body.to_string();
    format!(
        "POST / HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .into_bytes()
    .into()
}

fn result(mut answer: Value) -> Result<Value, BenchError> {
    match answer.get_mut("result") {
        Some(result) => Ok(result.take()),
        None => Err(BenchError::setup("an answer", answer)),
    }
}
