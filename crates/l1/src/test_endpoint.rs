//! An L1 endpoint that answers over HTTP and can misbehave.

use crate::{L1Client, L1Options, RetryPolicy};
use alloy_consensus::{
    Eip658Value, Header, Receipt, ReceiptWithBloom, proofs::ordered_trie_root_with_encoder,
};
use alloy_eips::eip2718::Encodable2718;
use alloy_network::AnyReceiptEnvelope;
use alloy_primitives::{Address, B256, Bloom, Bytes, Log, keccak256};
use parking_lot::Mutex;
use serde_json::{Value, json};
use std::{collections::HashMap, sync::Arc, time::Duration};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

pub(crate) const CHAIN_ID: u64 = 900;

#[derive(Debug, Default)]
struct Chain {
    canonical: Vec<Header>,
    /// Every block there ever was.
    known: HashMap<B256, Header>,
    failing: bool,
    without_block_receipts: bool,
    forged: bool,
    requests: Vec<String>,
}

/// The endpoint and a client of it.
pub(crate) struct Endpoint {
    chain: Arc<Mutex<Chain>>,
    client: L1Client,
    pub(crate) url: String,
    server: tokio::task::JoinHandle<()>,
}

impl Endpoint {
    /// Starts with a genesis block only.
    pub(crate) async fn start(options: L1Options) -> Self {
        let genesis = Header { number: 0, ..Header::default() };
        let chain = Chain {
            known: [(genesis.hash_slow(), genesis.clone())].into(),
            canonical: vec![genesis],
            ..Chain::default()
        };
        let chain = Arc::new(Mutex::new(chain));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let url = format!("http://{}", listener.local_addr().expect("bound"));
        let served = chain.clone();
        let server = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(serve(stream, served.clone()));
            }
        });
        let retry = RetryPolicy {
            attempts: 3,
            base: Duration::from_millis(1),
            max: Duration::from_millis(4),
        };
        let client = L1Client::connect(&url, L1Options { retry, ..options }, CHAIN_ID).await;
        Self { chain, client: client.expect("connected"), url, server }
    }

    pub(crate) fn client(&self) -> L1Client {
        self.client.clone()
    }

    /// Adds blocks of a branch: those of another have other hashes.
    pub(crate) fn extend(&self, blocks: u64, branch: u8) {
        let mut chain = self.chain.lock();
        for _ in 0..blocks {
            let parent = chain.canonical.last().expect("a genesis");
            let header = child(parent, branch);
            chain.known.insert(header.hash_slow(), header.clone());
            chain.canonical.push(header);
        }
    }

    /// Takes blocks above a number out of the canonical chain.
    pub(crate) fn truncate(&self, number: usize) {
        self.chain.lock().canonical.truncate(number + 1);
    }

    /// The hash that a block has if its branch goes back to the genesis.
    pub(crate) fn hash_of(&self, number: u64, branch: u8) -> B256 {
        let mut header = self.chain.lock().canonical[0].clone();
        for _ in 0..number {
            header = child(&header, branch);
        }
        header.hash_slow()
    }

    pub(crate) fn fail(&self, failing: bool) {
        self.chain.lock().failing = failing;
    }

    pub(crate) fn without_block_receipts(&self) {
        self.chain.lock().without_block_receipts = true;
    }

    /// Changes a byte in everything it says of blocks and receipts.
    pub(crate) fn forge(&self, forged: bool) {
        self.chain.lock().forged = forged;
    }

    pub(crate) fn forget(&self, hash: &B256) {
        self.chain.lock().known.remove(hash);
    }

    /// Methods that were called since the last time.
    pub(crate) fn requests(&self) -> Vec<String> {
        std::mem::take(&mut self.chain.lock().requests)
    }
}

impl Drop for Endpoint {
    fn drop(&mut self) {
        self.server.abort();
    }
}

fn child(parent: &Header, branch: u8) -> Header {
    Header {
        parent_hash: parent.hash_slow(),
        number: parent.number + 1,
        timestamp: parent.timestamp + 12,
        extra_data: vec![branch].into(),
        receipts_root: ordered_trie_root_with_encoder(&receipts(parent.number + 1), |it, out| {
            it.encode_2718(out);
        }),
        ..Header::default()
    }
}

/// As many as the block's number, modulo three; each with a log that names it.
fn receipts(number: u64) -> Vec<AnyReceiptEnvelope> {
    let receipt = |index: u64| {
        let log = Log::new_unchecked(
            Address::ZERO,
            vec![B256::with_last_byte(index as u8)],
            Bytes::from(number.to_be_bytes()),
        );
        let receipt = Receipt {
            status: Eip658Value::Eip658(index == 0),
            cumulative_gas_used: 21_000 * (index + 1),
            logs: vec![log],
        };
        let inner = ReceiptWithBloom { receipt, logs_bloom: Bloom::ZERO };
        AnyReceiptEnvelope { inner, r#type: 2 * index as u8 }
    };
    (0..number % 3).map(receipt).collect()
}

fn tx_hash(number: u64, index: u64) -> B256 {
    keccak256([number.to_be_bytes(), index.to_be_bytes()].concat())
}

impl Chain {
    fn answer(&self, method: &str, params: &Value) -> Result<Value, (i64, &'static str)> {
        match method {
            "eth_chainId" => Ok(json!(format!("{CHAIN_ID:#x}"))),
            "eth_getBlockByHash" => Ok(self.block(self.by_hash(&params[0]))),
            "eth_getBlockByNumber" => {
                let at = params[0].as_str().unwrap_or_default();
                let last = self.canonical.len() - 1;
                let number = match at {
                    "latest" => Some(last),
                    "safe" => last.checked_sub(2),
                    "finalized" => last.checked_sub(16),
                    number => usize::from_str_radix(number.trim_start_matches("0x"), 16).ok(),
                };
                Ok(self.block(number.and_then(|number| self.canonical.get(number))))
            }
            "eth_getBlockReceipts" if self.without_block_receipts => {
                Err((-32601, "the method eth_getBlockReceipts does not exist/is not available"))
            }
            "eth_getBlockReceipts" => Ok(self.by_hash(&params[0]).map_or(Value::Null, |header| {
                let count = receipts(header.number).len() as u64;
                (0..count).map(|index| self.receipt(header, index)).collect()
            })),
            "eth_getTransactionReceipt" => {
                let found = self.canonical.iter().find_map(|header| {
                    (0..3)
                        .find(|index| json!(tx_hash(header.number, *index)) == params[0])
                        .map(|index| self.receipt(header, index))
                });
                Ok(found.unwrap_or_default())
            }
            _ => Err((-32601, "method not found")),
        }
    }

    fn by_hash(&self, hash: &Value) -> Option<&Header> {
        self.known.get(&hash.as_str()?.parse::<B256>().ok()?)
    }

    fn block(&self, header: Option<&Header>) -> Value {
        let Some(header) = header else { return Value::Null };
        let mut block = serde_json::to_value(header).expect("a header is JSON");
        let count = receipts(header.number).len() as u64;
        let hashes: Vec<_> = (0..count).map(|index| tx_hash(header.number, index)).collect();
        block["hash"] = json!(header.hash_slow());
        block["transactions"] = json!(hashes);
        block["uncles"] = json!([]);
        if self.forged {
            block["gasUsed"] = json!("0x1");
        }
        block
    }

    fn receipt(&self, header: &Header, index: u64) -> Value {
        let receipt = receipts(header.number).swap_remove(index as usize);
        let block_hash = header.hash_slow();
        let hash = tx_hash(header.number, index);
        let logs: Vec<_> = receipt
            .inner
            .receipt
            .logs
            .iter()
            .map(|log| {
                json!({
                    "address": log.address, "topics": log.topics(), "data": log.data.data,
                    "blockHash": block_hash, "blockNumber": format!("{:#x}", header.number),
                    "transactionHash": hash, "transactionIndex": format!("{index:#x}"),
                    "logIndex": format!("{index:#x}"), "removed": false,
                })
            })
            .collect();
        json!({
            "type": format!("{:#x}", receipt.r#type),
            "status": if receipt.is_success() && !self.forged { "0x1" } else { "0x0" },
            "cumulativeGasUsed": format!("{:#x}", receipt.inner.receipt.cumulative_gas_used),
            "logsBloom": Bloom::ZERO, "logs": logs,
            "transactionHash": hash, "transactionIndex": format!("{index:#x}"),
            "blockHash": block_hash, "blockNumber": format!("{:#x}", header.number),
            "gasUsed": "0x5208", "effectiveGasPrice": "0x1",
            "from": Address::ZERO, "to": Address::ZERO, "contractAddress": null,
        })
    }
}

/// Just enough of HTTP/1.1.
async fn serve(mut stream: TcpStream, chain: Arc<Mutex<Chain>>) {
    let mut buffer = Vec::new();
    loop {
        let (start, length) = loop {
            let text = String::from_utf8_lossy(&buffer);
            if let Some(end) = text.find("\r\n\r\n") {
                let length = text[..end]
                    .lines()
                    .filter_map(|line| line.split_once(':'))
                    .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
                    .and_then(|(_, length)| length.trim().parse::<usize>().ok())
                    .unwrap_or_default();
                if buffer.len() >= end + 4 + length {
                    break (end + 4, length);
                }
            }
            if stream.read_buf(&mut buffer).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let body: Vec<u8> = buffer.drain(..start + length).skip(start).collect();
        let request: Value = serde_json::from_slice(&body).unwrap_or_default();
        let (status, answer) = {
            let mut chain = chain.lock();
            let method = request["method"].as_str().unwrap_or_default();
            chain.requests.push(method.to_owned());
            let answer = match chain.answer(method, &request["params"]) {
                Ok(result) => json!({ "jsonrpc": "2.0", "id": request["id"], "result": result }),
                Err((code, message)) => json!({
                    "jsonrpc": "2.0", "id": request["id"],
                    "error": { "code": code, "message": message },
                }),
            };
            (if chain.failing { "503 Service Unavailable" } else { "200 OK" }, answer)
        };
        let body = answer.to_string();
        let head = format!(
            "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        if stream.write_all((head + &body).as_bytes()).await.is_err() {
            return;
        }
    }
}
