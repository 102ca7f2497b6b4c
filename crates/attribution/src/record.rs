//! What one answer of a model owes to whom.

use crate::codec::TOKEN_BITS;
use serde::{Deserialize, Serialize};

/// Shares a record has at most.
pub const MAX_SHARES: usize = 16;
/// What the weights of a record's shares add up to.
pub const WHOLE: u32 = 10_000;
/// Prompt or completion tokens a record has at most: 16,777,215.
pub const MAX_TOKENS: u32 = (1 << TOKEN_BITS) - 1;

/// One answer: which adapter gave it, how large it was, when, and which sources it came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Record {
    /// Number of the adapter among the adapters of the batch's model.
    pub adapter: u32,
    /// Tokens of the prompt, at most [`MAX_TOKENS`].
    pub prompt_tokens: u32,
    /// Tokens of the answer, at most [`MAX_TOKENS`].
    pub completion_tokens: u32,
    /// Seconds after the batch's time base.
    pub time: u32,
    /// Who gets what part of what the sources earn: 1 to [`MAX_SHARES`] of them, sources ascending,
    /// weights adding up to [`WHOLE`].
    pub shares: Vec<Share>,
}

/// The part of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Share {
    /// Number of the source among the sources of the adapter.
    pub source: u32,
    /// In 1/10,000, at least 1.
    pub weight: u16,
}

/// What is wrong with a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Too many tokens.
    #[error("{tokens} {what} tokens, at most {MAX_TOKENS} are allowed")]
    Tokens {
        /// `prompt` or `completion`.
        what: &'static str,
        /// How many.
        tokens: u32,
    },
    /// No shares, or too many.
    #[error("{0} shares, 1 to {MAX_SHARES} are allowed")]
    Shares(usize),
    /// A share of nothing.
    #[error("source {source_index} has weight 0")]
    ZeroWeight {
        /// Whose.
        source_index: u32,
    },
    /// Weights that are not a whole.
    #[error("weights add up to {0}, not {WHOLE}")]
    WeightSum(u32),
    /// A source twice.
    #[error("source {0} comes twice")]
    DuplicateSource(u32),
    /// Sources out of order.
    #[error("source {after} comes after {before}; sources ascend")]
    SourceOrder {
        /// The larger one, which comes first.
        before: u32,
        /// The smaller one.
        after: u32,
    },
    /// Records out of order.
    #[error("time {time} comes after {before}; records are in order of time")]
    TimeOrder {
        /// That of the record before.
        before: u32,
        /// That of this record.
        time: u32,
    },
}

impl Record {
    /// Checks all that a record must fulfil by itself.
    ///
    /// # Errors
    /// What is wrong first.
    pub fn check(&self) -> Result<(), RecordError> {
        for (what, tokens) in
            [("prompt", self.prompt_tokens), ("completion", self.completion_tokens)]
        {
            if tokens > MAX_TOKENS {
                return Err(RecordError::Tokens { what, tokens });
            }
        }
        if self.shares.is_empty() || self.shares.len() > MAX_SHARES {
            return Err(RecordError::Shares(self.shares.len()));
        }
        for pair in self.shares.windows(2) {
            let (before, after) = (pair[0].source, pair[1].source);
            if before == after {
                return Err(RecordError::DuplicateSource(after));
            }
            if before > after {
                return Err(RecordError::SourceOrder { before, after });
            }
        }
        if let Some(share) = self.shares.iter().find(|share| share.weight == 0) {
            return Err(RecordError::ZeroWeight { source_index: share.source });
        }
        let sum = self.shares.iter().map(|share| u32::from(share.weight)).sum();
        if sum == WHOLE { Ok(()) } else { Err(RecordError::WeightSum(sum)) }
    }
}
