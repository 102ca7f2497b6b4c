//! Raw transactions as `eth_sendRawTransaction` gets them.

use crate::PoolError;
use alloy_consensus::{TxLegacy, transaction::RlpEcdsaDecodableTx};
use alloy_eips::{Decodable2718, eip2718::Eip2718Error};
use alloy_rlp::Header;
use op_alloy_consensus::{DEPOSIT_TX_TYPE_ID, OpTxEnvelope, POST_EXEC_TX_TYPE_ID};

/// Decodes the EIP-2718 bytes of one transaction and nothing behind it.
///
/// A deposit decodes: that it cannot be sent is for the pool to say, after checks that come
/// before (the RPC's fee cap).
pub fn decode_transaction(raw: &[u8]) -> Result<OpTxEnvelope, PoolError> {
    match raw {
        // The RLP of a legacy transaction.
        [0x80..=0xff, ..] => {}
        [] | [_] => return Err(PoolError::TypedTooShort),
        [0x01 | 0x02 | 0x04 | POST_EXEC_TX_TYPE_ID | DEPOSIT_TX_TYPE_ID, ..] => {}
        _ => return Err(PoolError::UnknownType),
    }
    OpTxEnvelope::decode_2718_exact(raw).map_err(|error| match error {
        Eip2718Error::RlpError(error) => PoolError::Rlp(rlp_text(raw, &error)),
        // The envelope does not say what is wrong with a legacy transaction.
        error => match TxLegacy::rlp_decode_signed(&mut &*raw) {
            Err(error) => PoolError::Rlp(rlp_text(raw, &error)),
            Ok(_) => PoolError::Rlp(error.to_string()),
        },
    })
}

/// What go-ethereum's decoder says of the fault, where it says it in few words.
fn rlp_text(raw: &[u8], error: &alloy_rlp::Error) -> String {
    let (name, mut fields) = match raw {
        [0x01, rest @ ..] => ("types.AccessListTx", rest),
        [0x02, rest @ ..] => ("types.DynamicFeeTx", rest),
        [0x04, rest @ ..] => ("types.SetCodeTx", rest),
        [DEPOSIT_TX_TYPE_ID, rest @ ..] => ("types.DepositTx", rest),
        [POST_EXEC_TX_TYPE_ID, rest @ ..] => ("types.PostExecTx", rest),
        _ => ("types.LegacyTx", raw),
    };
    match Header::decode(&mut fields) {
        Ok(header) if !header.list => format!("expected input list for {name}"),
        Ok(header) if fields.len() > header.payload_length => {
            "input contains more than one value".to_owned()
        }
        Ok(_) => match error {
            alloy_rlp::Error::InputTooShort => format!("too few elements for {name}"),
            alloy_rlp::Error::ListLengthMismatch { .. } | alloy_rlp::Error::UnexpectedLength => {
                format!("input list has too many elements for {name}")
            }
            alloy_rlp::Error::LeadingZero => {
                "non-canonical integer (leading zero bytes)".to_owned()
            }
            alloy_rlp::Error::NonCanonicalSize => "non-canonical size information".to_owned(),
            error => error.to_string(),
        },
        Err(_) => "value size exceeds available input length".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::test_chain::Tx;
    use alloy_eips::Encodable2718;
    use alloy_primitives::hex;

    fn refusal(raw: &[u8]) -> String {
        decode_transaction(raw).expect_err("no transaction").to_string()
    }

    #[test]
    fn refusals_are_geths() {
        let valid = Tx::default().envelope().encoded_2718();
        assert!(decode_transaction(&valid).is_ok());
        for byte in [0x00, 0x03, 0x05, 0x7f] {
            assert_eq!(refusal(&[byte, 0xc0]), "transaction type not supported");
        }
        for short in [&[][..], &[0x02], &[0x7f]] {
            assert_eq!(refusal(short), "typed transaction too short");
        }
        assert_eq!(refusal(&[0x02, 0xc0]), "rlp: too few elements for types.DynamicFeeTx");
        assert_eq!(refusal(&[0xc0]), "rlp: too few elements for types.LegacyTx");
        assert_eq!(refusal(&[0x80]), "rlp: expected input list for types.LegacyTx");
        assert_eq!(refusal(&hex!("02820102")), "rlp: expected input list for types.DynamicFeeTx");
        let cut = &valid[..valid.len() - 1];
        assert_eq!(refusal(cut), "rlp: value size exceeds available input length");
        let more = [valid.as_slice(), &[0]].concat();
        assert_eq!(refusal(&more), "rlp: input contains more than one value");
    }
}
