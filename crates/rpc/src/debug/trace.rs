//! `debug_trace…`.

use std::sync::{Arc, atomic::AtomicBool};

use alloy_consensus::transaction::SignerRecoverable;
use alloy_primitives::{B256, Bytes};
use alloy_rlp::Decodable;
use op_alloy_consensus::{OpBlock, OpTxEnvelope};
use reth_primitives_traits::RecoveredBlock;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{
    call::{CallSite, trace_call},
    options::{TraceCallOptions, TraceOptions},
    replay::{Replay, Tracing},
    stack,
};
use crate::{
    RpcContext, RpcError,
    eth::{
        block_id::{BlockNumber, BlockRef},
        transaction_args::TransactionArgs,
    },
    hex::Hex,
    method::Registry,
};

pub(super) fn register(registry: &mut Registry) {
    type Trace<T> = (T, Option<TraceOptions>);
    registry.waiting(
        "debug_traceTransaction",
        |context: Arc<RpcContext>, (Hex(hash), options): Trace<Hex<B256>>| async move {
            run(context, options, move |context, tracing| transaction(context, hash, &tracing))
                .await
        },
    );
    registry.waiting(
        "debug_traceBlockByNumber",
        |context: Arc<RpcContext>, (number, options): Trace<BlockNumber>| async move {
            run(context, options, move |context, tracing| {
                block(context, &*block_by_number(context, number)?, &tracing)
            })
            .await
        },
    );
    registry.waiting(
        "debug_traceBlockByHash",
        |context: Arc<RpcContext>, (Hex(hash), options): Trace<Hex<B256>>| async move {
            run(context, options, move |context, tracing| {
                block(context, &*block_by_hash(context, hash)?, &tracing)
            })
            .await
        },
    );
    registry.waiting(
        "debug_traceBlock",
        |context: Arc<RpcContext>, (Hex(rlp), options): Trace<Hex<Bytes>>| async move {
            run(context, options, move |context, tracing| {
                block(context, &decode_block(&rlp)?, &tracing)
            })
            .await
        },
    );
    type Call = (TransactionArgs, BlockRef, Option<TraceCallOptions>);
    registry.waiting(
        "debug_traceCall",
        |context: Arc<RpcContext>, (args, at, options): Call| async move {
            let (site, trace) = CallSite::new(at, options.unwrap_or_default());
            run(context, Some(trace), move |context, tracing| {
                trace_call(context, &args, &site, &tracing)
            })
            .await
        },
    );
}

async fn run<T: Send + 'static>(
    context: Arc<RpcContext>,
    options: Option<TraceOptions>,
    work: impl FnOnce(&RpcContext, Tracing) -> Result<T, RpcError> + Send + 'static,
) -> Result<T, RpcError> {
    let shared = context.clone();
    stack::run(&shared, move |cancelled: Arc<AtomicBool>| {
        let options = options.unwrap_or_default();
        let max_size = context.config.max_response_size as usize;
        work(&context, Tracing { options, max_size, cancelled })
    })
    .await
}

/// The trace of one transaction of a block, or why there is none.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct TxTrace {
    tx_hash: B256,
    #[serde(skip_serializing_if = "Option::is_none")]
    result: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
}

pub(super) fn not_traceable() -> RpcError {
    RpcError::server("genesis is not traceable")
}

fn transaction(
    context: &RpcContext,
    hash: B256,
    tracing: &Tracing,
) -> Result<Box<RawValue>, RpcError> {
    let (block, index) = context
        .chain
        .transaction(hash)?
        .ok_or_else(|| RpcError::server("transaction not found"))?;
    if block.header().number == 0 {
        return Err(not_traceable());
    }
    let mut replay = Replay::new(context, &block)?;
    replay.run_to(index)?;
    replay.trace_next(tracing)
}

fn block(
    context: &RpcContext,
    block: &RecoveredBlock<OpBlock>,
    tracing: &Tracing,
) -> Result<Vec<TxTrace>, RpcError> {
    if block.header().number == 0 {
        return Err(not_traceable());
    }
    parent(context, block)?;
    if let Some(error) = tracing.options.unknown_tracer() {
        // As geth has it: what it takes for JavaScript fails for each transaction alone.
        let failed = |tx: &OpTxEnvelope| TxTrace {
            tx_hash: tx.tx_hash(),
            result: None,
            error: Some(error.clone()),
        };
        return Ok(block.body().transactions.iter().map(failed).collect());
    }
    let mut replay = Replay::new(context, block)?;
    let mut left = tracing.max_size;
    let traces = block.body().transactions.iter().map(|tx| {
        let result = replay.trace_next(tracing)?;
        left = left.checked_sub(result.get().len()).ok_or_else(|| {
            RpcError::server(format!("trace exceeds the limit of {} bytes", tracing.max_size))
        })?;
        Ok(TxTrace { tx_hash: tx.tx_hash(), result: Some(result), error: None })
    });
    traces.collect()
}

/// Refuses a block whose parent is not there, as geth does.
fn parent(context: &RpcContext, block: &RecoveredBlock<OpBlock>) -> Result<(), RpcError> {
    let (hash, number) = (block.header().parent_hash, block.header().number - 1);
    if context.chain.number_of(hash)?.is_some() {
        return Ok(());
    }
    Err(RpcError::server(match context.chain.canonical_hash(number)? {
        Some(_) => format!("block {hash} not found"),
        None => format!("block #{number} not found"),
    }))
}

pub(super) fn block_by_number(
    context: &RpcContext,
    BlockNumber(number): BlockNumber,
) -> Result<Arc<RecoveredBlock<OpBlock>>, RpcError> {
    let found = match context.numbered(number)? {
        Some(block) => context.chain.block_by_hash(block.hash)?,
        None => None,
    };
    found.ok_or_else(|| {
        let number = number.as_number().unwrap_or_default();
        RpcError::server(format!("block #{number} not found"))
    })
}

pub(super) fn block_by_hash(
    context: &RpcContext,
    hash: B256,
) -> Result<Arc<RecoveredBlock<OpBlock>>, RpcError> {
    let block = context.chain.block_by_hash(hash)?;
    block.ok_or_else(|| RpcError::server(format!("block {hash} not found")))
}

/// A block that the caller has, whether or not the chain has it. Its parent's state must be there.
fn decode_block(rlp: &Bytes) -> Result<RecoveredBlock<OpBlock>, RpcError> {
    let refused = |error: String| RpcError::server(format!("could not decode block: {error}"));
    let mut rest = rlp.as_ref();
    let block = OpBlock::decode(&mut rest).map_err(|error| refused(error.to_string()))?;
    if !rest.is_empty() {
        return Err(refused("rlp: input contains more than one value".to_owned()));
    }
    let sender = |tx: &OpTxEnvelope| match tx {
        OpTxEnvelope::Deposit(deposit) => Ok(deposit.from),
        other => other.recover_signer().map_err(|error| refused(error.to_string())),
    };
    let senders = block.body.transactions.iter().map(sender).collect::<Result<_, _>>()?;
    Ok(RecoveredBlock::new_unhashed(block, senders))
}
