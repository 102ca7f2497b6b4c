//! Who gets how much of a batch.

use crate::{Columns, Header, WHOLE, merkle};
use alloy_primitives::{Address, B256, U256, keccak256};
use serde::{Deserialize, Serialize};

/// Bits of a price.
const PRICE_BITS: u32 = 96;
/// What prices are per, in tokens.
const PER_TOKENS: u128 = 1_000;

/// What a model's answers cost and how that is split, as the hub has it when it settles a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Rates {
    /// Wei per 1,000 prompt tokens, below 2^96.
    pub prompt: u128,
    /// Wei per 1,000 completion tokens, below 2^96.
    pub completion: u128,
    /// Wei per record, below 2^96.
    pub record: u128,
    /// The part of the model's owner, in 1/10,000.
    pub model_share: u16,
    /// The part of the adapter's owner.
    pub adapter_share: u16,
    /// The part of the sources.
    pub source_share: u16,
    /// The part of the operator, who also gets what rounding leaves.
    pub operator_share: u16,
}

/// What is wrong with rates.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RatesError {
    /// A price that is too high.
    #[error("a price of {0} wei, less than 2^96 is allowed")]
    Price(u128),
    /// Shares that are not a whole.
    #[error("shares add up to {0}, not {WHOLE}")]
    ShareSum(u32),
}

impl Rates {
    /// Checks the bounds.
    ///
    /// # Errors
    /// What is wrong first.
    pub fn check(&self) -> Result<(), RatesError> {
        for price in [self.prompt, self.completion, self.record] {
            if price >> PRICE_BITS != 0 {
                return Err(RatesError::Price(price));
            }
        }
        let sum = [self.model_share, self.adapter_share, self.source_share, self.operator_share]
            .map(u32::from)
            .iter()
            .sum();
        if sum == WHOLE { Ok(()) } else { Err(RatesError::ShareSum(sum)) }
    }

    /// The fee of a record by itself, in wei, rounded down. Those of a batch's records add up to its total, or to less
    /// by what is lost here.
    pub fn record_fee(&self, prompt_tokens: u32, completion_tokens: u32) -> u128 {
        self.fee(prompt_tokens, completion_tokens) / PER_TOKENS
    }

    /// The fee of a record, in 1/1,000 wei. Prices and tokens are so bounded that it stays below 2^122.
    fn fee(&self, prompt_tokens: u32, completion_tokens: u32) -> u128 {
        u128::from(prompt_tokens) * self.prompt
            + u128::from(completion_tokens) * self.completion
            + PER_TOKENS * self.record
    }
}

/// An entry of a registry that can be paid. In order of [`Payee::key`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", tag = "kind")]
pub enum Payee {
    /// The owner of a model.
    Model {
        /// Its number.
        model: u32,
    },
    /// The owner of an adapter.
    Adapter {
        /// The number of its model.
        model: u32,
        /// Its number among the model's adapters.
        adapter: u32,
    },
    /// A source of an adapter.
    Source {
        /// The number of the adapter's model.
        model: u32,
        /// The number of the adapter.
        adapter: u32,
        /// Its number among the adapter's sources.
        source: u32,
    },
    /// An operator.
    Operator {
        /// Its address.
        operator: Address,
    },
}

impl Payee {
    /// The payee as a number: the kind in the first byte, 1 to 4; then, in the last bytes, the numbers
    /// of model, adapter and source, four bytes each, or the address.
    pub fn key(&self) -> U256 {
        let indices = |model: u32, adapter: u32, source: u32| {
            U256::from(u128::from(model) << 64 | u128::from(adapter) << 32 | u128::from(source))
        };
        let (kind, rest) = match *self {
            Self::Model { model } => (1, indices(model, 0, 0)),
            Self::Adapter { model, adapter } => (2, indices(model, adapter, 0)),
            Self::Source { model, adapter, source } => (3, indices(model, adapter, source)),
            Self::Operator { operator } => (4, U256::from_be_slice(operator.as_slice())),
        };
        U256::from(kind) << 248 | rest
    }

    /// The payee with this key, if it is one.
    pub fn from_key(key: U256) -> Option<Self> {
        let bytes = key.to_be_bytes::<32>();
        let field = |at: usize| {
            u32::from_be_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
        };
        let (model, adapter, source) = (field(20), field(24), field(28));
        let payee = match bytes[0] {
            1 => Self::Model { model },
            2 => Self::Adapter { model, adapter },
            3 => Self::Source { model, adapter, source },
            4 => Self::Operator { operator: Address::from_slice(&bytes[12..]) },
            _ => return None,
        };
        (payee.key() == key).then_some(payee)
    }
}

/// What one payee gets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Payout {
    /// Who.
    #[serde(flatten)]
    pub payee: Payee,
    /// Wei, more than none.
    pub amount: u128,
}

impl Payout {
    /// The leaf of the payout tree that this payout has at `position`.
    pub fn leaf(&self, position: u32) -> B256 {
        keccak256(self.message(position))
    }

    /// keccak256 of `abi.encode(position, payee, amount)`.
    fn message(&self, position: u32) -> [u8; 96] {
        let mut message = [0; 96];
        message[28..32].copy_from_slice(&position.to_be_bytes());
        message[32..64].copy_from_slice(&self.payee.key().to_be_bytes::<32>());
        message[80..].copy_from_slice(&self.amount.to_be_bytes());
        message
    }
}

/// Fees that are more than 128 bits can hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the fees of the batch exceed 128 bits")]
pub struct FeeOverflow;

/// What all payees of a batch, or of several, get: each once, in order of their keys.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Payouts {
    list: Vec<Payout>,
}

impl Payouts {
    /// Payouts in order of payees, each once, none of nothing.
    pub(crate) fn new(list: Vec<Payout>) -> Self {
        debug_assert!(list.is_sorted_by(|one, other| one.payee.key() < other.payee.key()));
        Self { list }
    }

    /// The payouts of a batch.
    ///
    /// Amounts are added up exactly, in 1/1,000 wei and 1/10,000 of them, and rounded down once per payee.
    /// What that leaves of the total, itself rounded down to a wei, is the operator's.
    ///
    /// # Errors
    /// If the fees are too high. `rates` must have been [checked](Rates::check).
    pub fn of_batch(
        header: &Header,
        columns: &Columns,
        rates: &Rates,
    ) -> Result<Self, FeeOverflow> {
        let model = header.model;
        let by_adapter = ByAdapter::new(columns, rates)?;
        let total = by_adapter.total / PER_TOKENS;
        let mut list = Vec::with_capacity(by_adapter.adapters.len() + by_adapter.sources.len() + 2);
        let mut pay = |payee, amount| {
            if amount > 0 {
                list.push(Payout { payee, amount });
            }
        };
        pay(Payee::Model { model }, part(by_adapter.total, rates.model_share, PER_TOKENS));
        for (adapter, earned) in columns.adapter_words.iter().zip(by_adapter.adapters) {
            let amount = part(earned, rates.adapter_share, PER_TOKENS);
            pay(Payee::Adapter { model, adapter: *adapter }, amount);
        }
        for (adapter, source, earned) in by_adapter.sources {
            let amount = part(earned, rates.source_share, PER_TOKENS * u128::from(WHOLE));
            pay(Payee::Source { model, adapter, source }, amount);
        }
        let mut payouts = Self { list };
        let rest = total - payouts.total();
        if rest > 0 {
            payouts.list.push(Payout {
                payee: Payee::Operator { operator: header.operator },
                amount: rest,
            });
        }
        Ok(payouts)
    }

    /// The payouts, in order. A payout's position is its place in this list.
    pub fn list(&self) -> &[Payout] {
        &self.list
    }

    /// All amounts together.
    pub fn total(&self) -> u128 {
        self.list.iter().map(|payout| payout.amount).sum()
    }

    /// The leaves of the payout tree: keccak256 of `abi.encode(position, payee, amount)`.
    pub fn leaves(&self) -> Vec<B256> {
        merkle::hashes(
            self.list.iter().enumerate().map(|(position, payout)| payout.message(position as u32)),
        )
    }
}

/// `earned * share / 10,000 / unit`, rounded down.
fn part(earned: u128, share: u16, unit: u128) -> u128 {
    let (share, whole) = (u128::from(share), unit * u128::from(WHOLE));
    earned / whole * share + earned % whole * share / whole
}

/// Fees added up, in 1/1,000 wei.
struct ByAdapter {
    total: u128,
    /// In the order of the columns' adapters.
    adapters: Vec<u128>,
    /// Adapter, source, and the fees times the weights, in order.
    sources: Vec<(u32, u32, u128)>,
}

impl ByAdapter {
    fn new(columns: &Columns, rates: &Rates) -> Result<Self, FeeOverflow> {
        let mut total = 0_u128;
        let mut adapters = vec![0_u128; columns.adapter_words.len()];
        // Records by adapter: first how many, then where each adapter's begin.
        let mut begins = vec![0_usize; columns.adapter_words.len() + 1];
        let mut fees = Vec::with_capacity(columns.record_count());
        for ((adapter, prompt), completion) in
            columns.adapters.iter().zip(&columns.prompt_tokens).zip(&columns.completion_tokens)
        {
            let fee = rates.fee(*prompt, *completion);
            total = total.checked_add(fee).ok_or(FeeOverflow)?;
            adapters[*adapter as usize] += fee;
            begins[*adapter as usize + 1] += 1;
            fees.push(fee);
        }
        // Nothing below can exceed this.
        total.checked_mul(WHOLE.into()).ok_or(FeeOverflow)?;
        for at in 1..begins.len() {
            begins[at] += begins[at - 1];
        }
        let mut places = begins.clone();
        let mut by_adapter = vec![(0_u32, 0_u32); columns.record_count()];
        let mut share = 0;
        for (record, (adapter, shares)) in
            (0_u32..).zip(columns.adapters.iter().zip(&columns.shares))
        {
            let place = &mut places[*adapter as usize];
            by_adapter[*place] = (record, share);
            *place += 1;
            share += u32::from(*shares);
        }
        let mut earned = vec![0_u128; columns.source_words.len()];
        let mut touched = Vec::new();
        let mut sources = Vec::new();
        for (at, adapter) in columns.adapter_words.iter().enumerate() {
            for (record, share) in &by_adapter[begins[at]..begins[at + 1]] {
                let fee = fees[*record as usize];
                let shares = *share as usize
                    ..*share as usize + usize::from(columns.shares[*record as usize]);
                for (source, weight) in
                    columns.sources[shares.clone()].iter().zip(&columns.weights[shares])
                {
                    let earned = &mut earned[*source as usize];
                    if *earned == 0 {
                        touched.push(*source);
                    }
                    *earned += fee * u128::from(*weight);
                }
            }
            touched.sort_unstable();
            touched.dedup();
            for source in &touched {
                let amount = std::mem::take(&mut earned[*source as usize]);
                sources.push((*adapter, columns.source_words[*source as usize], amount));
            }
            touched.clear();
        }
        Ok(Self { total, adapters, sources })
    }
}
