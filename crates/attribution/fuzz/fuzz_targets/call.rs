//! The precompile, called with anything: a result, a refusal or too little gas.

#![no_main]

use ascribe_attribution::{Meter, abi};
use libfuzzer_sys::fuzz_target;

/// What a transaction may use (EIP-7825).
const GAS: u64 = 16_777_216;

fuzz_target!(|input: &[u8]| {
    let mut meter = Meter::new(GAS);
    let result = abi::call(input, &mut meter);
    assert!(meter.used() <= GAS);
    if let Err(failure) = result {
        assert_eq!(failure.revert_data().is_none(), failure == abi::Failure::OutOfGas);
    }
});
