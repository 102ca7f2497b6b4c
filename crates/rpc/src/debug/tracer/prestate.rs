//! `prestateTracer`: the state a transaction needs, or the state it changes.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use op_revm::constants::BASE_FEE_RECIPIENT;
use revm::{bytecode::opcode as op, primitives::hardfork::SpecId};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::{
    Budget, StateAccess, Step, StepEnd, TraceError, Tracer, TxEnd, TxStart, Wants,
    fault::delegation,
};

/// What an account takes besides its code, about.
const ACCOUNT_BYTES: usize = 256;
/// What a slot takes in JSON.
const SLOT_BYTES: usize = 140;
/// geth gives up on a CREATE2 whose code lies further beyond the memory than this.
const MEMORY_PADDING: u64 = 1024 * 1024;

/// Options of `prestateTracer`.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub(super) struct PrestateConfig {
    /// What changes, before and after, in place of what is needed.
    diff_mode: bool,
    /// Without code.
    disable_code: bool,
    /// Without storage.
    disable_storage: bool,
    /// With accounts that hold nothing.
    include_empty: bool,
}

#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
struct PrestateAccount {
    #[serde(skip_serializing_if = "Option::is_none")]
    balance: Option<U256>,
    #[serde(skip_serializing_if = "super::no_bytes")]
    code: Bytes,
    #[serde(skip_serializing_if = "Option::is_none")]
    code_hash: Option<B256>,
    #[serde(skip_serializing_if = "is_zero")]
    nonce: u64,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    storage: BTreeMap<B256, B256>,
    /// Held nothing before the transaction.
    #[serde(skip)]
    empty: bool,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(nonce: &u64) -> bool {
    *nonce == 0
}

/// What an instruction is about to read, kept until it is known to have run.
enum Lookup {
    Account(Address, PrestateAccount),
    Slot(Address, B256, U256),
    Created(Address),
    Deleted(Address),
}

/// Collects the accounts and slots that instructions name.
pub(super) struct PrestateTracer {
    config: PrestateConfig,
    budget: Budget,
    spec: SpecId,
    pre: BTreeMap<Address, PrestateAccount>,
    post: BTreeMap<Address, PrestateAccount>,
    pending: Vec<Lookup>,
    created: BTreeSet<Address>,
    deleted: BTreeSet<Address>,
}

impl PrestateTracer {
    pub(super) fn new(config: PrestateConfig, budget: Budget) -> Result<Self, TraceError> {
        if config.diff_mode && config.include_empty {
            return Err(TraceError::Config("cannot use diffMode with includeEmpty".to_owned()));
        }
        Ok(Self {
            config,
            budget,
            spec: SpecId::default(),
            pre: BTreeMap::new(),
            post: BTreeMap::new(),
            pending: Vec::new(),
            created: BTreeSet::new(),
            deleted: BTreeSet::new(),
        })
    }

    fn read_account(
        &self,
        address: Address,
        state: &mut dyn StateAccess,
    ) -> Result<PrestateAccount, TraceError> {
        let info = state.account(address)?;
        let code = state.code(address)?;
        let code_hash =
            (!info.is_empty_code_hash() && !info.code_hash.is_zero()).then_some(info.code_hash);
        Ok(PrestateAccount {
            empty: info.nonce == 0 && code.is_empty() && info.balance.is_zero(),
            balance: Some(info.balance),
            code: if self.config.disable_code { Bytes::new() } else { code },
            code_hash,
            nonce: info.nonce,
            storage: BTreeMap::new(),
        })
    }

    /// Prepares to add an account that is not there yet.
    fn look_up(&mut self, address: Address, state: &mut dyn StateAccess) -> Result<(), TraceError> {
        if !self.pre.contains_key(&address) {
            let account = self.read_account(address, state)?;
            self.pending.push(Lookup::Account(address, account));
        }
        Ok(())
    }

    fn look_up_slot(
        &mut self,
        address: Address,
        slot: U256,
        state: &mut dyn StateAccess,
    ) -> Result<(), TraceError> {
        let key = B256::from(slot);
        let known = self.pre.get(&address).is_some_and(|held| held.storage.contains_key(&key));
        if !self.config.disable_storage && !known {
            self.look_up(address, state)?;
            let value = state.storage(address, slot)?;
            self.pending.push(Lookup::Slot(address, key, value));
        }
        Ok(())
    }

    fn create(&mut self, address: Address, state: &mut dyn StateAccess) -> Result<(), TraceError> {
        self.look_up(address, state)?;
        self.pending.push(Lookup::Created(address));
        Ok(())
    }

    /// Adds what was prepared.
    fn commit(&mut self) -> Result<(), TraceError> {
        for lookup in std::mem::take(&mut self.pending) {
            match lookup {
                Lookup::Account(address, account) => {
                    self.budget.spend(ACCOUNT_BYTES + 2 * account.code.len())?;
                    self.pre.entry(address).or_insert(account);
                }
                Lookup::Slot(address, key, value) => {
                    self.budget.spend(SLOT_BYTES)?;
                    self.pre
                        .entry(address)
                        .or_default()
                        .storage
                        .entry(key)
                        .or_insert_with(|| value.into());
                }
                Lookup::Created(address) => {
                    self.created.insert(address);
                }
                Lookup::Deleted(address) => {
                    self.deleted.insert(address);
                }
            }
        }
        Ok(())
    }

    /// Keeps in `pre` only what changed, and puts what it became into `post`.
    fn compare(&mut self, state: &mut dyn StateAccess) -> Result<(), TraceError> {
        let mut unchanged = Vec::new();
        for (&address, before) in &mut self.pre {
            if self.deleted.contains(&address) {
                continue;
            }
            let info = state.account(address)?;
            let mut after = PrestateAccount::default();
            let mut modified = false;
            if Some(info.balance) != before.balance {
                modified = true;
                after.balance = Some(info.balance);
            }
            if info.nonce != before.nonce {
                modified = true;
                after.nonce = info.nonce;
            }
            let empty_code = info.is_empty_code_hash() || info.code_hash.is_zero();
            let code_hash = if empty_code { B256::ZERO } else { info.code_hash };
            if code_hash != before.code_hash.unwrap_or_default() {
                modified = true;
                after.code_hash = Some(code_hash);
                if !self.config.disable_code {
                    after.code = state.code(address)?;
                    self.budget.spend(2 * after.code.len())?;
                }
            }
            let mut kept = BTreeMap::new();
            for (&key, &value) in &before.storage {
                let new = B256::from(state.storage(address, key.into())?);
                if new == value {
                    continue;
                }
                modified = true;
                if !value.is_zero() {
                    kept.insert(key, value);
                }
                if !new.is_zero() {
                    after.storage.insert(key, new);
                }
            }
            before.storage = kept;
            if modified {
                self.post.insert(address, after);
            } else {
                unchanged.push(address);
            }
        }
        for address in unchanged {
            self.pre.remove(&address);
        }
        Ok(())
    }
}

fn address(word: U256) -> Address {
    Address::from_word(word.into())
}

/// A range of memory as CREATE2 takes it, zeros beyond the end.
fn memory_range(memory: &[u8], offset: U256, size: U256) -> Option<Vec<u8>> {
    let (offset, size) = (u64::try_from(offset).ok()?, u64::try_from(size).ok()?);
    let end = offset.checked_add(size)?;
    if end.saturating_sub(memory.len() as u64) > MEMORY_PADDING {
        return None;
    }
    let mut bytes = vec![0; usize::try_from(size).ok()?];
    let (offset, end) = (usize::try_from(offset).ok()?, usize::try_from(end).ok()?);
    if let Some(there) = memory.get(offset..end.min(memory.len())) {
        bytes[..there.len()].copy_from_slice(there);
    }
    Some(bytes)
}

impl Tracer for PrestateTracer {
    fn wants(&self) -> Wants {
        Wants { steps: true, stack: false, memory: false }
    }

    fn tx_start(
        &mut self,
        tx: &TxStart<'_>,
        state: &mut dyn StateAccess,
    ) -> Result<(), TraceError> {
        self.spec = tx.spec;
        let to = match tx.to {
            Some(to) => {
                if tx.spec.is_enabled_in(SpecId::PRAGUE)
                    && let Some(target) = delegation(&state.code(to)?)
                {
                    self.look_up(target, state)?;
                }
                to
            }
            None => {
                let created = tx.from.create(state.account(tx.from)?.nonce);
                self.created.insert(created);
                created
            }
        };
        for address in [tx.from, to, tx.coinbase, BASE_FEE_RECIPIENT] {
            self.look_up(address, state)?;
        }
        for &authority in &tx.authorities {
            self.look_up(authority, state)?;
        }
        self.commit()
    }

    fn step(&mut self, step: &Step<'_>, state: &mut dyn StateAccess) -> Result<(), TraceError> {
        self.pending.clear();
        match (step.op, step.stack) {
            (op::SLOAD | op::SSTORE, [.., slot]) => self.look_up_slot(step.address, *slot, state),
            (op::EXTCODECOPY | op::EXTCODEHASH | op::EXTCODESIZE | op::BALANCE, [.., word]) => {
                self.look_up(address(*word), state)
            }
            (op::SELFDESTRUCT, [.., heir]) => {
                self.look_up(address(*heir), state)?;
                let gone = !self.spec.is_enabled_in(SpecId::CANCUN)
                    || self.created.contains(&step.address);
                if gone {
                    self.pending.push(Lookup::Deleted(step.address));
                }
                Ok(())
            }
            (op::CALL | op::CALLCODE | op::DELEGATECALL | op::STATICCALL, [.., _, _, _, to, _]) => {
                let to = address(*to);
                self.look_up(to, state)?;
                if self.spec.is_enabled_in(SpecId::PRAGUE)
                    && let Some(target) = delegation(&state.code(to)?)
                {
                    self.look_up(target, state)?;
                }
                Ok(())
            }
            (op::CREATE, _) => {
                let nonce = state.account(step.address)?.nonce;
                self.create(step.address.create(nonce), state)
            }
            (op::CREATE2, [.., salt, size, offset, _]) => {
                match memory_range(step.memory, *offset, *size) {
                    Some(code) => {
                        let created = step.address.create2(B256::from(*salt), keccak256(code));
                        self.create(created, state)
                    }
                    None => Ok(()),
                }
            }
            _ => Ok(()),
        }
    }

    fn step_end(
        &mut self,
        _: &Step<'_>,
        end: &StepEnd<'_>,
        _: &mut dyn StateAccess,
    ) -> Result<(), TraceError> {
        match end.error {
            None => self.commit(),
            Some(_) => {
                self.pending.clear();
                Ok(())
            }
        }
    }

    fn tx_end(&mut self, _: &TxEnd, state: &mut dyn StateAccess) -> Result<(), TraceError> {
        if self.config.diff_mode {
            self.compare(state)?;
        }
        if !self.config.include_empty {
            self.pre.retain(|_, account| !account.empty);
        }
        Ok(())
    }

    fn result(&mut self) -> Result<Box<RawValue>, TraceError> {
        #[derive(Serialize)]
        struct Diff<'a> {
            post: &'a BTreeMap<Address, PrestateAccount>,
            pre: &'a BTreeMap<Address, PrestateAccount>,
        }
        let Self { pre, post, .. } = self;
        Ok(if self.config.diff_mode {
            serde_json::value::to_raw_value(&Diff { post, pre })?
        } else {
            serde_json::value::to_raw_value(pre)?
        })
    }
}
