//! What a node's index of a batch takes.

use crate::{BenchError, report::Report};
use alloy_primitives::{Address, B256, Bytes, IntoLogData, Log};
use alloy_sol_types::SolCall;
use ascribe_attribution::{
    Settled,
    abi::IAttribution::Settlement,
    hub::{
        HubRates,
        IAttributionHub::{BatchSettled, submitBatchCall},
    },
};
use ascribe_attribution_index::{Block, Nothing, Table, Transaction, apply};

/// What the hub logs of a batch.
fn event(settled: &Settled, rates: HubRates) -> BatchSettled {
    let header = settled.header;
    let settlement = Settlement::from(settled.clone());
    BatchSettled {
        list: ascribe_attribution::ListId::of_batch(header.operator, header.sequence).number(),
        model: settlement.model,
        operator: settlement.operator,
        sequence: settlement.sequence,
        timeBase: settlement.timeBase,
        timeEnd: settlement.timeEnd,
        records: settlement.records,
        payouts: settlement.payouts,
        promptTokens: settlement.promptTokens,
        completionTokens: settlement.completionTokens,
        total: settlement.total,
        recordRoot: settlement.recordRoot,
        payoutRoot: settlement.payoutRoot,
        detailRoot: settlement.detailRoot,
        rates,
    }
}

/// Indexes a block with the batch: bytes of rows, and how fast.
pub(super) fn measure(
    batch: &[u8],
    settled: &Settled,
    rates: HubRates,
    per_second: &dyn Fn(&mut dyn FnMut()) -> f64,
    report: &mut Report,
) -> Result<(), BenchError> {
    let hub: Address = settled.header.hub;
    let input: Bytes = submitBatchCall { batch: batch.to_vec().into() }.abi_encode().into();
    let logs = [Log { address: hub, data: event(settled, rates).to_log_data() }];
    let transaction =
        Transaction { hash: B256::ZERO, input: &input, gas_used: 5_000_000, logs: &logs };
    let block = Block {
        chain_id: settled.header.chain_id,
        hub,
        number: 1,
        hash: B256::ZERO,
        timestamp: 0,
        transactions: vec![transaction],
    };
    let index = || apply(&Nothing, &block, &[]);
    let applied = index().map_err(|error| BenchError::setup("the index", error))?;
    if !applied.unfound.is_empty() {
        return Err(BenchError::setup("the index", "the batch was not found"));
    }
    let rows = Table::ALL.iter().flat_map(|table| applied.changes.of(*table));
    let bytes: usize = rows.map(|(key, value)| key.len() + value.map_or(0, <[u8]>::len)).sum();
    let records = settled.columns.record_count();
    report.figure("index_bytes_per_record", bytes as f64 / records as f64);
    report.figure(
        "index_records_per_second",
        per_second(&mut || drop(std::hint::black_box(index()))),
    );
    Ok(())
}
