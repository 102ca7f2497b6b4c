//! `eth_simulateV1`: blocks of calls on top of a block, as they would come out.

mod block;
mod transfers;

use super::{
    block_id::BlockRef,
    call::Deadline,
    json::{BlockJson, LogJson},
    overrides::{BlockOverrides, StateOverrides},
    transaction_args::TransactionArgs,
};
use crate::{
    RpcContext, RpcError,
    error::{BLOCK_NUMBER_INVALID, BLOCK_TIMESTAMP_INVALID, LIMIT_EXCEEDED_CLIENT},
    hex::Hex,
};
use alloy_primitives::{B256, Bytes, Log, U256};
use op_alloy_consensus::OpBlock;
use reth_primitives_traits::RecoveredBlock;
use serde::{Deserialize, Serialize, Serializer, ser::SerializeMap};

/// Calls of one block.
const MAX_CALLS_PER_BLOCK: usize = 5000;
/// Calls of all blocks.
const MAX_CALLS: usize = 10_000;
/// Seconds between blocks whose time nobody says.
const BLOCK_TIME: u64 = 12;

/// A block to simulate.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct SimulatedBlock {
    block_overrides: Option<BlockOverrides>,
    state_overrides: Option<StateOverrides>,
    calls: Vec<TransactionArgs>,
}

/// What to simulate, and how.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct Options {
    block_state_calls: Vec<SimulatedBlock>,
    /// Shows transfers of ether as logs.
    trace_transfers: bool,
    /// Checks nonces and fees as a block would.
    validation: bool,
    return_full_transactions: bool,
}

impl Options {
    fn check(&self, max_blocks: u64) -> Result<(), RpcError> {
        let too_many = |what: String| Err(RpcError::new(LIMIT_EXCEEDED_CLIENT, what));
        if self.block_state_calls.is_empty() {
            return Err(RpcError::invalid_params("empty input"));
        }
        if self.block_state_calls.len() as u64 > max_blocks {
            return too_many("too many blocks".to_owned());
        }
        let mut total = 0;
        for block in &self.block_state_calls {
            let calls = block.calls.len();
            if calls > MAX_CALLS_PER_BLOCK {
                return too_many(format!(
                    "too many calls in block: {calls} > {MAX_CALLS_PER_BLOCK}"
                ));
            }
            total += calls;
            if total > MAX_CALLS {
                return too_many(format!("too many calls: {total} > {MAX_CALLS}"));
            }
        }
        Ok(())
    }
}

/// Puts the blocks in order: numbers and times grow, and gaps are filled with empty blocks.
fn ordered(
    blocks: Vec<SimulatedBlock>,
    base_number: u64,
    base_time: u64,
    max_blocks: u64,
) -> Result<Vec<SimulatedBlock>, RpcError> {
    let mut all: Vec<SimulatedBlock> = Vec::with_capacity(blocks.len());
    let (mut last_number, mut last_time) = (U256::from(base_number), base_time);
    for mut block in blocks {
        let overrides = block.block_overrides.get_or_insert_default();
        let Hex(number) = *overrides.number.get_or_insert_with(|| Hex(last_number + U256::from(1)));
        if number <= last_number {
            let text = format!("block numbers must be in order: {number} <= {last_number}");
            return Err(RpcError::new(BLOCK_NUMBER_INVALID, text));
        }
        if number - U256::from(base_number) > U256::from(max_blocks) {
            return Err(RpcError::new(LIMIT_EXCEEDED_CLIENT, "too many blocks"));
        }
        last_number += U256::from(1);
        while last_number < number {
            last_time += BLOCK_TIME;
            all.push(SimulatedBlock {
                block_overrides: Some(BlockOverrides {
                    number: Some(Hex(last_number)),
                    time: Some(Hex(last_time)),
                    ..BlockOverrides::default()
                }),
                ..SimulatedBlock::default()
            });
            last_number += U256::from(1);
        }
        let Hex(time) =
            *overrides.time.get_or_insert_with(|| Hex(last_time.saturating_add(BLOCK_TIME)));
        if time <= last_time {
            let text = format!("block timestamps must be in order: {time} <= {last_time}");
            return Err(RpcError::new(BLOCK_TIMESTAMP_INVALID, text));
        }
        last_time = time;
        all.push(block);
    }
    Ok(all)
}

/// A call that was simulated.
#[derive(Debug)]
struct CallResult {
    output: Bytes,
    logs: Vec<(Log, u64)>,
    gas_used: u64,
    max_gas_used: u64,
    error: Option<CallFailure>,
}

/// Why a simulated call failed.
#[derive(Debug, Serialize)]
struct CallFailure {
    message: String,
    code: i32,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Bytes>,
}

/// A block that was simulated.
#[derive(Debug)]
pub(super) struct BlockResult {
    block: RecoveredBlock<OpBlock>,
    calls: Vec<CallResult>,
    whole: bool,
}

impl Serialize for BlockResult {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut json = serializer.serialize_map(None)?;
        let block = if self.whole {
            BlockJson::with_unsigned(&self.block)
        } else {
            BlockJson::with_hashes(&self.block)
        };
        block.entries(&mut json)?;
        json.serialize_entry("calls", &Calls(self))?;
        json.end()
    }
}

/// The calls of a block, each with its transaction.
struct Calls<'a>(&'a BlockResult);

impl Serialize for Calls<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let transactions = &self.0.block.body().transactions;
        let calls = self.0.calls.iter().zip(transactions).enumerate();
        serializer.collect_seq(calls.map(|(index, (call, tx))| {
            let place = Place { block: &self.0.block, index, transaction_hash: tx.tx_hash() };
            CallJson { call, place }
        }))
    }
}

#[derive(Debug, Clone, Copy)]
struct Place<'a> {
    block: &'a RecoveredBlock<OpBlock>,
    index: usize,
    transaction_hash: B256,
}

struct CallJson<'a> {
    call: &'a CallResult,
    place: Place<'a>,
}

impl Serialize for CallJson<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Self { call, place } = self;
        let header = place.block.header();
        let logs: Vec<_> = call
            .logs
            .iter()
            .map(|(log, log_index)| LogJson {
                log,
                block_number: header.number,
                block_hash: place.block.hash(),
                block_timestamp: header.timestamp,
                transaction_hash: place.transaction_hash,
                transaction_index: place.index as u64,
                log_index: *log_index,
                removed: false,
            })
            .collect();
        let mut json = serializer.serialize_map(None)?;
        json.serialize_entry("returnData", &call.output)?;
        json.serialize_entry("logs", &logs)?;
        json.serialize_entry("gasUsed", &Hex(call.gas_used))?;
        json.serialize_entry("maxUsedGas", &Hex(call.max_gas_used))?;
        json.serialize_entry("status", &Hex(u64::from(call.error.is_none())))?;
        if let Some(error) = &call.error {
            json.serialize_entry("error", error)?;
        }
        json.end()
    }
}

/// `eth_simulateV1`
pub(super) fn simulate(
    context: &RpcContext,
    (options, block): (Options, Option<BlockRef>),
) -> Result<Vec<BlockResult>, RpcError> {
    let max_blocks = context.config.max_simulate_blocks;
    options.check(max_blocks)?;
    let base = context.state_block(block.unwrap_or(BlockRef::LATEST))?;
    let Options { block_state_calls, trace_transfers, validation, return_full_transactions } =
        options;
    let mut simulator = block::Simulator::new(context, base, trace_transfers, validation)?;
    let (number, time) = simulator.base();
    let deadline = Deadline::new(context.config.call_timeout);
    let mut results = Vec::new();
    for block in ordered(block_state_calls, number, time, max_blocks)? {
        let (block, calls) = simulator.block(block, deadline)?;
        results.push(BlockResult { block, calls, whole: return_full_transactions });
    }
    Ok(results)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn blocks(json: &str) -> Result<Vec<(u64, u64)>, (i32, String)> {
        let options: Options = serde_json::from_str(json).expect("the test's own options");
        options
            .check(256)
            .and_then(|()| ordered(options.block_state_calls, 10, 100, 256))
            .map(|blocks| {
                let overrides = blocks.into_iter().filter_map(|block| block.block_overrides);
                overrides
                    .map(|it| {
                        let Hex(number) = it.number.expect("numbers are given");
                        let Hex(time) = it.time.expect("times are given");
                        (number.to(), time)
                    })
                    .collect()
            })
            .map_err(|error| (error.code(), error.message().to_owned()))
    }

    #[test]
    fn gaps_are_filled() {
        assert_eq!(blocks(r#"{"blockStateCalls":[{},{}]}"#), Ok(vec![(11, 112), (12, 124)]));
        assert_eq!(
            blocks(r#"{"blockStateCalls":[{"blockOverrides":{"number":"0xd"}}]}"#),
            Ok(vec![(11, 112), (12, 124), (13, 136)])
        );
    }

    #[test]
    fn order_and_bounds() {
        assert_eq!(blocks(r#"{"blockStateCalls":[]}"#), Err((-32602, "empty input".to_owned())));
        assert_eq!(
            blocks(r#"{"blockStateCalls":[{"blockOverrides":{"number":"0xa"}}]}"#),
            Err((-38020, "block numbers must be in order: 10 <= 10".to_owned()))
        );
        assert_eq!(
            blocks(r#"{"blockStateCalls":[{"blockOverrides":{"time":"0x64"}}]}"#),
            Err((-38021, "block timestamps must be in order: 100 <= 100".to_owned()))
        );
        let far = r#"{"blockStateCalls":[{"blockOverrides":{"number":"0xffffffffff"}}]}"#;
        assert_eq!(blocks(far), Err((-38026, "too many blocks".to_owned())));
        let many = format!(r#"{{"blockStateCalls":[{}]}}"#, vec!["{}"; 257].join(","));
        assert_eq!(blocks(&many), Err((-38026, "too many blocks".to_owned())));
        let calls = format!(
            r#"{{"blockStateCalls":[{{"calls":[{}]}}]}}"#,
            vec!["{}"; MAX_CALLS_PER_BLOCK + 1].join(",")
        );
        assert_eq!(
            blocks(&calls),
            Err((-38026, "too many calls in block: 5001 > 5000".to_owned()))
        );
    }
}
