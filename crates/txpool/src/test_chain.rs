//! A chain of which only accounts and heads are real.

use crate::{HeadUpdate, PoolAccount, PoolConfig, PoolState, StateError, TxPool};
use alloy_consensus::{Header, SignableTransaction, TxEip1559, TxEip7702};
use alloy_eips::eip7702::{Authorization, SignedAuthorization};
use alloy_primitives::{
    Address, B256, Bytes, Signature, TxKind, U256, keccak256,
    map::{AddressMap, B256Map},
};
use ascribe_evm::{L1BlockInfo, OpSpecId};
use op_alloy_consensus::OpTxEnvelope;
use reth_primitives_traits::{Recovered, SealedHeader};
use std::sync::Arc;

pub(crate) const CHAIN_ID: u64 = 901;
pub(crate) const ETHER: u128 = 1_000_000_000_000_000_000;
/// Gas limit of every head.
pub(crate) const GAS_LIMIT: u64 = 30_000_000;

pub(crate) fn account(index: u8) -> Address {
    Address::repeat_byte(index)
}

#[derive(Debug, Default)]
struct State {
    accounts: AddressMap<PoolAccount>,
    codes: B256Map<Bytes>,
}

impl PoolState for State {
    fn account(&self, address: Address) -> Result<PoolAccount, StateError> {
        Ok(self.accounts.get(&address).copied().unwrap_or_default())
    }

    fn code(&self, code_hash: B256) -> Result<Bytes, StateError> {
        Ok(self.codes.get(&code_hash).cloned().unwrap_or_default())
    }
}

/// Accounts as the next head shall have them.
#[derive(Debug, Clone)]
pub(crate) struct TestChain {
    pub(crate) accounts: AddressMap<PoolAccount>,
    pub(crate) codes: B256Map<Bytes>,
    pub(crate) spec: OpSpecId,
    pub(crate) base_fee: u64,
    pub(crate) gas_limit: u64,
    pub(crate) l1: L1BlockInfo,
    head: SealedHeader,
}

impl TestChain {
    /// Accounts 1 to 9 have an ether each; L1 costs nothing.
    pub(crate) fn new() -> Self {
        let rich = PoolAccount { balance: U256::from(ETHER), ..PoolAccount::default() };
        Self {
            accounts: (1..10).map(|index| (account(index), rich)).collect(),
            codes: B256Map::default(),
            spec: OpSpecId::KARST,
            base_fee: 100,
            gas_limit: GAS_LIMIT,
            l1: L1BlockInfo {
                l1_blob_base_fee: Some(U256::ZERO),
                l1_blob_base_fee_scalar: Some(U256::ZERO),
                operator_fee_scalar: Some(U256::ZERO),
                operator_fee_constant: Some(U256::ZERO),
                ..L1BlockInfo::default()
            },
            head: SealedHeader::seal_slow(Header::default()),
        }
    }

    /// A pool at this chain's first head.
    pub(crate) fn pool(&mut self, config: PoolConfig) -> TxPool {
        let pool = TxPool::new(config, CHAIN_ID);
        pool.on_new_head(self.advance(&[]));
        pool
    }

    pub(crate) fn set_code(&mut self, address: Address, code: Bytes) {
        let code_hash = keccak256(&code);
        self.accounts.entry(address).or_default().code_hash = code_hash;
        self.codes.insert(code_hash, code);
    }

    /// The next head, in which only these accounts changed.
    pub(crate) fn advance(&mut self, changed: &[Address]) -> HeadUpdate {
        let header = Header {
            parent_hash: self.head.hash(),
            number: self.head.number + 1,
            gas_limit: self.gas_limit,
            ..Header::default()
        };
        self.head = SealedHeader::seal_slow(header);
        let changed = changed.iter().map(|address| (*address, self.accounts[address])).collect();
        self.update(changed)
    }

    /// A head that does not follow the one before.
    pub(crate) fn reorg(&mut self, reverted: Vec<Recovered<OpTxEnvelope>>) -> HeadUpdate {
        let header = Header {
            parent_hash: keccak256(self.head.hash()),
            number: self.head.number,
            gas_limit: self.gas_limit,
            ..Header::default()
        };
        self.head = SealedHeader::seal_slow(header);
        HeadUpdate { reverted, ..self.update(AddressMap::default()) }
    }

    fn update(&self, changed_accounts: AddressMap<PoolAccount>) -> HeadUpdate {
        let state = State { accounts: self.accounts.clone(), codes: self.codes.clone() };
        HeadUpdate {
            header: self.head.clone(),
            spec: self.spec,
            next_base_fee: self.base_fee,
            l1: self.l1.clone(),
            state: Arc::new(state),
            reverted: Vec::new(),
            changed_accounts,
        }
    }
}

/// A transaction in the making.
#[derive(Debug, Clone)]
pub(crate) struct Tx {
    pub(crate) sender: Address,
    pub(crate) nonce: u64,
    pub(crate) fee_cap: u128,
    pub(crate) tip: u128,
    pub(crate) gas: u64,
    pub(crate) value: u128,
    pub(crate) to: TxKind,
    pub(crate) input: Bytes,
    pub(crate) chain_id: u64,
}

impl Default for Tx {
    fn default() -> Self {
        Self {
            sender: account(1),
            nonce: 0,
            fee_cap: 1_000,
            tip: 10,
            gas: 100_000,
            value: 0,
            to: TxKind::Call(account(0xee)),
            input: Bytes::new(),
            chain_id: CHAIN_ID,
        }
    }
}

impl Tx {
    pub(crate) fn of(sender: u8, nonce: u64) -> Self {
        // The sender is in the input, so that hashes differ.
        Self { sender: account(sender), nonce, input: vec![sender].into(), ..Self::default() }
    }

    pub(crate) fn fees(self, fee_cap: u128, tip: u128) -> Self {
        Self { fee_cap, tip, ..self }
    }

    pub(crate) fn envelope(&self) -> OpTxEnvelope {
        let tx = TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit: self.gas,
            max_fee_per_gas: self.fee_cap,
            max_priority_fee_per_gas: self.tip,
            to: self.to,
            value: U256::from(self.value),
            access_list: Default::default(),
            input: self.input.clone(),
        };
        tx.into_signed(Signature::test_signature()).into()
    }

    pub(crate) fn recovered(&self) -> Recovered<OpTxEnvelope> {
        Recovered::new_unchecked(self.envelope(), self.sender)
    }

    /// The same as an EIP-7702 transaction.
    pub(crate) fn delegating(
        &self,
        authorizations: Vec<SignedAuthorization>,
    ) -> Recovered<OpTxEnvelope> {
        let tx = TxEip7702 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit: self.gas,
            max_fee_per_gas: self.fee_cap,
            max_priority_fee_per_gas: self.tip,
            to: self.to.into_to().unwrap_or_default(),
            value: U256::from(self.value),
            access_list: Default::default(),
            authorization_list: authorizations,
            input: self.input.clone(),
        };
        let signed = tx.into_signed(Signature::test_signature());
        Recovered::new_unchecked(signed.into(), self.sender)
    }
}

/// An authorization and who signed it: nobody has the key, but the signature is valid.
pub(crate) fn authorization(nonce: u64) -> (SignedAuthorization, Address) {
    let authorization = Authorization { chain_id: U256::ZERO, address: account(0xdd), nonce };
    let signed = authorization.into_signed(Signature::test_signature());
    let authority = signed.recover_authority().expect("a valid signature");
    (signed, authority)
}
