//! Why a call reverted, in words.

use alloy_primitives::{Bytes, U256};
use std::borrow::Cow;

/// Selector of `Error(string)`.
const ERROR: [u8; 4] = [0x08, 0xc3, 0x79, 0xa0];
/// Selector of `Panic(uint256)`.
const PANIC: [u8; 4] = [0x4e, 0x48, 0x7b, 0x71];

/// geth's text for a revert: the reason after a colon, where Solidity wrote one.
pub(crate) fn message(output: &Bytes) -> String {
    match reason(output) {
        Some(reason) => format!("execution reverted: {reason}"),
        None => "execution reverted".to_owned(),
    }
}

/// What `Error(string)` or `Panic(uint256)` says.
pub(crate) fn reason(output: &[u8]) -> Option<Cow<'_, str>> {
    let (selector, data) = output.split_first_chunk::<4>()?;
    match *selector {
        ERROR => error_string(data),
        PANIC => Some(panic_reason(U256::from_be_slice(data.get(..32)?))),
        _ => None,
    }
}

/// The only value of ABI-encoded `(string)`.
fn error_string(data: &[u8]) -> Option<Cow<'_, str>> {
    let word = |at: usize| {
        let end = at.checked_add(32)?;
        usize::try_from(U256::from_be_slice(data.get(at..end)?)).ok()
    };
    let offset = word(0)?;
    let start = offset.checked_add(32)?;
    let text = data.get(start..start.checked_add(word(offset)?)?)?;
    Some(String::from_utf8_lossy(text))
}

/// The meaning of a panic code, as Solidity documents it.
fn panic_reason(code: U256) -> Cow<'static, str> {
    match u64::try_from(code) {
        Ok(0x00) => "generic panic",
        Ok(0x01) => "assert(false)",
        Ok(0x11) => "arithmetic underflow or overflow",
        Ok(0x12) => "division or modulo by zero",
        Ok(0x21) => "enum overflow",
        Ok(0x22) => "invalid encoded storage byte array accessed",
        Ok(0x31) => "out-of-bounds array access; popping on an empty array",
        Ok(0x32) => "out-of-bounds access of an array or bytesN",
        Ok(0x41) => "out of memory",
        Ok(0x51) => "uninitialized function",
        _ => return format!("unknown panic code: {code:#x}").into(),
    }
    .into()
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::hex;
    use proptest::prelude::*;

    fn bytes(text: &str) -> Bytes {
        hex::decode(text).expect("the test's own hex").into()
    }

    fn error(text: &str) -> Bytes {
        let mut output = ERROR.to_vec();
        output.extend(U256::from(32).to_be_bytes::<32>());
        output.extend(U256::from(text.len()).to_be_bytes::<32>());
        output.extend(text.as_bytes());
        output.resize(output.len().next_multiple_of(32) + 4, 0);
        output.into()
    }

    #[test]
    fn reasons_are_spelled_out() {
        assert_eq!(message(&Bytes::new()), "execution reverted");
        assert_eq!(message(&error("not enough")), "execution reverted: not enough");
        assert_eq!(message(&error("")), "execution reverted: ");
        let panic = |code: u8| {
            let mut output = PANIC.to_vec();
            output.extend(U256::from(code).to_be_bytes::<32>());
            message(&output.into())
        };
        assert_eq!(panic(0x11), "execution reverted: arithmetic underflow or overflow");
        assert_eq!(panic(0x99), "execution reverted: unknown panic code: 0x99");
        // A custom error is not a text.
        assert_eq!(message(&bytes("cf479181")), "execution reverted");
    }

    proptest! {
        #[test]
        fn no_output_crashes(data in proptest::collection::vec(any::<u8>(), 0..200), panic: bool) {
            let mut output = if panic { PANIC.to_vec() } else { ERROR.to_vec() };
            output.extend(data);
            let _ = reason(&output);
        }

        #[test]
        fn texts_come_back(text in ".{0,80}") {
            let output = error(&text);
            let found = reason(&output).map(Cow::into_owned);
            prop_assert_eq!(found, Some(text));
        }
    }
}
