//! Payout lists as bytes, and several of them made one.

use crate::{Meter, OutOfGas, Payee, Payout, Payouts, merkle};
use alloy_primitives::{B256, U256};

/// Bytes that a number of 256 bits takes at most, seven bits in each.
const MAX_NUMBER: usize = 37;
/// Payouts that lists have at most, all that are merged together.
pub const MAX_PAYOUTS: usize = 1 << 20;

/// Why bytes are not a payout list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not a payout list from byte {at} on: {what}")]
pub struct ListError {
    /// Where the payout begins that is wrong.
    pub at: usize,
    /// What is wrong with it.
    pub what: &'static str,
}

impl Payouts {
    /// For each payout, in order, how much its payee's key is above that of the one before (the first: the key
    /// itself), and its amount; both LEB128 numbers.
    pub fn to_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(self.list().len() * 12);
        let mut before = U256::ZERO;
        for payout in self.list() {
            let key = payout.payee.key();
            put(&mut bytes, key - before);
            put(&mut bytes, U256::from(payout.amount));
            before = key;
        }
        bytes
    }

    /// Reads what [`Self::to_bytes`] wrote.
    ///
    /// # Errors
    /// If it would not have written just these bytes, or they are more than [`MAX_PAYOUTS`].
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, ListError> {
        let (mut list, mut before) = (Vec::new(), U256::ZERO);
        let mut rest = bytes;
        while !rest.is_empty() {
            let at = bytes.len() - rest.len();
            let payout = take_payout(&mut rest, before).map_err(|what| ListError { at, what })?;
            if list.len() == MAX_PAYOUTS {
                return Err(ListError { at, what: "too many payouts" });
            }
            before = payout.payee.key();
            list.push(payout);
        }
        Ok(Self::new(list))
    }
}

fn put(bytes: &mut Vec<u8>, mut number: U256) {
    loop {
        let low = number.byte(0) & 0x7f;
        number >>= 7;
        if number.is_zero() {
            bytes.push(low);
            return;
        }
        bytes.push(low | 0x80);
    }
}

fn take(bytes: &mut &[u8]) -> Result<U256, &'static str> {
    let mut number = U256::ZERO;
    for place in 0..MAX_NUMBER {
        let (byte, rest) = bytes.split_first().ok_or("the bytes end")?;
        *bytes = rest;
        let low = U256::from(byte & 0x7f);
        if place == MAX_NUMBER - 1 && *byte > 0x0f {
            break;
        }
        number |= low << (7 * place);
        if byte & 0x80 == 0 {
            return if *byte == 0 && place > 0 {
                Err("a number with needless bytes")
            } else {
                Ok(number)
            };
        }
    }
    Err("a number of more than 256 bits")
}

fn take_payout(bytes: &mut &[u8], before: U256) -> Result<Payout, &'static str> {
    let step = take(bytes)?;
    if step.is_zero() {
        return Err("a payee twice");
    }
    let key = before.checked_add(step).ok_or("a payee of more than 256 bits")?;
    let payee = Payee::from_key(key).ok_or("not a payee")?;
    let amount = u128::try_from(take(bytes)?).map_err(|_| "an amount of more than 128 bits")?;
    if amount == 0 {
        return Err("an amount of zero");
    }
    Ok(Payout { payee, amount })
}

/// Lists made one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Merged {
    /// The payout root of each.
    pub roots: Vec<B256>,
    /// What is not claimed of each, in wei.
    pub left: Vec<u128>,
    /// All that is not claimed, each payee once.
    pub payouts: Payouts,
    /// The root of that; zero if there is nothing.
    pub root: B256,
}

/// Why lists cannot be merged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MergeError {
    /// A list that isn't one.
    #[error("list {list}: {error}")]
    List {
        /// Which, from 0.
        list: usize,
        /// What is wrong with it.
        error: ListError,
    },
    /// A bitmap that does not fit its list.
    #[error("list {0}: the bitmap has other than one bit for each payout")]
    Bitmap(usize),
    /// Amounts too large.
    #[error("the amounts exceed 128 bits")]
    AmountOverflow,
    /// The meter says so.
    #[error(transparent)]
    OutOfGas(#[from] OutOfGas),
}

/// Makes one list of several, each with a bitmap of the positions that are claimed already: 256 in a word, from the
/// lowest bit.
///
/// # Errors
/// If a list is not one, a bitmap does not fit, amounts exceed 128 bits, or the gas does not suffice.
pub fn merge(lists: &[(&[u8], &[U256])], meter: &mut Meter) -> Result<Merged, MergeError> {
    let (mut roots, mut left, mut all) = (Vec::new(), Vec::new(), Vec::new());
    for (at, (bytes, claimed)) in lists.iter().enumerate() {
        meter.charge(|gas| gas.byte, bytes.len())?;
        // Two bytes are the least that a payout takes. What is charged here pays for reading and hashing.
        let list =
            Payouts::from_bytes(bytes).map_err(|error| MergeError::List { list: at, error })?;
        meter.charge(|gas| 2 * gas.payout, list.list().len())?;
        roots.push(merkle::root(&list.leaves()));
        let count = list.list().len();
        let fits = claimed.len() == count.div_ceil(256)
            && claimed.last().is_none_or(|last| last.bit_len() <= (count - 1) % 256 + 1);
        if !fits {
            return Err(MergeError::Bitmap(at));
        }
        let unclaimed = list
            .list()
            .iter()
            .enumerate()
            .filter(|(position, _)| !claimed[position / 256].bit(position % 256))
            .map(|(_, payout)| *payout);
        let before = all.len();
        all.extend(unclaimed);
        let sum = all[before..]
            .iter()
            .try_fold(0_u128, |sum, payout| sum.checked_add(payout.amount))
            .ok_or(MergeError::AmountOverflow)?;
        left.push(sum);
    }
    left.iter()
        .try_fold(0_u128, |sum, left| sum.checked_add(*left))
        .ok_or(MergeError::AmountOverflow)?;
    // In the order of the enum, which is that of the keys.
    all.sort_by_key(|payout| payout.payee);
    all.dedup_by(|next, kept| {
        let same = next.payee == kept.payee;
        if same {
            kept.amount += next.amount;
        }
        same
    });
    let payouts = Payouts::new(all);
    let root = merkle::root(&payouts.leaves());
    Ok(Merged { roots, left, payouts, root })
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_primitives::Address;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn payouts() -> impl Strategy<Value = Payouts> {
        let index = || prop_oneof![0_u32..5, any::<u32>()];
        let payee = prop_oneof![
            index().prop_map(|model| Payee::Model { model }),
            (index(), index()).prop_map(|(model, adapter)| Payee::Adapter { model, adapter }),
            (index(), index(), index()).prop_map(|(model, adapter, source)| Payee::Source {
                model,
                adapter,
                source
            }),
            (0_u8..5).prop_map(|byte| Payee::Operator { operator: Address::repeat_byte(byte) }),
        ];
        let amount = prop_oneof![1_u128..1_000, 1..u128::MAX / 10_000];
        prop::collection::btree_map(payee, amount, 0..300).prop_map(|list| {
            Payouts::new(list.into_iter().map(|(payee, amount)| Payout { payee, amount }).collect())
        })
    }

    fn bitmap(count: usize, claimed: impl Fn(usize) -> bool) -> Vec<U256> {
        let mut words = vec![U256::ZERO; count.div_ceil(256)];
        for position in (0..count).filter(|position| claimed(*position)) {
            words[position / 256].set_bit(position % 256, true);
        }
        words
    }

    #[test]
    fn bitmaps_fit() {
        let payout = |model| Payout { payee: Payee::Model { model }, amount: 1 };
        let bytes = Payouts::new((0..257).map(payout).collect()).to_bytes();
        let merged = |words: &[U256]| merge(&[(&bytes, words)], &mut Meter::unlimited());
        let one = U256::from(1);
        assert_eq!(merged(&[U256::MAX, one]).expect("one bit each").payouts.list().len(), 0);
        assert_eq!(merged(&[U256::ZERO, one]).expect("one bit each").left, [256]);
        for words in [&[][..], &[U256::ZERO], &[U256::ZERO; 3], &[U256::ZERO, U256::from(2)]] {
            assert_eq!(merged(words), Err(MergeError::Bitmap(0)));
        }
    }

    #[test]
    fn amounts_are_bounded() {
        let list = |amount| Payouts::new(vec![Payout { payee: Payee::Model { model: 0 }, amount }]);
        let (most, one) = (list(u128::MAX).to_bytes(), list(1).to_bytes());
        let none = [U256::ZERO];
        let merged = |lists: &[(&[u8], &[U256])]| merge(lists, &mut Meter::unlimited());
        assert_eq!(merged(&[(&most, &none)]).expect("it fits").left, [u128::MAX]);
        assert_eq!(merged(&[(&most, &none), (&one, &none)]), Err(MergeError::AmountOverflow));
    }

    proptest! {
        #[test]
        fn lists_come_back(payouts in payouts()) {
            prop_assert_eq!(Payouts::from_bytes(&payouts.to_bytes()), Ok(payouts));
        }

        #[test]
        fn there_is_one_list(payouts in payouts(), at: prop::sample::Index, flip in 1_u8.., cut in 0_usize..3) {
            let mut bytes = payouts.to_bytes();
            bytes.truncate(bytes.len().saturating_sub(cut));
            if !bytes.is_empty() {
                let at = at.index(bytes.len());
                bytes[at] ^= flip;
            }
            if let Ok(payouts) = Payouts::from_bytes(&bytes) {
                prop_assert_eq!(payouts.to_bytes(), bytes);
            }
        }

        #[test]
        fn merging_adds_up_what_is_not_claimed(lists in prop::collection::vec(payouts(), 0..5), seed: u8) {
            let claimed = |position: usize| (position + usize::from(seed)).is_multiple_of(3);
            let encoded: Vec<_> = lists
                .iter()
                .map(|list| (list.to_bytes(), bitmap(list.list().len(), claimed)))
                .collect();
            let given: Vec<_> = encoded.iter().map(|(bytes, words)| (&bytes[..], &words[..])).collect();
            let merged = merge(&given, &mut Meter::unlimited()).expect("lists");
            let mut sums: BTreeMap<U256, u128> = BTreeMap::new();
            for list in &lists {
                for (position, payout) in list.list().iter().enumerate() {
                    if !claimed(position) {
                        *sums.entry(payout.payee.key()).or_default() += payout.amount;
                    }
                }
            }
            let got = merged.payouts.list().iter().map(|payout| (payout.payee.key(), payout.amount));
            prop_assert!(got.eq(sums));
            prop_assert_eq!(merged.left.iter().sum::<u128>(), merged.payouts.total());
            let roots: Vec<_> = lists.iter().map(|list| merkle::root(&list.leaves())).collect();
            prop_assert_eq!(merged.roots, roots);
            prop_assert_eq!(merged.root, merkle::root(&merged.payouts.leaves()));
        }
    }
}
