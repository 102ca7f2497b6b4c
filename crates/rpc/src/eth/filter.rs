//! Filters that are installed and polled.

use super::{
    follow::Cursor,
    logs::{Blocks, FoundLogs, LogFilter},
    transaction::pooled_json,
};
use crate::{RpcConfig, RpcContext, RpcError};
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{B256, TxHash};
use ascribe_txpool::PooledTx;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use serde_json::value::{RawValue, to_raw_value};
use std::{
    collections::HashMap,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::broadcast::{self, error::TryRecvError};

/// The name of a filter: a random number that nobody else can guess.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct FilterId(String);

impl FilterId {
    pub(super) fn random() -> Self {
        Self(format!("{:#x}", u128::from_be_bytes(alloy_primitives::B128::random().0)))
    }

    pub(super) fn into_string(self) -> String {
        self.0
    }
}

/// What a filter watches.
#[derive(Debug)]
enum Watched {
    /// New blocks.
    Blocks(Cursor),
    /// Logs of new blocks.
    Logs(Arc<LogFilter>, Cursor),
    /// Transactions that become executable.
    Pending { incoming: broadcast::Receiver<Arc<PooledTx>>, whole: bool },
}

#[derive(Debug)]
struct Filter {
    watched: Watched,
    polled: Instant,
}

/// All filters of all clients. One that nobody polls is dropped after a while.
#[derive(Debug)]
pub(crate) struct Filters {
    installed: Mutex<HashMap<FilterId, Arc<Mutex<Filter>>>>,
    ttl: Duration,
    max: usize,
}

impl Filters {
    pub(crate) fn new(config: &RpcConfig) -> Self {
        Self { installed: Mutex::default(), ttl: config.filter_ttl, max: config.max_filters }
    }

    fn install(&self, watched: Watched) -> Result<FilterId, RpcError> {
        let mut installed = self.installed.lock();
        if installed.len() >= self.max {
            installed.retain(|_, filter| {
                filter.try_lock().is_none_or(|filter| filter.polled.elapsed() < self.ttl)
            });
        }
        if installed.len() >= self.max {
            return Err(RpcError::limit_exceeded(format!("too many filters (max {})", self.max)));
        }
        let id = FilterId::random();
        let filter = Filter { watched, polled: Instant::now() };
        installed.insert(id.clone(), Arc::new(Mutex::new(filter)));
        Ok(id)
    }

    /// A filter that is installed and has not run out.
    fn get(&self, id: &FilterId) -> Result<Arc<Mutex<Filter>>, RpcError> {
        let filter = self.installed.lock().get(id).cloned();
        let filter = filter.ok_or_else(not_found)?;
        let expired = filter.lock().polled.elapsed() >= self.ttl;
        if expired {
            self.installed.lock().remove(id);
            return Err(not_found());
        }
        Ok(filter)
    }
}

fn not_found() -> RpcError {
    RpcError::server("filter not found")
}

/// Whether logs can be followed with this range: from a block on, or between two.
pub(super) fn check_followed(filter: &LogFilter) -> Result<(), RpcError> {
    use BlockNumberOrTag::{Earliest, Latest, Number, Pending};
    filter.check()?;
    let Blocks::Range(from, to) = filter.blocks else { return Ok(()) };
    let from = match from.unwrap_or(Latest) {
        Earliest => Number(0),
        from => from,
    };
    match (from, to.unwrap_or(Latest)) {
        (Pending, _) | (_, Pending) => {
            Err(RpcError::invalid_params("pending logs are not supported"))
        }
        (Latest | Number(_), Latest) => Ok(()),
        (Number(from), Number(to)) if from <= to => Ok(()),
        _ => Err(RpcError::invalid_params("invalid block range params")),
    }
}

/// `eth_newFilter`
pub(super) fn new_filter(
    context: &RpcContext,
    (filter,): (LogFilter,),
) -> Result<FilterId, RpcError> {
    check_followed(&filter)?;
    let watched = Watched::Logs(Arc::new(filter), Cursor::at_head(context));
    context.eth.filters.install(watched)
}

/// `eth_newBlockFilter`
pub(super) fn new_block_filter(context: &RpcContext, (): ()) -> Result<FilterId, RpcError> {
    context.eth.filters.install(Watched::Blocks(Cursor::at_head(context)))
}

/// `eth_newPendingTransactionFilter`
pub(super) fn new_pending_filter(
    context: &RpcContext,
    (whole,): (Option<bool>,),
) -> Result<FilterId, RpcError> {
    let incoming = context.pool.subscribe_pending();
    let whole = whole.unwrap_or_default();
    context.eth.filters.install(Watched::Pending { incoming, whole })
}

/// `eth_uninstallFilter`
pub(super) fn uninstall(context: &RpcContext, (id,): (FilterId,)) -> Result<bool, RpcError> {
    Ok(context.eth.filters.installed.lock().remove(&id).is_some())
}

/// `eth_getFilterChanges`
pub(super) fn changes(context: &RpcContext, (id,): (FilterId,)) -> Result<Box<RawValue>, RpcError> {
    let filter = context.eth.filters.get(&id)?;
    let mut filter = filter.lock();
    filter.polled = Instant::now();
    let json = match &mut filter.watched {
        Watched::Blocks(cursor) => {
            let steps = cursor.advance(context, limit(context))?;
            let hashes: Vec<B256> = steps.added.iter().map(|block| block.block.hash()).collect();
            to_raw_value(&hashes)
        }
        Watched::Logs(wanted, cursor) => {
            let steps = cursor.advance(context, limit(context))?;
            to_raw_value(&followed_logs(wanted, steps))
        }
        Watched::Pending { incoming, whole } => {
            let transactions = drain(incoming);
            if *whole {
                let transactions: Vec<_> = transactions.iter().map(|tx| pooled_json(tx)).collect();
                to_raw_value(&transactions)
            } else {
                let hashes: Vec<TxHash> = transactions.iter().map(|tx| tx.hash).collect();
                to_raw_value(&hashes)
            }
        }
    };
    json.map_err(|error| RpcError::internal(error.to_string()))
}

/// Blocks that one poll goes through at most; the next poll goes on.
fn limit(context: &RpcContext) -> u64 {
    match context.config.max_blocks_per_filter {
        0 => u64::MAX,
        most => most,
    }
}

/// The logs of blocks that left and joined the chain, those that are gone first.
pub(super) fn followed_logs(filter: &LogFilter, steps: super::follow::Steps) -> FoundLogs {
    let removed = steps.removed.into_iter().map(|block| (block, true));
    let added = steps.added.into_iter().map(|block| (block, false));
    let covered = removed
        .chain(added)
        .filter(|(block, _)| filter.covers(block.block.header().number))
        .map(|(block, removed)| filter.in_block(block, removed));
    FoundLogs(covered.filter(|logs| logs.len() > 0).collect())
}

fn drain(incoming: &mut broadcast::Receiver<Arc<PooledTx>>) -> Vec<Arc<PooledTx>> {
    let mut transactions = Vec::new();
    loop {
        match incoming.try_recv() {
            Ok(tx) => transactions.push(tx),
            // The oldest are lost to who polls too rarely.
            Err(TryRecvError::Lagged(_)) => {}
            Err(TryRecvError::Empty | TryRecvError::Closed) => return transactions,
        }
    }
}

/// `eth_getFilterLogs`: all that a log filter asks for, from the start.
pub(super) fn logs(context: &RpcContext, (id,): (FilterId,)) -> Result<FoundLogs, RpcError> {
    let filter = context.eth.filters.get(&id)?;
    let wanted = match &filter.lock().watched {
        Watched::Logs(wanted, _) => wanted.clone(),
        Watched::Blocks(_) | Watched::Pending { .. } => return Err(not_found()),
    };
    context.find_logs(&wanted)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn range(from: Option<&str>, to: Option<&str>) -> LogFilter {
        let mut json = serde_json::Map::new();
        for (name, tag) in [("fromBlock", from), ("toBlock", to)] {
            if let Some(tag) = tag {
                json.insert(name.to_owned(), tag.into());
            }
        }
        serde_json::from_str(&serde_json::Value::Object(json).to_string()).expect("a filter")
    }

    fn filters(max_filters: usize, ttl: Duration) -> Filters {
        Filters::new(&RpcConfig { max_filters, filter_ttl: ttl, ..RpcConfig::default() })
    }

    fn pending() -> Watched {
        let (_, incoming) = broadcast::channel(1);
        Watched::Pending { incoming, whole: false }
    }

    #[test]
    fn filters_are_bounded_and_run_out() {
        let ttl = Duration::from_secs(60);
        let filters = filters(2, ttl);
        let old = filters.install(pending()).expect("there is room");
        let kept = filters.install(pending()).expect("there is room");
        assert_eq!(filters.install(pending()).expect_err("it is full").code(), -32005);

        let age = |id: &FilterId| {
            let filter = filters.get(id).expect("it is installed");
            let mut filter = filter.lock();
            filter.polled = filter.polled.checked_sub(ttl).expect("a clock older than a minute");
        };
        age(&old);
        // What ran out makes room, and what did not stays.
        let new = filters.install(pending()).expect("there is room again");
        assert_eq!(filters.get(&old).expect_err("it ran out").message(), "filter not found");
        assert!(filters.get(&kept).is_ok());
        age(&new);
        assert_eq!(filters.get(&new).expect_err("it ran out").message(), "filter not found");
        assert_eq!(filters.installed.lock().len(), 1);
    }

    #[test]
    fn ids_are_numbers_without_leading_zeros() {
        let FilterId(id) = FilterId::random();
        let digits = id.strip_prefix("0x").expect("it is hexadecimal");
        assert!(digits.len() <= 32 && !digits.starts_with('0'));
        assert_ne!(FilterId(id), FilterId::random());
    }

    #[test]
    fn what_may_be_followed() {
        let check = |from, to| check_followed(&range(from, to)).map_err(|error| error.code());
        for (from, to) in [
            (None, None),
            (Some("0x1"), None),
            (Some("0x1"), Some("0x2")),
            (Some("earliest"), Some("latest")),
        ] {
            assert_eq!(check(from, to), Ok(()), "{from:?} {to:?}");
        }
        for (from, to) in [
            (Some("pending"), None),
            (Some("0x2"), Some("0x1")),
            (None, Some("0x5")),
            (Some("safe"), None),
        ] {
            assert_eq!(check(from, to), Err(-32602), "{from:?} {to:?}");
        }
    }
}
