//! What the authorizations of a set-code transaction come to (EIP-7702), before it runs.

use std::collections::BTreeMap;

use alloy_primitives::{Address, U256};

use super::{
    replay::Traced,
    tracer::{StateAccess, TraceError, delegation},
};

/// What an authorization of an account that exists puts on the refund counter.
const EXISTING_ACCOUNT_REFUND: u64 = 12_500;

/// The authorizations of a transaction, judged.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Authorized {
    /// Who signed, whether or not the authorization is valid.
    pub(super) authorities: Vec<Address>,
    /// What valid ones put on the refund counter.
    pub(super) refund: u64,
}

/// Judges the authorizations of `traced` on the state before it, as they would be applied one
/// after the other. The EVM does the same and tells nobody what it refunded.
pub(super) fn judge(
    traced: &Traced,
    chain_id: u64,
    state: &mut dyn StateAccess,
) -> Result<Authorized, TraceError> {
    let mut authorized = Authorized::default();
    // Nonces that valid authorizations, and the transaction itself, have moved on.
    let mut nonces = BTreeMap::new();
    if !traced.authorizations.is_empty() {
        nonces.insert(traced.from, state.account(traced.from)?.nonce.saturating_add(1));
    }
    for authorization in &traced.authorizations {
        let Ok(authority) = authorization.recover_authority() else { continue };
        authorized.authorities.push(authority);
        let id = authorization.chain_id();
        if (!id.is_zero() && *id != U256::from(chain_id)) || authorization.nonce() == u64::MAX {
            continue;
        }
        let account = state.account(authority)?;
        let code = state.code(authority)?;
        let moved = nonces.get(&authority).copied();
        let delegable = code.is_empty() || delegation(&code).is_some();
        if !delegable || authorization.nonce() != moved.unwrap_or(account.nonce) {
            continue;
        }
        if moved.is_some() || !account.is_empty() {
            authorized.refund += EXISTING_ACCOUNT_REFUND;
        }
        nonces.insert(authority, authorization.nonce() + 1);
    }
    Ok(authorized)
}

#[cfg(test)]
mod tests {
    use alloy_eips::eip7702::{Authorization, SignedAuthorization};
    use alloy_primitives::{B256, Bytes};
    use alloy_signer::SignerSync;
    use alloy_signer_local::PrivateKeySigner;
    use revm::state::AccountInfo;

    use super::*;
    use crate::debug::tracer::{StateReadError, TxPlace};

    const CHAIN: u64 = 10;

    /// Accounts by what they hold: a nonce and code.
    #[derive(Default)]
    struct Accounts(BTreeMap<Address, (u64, Bytes)>);

    impl StateAccess for Accounts {
        fn account(&mut self, address: Address) -> Result<AccountInfo, StateReadError> {
            let nonce = self.0.get(&address).map_or(0, |(nonce, _)| *nonce);
            Ok(AccountInfo { nonce, ..AccountInfo::default() })
        }

        fn code(&mut self, address: Address) -> Result<Bytes, StateReadError> {
            Ok(self.0.get(&address).map(|(_, code)| code.clone()).unwrap_or_default())
        }

        fn storage(&mut self, _: Address, _: U256) -> Result<U256, StateReadError> {
            Ok(U256::ZERO)
        }
    }

    fn signer(seed: u8) -> PrivateKeySigner {
        PrivateKeySigner::from_bytes(&B256::repeat_byte(seed)).expect("a key")
    }

    fn signed(by: u8, chain: u64, nonce: u64) -> SignedAuthorization {
        let authorization = Authorization {
            chain_id: U256::from(chain),
            address: Address::repeat_byte(0xde),
            nonce,
        };
        let hash = authorization.signature_hash();
        authorization.into_signed(signer(by).sign_hash_sync(&hash).expect("a signature"))
    }

    fn judged(state: &mut Accounts, list: Vec<SignedAuthorization>) -> (usize, u64) {
        let traced = Traced {
            from: signer(1).address(),
            to: Some(Address::ZERO),
            gas_limit: 0,
            authorizations: list,
            deposit: false,
            place: TxPlace::default(),
            logs_before: 0,
        };
        let authorized = judge(&traced, CHAIN, state).expect("the state reads");
        (authorized.authorities.len(), authorized.refund / EXISTING_ACCOUNT_REFUND)
    }

    fn accounts(list: &[(u8, u64, &[u8])]) -> Accounts {
        let held = |(by, nonce, code): &(u8, u64, &[u8])| {
            (signer(*by).address(), (*nonce, Bytes::copy_from_slice(code)))
        };
        Accounts(list.iter().map(held).collect())
    }

    #[test]
    fn accounts_that_exist_are_refunded() {
        let mut state = accounts(&[(1, 4, &[]), (2, 7, &[])]);
        assert_eq!(judged(&mut state, vec![]), (0, 0));
        assert_eq!(judged(&mut state, vec![signed(2, CHAIN, 7)]), (1, 1));
        assert_eq!(judged(&mut state, vec![signed(2, 0, 7)]), (1, 1), "any chain");
        assert_eq!(judged(&mut state, vec![signed(3, CHAIN, 0)]), (1, 0), "a new account");
        // The first one makes the account, the second finds it.
        let twice = vec![signed(3, CHAIN, 0), signed(3, CHAIN, 1)];
        assert_eq!(judged(&mut state, twice), (2, 1));
        // The sender's nonce has moved on before its own authorization is looked at.
        assert_eq!(judged(&mut state, vec![signed(1, CHAIN, 4)]), (1, 0));
        assert_eq!(judged(&mut state, vec![signed(1, CHAIN, 5)]), (1, 1));
    }

    #[test]
    fn invalid_ones_are_named_and_not_refunded() {
        let mut state = accounts(&[(2, 7, &[]), (3, 7, &[0x60]), (4, u64::MAX, &[])]);
        let list = vec![
            signed(2, CHAIN + 1, 7),
            signed(2, CHAIN, 6),
            signed(3, CHAIN, 7),
            signed(4, CHAIN, u64::MAX),
        ];
        assert_eq!(judged(&mut state, list), (4, 0));
    }

    #[test]
    fn delegated_accounts_can_delegate_again() {
        let delegated = [&[0xef, 1, 0][..], &[9; 20]].concat();
        let mut state = accounts(&[(2, 7, &delegated)]);
        assert_eq!(judged(&mut state, vec![signed(2, CHAIN, 7)]), (1, 1));
    }

    #[test]
    fn what_nobody_signed_names_nobody() {
        let mut state = Accounts::default();
        let forged = SignedAuthorization::new_unchecked(
            signed(2, CHAIN, 0).inner().clone(),
            0,
            U256::ZERO,
            U256::ZERO,
        );
        assert_eq!(judged(&mut state, vec![forged]), (0, 0));
    }
}
