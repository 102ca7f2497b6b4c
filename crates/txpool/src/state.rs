//! What the pool sees of the chain.

use alloy_primitives::{Address, B256, Bytes, KECCAK256_EMPTY, U256, map::AddressMap};
use ascribe_evm::{L1BlockInfo, OpSpecId};
use op_alloy_consensus::OpTxEnvelope;
use reth_primitives_traits::{Recovered, SealedHeader};
use std::{fmt, sync::Arc};

/// What decides whether an account can send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PoolAccount {
    /// Nonce of its next transaction.
    pub nonce: u64,
    /// Wei.
    pub balance: U256,
    /// Keccak-256 of its code.
    pub code_hash: B256,
}

impl PoolAccount {
    /// Whether there is code: a contract, or an EIP-7702 delegation.
    pub fn has_code(&self) -> bool {
        self.code_hash != KECCAK256_EMPTY
    }
}

impl Default for PoolAccount {
    /// An account that does not exist.
    fn default() -> Self {
        Self { nonce: 0, balance: U256::ZERO, code_hash: KECCAK256_EMPTY }
    }
}

/// The state of one block.
///
/// The pool keeps the one of the head and asks it for accounts that it does not know yet, from any
/// thread and often: reads shall be served from caches.
pub trait PoolState: Send + Sync + 'static {
    /// An account; the default one if it does not exist.
    fn account(&self, address: Address) -> Result<PoolAccount, StateError>;

    /// Code by its hash, empty if unknown. Asked only about senders with code.
    fn code(&self, code_hash: B256) -> Result<Bytes, StateError>;
}

/// The state could not be read; the text says why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct StateError(pub String);

/// A new canonical head, as the engine announces it.
#[derive(Clone)]
pub struct HeadUpdate {
    /// The head.
    pub header: SealedHeader,
    /// Rules at the head's timestamp.
    pub spec: OpSpecId,
    /// Base fee of the block that would follow, in wei.
    pub next_base_fee: u64,
    /// Fee parameters after the head's L1-attributes deposit.
    pub l1: L1BlockInfo,
    /// State after the head.
    pub state: Arc<dyn PoolState>,
    /// Transactions of blocks that the new chain took back, in order of execution. Those that it
    /// includes again need not be left out.
    pub reverted: Vec<Recovered<OpTxEnvelope>>,
    /// Every account that the head changed, as it is now. Read only if the head's parent is the
    /// head before; otherwise the pool looks all its senders up.
    pub changed_accounts: AddressMap<PoolAccount>,
}

impl fmt::Debug for HeadUpdate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HeadUpdate")
            .field("number", &self.header.number)
            .field("hash", &self.header.hash())
            .field("spec", &self.spec)
            .field("next_base_fee", &self.next_base_fee)
            .field("reverted", &self.reverted.len())
            .field("changed_accounts", &self.changed_accounts.len())
            .finish_non_exhaustive()
    }
}
