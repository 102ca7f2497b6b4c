//! `eth_subscribe`.

use super::{
    filter::{FilterId, check_followed, followed_logs},
    follow::{Cursor, Steps},
    json::{BlockReceipts, HeadJson, HeaderJson, ReceiptJson},
    logs::{BlockLogs, LogFilter},
    transaction::pooled_json,
};
use crate::{
    RpcContext, RpcError,
    args::{Args, invalid},
    attribution::BatchFilter,
    error::METHOD_NOT_FOUND,
    hex::Hex,
};
use alloy_primitives::B256;
use jsonrpsee::{
    PendingSubscriptionSink, RpcModule, SubscriptionSink,
    core::traits::IdProvider,
    types::{Params, SubscriptionId},
};
use serde::{Deserialize, Serialize};
use serde_json::value::to_raw_value;
use std::{collections::BTreeSet, sync::Arc};
use tokio::sync::broadcast::error::RecvError;
use tracing::debug;

/// Blocks that a subscription takes in one go.
const STEP: u64 = 64;
/// Hashes that a subscription to receipts may name.
const MAX_TX_HASHES: usize = 200;

/// What is subscribed to.
#[derive(Debug)]
enum Kind {
    NewHeads,
    Logs(LogFilter),
    NewPendingTransactions {
        whole: bool,
    },
    Syncing,
    /// Of these transactions, or of all.
    TransactionReceipts(BTreeSet<B256>),
    /// Settled batches of attribution records.
    Attribution(BatchFilter),
}

impl Kind {
    fn parse(params: &Params<'_>) -> Result<Self, RpcError> {
        let args = Args::parse(params, usize::MAX)?;
        let name: String = args
            .get(0)
            .and_then(|name| serde_json::from_str(name.get()).ok())
            .ok_or_else(|| invalid("expected subscription name as first argument"))?;
        let at_most = |count| Args::parse(params, count);
        match name.as_str() {
            "newHeads" => at_most(1).map(|_| Self::NewHeads),
            "syncing" => at_most(1).map(|_| Self::Syncing),
            "logs" => {
                let filter: LogFilter = at_most(2)?.required(1)?;
                check_followed(&filter)?;
                Ok(Self::Logs(filter))
            }
            "newPendingTransactions" => {
                let whole = at_most(2)?.optional(1)?;
                Ok(Self::NewPendingTransactions { whole: whole.unwrap_or_default() })
            }
            "transactionReceipts" => {
                #[derive(Default, Deserialize)]
                #[serde(rename_all = "camelCase")]
                struct Query {
                    #[serde(default)]
                    transaction_hashes: Option<Vec<Hex<B256>>>,
                }
                let query: Option<Query> = at_most(2)?.optional(1)?;
                let hashes = query.and_then(|query| query.transaction_hashes).unwrap_or_default();
                if hashes.len() > MAX_TX_HASHES {
                    return Err(RpcError::server(
                        "exceed max number of transaction hashes allowed per transactionReceipts subscription",
                    ));
                }
                Ok(Self::TransactionReceipts(hashes.into_iter().map(|Hex(hash)| hash).collect()))
            }
            "attribution" => {
                let filter: Option<BatchFilter> = at_most(2)?.optional(1)?;
                Ok(Self::Attribution(filter.unwrap_or_default()))
            }
            other => {
                let text = format!("no {other:?} subscription in eth namespace");
                return Err(RpcError::new(METHOD_NOT_FOUND, text));
            }
        }
        .map_err(Into::into)
    }
}

/// Registers `eth_subscribe` and `eth_unsubscribe`.
pub(super) fn register(module: &mut RpcModule<RpcContext>) {
    module
        .register_subscription(
            "eth_subscribe",
            "eth_subscription",
            "eth_unsubscribe",
            |params, pending, context, _| subscribe(params, pending, context),
        )
        .map(|_| ())
        .expect("invariant: no method is registered twice");
}

async fn subscribe(
    params: Params<'static>,
    pending: PendingSubscriptionSink,
    context: Arc<RpcContext>,
) {
    let kind = match Kind::parse(&params) {
        Ok(kind) => kind,
        Err(error) => return pending.reject(error).await,
    };
    // What happens from here on is reported, also what happens before the answer is sent.
    let cursor = Cursor::at_head(&context);
    let updates = context.chain.subscribe();
    let transactions = matches!(kind, Kind::NewPendingTransactions { .. })
        .then(|| context.pool.subscribe_pending());
    let Ok(sink) = pending.accept().await else { return };
    let ended = match kind {
        Kind::Syncing => match send(&sink, &false).await {
            Ok(()) => {
                sink.closed().await;
                Ok(())
            }
            Err(end) => Err(end),
        },
        Kind::NewPendingTransactions { whole } => match transactions {
            Some(transactions) => pending_transactions(&sink, transactions, whole).await,
            None => Ok(()),
        },
        kind => follow(&sink, &context, cursor, updates, &kind).await,
    };
    if let Err(End::Failed(error)) = ended {
        debug!(target: "ascribe::rpc", %error, "Subscription failed");
    }
}

/// Why a subscription is over.
enum End {
    /// Nobody listens any more.
    Closed,
    /// The chain could not be read.
    Failed(RpcError),
}

impl From<RpcError> for End {
    fn from(error: RpcError) -> Self {
        Self::Failed(error)
    }
}

async fn send(sink: &SubscriptionSink, value: &impl Serialize) -> Result<(), End> {
    let json =
        to_raw_value(value).map_err(|error| End::Failed(RpcError::internal(error.to_string())))?;
    sink.send(json).await.map_err(|_| End::Closed)
}

/// Reports blocks. The updates only say *that* something happened: what, the cursor finds, so a
/// client that is slow gets everything, later.
async fn follow(
    sink: &SubscriptionSink,
    context: &RpcContext,
    mut cursor: Cursor,
    mut updates: tokio::sync::broadcast::Receiver<Arc<ascribe_engine::CanonUpdate>>,
    kind: &Kind,
) -> Result<(), End> {
    loop {
        loop {
            let steps = cursor.advance(context, STEP)?;
            if steps.is_empty() {
                break;
            }
            report(sink, context, steps, kind).await?;
        }
        tokio::select! {
            () = sink.closed() => return Err(End::Closed),
            woken = updates.recv() => if matches!(woken, Err(RecvError::Closed)) {
                return Ok(());
            },
        }
    }
}

async fn report(
    sink: &SubscriptionSink,
    context: &RpcContext,
    steps: Steps,
    kind: &Kind,
) -> Result<(), End> {
    match kind {
        Kind::NewHeads => {
            for block in &steps.added {
                let header = HeaderJson { header: block.block.header(), hash: block.block.hash() };
                send(sink, &HeadJson(header)).await?;
            }
        }
        Kind::Logs(filter) => {
            let found = followed_logs(filter, steps);
            for log in found.0.iter().flat_map(BlockLogs::iter) {
                send(sink, &log).await?;
            }
        }
        Kind::TransactionReceipts(hashes) => {
            for block in &steps.added {
                let all = BlockReceipts::new(&context.spec, &block.block, &block.receipts);
                let transactions = &block.block.body().transactions;
                let wanted: Vec<ReceiptJson<'_>> = all
                    .iter()
                    .zip(transactions)
                    .filter(|(_, tx)| hashes.is_empty() || hashes.contains(&tx.tx_hash()))
                    .map(|(receipt, _)| receipt)
                    .collect();
                if !wanted.is_empty() {
                    send(sink, &wanted).await?;
                }
            }
        }
        Kind::Attribution(filter) => {
            for notice in filter.notices(context, &steps)? {
                send(sink, &notice).await?;
            }
        }
        Kind::NewPendingTransactions { .. } | Kind::Syncing => {}
    }
    Ok(())
}

async fn pending_transactions(
    sink: &SubscriptionSink,
    mut transactions: tokio::sync::broadcast::Receiver<Arc<ascribe_txpool::PooledTx>>,
    whole: bool,
) -> Result<(), End> {
    loop {
        let tx = tokio::select! {
            () = sink.closed() => return Err(End::Closed),
            tx = transactions.recv() => match tx {
                Ok(tx) => tx,
                // The oldest are lost to a client that is slower than the pool.
                Err(RecvError::Lagged(_)) => continue,
                Err(RecvError::Closed) => return Ok(()),
            },
        };
        if whole {
            send(sink, &pooled_json(&tx)).await?;
        } else {
            send(sink, &tx.hash).await?;
        }
    }
}

/// Names subscriptions as geth does: random hexadecimal numbers.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct HexIds;

impl IdProvider for HexIds {
    fn next_id(&self) -> SubscriptionId<'static> {
        SubscriptionId::Str(FilterId::random().into_string().into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(params: &str) -> Result<Kind, (i32, String)> {
        Kind::parse(&Params::new(Some(params)))
            .map_err(|error| (error.code(), error.message().to_owned()))
    }

    #[test]
    fn kinds() {
        assert!(matches!(parse(r#"["newHeads"]"#), Ok(Kind::NewHeads)));
        assert!(matches!(parse(r#"["logs",{}]"#), Ok(Kind::Logs(_))));
        assert!(matches!(parse(r#"["attribution"]"#), Ok(Kind::Attribution(_))));
        let pending = parse(r#"["newPendingTransactions",true]"#);
        assert!(matches!(pending, Ok(Kind::NewPendingTransactions { whole: true })));
        let receipts = parse(r#"["transactionReceipts"]"#);
        assert!(matches!(receipts, Ok(Kind::TransactionReceipts(hashes)) if hashes.is_empty()));
    }

    #[test]
    fn others_are_refused_in_geths_words() {
        let refused = |params| parse(params).expect_err("it is refused");
        assert_eq!(
            refused(r#"["blocks"]"#),
            (-32601, r#"no "blocks" subscription in eth namespace"#.to_owned())
        );
        assert_eq!(
            refused("[5]"),
            (-32602, "expected subscription name as first argument".to_owned())
        );
        assert_eq!(
            refused(r#"["logs"]"#),
            (-32602, "missing value for required argument 1".to_owned())
        );
        assert_eq!(refused(r#"["newHeads",1]"#).0, -32602);
    }
}
