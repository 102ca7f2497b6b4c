//! Requests to one endpoint.

use crate::{
    L1Block, L1Error, L1Heads, L1Options, L1Receipt, L1Tag,
    cache::ByteCache,
    metrics,
    receipts::{self, RpcReceipt},
};
use alloy_consensus::Header;
use alloy_eips::BlockNumberOrTag;
use alloy_json_rpc::{RpcRecv, RpcSend};
use alloy_network::Ethereum;
use alloy_primitives::{B256, U64};
use alloy_provider::{Provider, RootProvider};
use alloy_rpc_client::{ClientBuilder, RpcClient, WsConnect};
use alloy_rpc_types_eth::Block;
use alloy_transport::{RpcError, TransportError, TransportErrorKind};
use futures::{StreamExt, TryStreamExt, stream};
use parking_lot::Mutex;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Instant,
};
use tokio::{
    sync::{Semaphore, watch},
    time::{sleep, timeout},
};
use url::Url;

/// A client of one L1 endpoint. Clones share its connection, caches and heads.
///
/// Every request is repeated a few times and then fails with an error that says whether to try
/// again later; no method waits for ever. A block that does not exist is `None`, not an error.
#[derive(Clone)]
pub struct L1Client {
    pub(crate) inner: Arc<Inner>,
}

pub(crate) struct Inner {
    pub(crate) provider: RootProvider<Ethereum>,
    pub(crate) options: L1Options,
    permits: Semaphore,
    blocks: Mutex<ByteCache<L1Block>>,
    receipts: Mutex<ByteCache<Vec<L1Receipt>>>,
    /// The endpoint does not know `eth_getBlockReceipts`.
    receipts_one_by_one: AtomicBool,
    pub(crate) heads: watch::Sender<L1Heads>,
}

impl L1Client {
    /// Connects to an endpoint, by HTTP or WebSocket as its URL says, and compares its chain id
    /// with the rollup's. An endpoint that is just starting is given some time.
    pub async fn connect(url: &str, options: L1Options, chain_id: u64) -> Result<Self, L1Error> {
        let bad_url = |reason: String| L1Error::Url { url: url.to_owned(), reason };
        let parsed = Url::parse(url).map_err(|error| bad_url(error.to_string()))?;
        let mut failures = 0;
        loop {
            let client = match parsed.scheme() {
                "http" | "https" => Ok(ClientBuilder::default().http(parsed.clone())),
                "ws" | "wss" => {
                    // A lost connection is made again for as long as the node runs.
                    let connect = WsConnect::new(url)
                        .with_max_retries(u32::MAX)
                        .with_retry_interval(options.retry.base);
                    RpcClient::connect_pubsub(connect).await
                }
                scheme => return Err(bad_url(format!("scheme {scheme:?}"))),
            };
            let failed = match client {
                Ok(client) => {
                    let client = Self::new(client, options.clone());
                    match client.check_chain_id(chain_id).await {
                        Ok(()) => return Ok(client),
                        Err(error @ L1Error::ChainId { .. }) => return Err(error),
                        Err(error) => error,
                    }
                }
                Err(error) => request_error("connect", &error),
            };
            failures += 1;
            if failures >= options.dial_attempts {
                return Err(failed);
            }
            let pause = options.retry.pause(failures);
            tracing::warn!(
                target: "ascribe::l1", error = %failed, ?pause, attempt = failures, "L1 endpoint not ready"
            );
            sleep(pause).await;
        }
    }

    pub(crate) fn new(client: RpcClient, options: L1Options) -> Self {
        let inner = Inner {
            provider: RootProvider::new(client),
            permits: Semaphore::new(options.max_concurrency.max(1)),
            blocks: Mutex::new(ByteCache::new(options.block_cache_bytes)),
            receipts: Mutex::new(ByteCache::new(options.receipt_cache_bytes)),
            receipts_one_by_one: AtomicBool::new(false),
            heads: watch::Sender::new(L1Heads::default()),
            options,
        };
        Self { inner: Arc::new(inner) }
    }

    async fn check_chain_id(&self, expected: u64) -> Result<(), L1Error> {
        let actual = self.chain_id().await?;
        if actual == expected { Ok(()) } else { Err(L1Error::ChainId { expected, actual }) }
    }

    /// The endpoint's chain id.
    pub async fn chain_id(&self) -> Result<u64, L1Error> {
        let id: U64 = self.request("eth_chainId", Vec::<()>::new()).await?;
        Ok(id.to())
    }

    /// The block with this hash, also one that is no longer canonical where the endpoint keeps
    /// those.
    pub async fn block_by_hash(&self, hash: B256) -> Result<Option<Arc<L1Block>>, L1Error> {
        let cached = self.cached_block(&hash);
        metrics::cached("blocks", cached.is_some());
        if cached.is_some() {
            return Ok(cached);
        }
        let method = "eth_getBlockByHash";
        let Some(block) = self.request::<_, Option<Block>>(method, (hash, false)).await? else {
            return Ok(None);
        };
        let block = self.check_block(block)?;
        if block.hash != hash {
            let (asked, got) = (hash.to_string(), block.hash.to_string());
            return Err(L1Error::OtherBlock { method, asked, got });
        }
        Ok(Some(block))
    }

    /// The canonical block with this number. Never from the cache: a reorg may have replaced it.
    pub async fn block_by_number(&self, number: u64) -> Result<Option<Arc<L1Block>>, L1Error> {
        let block = self.block_at(number.into()).await?;
        match block {
            Some(block) if block.header.number != number => Err(L1Error::OtherBlock {
                method: "eth_getBlockByNumber",
                asked: number.to_string(),
                got: block.header.number.to_string(),
            }),
            block => Ok(block),
        }
    }

    /// The block that the L1 gives this name; `None` if it names none (yet).
    pub async fn block_by_tag(&self, tag: L1Tag) -> Result<Option<Arc<L1Block>>, L1Error> {
        self.block_at(tag.into()).await
    }

    async fn block_at(&self, at: BlockNumberOrTag) -> Result<Option<Arc<L1Block>>, L1Error> {
        let block = self.request::<_, Option<Block>>("eth_getBlockByNumber", (at, false)).await?;
        block.map(|block| self.check_block(block)).transpose()
    }

    pub(crate) fn cached_block(&self, hash: &B256) -> Option<Arc<L1Block>> {
        self.inner.blocks.lock().get(hash)
    }

    /// Compares a block's hash with its header, and keeps it.
    fn check_block(&self, block: Block) -> Result<Arc<L1Block>, L1Error> {
        let claimed = block.header.hash;
        let header: Header = block.header.inner;
        if !self.inner.options.trust_rpc {
            let computed = header.hash_slow();
            if computed != claimed {
                return Err(L1Error::HeaderHash { claimed, computed });
            }
        }
        let transactions = block.transactions.hashes().collect();
        let block = Arc::new(L1Block { hash: claimed, header, transactions });
        self.inner.blocks.lock().insert(claimed, block.clone(), block.size());
        Ok(block)
    }

    /// The receipts of a block in order, compared with the root in its header.
    pub async fn receipts(&self, hash: B256) -> Result<Arc<Vec<L1Receipt>>, L1Error> {
        let cached = self.inner.receipts.lock().get(&hash);
        metrics::cached("receipts", cached.is_some());
        if let Some(receipts) = cached {
            return Ok(receipts);
        }
        let block = self.block_by_hash(hash).await?.ok_or(L1Error::BlockGone(hash))?;
        let receipts = self.fetch_receipts(&block).await?;
        let receipts = receipts::check(&block, receipts, self.inner.options.trust_rpc)?;
        let bytes = receipts.iter().map(L1Receipt::size).sum();
        let receipts = Arc::new(receipts);
        self.inner.receipts.lock().insert(hash, receipts.clone(), bytes);
        Ok(receipts)
    }

    async fn fetch_receipts(&self, block: &L1Block) -> Result<Vec<RpcReceipt>, L1Error> {
        if block.transactions.is_empty() {
            return Ok(Vec::new());
        }
        if !self.inner.receipts_one_by_one.load(Ordering::Relaxed) {
            let method = "eth_getBlockReceipts";
            match self.try_request::<_, Option<Vec<RpcReceipt>>>(method, (block.hash,)).await {
                Ok(receipts) => return receipts.ok_or(L1Error::BlockGone(block.hash)),
                Err(Failure::Unsupported(message)) => {
                    tracing::warn!(
                        target: "ascribe::l1", %message, "No eth_getBlockReceipts, asking one by one"
                    );
                    self.inner.receipts_one_by_one.store(true, Ordering::Relaxed);
                }
                Err(Failure::Other(error)) => return Err(error),
            }
        }
        stream::iter(block.transactions.clone())
            .map(|hash| async move {
                self.request::<_, Option<RpcReceipt>>("eth_getTransactionReceipt", (hash,))
                    .await?
                    .filter(|receipt| receipt.block_hash == Some(block.hash))
                    .ok_or(L1Error::BlockGone(block.hash))
            })
            .buffered(self.inner.options.max_concurrency.max(1))
            .try_collect()
            .await
    }

    async fn request<P: RpcSend, R: RpcRecv>(
        &self,
        method: &'static str,
        params: P,
    ) -> Result<R, L1Error> {
        self.try_request(method, params).await.map_err(|failure| match failure {
            Failure::Unsupported(message) => L1Error::Request { method, message },
            Failure::Other(error) => error,
        })
    }

    /// Sends a request until there is an answer, the endpoint says something that will not change,
    /// or the attempts are used up.
    async fn try_request<P: RpcSend, R: RpcRecv>(
        &self,
        method: &'static str,
        params: P,
    ) -> Result<R, Failure> {
        let options = &self.inner.options;
        let mut failures = 0;
        loop {
            let sent = {
                let _permit = self.inner.permits.acquire().await;
                let start = Instant::now();
                let call = self.inner.provider.client().request(method, params.clone());
                let sent = timeout(options.request_timeout, call).await;
                metrics::answered(method, start.elapsed());
                sent
            };
            let (error, again) = match sent {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) if is_unsupported(&error) => {
                    return Err(Failure::Unsupported(error.to_string()));
                }
                Ok(Err(error)) => (request_error(method, &error), may_pass(&error)),
                Err(_) => (L1Error::Timeout { method, after: options.request_timeout }, true),
            };
            metrics::failed(method);
            failures += 1;
            if !again || failures >= options.retry.attempts {
                return Err(Failure::Other(error));
            }
            let pause = options.retry.pause(failures);
            tracing::debug!(target: "ascribe::l1", %error, ?pause, attempt = failures, "Request repeated");
            metrics::retried(method);
            sleep(pause).await;
        }
    }
}

/// Why a request has no answer.
enum Failure {
    /// The endpoint does not have the method.
    Unsupported(String),
    Other(L1Error),
}

fn request_error(method: &'static str, error: &TransportError) -> L1Error {
    L1Error::Request { method, message: error.to_string() }
}

/// Endpoints that lack a method say so in several ways.
fn is_unsupported(error: &TransportError) -> bool {
    let RpcError::ErrorResp(payload) = error else { return false };
    let message = payload.message.to_lowercase();
    payload.code == -32601
        || (message.contains("method")
            && ["not found", "not supported", "unsupported", "does not exist", "not available"]
                .iter()
                .any(|text| message.contains(text)))
}

/// Whether the same request may have an answer soon.
fn may_pass(error: &TransportError) -> bool {
    match error {
        RpcError::Transport(kind) => !matches!(
            kind,
            TransportErrorKind::NonRetryable(_) | TransportErrorKind::PubsubUnavailable
        ),
        RpcError::ErrorResp(payload) => payload.is_retry_err(),
        _ => false,
    }
}

impl fmt::Debug for L1Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("L1Client").field("options", &self.inner.options).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        ErrorClass, RetryPolicy,
        test_endpoint::{CHAIN_ID, Endpoint},
    };

    #[tokio::test]
    async fn blocks_by_hash_come_once() {
        let endpoint = Endpoint::start(L1Options::default()).await;
        endpoint.extend(3, 0);
        let client = endpoint.client();
        let block = client.block_by_number(2).await.expect("answered").expect("there");
        assert_eq!(block.header.number, 2);
        assert_eq!(block.transactions.len(), 2);
        endpoint.requests();
        let again = client.block_by_hash(block.hash).await.expect("answered").expect("there");
        assert_eq!(again, block);
        assert!(endpoint.requests().is_empty());
        assert_eq!(client.block_by_number(9).await, Ok(None));
        assert_eq!(client.block_by_hash(B256::ZERO).await, Ok(None));
    }

    #[tokio::test]
    async fn receipts_are_compared_with_the_header() {
        let endpoint = Endpoint::start(L1Options::default()).await;
        endpoint.extend(5, 0);
        let client = endpoint.client();
        let block = client.block_by_number(5).await.expect("answered").expect("there");
        endpoint.forge(true);
        let error = client.receipts(block.hash).await.expect_err("forged");
        assert!(matches!(error, L1Error::ReceiptsRoot { .. }), "{error}");
        assert_eq!(error.class(), ErrorClass::Temporary);
        endpoint.forge(false);
        let receipts = client.receipts(block.hash).await.expect("as they are");
        assert_eq!(receipts.iter().map(|it| it.success).collect::<Vec<_>>(), [true, false]);
        assert_eq!(receipts[1].logs[0].topics(), [B256::with_last_byte(1)]);
        endpoint.requests();
        client.receipts(block.hash).await.expect("kept");
        assert!(endpoint.requests().is_empty());
        // No transactions, no question.
        let empty = client.block_by_number(3).await.expect("answered").expect("there");
        endpoint.requests();
        assert!(client.receipts(empty.hash).await.expect("none").is_empty());
        assert!(endpoint.requests().is_empty());
    }

    #[tokio::test]
    async fn receipts_one_by_one_where_it_must_be() {
        let endpoint = Endpoint::start(L1Options::default()).await;
        endpoint.extend(5, 0);
        endpoint.without_block_receipts();
        let client = endpoint.client();
        for number in [2, 5] {
            let block = client.block_by_number(number).await.expect("answered").expect("there");
            assert_eq!(client.receipts(block.hash).await.expect("there").len(), 2);
        }
        let asked = endpoint.requests();
        let count = |method| asked.iter().filter(|asked| *asked == method).count();
        assert_eq!(count("eth_getBlockReceipts"), 1, "asked once and never again");
        assert_eq!(count("eth_getTransactionReceipt"), 4);
    }

    #[tokio::test]
    async fn headers_must_hash_to_their_hash() {
        let endpoint = Endpoint::start(L1Options::default()).await;
        endpoint.extend(1, 0);
        endpoint.forge(true);
        let error = endpoint.client().block_by_number(1).await.expect_err("forged");
        assert!(matches!(error, L1Error::HeaderHash { .. }), "{error}");
        let trusting = L1Options { trust_rpc: true, ..L1Options::default() };
        let client = L1Client::connect(&endpoint.url, trusting, CHAIN_ID).await.expect("up");
        assert!(client.block_by_number(1).await.expect("believed").is_some());
    }

    #[tokio::test]
    async fn a_block_that_is_gone_is_a_reset() {
        let endpoint = Endpoint::start(L1Options::default()).await;
        endpoint.extend(2, 0);
        let client = endpoint.client();
        let block = client.block_by_number(2).await.expect("answered").expect("there");
        endpoint.forget(&block.hash);
        let error = client.receipts(block.hash).await.expect_err("gone");
        assert_eq!(error, L1Error::BlockGone(block.hash));
        assert_eq!(error.class(), ErrorClass::Reset);
    }

    #[tokio::test]
    async fn requests_are_repeated_and_then_fail() {
        let endpoint = Endpoint::start(L1Options::default()).await;
        let client = endpoint.client();
        endpoint.fail(true);
        endpoint.requests();
        let error = client.block_by_number(0).await.expect_err("out of order");
        assert_eq!(error.class(), ErrorClass::Temporary);
        assert_eq!(endpoint.requests().len(), 3);
        endpoint.fail(false);
        assert!(client.block_by_number(0).await.expect("back").is_some());
    }

    #[tokio::test]
    async fn configuration_errors_are_fatal() {
        let endpoint = Endpoint::start(L1Options::default()).await;
        let error = L1Client::connect(&endpoint.url, L1Options::default(), 1).await;
        let error = error.expect_err("another chain");
        assert_eq!(error.to_string(), "L1 endpoint has chain id 900, the rollup config says 1");
        assert_eq!(error.class(), ErrorClass::Fatal);
        for url in ["localhost:8545", "ftp://localhost", ""] {
            let error = L1Client::connect(url, L1Options::default(), 1).await.expect_err("no URL");
            assert_eq!(error.class(), ErrorClass::Fatal, "{error}");
        }
    }

    #[tokio::test]
    async fn an_endpoint_that_never_comes_up_is_given_up() {
        let retry = RetryPolicy {
            attempts: 1,
            base: std::time::Duration::from_millis(1),
            max: std::time::Duration::from_millis(1),
        };
        let options = L1Options { retry, dial_attempts: 3, ..L1Options::default() };
        for scheme in ["http", "ws"] {
            // Nothing listens on port 1.
            let url = format!("{scheme}://127.0.0.1:1");
            let error = L1Client::connect(&url, options.clone(), 1).await.expect_err("nobody");
            assert_eq!(error.class(), ErrorClass::Temporary, "{error}");
        }
    }
}
