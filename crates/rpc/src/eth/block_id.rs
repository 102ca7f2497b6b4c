//! Which block is meant: numbers, tags and EIP-1898 objects, read the way geth reads them.

use crate::{
    RpcContext, RpcError,
    hex::{FromHex, Hex, decode_u64},
};
use alloy_eips::{BlockNumHash, BlockNumberOrTag};
use alloy_primitives::B256;
use serde::{Deserialize, Deserializer, de};
use serde_json::value::RawValue;

/// A number or a tag: what `eth_getBlockByNumber` takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct BlockNumber(pub(crate) BlockNumberOrTag);

impl BlockNumber {
    fn parse(text: &str) -> Result<Self, String> {
        if let Some(tag) = tag(text) {
            return Ok(Self(tag));
        }
        let number = decode_u64(text).map_err(|error| error.to_string())?;
        if number > i64::MAX as u64 {
            return Err("block number larger than int64".to_owned());
        }
        Ok(Self(BlockNumberOrTag::Number(number)))
    }
}

fn tag(text: &str) -> Option<BlockNumberOrTag> {
    Some(match text {
        "earliest" => BlockNumberOrTag::Earliest,
        "latest" => BlockNumberOrTag::Latest,
        "pending" => BlockNumberOrTag::Pending,
        "finalized" => BlockNumberOrTag::Finalized,
        "safe" => BlockNumberOrTag::Safe,
        _ => return None,
    })
}

impl<'de> Deserialize<'de> for BlockNumber {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // geth looks at the JSON text itself, and at what is between the quotes if there are any.
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        let text = raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')).unwrap_or(raw);
        Self::parse(text).map_err(de::Error::custom)
    }
}

/// A block by number, tag or hash: EIP-1898, and the plain strings from before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum BlockRef {
    /// By number or tag.
    Number(BlockNumberOrTag),
    /// By hash.
    Hash {
        /// The hash.
        hash: B256,
        /// Whether a block off the canonical chain is refused.
        require_canonical: bool,
    },
    /// An object that names none, which only shows when the block is looked up.
    Neither,
}

impl BlockRef {
    /// What is meant when nothing is said.
    pub(crate) const LATEST: Self = Self::Number(BlockNumberOrTag::Latest);

    fn parse(text: &str) -> Result<Self, String> {
        if let Some(tag) = tag(text) {
            return Ok(Self::Number(tag));
        }
        if text.len() == 66 {
            let hash = B256::from_hex(text).map_err(|error| error.to_string())?;
            return Ok(Self::Hash { hash, require_canonical: false });
        }
        let number = decode_u64(text).map_err(|error| error.to_string())?;
        if number > i64::MAX as u64 {
            return Err("blocknumber too high".to_owned());
        }
        Ok(Self::Number(BlockNumberOrTag::Number(number)))
    }
}

impl<'de> Deserialize<'de> for BlockRef {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Object {
            block_number: Option<BlockNumber>,
            block_hash: Option<Hex<B256>>,
            require_canonical: Option<bool>,
        }
        let raw = <&RawValue>::deserialize(deserializer)?.get();
        match raw.as_bytes().first() {
            Some(b'n') => Ok(Self::Neither),
            Some(b'{') => {
                let object: Object = serde_json::from_str(raw).map_err(de::Error::custom)?;
                match (object.block_number, object.block_hash) {
                    (Some(_), Some(_)) => Err(de::Error::custom(
                        "cannot specify both BlockHash and BlockNumber, choose one or the other",
                    )),
                    (Some(BlockNumber(number)), None) => Ok(Self::Number(number)),
                    (None, Some(Hex(hash))) => Ok(Self::Hash {
                        hash,
                        require_canonical: object.require_canonical.unwrap_or_default(),
                    }),
                    (None, None) => Ok(Self::Neither),
                }
            }
            Some(b'"') => {
                let text: String = serde_json::from_str(raw).map_err(de::Error::custom)?;
                Self::parse(&text).map_err(de::Error::custom)
            }
            _ => {
                Err(de::Error::custom("json: cannot unmarshal value into Go value of type string"))
            }
        }
    }
}

impl RpcContext {
    /// The canonical block with this number or tag, if there is one.
    ///
    /// # Errors
    /// geth's, for a tag that is not set yet.
    pub(crate) fn numbered(
        &self,
        number: BlockNumberOrTag,
    ) -> Result<Option<BlockNumHash>, RpcError> {
        let found = self.chain.resolve(number)?;
        match number {
            BlockNumberOrTag::Safe if found.is_none() => {
                Err(RpcError::server("safe block not found"))
            }
            BlockNumberOrTag::Finalized if found.is_none() => {
                Err(RpcError::server("finalized block not found"))
            }
            _ => Ok(found),
        }
    }

    /// The block that is meant, if it is there: for methods that answer `null` where it is not.
    pub(crate) fn block_of(&self, block: BlockRef) -> Result<Option<BlockNumHash>, RpcError> {
        match block {
            BlockRef::Number(number) => self.numbered(number),
            BlockRef::Hash { hash, require_canonical } => {
                let Some(number) = self.chain.number_of(hash)? else { return Ok(None) };
                let block = BlockNumHash { number, hash };
                if require_canonical && !self.chain.is_canonical(block)? {
                    return Err(RpcError::server("hash is not currently canonical"));
                }
                Ok(Some(block))
            }
            BlockRef::Neither => {
                Err(RpcError::server("invalid arguments; neither block nor hash specified"))
            }
        }
    }

    /// The block whose state is meant, or geth's words for that it is not there.
    pub(crate) fn state_block(&self, block: BlockRef) -> Result<BlockNumHash, RpcError> {
        self.block_of(block)?.ok_or_else(|| match block {
            BlockRef::Hash { .. } => RpcError::server("header for hash not found"),
            _ => RpcError::header_not_found(),
        })
    }

    /// As [`Self::state_block`], for the methods in which geth knows one reason only.
    pub(crate) fn header_block(&self, block: BlockRef) -> Result<BlockNumHash, RpcError> {
        self.state_block(block).map_err(|_| RpcError::header_not_found())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(json: &str) -> Result<BlockNumberOrTag, String> {
        serde_json::from_str::<BlockNumber>(json).map(|number| number.0).map_err(|error| {
            error.to_string().split(" at line").next().unwrap_or_default().to_owned()
        })
    }

    fn block(json: &str) -> Result<BlockRef, String> {
        serde_json::from_str(json).map_err(|error| {
            error.to_string().split(" at line").next().unwrap_or_default().to_owned()
        })
    }

    #[test]
    fn numbers_and_tags() {
        assert_eq!(number(r#""0x10""#), Ok(BlockNumberOrTag::Number(16)));
        assert_eq!(number(r#""safe""#), Ok(BlockNumberOrTag::Safe));
        assert_eq!(number("5"), Err("hex string without 0x prefix".into()));
        assert_eq!(number(r#""""#), Err("empty hex string".into()));
        assert_eq!(number(r#""0x010""#), Err("hex number with leading zero digits".into()));
        assert_eq!(number(r#""0x8000000000000000""#), Err("block number larger than int64".into()));
    }

    #[test]
    fn eip_1898() {
        let hash = B256::repeat_byte(0xab);
        let by_hash = |require_canonical| Ok(BlockRef::Hash { hash, require_canonical });
        assert_eq!(block(&format!("\"{hash}\"")), by_hash(false));
        assert_eq!(block(&format!(r#"{{"blockHash":"{hash}"}}"#)), by_hash(false));
        assert_eq!(
            block(&format!(r#"{{"blockHash":"{hash}","requireCanonical":true}}"#)),
            by_hash(true)
        );
        let latest = Ok(BlockRef::LATEST);
        assert_eq!(block(r#"{"blockNumber":"latest"}"#), latest);
        assert_eq!(block(r#""latest""#), latest);
        assert_eq!(block("{}"), Ok(BlockRef::Neither));
        assert_eq!(block("null"), Ok(BlockRef::Neither));
        assert_eq!(
            block(&format!(r#"{{"blockHash":"{hash}","blockNumber":"0x1"}}"#)),
            Err("cannot specify both BlockHash and BlockNumber, choose one or the other".into())
        );
        assert_eq!(block(r#""0xffffffffffffffff""#), Err("blocknumber too high".into()));
        assert!(block("7").is_err());
    }
}
