//! Blocks without their headers: `engine_getPayloadBodiesBy…`.

use alloy_eips::{eip2718::Encodable2718, eip4895::Withdrawal};
use alloy_primitives::{B256, Bytes};
use ascribe_engine::ProviderError;
use op_alloy_consensus::OpBlock;
use reth_primitives_traits::RecoveredBlock;
use serde::Serialize;

use super::{EngineApiError, Hex};
use crate::{RpcContext, RpcError};

/// As many bodies as one call may ask for.
const MOST: usize = 1024;

/// A body: encoded transactions, and withdrawals from Canyon on, of which there are none.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Body {
    transactions: Vec<Bytes>,
    withdrawals: Option<Vec<Withdrawal>>,
}

impl From<&RecoveredBlock<OpBlock>> for Body {
    fn from(block: &RecoveredBlock<OpBlock>) -> Self {
        let body = block.body();
        Self {
            transactions: body.transactions.iter().map(|tx| tx.encoded_2718().into()).collect(),
            withdrawals: body.withdrawals.as_ref().map(|withdrawals| withdrawals.0.clone()),
        }
    }
}

/// The bodies of these blocks, `null` for those that are not known.
pub(super) fn by_hash(
    context: &RpcContext,
    (hashes,): (Vec<B256>,),
) -> Result<Vec<Option<Body>>, RpcError> {
    if hashes.len() > MOST {
        return Err(too_large(hashes.len() as u64));
    }
    let body = |hash| Ok(context.chain.block_by_hash(hash)?.map(|block| Body::from(&*block)));
    Ok(hashes.into_iter().map(body).collect::<Result<_, ProviderError>>()?)
}

/// The bodies of `count` canonical blocks from `start` on, as far as there are any.
pub(super) fn by_range(
    context: &RpcContext,
    (Hex(start), Hex(count)): (Hex<u64>, Hex<u64>),
) -> Result<Vec<Option<Body>>, RpcError> {
    if start == 0 || count == 0 {
        return Err(EngineApiError::InvalidParams(format!(
            "invalid start or count, start: {start:#x} count: {count:#x}"
        ))
        .into());
    }
    if count > MOST as u64 {
        return Err(too_large(count));
    }
    let last = start.saturating_add(count - 1).min(context.chain.head().number);
    let body = |number| Ok(context.chain.block_by_number(number)?.map(|block| Body::from(&*block)));
    Ok((start..=last).map(body).collect::<Result<_, ProviderError>>()?)
}

fn too_large(count: u64) -> RpcError {
    EngineApiError::TooLargeRequest(format!("requested count too large: {count:#x}")).into()
}
