//! Receipts: made without blooms, hashed with them.

use alloy_consensus::{
    Eip658Value, Eip2718EncodableReceipt, Receipt, TxReceipt, proofs::ordered_trie_root_encoded,
};
use alloy_op_hardforks::OpHardforks;
use alloy_primitives::{B256, Bloom, Log};
use op_alloy_consensus::{OpDepositReceipt, OpReceipt, OpTxType};
use rayon::prelude::*;

/// Below this many receipts, handing them to other threads costs more than it gains.
const PARALLEL_THRESHOLD: usize = 16;

/// What only deposits' receipts hold.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct DepositFields {
    /// The sender's nonce before the deposit, from Regolith on.
    pub(crate) nonce: Option<u64>,
    /// 1 from Canyon on.
    pub(crate) version: Option<u64>,
}

/// Makes the receipt of one transaction.
pub(crate) fn receipt(
    ty: OpTxType,
    success: bool,
    cumulative_gas_used: u64,
    logs: Vec<Log>,
    deposit: DepositFields,
) -> OpReceipt {
    let receipt = Receipt { status: Eip658Value::Eip658(success), cumulative_gas_used, logs };
    match ty {
        OpTxType::Legacy => OpReceipt::Legacy(receipt),
        OpTxType::Eip2930 => OpReceipt::Eip2930(receipt),
        OpTxType::Eip1559 => OpReceipt::Eip1559(receipt),
        OpTxType::Eip7702 => OpReceipt::Eip7702(receipt),
        OpTxType::PostExec => OpReceipt::PostExec(receipt),
        OpTxType::Deposit => OpReceipt::Deposit(OpDepositReceipt {
            inner: receipt,
            deposit_nonce: deposit.nonce,
            deposit_receipt_version: deposit.version,
        }),
    }
}

/// The header's receipts root and logs bloom, encoding and hashing logs on all cores.
///
/// Between Regolith and Canyon a deposit's receipt *has* a nonce but is hashed without it; that was
/// a slip in the first implementation, and Canyon's `depositReceiptVersion` marks the receipts
/// hashed in full (specs: `canyon/overview.md`).
pub fn receipts_root_and_bloom(
    receipts: &[OpReceipt],
    spec: impl OpHardforks,
    timestamp: u64,
) -> (B256, Bloom) {
    let hash_deposit_fields = spec.is_canyon_active_at_timestamp(timestamp);
    let encode = |receipt: &OpReceipt| -> (Vec<u8>, Bloom) {
        let bloom = receipt.bloom();
        match receipt {
            OpReceipt::Deposit(deposit)
                if !hash_deposit_fields && deposit.deposit_nonce.is_some() =>
            {
                let stripped = OpReceipt::Deposit(OpDepositReceipt {
                    inner: deposit.inner.clone(),
                    deposit_nonce: None,
                    deposit_receipt_version: None,
                });
                (encode_with_bloom(&stripped, &bloom), bloom)
            }
            _ => (encode_with_bloom(receipt, &bloom), bloom),
        }
    };
    let (encoded, blooms): (Vec<_>, Vec<_>) = if receipts.len() < PARALLEL_THRESHOLD {
        receipts.iter().map(encode).unzip()
    } else {
        receipts.par_iter().map(encode).unzip()
    };
    let bloom = blooms.iter().fold(Bloom::ZERO, |all, bloom| all | *bloom);
    (ordered_trie_root_encoded(&encoded), bloom)
}

fn encode_with_bloom(receipt: &OpReceipt, bloom: &Bloom) -> Vec<u8> {
    let mut out = Vec::with_capacity(receipt.eip2718_encoded_length_with_bloom(bloom));
    receipt.eip2718_encode_with_bloom(bloom, &mut out);
    out
}
