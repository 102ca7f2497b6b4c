//! What the precompile's work costs.

use crate::OutOfGas;

/// Gas by work. [`GasSchedule::CURRENT`] is set by `ascribe bench attribution --calibrate`, such that no
/// batch costs less per nanosecond than the cheapest of keccak256, ecrecover and the bn256 pairing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GasSchedule {
    /// A call.
    pub base: u64,
    /// A byte of the batch or of a payout list.
    pub byte: u64,
    /// A record.
    pub record: u64,
    /// A share of a record.
    pub share: u64,
    /// An entry of a payout list, made or read.
    pub payout: u64,
}

impl GasSchedule {
    /// What the precompile charges.
    pub const CURRENT: Self = Self { base: 3_000, byte: 1, record: 60, share: 20, payout: 40 };
}

/// Gas that can be spent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Meter {
    schedule: GasSchedule,
    limit: u64,
    used: u64,
}

impl Meter {
    /// Up to `limit` gas, by the schedule in force.
    pub const fn new(limit: u64) -> Self {
        Self { schedule: GasSchedule::CURRENT, limit, used: 0 }
    }

    /// As much as it takes.
    pub const fn unlimited() -> Self {
        Self::new(u64::MAX)
    }

    /// Gas used so far.
    pub const fn used(&self) -> u64 {
        self.used
    }

    /// Charges for `count` pieces of work, before they are done.
    ///
    /// # Errors
    /// If the gas does not suffice. Then all of it is used.
    pub fn charge(
        &mut self,
        price: impl FnOnce(&GasSchedule) -> u64,
        count: usize,
    ) -> Result<(), OutOfGas> {
        let gas = price(&self.schedule).saturating_mul(count as u64);
        match self.used.checked_add(gas).filter(|used| *used <= self.limit) {
            Some(used) => {
                self.used = used;
                Ok(())
            }
            None => {
                self.used = self.limit;
                Err(OutOfGas)
            }
        }
    }
}
