//! State and block overrides of calls.

use crate::{RpcError, hex::Hex};
use alloy_consensus::Header;
use alloy_eips::eip4895::Withdrawals;
use alloy_evm::precompiles::{DynPrecompile, PrecompilesMap};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use ascribe_engine::{ProviderError, StateView};
use revm::{
    Database, bytecode::Bytecode, context::BlockEnv,
    context_interface::block::BlobExcessGasAndPrice, database::CacheDB,
    database_interface::DatabaseRef,
};
use serde::Deserialize;
use std::collections::{BTreeMap, BTreeSet};

/// What an account is taken to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct AccountOverride {
    nonce: Option<Hex<u64>>,
    code: Option<Hex<Bytes>>,
    balance: Option<Hex<U256>>,
    /// The whole storage.
    state: Option<BTreeMap<B256, B256>>,
    /// Single slots.
    state_diff: Option<BTreeMap<B256, B256>>,
    move_precompile_to_address: Option<Hex<Address>>,
}

/// Accounts taken to be what they are not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct StateOverrides(BTreeMap<Address, AccountOverride>);

/// Precompiles that stand elsewhere than they should, or nowhere.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct PrecompileChanges {
    removed: BTreeSet<Address>,
    /// New place and old one.
    moved: BTreeMap<Address, Address>,
}

impl PrecompileChanges {
    /// Applies the changes to the precompiles of an EVM.
    pub(crate) fn apply(&self, precompiles: &mut PrecompilesMap) {
        if self.removed.is_empty() && self.moved.is_empty() {
            return;
        }
        let mut moved: Vec<(Address, DynPrecompile)> = Vec::with_capacity(self.moved.len());
        let mut take = |at: &Address| {
            let mut taken = None;
            precompiles.apply_precompile(at, |precompile| {
                taken = precompile;
                None
            });
            taken
        };
        for address in &self.removed {
            let taken = take(address);
            let goal = self.moved.iter().find(|(_, from)| *from == address).map(|(to, _)| *to);
            moved.extend(goal.zip(taken));
        }
        precompiles.extend_precompiles(moved);
    }
}

impl StateOverrides {
    /// Puts the overrides over a state. `is_precompile` tells the addresses of the precompiles.
    ///
    /// # Errors
    /// geth's, for overrides that contradict each other.
    pub(crate) fn apply<DB: DatabaseRef<Error = ProviderError>>(
        &self,
        db: &mut CacheDB<DB>,
        is_precompile: impl Fn(&Address) -> bool,
    ) -> Result<PrecompileChanges, RpcError> {
        let mut changes = PrecompileChanges::default();
        for (address, account) in &self.0 {
            if changes.moved.contains_key(address) {
                return Err(RpcError::server(format!(
                    "account {address} has already been overridden by a precompile"
                )));
            }
            if let Some(Hex(to)) = account.move_precompile_to_address {
                if !is_precompile(address) {
                    return Err(RpcError::server(format!("account {address} is not a precompile")));
                }
                if self.0.contains_key(&to) {
                    return Err(RpcError::server(format!("account {to} is already overridden")));
                }
                changes.moved.insert(to, *address);
            }
            if is_precompile(address) {
                changes.removed.insert(*address);
            }
            account.apply(*address, db)?;
        }
        Ok(changes)
    }
}

impl AccountOverride {
    fn apply<DB: DatabaseRef<Error = ProviderError>>(
        &self,
        address: Address,
        db: &mut CacheDB<DB>,
    ) -> Result<(), RpcError> {
        if self.state.is_some() && self.state_diff.is_some() {
            return Err(RpcError::server(format!(
                "account {address} has both 'state' and 'stateDiff'"
            )));
        }
        let mut info = db.basic(address)?.unwrap_or_default();
        if let Some(Hex(nonce)) = self.nonce {
            info.nonce = nonce;
        }
        if let Some(Hex(code)) = &self.code {
            info.code_hash = keccak256(code);
            // What begins like a delegation and is none is code like any other.
            let code = Bytecode::new_raw_checked(code.clone())
                .unwrap_or_else(|_| Bytecode::new_legacy(code.clone()));
            info.code = Some(code);
        }
        if let Some(Hex(balance)) = self.balance {
            info.balance = balance;
        }
        db.insert_account_info(address, info);
        let words = |slots: &BTreeMap<B256, B256>| {
            slots
                .iter()
                .map(|(slot, value)| (U256::from_be_bytes(slot.0), (*value).into()))
                .collect()
        };
        if let Some(state) = &self.state {
            db.replace_account_storage(address, words(state))?;
        }
        for (slot, value) in self.state_diff.iter().flatten() {
            db.insert_account_storage(address, (*slot).into(), (*value).into())?;
        }
        Ok(())
    }
}

/// What the block is taken to be.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct BlockOverrides {
    pub(crate) number: Option<Hex<U256>>,
    /// Without effect after the merge, and so on every OP chain.
    pub(crate) difficulty: Option<Hex<U256>>,
    pub(crate) time: Option<Hex<u64>>,
    pub(crate) gas_limit: Option<Hex<u64>>,
    pub(crate) fee_recipient: Option<Hex<Address>>,
    pub(crate) prev_randao: Option<Hex<B256>>,
    pub(crate) base_fee_per_gas: Option<Hex<U256>>,
    pub(crate) blob_base_fee: Option<Hex<U256>>,
    pub(crate) beacon_root: Option<Hex<B256>>,
    pub(crate) withdrawals: Option<Withdrawals>,
}

impl BlockOverrides {
    /// Refuses what only a simulated block can have.
    pub(crate) fn check_for_call(&self) -> Result<(), RpcError> {
        let unsupported = |name: &str| {
            RpcError::server(format!(
                "block override \"{name}\" is not supported for this RPC method"
            ))
        };
        if self.beacon_root.is_some() {
            return Err(unsupported("beaconRoot"));
        }
        if self.withdrawals.is_some() {
            return Err(unsupported("withdrawals"));
        }
        Ok(())
    }

    /// The header with what decides about its rules: number, time, limits, fees.
    pub(crate) fn header(&self, header: &Header) -> Header {
        let mut header = header.clone();
        if let Some(Hex(number)) = self.number {
            header.number = number.saturating_to();
        }
        if let Some(Hex(time)) = self.time {
            header.timestamp = time;
        }
        if let Some(Hex(gas_limit)) = self.gas_limit {
            header.gas_limit = gas_limit;
        }
        if let Some(Hex(recipient)) = self.fee_recipient {
            header.beneficiary = recipient;
        }
        if let Some(Hex(randao)) = self.prev_randao {
            header.mix_hash = randao;
        }
        if let Some(Hex(fee)) = self.base_fee_per_gas {
            header.base_fee_per_gas = Some(fee.saturating_to());
        }
        header
    }

    /// What a header has no place for.
    pub(crate) fn apply(&self, block: &mut BlockEnv) {
        if let Some(Hex(number)) = self.number {
            block.number = number;
        }
        if let Some(Hex(fee)) = self.blob_base_fee {
            block.blob_excess_gas_and_price = Some(BlobExcessGasAndPrice {
                excess_blob_gas: 0,
                blob_gasprice: fee.saturating_to(),
            });
        }
    }
}

/// The state that calls run on.
pub(crate) type CallState = CacheDB<StateView>;

#[cfg(test)]
mod tests {
    use super::*;
    use revm::database_interface::{DBErrorMarker, EmptyDBTyped};

    type TestState = CacheDB<EmptyDBTyped<ProviderError>>;

    fn state() -> TestState {
        fn is_error<E: DBErrorMarker>() {}
        is_error::<ProviderError>();
        CacheDB::new(EmptyDBTyped::new())
    }

    fn overrides(json: &str) -> StateOverrides {
        serde_json::from_str(json).expect("the test's own overrides")
    }

    const A: Address = Address::repeat_byte(0xaa);
    const IDENTITY: Address = Address::with_last_byte(4);

    fn is_precompile(address: &Address) -> bool {
        *address == IDENTITY
    }

    #[test]
    fn accounts_are_overridden() {
        let mut state = state();
        let slot = |last: u8| B256::with_last_byte(last);
        let json = format!(
            r#"{{"{A}":{{"nonce":"0x5","code":"0x6001","balance":"0x64","stateDiff":{{"{}":"{}"}}}}}}"#,
            slot(1),
            slot(9)
        );
        overrides(&json).apply(&mut state, is_precompile).expect("they apply");
        let info = state.basic(A).expect("the state is readable").expect("the account is there");
        assert_eq!((info.nonce, info.balance), (5, U256::from(100)));
        assert_eq!(info.code_hash, keccak256([0x60, 0x01]));
        let read = |state: &mut TestState, slot: u64| {
            state.storage(A, U256::from(slot)).expect("the state is readable")
        };
        assert_eq!(read(&mut state, 1), U256::from(9));

        let json = format!(r#"{{"{A}":{{"state":{{"{}":"{}"}}}}}}"#, slot(2), slot(3));
        overrides(&json).apply(&mut state, is_precompile).expect("they apply");
        assert_eq!((read(&mut state, 1), read(&mut state, 2)), (U256::ZERO, U256::from(3)));
    }

    #[test]
    fn code_that_begins_like_a_delegation_is_code() {
        for code in ["ef0100", "ef01", "ef0101", "ef0100aa"] {
            let mut state = state();
            let json = format!(r#"{{"{A}":{{"code":"0x{code}"}}}}"#);
            overrides(&json).apply(&mut state, is_precompile).expect("it applies");
            let info = state.basic(A).expect("the state is readable").expect("it is there");
            let stored = info.code.expect("its code").original_bytes();
            assert_eq!(alloy_primitives::hex::encode(stored), code);
        }
    }

    #[test]
    fn contradictions_are_refused_in_geths_words() {
        let refused = |json: &str| {
            let error = overrides(json).apply(&mut state(), is_precompile);
            error.expect_err("they are refused").message().to_owned()
        };
        assert_eq!(
            refused(&format!(r#"{{"{A}":{{"state":{{}},"stateDiff":{{}}}}}}"#)),
            format!("account {A} has both 'state' and 'stateDiff'")
        );
        assert_eq!(
            refused(&format!(r#"{{"{A}":{{"movePrecompileToAddress":"{IDENTITY}"}}}}"#)),
            format!("account {A} is not a precompile")
        );
        assert_eq!(
            refused(&format!(r#"{{"{IDENTITY}":{{"movePrecompileToAddress":"{A}"}},"{A}":{{}}}}"#)),
            format!("account {A} is already overridden")
        );
    }

    #[test]
    fn precompiles_move_and_vanish() {
        let json = format!(r#"{{"{IDENTITY}":{{"movePrecompileToAddress":"{A}"}}}}"#);
        let changes = overrides(&json).apply(&mut state(), is_precompile).expect("they apply");
        let spec = ascribe_evm::OpSpecId::JOVIAN;
        let fresh = || PrecompilesMap::from_static(ascribe_evm::precompiles(spec));
        let mut moved = fresh();
        changes.apply(&mut moved);
        assert!(moved.get(&A).is_some() && moved.get(&IDENTITY).is_none());

        let json = format!(r#"{{"{IDENTITY}":{{"code":"0x00"}}}}"#);
        let changes = overrides(&json).apply(&mut state(), is_precompile).expect("they apply");
        let mut gone = fresh();
        changes.apply(&mut gone);
        assert!(gone.get(&IDENTITY).is_none());
        assert!(gone.get(&Address::with_last_byte(2)).is_some());
    }

    #[test]
    fn block_overrides() {
        let overrides: BlockOverrides =
            serde_json::from_str(r#"{"number":"0x10","time":"0x20","baseFeePerGas":"0x30"}"#)
                .expect("the test's own overrides");
        assert!(overrides.check_for_call().is_ok());
        let header = overrides.header(&Header { gas_limit: 5, ..Header::default() });
        assert_eq!((header.number, header.timestamp, header.gas_limit), (16, 32, 5));
        assert_eq!(header.base_fee_per_gas, Some(48));
        let beacon: BlockOverrides =
            serde_json::from_str(&format!(r#"{{"beaconRoot":"{}"}}"#, B256::ZERO))
                .expect("the test's own overrides");
        let error = beacon.check_for_call().expect_err("it is refused");
        assert_eq!(
            error.message(),
            r#"block override "beaconRoot" is not supported for this RPC method"#
        );
    }
}
