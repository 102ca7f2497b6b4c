//! Contracts that are no part of the protocol and that users expect on every chain (OP Stack specs,
//! `preinstalls.md`), and those that Ethereum's rules need.

use alloy_eips::{
    eip2935::{HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE},
    eip4788::{BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE},
};
use alloy_genesis::GenesisAccount;
use alloy_primitives::{Address, U256, address};

use super::{Alloc, Artifacts, GenesisError, predeploys::contract};

/// Where a preinstall is, and the name of its code in the official sources.
const PREINSTALLS: [(Address, &str); 10] = [
    (address!("cA11bde05977b3631167028862bE2a173976CA11"), "MultiCall3"),
    (address!("13b0D85CcB8bf860b6b79AF3029fCA081AE9beF2"), "Create2Deployer"),
    (address!("69f4D1788e39c87893C980c06EdF4b7f686e2938"), "Safe_v130"),
    (address!("fb1bffC9d739B8D520DaF37dF666da4C687191EA"), "SafeL2_v130"),
    (address!("A1dabEF33b3B82c7814B6D82A79e50F4AC44102B"), "MultiSendCallOnly_v130"),
    (address!("914d7Fec6aaC8cd542e72Bca78B30650d45643d7"), "SafeSingletonFactory"),
    (address!("4e59b44847b379578588920cA78FbF26c0B4956C"), "DeterministicDeploymentProxy"),
    (address!("998739BFdAAdde7C933B942a68053933098f9EDa"), "MultiSend_v130"),
    (address!("7fc98430eAEdbb6070B35B39D798725049088348"), "SenderCreator"),
    (address!("5FF137D4b0FDCD49DcA30c7CF57E578a026d2789"), "EntryPoint"),
];
/// `Permit2`.
const PERMIT2: Address = address!("000000000022D473030F116dDEE9F6B43aC78BA3");
/// `EntryPoint` 0.7.
const ENTRY_POINT_V07: Address = address!("0000000071727De22E5E9d8BAf0edAc6f37da032");
/// `SenderCreator` 0.7.
const SENDER_CREATOR_V07: Address = address!("EFC2c1444eBCC4Db75e7613d20C6a62fF67A167C");
/// Who deployed the contracts of EIP-4788 and EIP-2935 elsewhere. With a nonce, an upgrade that
/// would deploy them again does nothing.
const SYSTEM_DEPLOYERS: [Address; 2] = [
    address!("0B799C86a49DEeb90402691F1041aa3AF2d3C875"),
    address!("3462413Af4609098e1E27A490f554f260213D685"),
];
/// How many addresses, from zero, are never empty.
const PRECOMPILES: u8 = u8::MAX;

/// The preinstalls from the packages that have them. As everywhere, their nonce is 1.
pub(super) fn alloc(chain_id: u64, artifacts: &Artifacts) -> Result<Alloc, GenesisError> {
    let source = artifacts.preinstalls()?;
    let mut codes = Vec::with_capacity(PREINSTALLS.len() + 3);
    for (address, name) in PREINSTALLS {
        codes.push((address, source.code(name)?));
    }
    codes.push((PERMIT2, source.permit2(PERMIT2, chain_id)?));
    let [entry_point, sender_creator] = artifacts.entry_point(SENDER_CREATOR_V07)?;
    codes.push((ENTRY_POINT_V07, entry_point));
    codes.push((SENDER_CREATOR_V07, sender_creator));
    Ok(codes.into_iter().map(|(at, code)| (at, contract(code).with_nonce(Some(1)))).collect())
}

/// Adds what every chain has, whoever made its predeploys: the two system contracts of Ethereum, and
/// a wei for each precompile, so that a call with value never finds an empty account.
pub(super) fn add_system_contracts(alloc: &mut Alloc) {
    for (address, code) in [
        (BEACON_ROOTS_ADDRESS, BEACON_ROOTS_CODE.clone()),
        (HISTORY_STORAGE_ADDRESS, HISTORY_STORAGE_CODE.clone()),
    ] {
        alloc.entry(address).or_insert_with(|| contract(code).with_nonce(Some(1)));
    }
    for address in SYSTEM_DEPLOYERS {
        alloc.entry(address).or_insert_with(|| GenesisAccount::default().with_nonce(Some(1)));
    }
    for index in 0..=PRECOMPILES {
        let account = alloc.entry(Address::with_last_byte(index)).or_default();
        account.balance = account.balance.max(U256::ONE);
    }
}
