//! Receipts, and whether they are those of their block.

use crate::{L1Block, L1Error};
use alloy_consensus::{Receipt, ReceiptWithBloom, proofs::ordered_trie_root_with_encoder};
use alloy_eips::eip2718::Encodable2718;
use alloy_network::AnyReceiptEnvelope;
use alloy_primitives::{B256, Log};
use alloy_rpc_types_eth::TransactionReceipt;

/// As the endpoint sends it, whatever its type.
pub(crate) type RpcReceipt = TransactionReceipt<AnyReceiptEnvelope<alloy_rpc_types_eth::Log>>;

/// What a rollup reads of a receipt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct L1Receipt {
    /// Whether the transaction was not reverted.
    pub success: bool,
    /// Its logs. A log's index in the block is the number of logs before it in the block's
    /// receipts.
    pub logs: Vec<Log>,
}

impl L1Receipt {
    /// About what it takes of memory.
    pub(crate) fn size(&self) -> usize {
        let log = |log: &Log| size_of::<Log>() + log.data.data.len() + 32 * log.topics().len();
        size_of::<Self>() + self.logs.iter().map(log).sum::<usize>()
    }
}

/// Takes what is needed out of a block's receipts, after comparing them with its header.
pub(crate) fn check(
    block: &L1Block,
    receipts: Vec<RpcReceipt>,
    trusted: bool,
) -> Result<Vec<L1Receipt>, L1Error> {
    let receipts: Vec<AnyReceiptEnvelope> = receipts.into_iter().map(consensus).collect();
    if !trusted {
        let computed = receipts_root(&receipts);
        let expected = block.header.receipts_root;
        if computed != expected {
            return Err(L1Error::ReceiptsRoot { block: block.hash, expected, computed });
        }
    }
    let receipt = |receipt: AnyReceiptEnvelope| L1Receipt {
        success: receipt.is_success(),
        logs: receipt.inner.receipt.logs,
    };
    Ok(receipts.into_iter().map(receipt).collect())
}

fn receipts_root(receipts: &[AnyReceiptEnvelope]) -> B256 {
    ordered_trie_root_with_encoder(receipts, |receipt, out| receipt.encode_2718(out))
}

fn consensus(receipt: RpcReceipt) -> AnyReceiptEnvelope {
    let AnyReceiptEnvelope { inner, r#type } = receipt.inner;
    let ReceiptWithBloom { receipt, logs_bloom } = inner;
    let Receipt { status, cumulative_gas_used, logs } = receipt;
    let logs = logs.into_iter().map(|log| log.inner).collect();
    let receipt = Receipt { status, cumulative_gas_used, logs };
    AnyReceiptEnvelope { inner: ReceiptWithBloom { receipt, logs_bloom }, r#type }
}
