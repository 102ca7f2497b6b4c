//! Logs.

use crate::hex::Hex;
use alloy_primitives::{B256, Log};
use serde::{Serialize, Serializer, ser::SerializeStruct};

/// A log and its place in the chain.
#[derive(Debug, Clone, Copy)]
pub(crate) struct LogJson<'a> {
    pub(crate) log: &'a Log,
    pub(crate) block_number: u64,
    pub(crate) block_hash: B256,
    pub(crate) block_timestamp: u64,
    pub(crate) transaction_hash: B256,
    pub(crate) transaction_index: u64,
    pub(crate) log_index: u64,
    /// Whether its block left the canonical chain.
    pub(crate) removed: bool,
}

impl Serialize for LogJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_struct("Log", 10)?;
        json.serialize_field("address", &self.log.address)?;
        json.serialize_field("topics", self.log.data.topics())?;
        json.serialize_field("data", &self.log.data.data)?;
        json.serialize_field("blockNumber", &Hex(self.block_number))?;
        json.serialize_field("transactionHash", &self.transaction_hash)?;
        json.serialize_field("transactionIndex", &Hex(self.transaction_index))?;
        json.serialize_field("blockHash", &self.block_hash)?;
        json.serialize_field("blockTimestamp", &Hex(self.block_timestamp))?;
        json.serialize_field("logIndex", &Hex(self.log_index))?;
        json.serialize_field("removed", &self.removed)?;
        json.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::{Address, Bytes};

    #[test]
    fn fields_are_op_geths() {
        let log = Log::new_unchecked(
            Address::repeat_byte(0x11),
            vec![B256::repeat_byte(0x22)],
            Bytes::from_static(&[0xab]),
        );
        let json = LogJson {
            log: &log,
            block_number: 16,
            block_hash: B256::repeat_byte(1),
            block_timestamp: 255,
            transaction_hash: B256::repeat_byte(2),
            transaction_index: 0,
            log_index: 3,
            removed: false,
        };
        let want = serde_json::json!({
            "address": "0x1111111111111111111111111111111111111111",
            "topics": [format!("0x{}", "22".repeat(32))],
            "data": "0xab",
            "blockNumber": "0x10",
            "transactionHash": format!("0x{}", "02".repeat(32)),
            "transactionIndex": "0x0",
            "blockHash": format!("0x{}", "01".repeat(32)),
            "blockTimestamp": "0xff",
            "logIndex": "0x3",
            "removed": false,
        });
        assert_eq!(serde_json::to_value(json).expect("a log serializes"), want);
    }
}
