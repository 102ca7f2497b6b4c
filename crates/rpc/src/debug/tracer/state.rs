//! The state as a tracer sees it: the running transaction's changes over the database.

use alloy_primitives::{Address, Bytes, U256};
use revm::{
    Database, Journal,
    context::journal::JournalInner,
    context_interface::journaled_state::entry::JournalEntryTr,
    state::{Account, AccountInfo, EvmState},
};

/// The database failed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("state cannot be read: {0}")]
pub(crate) struct StateReadError(pub(crate) String);

/// Reads accounts and slots without a trace of it: nothing becomes warm, nothing is journaled.
pub(in crate::debug) trait StateAccess {
    /// Balance, nonce and code hash; those of an empty account if there is none.
    fn account(&mut self, address: Address) -> Result<AccountInfo, StateReadError>;
    /// The code as it is stored, delegations included.
    fn code(&mut self, address: Address) -> Result<Bytes, StateReadError>;
    /// The value of a slot.
    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StateReadError>;
}

/// Accounts that changed over a database of those that did not.
#[allow(missing_debug_implementations, reason = "databases need not have any")]
pub(in crate::debug) struct FinalState<'a, DB> {
    changed: &'a EvmState,
    db: &'a mut DB,
}

impl<'a, DB: Database> FinalState<'a, DB> {
    /// Reads through `changed` into `db`.
    pub(in crate::debug) const fn new(changed: &'a EvmState, db: &'a mut DB) -> Self {
        Self { changed, db }
    }
}

/// The state inside a transaction, to be read between two instructions.
pub(super) fn live<DB: Database>(journal: &mut Journal<DB>) -> FinalState<'_, DB> {
    FinalState { changed: &journal.inner.state, db: &mut journal.database }
}

fn failed(error: impl std::fmt::Display) -> StateReadError {
    StateReadError(error.to_string())
}

impl<DB: Database> StateAccess for FinalState<'_, DB> {
    fn account(&mut self, address: Address) -> Result<AccountInfo, StateReadError> {
        match self.changed.get(&address) {
            Some(account) => Ok(account.info.clone()),
            None => Ok(self.db.basic(address).map_err(failed)?.unwrap_or_default()),
        }
    }

    fn code(&mut self, address: Address) -> Result<Bytes, StateReadError> {
        let info = self.account(address)?;
        if info.is_empty_code_hash() || info.code_hash.is_zero() {
            return Ok(Bytes::new());
        }
        match info.code {
            Some(code) => Ok(code.original_bytes()),
            None => Ok(self.db.code_by_hash(info.code_hash).map_err(failed)?.original_bytes()),
        }
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StateReadError> {
        let account = self.changed.get(&address);
        if let Some(value) = account.and_then(|account| account.storage.get(&slot)) {
            return Ok(value.present_value);
        }
        if account.is_some_and(Account::is_created) {
            return Ok(U256::ZERO);
        }
        self.db.storage(address, slot).map_err(failed)
    }
}

/// Whether touching `address` now costs what a first touch costs (EIP-2929).
pub(super) fn account_is_cold<E: JournalEntryTr>(
    journal: &JournalInner<E>,
    address: &Address,
) -> bool {
    let loaded = journal.state.get(address);
    loaded.is_none_or(|account| account.is_cold_transaction_id(journal.transaction_id))
        && journal.warm_addresses.is_cold(address)
}

/// Whether touching a slot now costs what a first touch costs (EIP-2929).
pub(super) fn slot_is_cold<E: JournalEntryTr>(
    journal: &JournalInner<E>,
    address: &Address,
    slot: U256,
) -> bool {
    let loaded = journal.state.get(address).and_then(|account| account.storage.get(&slot));
    loaded.is_none_or(|slot| slot.is_cold_transaction_id(journal.transaction_id))
        && !journal.warm_addresses.is_storage_warm(address, &slot)
}
