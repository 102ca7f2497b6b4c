//! Logs of a simulated call, and its transfers of ether as if they were logs too.

use alloy_primitives::{Address, B256, Log, U256, address, b256};
use revm::{
    Inspector,
    context_interface::{ContextTr, JournalTr},
    interpreter::{
        CallInputs, CallOutcome, CallScheme, CallValue, CreateInputs, CreateOutcome,
        InstructionResult,
    },
    state::AccountInfo,
};

/// `Transfer(address,address,uint256)`
const TRANSFER: B256 = b256!("ddf252ad1be2c89b69c2b068fc378daa952ba7f163c4a11628f55a4df523b3ef");
/// What ERC-7528 lets ether be known as.
const ETHER: Address = address!("EeeeeEeeeEeEeeEeEeEeeEEEeeeeEeeeeeeeEEeE");

/// Collects logs frame by frame, so that those of a frame that failed are dropped.
#[derive(Debug)]
pub(super) struct Transfers {
    /// Whether transfers are logged too.
    traced: bool,
    frames: Vec<Vec<(Log, u64)>>,
    /// Of the next log in the block; those that were dropped count.
    next_index: u64,
}

impl Transfers {
    pub(super) const fn new(traced: bool, next_index: u64) -> Self {
        Self { traced, frames: Vec::new(), next_index }
    }

    /// The logs of the call with their indices, and the index of the next.
    pub(super) fn into_logs(mut self) -> (Vec<(Log, u64)>, u64) {
        (self.frames.pop().unwrap_or_default(), self.next_index)
    }

    fn push(&mut self, log: Log) {
        let index = self.next_index;
        self.next_index += 1;
        if let Some(frame) = self.frames.last_mut() {
            frame.push((log, index));
        }
    }

    fn transfer(&mut self, from: Address, to: Address, value: U256) {
        if self.traced && !value.is_zero() {
            let topics = vec![TRANSFER, from.into_word(), to.into_word()];
            self.push(Log::new_unchecked(ETHER, topics, B256::from(value).into()));
        }
    }

    fn open(&mut self) {
        self.frames.push(Vec::new());
    }

    fn close(&mut self, result: InstructionResult) {
        let Some(logs) = self.frames.pop() else { return };
        match (self.frames.last_mut(), result.is_ok()) {
            (Some(parent), true) => parent.extend(logs),
            (Some(_), false) => {}
            // The transaction's own frame stays, to be fetched.
            (None, ok) => self.frames.push(if ok { logs } else { Vec::new() }),
        }
    }
}

/// What an account about to be created will be called.
fn created<CTX: ContextTr>(context: &mut CTX, inputs: &CreateInputs) -> Address {
    let nonce = |info: &AccountInfo| info.nonce;
    let account = context.journal_mut().load_account(inputs.caller());
    let nonce = account.map_or(0, |account| nonce(&account.data.info));
    inputs.created_address(nonce)
}

impl<CTX: ContextTr> Inspector<CTX> for Transfers {
    fn log(&mut self, _: &mut CTX, log: Log) {
        self.push(log);
    }

    fn call(&mut self, _: &mut CTX, inputs: &mut CallInputs) -> Option<CallOutcome> {
        self.open();
        if let CallValue::Transfer(value) = inputs.value
            && inputs.scheme != CallScheme::DelegateCall
        {
            let to = match inputs.scheme {
                CallScheme::CallCode => inputs.bytecode_address,
                _ => inputs.target_address,
            };
            self.transfer(inputs.caller, to, value);
        }
        None
    }

    fn call_end(&mut self, _: &mut CTX, _: &CallInputs, outcome: &mut CallOutcome) {
        self.close(outcome.result.result);
    }

    fn create(&mut self, context: &mut CTX, inputs: &mut CreateInputs) -> Option<CreateOutcome> {
        self.open();
        if self.traced && !inputs.value().is_zero() {
            let to = created(context, inputs);
            self.transfer(inputs.caller(), to, inputs.value());
        }
        None
    }

    fn create_end(&mut self, _: &mut CTX, _: &CreateInputs, outcome: &mut CreateOutcome) {
        self.close(outcome.result.result);
    }

    fn selfdestruct(&mut self, contract: Address, target: Address, value: U256) {
        self.transfer(contract, target, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(last: u8) -> Log {
        Log::new_unchecked(Address::with_last_byte(last), vec![], Default::default())
    }

    #[test]
    fn logs_of_failed_frames_are_dropped_but_counted() {
        let mut transfers = Transfers::new(true, 4);
        transfers.open();
        transfers.push(log(1));
        transfers.open();
        transfers.push(log(2));
        transfers.close(InstructionResult::Revert);
        transfers.open();
        transfers.transfer(Address::ZERO, Address::with_last_byte(9), U256::from(5));
        transfers.close(InstructionResult::Stop);
        transfers.close(InstructionResult::Return);
        let (logs, next) = transfers.into_logs();
        assert_eq!(next, 7);
        assert_eq!(logs.iter().map(|(_, index)| *index).collect::<Vec<_>>(), [4, 6]);
        let (transfer, _) = &logs[1];
        assert_eq!((transfer.address, transfer.data.topics()[0]), (ETHER, TRANSFER));
        assert_eq!(transfer.data.data.as_ref(), B256::with_last_byte(5).as_slice());
    }

    #[test]
    fn nothing_is_traced_unless_asked_for() {
        let mut transfers = Transfers::new(false, 0);
        transfers.open();
        transfers.transfer(Address::ZERO, Address::ZERO, U256::from(5));
        assert!(transfers.into_logs().0.is_empty());
    }
}
