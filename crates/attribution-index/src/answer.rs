//! What is asked of the index and what it answers, with the JSON that `attribution_` methods speak: numbers are
//! hexadecimal quantities, as everywhere in Ethereum's JSON-RPC.

use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{Address, B256, Bytes, U256};
use alloy_serde::quantity;
use ascribe_attribution::{ListId, Payee, Rates};
use serde::{Deserialize, Serialize};

/// Where something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Place {
    /// The block's number.
    #[serde(with = "quantity")]
    pub block_number: u64,
    /// The block's hash.
    pub block_hash: B256,
    /// The block's time, in seconds since 1970-01-01.
    #[serde(with = "quantity")]
    pub block_timestamp: u64,
    /// The transaction's hash.
    pub transaction_hash: B256,
    /// The transaction's place in the block.
    #[serde(with = "quantity")]
    pub transaction_index: u32,
    /// The event's place among the block's logs.
    #[serde(with = "quantity")]
    pub log_index: u32,
}

/// `attribution_getBatch`: a settled batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettledBatch {
    /// Its payout list.
    pub list: ListId,
    /// Who submitted it.
    pub operator: Address,
    /// How many batches the operator had submitted before.
    #[serde(with = "quantity")]
    pub sequence: u64,
    /// The model that answered.
    #[serde(with = "quantity")]
    pub model: u32,
    /// Seconds since 1970-01-01 that the records' times count from.
    #[serde(with = "quantity")]
    pub time_base: u64,
    /// The time of the last record.
    #[serde(with = "quantity")]
    pub time_end: u64,
    /// How many records it has.
    #[serde(with = "quantity")]
    pub records: u32,
    /// How many payees it pays.
    #[serde(with = "quantity")]
    pub payouts: u32,
    /// Prompt tokens of all records.
    #[serde(with = "quantity")]
    pub prompt_tokens: u64,
    /// Completion tokens of all records.
    #[serde(with = "quantity")]
    pub completion_tokens: u64,
    /// What its payouts add up to, in wei.
    #[serde(with = "quantity")]
    pub total: u128,
    /// What it was settled by.
    #[serde(with = "rates")]
    pub rates: Rates,
    /// Merkle root over header and records.
    pub record_root: B256,
    /// Merkle root over the payouts.
    pub payout_root: B256,
    /// Merkle root over the records' details.
    pub detail_root: B256,
    /// Bytes of the batch; zero if the index has not found them.
    #[serde(with = "quantity")]
    pub size: u32,
    /// Gas of its transaction. Of several batches in one, the first has it all.
    #[serde(with = "quantity")]
    pub gas_used: u64,
    /// The list that its payouts were merged into, if they were.
    pub merged_into: Option<ListId>,
    /// Where it was settled.
    #[serde(flatten)]
    pub place: Place,
}

/// A message of the subscription `attribution`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BatchNotice {
    /// A batch.
    #[serde(flatten)]
    pub batch: SettledBatch,
    /// Whether its block has left the chain; otherwise it has joined it.
    pub removed: bool,
}

/// A range of blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct BlockRange {
    /// The first; that of the chain by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_block: Option<BlockNumberOrTag>,
    /// The last; the latest by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_block: Option<BlockNumberOrTag>,
}

/// `attribution_getRecord`: a record of a settled batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct SettledRecord {
    /// The list of its batch.
    pub list: ListId,
    /// Its place in the batch.
    #[serde(with = "quantity")]
    pub index: u32,
    /// Who vouches for it.
    pub operator: Address,
    /// The model that answered.
    #[serde(with = "quantity")]
    pub model: u32,
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
    /// What it cost, in wei, rounded down.
    #[serde(with = "quantity")]
    pub fee: u128,
    /// What part each source has.
    pub shares: Vec<SourceShare>,
    /// The block that it was settled in.
    #[serde(with = "quantity")]
    pub block_number: u64,
    /// The transaction that brought it.
    pub transaction_hash: B256,
}

/// The part of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SourceShare {
    /// The source, among the adapter's.
    #[serde(with = "quantity")]
    pub source: u32,
    /// In 1/10,000.
    #[serde(with = "quantity")]
    pub weight: u16,
}

/// What records `attribution_getRecords` looks for: those that fit all that is said.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct RecordFilter {
    /// Of this model.
    #[serde(default, with = "quantity::opt", skip_serializing_if = "Option::is_none")]
    pub model: Option<u32>,
    /// Of this adapter, which takes `model`.
    #[serde(default, with = "quantity::opt", skip_serializing_if = "Option::is_none")]
    pub adapter: Option<u32>,
    /// With a share of this source, which takes `adapter`.
    #[serde(default, with = "quantity::opt", skip_serializing_if = "Option::is_none")]
    pub source: Option<u32>,
    /// Of this operator.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operator: Option<Address>,
    /// Settled in this block or later; the first by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_block: Option<BlockNumberOrTag>,
    /// Settled in this block or earlier; the latest by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_block: Option<BlockNumberOrTag>,
    /// How many records an answer has at most: 1 to 1,000, 100 by default.
    #[serde(default, with = "quantity::opt", skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on: the `cursor` of the answer before, which must have been to the same question.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Bytes>,
}

/// `attribution_getRecords`: records in the order of the chain.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct RecordPage {
    /// The records. There may be none and yet more to come: an answer ends after so much work.
    pub records: Vec<SettledRecord>,
    /// Where to go on; nothing if that was all.
    pub cursor: Option<Bytes>,
}

/// `attribution_getRecordProof`: that a record is in its batch, for whoever knows the record root.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct RecordProof {
    /// The record.
    pub record: SettledRecord,
    /// The batch's header, the first leaf's message: operator, model and time base are in it.
    pub header: Bytes,
    /// Siblings on the way from the header's leaf to the root.
    pub header_proof: Vec<B256>,
    /// The record's leaf.
    pub leaf: B256,
    /// Siblings on the way from the record's leaf to the root.
    pub proof: Vec<B256>,
    /// The root that the hub stores of the batch.
    pub record_root: B256,
}

/// `attribution_getPayoutProof`: what a payee gets of a list, with all that a claim takes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PayoutProof {
    /// The list.
    pub list: ListId,
    /// The payout's place in it.
    #[serde(with = "quantity")]
    pub position: u32,
    /// Who, as [`Payee::key`] has it.
    pub payee: U256,
    /// Wei.
    #[serde(with = "quantity")]
    pub amount: u128,
    /// Whether it was claimed of this list.
    pub claimed: bool,
    /// The list that this one was merged into, if it was: then nothing can be claimed of this one.
    pub merged_into: Option<ListId>,
    /// The payout's leaf.
    pub leaf: B256,
    /// Siblings on the way from the leaf to the root.
    pub proof: Vec<B256>,
    /// The root that the hub stores of the list.
    pub payout_root: B256,
}

/// `attribution_getPayouts`: a whole payout list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct PayoutList {
    /// The list.
    pub list: ListId,
    /// How many payouts it has.
    #[serde(with = "quantity")]
    pub payouts: u32,
    /// What they add up to, in wei.
    #[serde(with = "quantity")]
    pub total: u128,
    /// The root that the hub stores of it.
    pub payout_root: B256,
    /// The lists that it was made of; none of a batch's.
    pub parts: Vec<ListId>,
    /// The list that it was merged into, if it was.
    pub merged_into: Option<ListId>,
    /// The payouts, as `mergePayouts` of the hub takes them.
    pub data: Bytes,
}

/// Who is asked about: a key, or what the key stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(
    untagged,
    expecting = "expected the key of a payee, or an object with its kind: model, adapter, source or operator"
)]
pub enum PayeeArg {
    /// [`Payee::key`].
    Key(U256),
    /// `{"kind": "source", "model": 0, "adapter": 3, "source": 7}`
    Payee(Payee),
}

impl PayeeArg {
    /// The payee, if the key is one's.
    pub fn payee(&self) -> Option<Payee> {
        match *self {
            Self::Key(key) => Payee::from_key(key),
            Self::Payee(payee) => Some(payee),
        }
    }
}

/// Which earnings `attribution_getEarnings` looks for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct EarningsFilter {
    /// Of lists made in this block or later; the first by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from_block: Option<BlockNumberOrTag>,
    /// Of lists made in this block or earlier; the latest by default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to_block: Option<BlockNumberOrTag>,
    /// How many payouts an answer lists at most: 1 to 10,000, 1,000 by default.
    #[serde(default, with = "quantity::opt", skip_serializing_if = "Option::is_none")]
    pub limit: Option<u32>,
    /// Where to go on: the `cursor` of the answer before.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cursor: Option<Bytes>,
}

/// `attribution_getEarnings`: what a payee has earned.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Earnings {
    /// Who, as [`Payee::key`] has it.
    pub payee: U256,
    /// What batches of the listed payouts pay, in wei.
    #[serde(with = "quantity")]
    pub earned: u128,
    /// What is claimed of the listed payouts, in wei.
    #[serde(with = "quantity")]
    pub claimed: u128,
    /// What can be claimed of the listed payouts, in wei.
    #[serde(with = "quantity")]
    pub claimable: u128,
    /// The payouts, in the order of the chain. One that went on into a merged list is listed there once more.
    pub payouts: Vec<Earning>,
    /// Where to go on; nothing if that was all. Sums are those of this answer.
    pub cursor: Option<Bytes>,
}

/// A payout to a payee.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Earning {
    /// Of which list.
    pub list: ListId,
    /// Its place in the list.
    #[serde(with = "quantity")]
    pub position: u32,
    /// Wei.
    #[serde(with = "quantity")]
    pub amount: u128,
    /// Whether it was claimed of this list.
    pub claimed: bool,
    /// The list that this one was merged into, if it was.
    pub merged_into: Option<ListId>,
    /// The block that the list was made in.
    #[serde(with = "quantity")]
    pub block_number: u64,
}

/// `attribution_stats`: all batches settled within a range of blocks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Stats {
    /// The first block that counts.
    #[serde(with = "quantity")]
    pub from_block: u64,
    /// The last block that counts.
    #[serde(with = "quantity")]
    pub to_block: u64,
    /// What the batches add up to.
    #[serde(flatten)]
    pub totals: Totals,
    /// Bytes that a record took; nothing if there are none.
    pub bytes_per_record: Option<f64>,
    /// Gas that a record took, of its transaction: all included.
    pub gas_per_record: Option<f64>,
}

/// Sums over batches.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Totals {
    /// How many batches.
    #[serde(with = "quantity")]
    pub batches: u64,
    /// How many records.
    #[serde(with = "quantity")]
    pub records: u64,
    /// How many payouts.
    #[serde(with = "quantity")]
    pub payouts: u64,
    /// Prompt tokens.
    #[serde(with = "quantity")]
    pub prompt_tokens: u64,
    /// Completion tokens.
    #[serde(with = "quantity")]
    pub completion_tokens: u64,
    /// Bytes of the batches.
    #[serde(with = "quantity")]
    pub bytes: u64,
    /// Gas of their transactions.
    #[serde(with = "quantity")]
    pub gas_used: u64,
    /// Wei paid for the records.
    #[serde(with = "quantity")]
    pub fees: u128,
}

/// Rates as JSON: prices and shares as quantities.
mod rates {
    use super::*;
    use serde::{Deserializer, Serializer};

    #[derive(Serialize, Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Json {
        #[serde(with = "quantity")]
        prompt: u128,
        #[serde(with = "quantity")]
        completion: u128,
        #[serde(with = "quantity")]
        record: u128,
        #[serde(with = "quantity")]
        model_share: u16,
        #[serde(with = "quantity")]
        adapter_share: u16,
        #[serde(with = "quantity")]
        source_share: u16,
        #[serde(with = "quantity")]
        operator_share: u16,
    }

    pub(super) fn serialize<S: Serializer>(
        rates: &Rates,
        serializer: S,
    ) -> Result<S::Ok, S::Error> {
        let Rates {
            prompt,
            completion,
            record,
            model_share,
            adapter_share,
            source_share,
            operator_share,
        } = *rates;
        Json {
            prompt,
            completion,
            record,
            model_share,
            adapter_share,
            source_share,
            operator_share,
        }
        .serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(
        deserializer: D,
    ) -> Result<Rates, D::Error> {
        let Json {
            prompt,
            completion,
            record,
            model_share,
            adapter_share,
            source_share,
            operator_share,
        } = Json::deserialize(deserializer)?;
        Ok(Rates {
            prompt,
            completion,
            record,
            model_share,
            adapter_share,
            source_share,
            operator_share,
        })
    }
}
