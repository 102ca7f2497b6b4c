//! A small assembler, so that the code of the test contracts can be read.

use std::collections::HashMap;

/// Opcodes by name. PUSH is written as the number alone.
const OPCODES: [(&str, u8); 104] = [
    ("STOP", 0x00),
    ("ADD", 0x01),
    ("MUL", 0x02),
    ("SUB", 0x03),
    ("DIV", 0x04),
    ("SDIV", 0x05),
    ("MOD", 0x06),
    ("SMOD", 0x07),
    ("ADDMOD", 0x08),
    ("MULMOD", 0x09),
    ("EXP", 0x0a),
    ("SIGNEXTEND", 0x0b),
    ("LT", 0x10),
    ("GT", 0x11),
    ("SLT", 0x12),
    ("SGT", 0x13),
    ("EQ", 0x14),
    ("ISZERO", 0x15),
    ("AND", 0x16),
    ("OR", 0x17),
    ("XOR", 0x18),
    ("NOT", 0x19),
    ("BYTE", 0x1a),
    ("SHL", 0x1b),
    ("SHR", 0x1c),
    ("SAR", 0x1d),
    ("KECCAK256", 0x20),
    ("ADDRESS", 0x30),
    ("BALANCE", 0x31),
    ("ORIGIN", 0x32),
    ("CALLER", 0x33),
    ("CALLVALUE", 0x34),
    ("CALLDATALOAD", 0x35),
    ("CALLDATASIZE", 0x36),
    ("CALLDATACOPY", 0x37),
    ("CODESIZE", 0x38),
    ("CODECOPY", 0x39),
    ("GASPRICE", 0x3a),
    ("EXTCODESIZE", 0x3b),
    ("EXTCODECOPY", 0x3c),
    ("RETURNDATASIZE", 0x3d),
    ("RETURNDATACOPY", 0x3e),
    ("EXTCODEHASH", 0x3f),
    ("BLOCKHASH", 0x40),
    ("COINBASE", 0x41),
    ("TIMESTAMP", 0x42),
    ("NUMBER", 0x43),
    ("PREVRANDAO", 0x44),
    ("GASLIMIT", 0x45),
    ("CHAINID", 0x46),
    ("SELFBALANCE", 0x47),
    ("BASEFEE", 0x48),
    ("BLOBHASH", 0x49),
    ("BLOBBASEFEE", 0x4a),
    ("POP", 0x50),
    ("MLOAD", 0x51),
    ("MSTORE", 0x52),
    ("MSTORE8", 0x53),
    ("SLOAD", 0x54),
    ("SSTORE", 0x55),
    ("JUMP", 0x56),
    ("JUMPI", 0x57),
    ("PC", 0x58),
    ("MSIZE", 0x59),
    ("GAS", 0x5a),
    ("JUMPDEST", 0x5b),
    ("TLOAD", 0x5c),
    ("TSTORE", 0x5d),
    ("MCOPY", 0x5e),
    ("DUP1", 0x80),
    ("DUP2", 0x81),
    ("DUP3", 0x82),
    ("DUP4", 0x83),
    ("DUP5", 0x84),
    ("DUP6", 0x85),
    ("DUP7", 0x86),
    ("DUP8", 0x87),
    ("SWAP1", 0x90),
    ("SWAP2", 0x91),
    ("SWAP3", 0x92),
    ("SWAP4", 0x93),
    ("SWAP5", 0x94),
    ("SWAP6", 0x95),
    ("SWAP7", 0x96),
    ("SWAP8", 0x97),
    ("LOG0", 0xa0),
    ("LOG1", 0xa1),
    ("LOG2", 0xa2),
    ("LOG3", 0xa3),
    ("LOG4", 0xa4),
    ("CREATE", 0xf0),
    ("CALL", 0xf1),
    ("CALLCODE", 0xf2),
    ("RETURN", 0xf3),
    ("DELEGATECALL", 0xf4),
    ("CREATE2", 0xf5),
    ("STATICCALL", 0xfa),
    ("REVERT", 0xfd),
    ("INVALID", 0xfe),
    ("SELFDESTRUCT", 0xff),
    // No fork has these.
    ("UNDEFINED0C", 0x0c),
    ("UNDEFINED21", 0x21),
    ("UNDEFINEDE0", 0xe0),
    ("UNDEFINEDEF", 0xef),
];

/// Every opcode there is, and a few that are not.
pub(crate) fn opcodes() -> impl Iterator<Item = u8> {
    OPCODES.iter().map(|(_, op)| *op)
}

/// Assembles: names of opcodes, numbers (decimal or `0x…`, pushed with as few bytes as they have),
/// `:label` for a jump target and `@label` for its place.
pub(crate) fn asm(text: &str) -> Vec<u8> {
    let mut code = Vec::new();
    let mut labels = HashMap::new();
    let mut places = Vec::new();
    for word in text.split_whitespace() {
        if let Some(label) = word.strip_prefix(':') {
            labels.insert(label, code.len());
            code.push(0x5b);
        } else if let Some(label) = word.strip_prefix('@') {
            places.push((code.len() + 1, label));
            code.extend([0x61, 0, 0]);
        } else if let Some(digits) = word.strip_prefix("0x") {
            let bytes = alloy_primitives::hex::decode(digits).expect("whole bytes of hex");
            push(&mut code, &bytes);
        } else if let Ok(number) = word.parse::<u64>() {
            let bytes = number.to_be_bytes();
            let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
            push(&mut code, &bytes[zeros..]);
        } else {
            let op = OPCODES.iter().find(|(name, _)| *name == word);
            code.push(op.unwrap_or_else(|| panic!("no opcode {word}")).1);
        }
    }
    for (at, label) in places {
        let target = u16::try_from(labels[label]).expect("short code");
        code[at..at + 2].copy_from_slice(&target.to_be_bytes());
    }
    code
}

fn push(code: &mut Vec<u8>, bytes: &[u8]) {
    assert!(bytes.len() <= 32, "a word has 32 bytes");
    code.push(0x5f + bytes.len() as u8);
    code.extend(bytes);
}

/// Init code that leaves `runtime` behind.
pub(crate) fn deploys(runtime: &[u8]) -> Vec<u8> {
    let [high, low] = u16::try_from(runtime.len()).expect("short code").to_be_bytes();
    // PUSH2 length, DUP1, PUSH1 10, PUSH0, CODECOPY, PUSH0, RETURN
    let mut code = vec![0x61, high, low, 0x80, 0x60, 10, 0x5f, 0x39, 0x5f, 0xf3];
    code.extend(runtime);
    code
}
