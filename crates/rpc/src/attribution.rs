//! `attribution_`: settled batches, their records, and who earns what by them.

use crate::{RpcContext, RpcError, eth::Steps, hex::Hex, method::Registry};
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::Address;
use ascribe_attribution::{ListId, Payee};
use ascribe_attribution_index::{
    Index, IndexError,
    answer::{
        BatchNotice, BlockRange, Earnings, EarningsFilter, PayeeArg, PayoutList, PayoutProof,
        RecordFilter, RecordPage, RecordProof, SettledBatch, SettledRecord, Stats,
    },
    batches,
};
use ascribe_engine::{AttributionRows, CanonBlock};
use ascribe_storage::{attribution_block, may_concern_attribution as may_concern};
use serde::Deserialize;
use std::ops::RangeInclusive;

impl From<IndexError> for RpcError {
    fn from(error: IndexError) -> Self {
        match error {
            IndexError::Question(_) => Self::invalid_params(error.to_string()),
            error => Self::server(error.to_string()),
        }
    }
}

/// Registers the namespace's methods.
pub(crate) fn register(registry: &mut Registry) {
    registry.heavy("attribution_getBatch", get_batch);
    registry.heavy("attribution_getRecord", get_record);
    registry.heavy("attribution_getRecords", get_records);
    registry.heavy("attribution_getRecordProof", get_record_proof);
    registry.heavy("attribution_getPayouts", get_payouts);
    registry.heavy("attribution_getPayoutProof", get_payout_proof);
    registry.heavy("attribution_getEarnings", get_earnings);
    registry.heavy("attribution_stats", stats);
}

impl RpcContext {
    fn attribution(&self) -> Result<Index<AttributionRows>, RpcError> {
        Ok(Index::new(self.chain.attribution()?))
    }

    /// The blocks from `from` to `to`, of all by default.
    fn attribution_range(
        &self,
        from: Option<BlockNumberOrTag>,
        to: Option<BlockNumberOrTag>,
    ) -> Result<RangeInclusive<u64>, RpcError> {
        let number = |tag: BlockNumberOrTag| match tag {
            BlockNumberOrTag::Number(number) => Ok(number),
            tag => {
                let block = self.chain.resolve(tag)?;
                let block =
                    block.ok_or_else(|| RpcError::server(format!("{tag} header not found")))?;
                Ok::<_, RpcError>(block.number)
            }
        };
        let from = number(from.unwrap_or(BlockNumberOrTag::Earliest))?;
        let to = number(to.unwrap_or(BlockNumberOrTag::Latest))?;
        if from > to {
            return Err(RpcError::invalid_params("invalid block range params"));
        }
        Ok(from..=to)
    }
}

fn get_batch(context: &RpcContext, (list,): (ListId,)) -> Result<Option<SettledBatch>, RpcError> {
    Ok(context.attribution()?.batch(list)?)
}

/// The place of a record in its batch.
fn index(Hex(index): Hex<u64>) -> Option<u32> {
    u32::try_from(index).ok()
}

fn get_record(
    context: &RpcContext,
    (list, place): (ListId, Hex<u64>),
) -> Result<Option<SettledRecord>, RpcError> {
    let Some(index) = index(place) else { return Ok(None) };
    Ok(context.attribution()?.record(list, index)?)
}

fn get_records(context: &RpcContext, (filter,): (RecordFilter,)) -> Result<RecordPage, RpcError> {
    let blocks = context.attribution_range(filter.from_block, filter.to_block)?;
    Ok(context.attribution()?.records(&filter, &blocks)?)
}

fn get_record_proof(
    context: &RpcContext,
    (list, place): (ListId, Hex<u64>),
) -> Result<Option<RecordProof>, RpcError> {
    let Some(index) = index(place) else { return Ok(None) };
    Ok(context.attribution()?.record_proof(list, index)?)
}

fn get_payouts(context: &RpcContext, (list,): (ListId,)) -> Result<Option<PayoutList>, RpcError> {
    Ok(context.attribution()?.payouts(list)?)
}

fn payee(arg: PayeeArg) -> Result<Payee, RpcError> {
    arg.payee().ok_or_else(|| RpcError::invalid_params("not the key of a payee"))
}

fn get_payout_proof(
    context: &RpcContext,
    (list, of): (ListId, PayeeArg),
) -> Result<Option<PayoutProof>, RpcError> {
    Ok(context.attribution()?.payout_proof(list, &payee(of)?)?)
}

fn get_earnings(
    context: &RpcContext,
    (of, filter): (PayeeArg, Option<EarningsFilter>),
) -> Result<Earnings, RpcError> {
    let filter = filter.unwrap_or_default();
    let blocks = context.attribution_range(filter.from_block, filter.to_block)?;
    Ok(context.attribution()?.earnings(&payee(of)?, &filter, &blocks)?)
}

fn stats(context: &RpcContext, (range,): (Option<BlockRange>,)) -> Result<Stats, RpcError> {
    let BlockRange { from_block, to_block } = range.unwrap_or_default();
    let blocks = context.attribution_range(from_block, to_block)?;
    Ok(context.attribution()?.stats(&blocks)?)
}

/// Which batches a subscription is told of: those that fit all that is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct BatchFilter {
    /// Of this model.
    #[serde(default, with = "alloy_serde::quantity::opt")]
    model: Option<u32>,
    /// Of this operator.
    #[serde(default)]
    operator: Option<Address>,
}

impl BatchFilter {
    /// The batches that came and went, in the order of things.
    pub(crate) fn notices(
        &self,
        context: &RpcContext,
        steps: &Steps,
    ) -> Result<Vec<BatchNotice>, RpcError> {
        let chain_id = context.spec.chain_id();
        let without_index = |CanonBlock { block, receipts }: &CanonBlock| {
            batches(&attribution_block(chain_id, block, receipts))
        };
        let mut notices = Vec::new();
        let mut tell = |batches: Vec<SettledBatch>, removed| {
            let fits = |batch: &SettledBatch| {
                self.model.is_none_or(|model| model == batch.model)
                    && self.operator.is_none_or(|operator| operator == batch.operator)
            };
            let fitting = batches.into_iter().filter(fits);
            notices.extend(fitting.map(|batch| BatchNotice { batch, removed }));
        };
        for block in &steps.removed {
            tell(without_index(block), true);
        }
        let concerning = |block: &&CanonBlock| may_concern(&block.block.header().logs_bloom);
        for block in steps.added.iter().filter(concerning) {
            let (number, hash) = (block.block.header().number, block.block.hash());
            let mut batches = context.attribution()?.batches_in(number)?;
            // The chain has changed again since.
            if batches.iter().any(|batch| batch.place.block_hash != hash) || batches.is_empty() {
                batches = without_index(block);
            }
            tell(batches, false);
        }
        Ok(notices)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn subscriptions_take_known_words_only() {
        let filter: BatchFilter = serde_json::from_str(r#"{"model":"0x2"}"#).expect("a filter");
        assert_eq!(filter, BatchFilter { model: Some(2), operator: None });
        assert!(serde_json::from_str::<BatchFilter>(r#"{"adapter":"0x2"}"#).is_err());
    }
}
