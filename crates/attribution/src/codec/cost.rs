//! What symbols cost.

use super::{Coder, Fault};

/// Writes nothing and counts bits.
#[derive(Debug, Default)]
pub(crate) struct Cost {
    pub(crate) bits: f64,
}

impl Coder for Cost {
    fn code<T: Copy>(
        &mut self,
        total: u64,
        given: impl FnOnce() -> T,
        part: impl Fn(T) -> (u64, u64),
        _find: impl Fn(u64) -> T,
    ) -> Result<T, Fault> {
        let given = given();
        let (_, size) = part(given);
        self.bits += (total as f64 / size as f64).log2();
        Ok(given)
    }
}
