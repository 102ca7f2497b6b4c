//! What the pool holds, and what it asks of a transaction.

use alloy_primitives::Address;
use std::{collections::HashSet, time::Duration};

/// `--txpool.{pending,basefee,queued}-max-count`
pub const SUB_POOL_MAX_COUNT: usize = 10_000;
/// `--txpool.{pending,basefee,queued}-max-size`, in megabytes of 2^20 bytes.
pub const SUB_POOL_MAX_SIZE_MB: usize = 20;
/// `--txpool.max-account-slots`
pub const MAX_ACCOUNT_SLOTS: usize = 16;
/// `--txpool.pricebump`, in percent.
pub const PRICE_BUMP: u128 = 10;
/// `--txpool.minimal-protocol-fee`, in wei.
pub const MINIMAL_PROTOCOL_FEE: u64 = 7;
/// `--txpool.minimum-priority-fee`, in wei (op-geth's `--txpool.pricelimit`).
pub const MINIMUM_PRIORITY_FEE: u128 = 1;
/// `--txpool.lifetime`, in seconds.
pub const LIFETIME_SECS: u64 = 10_800;
/// `--txpool.max-tx-input-bytes`: the encoded size of a transaction, at most.
pub const MAX_TX_SIZE: usize = 128 * 1024;
/// `--txpool.max-new-pending-txs-notifications`: how far a subscriber may lag behind.
pub const MAX_PENDING_NOTIFICATIONS: usize = 4_096;

/// The bounds of one of the pool's three parts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SubPoolLimit {
    /// Transactions, at most.
    pub max_count: usize,
    /// Bytes in memory, at most.
    pub max_bytes: usize,
}

impl SubPoolLimit {
    /// A bound of `max_count` transactions and `max_mb` times 2^20 bytes.
    pub const fn new(max_count: usize, max_mb: usize) -> Self {
        Self { max_count, max_bytes: max_mb.saturating_mul(1 << 20) }
    }
}

impl Default for SubPoolLimit {
    fn default() -> Self {
        Self::new(SUB_POOL_MAX_COUNT, SUB_POOL_MAX_SIZE_MB)
    }
}

/// Settings of the pool. Names and defaults are those of op-reth's `--txpool.*` flags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PoolConfig {
    /// Bound of the transactions that the next block could hold.
    pub pending: SubPoolLimit,
    /// Bound of those whose nonce is next but whose fee cap is below the next block's base fee.
    pub basefee: SubPoolLimit,
    /// Bound of those behind a gap in their sender's nonces.
    pub queued: SubPoolLimit,
    /// Slots an account may fill before it is the first to lose transactions when the pool is
    /// full.
    pub max_account_slots: usize,
    /// By how many percent a replacement must raise both the fee cap and the tip.
    pub price_bump: u128,
    /// Fee caps below this many wei are refused: no base fee ever falls so low.
    pub minimal_protocol_fee: u64,
    /// Least tip, in wei.
    pub minimum_priority_fee: u128,
    /// How long a transaction may wait behind a gap.
    pub lifetime: Duration,
    /// Encoded size of a transaction, at most.
    pub max_tx_size: usize,
    /// Gas limit of a transaction, at most, whatever the block's (`--txpool.max-tx-gas`).
    pub max_tx_gas_limit: Option<u64>,
    /// Accounts whose transactions are local wherever they come from (`--txpool.locals`).
    pub local_addresses: HashSet<Address>,
    /// Treats no transaction as local (`--txpool.nolocals`).
    pub no_locals: bool,
    /// How many new pending transactions a subscriber may be behind.
    pub max_pending_notifications: usize,
}

impl PoolConfig {
    /// Whether a transaction of `sender` is local: it is evicted last and never expires.
    pub fn is_local(&self, origin: TransactionOrigin, sender: &Address) -> bool {
        !self.no_locals
            && (origin == TransactionOrigin::Local || self.local_addresses.contains(sender))
    }
}

impl Default for PoolConfig {
    fn default() -> Self {
        Self {
            pending: SubPoolLimit::default(),
            basefee: SubPoolLimit::default(),
            queued: SubPoolLimit::default(),
            max_account_slots: MAX_ACCOUNT_SLOTS,
            price_bump: PRICE_BUMP,
            minimal_protocol_fee: MINIMAL_PROTOCOL_FEE,
            minimum_priority_fee: MINIMUM_PRIORITY_FEE,
            lifetime: Duration::from_secs(LIFETIME_SECS),
            max_tx_size: MAX_TX_SIZE,
            max_tx_gas_limit: None,
            local_addresses: HashSet::new(),
            no_locals: false,
            max_pending_notifications: MAX_PENDING_NOTIFICATIONS,
        }
    }
}

/// Where a transaction came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransactionOrigin {
    /// From the operator of this node.
    Local,
    /// From anybody: the public RPC, or a block that a reorg took back.
    External,
}
