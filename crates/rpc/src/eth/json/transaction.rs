//! Transactions.

use crate::hex::Hex;
use alloy_consensus::Transaction;
use alloy_primitives::{Address, B256, Signature, U256};
use op_alloy_consensus::{OpReceipt, OpTxEnvelope};
use serde::{Serialize, Serializer, ser::SerializeMap};

/// Where in the chain a transaction is.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Inclusion {
    pub(crate) block_hash: B256,
    pub(crate) block_number: u64,
    pub(crate) timestamp: u64,
    pub(crate) index: u64,
    pub(crate) base_fee: u64,
}

/// A transaction as `eth_getTransactionByHash` shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct TransactionJson<'a> {
    tx: &'a OpTxEnvelope,
    from: Address,
    inclusion: Option<Inclusion>,
    /// The nonce that a deposit was executed with, and the version of its receipt.
    deposit: Option<(u64, Option<u64>)>,
    signed: bool,
}

impl<'a> TransactionJson<'a> {
    /// A transaction of a block, and its receipt, which knows the nonce of a deposit.
    pub(crate) fn included(
        tx: &'a OpTxEnvelope,
        from: Address,
        inclusion: Inclusion,
        receipt: Option<&OpReceipt>,
    ) -> Self {
        let deposit = receipt.and_then(|receipt| match receipt {
            OpReceipt::Deposit(receipt) => {
                receipt.deposit_nonce.map(|nonce| (nonce, receipt.deposit_receipt_version))
            }
            _ => None,
        });
        Self { tx, from, inclusion: Some(inclusion), deposit, signed: true }
    }

    /// A transaction that is not in a block yet.
    pub(crate) const fn pending(tx: &'a OpTxEnvelope, from: Address) -> Self {
        Self { tx, from, inclusion: None, deposit: None, signed: true }
    }

    /// A transaction that nobody signed: of a simulated block.
    pub(crate) const fn simulated(
        tx: &'a OpTxEnvelope,
        from: Address,
        inclusion: Inclusion,
    ) -> Self {
        Self { tx, from, inclusion: Some(inclusion), deposit: None, signed: false }
    }

    /// In a block: what is paid. Outside: what may be paid at most.
    fn gas_price(&self) -> u128 {
        match (self.tx, self.inclusion) {
            (OpTxEnvelope::Deposit(_) | OpTxEnvelope::PostExec(_), _) => 0,
            (tx, Some(inclusion)) => tx.effective_gas_price(Some(inclusion.base_fee)),
            (tx, None) => tx.max_fee_per_gas(),
        }
    }
}

/// `v` of a signature as it stands in the transaction.
pub(super) fn recovery_value(tx: &OpTxEnvelope, signature: &Signature) -> u128 {
    let parity = u128::from(signature.v());
    match tx {
        OpTxEnvelope::Legacy(legacy) => match legacy.tx().chain_id {
            Some(id) => 35 + 2 * u128::from(id) + parity,
            None => 27 + parity,
        },
        _ => parity,
    }
}

impl Serialize for TransactionJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tx = self.tx;
        let at = self.inclusion;
        let mut json = serializer.serialize_map(None)?;
        json.serialize_entry("blockHash", &at.map(|at| at.block_hash))?;
        json.serialize_entry("blockNumber", &at.map(|at| Hex(at.block_number)))?;
        json.serialize_entry("blockTimestamp", &at.map(|at| Hex(at.timestamp)))?;
        json.serialize_entry("from", &self.from)?;
        json.serialize_entry("gas", &Hex(tx.gas_limit()))?;
        json.serialize_entry("gasPrice", &Hex(self.gas_price()))?;
        let dynamic = tx.is_dynamic_fee() && !tx.is_deposit() && !tx.is_post_exec();
        if dynamic {
            json.serialize_entry("maxFeePerGas", &Hex(tx.max_fee_per_gas()))?;
            let tip = tx.max_priority_fee_per_gas().unwrap_or_default();
            json.serialize_entry("maxPriorityFeePerGas", &Hex(tip))?;
        }
        json.serialize_entry("hash", &tx.tx_hash())?;
        json.serialize_entry("input", tx.input())?;
        let nonce = self.deposit.map_or_else(|| tx.nonce(), |(nonce, _)| nonce);
        json.serialize_entry("nonce", &Hex(nonce))?;
        json.serialize_entry("to", &tx.to())?;
        json.serialize_entry("transactionIndex", &at.map(|at| Hex(at.index)))?;
        json.serialize_entry("value", &Hex(tx.value()))?;
        json.serialize_entry("type", &Hex(u64::from(tx.tx_type() as u8)))?;
        if let Some(list) = tx.access_list() {
            json.serialize_entry("accessList", list)?;
        }
        if let Some(id) = chain_id(tx) {
            json.serialize_entry("chainId", &Hex(id))?;
        }
        if let Some(list) = tx.authorization_list() {
            json.serialize_entry("authorizationList", list)?;
        }
        let signature = tx.signature().filter(|_| self.signed);
        let (r, s) = signature.map_or_else(Default::default, |it| (it.r(), it.s()));
        let v = signature.map_or(0, |it| recovery_value(tx, it));
        json.serialize_entry("v", &Hex(v))?;
        json.serialize_entry("r", &Hex::<U256>(r))?;
        json.serialize_entry("s", &Hex::<U256>(s))?;
        if tx.access_list().is_some() {
            json.serialize_entry("yParity", &Hex(u64::from(v != 0)))?;
        }
        if let Some(deposit) = tx.as_deposit() {
            json.serialize_entry("sourceHash", &deposit.source_hash)?;
            json.serialize_entry("mint", &Hex(deposit.mint))?;
            if deposit.is_system_transaction {
                json.serialize_entry("isSystemTx", &true)?;
            }
            if let Some((_, Some(version))) = self.deposit {
                json.serialize_entry("depositReceiptVersion", &Hex(version))?;
            }
        }
        json.end()
    }
}

/// The chain id that a transaction was signed for; a deposit has none.
fn chain_id(tx: &OpTxEnvelope) -> Option<u64> {
    match tx {
        OpTxEnvelope::Deposit(_) | OpTxEnvelope::PostExec(_) => None,
        tx => tx.chain_id(),
    }
}

/// A transaction to be signed, as `eth_fillTransaction` shows it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct UnsignedTransactionJson<'a>(pub(crate) &'a OpTxEnvelope);

impl Serialize for UnsignedTransactionJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let tx = self.0;
        let mut json = serializer.serialize_map(None)?;
        json.serialize_entry("type", &Hex(u64::from(tx.tx_type() as u8)))?;
        if tx.access_list().is_some() {
            json.serialize_entry("chainId", &chain_id(tx).map(Hex))?;
        }
        json.serialize_entry("nonce", &Hex(tx.nonce()))?;
        json.serialize_entry("to", &tx.to())?;
        json.serialize_entry("gas", &Hex(tx.gas_limit()))?;
        json.serialize_entry("gasPrice", &tx.gas_price().map(Hex))?;
        let dynamic = tx.is_dynamic_fee();
        let tip = tx.max_priority_fee_per_gas().filter(|_| dynamic);
        json.serialize_entry("maxPriorityFeePerGas", &tip.map(Hex))?;
        json.serialize_entry("maxFeePerGas", &dynamic.then(|| Hex(tx.max_fee_per_gas())))?;
        json.serialize_entry("value", &Hex(tx.value()))?;
        json.serialize_entry("input", tx.input())?;
        if let Some(list) = tx.access_list() {
            json.serialize_entry("accessList", list)?;
        }
        if let Some(list) = tx.authorization_list() {
            json.serialize_entry("authorizationList", list)?;
        }
        for part in ["v", "r", "s"] {
            json.serialize_entry(part, "0x0")?;
        }
        if tx.access_list().is_some() {
            json.serialize_entry("yParity", "0x0")?;
        }
        json.serialize_entry("hash", &tx.tx_hash())?;
        json.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{Sealable, SignableTransaction, TxEip1559, TxLegacy};
    use alloy_primitives::{Bytes, TxKind, address, b256};
    use op_alloy_consensus::{OpDepositReceipt, TxDeposit};

    const INCLUSION: Inclusion = Inclusion {
        block_hash: B256::repeat_byte(7),
        block_number: 9,
        timestamp: 0x6650_0000,
        index: 1,
        base_fee: 100,
    };

    fn signature() -> Signature {
        Signature::new(U256::from(0x1234), U256::from(0x5678), true)
    }

    #[test]
    fn deposit() {
        let deposit = TxDeposit {
            source_hash: b256!("04e9a69416471ead93b02f0c279ab11ca0b635db5c1726a56faf22623bafde52"),
            from: address!("deaddeaddeaddeaddeaddeaddeaddeaddead0001"),
            to: TxKind::Call(address!("4200000000000000000000000000000000000015")),
            mint: 0,
            value: U256::ZERO,
            gas_limit: 1_000_000,
            is_system_transaction: false,
            input: Bytes::from_static(&[0x44, 0x0a]),
        };
        let from = deposit.from;
        let sealed = deposit.seal_slow();
        let hash = sealed.hash();
        let tx = OpTxEnvelope::Deposit(sealed);
        let receipt = OpReceipt::Deposit(OpDepositReceipt {
            inner: Default::default(),
            deposit_nonce: Some(0x0152_ea95),
            deposit_receipt_version: Some(1),
        });
        let json = TransactionJson::included(&tx, from, INCLUSION, Some(&receipt));
        let want = serde_json::json!({
            "blockHash": format!("0x{}", "07".repeat(32)),
            "blockNumber": "0x9",
            "blockTimestamp": "0x66500000",
            "from": "0xdeaddeaddeaddeaddeaddeaddeaddeaddead0001",
            "gas": "0xf4240",
            "gasPrice": "0x0",
            "hash": hash,
            "input": "0x440a",
            "nonce": "0x152ea95",
            "to": "0x4200000000000000000000000000000000000015",
            "transactionIndex": "0x1",
            "value": "0x0",
            "type": "0x7e",
            "v": "0x0",
            "r": "0x0",
            "s": "0x0",
            "sourceHash": "0x04e9a69416471ead93b02f0c279ab11ca0b635db5c1726a56faf22623bafde52",
            "mint": "0x0",
            "depositReceiptVersion": "0x1",
        });
        assert_eq!(serde_json::to_value(json).expect("it serializes"), want);
    }

    #[test]
    fn dynamic_fee_in_and_out_of_a_block() {
        let tx = TxEip1559 {
            chain_id: 901,
            nonce: 5,
            gas_limit: 21_000,
            max_fee_per_gas: 1_000,
            max_priority_fee_per_gas: 3,
            to: TxKind::Create,
            value: U256::from(1),
            ..TxEip1559::default()
        };
        let tx = OpTxEnvelope::Eip1559(tx.into_signed(signature()));
        let from = Address::repeat_byte(3);
        let json = serde_json::to_value(TransactionJson::included(&tx, from, INCLUSION, None))
            .expect("it serializes");
        assert_eq!(json["gasPrice"], "0x67");
        assert_eq!(json["maxFeePerGas"], "0x3e8");
        assert_eq!(json["maxPriorityFeePerGas"], "0x3");
        assert_eq!(json["to"], serde_json::Value::Null);
        assert_eq!(json["accessList"], serde_json::json!([]));
        assert_eq!(json["chainId"], "0x385");
        assert_eq!((&json["v"], &json["yParity"]), (&"0x1".into(), &"0x1".into()));
        assert_eq!((&json["r"], &json["s"]), (&"0x1234".into(), &"0x5678".into()));

        let json =
            serde_json::to_value(TransactionJson::pending(&tx, from)).expect("it serializes");
        assert_eq!(json["gasPrice"], "0x3e8");
        for absent in ["blockHash", "blockNumber", "blockTimestamp", "transactionIndex"] {
            assert_eq!(json.get(absent), Some(&serde_json::Value::Null), "{absent}");
        }
        let json = serde_json::to_value(TransactionJson::simulated(&tx, from, INCLUSION))
            .expect("it serializes");
        assert_eq!((&json["v"], &json["yParity"]), (&"0x0".into(), &"0x0".into()));
    }

    #[test]
    fn legacy_keeps_its_v() {
        let unprotected = TxLegacy { chain_id: None, gas_price: 7, ..TxLegacy::default() };
        let tx = OpTxEnvelope::Legacy(unprotected.into_signed(signature()));
        let json = serde_json::to_value(TransactionJson::pending(&tx, Address::ZERO))
            .expect("it serializes");
        assert_eq!((&json["v"], &json["gasPrice"]), (&"0x1c".into(), &"0x7".into()));
        assert!(json.get("chainId").is_none() && json.get("yParity").is_none());
        assert!(json.get("accessList").is_none() && json.get("maxFeePerGas").is_none());

        let protected = TxLegacy { chain_id: Some(901), ..TxLegacy::default() };
        let tx = OpTxEnvelope::Legacy(protected.into_signed(signature()));
        let json = serde_json::to_value(TransactionJson::pending(&tx, Address::ZERO))
            .expect("it serializes");
        assert_eq!((&json["v"], &json["chainId"]), (&"0x72e".into(), &"0x385".into()));
    }
}
