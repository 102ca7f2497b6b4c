//! How to talk to an endpoint.

use rand::Rng;
use std::time::Duration;

/// Settings of an L1 client. Names and defaults are those of op-node's `--l1.*` flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct L1Options {
    /// Takes the endpoint's word for header hashes and receipts (`--l1.trustrpc`).
    pub trust_rpc: bool,
    /// Requests under way at a time (`--l1.max-concurrency`).
    pub max_concurrency: usize,
    /// How often the newest block is asked for (`--l1.http-poll-interval`). Over WebSocket, also
    /// whenever the endpoint announces one.
    pub poll_interval: Duration,
    /// How often the safe and finalized blocks are asked for (`--l1.epoch-poll-interval`).
    pub epoch_poll_interval: Duration,
    /// How long one request may take.
    pub request_timeout: Duration,
    /// How often a request is repeated.
    pub retry: RetryPolicy,
    /// How often the first request is repeated, before the endpoint is given up.
    pub dial_attempts: u32,
    /// Bytes of blocks to keep.
    pub block_cache_bytes: usize,
    /// Bytes of receipts to keep.
    pub receipt_cache_bytes: usize,
}

impl Default for L1Options {
    fn default() -> Self {
        Self {
            trust_rpc: false,
            max_concurrency: 10,
            poll_interval: Duration::from_secs(12),
            epoch_poll_interval: Duration::from_secs(384),
            request_timeout: Duration::from_secs(10),
            retry: RetryPolicy::default(),
            dial_attempts: 10,
            block_cache_bytes: 16 << 20,
            receipt_cache_bytes: 32 << 20,
        }
    }
}

/// How a failed request is repeated: with a pause that doubles up to a bound, and of which half is
/// left to chance, so that many nodes do not come back to an endpoint in step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RetryPolicy {
    /// Requests in all.
    pub attempts: u32,
    /// Pause after the first.
    pub base: Duration,
    /// The longest pause.
    pub max: Duration,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self { attempts: 4, base: Duration::from_millis(250), max: Duration::from_secs(5) }
    }
}

impl RetryPolicy {
    /// The pause after `failures` failed requests, one or more.
    pub fn pause(&self, failures: u32) -> Duration {
        let doubled = self.base.saturating_mul(1 << failures.saturating_sub(1).min(16));
        let full = doubled.min(self.max);
        full.mul_f64(rand::rng().random_range(0.5..=1.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound() {
        let policy = RetryPolicy::default();
        for (failures, full) in [(1, 250), (2, 500), (3, 1_000), (6, 5_000), (u32::MAX, 5_000)] {
            let full = Duration::from_millis(full);
            for _ in 0..100 {
                let pause = policy.pause(failures);
                assert!(full / 2 <= pause && pause <= full);
            }
        }
    }
}
