//! Receipts, with what a transaction paid beyond its gas.

use super::log::LogJson;
use crate::hex::Hex;
use alloy_consensus::{Transaction, TxReceipt};
use alloy_eips::Encodable2718;
use alloy_primitives::{Address, Bloom, U256, logs_bloom};
use ascribe_chainspec::ChainSpec;
use ascribe_evm::{
    EstimatedSize, L1BlockInfo, OpSpecId,
    l1_fee::{l1_block_info_from_attributes, l1_cost, l1_gas_used},
    op_spec_id,
};
use op_alloy_consensus::{OpBlock, OpReceipt, OpTxEnvelope};
use reth_primitives_traits::RecoveredBlock;
use serde::{Serialize, Serializer, ser::SerializeMap};

/// The L1 fee parameters of a block, out of its first transaction.
#[derive(Debug)]
pub(crate) struct FeeContext {
    info: L1BlockInfo,
    spec: OpSpecId,
}

impl FeeContext {
    /// Reads them, if the block has transactions that pay.
    pub(crate) fn of(spec: &ChainSpec, block: &RecoveredBlock<OpBlock>) -> Option<Self> {
        let transactions = &block.body().transactions;
        if transactions.last()?.is_deposit() {
            return None;
        }
        let header = block.header();
        let attributes = transactions.first()?.input();
        let info = l1_block_info_from_attributes(attributes, header.number).ok()?;
        Some(Self { info, spec: op_spec_id(spec, header.timestamp) })
    }
}

/// A receipt as `eth_getTransactionReceipt` shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ReceiptJson<'a> {
    pub(crate) block: &'a RecoveredBlock<OpBlock>,
    pub(crate) fees: Option<&'a FeeContext>,
    pub(crate) receipt: &'a OpReceipt,
    pub(crate) index: usize,
    /// Gas used by the transactions before it.
    pub(crate) gas_before: u64,
    /// Logs of the transactions before it.
    pub(crate) logs_before: u64,
}

/// The receipts of a block.
#[derive(Debug)]
pub(crate) struct BlockReceipts<'a> {
    block: &'a RecoveredBlock<OpBlock>,
    receipts: &'a [OpReceipt],
    fees: Option<FeeContext>,
}

impl<'a> BlockReceipts<'a> {
    pub(crate) fn new(
        spec: &ChainSpec,
        block: &'a RecoveredBlock<OpBlock>,
        receipts: &'a [OpReceipt],
    ) -> Self {
        Self { block, receipts, fees: FeeContext::of(spec, block) }
    }

    /// All of them, in order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = ReceiptJson<'_>> {
        let (mut gas_before, mut logs_before) = (0, 0);
        let count = self.block.body().transactions.len();
        self.receipts.iter().take(count).enumerate().map(move |(index, receipt)| {
            let json = ReceiptJson {
                block: self.block,
                fees: self.fees.as_ref(),
                receipt,
                index,
                gas_before,
                logs_before,
            };
            gas_before = receipt.cumulative_gas_used();
            logs_before += receipt.logs().len() as u64;
            json
        })
    }

    /// The one at `index`.
    pub(crate) fn get(&self, index: usize) -> Option<ReceiptJson<'_>> {
        self.iter().nth(index)
    }
}

impl Serialize for BlockReceipts<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.iter())
    }
}

impl ReceiptJson<'_> {
    fn contract_address(&self, tx: &OpTxEnvelope, from: Address) -> Option<Address> {
        let nonce = match self.receipt {
            OpReceipt::Deposit(receipt) => receipt.deposit_nonce.unwrap_or_default(),
            _ => tx.nonce(),
        };
        tx.is_create().then(|| from.create(nonce))
    }
}

/// A transaction's logs at their places in the chain.
struct Logs<'a>(&'a ReceiptJson<'a>);

impl Serialize for Logs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let at = self.0;
        let header = at.block.header();
        let transaction_hash = at.block.body().transactions[at.index].tx_hash();
        let logs = at.receipt.logs().iter().zip(at.logs_before..);
        serializer.collect_seq(logs.map(|(log, log_index)| LogJson {
            log,
            block_number: header.number,
            block_hash: at.block.hash(),
            block_timestamp: header.timestamp,
            transaction_hash,
            transaction_index: at.index as u64,
            log_index,
            removed: false,
        }))
    }
}

impl Serialize for ReceiptJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let header = self.block.header();
        let tx = &self.block.body().transactions[self.index];
        let from = self.block.senders().get(self.index).copied().unwrap_or_default();
        let receipt = self.receipt;
        let gas_used = receipt.cumulative_gas_used().saturating_sub(self.gas_before);
        let price = if tx.is_deposit() || tx.is_post_exec() {
            0
        } else {
            tx.effective_gas_price(header.base_fee_per_gas)
        };

        let mut json = serializer.serialize_map(None)?;
        json.serialize_entry("blockHash", &self.block.hash())?;
        json.serialize_entry("blockNumber", &Hex(header.number))?;
        json.serialize_entry("transactionHash", &tx.tx_hash())?;
        json.serialize_entry("transactionIndex", &Hex(self.index as u64))?;
        json.serialize_entry("from", &from)?;
        json.serialize_entry("to", &tx.to())?;
        json.serialize_entry("gasUsed", &Hex(gas_used))?;
        json.serialize_entry("cumulativeGasUsed", &Hex(receipt.cumulative_gas_used()))?;
        json.serialize_entry("contractAddress", &self.contract_address(tx, from))?;
        json.serialize_entry("logs", &Logs(self))?;
        let bloom: Bloom = logs_bloom(receipt.logs());
        json.serialize_entry("logsBloom", &bloom)?;
        json.serialize_entry("type", &Hex(u64::from(tx.tx_type() as u8)))?;
        json.serialize_entry("effectiveGasPrice", &Hex(price))?;
        match receipt.as_receipt().status {
            alloy_consensus::Eip658Value::PostState(root) => json.serialize_entry("root", &root)?,
            alloy_consensus::Eip658Value::Eip658(success) => {
                json.serialize_entry("status", &Hex(u64::from(success)))?;
            }
        }
        if let OpReceipt::Deposit(deposit) = receipt {
            if let Some(nonce) = deposit.deposit_nonce {
                json.serialize_entry("depositNonce", &Hex(nonce))?;
                if let Some(version) = deposit.deposit_receipt_version {
                    json.serialize_entry("depositReceiptVersion", &Hex(version))?;
                }
            }
        } else if let Some(fees) = self.fees {
            fees.entries(&mut json, &tx.encoded_2718())?;
        }
        json.end()
    }
}

impl FeeContext {
    /// What an encoded transaction paid for its place on L1, and what for.
    fn entries<M: SerializeMap>(&self, json: &mut M, encoded: &[u8]) -> Result<(), M::Error> {
        let Self { info, spec } = self;
        json.serialize_entry("l1GasPrice", &Hex(info.l1_base_fee))?;
        json.serialize_entry("l1GasUsed", &Hex(l1_gas_used(info, encoded, *spec)))?;
        json.serialize_entry("l1Fee", &Hex(l1_cost(info, encoded, *spec)))?;
        match info.l1_blob_base_fee_scalar {
            // Attributes of Bedrock's form.
            None => json.serialize_entry("l1FeeScalar", &fee_scalar(info.l1_base_fee_scalar))?,
            Some(blob_scalar) => {
                let blob_base_fee = info.l1_blob_base_fee.unwrap_or_default();
                json.serialize_entry("l1BlobBaseFee", &Hex(blob_base_fee))?;
                json.serialize_entry("l1BaseFeeScalar", &Hex(info.l1_base_fee_scalar))?;
                json.serialize_entry("l1BlobBaseFeeScalar", &Hex(blob_scalar))?;
            }
        }
        let scalar = info.operator_fee_scalar.unwrap_or_default();
        let constant = info.operator_fee_constant.unwrap_or_default();
        if !(scalar.is_zero() && constant.is_zero()) {
            json.serialize_entry("operatorFeeScalar", &Hex(scalar))?;
            json.serialize_entry("operatorFeeConstant", &Hex(constant))?;
        }
        if let Some(scalar) = info.da_footprint_gas_scalar {
            let footprint = EstimatedSize::of(encoded).da_footprint(scalar);
            json.serialize_entry("daFootprintGasScalar", &Hex(u64::from(scalar)))?;
            json.serialize_entry("blobGasUsed", &Hex(footprint))?;
        }
        Ok(())
    }
}

/// Bedrock's fee scalar, in millionths, as a decimal number of at most ten digits.
fn fee_scalar(scalar: U256) -> String {
    let millionth = U256::from(1_000_000);
    let (whole, rest) = scalar.div_rem(millionth);
    let text = format!("{whole}.{:06}", rest.to::<u64>());
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{
        Block, BlockBody, Eip658Value, Header, Receipt, Sealable, SignableTransaction, TxEip1559,
    };
    use alloy_primitives::{Bytes, Log, Signature, TxKind};
    use op_alloy_consensus::{OpDepositReceipt, TxDeposit};
    use serde_json::Value;

    /// Jovian attributes with a value of its own in every field that receipts show.
    fn attributes() -> Bytes {
        let mut data = vec![0x3d, 0xb6, 0xbe, 0x2b];
        data.extend(1368u32.to_be_bytes()); // base fee scalar
        data.extend(810_949u32.to_be_bytes()); // blob base fee scalar
        data.extend(0u64.to_be_bytes()); // sequence number
        data.extend(1u64.to_be_bytes()); // L1 timestamp
        data.extend(2u64.to_be_bytes()); // L1 number
        data.extend(U256::from(1_000_000_000u64).to_be_bytes::<32>()); // base fee
        data.extend(U256::from(3).to_be_bytes::<32>()); // blob base fee
        data.extend([0; 64]); // L1 hash, batcher
        data.extend(7u32.to_be_bytes()); // operator fee scalar
        data.extend(11u64.to_be_bytes()); // operator fee constant
        data.extend(400u16.to_be_bytes()); // DA footprint gas scalar
        data.into()
    }

    fn block() -> (RecoveredBlock<OpBlock>, Vec<OpReceipt>) {
        let deposit = TxDeposit {
            from: Address::repeat_byte(0xde),
            to: TxKind::Create,
            input: attributes(),
            ..TxDeposit::default()
        };
        let from = deposit.from;
        let user = TxEip1559 {
            nonce: 3,
            max_fee_per_gas: 100,
            max_priority_fee_per_gas: 2,
            to: TxKind::Call(Address::repeat_byte(0x22)),
            ..TxEip1559::default()
        };
        let signature = Signature::new(U256::from(1), U256::from(2), false);
        let transactions = vec![
            OpTxEnvelope::Deposit(deposit.seal_slow()),
            OpTxEnvelope::Eip1559(user.into_signed(signature)),
        ];
        let header = Header {
            number: 12,
            timestamp: 0xee6b_2800,
            base_fee_per_gas: Some(10),
            ..Header::default()
        };
        let body = BlockBody { transactions, ..BlockBody::default() };
        let block = RecoveredBlock::new_unhashed(
            Block { header, body },
            vec![from, Address::repeat_byte(0x11)],
        );
        let log = || Log::new_unchecked(Address::repeat_byte(0x22), vec![], Bytes::new());
        let receipts = vec![
            OpReceipt::Deposit(OpDepositReceipt {
                inner: Receipt {
                    status: Eip658Value::Eip658(false),
                    cumulative_gas_used: 50_000,
                    logs: vec![log(), log()],
                },
                deposit_nonce: Some(4),
                deposit_receipt_version: Some(1),
            }),
            OpReceipt::Eip1559(Receipt {
                status: Eip658Value::Eip658(true),
                cumulative_gas_used: 71_000,
                logs: vec![log()],
            }),
        ];
        (block, receipts)
    }

    fn jovian() -> ChainSpec {
        ChainSpec::op_sepolia()
    }

    fn keys(json: &Value) -> Vec<&str> {
        let mut keys: Vec<_> =
            json.as_object().expect("an object").keys().map(String::as_str).collect();
        keys.sort_unstable();
        keys
    }

    #[test]
    fn user_transactions_show_their_fees() {
        let (block, receipts) = block();
        let receipts = BlockReceipts::new(&jovian(), &block, &receipts);
        let json = serde_json::to_value(receipts.get(1)).expect("it serializes");
        assert_eq!(
            keys(&json),
            [
                "blobGasUsed",
                "blockHash",
                "blockNumber",
                "contractAddress",
                "cumulativeGasUsed",
                "daFootprintGasScalar",
                "effectiveGasPrice",
                "from",
                "gasUsed",
                "l1BaseFeeScalar",
                "l1BlobBaseFee",
                "l1BlobBaseFeeScalar",
                "l1Fee",
                "l1GasPrice",
                "l1GasUsed",
                "logs",
                "logsBloom",
                "operatorFeeConstant",
                "operatorFeeScalar",
                "status",
                "to",
                "transactionHash",
                "transactionIndex",
                "type",
            ]
        );
        for (key, value) in [
            ("gasUsed", "0x5208"),
            ("effectiveGasPrice", "0xc"),
            ("status", "0x1"),
            ("type", "0x2"),
            ("l1GasPrice", "0x3b9aca00"),
            ("l1BaseFeeScalar", "0x558"),
            ("l1BlobBaseFeeScalar", "0xc5fc5"),
            ("l1BlobBaseFee", "0x3"),
            ("operatorFeeScalar", "0x7"),
            ("operatorFeeConstant", "0xb"),
            ("daFootprintGasScalar", "0x190"),
            // 100 bytes, the least that a transaction is estimated at.
            ("blobGasUsed", "0x9c40"),
            ("l1GasUsed", "0x640"),
        ] {
            assert_eq!(json[key], value, "{key}");
        }
        let fee = 100u128 * (16 * 1_000_000_000 * 1368 + 3 * 810_949) / 1_000_000;
        assert_eq!(json["l1Fee"], format!("{fee:#x}"));
        assert_eq!(json["contractAddress"], Value::Null);
        assert_eq!(json["logs"][0]["logIndex"], "0x2");
        assert_eq!(json["logs"][0]["blockTimestamp"], "0xee6b2800");
    }

    #[test]
    fn deposits_show_nonce_and_version_and_no_fees() {
        let (block, receipts) = block();
        let receipts = BlockReceipts::new(&jovian(), &block, &receipts);
        let json = serde_json::to_value(receipts.get(0)).expect("it serializes");
        assert_eq!(
            keys(&json),
            [
                "blockHash",
                "blockNumber",
                "contractAddress",
                "cumulativeGasUsed",
                "depositNonce",
                "depositReceiptVersion",
                "effectiveGasPrice",
                "from",
                "gasUsed",
                "logs",
                "logsBloom",
                "status",
                "to",
                "transactionHash",
                "transactionIndex",
                "type",
            ]
        );
        assert_eq!(json["status"], "0x0");
        assert_eq!(json["effectiveGasPrice"], "0x0");
        // A failed creation has an address all the same.
        let address = Address::repeat_byte(0xde).create(4);
        assert_eq!(json["contractAddress"], serde_json::json!(address));
        assert!(receipts.get(2).is_none());
    }

    #[test]
    fn bedrock_scalars_are_decimal() {
        for (scalar, text) in [(684_000, "0.684"), (1_000_000, "1"), (1, "0.000001"), (0, "0")] {
            assert_eq!(fee_scalar(U256::from(scalar)), text);
        }
    }
}
