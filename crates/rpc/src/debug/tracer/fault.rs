//! What geth says of an instruction that failed.
//!
//! revm stops a failing instruction as early as it can and spends all gas; geth first computes
//! what the instruction would have cost and reports that, and words its errors by where it found
//! them. This follows geth's interpreter through the same checks in the same order, with the
//! costs of Berlin and later (every OP chain starts later). It runs once per failed frame.

use std::borrow::Cow;

use alloy_primitives::{Address, U256};
use revm::{
    bytecode::opcode::{self as op, OPCODE_INFO, OpCode},
    interpreter::InstructionResult,
    primitives::hardfork::SpecId,
};

use super::{StateAccess, StateReadError};

const WARM_ACCESS: u64 = 100;
const COLD_ACCOUNT_EXTRA: u64 = 2600 - WARM_ACCESS;
const COLD_SLOT: u64 = 2100;
const CALL_VALUE: u64 = 9000;
const NEW_ACCOUNT: u64 = 25_000;
const SSTORE_SENTRY: u64 = 2300;
const STACK_LIMIT: usize = 1024;
const MAX_INITCODE: u64 = 49_152;

const OUT_OF_GAS: &str = "out of gas";
const OVERFLOW: &str = "gas uint64 overflow";
const WRITE_PROTECTION: &str = "write protection";

/// How an instruction failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The gas it was going to cost, as far as it was known.
    pub(super) cost: u64,
    /// The error its frame ends with.
    pub(super) error: Cow<'static, str>,
    /// Whether stack and gas sufficed, so that it failed only when it ran.
    pub(super) ran: bool,
}

/// A failed instruction, as things stood before it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Instruction<'a> {
    pub(super) op: u8,
    pub(super) spec: SpecId,
    pub(super) gas: u64,
    /// The stack, top last: all of it or at least seven words.
    pub(super) stack: &'a [U256],
    pub(super) stack_len: usize,
    pub(super) memory_len: u64,
    pub(super) is_static: bool,
    /// Whether the account or slot that it names was cold.
    pub(super) cold: bool,
    /// For calls of an account that delegates: whether the delegate was cold.
    pub(super) delegate_cold: Option<bool>,
    /// For `SSTORE`: the slot's value at the transaction's start and now.
    pub(super) slot: Option<(U256, U256)>,
    /// The account that runs.
    pub(super) address: Address,
}

/// Why the gas of an instruction cannot be told.
type GasError = Cow<'static, str>;

/// Explains why `instruction` ended with `result`.
pub(super) fn explain(
    instruction: &Instruction<'_>,
    result: InstructionResult,
    state: &mut dyn StateAccess,
) -> Result<Fault, StateReadError> {
    let i = instruction;
    let ran = |cost, error: Cow<'static, str>| Fault { cost, error, ran: true };
    let not_run = |cost, error| Fault { cost, error, ran: false };

    let undefined = matches!(
        result,
        InstructionResult::OpcodeNotFound
            | InstructionResult::InvalidFEOpcode
            | InstructionResult::NotActivated
    );
    if undefined {
        return Ok(ran(0, format!("invalid opcode: {}", name(i.op)).into()));
    }
    let constant = constant_gas(i.op);
    if let Some(info) = OPCODE_INFO[i.op as usize] {
        let (pops, pushes) = (info.inputs() as usize, info.outputs() as usize);
        let most = STACK_LIMIT + pops - pushes;
        if i.stack_len < pops {
            let error = format!("stack underflow ({} <=> {pops})", i.stack_len);
            return Ok(not_run(constant, error.into()));
        }
        if i.stack_len > most {
            let error = format!("stack limit reached {} ({most})", i.stack_len);
            return Ok(not_run(constant, error.into()));
        }
    }
    let Some(gas) = i.gas.checked_sub(constant) else {
        return Ok(not_run(constant, OUT_OF_GAS.into()));
    };
    let Some(memory_size) = i.memory_size() else {
        return Ok(not_run(constant, OVERFLOW.into()));
    };
    let dynamic = match i.dynamic_gas(gas, memory_size, state)? {
        Ok(dynamic) => dynamic,
        Err(error) => return Ok(not_run(constant, format!("{OUT_OF_GAS}: {error}").into())),
    };
    let cost = constant.saturating_add(dynamic);
    if gas < dynamic {
        return Ok(not_run(cost, OUT_OF_GAS.into()));
    }
    Ok(ran(cost, frame_error(result)))
}

/// geth's name of an opcode. It has names for some that no fork has brought.
pub(super) fn name(op: u8) -> Cow<'static, str> {
    let reserved = match op {
        0x4b => "SLOTNUM",
        0xd0 => "DATALOAD",
        0xd1 => "DATALOADN",
        0xd2 => "DATASIZE",
        0xd3 => "DATACOPY",
        0xe0 => "RJUMP",
        0xe1 => "RJUMPI",
        0xe2 => "RJUMPV",
        0xe3 => "CALLF",
        0xe4 => "RETF",
        0xe5 => "JUMPF",
        0xe6 => "DUPN",
        0xe7 => "SWAPN",
        0xe8 => "EXCHANGE",
        0xec => "EOFCREATE",
        0xee => "RETURNCONTRACT",
        0xf7 => "RETURNDATALOAD",
        0xf8 => "EXTCALL",
        0xf9 => "EXTDELEGATECALL",
        0xfb => "EXTSTATICCALL",
        _ => {
            return OpCode::new(op).map_or_else(
                || format!("opcode {op:#x} not defined").into(),
                |known| known.as_str().into(),
            );
        }
    };
    reserved.into()
}

/// What geth says of a frame that ended with `result`, as far as `result` alone tells.
pub(super) fn frame_error(result: InstructionResult) -> Cow<'static, str> {
    use InstructionResult as R;
    match result {
        R::Revert => super::REVERTED.into(),
        R::CallTooDeep => "max call depth exceeded".into(),
        R::OutOfFunds | R::OverflowPayment => "insufficient balance for transfer".into(),
        R::OutOfGas
        | R::MemoryOOG
        | R::MemoryLimitOOG
        | R::PrecompileOOG
        | R::InvalidOperandOOG => OUT_OF_GAS.into(),
        R::ReentrancySentryOOG => {
            format!("{OUT_OF_GAS}: not enough gas for reentrancy sentry").into()
        }
        R::CallNotAllowedInsideStatic | R::StateChangeDuringStaticCall => WRITE_PROTECTION.into(),
        R::InvalidJump => "invalid jump destination".into(),
        R::OutOfOffset => "return data out of bounds".into(),
        R::CreateCollision => "contract address collision".into(),
        R::NonceOverflow => "nonce uint64 overflow".into(),
        R::CreateContractSizeLimit => "max code size exceeded".into(),
        R::CreateContractStartingWithEF => "invalid code: must not begin with 0xef".into(),
        R::CreateInitCodeSizeLimit => "max initcode size exceeded".into(),
        other => format!("{other:?}").into(),
    }
}

/// What geth says of a creation whose code ran well but could not be stored.
pub(super) fn deposit_error(result: InstructionResult, code_len: usize) -> Cow<'static, str> {
    match result {
        InstructionResult::OutOfGas => "contract creation code storage out of gas".into(),
        InstructionResult::CreateContractSizeLimit => {
            format!("max code size exceeded: code size {code_len} limit 24576").into()
        }
        other => frame_error(other),
    }
}

/// What geth's jump table charges before anything else.
const fn constant_gas(op: u8) -> u64 {
    match op {
        op::ADDRESS
        | op::ORIGIN
        | op::CALLER..=op::CALLVALUE
        | op::CALLDATASIZE
        | op::CODESIZE
        | op::GASPRICE
        | op::RETURNDATASIZE
        | op::COINBASE..=op::CHAINID
        | op::BASEFEE
        | op::BLOBBASEFEE
        | op::POP
        | op::PC..=op::GAS
        | op::PUSH0 => 2,
        op::ADD
        | op::SUB
        | op::LT..=op::SAR
        | op::CALLDATALOAD
        | op::CALLDATACOPY
        | op::CODECOPY
        | op::RETURNDATACOPY
        | op::BLOBHASH
        | op::MLOAD..=op::MSTORE8
        | op::MCOPY
        | op::PUSH1..=op::SWAP16 => 3,
        op::MUL | op::DIV..=op::SMOD | op::SIGNEXTEND | op::CLZ | op::SELFBALANCE => 5,
        op::ADDMOD | op::MULMOD | op::JUMP => 8,
        op::JUMPI => 10,
        op::JUMPDEST => 1,
        op::BLOCKHASH => 20,
        op::KECCAK256 => 30,
        op::BALANCE
        | op::EXTCODESIZE
        | op::EXTCODECOPY
        | op::EXTCODEHASH
        | op::TLOAD
        | op::TSTORE
        | op::CALL
        | op::CALLCODE
        | op::DELEGATECALL
        | op::STATICCALL => WARM_ACCESS,
        op::CREATE | op::CREATE2 => 32_000,
        op::SELFDESTRUCT => 5000,
        _ => 0,
    }
}

/// The end of a memory range, or nothing if it does not fit 64 bits.
fn range_end(offset: U256, length: U256) -> Option<u64> {
    let length = u64::try_from(length).ok()?;
    if length == 0 {
        return Some(0);
    }
    u64::try_from(offset).ok()?.checked_add(length)
}

const fn words(bytes: u64) -> u64 {
    bytes.div_ceil(32)
}

const fn memory_fee(words: u64) -> u64 {
    3 * words + words * words / 512
}

impl Instruction<'_> {
    fn peek(&self, n: usize) -> U256 {
        self.stack.len().checked_sub(n + 1).map_or(U256::ZERO, |at| self.stack[at])
    }

    /// How many bytes of memory it needs, in whole words; nothing if that overflows.
    fn memory_size(&self) -> Option<u64> {
        let range = |offset, length| range_end(self.peek(offset), self.peek(length));
        let size = match self.op {
            op::KECCAK256 | op::RETURN | op::REVERT | op::LOG0..=op::LOG4 => range(0, 1)?,
            op::CALLDATACOPY | op::CODECOPY | op::RETURNDATACOPY => range(0, 2)?,
            op::MCOPY => range_end(self.peek(0).max(self.peek(1)), self.peek(2))?,
            op::EXTCODECOPY => range(1, 3)?,
            op::MLOAD | op::MSTORE => range_end(self.peek(0), U256::from(32))?,
            op::MSTORE8 => range_end(self.peek(0), U256::from(1))?,
            op::CREATE | op::CREATE2 => range(1, 2)?,
            op::CALL | op::CALLCODE => range(5, 6)?.max(range(3, 4)?),
            op::DELEGATECALL | op::STATICCALL => range(4, 5)?.max(range(2, 3)?),
            _ => 0,
        };
        words(size).checked_mul(32)
    }

    fn memory_gas(&self, size: u64) -> Result<u64, GasError> {
        if size > 0x1f_ffff_ffe0 {
            return Err(OVERFLOW.into());
        }
        Ok(memory_fee(words(size)).saturating_sub(memory_fee(words(self.memory_len))))
    }

    /// Memory, and a price for each word or byte that the operand `n` counts.
    fn memory_and(
        &self,
        size: u64,
        n: usize,
        price: fn(u64) -> Option<u64>,
    ) -> Result<u64, GasError> {
        let memory = self.memory_gas(size)?;
        u64::try_from(self.peek(n))
            .ok()
            .and_then(price)
            .and_then(|gas| gas.checked_add(memory))
            .ok_or_else(|| OVERFLOW.into())
    }

    /// The gas beyond the constant part. `gas` is what is left after that part.
    fn dynamic_gas(
        &self,
        gas: u64,
        memory_size: u64,
        state: &mut dyn StateAccess,
    ) -> Result<Result<u64, GasError>, StateReadError> {
        let copy = |length: u64| words(length).checked_mul(3);
        let cold = if self.cold { COLD_ACCOUNT_EXTRA } else { 0 };
        Ok(match self.op {
            op::EXP => Ok(10 + 50 * self.peek(1).byte_len() as u64),
            op::KECCAK256 => self.memory_and(memory_size, 1, |length| words(length).checked_mul(6)),
            op::MLOAD | op::MSTORE | op::MSTORE8 | op::RETURN | op::REVERT => {
                self.memory_gas(memory_size)
            }
            op::CALLDATACOPY | op::CODECOPY | op::RETURNDATACOPY | op::MCOPY => {
                self.memory_and(memory_size, 2, copy)
            }
            op::EXTCODECOPY => self.memory_and(memory_size, 3, copy).map(|gas| gas + cold),
            op::BALANCE | op::EXTCODESIZE | op::EXTCODEHASH => Ok(cold),
            op::SLOAD => Ok(if self.cold { COLD_SLOT } else { WARM_ACCESS }),
            op::SSTORE => self.sstore_gas(gas),
            op::LOG0..=op::LOG4 => {
                let topics = 375 * (1 + u64::from(self.op - op::LOG0));
                self.memory_and(memory_size, 1, |length| length.checked_mul(8))
                    .and_then(|gas| gas.checked_add(topics).ok_or_else(|| OVERFLOW.into()))
            }
            op::CREATE | op::CREATE2 => self.create_gas(memory_size),
            op::CALL | op::CALLCODE | op::DELEGATECALL | op::STATICCALL => {
                self.call_gas(gas, memory_size, state)?
            }
            op::SELFDESTRUCT => self.selfdestruct_gas(gas, state)?,
            _ => Ok(0),
        })
    }

    fn sstore_gas(&self, gas: u64) -> Result<u64, GasError> {
        if self.is_static {
            return Err(WRITE_PROTECTION.into());
        }
        if gas <= SSTORE_SENTRY {
            return Err("not enough gas for reentrancy sentry".into());
        }
        let cold = if self.cold { COLD_SLOT } else { 0 };
        let value = self.peek(1);
        Ok(cold
            + match self.slot {
                Some((original, current)) if original == current && current != value => {
                    if original.is_zero() { 20_000 } else { 5000 - COLD_SLOT }
                }
                _ => WARM_ACCESS,
            })
    }

    fn create_gas(&self, memory_size: u64) -> Result<u64, GasError> {
        let memory = self.memory_gas(memory_size)?;
        let size = u64::try_from(self.peek(2)).map_err(|_| OVERFLOW)?;
        let hash = if self.op == op::CREATE2 { 6 } else { 0 };
        if !self.spec.is_enabled_in(SpecId::SHANGHAI) {
            return words(size)
                .checked_mul(hash)
                .and_then(|gas| gas.checked_add(memory))
                .ok_or_else(|| OVERFLOW.into());
        }
        if size > MAX_INITCODE {
            let error =
                format!("max initcode size exceeded: code size {size} limit {MAX_INITCODE}");
            return Err(error.into());
        }
        Ok(memory + (2 + hash) * words(size))
    }

    fn call_gas(
        &self,
        mut gas: u64,
        memory_size: u64,
        state: &mut dyn StateAccess,
    ) -> Result<Result<u64, GasError>, StateReadError> {
        let delegations = self.spec.is_enabled_in(SpecId::PRAGUE);
        let to = Address::from_word(self.peek(1).into());
        let transfers = matches!(self.op, op::CALL | op::CALLCODE) && !self.peek(2).is_zero();
        let protected = self.op == op::CALL && self.is_static && transfers;
        if protected && delegations {
            return Ok(Err(WRITE_PROTECTION.into()));
        }
        let mut charged = 0;
        if self.cold {
            charged = COLD_ACCOUNT_EXTRA;
            let Some(left) = gas.checked_sub(charged) else { return Ok(Err(OUT_OF_GAS.into())) };
            gas = left;
        }
        if protected {
            return Ok(Err(WRITE_PROTECTION.into()));
        }
        let mut base = match self.memory_gas(memory_size) {
            Ok(memory) => memory + if transfers { CALL_VALUE } else { 0 },
            Err(error) => return Ok(Err(error)),
        };
        if self.op == op::CALL {
            if gas < base {
                return Ok(Err(OUT_OF_GAS.into()));
            }
            if transfers && state.account(to)?.is_empty() {
                base += NEW_ACCOUNT;
            }
        }
        if delegations {
            if gas < base {
                return Ok(Err(OUT_OF_GAS.into()));
            }
            if let Some(cold) = self.delegate_cold {
                let access = WARM_ACCESS + if cold { COLD_ACCOUNT_EXTRA } else { 0 };
                let Some(left) = gas.checked_sub(access) else {
                    return Ok(Err(OUT_OF_GAS.into()));
                };
                gas = left;
                charged += access;
            }
        }
        Ok(forwarded(gas, base, self.peek(0))
            .and_then(|forwarded| forwarded.checked_add(base))
            .and_then(|total| total.checked_add(charged))
            .ok_or_else(|| OVERFLOW.into()))
    }

    fn selfdestruct_gas(
        &self,
        gas: u64,
        state: &mut dyn StateAccess,
    ) -> Result<Result<u64, GasError>, StateReadError> {
        if self.is_static {
            return Ok(Err(WRITE_PROTECTION.into()));
        }
        let mut cost = 0;
        if self.cold {
            cost = WARM_ACCESS + COLD_ACCOUNT_EXTRA;
            if gas < cost {
                return Ok(Err(OUT_OF_GAS.into()));
            }
        }
        let heir = Address::from_word(self.peek(0).into());
        if state.account(heir)?.is_empty() && !state.account(self.address)?.balance.is_zero() {
            cost += NEW_ACCOUNT;
        }
        Ok(Ok(cost))
    }
}

/// The gas a call passes on (EIP-150). As in geth, `available − base` wraps.
fn forwarded(available: u64, base: u64, requested: U256) -> Option<u64> {
    let left = available.wrapping_sub(base);
    let most = left - left / 64;
    Some(u64::try_from(requested).map_or(most, |requested| requested.min(most)))
}

/// The address that an account's code delegates to (EIP-7702).
pub(in crate::debug) fn delegation(code: &[u8]) -> Option<Address> {
    (code.len() == 23)
        .then(|| code.strip_prefix(&[0xef, 0x01, 0x00]))
        .flatten()
        .map(Address::from_slice)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use alloy_primitives::Bytes;
    use revm::state::AccountInfo;

    /// A state without accounts.
    struct Nothing;

    impl StateAccess for Nothing {
        fn account(&mut self, _: Address) -> Result<AccountInfo, StateReadError> {
            Ok(AccountInfo::default())
        }

        fn code(&mut self, _: Address) -> Result<Bytes, StateReadError> {
            Ok(Bytes::new())
        }

        fn storage(&mut self, _: Address, _: U256) -> Result<U256, StateReadError> {
            Ok(U256::ZERO)
        }
    }

    fn instruction(op: u8, gas: u64, stack: &[u64]) -> (u8, u64, Vec<U256>) {
        (op, gas, stack.iter().copied().map(U256::from).collect())
    }

    fn fault(
        (op, gas, stack): (u8, u64, Vec<U256>),
        change: impl FnOnce(&mut Instruction<'_>),
    ) -> (u64, String, bool) {
        let mut instruction = Instruction {
            op,
            spec: SpecId::OSAKA,
            gas,
            stack: &stack,
            stack_len: stack.len(),
            memory_len: 0,
            is_static: false,
            cold: false,
            delegate_cold: None,
            slot: None,
            address: Address::ZERO,
        };
        change(&mut instruction);
        let fault = explain(&instruction, InstructionResult::OutOfGas, &mut Nothing).unwrap();
        (fault.cost, fault.error.into_owned(), fault.ran)
    }

    #[test]
    fn stack_comes_before_gas() {
        let empty = fault(instruction(op::ADD, 0, &[1]), |_| ());
        assert_eq!(empty, (3, "stack underflow (1 <=> 2)".into(), false));
        let full = fault(instruction(op::PUSH1, 0, &[0; 7]), |i| i.stack_len = 1024);
        assert_eq!(full, (3, "stack limit reached 1024 (1023)".into(), false));
        let dup = fault(instruction(op::DUP3, 9, &[1, 2]), |_| ());
        assert_eq!(dup, (3, "stack underflow (2 <=> 3)".into(), false));
    }

    #[test]
    fn costs_are_those_the_instruction_would_have_had() {
        let table: [(_, fn(&mut Instruction<'_>), _, _); 12] = [
            (instruction(op::ADD, 2, &[1, 2]), |_| (), 3, "out of gas"),
            (instruction(op::MSTORE, 5, &[1, 0]), |_| (), 6, "out of gas"),
            (instruction(op::MSTORE, 9, &[1, 1024]), |_| (), 3 + 99 + 2, "out of gas"),
            (instruction(op::SLOAD, 2000, &[0]), |i| i.cold = true, 2100, "out of gas"),
            (instruction(op::BALANCE, 2000, &[0]), |i| i.cold = true, 2600, "out of gas"),
            (
                instruction(op::SSTORE, 2300, &[1, 0]),
                |_| (),
                0,
                "out of gas: not enough gas for reentrancy sentry",
            ),
            (
                instruction(op::SSTORE, 9000, &[1, 0]),
                |i| (i.cold, i.slot) = (true, Some((U256::ZERO, U256::ZERO))),
                22_100,
                "out of gas",
            ),
            (
                instruction(op::SSTORE, 9000, &[1, 0]),
                |i| i.is_static = true,
                0,
                "out of gas: write protection",
            ),
            (instruction(op::LOG1, 900, &[7, 32, 0]), |_| (), 750 + 3 + 256, "out of gas"),
            (
                instruction(op::CREATE, 90_000, &[49_153, 0, 0]),
                |_| (),
                32_000,
                "out of gas: max initcode size exceeded: code size 49153 limit 49152",
            ),
            (
                instruction(op::CALL, 2000, &[0, 0, 0, 0, 0, 9, 100]),
                |i| i.cold = true,
                100,
                "out of gas: out of gas",
            ),
            (
                instruction(op::CALL, 9000, &[0, 0, 0, 0, 1, 9, 100]),
                |_| (),
                100,
                "out of gas: out of gas",
            ),
        ];
        for (at, change, cost, error) in table {
            let name = name(at.0);
            assert_eq!(fault(at, change), (cost, error.into(), false), "{name}");
        }
    }

    #[test]
    fn sizes_beyond_64_bits_overflow() {
        let (op, gas, mut stack) = instruction(op::MLOAD, 100, &[0]);
        stack[0] = U256::MAX;
        assert_eq!(fault((op, gas, stack), |_| ()), (3, "gas uint64 overflow".into(), false));
        let (op, gas, stack) = instruction(op::MLOAD, 100, &[1 << 40]);
        assert_eq!(
            fault((op, gas, stack), |_| ()),
            (3, "out of gas: gas uint64 overflow".into(), false)
        );
    }

    #[test]
    fn undefined_opcodes_have_names() {
        let says = |op| {
            let mut state = Nothing;
            let instruction = Instruction {
                op,
                spec: SpecId::OSAKA,
                gas: 0,
                stack: &[],
                stack_len: 0,
                memory_len: 0,
                is_static: false,
                cold: false,
                delegate_cold: None,
                slot: None,
                address: Address::ZERO,
            };
            explain(&instruction, InstructionResult::OpcodeNotFound, &mut state).unwrap()
        };
        assert_eq!(says(op::INVALID).error, "invalid opcode: INVALID");
        assert_eq!(says(0x0c).error, "invalid opcode: opcode 0xc not defined");
        assert!(says(0x0c).ran);
    }

    #[test]
    fn delegations_are_23_bytes() {
        let target = Address::repeat_byte(7);
        let code = [&[0xef, 1, 0][..], target.as_slice()].concat();
        assert_eq!(delegation(&code), Some(target));
        assert_eq!(delegation(&code[..22]), None);
        assert_eq!(delegation(&[0; 23]), None);
    }
}
