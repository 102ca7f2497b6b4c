//! What the precompile takes, returns and refuses, as ABI.

#![allow(missing_docs, reason = "the contract's source says what they are")]

alloy_sol_types::sol! {
    #![sol(all_derives)]
    "../../contracts/src/attribution/IAttribution.sol"
}

use crate::{
    DecodeError, FeeOverflow, MergeError, Merged, Meter, OutOfGas, Rates, RatesError, SettleError,
    Settled, merge, settle,
};
use IAttribution::{IAttributionErrors as Refusal, mergeCall, settleCall};
use alloy_primitives::{Bytes, U256};
use alloy_sol_types::{SolCall, SolInterface};

/// Why a call of the precompile has no result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The gas does not suffice; all of it is used.
    OutOfGas,
    /// What the caller gets as revert data.
    Refused(Refusal),
}

impl From<OutOfGas> for Failure {
    fn from(_: OutOfGas) -> Self {
        Self::OutOfGas
    }
}

/// Answers a call of the precompile: the ABI encoding of a call of one of [`IAttribution`]'s functions in, that of its
/// result out.
///
/// # Errors
/// If the input isn't such a call, in the one encoding that contracts write; if the function refuses it; if the gas
/// does not suffice.
pub fn call(input: &[u8], meter: &mut Meter) -> Result<Vec<u8>, Failure> {
    meter.charge(|gas| gas.base, 1)?;
    meter.charge(|gas| gas.byte, input.len())?;
    match input.first_chunk::<4>() {
        Some(&settleCall::SELECTOR) => {
            let call: settleCall = decode(input)?;
            let settled = settle(&call.batch, &call.rates.into(), meter).map_err(Failure::from)?;
            Ok(settleCall::abi_encode_returns(&settled.into()))
        }
        Some(&mergeCall::SELECTOR) => {
            let call: mergeCall = decode(input)?;
            if call.lists.len() != call.claimed.len() {
                return Err(Failure::Refused(Refusal::InvalidInput(IAttribution::InvalidInput {})));
            }
            let lists: Vec<_> = call
                .lists
                .iter()
                .zip(&call.claimed)
                .map(|(list, words)| (&list[..], &words[..]))
                .collect();
            let merged = merge(&lists, meter).map_err(Failure::from)?;
            Ok(mergeCall::abi_encode_returns(&merged.into()))
        }
        _ => Err(Failure::Refused(Refusal::InvalidInput(IAttribution::InvalidInput {}))),
    }
}

/// The batch that a call of the precompile asks to settle, if it does.
pub fn batch_to_settle(input: &[u8]) -> Option<Bytes> {
    settleCall::abi_decode_validate(input).ok().map(|call| call.batch)
}

/// A call that is encoded as contracts encode it.
fn decode<C: SolCall>(input: &[u8]) -> Result<C, Failure> {
    C::abi_decode_validate(input)
        .ok()
        .filter(|call| call.abi_encode() == input)
        .ok_or(Failure::Refused(Refusal::InvalidInput(IAttribution::InvalidInput {})))
}

impl Failure {
    /// The revert data, if the call reverts.
    pub fn revert_data(&self) -> Option<Vec<u8>> {
        match self {
            Self::OutOfGas => None,
            Self::Refused(refusal) => Some(refusal.abi_encode()),
        }
    }
}

impl From<IAttribution::Rates> for Rates {
    fn from(rates: IAttribution::Rates) -> Self {
        Self {
            prompt: rates.prompt.to(),
            completion: rates.completion.to(),
            record: rates.record.to(),
            model_share: rates.modelShare,
            adapter_share: rates.adapterShare,
            source_share: rates.sourceShare,
            operator_share: rates.operatorShare,
        }
    }
}

impl From<Settled> for IAttribution::Settlement {
    fn from(settled: Settled) -> Self {
        let Settled { header, columns, payouts, record_root, payout_root } = settled;
        let sum = |tokens: &[u32]| tokens.iter().map(|tokens| u64::from(*tokens)).sum();
        Self {
            chainId: header.chain_id,
            hub: header.hub,
            model: header.model,
            operator: header.operator,
            sequence: header.sequence,
            timeBase: header.time_base,
            timeEnd: header.time_base
                + u64::from(columns.times.last().copied().unwrap_or_default()),
            detailRoot: header.detail_root,
            records: columns.record_count() as u32,
            adapters: columns.adapter_words.last().map_or(0, |adapter| u64::from(*adapter) + 1),
            payouts: payouts.list().len() as u32,
            promptTokens: sum(&columns.prompt_tokens),
            completionTokens: sum(&columns.completion_tokens),
            total: payouts.total(),
            recordRoot: record_root,
            payoutRoot: payout_root,
        }
    }
}

impl From<Merged> for IAttribution::Merged {
    fn from(merged: Merged) -> Self {
        Self {
            payouts: merged.payouts.list().len() as u32,
            total: merged.payouts.total(),
            roots: merged.roots,
            left: merged.left,
            payoutRoot: merged.root,
        }
    }
}

impl From<SettleError> for Failure {
    fn from(error: SettleError) -> Self {
        let number = |number: usize| U256::from(number);
        Self::Refused(match error {
            SettleError::Decode(error) => match error {
                DecodeError::OutOfGas(OutOfGas) => return Self::OutOfGas,
                DecodeError::TooShort(length) => {
                    Refusal::BatchTooShort(IAttribution::BatchTooShort { length: number(length) })
                }
                DecodeError::TooLong(length) => {
                    Refusal::BatchTooLong(IAttribution::BatchTooLong { length: number(length) })
                }
                DecodeError::Version(version) => {
                    Refusal::UnknownVersion(IAttribution::UnknownVersion { version })
                }
                DecodeError::Length { said, found } => {
                    Refusal::WrongLength(IAttribution::WrongLength {
                        announced: number(said),
                        found: number(found),
                    })
                }
                DecodeError::Records(records) => {
                    Refusal::WrongRecordCount(IAttribution::WrongRecordCount {
                        records: number(records),
                    })
                }
                DecodeError::Column { column, fault } => {
                    Refusal::MalformedColumn(IAttribution::MalformedColumn {
                        column: column as u8,
                        fault: fault as u8,
                    })
                }
                DecodeError::TimeOverflow => Refusal::TimeOverflow(IAttribution::TimeOverflow {}),
            },
            SettleError::Rates(RatesError::ShareSum(sum)) => {
                Refusal::WrongShareSum(IAttribution::WrongShareSum { sum: U256::from(sum) })
            }
            // A price above its bound is no ABI encoding of a price, and does not get here.
            SettleError::Rates(RatesError::Price(_)) => {
                Refusal::InvalidInput(IAttribution::InvalidInput {})
            }
            SettleError::Fees(FeeOverflow) => {
                Refusal::AmountOverflow(IAttribution::AmountOverflow {})
            }
        })
    }
}

impl From<MergeError> for Failure {
    fn from(error: MergeError) -> Self {
        Self::Refused(match error {
            MergeError::OutOfGas(OutOfGas) => return Self::OutOfGas,
            MergeError::List { list, error } => {
                Refusal::MalformedPayoutList(IAttribution::MalformedPayoutList {
                    list: U256::from(list),
                    at: U256::from(error.at),
                })
            }
            MergeError::Bitmap(list) => {
                Refusal::WrongBitmap(IAttribution::WrongBitmap { list: U256::from(list) })
            }
            MergeError::AmountOverflow => Refusal::AmountOverflow(IAttribution::AmountOverflow {}),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Batch, Record, Share, batch::tests::header};
    use alloy_primitives::aliases::U96;

    fn settle_call() -> settleCall {
        let record = Record {
            adapter: 4,
            prompt_tokens: 100,
            completion_tokens: 50,
            time: 3,
            shares: vec![Share { source: 1, weight: 2_500 }, Share { source: 9, weight: 7_500 }],
        };
        let batch = Batch { header: header(), records: vec![record; 3] };
        let price = U96::from(10_u64.pow(15));
        settleCall {
            batch: batch.encode().expect("valid records").into(),
            rates: IAttribution::Rates {
                prompt: price,
                completion: price,
                record: U96::ZERO,
                modelShare: 2_000,
                adapterShare: 2_000,
                sourceShare: 5_000,
                operatorShare: 1_000,
            },
        }
    }

    fn refused(input: &[u8]) -> Refusal {
        match call(input, &mut Meter::unlimited()) {
            Err(Failure::Refused(refusal)) => refusal,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn settles() {
        let input = settle_call().abi_encode();
        let output = call(&input, &mut Meter::unlimited()).expect("settled");
        let settlement = settleCall::abi_decode_returns_validate(&output).expect("a settlement");
        assert_eq!(settlement.records, 3);
        assert_eq!(settlement.adapters, 5);
        assert_eq!(settlement.payouts, 5);
        assert_eq!(settlement.timeEnd, header().time_base + 3);
        assert_eq!(settlement.total, 450_000_000_000_000);
        assert_eq!((settlement.promptTokens, settlement.completionTokens), (300, 150));
    }

    #[test]
    fn merges() {
        let call_merge = |lists: Vec<alloy_primitives::Bytes>, claimed| {
            mergeCall { lists, claimed }.abi_encode()
        };
        let output = call(&call_merge(vec![], vec![]), &mut Meter::unlimited()).expect("nothing");
        let merged = mergeCall::abi_decode_returns_validate(&output).expect("merged");
        assert_eq!((merged.total, merged.payouts), (0, 0));
        assert_eq!(
            refused(&call_merge(vec![vec![1].into()], vec![vec![]])),
            Refusal::MalformedPayoutList(IAttribution::MalformedPayoutList {
                list: U256::ZERO,
                at: U256::ZERO
            })
        );
        assert_eq!(
            refused(&call_merge(vec![vec![].into()], vec![vec![U256::from(1)]])),
            Refusal::WrongBitmap(IAttribution::WrongBitmap { list: U256::ZERO })
        );
        assert_eq!(
            refused(&call_merge(vec![vec![].into()], vec![])),
            Refusal::InvalidInput(IAttribution::InvalidInput {})
        );
    }

    #[test]
    fn one_encoding_of_a_call() {
        let input = settle_call().abi_encode();
        let invalid = Refusal::InvalidInput(IAttribution::InvalidInput {});
        assert_eq!(refused(&[]), invalid);
        assert_eq!(refused(&input[..3]), invalid);
        assert_eq!(refused(&input[..input.len() - 1]), invalid);
        assert_eq!(refused(&[&input[..], &[0; 32]].concat()), invalid);
        // Another function; a dirty price; a dirty share; an offset elsewhere; bytes behind the batch.
        for at in [0, 4 + 32, 4 + 4 * 32, 4 + 31, input.len() - 1] {
            let mut input = input.clone();
            input[at] ^= 0x80;
            assert_eq!(refused(&input), invalid, "{at}");
        }
    }

    #[test]
    fn refusals_are_typed() {
        let with = |change: &dyn Fn(&mut settleCall)| {
            let mut call = settle_call();
            change(&mut call);
            refused(&call.abi_encode())
        };
        assert_eq!(
            with(&|call| call.rates.modelShare = 0),
            Refusal::WrongShareSum(IAttribution::WrongShareSum { sum: U256::from(8_000) })
        );
        assert_eq!(
            with(&|call| call.batch = vec![1; 50].into()),
            Refusal::BatchTooShort(IAttribution::BatchTooShort { length: U256::from(50) })
        );
        assert_eq!(
            with(&|call| {
                let mut batch = call.batch.to_vec();
                batch[0] = 9;
                call.batch = batch.into();
            }),
            Refusal::UnknownVersion(IAttribution::UnknownVersion { version: 9 })
        );
    }

    #[test]
    fn gas_runs_out_anywhere() {
        let list = crate::Payouts::new(
            (0..3)
                .map(|model| crate::Payout { payee: crate::Payee::Model { model }, amount: 9 })
                .collect(),
        );
        let lists = vec![list.to_bytes().into(); 2];
        let merge = mergeCall { lists, claimed: vec![vec![U256::ZERO]; 2] };
        for input in [settle_call().abi_encode(), merge.abi_encode()] {
            let mut meter = Meter::unlimited();
            call(&input, &mut meter).expect("an answer");
            for limit in 0..meter.used() {
                let mut meter = Meter::new(limit);
                assert_eq!(call(&input, &mut meter), Err(Failure::OutOfGas));
                assert_eq!(meter.used(), limit);
            }
        }
    }
}
