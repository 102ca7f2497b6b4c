//! What gas costs: `eth_gasPrice`, `eth_maxPriorityFeePerGas`, `eth_feeHistory` and the base fees.

use super::block_id::BlockNumber;
use crate::{RpcContext, RpcError, hex::Hex};
use alloy_consensus::{Header, Transaction, TxReceipt};
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{B256, U256};
use ascribe_engine::CanonBlock;
use parking_lot::Mutex;
use quick_cache::{Weighter, sync::Cache};
use serde::{Deserialize, Deserializer, Serialize, de};
use std::sync::Arc;

/// Blocks that one fee history covers at most (geth's default).
const MAX_BLOCKS: u64 = 1024;
/// Percentiles that it is asked for at most.
const MAX_PERCENTILES: usize = 100;
/// Bytes of tips that are kept for further fee histories.
const CACHE_BYTES: u64 = 16 << 20;
/// Price of blob gas: there are no blobs.
const BLOB_BASE_FEE: u64 = 1;

/// Fees that were found out once.
#[derive(Debug)]
pub(crate) struct FeeCache {
    /// The suggested tip at a head.
    tip: Mutex<Option<(B256, u128)>>,
    /// Tips of blocks.
    tips: Cache<B256, Arc<BlockTips>, TipsWeight>,
}

#[derive(Debug, Clone)]
struct TipsWeight;

impl Weighter<B256, Arc<BlockTips>> for TipsWeight {
    fn weight(&self, _: &B256, tips: &Arc<BlockTips>) -> u64 {
        (size_of::<BlockTips>() + size_of_val(&*tips.ascending)) as u64
    }
}

impl FeeCache {
    pub(crate) fn new() -> Self {
        Self { tip: Mutex::default(), tips: Cache::with_weighter(1024, CACHE_BYTES, TipsWeight) }
    }
}

/// The tips of a block's transactions.
#[derive(Debug, PartialEq, Eq)]
struct BlockTips {
    /// Gas used by all.
    gas_used: u64,
    /// Tip per gas and gas used of each, the least tip first.
    ascending: Box<[(u128, u64)]>,
}

impl BlockTips {
    fn of(block: &CanonBlock) -> Self {
        let base_fee = block.block.header().base_fee_per_gas.unwrap_or_default();
        let mut before = 0;
        let transactions = block.block.body().transactions.iter().zip(block.receipts.iter());
        let mut ascending: Box<[_]> = transactions
            .map(|(tx, receipt)| {
                let gas = receipt.cumulative_gas_used().saturating_sub(before);
                before = receipt.cumulative_gas_used();
                (tip(tx, base_fee), gas)
            })
            .collect();
        // Stable: of equal tips, the order of the block.
        ascending.sort_by_key(|(tip, _)| *tip);
        Self { gas_used: block.block.header().gas_used, ascending }
    }

    /// The tips that were paid at these percentiles of the block's gas.
    fn at(&self, percentiles: &[f64]) -> Vec<Hex<u128>> {
        let Some((_, first_gas)) = self.ascending.first() else {
            return vec![Hex(0); percentiles.len()];
        };
        let (mut index, mut gas) = (0, *first_gas);
        percentiles
            .iter()
            .map(|percentile| {
                let threshold = (self.gas_used as f64 * percentile / 100.0) as u64;
                while gas < threshold && index + 1 < self.ascending.len() {
                    index += 1;
                    gas += self.ascending[index].1;
                }
                Hex(self.ascending[index].0)
            })
            .collect()
    }
}

/// What a transaction of a block pays on top of the base fee.
fn tip(tx: &op_alloy_consensus::OpTxEnvelope, base_fee: u64) -> u128 {
    if tx.is_deposit() || tx.is_post_exec() {
        return 0;
    }
    tx.effective_tip_per_gas(base_fee).unwrap_or_default()
}

impl RpcContext {
    /// The tip, in wei per gas, with which a transaction is likely to be included soon.
    ///
    /// One builder that takes everybody includes any tip while there is room, so this is a fixed
    /// minimum; only when the head is full it is a tenth above the head's median.
    pub(crate) fn suggested_tip(&self) -> Result<u128, RpcError> {
        let head = self.chain.head();
        let mut cached = self.eth.fees.tip.lock();
        if let Some((hash, tip)) = *cached
            && hash == head.hash()
        {
            return Ok(tip);
        }
        let least = self.config.min_suggested_priority_fee;
        let most = self.config.max_suggested_priority_fee;
        let tip = match self.canon_block(head.hash())? {
            Some(block) => suggest(&block).unwrap_or_default().max(least).min(most),
            None => return Ok(least),
        };
        *cached = Some((head.hash(), tip));
        Ok(tip)
    }

    /// The base fee of the block after `header`'s, in wei.
    pub(crate) fn next_base_fee(&self, header: &Header) -> u64 {
        let timestamp = header.timestamp.saturating_add(1);
        self.spec.next_block_base_fee(header, timestamp).unwrap_or_default()
    }

    fn block_tips(&self, hash: B256) -> Result<Arc<BlockTips>, RpcError> {
        self.eth.fees.tips.get_or_insert_with(&hash, || {
            let block = self.canon_block(hash)?.ok_or_else(RpcError::block_not_found)?;
            Ok(Arc::new(BlockTips::of(&block)))
        })
    }
}

/// What a full block suggests; nothing if another like its largest would have found room.
fn suggest(block: &CanonBlock) -> Option<u128> {
    let header = block.block.header();
    let tips = BlockTips::of(block);
    let largest = tips.ascending.iter().map(|(_, gas)| *gas).max()?;
    if largest > header.gas_limit || header.gas_used + largest <= header.gas_limit {
        return None;
    }
    let (median, _) = tips.ascending[tips.ascending.len() / 2];
    Some(median + median / 10)
}

/// `eth_gasPrice`
pub(super) fn gas_price(context: &RpcContext, (): ()) -> Result<Hex<u128>, RpcError> {
    let base_fee = context.chain.head().base_fee_per_gas.unwrap_or_default();
    Ok(Hex(context.suggested_tip()? + u128::from(base_fee)))
}

/// `eth_maxPriorityFeePerGas`
pub(super) fn max_priority_fee(context: &RpcContext, (): ()) -> Result<Hex<u128>, RpcError> {
    context.suggested_tip().map(Hex)
}

/// `eth_baseFee`: of the next block.
pub(super) fn base_fee(context: &RpcContext, (): ()) -> Result<Hex<u64>, RpcError> {
    Ok(Hex(context.next_base_fee(context.chain.head().header())))
}

/// `eth_blobBaseFee`
pub(super) fn blob_base_fee(context: &RpcContext, (): ()) -> Result<Option<Hex<u64>>, RpcError> {
    Ok(context.chain.head().excess_blob_gas.map(|_| Hex(BLOB_BASE_FEE)))
}

/// A number of blocks: hexadecimal or decimal, quoted or not.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct BlockCount(u64);

impl<'de> Deserialize<'de> for BlockCount {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Given {
            Number(u64),
            Text(String),
        }
        let text = match Given::deserialize(deserializer)
            .map_err(|_| de::Error::custom("invalid hex or decimal integer"))?
        {
            Given::Number(number) => return Ok(Self(number)),
            Given::Text(text) => text,
        };
        let number = match text.strip_prefix("0x").or_else(|| text.strip_prefix("0X")) {
            Some(digits) => u64::from_str_radix(digits, 16),
            None if text.is_empty() => Ok(0),
            None => text.parse(),
        };
        number
            .map(Self)
            .map_err(|_| de::Error::custom(format_args!("invalid hex or decimal integer {text:?}")))
    }
}

/// Percentiles; `null` is none of them, and leaving them out is not allowed.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Percentiles(Vec<f64>);

impl<'de> Deserialize<'de> for Percentiles {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl<'de> de::Visitor<'de> for Visitor {
            type Value = Percentiles;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a list of percentiles")
            }

            fn visit_unit<E: de::Error>(self) -> Result<Percentiles, E> {
                Ok(Percentiles::default())
            }

            fn visit_seq<A: de::SeqAccess<'de>>(self, mut seq: A) -> Result<Percentiles, A::Error> {
                let mut list = Vec::new();
                while let Some(percentile) = seq.next_element()? {
                    // One more than allowed is enough to say so.
                    if list.len() <= MAX_PERCENTILES {
                        list.push(percentile);
                    }
                }
                Ok(Percentiles(list))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

impl Percentiles {
    fn check(&self) -> Result<(), RpcError> {
        let invalid = |what: String| RpcError::server(format!("invalid reward percentile: {what}"));
        if self.0.len() > MAX_PERCENTILES {
            return Err(invalid(format!("over the query limit {MAX_PERCENTILES}")));
        }
        for (index, percentile) in self.0.iter().enumerate() {
            if !(0.0..=100.0).contains(percentile) {
                return Err(invalid(format!("{percentile:.6}")));
            }
            if index > 0 && *percentile <= self.0[index - 1] {
                let before = self.0[index - 1];
                return Err(invalid(format!(
                    "#{}:{before:.6} >= #{index}:{percentile:.6}",
                    index - 1
                )));
            }
        }
        Ok(())
    }
}

/// The answer of `eth_feeHistory`.
#[derive(Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct FeeHistory {
    oldest_block: Hex<u64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    reward: Option<Vec<Vec<Hex<u128>>>>,
    /// One more than blocks: the last is that of the block after them.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    base_fee_per_gas: Vec<Hex<u64>>,
    gas_used_ratio: Option<Vec<f64>>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    base_fee_per_blob_gas: Vec<Hex<u64>>,
    /// Zero: what Jovian writes into `blobGasUsed` is no blob gas.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    blob_gas_used_ratio: Vec<f64>,
}

/// `eth_feeHistory`
pub(super) fn fee_history(
    context: &RpcContext,
    (BlockCount(count), BlockNumber(newest), percentiles): (BlockCount, BlockNumber, Percentiles),
) -> Result<FeeHistory, RpcError> {
    if count == 0 {
        return Ok(FeeHistory::default());
    }
    percentiles.check()?;
    let head = context.chain.head().number;
    let newest = match newest {
        BlockNumberOrTag::Number(number) if number > head => {
            return Err(RpcError::server(format!(
                "request beyond head block: requested {number}, head {head}"
            )));
        }
        newest => context.numbered(newest)?.map_or(head, |block| block.number),
    };
    let count = count.min(MAX_BLOCKS).min(newest + 1);
    let oldest = newest + 1 - count;

    let mut history = FeeHistory { oldest_block: Hex(oldest), ..FeeHistory::default() };
    let mut rewards = Vec::new();
    let mut ratios = Vec::with_capacity(count as usize);
    for number in oldest..=newest {
        // A reorg may have made the chain shorter meanwhile.
        let Some(header) = context.chain.header_by_number(number)? else { break };
        history.base_fee_per_gas.truncate(ratios.len());
        history.base_fee_per_blob_gas.truncate(ratios.len());
        history.base_fee_per_gas.extend([
            Hex(header.base_fee_per_gas.unwrap_or_default()),
            Hex(context.next_base_fee(&header)),
        ]);
        let blob_fee = Hex(header.excess_blob_gas.map_or(0, |_| BLOB_BASE_FEE));
        history.base_fee_per_blob_gas.extend([blob_fee; 2]);
        history.blob_gas_used_ratio.push(0.0);
        ratios.push(header.gas_used as f64 / header.gas_limit as f64);
        if !percentiles.0.is_empty() {
            rewards.push(context.block_tips(header.hash())?.at(&percentiles.0));
        }
    }
    if ratios.is_empty() {
        return Ok(FeeHistory::default());
    }
    history.gas_used_ratio = Some(ratios);
    history.reward = (!percentiles.0.is_empty()).then_some(rewards);
    Ok(history)
}

/// Wei as ether, as geth's texts show it.
pub(super) fn ether(wei: U256) -> f64 {
    const ETHER: f64 = 1e18;
    f64::from(wei) / ETHER
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn tips(gas_used: u64, ascending: &[(u128, u64)]) -> BlockTips {
        BlockTips { gas_used, ascending: ascending.into() }
    }

    fn rewards(tips: &BlockTips, percentiles: &[f64]) -> Vec<u128> {
        tips.at(percentiles).into_iter().map(|Hex(tip)| tip).collect()
    }

    #[test]
    fn rewards_are_weighed_by_gas() {
        let block = tips(100, &[(1, 10), (2, 40), (9, 50)]);
        assert_eq!(rewards(&block, &[0.0, 10.0, 11.0, 50.0, 50.5, 100.0]), [1, 1, 2, 2, 2, 9]);
        assert_eq!(rewards(&block, &[51.0]), [9]);
        assert_eq!(rewards(&tips(0, &[]), &[10.0, 90.0]), [0, 0]);
    }

    #[test]
    fn percentiles_are_checked_in_geths_words() {
        let check = |list: &[f64]| {
            Percentiles(list.to_vec()).check().map_err(|error| {
                assert_eq!(error.code(), -32000);
                error.message().to_owned()
            })
        };
        assert_eq!(check(&[0.0, 50.0, 100.0]), Ok(()));
        assert_eq!(
            check(&[10.0, 5.0]),
            Err("invalid reward percentile: #0:10.000000 >= #1:5.000000".into())
        );
        assert!(check(&[5.0, 5.0]).is_err());
        assert_eq!(check(&[-1.0]), Err("invalid reward percentile: -1.000000".into()));
        assert_eq!(check(&[100.1]), Err("invalid reward percentile: 100.100000".into()));
        let many: Vec<_> = (0..=100).map(|it| f64::from(it) / 2.0).collect();
        assert_eq!(check(&many), Err("invalid reward percentile: over the query limit 100".into()));
    }

    #[test]
    fn counts_are_hexadecimal_or_decimal() {
        let read = |json: &str| serde_json::from_str::<BlockCount>(json).map(|count| count.0).ok();
        for (json, want) in [
            ("5", Some(5)),
            ("\"5\"", Some(5)),
            ("\"0x10\"", Some(16)),
            ("\"x\"", None),
            ("-1", None),
        ] {
            assert_eq!(read(json), want, "{json}");
        }
        let nothing: Percentiles = serde_json::from_str("null").expect("null is none");
        assert_eq!(nothing, Percentiles::default());
    }

    #[test]
    fn empty_history() {
        let json = serde_json::to_string(&FeeHistory::default()).expect("it serializes");
        assert_eq!(json, r#"{"oldestBlock":"0x0","gasUsedRatio":null}"#);
    }

    proptest! {
        #[test]
        fn rewards_never_fall(
            mut all in proptest::collection::vec((0u128..1000, 1u64..1_000_000), 0..50),
            mut percentiles in proptest::collection::vec(0.0f64..=100.0, 0..10),
        ) {
            all.sort_by_key(|(tip, _)| *tip);
            percentiles.sort_by(f64::total_cmp);
            let gas = all.iter().map(|(_, gas)| gas).sum();
            let found = rewards(&tips(gas, &all), &percentiles);
            prop_assert_eq!(found.len(), percentiles.len());
            prop_assert!(found.is_sorted());
        }
    }
}
