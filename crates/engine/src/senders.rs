//! Finding senders while the block executes.

use crate::decode::DecodedPayload;
use alloy_consensus::transaction::SignerRecoverable;
use alloy_primitives::{Address, Bytes};
use ascribe_evm::{EstimatedSize, TxSender};
use ascribe_txpool::TxPool;
use op_alloy_consensus::{OpBlock, OpTxEnvelope};
use rayon::ScopeFifo;
use reth_primitives_traits::RecoveredBlock;
use std::{
    sync::OnceLock,
    time::{Duration, Instant},
};

/// Transactions of one task: a signature costs some 50 microseconds, handing over one or two.
const CHUNK: usize = 8;

/// The senders of a block's transactions, found on all cores from the first to the last, so that
/// execution can follow close behind. What the pool knows is not found again.
#[derive(Debug)]
pub(crate) struct Senders<'a> {
    transactions: &'a [OpTxEnvelope],
    encoded: &'a [Bytes],
    /// Whether the block's fork wants estimated sizes.
    sized: bool,
    pool: &'a TxPool,
    /// `None` of a signature that is not valid.
    found: Vec<OnceLock<Vec<Option<TxSender>>>>,
}

impl<'a> Senders<'a> {
    pub(crate) fn new(
        transactions: &'a [OpTxEnvelope],
        encoded: &'a [Bytes],
        sized: bool,
        pool: &'a TxPool,
    ) -> Self {
        let found = (0..transactions.len().div_ceil(CHUNK)).map(|_| OnceLock::new()).collect();
        Self { transactions, encoded, sized, pool, found }
    }

    /// Has the threads of `scope`'s pool find them, in order.
    pub(crate) fn find<'s>(&'s self, scope: &ScopeFifo<'s>) {
        let transactions = self.transactions.chunks(CHUNK).zip(self.encoded.chunks(CHUNK));
        for (found, (transactions, encoded)) in self.found.iter().zip(transactions) {
            scope.spawn_fifo(move |_| {
                let pairs = transactions.iter().zip(encoded);
                found.get_or_init(|| pairs.map(|(tx, encoded)| self.sender(tx, encoded)).collect());
            });
        }
    }

    /// The sender of a transaction. If it is not found yet, waits, and adds the time to `waited`.
    pub(crate) fn get(&self, index: usize, waited: &mut Duration) -> Option<TxSender> {
        let found = self.found.get(index / CHUNK)?;
        let found = match found.get() {
            Some(found) => found,
            None => {
                let started = Instant::now();
                let found = found.wait();
                *waited += started.elapsed();
                found
            }
        };
        found.get(index % CHUNK).copied().flatten()
    }

    /// Finds all senders of a block that is not executed now; nothing if a signature is not valid.
    pub(crate) fn find_all(
        payload: DecodedPayload,
        pool: &'a TxPool,
    ) -> Option<RecoveredBlock<OpBlock>> {
        let DecodedPayload { block, encoded } = payload;
        let senders = Senders::new(&block.body().transactions, &encoded, false, pool);
        rayon::in_place_scope_fifo(|scope| senders.find(scope));
        let senders = senders.into_addresses()?;
        Some(RecoveredBlock::new_sealed(block, senders))
    }

    /// The senders, when all are found and good.
    pub(crate) fn into_addresses(self) -> Option<Vec<Address>> {
        let found = self.found.into_iter().map(|found| found.into_inner().unwrap_or_default());
        found.flatten().map(|sender| sender.map(|sender| sender.address)).collect()
    }

    fn sender(&self, tx: &OpTxEnvelope, encoded: &Bytes) -> Option<TxSender> {
        if let OpTxEnvelope::Deposit(deposit) = tx {
            return Some(TxSender { address: deposit.from, size: None });
        }
        if let Some(pooled) = self.pool.get(&tx.tx_hash()) {
            let size = Some(pooled.estimated_size);
            return Some(TxSender { address: pooled.sender(), size });
        }
        let address = tx.recover_signer().ok()?;
        let size = self.sized.then(|| EstimatedSize::of(encoded));
        Some(TxSender { address, size })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use alloy_consensus::{SignableTransaction, TxEip1559};
    use alloy_eips::Encodable2718;
    use alloy_primitives::{Signature, U256};
    use alloy_signer::SignerSync;
    use alloy_signer_local::PrivateKeySigner;
    use ascribe_txpool::PoolConfig;

    #[test]
    fn senders_come_in_the_order_of_their_transactions() {
        let wallets: Vec<_> = (0..50).map(|_| PrivateKeySigner::random()).collect();
        let mut transactions: Vec<OpTxEnvelope> = wallets
            .iter()
            .map(|wallet| {
                let tx = TxEip1559::default();
                let signature = wallet.sign_hash_sync(&tx.signature_hash()).expect("signs");
                tx.into_signed(signature).into()
            })
            .collect();
        let forged = Signature::new(U256::ZERO, U256::ONE, false);
        transactions[20] = TxEip1559::default().into_signed(forged).into();
        let encoded: Vec<Bytes> = transactions.iter().map(|tx| tx.encoded_2718().into()).collect();

        let pool = TxPool::new(PoolConfig::default(), 1);
        let senders = Senders::new(&transactions, &encoded, true, &pool);
        let mut waited = Duration::ZERO;
        rayon::in_place_scope_fifo(|scope| {
            senders.find(scope);
            for (index, wallet) in wallets.iter().enumerate() {
                let size = Some(EstimatedSize::of(&encoded[index]));
                let sender = TxSender { address: wallet.address(), size };
                let expected = (index != 20).then_some(sender);
                assert_eq!(senders.get(index, &mut waited), expected, "{index}");
            }
            assert_eq!(senders.get(wallets.len(), &mut waited), None);
        });
        assert_eq!(senders.into_addresses(), None, "one is forged");
    }
}
