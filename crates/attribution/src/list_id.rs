//! The numbers that the hub gives to payout lists.

use alloy_primitives::{Address, U256};
use serde::{Deserialize, Serialize, Serializer};
use std::fmt;

/// Number of a payout list in the hub: a batch's is `operator << 64 | sequence`; lists made by merging count from 0, as
/// if an operator of address zero had made them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Deserialize)]
#[serde(try_from = "U256")]
pub struct ListId {
    operator: Address,
    sequence: u64,
}

/// A number above all that lists can have.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is not the number of a payout list: it has more than 224 bits")]
pub struct NotAList(pub U256);

impl ListId {
    /// Bytes of a number.
    pub const LENGTH: usize = 28;

    /// The list of a batch.
    pub const fn of_batch(operator: Address, sequence: u64) -> Self {
        Self { operator, sequence }
    }

    /// The list made by merging after `count` others.
    pub const fn of_merge(count: u64) -> Self {
        Self { operator: Address::ZERO, sequence: count }
    }

    /// Who submitted the batch; `None` of a merged list.
    pub fn operator(&self) -> Option<Address> {
        (!self.is_merged()).then_some(self.operator)
    }

    /// The batch's sequence number, or how many lists were merged before.
    pub const fn sequence(&self) -> u64 {
        self.sequence
    }

    /// Whether the list was made of others.
    pub fn is_merged(&self) -> bool {
        self.operator.is_zero()
    }

    /// The number.
    pub fn number(&self) -> U256 {
        U256::from_be_slice(&self.to_bytes())
    }

    /// The number, big-endian.
    pub fn to_bytes(self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[..20].copy_from_slice(self.operator.as_slice());
        bytes[20..].copy_from_slice(&self.sequence.to_be_bytes());
        bytes
    }

    /// The list with this number, big-endian.
    pub fn from_bytes(bytes: [u8; Self::LENGTH]) -> Self {
        let sequence = *bytes.last_chunk().expect("invariant: there are 28");
        Self { operator: Address::from_slice(&bytes[..20]), sequence: u64::from_be_bytes(sequence) }
    }
}

impl Serialize for ListId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.number().serialize(serializer)
    }
}

impl TryFrom<U256> for ListId {
    type Error = NotAList;

    fn try_from(number: U256) -> Result<Self, NotAList> {
        let bytes = number.to_be_bytes::<32>();
        match bytes.split_first_chunk::<4>() {
            Some(([0, 0, 0, 0], rest)) => {
                Ok(Self::from_bytes(rest.try_into().expect("invariant: 28 bytes are left")))
            }
            _ => Err(NotAList(number)),
        }
    }
}

/// In hexadecimal.
impl fmt::Display for ListId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:#x}", self.number())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_hub() {
        let operator = Address::repeat_byte(0xab);
        let list = ListId::of_batch(operator, 7);
        let number = U256::from_be_slice(operator.as_slice()) << 64 | U256::from(7);
        assert_eq!(list.number(), number);
        assert_eq!(ListId::try_from(number), Ok(list));
        assert_eq!((list.operator(), list.sequence()), (Some(operator), 7));
        let json = serde_json::to_string(&list).expect("JSON");
        assert_eq!(json, format!("\"{list}\""));
        assert_eq!(serde_json::from_str::<ListId>(&json).expect("a list"), list);

        let merged = ListId::of_merge(3);
        assert_eq!(merged.number(), U256::from(3));
        assert_eq!((merged.operator(), merged.is_merged()), (None, true));
        let above = U256::from(1) << 224;
        assert_eq!(ListId::try_from(above), Err(NotAList(above)));
        assert!(serde_json::from_str::<ListId>(&format!("\"{above:#x}\"")).is_err());
    }
}
