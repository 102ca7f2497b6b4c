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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_chain::spec_with;
    use alloy_consensus::proofs::calculate_receipt_root;
    use alloy_primitives::{Address, LogData, U256};

    fn receipts(count: usize, fields: DepositFields) -> Vec<OpReceipt> {
        let types = [
            OpTxType::Deposit,
            OpTxType::Legacy,
            OpTxType::Eip2930,
            OpTxType::Eip1559,
            OpTxType::Eip7702,
        ];
        (0..count)
            .map(|index| {
                let topic = B256::from(U256::from(index));
                let logs = (0..index % 3)
                    .map(|_| Log {
                        address: Address::with_last_byte(index as u8),
                        data: LogData::new_unchecked(vec![topic], vec![1; index].into()),
                    })
                    .collect();
                let ty = types[index % types.len()];
                receipt(ty, index % 4 != 0, 21_000 * (index as u64 + 1), logs, fields)
            })
            .collect()
    }

    /// One receipt after the other, by alloy.
    fn reference(receipts: &[OpReceipt]) -> (B256, Bloom) {
        let with_bloom: Vec<_> = receipts.iter().map(TxReceipt::with_bloom_ref).collect();
        let bloom = with_bloom.iter().fold(Bloom::ZERO, |all, receipt| all | receipt.logs_bloom);
        (calculate_receipt_root(&with_bloom), bloom)
    }

    #[test]
    fn canyon_receipts_are_hashed_in_full() {
        let spec = spec_with("canyon", None);
        for count in [0, 1, 2, 15, 16, 17, 127, 128, 129, 300] {
            let fields = DepositFields { nonce: Some(3), version: Some(1) };
            let receipts = receipts(count, fields);
            let got = receipts_root_and_bloom(&receipts, &*spec, 5);
            assert_eq!(got, reference(&receipts), "{count} receipts");
        }
    }

    #[test]
    fn regolith_receipts_are_hashed_without_the_nonce() {
        for fork in ["bedrock", "regolith"] {
            let spec = spec_with(fork, None);
            for count in [1, 40] {
                let with = receipts(count, DepositFields { nonce: Some(3), version: None });
                let without = receipts(count, DepositFields::default());
                assert_ne!(reference(&with), reference(&without));
                assert_eq!(receipts_root_and_bloom(&with, &*spec, 5), reference(&without));
            }
        }
    }
}
