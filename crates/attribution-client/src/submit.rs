//! `attribution submit`.

use crate::{
    AttributionError,
    args::{self, HubArgs, KeyArgs, NodeArgs},
    files::{self, Out},
    node::Node,
    read_records,
};
use alloy_primitives::{Address, B256, U256};
use alloy_sol_types::SolEvent;
use ascribe_attribution::{
    Batch, EncodeError, Header, ListId, Meter, Rates, Record, SettleError,
    hub::IAttributionHub::{BatchSettled, modelOfCall, operatorOfCall, submitBatchCall},
    settle,
};
use clap::Args;
use serde::Serialize;
use std::{path::PathBuf, time::Duration};

/// `until` of an operator that is not leaving.
const STAYS: u64 = u64::MAX;
/// 2001-09-09: an earlier time is none since 1970, but since something else.
const EARLIEST: u64 = 1_000_000_000;

/// What `attribution submit` takes.
#[derive(Args, Debug, Clone)]
pub struct SubmitArgs {
    /// The batch, as raw bytes or in hex
    #[arg(
        value_name = "FILE",
        default_value = "-",
        conflicts_with_all = ["records", "model", "time_base", "max_records"]
    )]
    batch: PathBuf,
    /// Records instead, one JSON object a line: they become a batch, or several in a row
    #[arg(long, value_name = "FILE", requires = "model")]
    records: Option<PathBuf>,
    /// Number of the model, of --records
    #[arg(long, value_name = "N", requires = "records")]
    model: Option<u32>,
    /// What the times of --records count from, in seconds since 1970 [default: they count from 1970 themselves]
    #[arg(long, value_name = "SECONDS", requires = "records")]
    time_base: Option<u64>,
    /// How many of --records a batch has at most
    #[arg(
        long,
        value_name = "N",
        default_value_t = 16_384,
        value_parser = clap::value_parser!(u32).range(1..=ascribe_attribution::MAX_RECORDS as i64),
        requires = "records"
    )]
    max_records: u32,
    /// What a batch may cost at most, gas aside: in wei, or as 5gwei or 0.1ether
    #[arg(long, value_name = "WEI", value_parser = args::wei)]
    max_value: Option<u128>,
    /// Seconds that a transaction may take to be in a block
    #[arg(long, value_name = "SECONDS", default_value_t = 120)]
    timeout: u64,
    #[command(flatten)]
    node: NodeArgs,
    #[command(flatten)]
    hub: HubArgs,
    #[command(flatten)]
    key: KeyArgs,
}

/// Why a batch is not submitted.
#[derive(Debug, thiserror::Error)]
pub enum SubmitError {
    /// For another chain.
    #[error("the batch is for chain {given}, the node is on chain {allowed}")]
    Chain {
        /// The batch's.
        given: u64,
        /// The node's.
        allowed: u64,
    },
    /// For another hub.
    #[error("the batch is for hub {given}, --hub is {allowed}")]
    Hub {
        /// The batch's.
        given: Address,
        /// The one to submit to.
        allowed: Address,
    },
    /// Of another operator.
    #[error("the batch is of operator {given}, the key is that of {allowed}")]
    Operator {
        /// The batch's.
        given: Address,
        /// The key's.
        allowed: Address,
    },
    /// Not the next one.
    #[error("the batch has sequence number {given}, the operator's next is {allowed}")]
    Sequence {
        /// The batch's.
        given: u64,
        /// What the hub wants.
        allowed: u64,
    },
    /// Nobody that the hub takes batches from.
    #[error("{0} is no operator: registerOperator of the hub takes its bond")]
    NotOperator(Address),
    /// Nobody any more.
    #[error("operator {0} is leaving and submits no more")]
    Leaving(Address),
    /// More than it may cost.
    #[error("the batch costs {given} wei, --max-value is {allowed}")]
    Value {
        /// What it costs.
        given: u128,
        /// What it may.
        allowed: u128,
    },
    /// Times that are not since 1970.
    #[error(
        "--time-base: without it times are seconds since 1970, at least {EARLIEST}; the first is {0}"
    )]
    TimeBase(u64),
    /// It cannot be settled by the model's rates.
    #[error(transparent)]
    Settle(#[from] SettleError),
    /// The transaction succeeded, but the hub says nothing of the batch.
    #[error("transaction {0} succeeded without settling the batch: is --hub the hub?")]
    NotSettled(B256),
}

/// A batch that the hub has settled.
#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Submitted {
    list: ListId,
    transaction_hash: B256,
    block_number: Option<u64>,
    records: usize,
    bytes: usize,
    total: String,
    gas_used: u64,
    gas_per_record: f64,
}

pub(crate) async fn run(args: &SubmitArgs, out: Out<'_>) -> Result<(), AttributionError> {
    let signer = args.key.signer()?;
    let operator = signer.address();
    // What is wrong with files is said before anybody is asked.
    let batches = args.batches(operator)?;
    let node = Node::connect(&args.node.rpc_url, args.hub.hub, Some(signer)).await?;
    let state = node.call(&operatorOfCall { operator }).await?;
    match state.until {
        0 => return Err(SubmitError::NotOperator(operator).into()),
        STAYS => {}
        _ => return Err(SubmitError::Leaving(operator).into()),
    }
    let batches = batches.bytes(node.chain_id, state.sequence)?;
    let count = batches.len();
    for (at, (batch, sequence)) in batches.into_iter().zip(state.sequence..).enumerate() {
        let (header, ..) = Header::from_batch(&batch)?;
        check(&header, &node, operator, sequence)?;
        let submitted = args.submit(&node, &header, batch, (at + 1, count)).await?;
        files::print_json(out, &submitted)?;
    }
    Ok(())
}

/// That it is the batch that the hub waits for.
fn check(
    header: &Header,
    node: &Node,
    operator: Address,
    sequence: u64,
) -> Result<(), SubmitError> {
    if header.chain_id != node.chain_id {
        return Err(SubmitError::Chain { given: header.chain_id, allowed: node.chain_id });
    }
    if header.hub != node.hub {
        return Err(SubmitError::Hub { given: header.hub, allowed: node.hub });
    }
    if header.operator != operator {
        return Err(SubmitError::Operator { given: header.operator, allowed: operator });
    }
    if header.sequence != sequence {
        return Err(SubmitError::Sequence { given: header.sequence, allowed: sequence });
    }
    Ok(())
}

/// What there is to submit.
enum Batches {
    Encoded(Vec<u8>),
    /// In want of a chain id and sequence numbers.
    Records(Vec<Batch>),
}

impl Batches {
    fn bytes(self, chain_id: u64, sequence: u64) -> Result<Vec<Vec<u8>>, EncodeError> {
        match self {
            Self::Encoded(bytes) => Ok(vec![bytes]),
            Self::Records(batches) => batches
                .into_iter()
                .zip(sequence..)
                .map(|(mut batch, sequence)| {
                    (batch.header.chain_id, batch.header.sequence) = (chain_id, sequence);
                    batch.encode()
                })
                .collect(),
        }
    }
}

impl SubmitArgs {
    fn batches(&self, operator: Address) -> Result<Batches, AttributionError> {
        let Some(path) = &self.records else {
            return Ok(Batches::Encoded(files::read_batch(&self.batch)?));
        };
        let header = Header {
            chain_id: 0,
            hub: self.hub.hub,
            model: self.model.unwrap_or_default(),
            operator,
            sequence: 0,
            time_base: self.time_base.unwrap_or_default(),
            detail_root: B256::ZERO,
        };
        let batches = split(header, read_records(path)?, self.max_records as usize)?;
        if let (None, Some(first)) = (self.time_base, batches.first())
            && first.header.time_base < EARLIEST
        {
            return Err(SubmitError::TimeBase(first.header.time_base).into());
        }
        Ok(Batches::Records(batches))
    }

    async fn submit(
        &self,
        node: &Node,
        header: &Header,
        batch: Vec<u8>,
        (at, count): (usize, usize),
    ) -> Result<Submitted, AttributionError> {
        let model = node.call(&modelOfCall { model: header.model }).await?;
        let rates = Rates::from(model.rates);
        let settled =
            settle(&batch, &rates, &mut Meter::unlimited()).map_err(SubmitError::Settle)?;
        let (total, records) = (settled.payouts.total(), settled.columns.record_count());
        if let Some(allowed) = self.max_value.filter(|allowed| total > *allowed) {
            return Err(SubmitError::Value { given: total, allowed }.into());
        }
        let bytes = batch.len();
        let (call, value) = (submitBatchCall { batch: batch.into() }, U256::from(total));
        let gas = node.estimate(header.operator, &call, value).await?;
        let transaction = node.send(header.operator, &call, value, gas).await?;
        eprintln!(
            "batch {at} of {count}: {records} records, {bytes} bytes, {total} wei: {transaction}"
        );
        let receipt = node.receipt(transaction, Duration::from_secs(self.timeout)).await?;
        let event = receipt.logs().iter().filter(|log| log.address() == node.hub).find_map(|log| {
            let event = BatchSettled::decode_log_validate(&log.inner).ok()?;
            (event.recordRoot == settled.record_root).then_some(event.data)
        });
        let event = event.ok_or(SubmitError::NotSettled(transaction))?;
        Ok(Submitted {
            list: ListId::of_batch(event.operator, event.sequence),
            transaction_hash: transaction,
            block_number: receipt.block_number,
            records,
            bytes,
            total: event.total.to_string(),
            gas_used: receipt.gas_used,
            gas_per_record: (receipt.gas_used as f64 / records as f64 * 10.0).round() / 10.0,
        })
    }
}

/// Makes batches of records, in order of time. Each one's times count from its first record.
fn split(
    header: Header,
    records: Vec<Record>,
    max_records: usize,
) -> Result<Vec<Batch>, EncodeError> {
    if records.is_empty() {
        return Err(EncodeError::Records(0));
    }
    for (index, record) in records.iter().enumerate() {
        record.check().map_err(|error| EncodeError::Record { index, error })?;
    }
    let mut all = Batch { header, records };
    all.sort();
    let mut batches = Vec::new();
    let mut records = all.records.into_iter().peekable();
    while let Some(first) = records.peek() {
        let begin = first.time;
        let time_base = header.time_base.checked_add(begin.into());
        let time_base = time_base.ok_or(EncodeError::TimeOverflow)?;
        let records = records.by_ref().take(max_records);
        let records = records.map(|record| Record { time: record.time - begin, ..record });
        batches.push(Batch { header: Header { time_base, ..header }, records: records.collect() });
    }
    Ok(batches)
}

#[cfg(test)]
mod tests {
    use super::*;
    use ascribe_attribution::{RecordError, Share};

    fn record(time: u32, adapter: u32) -> Record {
        Record {
            adapter,
            prompt_tokens: 1,
            completion_tokens: 1,
            time,
            shares: vec![Share { source: 0, weight: 10_000 }],
        }
    }

    const HEADER: Header = Header {
        chain_id: 901,
        hub: Address::ZERO,
        model: 0,
        operator: Address::ZERO,
        sequence: 0,
        time_base: 100,
        detail_root: B256::ZERO,
    };

    #[test]
    fn many_records_are_several_batches() {
        let records = vec![record(9, 2), record(3, 1), record(9, 1), record(5, 0), record(3, 0)];
        let batches = split(HEADER, records, 2).expect("batches");
        let times: Vec<Vec<_>> = batches
            .iter()
            .map(|batch| batch.records.iter().map(|it| (it.time, it.adapter)).collect())
            .collect();
        assert_eq!(times, [vec![(0, 0), (0, 1)], vec![(0, 0), (4, 1)], vec![(0, 2)]]);
        let bases: Vec<_> = batches.iter().map(|batch| batch.header.time_base).collect();
        assert_eq!(bases, [103, 105, 109]);
        let bytes = Batches::Records(batches).bytes(902, 7).expect("bytes");
        let headers = bytes.iter().map(|bytes| Header::from_batch(bytes).expect("a batch").0);
        let found: Vec<_> = headers.map(|header| (header.chain_id, header.sequence)).collect();
        assert_eq!(found, [(902, 7), (902, 8), (902, 9)]);
    }

    #[test]
    fn what_is_wrong_with_records_has_their_line() {
        assert_eq!(split(HEADER, vec![], 2), Err(EncodeError::Records(0)));
        let mut heavy = record(0, 0);
        heavy.shares[0].weight = 9;
        let error = EncodeError::Record { index: 1, error: RecordError::WeightSum(9) };
        assert_eq!(split(HEADER, vec![record(5, 0), heavy], 1), Err(error));
        let header = Header { time_base: u64::MAX, ..HEADER };
        assert_eq!(split(header, vec![record(1, 0)], 1), Err(EncodeError::TimeOverflow));
    }
}
