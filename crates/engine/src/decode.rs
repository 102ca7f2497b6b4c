//! From a payload to a block with senders.

use alloy_consensus::{Block, BlockBody, transaction::SignerRecoverable};
use alloy_eips::Decodable2718;
use alloy_primitives::{Address, B256, Bytes};
use alloy_rpc_types_engine::PayloadError;
use ascribe_txpool::TxPool;
use op_alloy_consensus::{OpBlock, OpTxEnvelope};
use op_alloy_rpc_types_engine::{OpExecutionData, OpPayloadError};
use rayon::prelude::*;
use reth_primitives_traits::RecoveredBlock;

/// Transactions one thread takes at least: a signature costs some 25 microseconds, handing over
/// one or two.
const CHUNK: usize = 4;

/// Turns a payload into a block, checks its hash, and finds who sent its transactions.
///
/// Transactions are decoded and senders recovered on all cores, while one of them computes the
/// transactions root; senders that the pool knows are not recovered again. The error is what the
/// Engine API says under `validationError`.
pub(crate) fn decode(
    data: OpExecutionData,
    pool: &TxPool,
) -> Result<RecoveredBlock<OpBlock>, String> {
    let transactions = data.payload.transactions().clone();
    let (raw, recovered) = rayon::join(|| check_hash(data), || recover_all(&transactions, pool));
    let (raw, hash) = raw.map_err(|error| error.to_string())?;
    let (transactions, senders) = recovered?.into_iter().unzip();
    let body = BlockBody { transactions, ommers: Vec::new(), withdrawals: raw.body.withdrawals };
    Ok(RecoveredBlock::new(Block { header: raw.header, body }, senders, hash))
}

/// Makes the header of a payload and checks that it has the payload's hash.
pub(crate) fn check_hash(data: OpExecutionData) -> Result<(Block<Bytes>, B256), OpPayloadError> {
    let consensus = data.block_hash();
    let block = data.payload.into_block_with_sidecar_raw(&data.sidecar)?;
    let execution = block.header.hash_slow();
    if execution != consensus {
        return Err(PayloadError::BlockHash { execution, consensus }.into());
    }
    Ok((block, execution))
}

fn recover_all(
    transactions: &[Bytes],
    pool: &TxPool,
) -> Result<Vec<(OpTxEnvelope, Address)>, String> {
    transactions
        .par_iter()
        .enumerate()
        .with_min_len(CHUNK)
        .map(|(index, encoded)| {
            recover(encoded, pool)
                .map_err(|reason| format!("invalid transaction {index}: {reason}"))
        })
        .collect()
}

fn recover(encoded: &Bytes, pool: &TxPool) -> Result<(OpTxEnvelope, Address), String> {
    let tx = decode_transaction(encoded)?;
    let sender = match &tx {
        OpTxEnvelope::Deposit(deposit) => deposit.from,
        _ => match pool.sender(&tx.tx_hash()) {
            Some(sender) => sender,
            None => tx.recover_signer().map_err(|error| error.to_string())?,
        },
    };
    Ok((tx, sender))
}

/// Decodes an EIP-2718 transaction that takes up all of `encoded`.
pub(crate) fn decode_transaction(encoded: &Bytes) -> Result<OpTxEnvelope, String> {
    OpTxEnvelope::decode_2718_exact(encoded).map_err(|error| error.to_string())
}
