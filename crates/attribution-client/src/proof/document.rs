//! What a proof holds.

use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_rpc_types_eth::EIP1186AccountProofResponse;
use alloy_serde::quantity;
use ascribe_attribution::{ListId, hub};
use ascribe_attribution_index::answer::{PayoutProof, RecordProof, SourceShare};
use serde::{Deserialize, Serialize};

/// A record or a payout with all that proves it to whoever knows the hash of a block, or an output root. Names and
/// numbers are as in JSON-RPC. Everything it says is proven, or refused by [`Proof::check`], but for the chain id of
/// a payout, which the block's hash stands for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Proof {
    /// The chain.
    #[serde(with = "quantity")]
    pub chain_id: u64,
    /// The contract that settled.
    pub hub: Address,
    /// The payout list, or that of the record's batch.
    pub list: ListId,
    /// What is proven.
    pub proven: Proven,
    /// The hub's account and its slots that matter, as `eth_getProof` answers.
    pub account: EIP1186AccountProofResponse,
    /// The header of the block after which all that is so, in RLP.
    pub block_header: Bytes,
}

/// What is proven, by Merkle paths that end in roots that the hub stores.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum Proven {
    /// A record.
    Record(RecordPath),
    /// A payout.
    Payout(PayoutPath),
}

/// A record, its batch's header, and their paths to the record root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordPath {
    /// Its place in the batch.
    #[serde(with = "quantity")]
    pub index: u32,
    /// The adapter, among the model's.
    #[serde(with = "quantity")]
    pub adapter: u32,
    /// Tokens of the prompt.
    #[serde(with = "quantity")]
    pub prompt_tokens: u32,
    /// Tokens of the answer.
    #[serde(with = "quantity")]
    pub completion_tokens: u32,
    /// When, in seconds since 1970-01-01.
    #[serde(with = "quantity")]
    pub timestamp: u64,
    /// What part each source has.
    pub shares: Vec<SourceShare>,
    /// Siblings on the way from the record's leaf to the root.
    pub proof: Vec<B256>,
    /// The batch's header: chain, hub, model, operator, sequence number, time base.
    pub batch_header: Bytes,
    /// Siblings on the way from the header's leaf to the root.
    pub batch_header_proof: Vec<B256>,
}

/// A payout and its path to the payout root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct PayoutPath {
    /// Its place in the list.
    #[serde(with = "quantity")]
    pub position: u32,
    /// Who, as [`ascribe_attribution::Payee::key`] has it.
    pub payee: U256,
    /// Wei.
    #[serde(with = "quantity")]
    pub amount: u128,
    /// Whether it is claimed of this list.
    pub claimed: bool,
    /// Siblings on the way from the payout's leaf to the root.
    pub proof: Vec<B256>,
}

impl From<RecordProof> for RecordPath {
    fn from(answer: RecordProof) -> Self {
        let record = answer.record;
        Self {
            index: record.index,
            adapter: record.adapter,
            prompt_tokens: record.prompt_tokens,
            completion_tokens: record.completion_tokens,
            timestamp: record.timestamp,
            shares: record.shares,
            proof: answer.proof,
            batch_header: answer.header,
            batch_header_proof: answer.header_proof,
        }
    }
}

impl From<PayoutProof> for PayoutPath {
    fn from(answer: PayoutProof) -> Self {
        Self {
            position: answer.position,
            payee: answer.payee,
            amount: answer.amount,
            claimed: answer.claimed,
            proof: answer.proof,
        }
    }
}

impl Proven {
    /// The hub's slots that matter: first that of the root; of a payout also that of the bit that says whether it is
    /// claimed, and that of the list's state.
    pub fn slots(&self, list: ListId) -> Vec<B256> {
        match self {
            Self::Record(_) => vec![hub::record_root_slot(list).into()],
            Self::Payout(payout) => {
                let (claimed, _) = hub::claimed_slot(list, payout.position);
                let (root, state) = (hub::payout_root_slot(list), hub::list_state_slot(list));
                vec![root.into(), claimed.into(), state.into()]
            }
        }
    }
}
