//! Limits, and which namespaces a server offers.

use std::{fmt, str::FromStr, time::Duration};

/// What one request may cost. Names and defaults are op-reth's (`--rpc.*`) where it has one, else
/// geth's.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RpcConfig {
    /// Bytes of a request body or WebSocket message (`--rpc.max-request-size`).
    pub max_request_size: u32,
    /// Bytes of an answer (`--rpc.max-response-size`).
    pub max_response_size: u32,
    /// Connections that a server has open at a time (`--rpc.max-connections`).
    pub max_connections: u32,
    /// Subscriptions of one connection (`--rpc.max-subscriptions-per-connection`).
    pub max_subscriptions: u32,
    /// Requests in a batch (geth's `--rpc.batch-request-limit`).
    pub max_batch: usize,
    /// Bytes of all answers to a batch together (geth's `--rpc.batch-response-max-size`).
    pub max_batch_response: usize,
    /// Time that a request, or a whole batch, may take (geth's write timeout).
    pub request_timeout: Duration,
    /// Heavy calls that run at a time: execution, proofs, log searches.
    pub max_heavy_calls: usize,
    /// Traces that run at a time (`--rpc.max-tracing-requests`).
    pub max_tracing_calls: usize,
    /// Gas of `eth_call` and its kin; 0 is no limit (`--rpc.gascap`).
    pub gas_cap: u64,
    /// Bytes of EVM memory of a call (`--rpc.evm-memory-limit`).
    pub evm_memory_limit: u64,
    /// Time that a call may take (geth's `--rpc.evmtimeout`).
    pub call_timeout: Duration,
    /// Wei that a transaction sent through RPC may cost in gas; 0 is no limit (`--rpc.txfeecap`).
    pub tx_fee_cap: u128,
    /// Blocks that a log filter may span (`--rpc.max-blocks-per-filter`).
    pub max_blocks_per_filter: u64,
    /// Logs in one answer (`--rpc.max-logs-per-response`).
    pub max_logs_per_response: usize,
    /// Filters installed at a time.
    pub max_filters: usize,
    /// A filter that nobody polls is dropped after this (geth's five minutes).
    pub filter_ttl: Duration,
    /// Blocks of `eth_simulateV1` (`--rpc.max-simulate-blocks`).
    pub max_simulate_blocks: u64,
    /// Blocks below the head for which `eth_getProof` answers (`--rpc.eth-proof-window`).
    pub eth_proof_window: u64,
    /// How long `eth_sendRawTransactionSync` waits when the caller does not say
    /// (geth's `--rpc.txsync.defaulttimeout`).
    pub tx_sync_timeout: Duration,
    /// How long it waits at most (geth's `--rpc.txsync.maxtimeout`).
    pub tx_sync_max_timeout: Duration,
    /// Least tip, in wei, that `eth_maxPriorityFeePerGas` suggests
    /// (`--min-suggested-priority-fee`).
    pub min_suggested_priority_fee: u128,
    /// Highest tip, in wei, that it suggests (`--gpo.maxprice`).
    pub max_suggested_priority_fee: u128,
    /// Bytes of blocks that are kept as JSON.
    pub block_cache_bytes: u64,
    /// What `web3_clientVersion` answers.
    pub client_version: String,
}

impl Default for RpcConfig {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            max_request_size: 15 << 20,
            max_response_size: 160 << 20,
            max_connections: 500,
            max_subscriptions: 1024,
            max_batch: 1000,
            max_batch_response: 25_000_000,
            request_timeout: Duration::from_secs(30),
            max_heavy_calls: (cores * 2).max(4),
            max_tracing_calls: cores.saturating_sub(2).max(2),
            gas_cap: 50_000_000,
            evm_memory_limit: (1 << 32) - 1,
            call_timeout: Duration::from_secs(5),
            tx_fee_cap: 1_000_000_000_000_000_000,
            max_blocks_per_filter: 100_000,
            max_logs_per_response: 20_000,
            max_filters: 10_000,
            filter_ttl: Duration::from_secs(300),
            max_simulate_blocks: 256,
            eth_proof_window: 100_000,
            tx_sync_timeout: Duration::from_secs(20),
            tx_sync_max_timeout: Duration::from_secs(60),
            min_suggested_priority_fee: 1_000_000,
            max_suggested_priority_fee: 500_000_000_000,
            block_cache_bytes: 64 << 20,
            client_version: format!(
                "ascribe/v{}/{}-{}",
                env!("CARGO_PKG_VERSION"),
                std::env::consts::OS,
                std::env::consts::ARCH
            ),
        }
    }
}

/// A group of methods, by the prefix of their names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Namespace {
    /// `admin_`
    Admin,
    /// `attribution_`
    Attribution,
    /// `debug_`
    Debug,
    /// `eth_`
    Eth,
    /// `miner_`
    Miner,
    /// `net_`
    Net,
    /// `optimism_`
    Optimism,
    /// `rpc_`
    Rpc,
    /// `txpool_`
    Txpool,
    /// `web3_`
    Web3,
}

impl Namespace {
    /// All of them, in alphabetical order.
    pub const ALL: [Self; 10] = [
        Self::Admin,
        Self::Attribution,
        Self::Debug,
        Self::Eth,
        Self::Miner,
        Self::Net,
        Self::Optimism,
        Self::Rpc,
        Self::Txpool,
        Self::Web3,
    ];

    /// The prefix, without `_`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Admin => "admin",
            Self::Attribution => "attribution",
            Self::Debug => "debug",
            Self::Eth => "eth",
            Self::Miner => "miner",
            Self::Net => "net",
            Self::Optimism => "optimism",
            Self::Rpc => "rpc",
            Self::Txpool => "txpool",
            Self::Web3 => "web3",
        }
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// `--http.api` or `--ws.api` names a namespace that there is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown RPC namespace {given:?}, expected a list of admin, attribution, debug, eth, miner, net, optimism, rpc, txpool, web3, or all, or none"
)]
pub struct UnknownNamespace {
    /// What was given.
    pub given: String,
}

/// The namespaces that a server offers. `rpc_modules` is always among them, as with geth.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Namespaces(Vec<Namespace>);

impl Namespaces {
    /// These.
    pub fn new(namespaces: impl IntoIterator<Item = Namespace>) -> Self {
        let mut list: Vec<_> = namespaces.into_iter().chain([Namespace::Rpc]).collect();
        list.sort_unstable();
        list.dedup();
        Self(list)
    }

    /// Every one that there is.
    pub fn all() -> Self {
        Self::new(Namespace::ALL)
    }

    /// Whether `namespace` is offered.
    pub fn contains(&self, namespace: Namespace) -> bool {
        self.0.binary_search(&namespace).is_ok()
    }

    /// In alphabetical order.
    pub fn iter(&self) -> impl Iterator<Item = Namespace> + '_ {
        self.0.iter().copied()
    }
}

impl Default for Namespaces {
    /// `eth`, `net` and `web3`, which op-reth offers unless told otherwise, and `attribution`.
    fn default() -> Self {
        Self::new([Namespace::Attribution, Namespace::Eth, Namespace::Net, Namespace::Web3])
    }
}

impl FromStr for Namespaces {
    type Err = UnknownNamespace;

    fn from_str(list: &str) -> Result<Self, Self::Err> {
        match list.trim() {
            "all" => return Ok(Self::all()),
            "none" => return Ok(Self::new([])),
            _ => {}
        }
        let named = list.split(',').map(str::trim).filter(|name| !name.is_empty());
        named
            .map(|name| {
                Namespace::ALL
                    .into_iter()
                    .find(|namespace| namespace.name().eq_ignore_ascii_case(name))
                    .ok_or_else(|| UnknownNamespace { given: name.to_owned() })
            })
            .collect::<Result<Vec<_>, _>>()
            .map(Self::new)
    }
}

impl fmt::Display for Namespaces {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, namespace) in self.iter().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            f.write_str(namespace.name())?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn namespaces_are_lists() {
        let parse = |text: &str| text.parse::<Namespaces>().map(|list| list.to_string());
        assert_eq!(parse("eth, net,web3").as_deref(), Ok("eth,net,rpc,web3"));
        assert_eq!(parse("none").as_deref(), Ok("rpc"));
        assert_eq!(Namespaces::default().to_string(), "attribution,eth,net,rpc,web3");
        assert_eq!(parse("ETH,eth").as_deref(), Ok("eth,rpc"));
        assert!(parse("all").is_ok_and(|list| list.starts_with("admin,attribution,debug,eth")));
        let unknown = UnknownNamespace { given: "trace".to_owned() };
        assert_eq!(parse("eth,trace"), Err(unknown));
    }
}
