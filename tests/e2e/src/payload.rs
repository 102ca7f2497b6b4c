//! A payload that can be bent, and the hash that it then has.

use alloy_consensus::{EMPTY_OMMER_ROOT_HASH, Header};
use alloy_eips::eip7685::EMPTY_REQUESTS_HASH;
use alloy_primitives::{Address, B64, B256, Bloom, Bytes, U256};
use alloy_trie::root::ordered_trie_root_encoded;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// An execution payload of Isthmus and later, field by field as JSON has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[expect(missing_docs, reason = "execution-apis and the OP Stack specification describe each")]
pub struct Payload {
    pub parent_hash: B256,
    pub fee_recipient: Address,
    pub state_root: B256,
    pub receipts_root: B256,
    pub logs_bloom: Bytes,
    pub prev_randao: B256,
    #[serde(with = "alloy_serde::quantity")]
    pub block_number: u64,
    #[serde(with = "alloy_serde::quantity")]
    pub gas_limit: u64,
    #[serde(with = "alloy_serde::quantity")]
    pub gas_used: u64,
    #[serde(with = "alloy_serde::quantity")]
    pub timestamp: u64,
    pub extra_data: Bytes,
    pub base_fee_per_gas: U256,
    pub block_hash: B256,
    pub transactions: Vec<Bytes>,
    pub withdrawals: Vec<Value>,
    #[serde(with = "alloy_serde::quantity")]
    pub blob_gas_used: u64,
    #[serde(with = "alloy_serde::quantity")]
    pub excess_blob_gas: u64,
    pub withdrawals_root: B256,
}

impl Payload {
    /// The hash of the block that this payload is with that beacon root. Made here from the fields
    /// and nothing else: a node that agrees has understood every one of them.
    pub fn hash(&self, parent_beacon_block_root: B256) -> B256 {
        let bloom = <[u8; 256]>::try_from(&self.logs_bloom[..]).unwrap_or([0; 256]);
        Header {
            parent_hash: self.parent_hash,
            ommers_hash: EMPTY_OMMER_ROOT_HASH,
            beneficiary: self.fee_recipient,
            state_root: self.state_root,
            transactions_root: ordered_trie_root_encoded(&self.transactions),
            receipts_root: self.receipts_root,
            logs_bloom: Bloom::new(bloom),
            difficulty: U256::ZERO,
            number: self.block_number,
            gas_limit: self.gas_limit,
            gas_used: self.gas_used,
            timestamp: self.timestamp,
            extra_data: self.extra_data.clone(),
            mix_hash: self.prev_randao,
            nonce: B64::ZERO,
            base_fee_per_gas: Some(self.base_fee_per_gas.to()),
            withdrawals_root: Some(self.withdrawals_root),
            blob_gas_used: Some(self.blob_gas_used),
            excess_blob_gas: Some(self.excess_blob_gas),
            parent_beacon_block_root: Some(parent_beacon_block_root),
            requests_hash: Some(EMPTY_REQUESTS_HASH),
            ..Header::default()
        }
        .hash_slow()
    }

    /// The payload with one thing changed, and the hash that it has then.
    #[must_use]
    pub fn bent(&self, parent_beacon_block_root: B256, bend: impl FnOnce(&mut Self)) -> Self {
        let mut bent = self.clone();
        bend(&mut bent);
        bent.block_hash = bent.hash(parent_beacon_block_root);
        bent
    }
}
