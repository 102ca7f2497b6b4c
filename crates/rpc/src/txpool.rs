//! `txpool_`: what waits to be included.

use crate::{RpcContext, RpcError, eth::TransactionJson, hex::Hex, method::Registry};
use alloy_consensus::Transaction;
use alloy_primitives::Address;
use ascribe_txpool::{AccountContent, PooledTx};
use serde::{Serialize, Serializer};
use std::{collections::BTreeMap, sync::Arc};

/// Adds the namespace.
pub(crate) fn register(methods: &mut Registry) {
    methods.light("txpool_status", status);
    methods.heavy("txpool_content", content);
    methods.light("txpool_contentFrom", content_from);
    methods.heavy("txpool_inspect", inspect);
}

/// Something of the transactions that could be included, and of those behind a gap.
#[derive(Debug, Default, Serialize)]
struct Parts<T> {
    pending: T,
    queued: T,
}

/// By sender, in mixed case, and nonce, in decimal.
type BySender<T> = BTreeMap<String, ByNonce<T>>;
type ByNonce<T> = BTreeMap<String, T>;

fn status(context: &RpcContext, (): ()) -> Result<Parts<Hex<u64>>, RpcError> {
    let status = context.pool.status();
    Ok(Parts { pending: Hex(status.executable() as u64), queued: Hex(status.queued.count as u64) })
}

/// A transaction as `eth_getTransactionByHash` shows it.
#[derive(Debug)]
struct Whole(Arc<PooledTx>);

impl Serialize for Whole {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        TransactionJson::pending(self.0.tx.inner(), self.0.sender()).serialize(serializer)
    }
}

/// A transaction in one line.
fn line(tx: &PooledTx) -> String {
    let (value, gas, price) = (tx.tx.value(), tx.tx.gas_limit(), tx.tx.max_fee_per_gas());
    match tx.tx.to() {
        Some(to) => format!("{to}: {value} wei + {gas} gas × {price} wei"),
        None => format!("contract creation: {value} wei + {gas} gas × {price} wei"),
    }
}

fn by_nonce<T>(transactions: Vec<Arc<PooledTx>>, show: impl Fn(Arc<PooledTx>) -> T) -> ByNonce<T> {
    transactions.into_iter().map(|tx| (tx.nonce().to_string(), show(tx))).collect()
}

fn by_sender<T>(
    context: &RpcContext,
    show: impl Fn(Arc<PooledTx>) -> T + Copy,
) -> Parts<BySender<T>> {
    let mut parts = Parts { pending: BySender::new(), queued: BySender::new() };
    for (sender, AccountContent { pending, queued }) in context.pool.content() {
        let name = |sender: Address| sender.to_checksum(None);
        if !pending.is_empty() {
            parts.pending.insert(name(sender), by_nonce(pending, show));
        }
        if !queued.is_empty() {
            parts.queued.insert(name(sender), by_nonce(queued, show));
        }
    }
    parts
}

fn content(context: &RpcContext, (): ()) -> Result<Parts<BySender<Whole>>, RpcError> {
    Ok(by_sender(context, Whole))
}

fn inspect(context: &RpcContext, (): ()) -> Result<Parts<BySender<String>>, RpcError> {
    Ok(by_sender(context, |tx| line(&tx)))
}

fn content_from(
    context: &RpcContext,
    (Hex(sender),): (Hex<Address>,),
) -> Result<Parts<ByNonce<Whole>>, RpcError> {
    let AccountContent { pending, queued } = context.pool.content_from(sender);
    Ok(Parts { pending: by_nonce(pending, Whole), queued: by_nonce(queued, Whole) })
}
