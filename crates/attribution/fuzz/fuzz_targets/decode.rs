//! Whatever is a batch is written in one way, and nothing else does harm.

#![no_main]

use ascribe_attribution::{Batch, HEADER_LENGTH};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let mut bytes = bytes.to_vec();
    // A length that fits, or hardly any input would get further.
    if let Some(columns) = bytes.len().checked_sub(HEADER_LENGTH) {
        bytes[HEADER_LENGTH - 4..HEADER_LENGTH].copy_from_slice(&(columns as u32).to_be_bytes());
    }
    if let Ok(batch) = Batch::decode(&bytes) {
        assert_eq!(batch.encode().as_deref(), Ok(&bytes[..]));
    }
});
