//! Why the hub refuses a call.

use alloy_json_rpc::ErrorPayload;
use alloy_primitives::Bytes;
use alloy_sol_types::{GenericContractError, SolInterface};
use ascribe_attribution::{
    abi::IAttribution::IAttributionErrors, hub::IAttributionHub::IAttributionHubErrors,
};
use std::fmt;

/// Why the hub refuses a call: its error with its fields, the precompile's, which it hands on, or a reason in words.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    data: Bytes,
}

impl Refusal {
    /// What a node's error says of a revert, if it is about one.
    pub(crate) fn of_response(error: &ErrorPayload) -> Option<Self> {
        error.as_revert_data().map(|data| Self { data })
    }

    /// The error as the ABI has it.
    pub const fn data(&self) -> &Bytes {
        &self.data
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // `Name(Name { field: value })`, of which the inner is what there is to say.
        let inner = |debug: String| match debug.split_once('(') {
            Some((_, inner)) => inner.strip_suffix(')').unwrap_or(inner).to_owned(),
            None => debug,
        };
        if let Ok(error) = IAttributionHubErrors::abi_decode_validate(&self.data) {
            return f.write_str(&inner(format!("{error:?}")));
        }
        if let Ok(error) = IAttributionErrors::abi_decode_validate(&self.data) {
            return f.write_str(&inner(format!("{error:?}")));
        }
        match GenericContractError::abi_decode(&self.data) {
            Ok(reason) => reason.fmt(f),
            Err(_) => write!(f, "revert data {}", self.data),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::U256;
    use alloy_sol_types::{Revert, SolError};
    use ascribe_attribution::{abi::IAttribution, hub::IAttributionHub};

    fn told(data: Vec<u8>) -> String {
        Refusal { data: data.into() }.to_string()
    }

    #[test]
    fn errors_have_names_and_fields() {
        let error = IAttributionHub::WrongSequence { expected: 3, given: 2 };
        assert_eq!(told(error.abi_encode()), "WrongSequence { expected: 3, given: 2 }");
        let error = IAttributionHub::Underfunded { total: U256::from(9), given: U256::from(8) };
        assert_eq!(told(error.abi_encode()), "Underfunded { total: 9, given: 8 }");
        assert_eq!(told(IAttributionHub::InvalidProof {}.abi_encode()), "InvalidProof");
        let error = IAttribution::MalformedColumn { column: 5, fault: 1 };
        assert_eq!(told(error.abi_encode()), "MalformedColumn { column: 5, fault: 1 }");
        let error = Revert::from("Pausable: paused").abi_encode();
        assert!(told(error).contains("Pausable: paused"));
        assert_eq!(told(vec![1, 2, 3, 4]), "revert data 0x01020304");
    }

    #[test]
    fn only_reverts_are_refusals() {
        let of = |json: &str| {
            Refusal::of_response(&serde_json::from_str(json).expect("an error of JSON-RPC"))
        };
        let revert = of(r#"{"code":3,"message":"execution reverted","data":"0x09bde339"}"#);
        assert_eq!(revert.expect("a revert").to_string(), "InvalidProof");
        assert_eq!(of(r#"{"code":-32000,"message":"insufficient funds"}"#), None);
    }
}
