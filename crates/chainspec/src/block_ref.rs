//! What places a block in its chain, and an L2 block in both. In JSON as op-node writes it, numbers as
//! numbers.

use std::fmt;

use alloy_consensus::{Header, Transaction};
use alloy_eips::BlockNumHash;
use alloy_primitives::B256;
use op_alloy_consensus::OpBlock;
use reth_primitives_traits::RecoveredBlock;
use serde::{Deserialize, Serialize};

use crate::{BlockId, L1Attributes, RollupConfig, SystemConfigError, system_config::is_genesis};

/// An L1 block.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct L1BlockRef {
    /// Hash.
    pub hash: B256,
    /// Number.
    pub number: u64,
    /// Hash of the block before.
    pub parent_hash: B256,
    /// Seconds since 1970.
    pub timestamp: u64,
}

/// An L2 block with its L1 origin.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct L2BlockRef {
    /// Hash.
    pub hash: B256,
    /// Number.
    pub number: u64,
    /// Hash of the block before.
    pub parent_hash: B256,
    /// Seconds since 1970.
    pub timestamp: u64,
    /// The L1 block that it refers to.
    #[serde(rename = "l1origin", with = "block_id")]
    pub l1_origin: BlockNumHash,
    /// How many blocks before it have the same origin.
    pub sequence_number: u64,
}

impl L2BlockRef {
    /// The place of a block.
    ///
    /// # Errors
    /// As [`of_header`](Self::of_header).
    pub fn of_block(
        rollup: &RollupConfig,
        block: &RecoveredBlock<OpBlock>,
    ) -> Result<Self, SystemConfigError> {
        let attributes = block.body().transactions.first().map_or(&[][..], |tx| tx.input());
        Self::of_header(rollup, block.hash(), block.header(), attributes)
    }

    /// Reads a block's place off its header and the calldata of its first transaction.
    ///
    /// # Errors
    /// If that is no L1-attributes deposit, or a block with the number of the genesis is not it.
    pub fn of_header(
        rollup: &RollupConfig,
        hash: B256,
        header: &Header,
        attributes: &[u8],
    ) -> Result<Self, SystemConfigError> {
        let (l1_origin, sequence_number) = if is_genesis(rollup, hash, header.number)? {
            (rollup.genesis.l1.into(), 0)
        } else {
            let (attributes, _) = L1Attributes::decode(attributes)?;
            let origin = BlockNumHash::new(attributes.number, attributes.hash);
            (origin, attributes.sequence_number)
        };
        Ok(Self {
            hash,
            number: header.number,
            parent_hash: header.parent_hash,
            timestamp: header.timestamp,
            l1_origin,
            sequence_number,
        })
    }

    /// Number and hash.
    pub const fn id(&self) -> BlockNumHash {
        BlockNumHash::new(self.number, self.hash)
    }
}

/// `hash:number`, as op-node logs it.
impl fmt::Display for L2BlockRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.hash, self.number)
    }
}

/// op-node's order and form of a block id.
mod block_id {
    use super::{BlockId, BlockNumHash};
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(id: &BlockNumHash, to: S) -> Result<S::Ok, S::Error> {
        BlockId::from(*id).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<BlockNumHash, D::Error> {
        BlockId::deserialize(from).map(Into::into)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn json_is_op_nodes() {
        let block = L2BlockRef {
            hash: B256::repeat_byte(1),
            number: 7,
            parent_hash: B256::repeat_byte(2),
            timestamp: 1_700_000_000,
            l1_origin: BlockNumHash::new(3, B256::repeat_byte(4)),
            sequence_number: 5,
        };
        let value = json!({
            "hash": B256::repeat_byte(1), "number": 7, "parentHash": B256::repeat_byte(2),
            "timestamp": 1_700_000_000, "l1origin": { "hash": B256::repeat_byte(4), "number": 3 },
            "sequenceNumber": 5,
        });
        assert_eq!(serde_json::to_value(block).expect("JSON"), value);
        assert_eq!(serde_json::from_value::<L2BlockRef>(value).expect("a block"), block);
        assert_eq!(block.to_string(), format!("{}:7", B256::repeat_byte(1)));
    }
}
