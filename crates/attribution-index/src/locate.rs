//! Where a settled batch is.
//!
//! The hub keeps roots and its event says what was in the header; the batch itself is in the input of the transaction,
//! whoever passed it on to the hub: calls carry bytes in one piece. Where it isn't, because a contract put it together,
//! whoever executes the block has seen it.

use alloy_primitives::B256;
use ascribe_attribution::{HEADER_LENGTH, Header, MAX_BATCH_LENGTH, Meter, Rates, Settled, settle};
use memchr::memmem;

/// Headers that are looked behind in one input: somebody may repeat one many times before a contract settles the batch
/// that the last stands for.
const MAX_CANDIDATES: usize = 16;

/// What is known of a batch that was settled.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Wanted {
    pub(crate) header: Header,
    pub(crate) records: u32,
    pub(crate) rates: Rates,
    pub(crate) record_root: B256,
    pub(crate) payout_root: B256,
}

impl Wanted {
    /// The batch if these bytes are it.
    pub(crate) fn settle(&self, bytes: &[u8]) -> Option<Settled> {
        let settled = settle(bytes, &self.rates, &mut Meter::unlimited()).ok()?;
        let roots = (settled.record_root, settled.payout_root);
        (roots == (self.record_root, self.payout_root)).then_some(settled)
    }

    /// The batch in an input: where it begins, and its bytes.
    pub(crate) fn find<'a>(&self, input: &'a [u8]) -> Option<(usize, &'a [u8], Settled)> {
        const LENGTH: usize = 4;
        let header = self.header.to_bytes(self.records, 0);
        let known = &header[..HEADER_LENGTH - LENGTH];
        memmem::find_iter(input, known).take(MAX_CANDIDATES).find_map(|at| {
            let from = &input[at..];
            let columns = from[known.len()..].first_chunk::<LENGTH>()?;
            let length = HEADER_LENGTH.checked_add(u32::from_be_bytes(*columns) as usize)?;
            let bytes = from.get(..length).filter(|bytes| bytes.len() <= MAX_BATCH_LENGTH)?;
            Some((at, bytes, self.settle(bytes)?))
        })
    }
}
