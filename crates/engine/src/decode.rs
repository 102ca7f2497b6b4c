//! From a payload to a block, before anybody knows who sent its transactions.

use alloy_consensus::{Block, BlockBody};
use alloy_eips::Decodable2718;
use alloy_primitives::{B256, Bytes};
use alloy_rpc_types_engine::PayloadError;
use op_alloy_consensus::{OpBlock, OpTxEnvelope};
use op_alloy_rpc_types_engine::{OpExecutionData, OpPayloadError};
use rayon::prelude::*;
use reth_primitives_traits::SealedBlock;

/// Transactions one thread takes at least: decoding one, with its hash, costs about a microsecond.
const CHUNK: usize = 64;

/// A payload's block, with its transactions also as they came.
#[derive(Debug)]
pub(crate) struct DecodedPayload {
    pub(crate) block: SealedBlock<OpBlock>,
    pub(crate) encoded: Vec<Bytes>,
}

/// Turns a payload into a block and checks its hash.
///
/// Transactions are decoded on all cores, while one of them computes the transactions root. The
/// error is what the Engine API says under `validationError`.
pub(crate) fn decode(data: OpExecutionData) -> Result<DecodedPayload, String> {
    let encoded = data.payload.transactions().clone();
    let (raw, transactions) = rayon::join(|| check_hash(data), || decode_all(&encoded));
    let (raw, hash) = raw.map_err(|error| error.to_string())?;
    let transactions = transactions?;
    let body = BlockBody { transactions, ommers: Vec::new(), withdrawals: raw.body.withdrawals };
    let block = SealedBlock::new_unchecked(Block { header: raw.header, body }, hash);
    Ok(DecodedPayload { block, encoded })
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

fn decode_all(transactions: &[Bytes]) -> Result<Vec<OpTxEnvelope>, String> {
    transactions
        .par_iter()
        .enumerate()
        .with_min_len(CHUNK)
        .map(|(index, encoded)| {
            let tx = decode_transaction(encoded)
                .map_err(|reason| format!("invalid transaction {index}: {reason}"))?;
            // Kept in the transaction: asked for again and again.
            tx.tx_hash();
            Ok(tx)
        })
        .collect()
}

/// Decodes an EIP-2718 transaction that takes up all of `encoded`.
pub(crate) fn decode_transaction(encoded: &Bytes) -> Result<OpTxEnvelope, String> {
    OpTxEnvelope::decode_2718_exact(encoded).map_err(|error| error.to_string())
}
