//! `eth_getLogs`: what is looked for, and the search.

use super::{block_id::BlockNumber, json::LogJson};
use crate::{
    RpcContext, RpcError,
    hex::{FromHex, Hex, HexError},
};
use alloy_consensus::TxReceipt;
use alloy_eips::BlockNumberOrTag;
use alloy_primitives::{Address, B256, Bloom, BloomInput, Bytes, Log};
use ascribe_engine::CanonBlock;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de, ser::SerializeSeq};
use std::ops::RangeInclusive;

/// Positions of topics that a log has at most.
const MAX_TOPICS: usize = 4;
/// Addresses, or topics of one position, that one filter may name.
const MAX_ALTERNATIVES: usize = 1000;

/// Which blocks are searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Blocks {
    /// One.
    Hash(B256),
    /// A range; the head where nothing is said.
    Range(Option<BlockNumberOrTag>, Option<BlockNumberOrTag>),
}

/// What logs are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct LogFilter {
    pub(super) blocks: Blocks,
    /// One of these; any if there are none.
    addresses: Vec<Address>,
    /// For each position one of these; any if there are none.
    topics: Vec<Vec<B256>>,
}

impl<'de> Deserialize<'de> for LogFilter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(rename_all = "camelCase")]
        struct Given {
            block_hash: Option<Hex<B256>>,
            from_block: Option<BlockNumber>,
            to_block: Option<BlockNumber>,
            address: Option<serde_json::Value>,
            topics: Option<Vec<serde_json::Value>>,
        }
        let given = Given::deserialize(deserializer)?;
        let blocks = match (given.block_hash, given.from_block, given.to_block) {
            (Some(Hex(hash)), None, None) => Blocks::Hash(hash),
            (Some(_), ..) => {
                return Err(de::Error::custom(
                    "cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other",
                ));
            }
            (None, from, to) => Blocks::Range(from.map(|it| it.0), to.map(|it| it.0)),
        };
        let addresses = match given.address {
            Some(value) => addresses(value).map_err(de::Error::custom)?,
            None => Vec::new(),
        };
        let topics = given.topics.unwrap_or_default();
        if topics.len() > MAX_TOPICS {
            return Err(de::Error::custom("exceed max topics"));
        }
        let topics = topics.into_iter().map(alternatives).collect::<Result<_, _>>();
        Ok(Self { blocks, addresses, topics: topics.map_err(de::Error::custom)? })
    }
}

/// An address or a list of them.
fn addresses(value: serde_json::Value) -> Result<Vec<Address>, String> {
    match value {
        serde_json::Value::String(text) => fixed(&text, 20, "address")
            .map(|bytes| vec![Address::from_slice(&bytes)])
            .map_err(|error| format!("invalid address: {error}")),
        serde_json::Value::Array(list) => list
            .iter()
            .enumerate()
            .map(|(index, value)| {
                let text =
                    value.as_str().ok_or_else(|| format!("non-string address at index {index}"))?;
                fixed(text, 20, "address")
                    .map(|bytes| Address::from_slice(&bytes))
                    .map_err(|error| format!("invalid address at index {index}: {error}"))
            })
            .collect(),
        serde_json::Value::Null => Ok(Vec::new()),
        _ => Err("invalid addresses in query".to_owned()),
    }
}

/// What a position's topic may be: one, one of several, or any.
fn alternatives(value: serde_json::Value) -> Result<Vec<B256>, String> {
    let topic = |text: &str| fixed(text, 32, "topic").map(|bytes| B256::from_slice(&bytes));
    match value {
        serde_json::Value::Null => Ok(Vec::new()),
        serde_json::Value::String(text) => Ok(vec![topic(&text)?]),
        serde_json::Value::Array(list) => {
            if list.len() > MAX_ALTERNATIVES {
                return Err("exceed max topics".to_owned());
            }
            let mut topics = Vec::with_capacity(list.len());
            for value in &list {
                match value {
                    // One that may be any makes the others pointless.
                    serde_json::Value::Null => return Ok(Vec::new()),
                    serde_json::Value::String(text) => topics.push(topic(text)?),
                    _ => return Err("invalid topic(s)".to_owned()),
                }
            }
            Ok(topics)
        }
        _ => Err("invalid topic(s)".to_owned()),
    }
}

fn fixed(text: &str, length: usize, what: &str) -> Result<Bytes, String> {
    if text.is_empty() {
        return Err(HexError::Empty.to_string());
    }
    let bytes = Bytes::from_hex(text).map_err(|error| error.to_string())?;
    if bytes.len() != length {
        return Err(format!(
            "hex has invalid length {} after decoding; expected {length} for {what}",
            bytes.len()
        ));
    }
    Ok(bytes)
}

impl LogFilter {
    /// Refuses filters with too many alternatives.
    pub(super) fn check(&self) -> Result<(), RpcError> {
        let too_many = self.addresses.len() > MAX_ALTERNATIVES
            || self.topics.iter().any(|topics| topics.len() > MAX_ALTERNATIVES);
        if too_many {
            return Err(RpcError::server("exceed max addresses or topics per search position"));
        }
        Ok(())
    }

    /// Whether a block with this bloom may hold such logs.
    fn may_match(&self, bloom: &Bloom) -> bool {
        let any = |mut inputs: Box<dyn Iterator<Item = BloomInput<'_>> + '_>| {
            inputs.any(|input| bloom.contains_input(input))
        };
        let raw = |bytes| BloomInput::Raw(bytes);
        (self.addresses.is_empty()
            || any(Box::new(self.addresses.iter().map(|address| raw(address.as_slice())))))
            && self.topics.iter().all(|topics| {
                topics.is_empty() || any(Box::new(topics.iter().map(|topic| raw(topic.as_slice()))))
            })
    }

    fn matches(&self, log: &Log) -> bool {
        let topics = log.data.topics();
        (self.addresses.is_empty() || self.addresses.contains(&log.address))
            && self.topics.len() <= topics.len()
            && self
                .topics
                .iter()
                .zip(topics)
                .all(|(wanted, topic)| wanted.is_empty() || wanted.contains(topic))
    }

    /// Whether blocks at this height concern a filter that was installed.
    pub(super) fn covers(&self, number: u64) -> bool {
        let Blocks::Range(from, to) = self.blocks else { return true };
        let bound = |tag| match tag {
            Some(BlockNumberOrTag::Number(number)) => Some(number),
            Some(BlockNumberOrTag::Earliest) => Some(0),
            _ => None,
        };
        bound(from).is_none_or(|from| from <= number) && bound(to).is_none_or(|to| number <= to)
    }

    /// The logs of a block that match.
    pub(super) fn in_block(&self, block: CanonBlock, removed: bool) -> BlockLogs {
        let mut hits = Vec::new();
        if self.may_match(&block.block.header().logs_bloom) {
            let mut log_index = 0;
            for (transaction, receipt) in block.receipts.iter().enumerate() {
                for (log, value) in receipt.logs().iter().enumerate() {
                    if self.matches(value) {
                        hits.push(Hit { transaction, log, log_index });
                    }
                    log_index += 1;
                }
            }
        }
        BlockLogs { block, hits, removed }
    }
}

/// A log by its place in a block.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Hit {
    transaction: usize,
    /// Its place among the transaction's logs.
    log: usize,
    /// Its place among the block's.
    log_index: u64,
}

/// Logs of one block.
#[derive(Debug)]
pub(super) struct BlockLogs {
    block: CanonBlock,
    hits: Vec<Hit>,
    removed: bool,
}

impl BlockLogs {
    pub(super) const fn len(&self) -> usize {
        self.hits.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = LogJson<'_>> {
        let header = self.block.block.header();
        let block_hash = self.block.block.hash();
        self.hits.iter().filter_map(move |hit| {
            let tx = self.block.block.body().transactions.get(hit.transaction)?;
            Some(LogJson {
                log: self.block.receipts.get(hit.transaction)?.logs().get(hit.log)?,
                block_number: header.number,
                block_hash,
                block_timestamp: header.timestamp,
                transaction_hash: tx.tx_hash(),
                transaction_index: hit.transaction as u64,
                log_index: hit.log_index,
                removed: self.removed,
            })
        })
    }
}

/// Logs of many blocks, shown as one list.
#[derive(Debug, Default)]
pub(super) struct FoundLogs(pub(super) Vec<BlockLogs>);

impl Serialize for FoundLogs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut list = serializer.serialize_seq(Some(self.0.iter().map(BlockLogs::len).sum()))?;
        for log in self.0.iter().flat_map(BlockLogs::iter) {
            list.serialize_element(&log)?;
        }
        list.end()
    }
}

const INVALID_RANGE: &str = "invalid block range params";

impl RpcContext {
    /// The range that a filter means, of blocks that are there.
    fn log_range(
        &self,
        from: Option<BlockNumberOrTag>,
        to: Option<BlockNumberOrTag>,
    ) -> Result<RangeInclusive<u64>, RpcError> {
        let head = self.chain.head().number;
        let (from, to) =
            (from.unwrap_or(BlockNumberOrTag::Latest), to.unwrap_or(BlockNumberOrTag::Latest));
        if let (BlockNumberOrTag::Number(from), BlockNumberOrTag::Number(to)) = (from, to)
            && from > to
        {
            return Err(RpcError::invalid_params(INVALID_RANGE));
        }
        // A range that starts at the latest block ends there too: it means whatever is newest then.
        if from.is_latest() && !to.is_latest() && !to.is_pending() {
            return Err(RpcError::invalid_params(INVALID_RANGE));
        }
        if from.is_pending() || to.is_pending() {
            return Err(RpcError::invalid_params("pending logs are not supported"));
        }
        let resolve = |tag: BlockNumberOrTag| match tag {
            BlockNumberOrTag::Number(number) => Ok(number),
            BlockNumberOrTag::Latest | BlockNumberOrTag::Pending => Ok(head),
            BlockNumberOrTag::Earliest => Ok(0),
            BlockNumberOrTag::Safe | BlockNumberOrTag::Finalized => self
                .chain
                .resolve(tag)?
                .map(|block| block.number)
                .ok_or_else(|| RpcError::server(format!("{tag} header not found"))),
        };
        let (from, to) = (resolve(from)?, resolve(to)?);
        if from > to {
            return Err(RpcError::invalid_params(INVALID_RANGE));
        }
        if to > head {
            let text = "block range extends beyond current head block";
            return Err(RpcError::invalid_params(text));
        }
        let most = self.config.max_blocks_per_filter;
        if most != 0 && to - from > most {
            let text = format!("query exceeds max block range {most}");
            return Err(RpcError::invalid_params(text));
        }
        Ok(from..=to)
    }

    /// All logs that match, or an error if they are more than fit into an answer.
    pub(super) fn find_logs(&self, filter: &LogFilter) -> Result<FoundLogs, RpcError> {
        filter.check()?;
        let range = match filter.blocks {
            Blocks::Hash(hash) => {
                let block = self.canon_block(hash)?;
                let block = block.ok_or_else(|| RpcError::server("unknown block"))?;
                return Ok(FoundLogs(vec![filter.in_block(block, false)]));
            }
            Blocks::Range(from, to) => self.log_range(from, to)?,
        };
        let most = match self.config.max_logs_per_response {
            0 => usize::MAX,
            most => most,
        };
        let (mut found, mut count) = (Vec::new(), 0);
        for number in range.clone() {
            // A reorg may have made the chain shorter meanwhile.
            let Some(header) = self.chain.header_by_number(number)? else { break };
            if !filter.may_match(&header.logs_bloom) {
                continue;
            }
            let Some(block) = self.canon_block(header.hash())? else { break };
            let logs = filter.in_block(block, false);
            count += logs.len();
            if count > most {
                // One block whole is always answered, or nobody could ever get at it.
                if count > logs.len() || number > *range.start() {
                    return Err(RpcError::invalid_params(format!(
                        "query exceeds max results {most}, retry with the range {}-{}",
                        range.start(),
                        number.saturating_sub(1).max(*range.start())
                    )));
                }
            }
            if logs.len() > 0 {
                found.push(logs);
            }
        }
        Ok(FoundLogs(found))
    }
}

/// `eth_getLogs`
pub(super) fn get_logs(
    context: &RpcContext,
    (filter,): (LogFilter,),
) -> Result<FoundLogs, RpcError> {
    context.find_logs(&filter)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn parse(json: &str) -> Result<LogFilter, String> {
        serde_json::from_str(json).map_err(|error| {
            error.to_string().split(" at line").next().unwrap_or_default().to_owned()
        })
    }

    const A: Address = Address::repeat_byte(0xa1);
    const B: Address = Address::repeat_byte(0xb2);

    fn topic(last: u8) -> B256 {
        B256::with_last_byte(last)
    }

    #[test]
    fn filters_are_read_as_geth_reads_them() {
        let filter = parse(&format!(
            r#"{{"fromBlock":"0x1","toBlock":"latest","address":"{A}","topics":[null,["{}","{}"]]}}"#,
            topic(1),
            topic(2)
        ))
        .expect("a filter");
        assert_eq!(
            filter,
            LogFilter {
                blocks: Blocks::Range(
                    Some(BlockNumberOrTag::Number(1)),
                    Some(BlockNumberOrTag::Latest)
                ),
                addresses: vec![A],
                topics: vec![vec![], vec![topic(1), topic(2)]],
            }
        );
        let any = parse(&format!(r#"{{"topics":[["{}",null]]}}"#, topic(1))).expect("a filter");
        assert_eq!(any.topics, [Vec::<B256>::new()]);
    }

    #[test]
    fn bad_filters_are_refused_in_geths_words() {
        let hash = topic(9);
        for (json, text) in [
            (
                format!(r#"{{"blockHash":"{hash}","toBlock":"0x1"}}"#),
                "cannot specify both BlockHash and FromBlock/ToBlock, choose one or the other",
            ),
            (r#"{"topics":[null,null,null,null,null]}"#.to_owned(), "exceed max topics"),
            (r#"{"topics":[5]}"#.to_owned(), "invalid topic(s)"),
            (
                r#"{"address":"0x12"}"#.to_owned(),
                "invalid address: hex has invalid length 1 after decoding; expected 20 for address",
            ),
            (r#"{"address":[5]}"#.to_owned(), "non-string address at index 0"),
            (r#"{"address":5}"#.to_owned(), "invalid addresses in query"),
        ] {
            assert_eq!(parse(&json), Err(text.to_owned()), "{json}");
        }
        let many = format!(r#"{{"address":[{}]}}"#, vec![format!("\"{A}\""); 1001].join(","));
        let error = parse(&many).expect("it can be read").check().expect_err("it is too much");
        assert_eq!(error.code(), -32000);
    }

    #[test]
    fn positions_and_alternatives() {
        let log = |topics: &[B256]| Log::new_unchecked(A, topics.to_vec(), Bytes::new());
        let filter = |addresses: &[Address], topics: &[&[B256]]| LogFilter {
            blocks: Blocks::Range(None, None),
            addresses: addresses.to_vec(),
            topics: topics.iter().map(|topics| topics.to_vec()).collect(),
        };
        let two = log(&[topic(1), topic(2)]);
        assert!(filter(&[], &[]).matches(&two));
        assert!(filter(&[B, A], &[&[topic(1)]]).matches(&two));
        assert!(!filter(&[B], &[]).matches(&two));
        assert!(filter(&[], &[&[], &[topic(3), topic(2)]]).matches(&two));
        assert!(!filter(&[], &[&[topic(2)]]).matches(&two));
        // A position must be there, even if it may be anything.
        assert!(!filter(&[], &[&[], &[], &[]]).matches(&two));
    }

    #[test]
    fn installed_filters_cover_their_range() {
        let covers = |json: &str, number| parse(json).expect("a filter").covers(number);
        assert!(covers("{}", 0) && covers(r#"{"fromBlock":"earliest"}"#, 0));
        let range = r#"{"fromBlock":"0x5","toBlock":"0x7"}"#;
        assert!(!covers(range, 4) && covers(range, 5) && covers(range, 7) && !covers(range, 8));
    }

    proptest! {
        /// A bloom never hides a log that matches.
        #[test]
        fn blooms_hide_nothing(
            logs in proptest::collection::vec((0u8..3, proptest::collection::vec(0u8..3, 0..5)), 0..6),
            addresses in proptest::collection::vec(0u8..3, 0..3),
            topics in proptest::collection::vec(proptest::collection::vec(0u8..3, 0..3), 0..5),
        ) {
            let logs: Vec<_> = logs.into_iter().map(|(address, topics)| Log::new_unchecked(
                Address::with_last_byte(address),
                topics.into_iter().map(topic).collect(),
                Bytes::new(),
            )).collect();
            let filter = LogFilter {
                blocks: Blocks::Range(None, None),
                addresses: addresses.into_iter().map(Address::with_last_byte).collect(),
                topics: topics.into_iter().map(|it| it.into_iter().map(topic).collect()).collect(),
            };
            let bloom = alloy_primitives::logs_bloom(&logs);
            if logs.iter().any(|log| filter.matches(log)) {
                prop_assert!(filter.may_match(&bloom));
            }
        }
    }
}
