//! What the hub stores of a batch.

use crate::{
    Columns, DecodeError, Header, Meter, OutOfGas, Payouts, Rates, RatesError, batch,
    leaf::record_leaves, merkle, payout::FeeOverflow,
};
use alloy_primitives::B256;

/// A settled batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settled {
    /// The batch's header.
    pub header: Header,
    /// Its records.
    pub columns: Columns,
    /// Who gets how much.
    pub payouts: Payouts,
    /// Merkle root over the [leaves of header and records](crate::record_leaves).
    pub record_root: B256,
    /// Merkle root over the [leaves of the payouts](Payouts::leaves).
    pub payout_root: B256,
}

/// Why a batch cannot be settled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettleError {
    /// Bytes that are not a batch.
    #[error(transparent)]
    Decode(#[from] DecodeError),
    /// Rates out of bounds.
    #[error(transparent)]
    Rates(#[from] RatesError),
    /// Fees out of bounds.
    #[error(transparent)]
    Fees(#[from] FeeOverflow),
}

impl From<OutOfGas> for SettleError {
    fn from(error: OutOfGas) -> Self {
        Self::Decode(error.into())
    }
}

impl SettleError {
    /// Whether the meter ran out.
    pub const fn is_out_of_gas(&self) -> bool {
        matches!(self, Self::Decode(DecodeError::OutOfGas(_)))
    }
}

/// Settles a batch: reads it, adds up who gets what, and computes both roots. Each piece of work is
/// charged before it is done.
///
/// # Errors
/// If the bytes are not a batch, the rates or fees are out of bounds, or the gas does not suffice.
pub fn settle(bytes: &[u8], rates: &Rates, meter: &mut Meter) -> Result<Settled, SettleError> {
    rates.check()?;
    meter.charge(|gas| gas.byte, bytes.len())?;
    let (header, columns) = batch::decode(bytes, meter)?;
    let payouts = Payouts::of_batch(&header, &columns, rates)?;
    meter.charge(|gas| gas.payout, payouts.list().len())?;
    let record_root = merkle::root(&record_leaves(bytes, &header, &columns));
    let payout_root = merkle::root(&payouts.leaves());
    Ok(Settled { header, columns, payouts, record_root, payout_root })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, Payee, Record, Share, WHOLE, batch::tests as samples};
    use alloy_primitives::U256;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn rates() -> impl Strategy<Value = Rates> {
        let price = || prop_oneof![0_u128..5, 0..1_u128 << 60, 0..1_u128 << 80];
        let cuts = prop::collection::vec(0..=WHOLE as u16, 3);
        (price(), price(), price(), cuts).prop_map(|(prompt, completion, record, mut cuts)| {
            cuts.sort_unstable();
            Rates {
                prompt,
                completion,
                record,
                model_share: cuts[0],
                adapter_share: cuts[1] - cuts[0],
                source_share: cuts[2] - cuts[1],
                operator_share: WHOLE as u16 - cuts[2],
            }
        })
    }

    const RATES: Rates = Rates {
        prompt: 1_000_000_007,
        completion: 3_000_000_019,
        record: 101,
        model_share: 3_333,
        adapter_share: 2_222,
        source_share: 4_111,
        operator_share: 334,
    };

    fn settled(batch: &Batch, rates: &Rates) -> Settled {
        settle(&batch.encode().expect("valid records"), rates, &mut Meter::unlimited())
            .expect("enough gas")
    }

    /// The payouts, by fractions of 256 bits and a map.
    fn slowly(batch: &Batch, rates: &Rates) -> Vec<(Payee, u128)> {
        let model = batch.header.model;
        let mut sums: BTreeMap<Payee, U256> = BTreeMap::new();
        let mut total = U256::ZERO;
        for record in &batch.records {
            let fee = U256::from(record.prompt_tokens) * U256::from(rates.prompt)
                + U256::from(record.completion_tokens) * U256::from(rates.completion)
                + U256::from(rates.record) * U256::from(1_000);
            total += fee;
            let whole = U256::from(WHOLE);
            *sums.entry(Payee::Model { model }).or_default() +=
                fee * whole * U256::from(rates.model_share);
            *sums.entry(Payee::Adapter { model, adapter: record.adapter }).or_default() +=
                fee * whole * U256::from(rates.adapter_share);
            for share in &record.shares {
                let payee = Payee::Source { model, adapter: record.adapter, source: share.source };
                *sums.entry(payee).or_default() +=
                    fee * U256::from(share.weight) * U256::from(rates.source_share);
            }
        }
        let unit = U256::from(100_000_000_000_u64);
        let mut list: Vec<(Payee, u128)> =
            sums.into_iter().map(|(payee, sum)| (payee, (sum / unit).to())).collect();
        let paid: u128 = list.iter().map(|(_, amount)| amount).sum();
        list.push((
            Payee::Operator { operator: batch.header.operator },
            (total / U256::from(1_000)).to::<u128>() - paid,
        ));
        list.retain(|(_, amount)| *amount > 0);
        list
    }

    #[test]
    fn rates_and_fees_are_bounded() {
        let batch = Batch {
            header: samples::header(),
            records: vec![
                Record {
                    adapter: 0,
                    prompt_tokens: crate::MAX_TOKENS,
                    completion_tokens: crate::MAX_TOKENS,
                    time: 0,
                    shares: vec![Share { source: 0, weight: 10_000 }],
                };
                64
            ],
        };
        let bytes = batch.encode().expect("valid records");
        let refused =
            |rates: Rates| settle(&bytes, &rates, &mut Meter::unlimited()).expect_err("refused");
        assert_eq!(
            refused(Rates { prompt: 1 << 96, ..RATES }),
            SettleError::Rates(RatesError::Price(1 << 96))
        );
        assert_eq!(
            refused(Rates { model_share: 3_334, ..RATES }),
            SettleError::Rates(RatesError::ShareSum(10_001))
        );
        let most = (1 << 96) - 1;
        assert_eq!(
            refused(Rates { prompt: most, completion: most, record: most, ..RATES }),
            SettleError::Fees(FeeOverflow)
        );
    }

    #[test]
    fn gas_is_charged_before_the_work() {
        let batch = Batch {
            header: samples::header(),
            records: vec![
                Record {
                    adapter: 0,
                    prompt_tokens: 1,
                    completion_tokens: 1,
                    time: 0,
                    shares: vec![Share { source: 0, weight: 10_000 }],
                };
                5
            ],
        };
        let bytes = batch.encode().expect("valid records");
        let mut meter = Meter::unlimited();
        settle(&bytes, &RATES, &mut meter).expect("enough gas");
        let needed = meter.used();
        for limit in 0..needed {
            let mut meter = Meter::new(limit);
            assert!(settle(&bytes, &RATES, &mut meter).expect_err("refused").is_out_of_gas());
            assert_eq!(meter.used(), limit);
        }
        let mut meter = Meter::new(needed);
        settle(&bytes, &RATES, &mut meter).expect("enough gas");
    }

    proptest! {
        #[test]
        fn payouts_are_exact_and_lose_nothing(batch in samples::batch(), rates in rates()) {
            let settled = settled(&batch, &rates);
            let list: Vec<_> =
                settled.payouts.list().iter().map(|payout| (payout.payee, payout.amount)).collect();
            prop_assert_eq!(&list, &slowly(&batch, &rates));
            prop_assert!(list.is_sorted_by(|one, other| one.0.key() < other.0.key()));
            let (tokens, records) = batch.records.iter().fold((U256::ZERO, 0_u64), |(sum, count), record| (
                sum + U256::from(record.prompt_tokens) * U256::from(rates.prompt)
                    + U256::from(record.completion_tokens) * U256::from(rates.completion),
                count + 1,
            ));
            let total = (tokens + U256::from(records) * U256::from(1_000) * U256::from(rates.record)) / U256::from(1_000);
            prop_assert_eq!(U256::from(settled.payouts.total()), total);
        }

        /// A batch with another bit is none, or another.
        #[test]
        fn every_bit_counts(batch in samples::batch(), at: prop::sample::Index, bit in 0_u8..8) {
            let before = settled(&batch, &RATES);
            let mut bytes = batch.encode().expect("valid records");
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            if let Ok(after) = settle(&bytes, &RATES, &mut Meter::unlimited()) {
                prop_assert_ne!(after.record_root, before.record_root);
            }
        }

        #[test]
        fn records_and_payouts_have_proofs(batch in samples::batch()) {
            let settled = settled(&batch, &RATES);
            let leaves = record_leaves(&batch.encode().expect("valid records"), &settled.header, &settled.columns);
            prop_assert_eq!(leaves.len(), batch.records.len() + 1);
            for (leaves, root) in [(leaves, settled.record_root), (settled.payouts.leaves(), settled.payout_root)] {
                for (index, leaf) in leaves.iter().enumerate() {
                    let proof = merkle::proof(&leaves, index).expect("a leaf");
                    prop_assert_eq!(merkle::root_from_proof(*leaf, &proof), root);
                }
            }
        }

        #[test]
        fn payees_have_keys(model: u32, adapter: u32, source: u32, operator: [u8; 20]) {
            for payee in [
                Payee::Model { model },
                Payee::Adapter { model, adapter },
                Payee::Source { model, adapter, source },
                Payee::Operator { operator: operator.into() },
            ] {
                prop_assert_eq!(Payee::from_key(payee.key()), Some(payee));
                prop_assert_eq!(Payee::from_key(payee.key() | U256::from(1) << 200), None);
            }
        }
    }
}
