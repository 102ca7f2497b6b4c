//! `eth_createAccessList`: what a transaction touches, found by executing it until it touches
//! nothing new.

use super::{
    block_id::BlockRef,
    call::{CallContext, CallError, executed},
    overrides::StateOverrides,
    transaction_args::TransactionArgs,
    unsigned::unsigned,
};
use crate::{RpcContext, RpcError, hex::Hex};
use alloy_eips::eip2930::{AccessList, AccessListItem};
use alloy_primitives::{Address, B256, TxKind, U256};
use ascribe_evm::precompiles;
use revm::{
    Inspector,
    bytecode::opcode as op,
    interpreter::{
        Interpreter,
        interpreter_types::{InputsTr, Jumps},
    },
};
use serde::Serialize;
use std::collections::{BTreeMap, BTreeSet};

/// Gas of an authorization: so many fit, and no more need to be looked at.
const AUTHORIZATION_GAS: u64 = 25_000;

/// The answer.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct AccessListResult {
    access_list: AccessList,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<String>,
    gas_used: Hex<u64>,
}

/// `eth_createAccessList`
pub(super) fn create_access_list(
    context: &RpcContext,
    (mut args, block, overrides): (TransactionArgs, Option<BlockRef>, Option<StateOverrides>),
) -> Result<AccessListResult, RpcError> {
    let block = context.state_block(block.unwrap_or(BlockRef::LATEST))?;
    let mut call = CallContext::new(context, block, overrides.as_ref(), None)?;
    // Code may be overridden here, precompiles not.
    call.precompiles = Default::default();
    args.fill_fees(call.base_fee(), || context.suggested_tip())?;
    let nonce = match args.nonce {
        Some(Hex(nonce)) => nonce,
        None => call.nonce(args.from())?,
    };
    args.nonce = Some(Hex(nonce));
    let mut message =
        args.to_message(context.config.gas_cap, call.base_fee(), context.spec.chain_id())?;
    let authorizations = message.authorizations.as_deref().unwrap_or_default();
    if authorizations.len() as u64 > message.gas_limit / AUTHORIZATION_GAS {
        return Err(RpcError::server("insufficient gas to process all authorizations"));
    }

    let to = match message.kind {
        TxKind::Call(to) => to,
        TxKind::Create => message.from.create(nonce),
    };
    let chain_id = U256::from(context.spec.chain_id());
    let authorities = authorizations
        .iter()
        .filter(|it| (it.chain_id.is_zero() || it.chain_id == chain_id) && it.nonce < u64::MAX)
        .filter_map(|it| it.recover_authority().ok());
    let excluded: BTreeSet<Address> = precompiles(call.spec())
        .addresses()
        .copied()
        .chain([message.from, to])
        .chain(authorities)
        .collect();

    let mut known = Touched::new(&message.access_list, &excluded);
    loop {
        message.access_list = known.list();
        let mut touched = Touched::new(&message.access_list, &excluded);
        call.deadline.check()?;
        let result = call.transact(&message, &mut touched).map_err(|error| match error {
            CallError::Refused(error) => {
                args.gas = Some(Hex(message.gas_limit));
                args.access_list = Some(message.access_list.clone());
                // Named by its hash, though nobody could know it by that yet.
                let hash = unsigned(&args, context.spec.chain_id())
                    .map_or_else(|_| B256::ZERO, |tx| tx.tx_hash());
                RpcError::server(format!("failed to apply transaction: {hash} err: {error}"))
            }
            CallError::Failed(error) => error,
        })?;
        if touched.found == known.found {
            let mut executed = executed(result.result);
            call.explain(&message, &mut executed).map_err(|error| match error {
                CallError::Refused(error) => RpcError::server(error.to_string()),
                CallError::Failed(error) => error,
            })?;
            return Ok(AccessListResult {
                access_list: message.access_list,
                error: executed.failure.map(|failure| match failure {
                    super::message::Failure::Reverted(_) => "execution reverted".to_owned(),
                    super::message::Failure::Halted(text) => text,
                }),
                gas_used: Hex(executed.gas_used),
            });
        }
        known = touched;
    }
}

/// Accounts and slots that a transaction touches beyond those that are warm anyway.
#[derive(Debug)]
struct Touched<'a> {
    excluded: &'a BTreeSet<Address>,
    found: BTreeMap<Address, BTreeSet<B256>>,
}

impl<'a> Touched<'a> {
    fn new(list: &AccessList, excluded: &'a BTreeSet<Address>) -> Self {
        let mut this = Self { excluded, found: BTreeMap::new() };
        for item in &list.0 {
            this.account(item.address);
            if !item.storage_keys.is_empty() {
                this.found.entry(item.address).or_default().extend(&item.storage_keys);
            }
        }
        this
    }

    /// Excluded accounts are listed for their slots alone.
    fn account(&mut self, address: Address) {
        if !self.excluded.contains(&address) {
            self.found.entry(address).or_default();
        }
    }

    fn list(&self) -> AccessList {
        let items = self.found.iter().map(|(address, slots)| AccessListItem {
            address: *address,
            storage_keys: slots.iter().copied().collect(),
        });
        AccessList(items.collect())
    }
}

impl<CTX> Inspector<CTX> for Touched<'_> {
    fn step(&mut self, interpreter: &mut Interpreter, _: &mut CTX) {
        let stack = &interpreter.stack;
        let address = |word: U256| Address::from_word(word.into());
        match interpreter.bytecode.opcode() {
            op::SLOAD | op::SSTORE => {
                if let Ok(slot) = stack.peek(0) {
                    let account = interpreter.input.target_address();
                    self.found.entry(account).or_default().insert(slot.into());
                }
            }
            op::EXTCODECOPY
            | op::EXTCODEHASH
            | op::EXTCODESIZE
            | op::BALANCE
            | op::SELFDESTRUCT => {
                if let Ok(word) = stack.peek(0) {
                    self.account(address(word));
                }
            }
            op::DELEGATECALL | op::CALL | op::STATICCALL | op::CALLCODE if stack.len() >= 5 => {
                if let Ok(word) = stack.peek(1) {
                    self.account(address(word));
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn excluded_accounts_are_listed_for_their_slots_alone() {
        let (known, other) = (Address::repeat_byte(1), Address::repeat_byte(2));
        let excluded = BTreeSet::from([known]);
        let item = |address, keys: &[B256]| AccessListItem { address, storage_keys: keys.to_vec() };
        let slot = B256::with_last_byte(7);
        let list = AccessList(vec![item(other, &[]), item(known, &[])]);
        assert_eq!(Touched::new(&list, &excluded).list(), AccessList(vec![item(other, &[])]));
        let list = AccessList(vec![item(known, &[slot])]);
        assert_eq!(Touched::new(&list, &excluded).list(), list);
    }
}
