//! How many records a chain's limits let through, and which of them binds.

use super::account::{GAS_CAP, Receipt};
use alloy_primitives::U256;
use ascribe_attribution::{MAX_BATCH_LENGTH, MAX_RECORDS};

/// Bytes of a transaction that a devnet's pool takes.
pub(super) const POOL_BYTES: usize = 1 << 18;
/// The same of geth's pool and most others.
pub(super) const USUAL_POOL_BYTES: usize = 1 << 17;
/// The DA footprint's scalar where nobody sets one.
pub(super) const USUAL_SCALAR: u64 = 400;

/// A limit, and how many records it lets through.
pub(super) type Limit = (&'static str, f64);

/// What a chain gives to its blocks.
#[derive(Debug, Clone, Copy)]
pub(super) struct Blocks {
    pub(super) gas_limit: u64,
    /// Seconds.
    pub(super) time: u64,
    pub(super) da_footprint_gas_scalar: u64,
}

/// What records have taken.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Cost {
    pub(super) records: usize,
    pub(super) transactions: usize,
    /// Of the transactions' inputs.
    pub(super) input_bytes: usize,
    pub(super) gas: u64,
    /// As the DA footprint estimates them.
    pub(super) da_bytes: u64,
    /// Wei.
    pub(super) da_fee: U256,
}

impl Cost {
    /// Of `records` in transactions with inputs of these lengths.
    pub(super) fn new(records: usize, inputs: &[usize], receipts: &[Receipt]) -> Self {
        let empty = Self {
            records,
            transactions: receipts.len(),
            input_bytes: inputs.iter().sum(),
            ..Self::default()
        };
        receipts.iter().fold(empty, |mut cost, receipt| {
            let (footprint, scalar) = (receipt.blob_gas_used, receipt.da_footprint_gas_scalar);
            cost.gas += receipt.gas_used.to::<u64>();
            cost.da_bytes += footprint.to::<u64>().checked_div(scalar.to()).unwrap_or_default();
            cost.da_fee += receipt.da_fee();
            cost
        })
    }

    pub(super) fn per_record(&self, all: f64) -> f64 {
        all / self.records as f64
    }

    pub(super) fn gas_per_record(&self) -> f64 {
        self.per_record(self.gas as f64)
    }

    /// Records in a block, by what limits blocks.
    pub(super) fn per_block(&self, blocks: Blocks) -> [Limit; 2] {
        let footprint = self.da_bytes * blocks.da_footprint_gas_scalar;
        [("block_gas", self.gas), ("da_footprint", footprint)]
            .map(|(name, used)| (name, self.fit(blocks.gas_limit, used)))
    }

    /// Records in a transaction that settles a batch, by what limits those.
    pub(super) fn per_transaction(&self) -> [Limit; 4] {
        [
            ("transaction_gas", self.fit(GAS_CAP, self.gas)),
            ("pool_bytes", self.in_bytes(POOL_BYTES)),
            ("batch_bytes", self.in_bytes(MAX_BATCH_LENGTH)),
            ("batch_records", MAX_RECORDS as f64),
        ]
    }

    /// Records in a transaction of so many bytes.
    pub(super) fn in_bytes(&self, bytes: usize) -> f64 {
        self.fit(bytes as u64, self.input_bytes as u64)
    }

    /// Records that there is room for, if these have used so much of it.
    fn fit(&self, room: u64, used: u64) -> f64 {
        (room as f64 / self.per_record(used as f64)).floor()
    }
}

/// The limit that lets the fewest records through.
pub(super) fn binding(limits: &[Limit]) -> Limit {
    let least = limits.iter().min_by(|(_, one), (_, other)| one.total_cmp(other));
    *least.expect("invariant: something limits everything")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A batch of 16,384 records at 332 gas and 8.3 bytes each.
    const BATCH: Cost = Cost {
        records: 16_384,
        transactions: 1,
        input_bytes: 135_987,
        gas: 5_439_488,
        da_bytes: 117_000,
        da_fee: U256::ZERO,
    };

    #[test]
    fn the_footprint_binds_at_the_usual_scalar_only() {
        let blocks = |da_footprint_gas_scalar| Blocks {
            gas_limit: 60_000_000,
            time: 2,
            da_footprint_gas_scalar,
        };
        assert_eq!(binding(&BATCH.per_block(blocks(8))), ("block_gas", 180_722.0));
        assert_eq!(binding(&BATCH.per_block(blocks(USUAL_SCALAR))), ("da_footprint", 21_005.0));
    }

    #[test]
    fn usual_pools_take_no_batch_of_16_384() {
        assert_eq!(BATCH.in_bytes(USUAL_POOL_BYTES), 15_791.0);
        assert_eq!(binding(&BATCH.per_transaction()), ("pool_bytes", 31_583.0));
    }
}
