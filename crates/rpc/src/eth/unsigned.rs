//! Transactions that nobody has signed yet: `eth_fillTransaction`, and those of simulated blocks.

use super::{
    block_id::BlockRef, call::CallContext, estimate::estimate, json::UnsignedTransactionJson,
    transaction_args::TransactionArgs,
};
use crate::{RpcContext, RpcError, hex::Hex};
use alloy_consensus::{SignableTransaction, Signed, TxEip1559, TxEip7702, TxLegacy};
use alloy_eips::Encodable2718;
use alloy_primitives::{Bytes, Signature, TxKind, U256, keccak256};
use alloy_rlp::{BufMut, Encodable};
use op_alloy_consensus::OpTxEnvelope;
use serde::Serialize;
use serde_json::value::{RawValue, to_raw_value};

/// What geth leaves where a signature goes.
const NO_SIGNATURE: Signature = Signature::new(U256::ZERO, U256::ZERO, false);

/// The transaction that filled-in arguments describe: one with dynamic fees, unless they are
/// those of an older or newer kind.
///
/// # Errors
/// For a blob transaction, which no OP chain takes, and for what does not fit its field.
pub(super) fn unsigned(args: &TransactionArgs, chain_id: u64) -> Result<OpTxEnvelope, RpcError> {
    if args.blob_versioned_hashes.is_some() || args.blobs.is_some() {
        return Err(RpcError::server("transaction type not supported"));
    }
    let fee = |value: Option<Hex<U256>>, name: &str| {
        let Hex(value) = value.unwrap_or_default();
        u128::try_from(value).map_err(|_| RpcError::server(format!("{name} is too large")))
    };
    let nonce = args.nonce.map_or(0, |Hex(nonce)| nonce);
    let gas_limit = args.gas.map_or(0, |Hex(gas)| gas);
    let value = args.value.map_or(U256::ZERO, |Hex(value)| value);
    let (to, input) = (args.kind(), args.calldata());
    let access_list = args.access_list.clone().unwrap_or_default();

    if args.gas_price.is_some() {
        let gas_price = fee(args.gas_price, "gasPrice")?;
        let tx = TxLegacy { chain_id: None, nonce, gas_price, gas_limit, to, value, input };
        let hash = keccak256(encode_legacy(&tx));
        return Ok(OpTxEnvelope::Legacy(Signed::new_unchecked(tx, NO_SIGNATURE, hash)));
    }
    let max_fee_per_gas = fee(args.max_fee_per_gas, "maxFeePerGas")?;
    let max_priority_fee_per_gas = fee(args.max_priority_fee_per_gas, "maxPriorityFeePerGas")?;
    if let Some(authorization_list) = args.authorization_list.clone() {
        let TxKind::Call(to) = to else {
            return Err(RpcError::server("missing \"to\" in set code transaction"));
        };
        let tx = TxEip7702 {
            chain_id,
            nonce,
            gas_limit,
            max_fee_per_gas,
            max_priority_fee_per_gas,
            to,
            value,
            access_list,
            authorization_list,
            input,
        };
        return Ok(OpTxEnvelope::Eip7702(tx.into_signed(NO_SIGNATURE)));
    }
    let tx = TxEip1559 {
        chain_id,
        nonce,
        gas_limit,
        max_fee_per_gas,
        max_priority_fee_per_gas,
        to,
        value,
        access_list,
        input,
    };
    Ok(OpTxEnvelope::Eip1559(tx.into_signed(NO_SIGNATURE)))
}

/// The EIP-2718 encoding of a transaction without signature.
pub(super) fn encode_unsigned(tx: &OpTxEnvelope) -> Vec<u8> {
    match tx {
        OpTxEnvelope::Legacy(legacy) => encode_legacy(legacy.tx()),
        tx => tx.encoded_2718(),
    }
}

/// A legacy transaction whose `v`, `r` and `s` are zero, which no signature can make of it.
fn encode_legacy(tx: &TxLegacy) -> Vec<u8> {
    let mut fields = Vec::new();
    tx.nonce.encode(&mut fields);
    tx.gas_price.encode(&mut fields);
    tx.gas_limit.encode(&mut fields);
    tx.to.encode(&mut fields);
    tx.value.encode(&mut fields);
    tx.input.encode(&mut fields);
    for _ in 0..3 {
        fields.put_u8(alloy_rlp::EMPTY_STRING_CODE);
    }
    let mut encoded = Vec::with_capacity(fields.len() + 4);
    alloy_rlp::Header { list: true, payload_length: fields.len() }.encode(&mut encoded);
    encoded.extend(fields);
    encoded
}

/// The answer of `eth_fillTransaction`.
#[derive(Debug, Serialize)]
pub(super) struct Filled {
    raw: Bytes,
    tx: Box<RawValue>,
}

/// `eth_fillTransaction`: the transaction with everything that the caller left out.
pub(super) fn fill(
    context: &RpcContext,
    (mut args,): (TransactionArgs,),
) -> Result<Filled, RpcError> {
    let chain_id = context.spec.chain_id();
    let head = context.chain.head();
    let base_fee = head.base_fee_per_gas.unwrap_or_default();
    args.fill_fees(base_fee, || context.suggested_tip())?;
    if args.nonce.is_none() {
        let nonce = match context.pool.pending_nonce(args.from()) {
            Some(nonce) => nonce,
            None => context.chain.state_at(head.hash())?.nonce(args.from())?,
        };
        args.nonce = Some(Hex(nonce));
    }
    if let (Some(data), Some(input)) = (&args.data, &args.input)
        && data != input
    {
        return Err(RpcError::server(
            "both \"data\" and \"input\" are set and not equal. Please use \"input\" to pass transaction call data",
        ));
    }
    if args.to.is_none() && args.calldata().is_empty() {
        return Err(RpcError::server("contract creation without any data provided"));
    }
    if args.gas.is_none() {
        let block = context.header_block(BlockRef::LATEST)?;
        let mut call = CallContext::new(context, block, None, None)?;
        let described = TransactionArgs { nonce: None, chain_id: None, ..args.clone() };
        args.gas = Some(Hex(estimate(context, described, &mut call)?));
    }
    args.check_chain_id(chain_id)?;
    let tx = unsigned(&args, chain_id)?;
    let json = to_raw_value(&UnsignedTransactionJson(&tx));
    Ok(Filled {
        raw: encode_unsigned(&tx).into(),
        tx: json.map_err(|error| RpcError::internal(error.to_string()))?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::Transaction;

    fn args(json: &str) -> TransactionArgs {
        serde_json::from_str(json).expect("the test's own arguments")
    }

    #[test]
    fn kinds_follow_the_fees() {
        let of = |json| unsigned(&args(json), 901).expect("a transaction");
        let legacy = of(r#"{"gasPrice":"0x7","nonce":"0x1","gas":"0x5208"}"#);
        assert!(matches!(legacy, OpTxEnvelope::Legacy(_)));
        let dynamic = of(r#"{"maxFeePerGas":"0x7"}"#);
        assert!(matches!(&dynamic, OpTxEnvelope::Eip1559(tx) if tx.tx().chain_id == 901));
        assert_eq!(dynamic.max_fee_per_gas(), 7);
        let blob = args(r#"{"blobVersionedHashes":[]}"#);
        assert!(unsigned(&blob, 901).is_err());
    }

    #[test]
    fn legacy_transactions_have_three_zeros_for_a_signature() {
        let tx = unsigned(&args(r#"{"gasPrice":"0x7","gas":"0x5208"}"#), 901).expect("it is one");
        let encoded = encode_unsigned(&tx);
        assert_eq!(
            encoded,
            [0xcb, 0x80, 0x07, 0x82, 0x52, 0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80]
        );
        assert_eq!(tx.tx_hash(), keccak256(&encoded));
    }
}
