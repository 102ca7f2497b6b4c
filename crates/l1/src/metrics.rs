//! What the client shows of itself.

use crate::{L1BlockRef, L1Tag};
use metrics::{counter, gauge, histogram};
use std::time::Duration;

pub(crate) fn answered(method: &'static str, took: Duration) {
    histogram!("ascribe_l1_request_duration_seconds", "method" => method).record(took);
}

pub(crate) fn failed(method: &'static str) {
    counter!("ascribe_l1_request_failures_total", "method" => method).increment(1);
}

pub(crate) fn retried(method: &'static str) {
    counter!("ascribe_l1_request_retries_total", "method" => method).increment(1);
}

pub(crate) fn cached(what: &'static str, hit: bool) {
    let hit = if hit { "hit" } else { "miss" };
    counter!("ascribe_l1_cache_requests_total", "type" => what, "result" => hit).increment(1);
}

pub(crate) fn head(tag: L1Tag, block: &L1BlockRef) {
    gauge!("ascribe_l1_head_number", "tag" => tag.as_str()).set(block.number as f64);
    gauge!("ascribe_l1_head_timestamp", "tag" => tag.as_str()).set(block.timestamp as f64);
}

pub(crate) fn reorg(depth: u64) {
    histogram!("op_node_default_l1_reorg_depth").record(depth as f64);
}
