//! The contracts of the test chain.

use alloy_primitives::{Address, B256, Bytes, U256, address};

use crate::asm::{asm, deploys};

/// Where the rollup configuration says that deposits are logged on L1.
pub(crate) const PORTAL: Address = address!("00000000000000000000000000000000000000de");
/// Where it says that the system configuration is on L1.
pub(crate) const SYSTEM_CONFIG: Address = address!("000000000000000000000000000000000000005c");
/// The L1 attributes on L2.
pub(crate) const L1_BLOCK: Address = address!("4200000000000000000000000000000000000015");

/// Stores its second word at the slot of its first, and logs both.
pub(crate) fn store() -> Vec<u8> {
    asm("32 CALLDATALOAD 0 CALLDATALOAD SSTORE 32 CALLDATALOAD 0 MSTORE
         0 CALLDATALOAD 0x05707e 32 0 LOG2 STOP")
}

/// Reverts with its input.
pub(crate) fn reverts() -> Vec<u8> {
    asm("CALLDATASIZE 0 0 CALLDATACOPY CALLDATASIZE 0 REVERT")
}

/// Never ends.
pub(crate) fn spins() -> Vec<u8> {
    asm(":top @top JUMP")
}

/// Calls: its input is the kind (CALL, CALLCODE, DELEGATECALL, STATICCALL), the callee, gas, value,
/// and the input for the callee. It logs what comes back under whether that went well.
pub(crate) fn caller() -> Vec<u8> {
    asm("128 CALLDATASIZE SUB DUP1 128 0 CALLDATACOPY
         0 0 DUP3 0 0 CALLDATALOAD
         DUP1 1 EQ @callcode JUMPI DUP1 2 EQ @delegate JUMPI DUP1 3 EQ @static JUMPI
         POP 96 CALLDATALOAD 32 CALLDATALOAD 64 CALLDATALOAD CALL @done JUMP
         :callcode POP 96 CALLDATALOAD 32 CALLDATALOAD 64 CALLDATALOAD CALLCODE @done JUMP
         :delegate POP 32 CALLDATALOAD 64 CALLDATALOAD DELEGATECALL @done JUMP
         :static POP 32 CALLDATALOAD 64 CALLDATALOAD STATICCALL
         :done RETURNDATASIZE 0 0 RETURNDATACOPY RETURNDATASIZE 0 LOG1
         RETURNDATASIZE 0 RETURN")
}

/// Input for [`caller`].
pub(crate) fn call(kind: u64, to: Address, gas: u64, value: u64, input: &[u8]) -> Bytes {
    let head = [U256::from(kind), to.into_word().into(), U256::from(gas), U256::from(value)];
    let mut bytes: Vec<u8> = head.iter().flat_map(|word| word.to_be_bytes::<32>()).collect();
    bytes.extend(input);
    bytes.into()
}

/// Creates what its input says behind the first word, by CREATE if that word is zero and by CREATE2
/// with it as salt otherwise.
pub(crate) fn factory() -> Vec<u8> {
    asm("32 CALLDATASIZE SUB DUP1 32 0 CALLDATACOPY
         0 CALLDATALOAD DUP1 @two JUMPI
         POP 0 CALLVALUE CREATE @done JUMP
         :two SWAP1 0 CALLVALUE CREATE2
         :done DUP1 0 MSTORE DUP1 1 SWAP1 SSTORE 32 0 LOG1 32 0 RETURN")
}

/// Input for [`factory`].
pub(crate) fn create(salt: u64, init: &[u8]) -> Bytes {
    [&B256::from(U256::from(salt))[..], init].concat().into()
}

/// Leaves its balance to the address in its input.
pub(crate) fn dies() -> Vec<u8> {
    asm("0 CALLDATALOAD SELFDESTRUCT")
}

/// Returns and logs everything that it can see around it.
pub(crate) fn looks() -> Vec<u8> {
    let seen = [
        "ADDRESS",
        "ADDRESS BALANCE",
        "ORIGIN",
        "ORIGIN BALANCE",
        "CALLER",
        "CALLVALUE",
        "CALLDATASIZE",
        "CODESIZE",
        "GASPRICE",
        "ADDRESS EXTCODESIZE",
        "ADDRESS EXTCODEHASH",
        "ORIGIN EXTCODEHASH",
        "1 NUMBER SUB BLOCKHASH",
        "NUMBER BLOCKHASH",
        "COINBASE",
        "TIMESTAMP",
        "NUMBER",
        "PREVRANDAO",
        "GASLIMIT",
        "CHAINID",
        "SELFBALANCE",
        "BASEFEE",
        "0 BLOBHASH",
        "BLOBBASEFEE",
        "PC",
        "MSIZE",
        "GAS",
        "0 SLOAD",
        "COINBASE BALANCE",
    ];
    let mut text = String::new();
    for (index, what) in seen.iter().enumerate() {
        text += &format!("{what} {} MSTORE ", 32 * index);
    }
    let size = 32 * seen.len();
    asm(&format!("{text} {size} 0 LOG0 {size} 0 RETURN"))
}

/// Calls itself for as long as there is gas.
pub(crate) fn recurses() -> Vec<u8> {
    asm("1 0 SLOAD ADD 0 SSTORE 0 0 0 0 0 ADDRESS GAS CALL 0 MSTORE 32 0 RETURN")
}

/// Transient storage, memory copies, hashing and arithmetic.
pub(crate) fn computes() -> Vec<u8> {
    asm("0 CALLDATALOAD 7 TSTORE 7 TLOAD 32 MSTORE 31 33 65 MCOPY 160 0 KECCAK256
         DUP1 3 EXP DUP2 17 SIGNEXTEND ADD DUP2 5 BYTE XOR DUP2 250 SAR ADD 3 7 MULMOD
         0 MSTORE 12 CALLDATASIZE 1 CALLDATACOPY 64 1000 MSTORE8 MSIZE 0 RETURN")
}

/// Takes ether and refuses to say anything.
pub(crate) fn takes() -> Vec<u8> {
    asm("STOP")
}

/// `L1Block` as far as fees need it: the packed arguments of `setL1BlockValuesJovian`, in the
/// storage layout of the specification.
pub(crate) fn l1_block() -> Vec<u8> {
    asm("0xdeaddeaddeaddeaddeaddeaddeaddeaddead0001 CALLER EQ @go JUMPI 0 0 REVERT
         :go 4 CALLDATALOAD 128 SHR 3 SSTORE 20 CALLDATALOAD 128 SHR 0 SSTORE
         36 CALLDATALOAD 1 SSTORE 68 CALLDATALOAD 7 SSTORE 100 CALLDATALOAD 2 SSTORE
         132 CALLDATALOAD 4 SSTORE
         176 CALLDATALOAD 240 SHR 96 SHL 164 CALLDATALOAD 160 SHR OR 8 SSTORE STOP")
}

/// For L1: logs with four topics, which are the first words of its input, and the rest as data.
pub(crate) fn logs() -> Vec<u8> {
    asm("128 CALLDATASIZE SUB DUP1 128 0 CALLDATACOPY
         96 CALLDATALOAD 64 CALLDATALOAD 32 CALLDATALOAD 0 CALLDATALOAD DUP5 0 LOG4 STOP")
}

/// For L1: the same with three topics.
pub(crate) fn logs_three() -> Vec<u8> {
    asm("96 CALLDATASIZE SUB DUP1 96 0 CALLDATACOPY
         64 CALLDATALOAD 32 CALLDATALOAD 0 CALLDATALOAD DUP4 0 LOG3 STOP")
}

/// `Error(string)`.
pub(crate) fn error(text: &str) -> Bytes {
    let mut bytes = vec![0x08, 0xc3, 0x79, 0xa0];
    bytes.extend(B256::from(U256::from(32)));
    bytes.extend(B256::from(U256::from(text.len())));
    bytes.extend(text.as_bytes());
    bytes.resize(4 + 64 + text.len().next_multiple_of(32), 0);
    bytes.into()
}

/// `Panic(uint256)`.
pub(crate) fn panics(code: u64) -> Bytes {
    let mut bytes = vec![0x4e, 0x48, 0x7b, 0x71];
    bytes.extend(B256::from(U256::from(code)));
    bytes.into()
}

/// The contracts that the chain's first transactions deploy, in this order.
pub(crate) fn deployed() -> Vec<Vec<u8>> {
    [
        store(),
        reverts(),
        spins(),
        caller(),
        factory(),
        dies(),
        looks(),
        recurses(),
        computes(),
        takes(),
    ]
    .iter()
    .map(|runtime| deploys(runtime))
    .collect()
}
