//! Accounts that have ether on every test chain, and what they sign.

use alloy_consensus::{EthereumTxEnvelope, SignableTransaction, TxEip1559, TxEip4844};
use alloy_eips::eip2718::Encodable2718;
use alloy_primitives::{Address, B256, Bytes, Signature, TxKind, U256, b256, keccak256};
use alloy_signer::SignerSync;
use alloy_signer_local::PrivateKeySigner;

/// The secret keys of the mnemonic "test test test test test test test test test test test junk",
/// which anvil and the devnet fund.
pub const DEV_ACCOUNTS: [B256; 10] = [
    b256!("ac0974bec39a17e36ba4a6b4d238ff944bacb478cbed5efcae784d7bf4f2ff80"),
    b256!("59c6995e998f97a5a0044966f0945389dc9e86dae88c7a8412f4603b6b78690d"),
    b256!("5de4111afa1a4b94908f83103eb1f1706367c2e68ca870fc3fb9a804cdab365a"),
    b256!("7c852118294e51e653712a81e05800f419141751be58f605c371e15141b007a6"),
    b256!("47e179ec197488593b187f80a00eb0da91f1b9d0b13f8733639f19c30a34926a"),
    b256!("8b3a350cf5c34c9194ca85829a2df0ec3153be0318b5e2d3348e872092edffba"),
    b256!("92db14e403b83dfe3df233f83dfa3a0d7096f21ca9b0d6d6b8d88b2b4ec1564e"),
    b256!("4bbbf85ce3377467afe5d46f804f221813b2bb87f24d81f60f1fcdbf7cbf4356"),
    b256!("dbda1821b80551c9d65939329250298aa3472ba22feea921c0cf5d620ea67b97"),
    b256!("2a871d0798f97d79848a013d4936a73bf4cc922c825d33c1cf7073dff6d409c6"),
];

/// An account and the nonce it signs next.
#[derive(Clone, Debug)]
pub struct Account {
    signer: PrivateKeySigner,
    chain_id: u64,
    /// Counted up with each transaction.
    pub nonce: u64,
}

impl Account {
    /// The `index`th funded account.
    ///
    /// # Panics
    /// From 10 on.
    pub fn dev(index: usize, chain_id: u64) -> Self {
        Self::from_key(DEV_ACCOUNTS[index], chain_id)
    }

    /// Any account, whose key is made from `seed`. It has no ether.
    pub fn from_seed(seed: &str, chain_id: u64) -> Self {
        Self::from_key(keccak256(seed), chain_id)
    }

    fn from_key(key: B256, chain_id: u64) -> Self {
        let signer = PrivateKeySigner::from_bytes(&key).expect("a secret key");
        Self { signer, chain_id, nonce: 0 }
    }

    /// Its address.
    pub const fn address(&self) -> Address {
        self.signer.address()
    }

    /// Its secret key in hexadecimal, as `--private-key` wants it.
    pub fn private_key(&self) -> String {
        format!("{}", self.signer.to_bytes())
    }

    /// A type 2 transaction with the next nonce, ample fees and this gas limit, encoded.
    pub fn send(&mut self, to: TxKind, value: U256, input: Bytes, gas_limit: u64) -> Bytes {
        let tx = self.transaction(to, value, input, gas_limit);
        self.nonce += 1;
        self.sign(tx)
    }

    /// A transfer of `wei` with the next nonce, encoded.
    pub fn transfer(&mut self, to: Address, wei: u64) -> Bytes {
        self.send(TxKind::Call(to), U256::from(wei), Bytes::new(), 21_000)
    }

    /// A type 2 transaction with the current nonce, to be changed before it is signed.
    pub const fn transaction(
        &self,
        to: TxKind,
        value: U256,
        input: Bytes,
        gas_limit: u64,
    ) -> TxEip1559 {
        TxEip1559 {
            chain_id: self.chain_id,
            nonce: self.nonce,
            gas_limit,
            max_fee_per_gas: 100_000_000_000,
            max_priority_fee_per_gas: 1_000_000,
            to,
            value,
            access_list: alloy_eips::eip2930::AccessList(Vec::new()),
            input,
        }
    }

    /// Signs a transaction of any type and encodes it.
    pub fn sign<T>(&self, tx: T) -> Bytes
    where
        T: SignableTransaction<Signature>,
        EthereumTxEnvelope<TxEip4844>: From<alloy_consensus::Signed<T>>,
    {
        let signature = self.sign_hash(tx.signature_hash());
        EthereumTxEnvelope::<TxEip4844>::from(tx.into_signed(signature)).encoded_2718().into()
    }

    /// Signs a hash.
    pub fn sign_hash(&self, hash: B256) -> Signature {
        self.signer.sign_hash_sync(&hash).expect("a signature")
    }
}

#[cfg(test)]
mod tests {
    use alloy_primitives::address;

    use super::*;

    #[test]
    fn accounts_are_those_of_the_mnemonic() {
        let first = address!("f39Fd6e51aad88F6F4ce6aB8827279cffFb92266");
        assert_eq!(Account::dev(0, 1).address(), first);
        let last = address!("a0Ee7A142d267C1f36714E4a8F75612F20a79720");
        assert_eq!(Account::dev(9, 1).address(), last);
    }
}
