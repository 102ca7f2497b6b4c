//! Numbers under op-node's names.

use ascribe_chainspec::L2BlockRef;
use ascribe_l1::L1BlockRef;
use metrics::{counter, gauge, histogram};
use std::time::Duration;

pub(crate) fn active(active: bool) {
    gauge!("op_node_default_sequencer_active").set(if active { 1.0 } else { 0.0 });
}

pub(crate) fn sequencing_error() {
    counter!("op_node_default_sequencing_errors_total").increment(1);
}

pub(crate) fn reset() {
    counter!("op_node_default_sequencer_resets_total").increment(1);
}

pub(crate) fn inconsistent_l1_origin() {
    counter!("op_node_default_sequencer_inconsistent_l1_origin_total").increment(1);
}

/// A block was made: transactions, how much longer than the block time it took, and the sealing.
pub(crate) fn sequenced(transactions: usize, building_diff: f64, sealing: Duration) {
    counter!("op_node_default_transactions_sequenced_total").increment(transactions as u64);
    histogram!("op_node_default_sequencer_building_diff_seconds").record(building_diff);
    histogram!("op_node_default_sequencer_sealing_seconds").record(sealing);
}

/// The L1 did not answer while the next origin was looked for.
pub(crate) fn l1_error() {
    counter!("ascribe_sequencer_l1_errors_total").increment(1);
}

pub(crate) fn head(head: &L2BlockRef, now: Duration) {
    let labels = |layer: &'static str| [("layer", layer), ("type", "l2_unsafe")];
    gauge!("op_node_default_refs_number", &labels("l2")).set(head.number as f64);
    gauge!("op_node_default_refs_time", &labels("l2")).set(head.timestamp as f64);
    gauge!("op_node_default_refs_latency", &labels("l2"))
        .set(head.timestamp as f64 - now.as_secs_f64());
    gauge!("op_node_default_refs_number", &labels("l1_origin")).set(head.l1_origin.number as f64);
    gauge!("op_node_default_refs_seqnr", "type" => "l2_unsafe").set(head.sequence_number as f64);
}

pub(crate) fn l1_head(head: &L1BlockRef) {
    let labels = [("layer", "l1"), ("type", "l1_head")];
    gauge!("op_node_default_refs_number", &labels).set(head.number as f64);
    gauge!("op_node_default_refs_time", &labels).set(head.timestamp as f64);
}
