//! Blocks, headers and what is counted of them.

use super::{
    block_id::BlockNumber,
    json::{BlockJson, HeaderJson},
};
use crate::{RpcContext, RpcError, hex::Hex};
use alloy_eips::{BlockNumHash, BlockNumberOrTag};
use alloy_primitives::B256;
use quick_cache::{Weighter, sync::Cache};
use reth_primitives_traits::SealedHeader;
use serde::{Serialize, Serializer};
use serde_json::value::{RawValue, to_raw_value};
use std::sync::Arc;

/// JSON that others share.
#[derive(Debug, Clone)]
pub(crate) struct SharedJson(Arc<RawValue>);

impl Serialize for SharedJson {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

/// A block by hash, with its transactions whole or not.
type BlockKey = (B256, bool);

/// Blocks as JSON: who follows the chain asks for the newest ones again and again.
#[derive(Debug)]
pub(crate) struct BlockCache(Cache<BlockKey, SharedJson, JsonWeight>);

#[derive(Debug, Clone)]
struct JsonWeight;

impl Weighter<BlockKey, SharedJson> for JsonWeight {
    fn weight(&self, _: &BlockKey, json: &SharedJson) -> u64 {
        (size_of::<BlockKey>() + json.0.get().len()) as u64
    }
}

impl BlockCache {
    pub(crate) fn new(bytes: u64) -> Self {
        Self(Cache::with_weighter(1024, bytes, JsonWeight))
    }
}

impl RpcContext {
    /// A block as JSON, written once.
    async fn block_json(
        &self,
        block: Option<BlockNumHash>,
        whole: bool,
    ) -> Result<Option<SharedJson>, RpcError> {
        let Some(block) = block else { return Ok(None) };
        let key = (block.hash, whole);
        if let Some(json) = self.eth.blocks.0.get(&key) {
            return Ok(Some(json));
        }
        let context = self.clone();
        self.tasks
            .heavy(move || {
                let Some(block) = context.canon_block(block.hash)? else { return Ok(None) };
                let json = if whole {
                    to_raw_value(&BlockJson::with_transactions(&block.block, &block.receipts))
                } else {
                    to_raw_value(&BlockJson::with_hashes(&block.block))
                };
                let json = json.map_err(|error| RpcError::internal(error.to_string()))?;
                let json = SharedJson(json.into());
                context.eth.blocks.0.insert(key, json.clone());
                Ok(Some(json))
            })
            .await
    }

    /// The header of an executed block.
    fn known(&self, hash: B256) -> Result<Option<BlockNumHash>, RpcError> {
        Ok(self.chain.number_of(hash)?.map(|number| BlockNumHash { number, hash }))
    }

    fn header_of(&self, number: BlockNumberOrTag) -> Result<Option<SealedHeader>, RpcError> {
        match self.numbered(number)? {
            Some(block) => Ok(self.chain.header_by_hash(block.hash)?),
            None => Ok(None),
        }
    }
}

/// A flag that may be `null`, but not be left out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Flag(bool);

impl<'de> serde::Deserialize<'de> for Flag {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Visitor;
        impl serde::de::Visitor<'_> for Visitor {
            type Value = Flag;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a boolean")
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Flag, E> {
                Ok(Flag(flag))
            }

            fn visit_unit<E>(self) -> Result<Flag, E> {
                Ok(Flag(false))
            }
        }
        deserializer.deserialize_any(Visitor)
    }
}

/// `eth_blockNumber`
pub(super) fn number(context: &RpcContext, (): ()) -> Result<Hex<u64>, RpcError> {
    Ok(Hex(context.chain.head().number))
}

/// `eth_getBlockByNumber`
pub(super) async fn by_number(
    context: Arc<RpcContext>,
    (BlockNumber(number), Flag(whole)): (BlockNumber, Flag),
) -> Result<Option<SharedJson>, RpcError> {
    context.block_json(context.numbered(number)?, whole).await
}

/// `eth_getBlockByHash`
pub(super) async fn by_hash(
    context: Arc<RpcContext>,
    (Hex(hash), Flag(whole)): (Hex<B256>, Flag),
) -> Result<Option<SharedJson>, RpcError> {
    context.block_json(context.known(hash)?, whole).await
}

/// A header that is written into the answer.
#[derive(Debug)]
pub(super) struct OwnedHeader(SealedHeader);

impl Serialize for OwnedHeader {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        HeaderJson { header: self.0.header(), hash: self.0.hash() }.serialize(serializer)
    }
}

/// `eth_getHeaderByNumber`
pub(super) fn header_by_number(
    context: &RpcContext,
    (BlockNumber(number),): (BlockNumber,),
) -> Result<Option<OwnedHeader>, RpcError> {
    Ok(context.header_of(number)?.map(OwnedHeader))
}

/// `eth_getHeaderByHash`
pub(super) fn header_by_hash(
    context: &RpcContext,
    (Hex(hash),): (Hex<B256>,),
) -> Result<Option<OwnedHeader>, RpcError> {
    Ok(context.chain.header_by_hash(hash)?.map(OwnedHeader))
}

/// `eth_getBlockTransactionCountByNumber`
pub(super) fn transaction_count_by_number(
    context: &RpcContext,
    (BlockNumber(number),): (BlockNumber,),
) -> Result<Option<Hex<u64>>, RpcError> {
    transaction_count(context, context.numbered(number)?)
}

/// `eth_getBlockTransactionCountByHash`
pub(super) fn transaction_count_by_hash(
    context: &RpcContext,
    (Hex(hash),): (Hex<B256>,),
) -> Result<Option<Hex<u64>>, RpcError> {
    transaction_count(context, context.known(hash)?)
}

fn transaction_count(
    context: &RpcContext,
    block: Option<BlockNumHash>,
) -> Result<Option<Hex<u64>>, RpcError> {
    let Some(block) = block else { return Ok(None) };
    let block = context.chain.block_by_hash(block.hash)?;
    Ok(block.map(|block| Hex(block.body().transactions.len() as u64)))
}

/// `eth_getUncleCountByBlockNumber`: none, of every block that is there.
pub(super) fn uncle_count_by_number(
    context: &RpcContext,
    (BlockNumber(number),): (BlockNumber,),
) -> Result<Option<Hex<u64>>, RpcError> {
    Ok(context.numbered(number)?.map(|_| Hex(0)))
}

/// `eth_getUncleCountByBlockHash`
pub(super) fn uncle_count_by_hash(
    context: &RpcContext,
    (Hex(hash),): (Hex<B256>,),
) -> Result<Option<Hex<u64>>, RpcError> {
    Ok(context.known(hash)?.map(|_| Hex(0)))
}

/// `eth_getUncleByBlockNumberAndIndex`: there is none.
pub(super) fn uncle_by_number(
    context: &RpcContext,
    (BlockNumber(number), Hex(_)): (BlockNumber, Hex<u64>),
) -> Result<Option<()>, RpcError> {
    context.numbered(number)?;
    Ok(None)
}

/// `eth_getUncleByBlockHashAndIndex`: there is none.
pub(super) fn uncle_by_hash(
    _: &RpcContext,
    (Hex(_), Hex(_)): (Hex<B256>, Hex<u64>),
) -> Result<Option<()>, RpcError> {
    Ok(None)
}
