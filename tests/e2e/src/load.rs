//! Transactions to fill blocks with.

use alloy_primitives::{Address, Bytes, TxKind, U256, hex, keccak256};

use crate::{Account, TestChain};

/// Makes a contract of the 32 bytes from its last one on: a STOP and what follows.
const INIT_CODE: [u8; 12] = hex!("602080600b6000396000f300");

/// A load that is the same for the same block number and salt, whatever happened before: each
/// account sends equally many transactions in every block, so a block's number says its nonces.
/// Blocks of another branch get another salt, and differ in state.
#[derive(Clone, Debug)]
pub struct Load {
    accounts: Vec<Account>,
    per_account: u64,
    slots: u64,
}

impl Load {
    /// `per_account` transactions of each of the first `accounts` funded accounts in every block;
    /// those that write storage write `slots` slots.
    pub fn new(chain: &TestChain, accounts: usize, per_account: u64, slots: u64) -> Self {
        let accounts = (0..accounts).map(|index| Account::dev(index, chain.chain_id)).collect();
        Self { accounts, per_account, slots }
    }

    /// The transactions of block `number`: transfers to old and new accounts, storage written and
    /// deleted, contracts made, and calls that fail. The chain must hold such blocks and nothing else
    /// of these accounts.
    pub fn block(&self, number: u64, salt: u64) -> Vec<Bytes> {
        let nonce = (number - 1) * self.per_account;
        self.block_at(&vec![nonce; self.accounts.len()], number, salt)
    }

    /// The same where the accounts have these nonces.
    pub fn block_at(&self, nonces: &[u64], number: u64, salt: u64) -> Vec<Bytes> {
        let mut transactions = Vec::new();
        for (index, (account, nonce)) in self.accounts.iter().zip(nonces).enumerate() {
            let mut account = account.clone();
            for turn in 0..self.per_account {
                account.nonce = nonce + turn;
                let kind = (index as u64 + turn + number) % 6;
                transactions.push(self.transaction(&mut account, kind, number, salt));
            }
        }
        transactions
    }

    /// The accounts that send.
    pub fn senders(&self) -> impl Iterator<Item = Address> {
        self.accounts.iter().map(Account::address)
    }

    fn transaction(&self, account: &mut Account, kind: u64, number: u64, salt: u64) -> Bytes {
        let seed = keccak256(
            [number.to_be_bytes(), salt.to_be_bytes(), account.nonce.to_be_bytes()].concat(),
        );
        let none = U256::ZERO;
        let gas = 60_000 + 25_000 * self.slots;
        match kind {
            0 => account.transfer(Address::from_word(seed), 1 + salt),
            1 => account.transfer(Address::with_last_byte(0x77), 1 + salt),
            2 => {
                let input = TestChain::store(seed.into(), self.slots, U256::from(number + salt));
                account.send(TxKind::Call(TestChain::STORER), none, input, gas)
            }
            // The same slots again and again, and every other time to zero.
            3 => {
                let value = U256::from((number % 2) * (number + salt));
                let input = TestChain::store(U256::ZERO, self.slots, value);
                account.send(TxKind::Call(TestChain::STORER), none, input, gas)
            }
            4 => account.send(
                TxKind::Create,
                none,
                [&INIT_CODE[..], &seed[..]].concat().into(),
                200_000,
            ),
            _ => {
                account.send(TxKind::Call(TestChain::REVERTER), U256::from(1), Bytes::new(), 50_000)
            }
        }
    }
}
