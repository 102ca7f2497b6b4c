//! Answers of the RPC for people: payees by name, money as decimal strings, other numbers as numbers.

use crate::args::PayeeName;
use alloy_primitives::U256;
use ascribe_attribution::Payee;
use serde_json::Value;

/// What is money, and may not fit the numbers of JSON.
const WEI: [&str; 9] =
    ["amount", "claimable", "claimed", "completion", "earned", "fee", "fees", "prompt", "total"];
/// What is no number, though it may be as short as one.
const NAMES: [&str; 5] = ["cursor", "data", "list", "mergedInto", "parts"];
/// Digits of what is a number: longer ones are hashes, addresses and bytes.
const DIGITS: usize = 16;

/// The same with numbers as people read them.
pub(crate) fn readable(value: Value) -> Value {
    read("", value)
}

fn read(field: &str, value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(
            fields
                .into_iter()
                .map(|(name, value)| {
                    // A fee in rates, but a whole record elsewhere.
                    let field = if name == "record" && value.is_string() { "fee" } else { &name };
                    let value = read(field, value);
                    (name, value)
                })
                .collect(),
        ),
        Value::Array(values) => {
            Value::Array(values.into_iter().map(|value| read(field, value)).collect())
        }
        Value::String(text) => match number(field, &text) {
            Some(number) => number,
            None => Value::String(text),
        },
        value => value,
    }
}

fn number(field: &str, text: &str) -> Option<Value> {
    let digits = text.strip_prefix("0x")?;
    if NAMES.contains(&field) {
        return None;
    }
    let number = U256::from_str_radix(digits, 16).ok().filter(|_| !digits.is_empty())?;
    if field == "payee" {
        return Some(PayeeName(Payee::from_key(number)?).to_string().into());
    }
    if WEI.contains(&field) {
        return Some(number.to_string().into());
    }
    if digits.len() > DIGITS { None } else { Some(u64::try_from(number).ok()?.into()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_are_decimal() {
        let hash = format!("0x{}", "01".repeat(32));
        let list = "0xf39fd6e51aad88f6f4ce6ab8827279cfffb922660000000000000007";
        let payee = format!("{:#x}", Payee::Source { model: 0, adapter: 3, source: 7 }.key());
        let answer = json!({
            "list": list, "mergedInto": "0x3", "parts": ["0x1", "0x2"], "cursor": "0x0102",
            "blockNumber": "0x10", "transactionHash": hash, "payee": payee, "amount": "0x0",
            "claimed": true, "total": "0xde0b6b3a7640000", "gasPerRecord": 1.5, "none": null,
            "rates": {"prompt": "0x5", "record": "0xff", "modelShare": "0xbb8"},
            "shares": [{"source": "0x1", "weight": "0x2710"}], "record": {"index": "0x2"},
        });
        let wanted = json!({
            "list": list, "mergedInto": "0x3", "parts": ["0x1", "0x2"], "cursor": "0x0102",
            "blockNumber": 16, "transactionHash": hash, "payee": "source:0:3:7", "amount": "0",
            "claimed": true, "total": "1000000000000000000", "gasPerRecord": 1.5, "none": null,
            "rates": {"prompt": "5", "record": "255", "modelShare": 3000},
            "shares": [{"source": 1, "weight": 10000}], "record": {"index": 2},
        });
        assert_eq!(readable(answer), wanted);
    }
}
