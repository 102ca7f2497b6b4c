//! Headers and blocks.

use super::transaction::{Inclusion, TransactionJson};
use crate::hex::Hex;
use alloy_consensus::Header;
use alloy_primitives::B256;
use op_alloy_consensus::{OpBlock, OpReceipt, OpTxEnvelope};
use reth_primitives_traits::RecoveredBlock;
use serde::{Serialize, Serializer, ser::SerializeMap};

/// A header as `eth_getHeaderByNumber` shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeaderJson<'a> {
    pub(crate) header: &'a Header,
    pub(crate) hash: B256,
}

impl HeaderJson<'_> {
    /// The entries of the object.
    pub(crate) fn entries<M: SerializeMap>(&self, json: &mut M) -> Result<(), M::Error> {
        let header = self.header;
        json.serialize_entry("number", &Hex(header.number))?;
        json.serialize_entry("hash", &self.hash)?;
        json.serialize_entry("parentHash", &header.parent_hash)?;
        json.serialize_entry("nonce", &header.nonce)?;
        json.serialize_entry("mixHash", &header.mix_hash)?;
        json.serialize_entry("sha3Uncles", &header.ommers_hash)?;
        json.serialize_entry("logsBloom", &header.logs_bloom)?;
        json.serialize_entry("stateRoot", &header.state_root)?;
        json.serialize_entry("miner", &header.beneficiary)?;
        json.serialize_entry("difficulty", &Hex(header.difficulty))?;
        json.serialize_entry("extraData", &header.extra_data)?;
        json.serialize_entry("gasLimit", &Hex(header.gas_limit))?;
        json.serialize_entry("gasUsed", &Hex(header.gas_used))?;
        json.serialize_entry("timestamp", &Hex(header.timestamp))?;
        json.serialize_entry("transactionsRoot", &header.transactions_root)?;
        json.serialize_entry("receiptsRoot", &header.receipts_root)?;
        if let Some(fee) = header.base_fee_per_gas {
            json.serialize_entry("baseFeePerGas", &Hex(fee))?;
        }
        if let Some(root) = header.withdrawals_root {
            json.serialize_entry("withdrawalsRoot", &root)?;
        }
        if let Some(gas) = header.blob_gas_used {
            json.serialize_entry("blobGasUsed", &Hex(gas))?;
        }
        if let Some(gas) = header.excess_blob_gas {
            json.serialize_entry("excessBlobGas", &Hex(gas))?;
        }
        if let Some(root) = header.parent_beacon_block_root {
            json.serialize_entry("parentBeaconBlockRoot", &root)?;
        }
        if let Some(hash) = header.requests_hash {
            json.serialize_entry("requestsHash", &hash)?;
        }
        Ok(())
    }
}

impl Serialize for HeaderJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_map(None)?;
        self.entries(&mut json)?;
        json.end()
    }
}

/// A header as the `newHeads` subscription sends it: fields of later forks are there, and `null`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct HeadJson<'a>(pub(crate) HeaderJson<'a>);

impl Serialize for HeadJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let HeaderJson { header, .. } = self.0;
        let mut json = serializer.serialize_map(None)?;
        self.0.entries(&mut json)?;
        let absent = [
            ("baseFeePerGas", header.base_fee_per_gas.is_none()),
            ("withdrawalsRoot", header.withdrawals_root.is_none()),
            ("blobGasUsed", header.blob_gas_used.is_none()),
            ("excessBlobGas", header.excess_blob_gas.is_none()),
            ("parentBeaconBlockRoot", header.parent_beacon_block_root.is_none()),
            ("requestsHash", header.requests_hash.is_none()),
            ("blockAccessListHash", true),
            ("slotNumber", true),
        ];
        for (name, _) in absent.into_iter().filter(|(_, absent)| *absent) {
            json.serialize_entry(name, &())?;
        }
        json.end()
    }
}

/// A block as `eth_getBlockByNumber` shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct BlockJson<'a> {
    block: &'a RecoveredBlock<OpBlock>,
    transactions: Shown<'a>,
}

/// How a block's transactions are shown.
#[derive(Debug, Clone, Copy)]
enum Shown<'a> {
    /// By hash.
    Hashes,
    /// Whole. Receipts know the nonces of deposits.
    Whole(&'a [OpReceipt]),
    /// Whole, of a block that was simulated.
    Unsigned,
}

impl<'a> BlockJson<'a> {
    /// With the hashes of its transactions.
    pub(crate) const fn with_hashes(block: &'a RecoveredBlock<OpBlock>) -> Self {
        Self { block, transactions: Shown::Hashes }
    }

    /// With its transactions.
    pub(crate) const fn with_transactions(
        block: &'a RecoveredBlock<OpBlock>,
        receipts: &'a [OpReceipt],
    ) -> Self {
        Self { block, transactions: Shown::Whole(receipts) }
    }

    /// With its transactions, which nobody signed.
    pub(crate) const fn with_unsigned(block: &'a RecoveredBlock<OpBlock>) -> Self {
        Self { block, transactions: Shown::Unsigned }
    }

    /// The entries of the object.
    pub(crate) fn entries<M: SerializeMap>(&self, json: &mut M) -> Result<(), M::Error> {
        let (header, body) = (self.block.header(), self.block.body());
        HeaderJson { header, hash: self.block.hash() }.entries(json)?;
        let size = alloy_consensus::Block::<OpTxEnvelope>::rlp_length_for(header, body);
        json.serialize_entry("size", &Hex(size as u64))?;
        match self.transactions {
            Shown::Hashes => json.serialize_entry("transactions", &Hashes(&body.transactions))?,
            Shown::Whole(_) | Shown::Unsigned => {
                json.serialize_entry("transactions", &Whole(*self))?
            }
        }
        // There have never been uncles on this kind of chain.
        json.serialize_entry("uncles", &[(); 0])?;
        if let Some(withdrawals) = &body.withdrawals {
            json.serialize_entry("withdrawals", withdrawals)?;
        }
        Ok(())
    }
}

impl Serialize for BlockJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_map(None)?;
        self.entries(&mut json)?;
        json.end()
    }
}

struct Hashes<'a>(&'a [OpTxEnvelope]);

impl Serialize for Hashes<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(self.0.iter().map(OpTxEnvelope::tx_hash))
    }
}

struct Whole<'a>(BlockJson<'a>);

impl Serialize for Whole<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let BlockJson { block, transactions } = self.0;
        let all = block.body().transactions.iter().zip(block.senders());
        serializer.collect_seq(all.enumerate().map(|(index, (tx, from))| match transactions {
            Shown::Unsigned => TransactionJson::simulated(tx, *from, inclusion(block, index)),
            Shown::Whole(receipts) => {
                TransactionJson::included(tx, *from, inclusion(block, index), receipts.get(index))
            }
            Shown::Hashes => TransactionJson::included(tx, *from, inclusion(block, index), None),
        }))
    }
}

fn inclusion(block: &RecoveredBlock<OpBlock>, index: usize) -> Inclusion {
    let header = block.header();
    Inclusion {
        block_hash: block.hash(),
        block_number: header.number,
        timestamp: header.timestamp,
        index: index as u64,
        base_fee: header.base_fee_per_gas.unwrap_or_default(),
    }
}

impl<'a> TransactionJson<'a> {
    /// The transaction at `index` of a block, if it has so many.
    pub(crate) fn in_block(
        block: &'a RecoveredBlock<OpBlock>,
        index: usize,
        receipt: Option<&OpReceipt>,
    ) -> Option<Self> {
        let tx = block.body().transactions.get(index)?;
        let from = block.senders().get(index)?;
        Some(Self::included(tx, *from, inclusion(block, index), receipt))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{Block, BlockBody, Sealable};
    use alloy_eips::eip4895::Withdrawals;
    use alloy_primitives::Address;
    use op_alloy_consensus::TxDeposit;

    fn block() -> RecoveredBlock<OpBlock> {
        let header = Header {
            number: 5,
            gas_limit: 60_000_000,
            timestamp: 10,
            base_fee_per_gas: Some(7),
            withdrawals_root: Some(B256::repeat_byte(1)),
            blob_gas_used: Some(0),
            excess_blob_gas: Some(0),
            parent_beacon_block_root: Some(B256::ZERO),
            requests_hash: Some(B256::repeat_byte(2)),
            ..Header::default()
        };
        let deposit = TxDeposit { from: Address::repeat_byte(9), ..TxDeposit::default() };
        let transactions = vec![OpTxEnvelope::Deposit(deposit.seal_slow())];
        let body =
            BlockBody { transactions, ommers: vec![], withdrawals: Some(Withdrawals::default()) };
        RecoveredBlock::new_unhashed(Block { header, body }, vec![Address::repeat_byte(9)])
    }

    #[test]
    fn blocks_with_and_without_transactions() {
        let block = block();
        let json = serde_json::to_value(BlockJson::with_hashes(&block)).expect("it serializes");
        let keys: Vec<_> = json.as_object().expect("an object").keys().cloned().collect();
        let mut want = [
            "number",
            "hash",
            "parentHash",
            "nonce",
            "mixHash",
            "sha3Uncles",
            "logsBloom",
            "stateRoot",
            "miner",
            "difficulty",
            "extraData",
            "gasLimit",
            "gasUsed",
            "timestamp",
            "transactionsRoot",
            "receiptsRoot",
            "baseFeePerGas",
            "withdrawalsRoot",
            "blobGasUsed",
            "excessBlobGas",
            "parentBeaconBlockRoot",
            "requestsHash",
            "size",
            "transactions",
            "uncles",
            "withdrawals",
        ];
        want.sort_unstable();
        let mut keys: Vec<_> = keys.iter().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, want);
        assert_eq!(json["nonce"], "0x0000000000000000");
        assert_eq!(json["difficulty"], "0x0");
        assert_eq!(json["uncles"], serde_json::json!([]));
        assert_eq!(json["withdrawals"], serde_json::json!([]));
        let hash = block.body().transactions[0].tx_hash();
        assert_eq!(json["transactions"], serde_json::json!([hash]));
        let size = alloy_rlp::encode(block.clone_block()).len();
        assert_eq!(json["size"], format!("{size:#x}"));

        let whole = BlockJson::with_transactions(&block, &[]);
        let json = serde_json::to_value(whole).expect("it serializes");
        assert_eq!(json["transactions"][0]["hash"], serde_json::json!(hash));
        assert_eq!(json["transactions"][0]["transactionIndex"], "0x0");
    }

    #[test]
    fn new_heads_have_every_field() {
        let header = Header { requests_hash: Some(B256::ZERO), ..Header::default() };
        let json = HeadJson(HeaderJson { header: &header, hash: B256::ZERO });
        let json = serde_json::to_value(json).expect("it serializes");
        assert_eq!(json["slotNumber"], serde_json::Value::Null);
        assert_eq!(json["withdrawalsRoot"], serde_json::Value::Null);
        assert_eq!(json["requestsHash"], serde_json::json!(B256::ZERO));
        assert_eq!(json.as_object().map(serde_json::Map::len), Some(24));
    }
}
