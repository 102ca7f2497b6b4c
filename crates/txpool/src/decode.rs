//! Raw transactions as `eth_sendRawTransaction` gets them.

use crate::PoolError;
use alloy_eips::{Decodable2718, eip2718::Eip2718Error};
use op_alloy_consensus::OpTxEnvelope;

/// Decodes the EIP-2718 bytes of one transaction and nothing behind it.
///
/// A deposit decodes: that it cannot be sent is for the pool to say, after checks that come
/// before (the RPC's fee cap).
pub fn decode_transaction(raw: &[u8]) -> Result<OpTxEnvelope, PoolError> {
    match raw {
        [] => return Err(PoolError::TypedTooShort),
        // Lists of RLP are legacy transactions.
        [0x80..=0xff, ..] => {}
        [_] => return Err(PoolError::TypedTooShort),
        _ => {}
    }
    OpTxEnvelope::decode_2718_exact(raw).map_err(|error| match error {
        Eip2718Error::UnexpectedType(_) => PoolError::UnknownType,
        Eip2718Error::RlpError(error) => PoolError::Rlp(rlp_text(&error)),
        error => PoolError::Rlp(error.to_string()),
    })
}

/// The words of go-ethereum's decoder, where there is one for the fault.
fn rlp_text(error: &alloy_rlp::Error) -> String {
    match error {
        alloy_rlp::Error::InputTooShort => "value size exceeds available input length".to_owned(),
        alloy_rlp::Error::UnexpectedLength => "input contains more than one value".to_owned(),
        alloy_rlp::Error::LeadingZero => "non-canonical integer (leading zero bytes)".to_owned(),
        alloy_rlp::Error::NonCanonicalSize => "non-canonical size information".to_owned(),
        alloy_rlp::Error::UnexpectedString => "expected List".to_owned(),
        alloy_rlp::Error::UnexpectedList => "expected String or Byte".to_owned(),
        alloy_rlp::Error::ListLengthMismatch { .. } => {
            "input list has too many elements".to_owned()
        }
        error => error.to_string(),
    }
}
