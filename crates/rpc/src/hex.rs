//! Hexadecimal values of JSON-RPC: read as strictly as geth reads them, written fast.

use alloy_primitives::{Address, B256, Bytes, U256, hex};
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{self, Visitor},
};
use std::{fmt, marker::PhantomData};

/// A value that JSON-RPC writes as `0x…`.
///
/// What cannot be read is refused with the text of go-ethereum's `hexutil`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Hex<T>(pub(crate) T);

/// What has a strict reading.
pub(crate) trait FromHex: Sized {
    /// Go's name of the type.
    const GO_TYPE: &'static str;

    /// Reads the text of a JSON string.
    fn from_hex(text: &str) -> Result<Self, HexError>;
}

/// Why a text is no value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum HexError {
    #[error("empty hex string")]
    Empty,
    #[error("hex string without 0x prefix")]
    MissingPrefix,
    #[error("invalid hex string")]
    Syntax,
    #[error("hex string of odd length")]
    OddLength,
    #[error("hex string \"0x\"")]
    EmptyNumber,
    #[error("hex number with leading zero digits")]
    LeadingZero,
    #[error("hex number > 64 bits")]
    Uint64Range,
    #[error("hex number > 256 bits")]
    Big256Range,
    #[error("hex string has length {have}, want {want} for {ty}")]
    Length { have: usize, want: usize, ty: &'static str },
}

/// The digits after `0x`.
fn digits(text: &str) -> Result<&str, HexError> {
    text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")).ok_or(HexError::MissingPrefix)
}

/// The digits of a number: at least one, and no zero in front of others.
fn number_digits(text: &str) -> Result<&str, HexError> {
    match digits(text)? {
        "" => Err(HexError::EmptyNumber),
        digits if digits.len() > 1 && digits.starts_with('0') => Err(HexError::LeadingZero),
        digits => Ok(digits),
    }
}

/// Reads a number of at most 64 bits, which may not be the empty string.
pub(crate) fn decode_u64(text: &str) -> Result<u64, HexError> {
    if text.is_empty() {
        return Err(HexError::Empty);
    }
    let digits = number_digits(text)?;
    if digits.len() > 16 {
        return Err(HexError::Uint64Range);
    }
    // from_str_radix would take a sign.
    if !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(HexError::Syntax);
    }
    u64::from_str_radix(digits, 16).map_err(|_| HexError::Syntax)
}

fn decode_u256(text: &str) -> Result<U256, HexError> {
    let digits = number_digits(text)?;
    if digits.len() > 64 {
        return Err(HexError::Big256Range);
    }
    let valid = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    let number = valid.then(|| U256::from_str_radix(digits, 16).ok()).flatten();
    number.ok_or(HexError::Syntax)
}

fn decode_fixed<const N: usize>(text: &str, ty: &'static str) -> Result<[u8; N], HexError> {
    let digits = if text.is_empty() { "" } else { digits(text)? };
    if digits.len() % 2 == 1 {
        return Err(HexError::OddLength);
    }
    if digits.len() != N * 2 {
        return Err(HexError::Length { have: digits.len(), want: N * 2, ty });
    }
    let mut bytes = [0; N];
    hex::decode_to_slice(digits, &mut bytes).map_err(|_| HexError::Syntax)?;
    Ok(bytes)
}

impl FromHex for Address {
    const GO_TYPE: &'static str = "common.Address";

    fn from_hex(text: &str) -> Result<Self, HexError> {
        decode_fixed(text, Self::GO_TYPE).map(Self::from)
    }
}

impl FromHex for B256 {
    const GO_TYPE: &'static str = "common.Hash";

    fn from_hex(text: &str) -> Result<Self, HexError> {
        decode_fixed(text, Self::GO_TYPE).map(Self::from)
    }
}

impl FromHex for Bytes {
    const GO_TYPE: &'static str = "hexutil.Bytes";

    fn from_hex(text: &str) -> Result<Self, HexError> {
        let digits = if text.is_empty() { "" } else { digits(text)? };
        if digits.len() % 2 == 1 {
            return Err(HexError::OddLength);
        }
        hex::decode(digits).map(Self::from).map_err(|_| HexError::Syntax)
    }
}

impl FromHex for u64 {
    const GO_TYPE: &'static str = "hexutil.Uint64";

    fn from_hex(text: &str) -> Result<Self, HexError> {
        if text.is_empty() { Ok(0) } else { decode_u64(text) }
    }
}

impl FromHex for U256 {
    const GO_TYPE: &'static str = "*hexutil.Big";

    fn from_hex(text: &str) -> Result<Self, HexError> {
        if text.is_empty() { Ok(Self::ZERO) } else { decode_u256(text) }
    }
}

impl<'de, T: FromHex> Deserialize<'de> for Hex<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(HexVisitor(PhantomData))
    }
}

struct HexVisitor<T>(PhantomData<T>);

impl<T: FromHex> HexVisitor<T> {
    fn not_a_string<E: de::Error>() -> E {
        E::custom(format_args!(
            "json: cannot unmarshal non-string into Go value of type {}",
            T::GO_TYPE
        ))
    }
}

impl<'de, T: FromHex> Visitor<'de> for HexVisitor<T> {
    type Value = Hex<T>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "a hex string ({})", T::GO_TYPE)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
        T::from_hex(text).map(Hex).map_err(|error| match error {
            HexError::Length { .. } => E::custom(error),
            _ => E::custom(format_args!(
                "json: cannot unmarshal {error} into Go value of type {}",
                T::GO_TYPE
            )),
        })
    }

    fn visit_bool<E: de::Error>(self, _: bool) -> Result<Self::Value, E> {
        Err(Self::not_a_string())
    }

    fn visit_i64<E: de::Error>(self, _: i64) -> Result<Self::Value, E> {
        Err(Self::not_a_string())
    }

    fn visit_u64<E: de::Error>(self, _: u64) -> Result<Self::Value, E> {
        Err(Self::not_a_string())
    }

    fn visit_f64<E: de::Error>(self, _: f64) -> Result<Self::Value, E> {
        Err(Self::not_a_string())
    }

    fn visit_unit<E: de::Error>(self) -> Result<Self::Value, E> {
        Err(Self::not_a_string())
    }

    fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        while seq.next_element::<de::IgnoredAny>()?.is_some() {}
        Err(Self::not_a_string())
    }

    fn visit_map<A: de::MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        while map.next_entry::<de::IgnoredAny, de::IgnoredAny>()?.is_some() {}
        Err(Self::not_a_string())
    }
}

/// `0x` and 32 digits: the longest number below 2^128.
const U128_LEN: usize = 34;

/// Writes a number without leading zeros into the end of `buffer`.
fn encode_u128(mut number: u128, buffer: &mut [u8; U128_LEN]) -> &str {
    let mut at = U128_LEN;
    loop {
        at -= 1;
        buffer[at] = b"0123456789abcdef"[(number & 0xf) as usize];
        number >>= 4;
        if number == 0 {
            break;
        }
    }
    buffer[at - 1] = b'x';
    buffer[at - 2] = b'0';
    std::str::from_utf8(&buffer[at - 2..]).expect("invariant: hex digits are ASCII")
}

impl Serialize for Hex<u64> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Hex(u128::from(self.0)).serialize(serializer)
    }
}

impl Serialize for Hex<u128> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(encode_u128(self.0, &mut [0; U128_LEN]))
    }
}

impl Serialize for Hex<U256> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match u128::try_from(self.0) {
            Ok(small) => Hex(small).serialize(serializer),
            Err(_) => serializer.collect_str(&format_args!("{:#x}", self.0)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read<T: FromHex>(json: &str) -> Result<T, String> {
        serde_json::from_str::<Hex<T>>(json).map(|Hex(value)| value).map_err(|error| {
            let text = error.to_string();
            text.split(" at line").next().unwrap_or_default().to_owned()
        })
    }

    #[test]
    fn numbers_are_read_strictly() {
        let wrapped = |what: &str| {
            Err(format!("json: cannot unmarshal {what} into Go value of type hexutil.Uint64"))
        };
        assert_eq!(read::<u64>(r#""0x0""#), Ok(0));
        assert_eq!(read::<u64>(r#""0Xff""#), Ok(255));
        assert_eq!(read::<u64>(r#""""#), Ok(0));
        assert_eq!(read::<u64>(r#""0xffffffffffffffff""#), Ok(u64::MAX));
        assert_eq!(read::<u64>(r#""0x""#), wrapped("hex string \"0x\""));
        assert_eq!(read::<u64>(r#""0x01""#), wrapped("hex number with leading zero digits"));
        assert_eq!(read::<u64>(r#""1""#), wrapped("hex string without 0x prefix"));
        assert_eq!(read::<u64>(r#""0x+1""#), wrapped("invalid hex string"));
        assert_eq!(read::<u64>(r#""0x10000000000000000""#), wrapped("hex number > 64 bits"));
        for other in ["1", "-1", "1.5", "null", "true", "[1]", r#"{"a":1}"#] {
            assert_eq!(read::<u64>(other), wrapped("non-string"), "{other}");
        }
        assert_eq!(decode_u64(""), Err(HexError::Empty));
        assert!(read::<U256>(&format!("\"0x{}\"", "f".repeat(64))).is_ok());
        assert!(read::<U256>(&format!("\"0x1{}\"", "0".repeat(64))).is_err());
    }

    #[test]
    fn fixed_values_have_their_length() {
        assert_eq!(
            read::<Address>(r#""0x12""#),
            Err("hex string has length 2, want 40 for common.Address".to_owned())
        );
        assert!(read::<Address>(r#""5B38Da6a701c568545dCfcB03FcB875f56beddC4""#).is_err());
        assert!(read::<Address>(r#""0x5B38Da6a701c568545dCfcB03FcB875f56beddC4""#).is_ok());
        assert!(read::<B256>(&format!("\"0x{}\"", "0g".repeat(32))).is_err());
        assert_eq!(read::<Bytes>(r#""0x""#), Ok(Bytes::new()));
        assert!(read::<Bytes>(r#""0x1""#).is_err_and(|text| text.contains("odd length")));
    }

    proptest! {
        #[test]
        fn numbers_come_back(number: u64, bytes: [u8; 32]) {
            let json = serde_json::to_string(&Hex(number)).expect("numbers serialize");
            prop_assert_eq!(&json, &format!("\"{number:#x}\""));
            prop_assert_eq!(read::<u64>(&json), Ok(number));
            let big = U256::from_be_bytes(bytes) >> (number % 256) as usize;
            let json = serde_json::to_string(&Hex(big)).expect("numbers serialize");
            prop_assert_eq!(&json, &format!("\"{big:#x}\""));
            prop_assert_eq!(read::<U256>(&json), Ok(big));
        }
    }
}
