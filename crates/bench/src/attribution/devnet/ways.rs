//! Ways of putting records on a chain: batches through the hub, and what they are measured against.

use super::{
    account::{Account, GAS_CAP, Message},
    limits::{Cost, POOL_BYTES},
};
use crate::{
    BenchError,
    attribution::{batch, rates},
};
use alloy_primitives::{Address, B256, Bytes, TxKind, U256, address};
use alloy_sol_types::SolEvent;
use ascribe_attribution::{
    Header, Meter, Record,
    hub::IAttributionHub::{
        self, minimumBondCall, operatorOfCall, registerAdaptersCall, registerModelCall,
        registerOperatorCall, submitBatchCall,
    },
    settle,
};

/// Where the chain has its hub.
const HUB: Address = address!("4200000000000000000000000000000000000a77");
/// Adapters registered in one transaction: three slots each.
const ADAPTERS_AT_ONCE: usize = 200;
/// Adapters that are registered at most: a block takes 800.
const MAX_ADAPTERS: usize = 10_000;
/// Seconds since 1970-01-01 that records' times count from.
const TIME_BASE: u64 = 1_790_000_000;

/// What `contracts/test/bench` takes.
mod contracts {
    alloy_sol_types::sol! {
        struct Share {
            uint32 source;
            uint16 weight;
        }

        struct Record {
            uint32 adapter;
            uint32 promptTokens;
            uint32 completionTokens;
            uint64 time;
            Share[] shares;
        }

        function submit(Record[] records) external;
    }
}

impl From<&Record> for contracts::Record {
    fn from(record: &Record) -> Self {
        let share = |share: &ascribe_attribution::Share| contracts::Share {
            source: share.source,
            weight: share.weight,
        };
        Self {
            adapter: record.adapter,
            promptTokens: record.prompt_tokens,
            completionTokens: record.completion_tokens,
            time: TIME_BASE + u64::from(record.time),
            shares: record.shares.iter().map(share).collect(),
        }
    }
}

/// A model of our own in the hub, and its operator.
#[derive(Debug)]
pub(super) struct Hub {
    model: u32,
    sequence: u64,
}

impl Hub {
    /// Registers a model, the adapters of these records, and the account as operator.
    pub(super) fn register(account: &mut Account, records: &[Record]) -> Result<Self, BenchError> {
        let adapters = records.iter().map(|it| it.adapter as usize + 1).max().unwrap_or_default();
        if adapters > MAX_ADAPTERS {
            let text = format!("have {adapters} adapters, allowed are {MAX_ADAPTERS} on a devnet");
            return Err(BenchError::setup("the records", text));
        }
        let register = registerModelCall { rates: rates() };
        let mut messages = vec![Message::call(HUB, U256::ZERO, &register)];
        let operator = account.view(HUB, &operatorOfCall { operator: account.address() })?;
        if operator.bond == 0 {
            let bond = account.view(HUB, &minimumBondCall {})?;
            messages.push(Message::call(HUB, bond, &registerOperatorCall {}));
        }
        let receipts = account.send_all("a model", messages)?;
        let registered = receipts
            .iter()
            .flat_map(|receipt| &receipt.logs)
            .find_map(|log| IAttributionHub::ModelRegistered::decode_log_validate(log).ok());
        let model = registered.map(|event| event.model);
        let model = model.ok_or_else(|| BenchError::setup("the hub", "registered no model"))?;

        let some = |first: usize| {
            let hashes = vec![B256::repeat_byte(1); ADAPTERS_AT_ONCE.min(adapters - first)];
            let register = registerAdaptersCall {
                model,
                owner: account.address(),
                generations: hashes.clone(),
                corpusRoots: hashes,
            };
            Message::call(HUB, U256::ZERO, &register)
        };
        let messages = (0..adapters).step_by(ADAPTERS_AT_ONCE).map(some).collect();
        account.send_all("adapters", messages)?;
        Ok(Self { model, sequence: operator.sequence })
    }

    /// Settles records as one batch, paid to the wei.
    pub(super) fn submit(
        &mut self,
        account: &mut Account,
        records: &[Record],
        keep_order: bool,
    ) -> Result<Cost, BenchError> {
        let mut batch = batch(records.to_vec(), keep_order);
        batch.header = Header {
            chain_id: account.chain_id,
            hub: HUB,
            model: self.model,
            operator: account.address(),
            sequence: self.sequence,
            time_base: TIME_BASE,
            ..batch.header
        };
        let bytes = batch.encode().map_err(|error| BenchError::setup("the records", error))?;
        let settled = settle(&bytes, &rates().into(), &mut Meter::unlimited())
            .map_err(|error| BenchError::setup("the records", error))?;
        let call = submitBatchCall { batch: bytes.into() };
        let message = Message::call(HUB, U256::from(settled.payouts.total()), &call);
        self.sequence += 1;
        measure(account, "batches", records.len(), vec![message])
    }
}

/// A contract that takes records as they are.
#[derive(Debug)]
pub(super) struct Baseline {
    pub(super) name: &'static str,
    pub(super) contract: &'static str,
    /// Records that it is measured with.
    pub(super) most: usize,
    /// Gas that it takes for each record at most, and for each of its shares, besides that of its bytes.
    gas: (u64, u64),
}

impl Baseline {
    /// An event for each record, and a struct in storage for each.
    pub(super) const ALL: [Self; 2] = [
        Self { name: "events", contract: "RecordEvents", most: 1 << 14, gas: (5_000, 1_500) },
        Self { name: "storage", contract: "RecordStorage", most: 1 << 11, gas: (52_000, 26_000) },
    ];

    /// Creates the contract and gives it the first of these records, in as few transactions as surely are allowed.
    pub(super) fn submit(
        &self,
        account: &mut Account,
        code: Bytes,
        records: &[Record],
    ) -> Result<Cost, BenchError> {
        let create = Message { to: TxKind::Create, value: U256::ZERO, input: code };
        let created = account.send_all(self.name, vec![create])?;
        let contract = created.first().and_then(|receipt| receipt.contract_address);
        let contract = contract.ok_or_else(|| BenchError::setup(self.name, "no contract"))?;
        let records = &records[..records.len().min(self.most)];
        let message = |records: &[Record]| {
            let call = contracts::submitCall { records: records.iter().map(Into::into).collect() };
            Message::call(contract, U256::ZERO, &call)
        };
        let messages = self.parts(records).into_iter().map(message).collect();
        measure(account, self.name, records.len(), messages)
    }

    /// Records in parts of which each fits a transaction.
    fn parts<'a>(&self, records: &'a [Record]) -> Vec<&'a [Record]> {
        /// Room for what a transaction has besides records.
        const REST: (u64, usize) = (100_000, 1_000);
        let (mut parts, mut first, mut gas, mut bytes) = (Vec::new(), 0, REST.0, REST.1);
        for (at, record) in records.iter().enumerate() {
            let (more_gas, more_bytes) = self.bound(record);
            if at > first && (gas + more_gas > GAS_CAP || bytes + more_bytes > POOL_BYTES) {
                parts.push(&records[first..at]);
                (first, gas, bytes) = (at, REST.0, REST.1);
            }
            (gas, bytes) = (gas + more_gas, bytes + more_bytes);
        }
        parts.push(&records[first..]);
        parts
    }

    /// Gas and bytes that a record takes at most.
    const fn bound(&self, record: &Record) -> (u64, usize) {
        let shares = record.shares.len();
        let bytes = 32 * (7 + 2 * shares);
        (self.gas.0 + self.gas.1 * shares as u64 + 16 * bytes as u64, bytes)
    }
}

fn measure(
    account: &mut Account,
    what: &'static str,
    records: usize,
    messages: Vec<Message>,
) -> Result<Cost, BenchError> {
    let inputs: Vec<usize> = messages.iter().map(|message| message.input.len()).collect();
    let receipts = account.send_all(what, messages)?;
    Ok(Cost::new(records, &inputs, &receipts))
}
