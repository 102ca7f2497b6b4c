//! What else there is to say about an answer.

use crate::merkle;
use alloy_primitives::{B256, Bytes, keccak256};
use serde::{Deserialize, Serialize};

/// The details of one record. They stay off the chain; the batch has the Merkle root over its records'
/// details, so whoever holds one can prove it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Detail {
    /// The request's id, hashed if it is longer.
    pub request_id: B256,
    /// Who asked: an address or a pseudonym, left-padded or hashed.
    pub requester: B256,
    /// keccak256 of the prompt.
    pub prompt_hash: B256,
    /// keccak256 of the answer.
    pub output_hash: B256,
    /// keccak256 of the sampling parameters.
    pub parameters_hash: B256,
    /// Content id of the adapter: hash of its configuration and weights.
    pub generation: B256,
    /// The operator's over the receipt of the answer, as the requester got it.
    pub signature: Bytes,
}

impl Detail {
    /// The leaf of the details of record `index`: keccak256 of `abi.encode(index, requestId, requester,
    /// promptHash, outputHash, parametersHash, generation, keccak256(signature))`.
    pub fn leaf(&self, index: u32) -> B256 {
        keccak256(self.message(index))
    }

    fn message(&self, index: u32) -> [u8; 256] {
        let mut message = [0; 256];
        message[28..32].copy_from_slice(&index.to_be_bytes());
        let words = [
            self.request_id,
            self.requester,
            self.prompt_hash,
            self.output_hash,
            self.parameters_hash,
            self.generation,
            keccak256(&self.signature),
        ];
        for (place, word) in message[32..].chunks_exact_mut(32).zip(words) {
            place.copy_from_slice(word.as_slice());
        }
        message
    }

    /// The leaves of all details of a batch, in the order of its records. Their
    /// [`root`](merkle::root) goes into the header.
    pub fn leaves(details: &[Self]) -> Vec<B256> {
        merkle::hashes(
            details.iter().enumerate().map(|(index, detail)| detail.message(index as u32)),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn leaves_follow_the_records() {
        let details: Vec<_> = (0..5)
            .map(|byte| Detail {
                request_id: B256::repeat_byte(byte),
                requester: B256::repeat_byte(1),
                prompt_hash: B256::repeat_byte(2),
                output_hash: B256::repeat_byte(3),
                parameters_hash: B256::repeat_byte(4),
                generation: B256::repeat_byte(5),
                signature: vec![byte; 65].into(),
            })
            .collect();
        let leaves = Detail::leaves(&details);
        for (index, detail) in (0..).zip(&details) {
            assert_eq!(leaves[index as usize], detail.leaf(index));
            assert_ne!(detail.leaf(index), detail.leaf(index + 1));
        }
    }
}
