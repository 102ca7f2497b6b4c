//! A transaction in the pool.

use alloy_consensus::{InMemorySize, Transaction};
use alloy_primitives::{Address, Bytes, TxHash};
use ascribe_evm::EstimatedSize;
use op_alloy_consensus::OpTxEnvelope;
use reth_primitives_traits::Recovered;
use std::time::Instant;

/// A transaction with everything about it that is worth finding once.
#[derive(Debug)]
pub struct PooledTx {
    /// The transaction and its sender.
    pub tx: Recovered<OpTxEnvelope>,
    /// Its hash.
    pub hash: TxHash,
    /// Its EIP-2718 encoding.
    pub encoded: Bytes,
    /// Its size after compression: L1 fee and DA footprint follow from it.
    pub estimated_size: EstimatedSize,
    /// Accounts that its EIP-7702 authorizations were signed by, each once.
    pub authorities: Vec<Address>,
    /// Whether it is evicted last and never expires.
    pub local: bool,
    /// When it entered.
    pub since: Instant,
    /// Grows with every transaction that enters.
    pub id: u64,
    /// Bytes it is counted with.
    pub(crate) size: usize,
}

impl PooledTx {
    /// The sender.
    pub fn sender(&self) -> Address {
        self.tx.signer()
    }

    /// The nonce.
    pub fn nonce(&self) -> u64 {
        self.tx.nonce()
    }

    /// Bytes it counts with against the pool's limits: about what it takes of memory.
    pub const fn size(&self) -> usize {
        self.size
    }

    /// Wei per gas that the block's producer gets at this base fee, `None` if the fee cap is below
    /// it.
    pub fn effective_tip(&self, base_fee: u64) -> Option<u128> {
        self.tx.effective_tip_per_gas(base_fee)
    }

    /// Counts the bytes of a transaction.
    pub(crate) fn measure(tx: &OpTxEnvelope, encoded: &Bytes, authorities: usize) -> usize {
        size_of::<Self>()
            + tx.size().saturating_sub(size_of::<OpTxEnvelope>())
            + encoded.len()
            + authorities * size_of::<Address>()
    }
}
