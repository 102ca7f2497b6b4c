//! The transaction object that calls and unsigned transactions are described by.

use super::message::Message;
use crate::{RpcError, hex::Hex};
use alloy_eips::{eip2930::AccessList, eip7702::SignedAuthorization};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256};
use serde::Deserialize;

/// A transaction as far as the caller says. As in geth, unknown fields are passed over.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct TransactionArgs {
    pub(crate) from: Option<Hex<Address>>,
    pub(crate) to: Option<Hex<Address>>,
    pub(crate) gas: Option<Hex<u64>>,
    pub(crate) gas_price: Option<Hex<U256>>,
    pub(crate) max_fee_per_gas: Option<Hex<U256>>,
    pub(crate) max_priority_fee_per_gas: Option<Hex<U256>>,
    pub(crate) value: Option<Hex<U256>>,
    pub(crate) nonce: Option<Hex<u64>>,
    /// The older name of `input`.
    pub(crate) data: Option<Hex<Bytes>>,
    pub(crate) input: Option<Hex<Bytes>>,
    pub(crate) access_list: Option<AccessList>,
    pub(crate) chain_id: Option<Hex<U256>>,
    pub(crate) max_fee_per_blob_gas: Option<Hex<U256>>,
    pub(crate) blob_versioned_hashes: Option<Vec<Hex<B256>>>,
    pub(crate) blobs: Option<serde::de::IgnoredAny>,
    pub(crate) authorization_list: Option<Vec<SignedAuthorization>>,
}

/// What fees a transaction leaves to be found, and what an answer to that may be.
const BOTH_STYLES: &str = "both gasPrice and (maxFeePerGas or maxPriorityFeePerGas) specified";

impl TransactionArgs {
    /// The sender, the zero address unless said otherwise.
    pub(crate) fn from(&self) -> Address {
        self.from.map_or(Address::ZERO, |Hex(from)| from)
    }

    /// The recipient, or a creation.
    pub(crate) fn kind(&self) -> TxKind {
        self.to.map_or(TxKind::Create, |Hex(to)| TxKind::Call(to))
    }

    /// The calldata.
    pub(crate) fn calldata(&self) -> Bytes {
        let data = self.input.as_ref().or(self.data.as_ref());
        data.map(|Hex(data)| data.clone()).unwrap_or_default()
    }

    /// Refuses fees of two styles at once, and another chain's id.
    pub(crate) fn check(&self, chain_id: u64) -> Result<(), RpcError> {
        if self.gas_price.is_some()
            && (self.max_fee_per_gas.is_some() || self.max_priority_fee_per_gas.is_some())
        {
            return Err(RpcError::server(BOTH_STYLES));
        }
        self.check_chain_id(chain_id)
    }

    /// Refuses another chain's id.
    pub(crate) fn check_chain_id(&self, chain_id: u64) -> Result<(), RpcError> {
        match self.chain_id {
            Some(Hex(have)) if have != U256::from(chain_id) => Err(RpcError::server(format!(
                "chainId does not match node's (have={have}, want={chain_id})"
            ))),
            _ => Ok(()),
        }
    }

    /// The message that this describes, for calls: what is not said is zero, and gas is what may
    /// be had at most (`gas_cap`; 0 is no limit).
    ///
    /// `base_fee` is that of the block, whatever the caller overrides.
    pub(crate) fn to_message(
        &self,
        gas_cap: u64,
        base_fee: u64,
        chain_id: u64,
    ) -> Result<Message, RpcError> {
        self.check(chain_id)?;
        let gas_limit = match (self.gas, gas_cap) {
            (None, 0) => u64::MAX / 2,
            (None, cap) => cap,
            (Some(Hex(gas)), 0) => gas,
            (Some(Hex(gas)), cap) => gas.min(cap),
        };
        let or_zero = |value: Option<Hex<U256>>| value.map_or(U256::ZERO, |Hex(value)| value);
        let (gas_price, fee_cap, tip_cap) = match self.gas_price {
            Some(Hex(price)) => (price, price, price),
            None => {
                let fee_cap = or_zero(self.max_fee_per_gas);
                let tip_cap = or_zero(self.max_priority_fee_per_gas);
                // All zero means "free", not "the base fee".
                let price = if fee_cap.is_zero() && tip_cap.is_zero() {
                    U256::ZERO
                } else {
                    tip_cap.saturating_add(U256::from(base_fee)).min(fee_cap)
                };
                (price, fee_cap, tip_cap)
            }
        };
        Ok(Message {
            from: self.from(),
            kind: self.kind(),
            value: or_zero(self.value),
            nonce: self.nonce.map_or(0, |Hex(nonce)| nonce),
            gas_limit,
            gas_price,
            fee_cap,
            tip_cap,
            data: self.calldata(),
            access_list: self.access_list.clone().unwrap_or_default(),
            blob_fee_cap: or_zero(self.max_fee_per_blob_gas),
            blob_hashes: self
                .blob_versioned_hashes
                .as_ref()
                .map(|hashes| hashes.iter().map(|Hex(hash)| *hash).collect()),
            authorizations: self.authorization_list.clone(),
        })
    }

    /// Fills in the fees that the caller left out, as a wallet would: the suggested tip, and twice
    /// the base fee on top of it.
    ///
    /// # Errors
    /// geth's, for fees that no transaction may have.
    pub(crate) fn fill_fees(
        &mut self,
        base_fee: u64,
        suggested_tip: impl FnOnce() -> Result<u128, RpcError>,
    ) -> Result<(), RpcError> {
        if self.max_fee_per_blob_gas.is_some_and(|Hex(fee)| fee.is_zero()) {
            return Err(RpcError::server("maxFeePerBlobGas, if specified, must be non-zero"));
        }
        match (self.gas_price, self.max_fee_per_gas, self.max_priority_fee_per_gas) {
            (Some(_), Some(_), _) | (Some(_), _, Some(_)) => Err(RpcError::server(BOTH_STYLES)),
            (Some(Hex(price)), None, None) if price.is_zero() => {
                Err(RpcError::server("gasPrice must be non-zero after london fork"))
            }
            (Some(_), None, None) => Ok(()),
            (None, Some(Hex(fee)), Some(_)) if fee.is_zero() => {
                Err(RpcError::server("maxFeePerGas must be non-zero"))
            }
            (None, fee, tip) => {
                let tip = match tip {
                    Some(Hex(tip)) => tip,
                    None => U256::from(suggested_tip()?),
                };
                let fee = match fee {
                    Some(Hex(fee)) => fee,
                    None => tip.saturating_add(U256::from(base_fee) * U256::from(2)),
                };
                if fee < tip {
                    return Err(RpcError::server(format!(
                        "maxFeePerGas ({fee:#x}) < maxPriorityFeePerGas ({tip:#x})"
                    )));
                }
                self.max_priority_fee_per_gas = Some(Hex(tip));
                self.max_fee_per_gas = Some(Hex(fee));
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args(json: &str) -> TransactionArgs {
        serde_json::from_str(json).expect("the test's own arguments")
    }

    #[test]
    fn input_is_preferred_over_data() {
        let both = args(r#"{"input":"0x01","data":"0x02","unknown":[1]}"#);
        assert_eq!(both.calldata().as_ref(), [1]);
        assert_eq!(args(r#"{"data":"0x02"}"#).calldata().as_ref(), [2]);
        assert!(serde_json::from_str::<TransactionArgs>(r#"{"gas":"0x01"}"#).is_err());
        assert!(serde_json::from_str::<TransactionArgs>(r#"{"from":"0x12"}"#).is_err());
    }

    #[test]
    fn calls_are_free_and_have_all_gas_unless_said_otherwise() {
        let message = args("{}").to_message(50_000_000, 100, 901).expect("a message");
        assert_eq!((message.gas_limit, message.kind), (50_000_000, TxKind::Create));
        assert_eq!((message.gas_price, message.fee_cap), (U256::ZERO, U256::ZERO));
        let capped = args(r#"{"gas":"0xffffffffff"}"#).to_message(50_000_000, 100, 901);
        assert_eq!(capped.expect("a message").gas_limit, 50_000_000);
        let unlimited = args("{}").to_message(0, 100, 901).expect("a message");
        assert_eq!(unlimited.gas_limit, u64::MAX / 2);
    }

    #[test]
    fn prices_follow_the_base_fee() {
        let price = |json| args(json).to_message(0, 100, 901).expect("a message").gas_price;
        assert_eq!(
            price(r#"{"maxFeePerGas":"0x3e8","maxPriorityFeePerGas":"0x5"}"#),
            U256::from(105)
        );
        assert_eq!(
            price(r#"{"maxFeePerGas":"0x66","maxPriorityFeePerGas":"0x5"}"#),
            U256::from(102)
        );
        assert_eq!(price(r#"{"gasPrice":"0x7"}"#), U256::from(7));
    }

    #[test]
    fn contradictions_are_refused_in_geths_words() {
        let refused = |json| {
            let error = args(json).to_message(0, 100, 901).expect_err("it is refused");
            assert_eq!(error.code(), -32000);
            error.message().to_owned()
        };
        assert_eq!(refused(r#"{"gasPrice":"0x1","maxFeePerGas":"0x1"}"#), BOTH_STYLES);
        assert_eq!(
            refused(r#"{"chainId":"0x1"}"#),
            "chainId does not match node's (have=1, want=901)"
        );
    }

    #[test]
    fn fees_are_filled_as_a_wallet_would() {
        let fill = |json| {
            let mut args = args(json);
            args.fill_fees(100, || Ok(7)).map(|()| args).map_err(|error| error.message().to_owned())
        };
        let filled = fill("{}").expect("fees are found");
        assert_eq!(filled.max_priority_fee_per_gas, Some(Hex(U256::from(7))));
        assert_eq!(filled.max_fee_per_gas, Some(Hex(U256::from(207))));
        assert_eq!(
            fill(r#"{"maxFeePerGas":"0x5"}"#),
            Err("maxFeePerGas (0x5) < maxPriorityFeePerGas (0x7)".to_owned())
        );
        assert_eq!(
            fill(r#"{"gasPrice":"0x0"}"#),
            Err("gasPrice must be non-zero after london fork".to_owned())
        );
        assert!(fill(r#"{"gasPrice":"0x1"}"#).is_ok_and(|args| args.max_fee_per_gas.is_none()));
    }
}
