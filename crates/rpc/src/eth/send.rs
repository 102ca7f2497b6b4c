//! Sending transactions.

use super::{fees::ether, transaction::receipt_json, transaction_args::TransactionArgs};
use crate::{RpcContext, RpcError, error::TX_SYNC_TIMEOUT, hex::Hex};
use alloy_consensus::Transaction;
use alloy_primitives::{Address, B256, Bytes, U256};
use ascribe_txpool::{TransactionOrigin, decode_transaction};
use op_alloy_consensus::OpTxEnvelope;
use serde_json::value::RawValue;
use std::{sync::Arc, time::Duration};
use tokio::{
    sync::broadcast::error::RecvError,
    time::{Instant, timeout_at},
};
use tracing::debug;

impl RpcContext {
    /// Hands a transaction to the pool, after the checks that are the RPC's own.
    fn submit(&self, raw: &Bytes) -> Result<B256, RpcError> {
        let tx = decode_transaction(raw)?;
        self.check_fee(&tx)?;
        if !is_protected(&tx) {
            return Err(RpcError::server(
                "only replay-protected (EIP-155) transactions allowed over RPC",
            ));
        }
        let hash = self.pool.add_unrecovered(tx, TransactionOrigin::External)?;
        debug!(target: "ascribe::rpc", %hash, "Submitted transaction");
        Ok(hash)
    }

    /// Refuses fees that can only be a mistake.
    fn check_fee(&self, tx: &OpTxEnvelope) -> Result<(), RpcError> {
        let cap = self.config.tx_fee_cap;
        if cap == 0 || tx.is_deposit() || tx.is_post_exec() {
            return Ok(());
        }
        let fee = U256::from(tx.max_fee_per_gas()) * U256::from(tx.gas_limit());
        if fee <= U256::from(cap) {
            return Ok(());
        }
        Err(RpcError::server(format!(
            "tx fee ({:.2} ether) exceeds the configured cap ({:.2} ether)",
            ether(fee),
            ether(U256::from(cap))
        )))
    }
}

/// Whether a transaction is good on one chain only.
fn is_protected(tx: &OpTxEnvelope) -> bool {
    !matches!(tx, OpTxEnvelope::Legacy(legacy) if legacy.tx().chain_id.is_none())
}

/// `eth_sendRawTransaction`
pub(super) fn send_raw(context: &RpcContext, (Hex(raw),): (Hex<Bytes>,)) -> Result<B256, RpcError> {
    context.submit(&raw)
}

/// `eth_sendRawTransactionSync`: answers with the receipt once there is one.
pub(super) async fn send_raw_sync(
    context: Arc<RpcContext>,
    (Hex(raw), timeout): (Hex<Bytes>, Option<u64>),
) -> Result<Option<Box<RawValue>>, RpcError> {
    // Listening starts before the transaction can be included.
    let mut updates = context.chain.subscribe();
    let hash = context.submit(&raw)?;
    let timeout = match timeout {
        None | Some(0) => context.config.tx_sync_timeout,
        Some(millis) => Duration::from_millis(millis).min(context.config.tx_sync_max_timeout),
    };
    let deadline = Instant::now() + timeout;
    let timed_out = || {
        let text = format!(
            "The transaction was added to the transaction pool but wasn't processed in {timeout:?}"
        );
        RpcError::new(TX_SYNC_TIMEOUT, text).with_data(&hash)
    };
    if let Some(receipt) = context.receipt(hash)? {
        return Ok(Some(receipt));
    }
    loop {
        match timeout_at(deadline, updates.recv()).await.map_err(|_| timed_out())? {
            Ok(update) => {
                for block in &update.new {
                    let mut transactions = block.block.body().transactions.iter();
                    if let Some(index) = transactions.position(|tx| tx.tx_hash() == hash) {
                        return receipt_json(&context, block, index);
                    }
                }
            }
            Err(RecvError::Lagged(_)) => {
                if let Some(receipt) = context.receipt(hash)? {
                    return Ok(Some(receipt));
                }
            }
            Err(RecvError::Closed) => {
                return Err(RpcError::server("chain subscription closed"));
            }
        }
    }
}

/// What geth answers when it is asked to sign: this node holds no keys.
fn unknown_account<T>() -> Result<T, RpcError> {
    Err(RpcError::server("unknown account"))
}

/// `eth_accounts`
pub(super) fn accounts(_: &RpcContext, (): ()) -> Result<[Address; 0], RpcError> {
    Ok([])
}

/// `eth_sign`
pub(super) fn sign(_: &RpcContext, _: (Hex<Address>, Hex<Bytes>)) -> Result<Bytes, RpcError> {
    unknown_account()
}

/// `eth_sendTransaction`
pub(super) fn send_transaction(_: &RpcContext, _: (TransactionArgs,)) -> Result<B256, RpcError> {
    unknown_account()
}

/// `eth_signTransaction`
pub(super) fn sign_transaction(
    _: &RpcContext,
    (args,): (TransactionArgs,),
) -> Result<(), RpcError> {
    if args.gas.is_none() {
        return Err(RpcError::server("gas not specified"));
    }
    let priced = args.max_fee_per_gas.is_some() && args.max_priority_fee_per_gas.is_some();
    if args.gas_price.is_none() && !priced {
        return Err(RpcError::server("missing gasPrice or maxFeePerGas/maxPriorityFeePerGas"));
    }
    if args.blob_versioned_hashes.is_some() || args.max_fee_per_blob_gas.is_some() {
        return Err(RpcError::server("signing blob transactions not supported"));
    }
    if args.nonce.is_none() {
        return Err(RpcError::server("nonce not specified"));
    }
    unknown_account()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{SignableTransaction, TxEip1559, TxLegacy};
    use alloy_primitives::Signature;

    #[test]
    fn only_old_legacy_transactions_are_unprotected() {
        let signature = Signature::new(U256::from(1), U256::from(1), false);
        let legacy = |chain_id| {
            OpTxEnvelope::Legacy(
                TxLegacy { chain_id, ..TxLegacy::default() }.into_signed(signature),
            )
        };
        assert!(!is_protected(&legacy(None)) && is_protected(&legacy(Some(901))));
        let dynamic = OpTxEnvelope::Eip1559(TxEip1559::default().into_signed(signature));
        assert!(is_protected(&dynamic));
    }
}
