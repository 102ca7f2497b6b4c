//! Why a transaction is refused, in go-ethereum's words.

use alloy_primitives::{Address, U256};

/// A refusal. Every text is op-geth's, which wallets and scripts look for; over JSON-RPC all of
/// them carry the code −32000.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PoolError {
    /// No head was announced yet.
    #[error("transaction pool is not ready")]
    NotReady,
    /// The pool holds this very transaction.
    #[error("already known")]
    AlreadyKnown,
    /// The type byte is that of no transaction.
    #[error("transaction type not supported")]
    UnknownType,
    /// The type is known, but such transactions enter blocks another way.
    #[error("transaction type not supported: received type {0}")]
    TypeNotPooled(u8),
    /// The type is not valid before a fork.
    #[error("transaction type not supported: type {ty} rejected, pool not yet in {fork}")]
    TypeNotYetActive {
        /// EIP-2718 type.
        ty: u8,
        /// Name of the L1 fork.
        fork: &'static str,
    },
    /// No bytes, or a type byte and nothing behind it.
    #[error("typed transaction too short")]
    TypedTooShort,
    /// The bytes are not an RLP transaction.
    #[error("rlp: {0}")]
    Rlp(String),
    /// The encoding is larger than the pool takes.
    #[error("oversized data: transaction size {size}, limit {limit}")]
    Oversized {
        /// Encoded bytes.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// EIP-3860.
    #[error("max initcode size exceeded: code size {size} limit {limit}")]
    InitCodeTooLarge {
        /// Bytes of init code.
        size: usize,
        /// Bytes allowed.
        limit: usize,
    },
    /// EIP-7825.
    #[error("transaction gas limit too high (cap: {cap}, tx: {gas})")]
    GasLimitTooHigh {
        /// Gas a transaction may ask for.
        cap: u64,
        /// Gas it asks for.
        gas: u64,
    },
    /// No block can hold the transaction.
    #[error("exceeds block gas limit")]
    ExceedsBlockGasLimit,
    /// The operator's own limit.
    #[error("exceeds maximum per-transaction gas limit: transaction gas {gas}, limit {limit}")]
    ExceedsTxGasLimit {
        /// Gas it asks for.
        gas: u64,
        /// Gas allowed.
        limit: u64,
    },
    /// EIP-1559.
    #[error("max priority fee per gas higher than max fee per gas")]
    TipAboveFeeCap,
    /// Signed for another chain.
    #[error("invalid sender: invalid chain id for signer: have {have} want {want}")]
    WrongChainId {
        /// Chain id in the transaction.
        have: u64,
        /// This chain's.
        want: u64,
    },
    /// The signature is not one.
    #[error("invalid sender: invalid transaction v, r, s values")]
    InvalidSignature,
    /// EIP-2681.
    #[error("nonce has max value")]
    NonceMax,
    /// Less gas than the transaction costs before it runs.
    #[error("intrinsic gas too low: gas {gas}, minimum needed {needed}")]
    IntrinsicGas {
        /// Gas it asks for.
        gas: u64,
        /// Gas needed.
        needed: u64,
    },
    /// EIP-7623.
    #[error("insufficient gas for floor data gas cost: gas {gas}, minimum needed {needed}")]
    FloorDataGas {
        /// Gas it asks for.
        gas: u64,
        /// Gas needed.
        needed: u64,
    },
    /// The tip is below the operator's least.
    #[error("transaction gas price below minimum: gas tip cap {tip}, minimum needed {needed}")]
    TipTooLow {
        /// Wei offered.
        tip: u128,
        /// Wei needed.
        needed: u128,
    },
    /// EIP-7702.
    #[error("set code tx must have at least one authorization tuple")]
    EmptyAuthorizationList,
    /// The account has moved on.
    #[error("nonce too low: next nonce {next}, tx nonce {nonce}")]
    NonceTooLow {
        /// The account's nonce.
        next: u64,
        /// The transaction's.
        nonce: u64,
    },
    /// EIP-3607.
    #[error("sender not an eoa: address {address}, len(code): {code_len}")]
    SenderNotEoa {
        /// The contract that the signature recovers to.
        address: Address,
        /// Bytes of its code.
        code_len: usize,
    },
    /// Gas, value, L1 fee and operator fee are more than 2^256.
    #[error("insufficient funds for gas * price + value: total tx cost overflow")]
    CostOverflow,
    /// The transaction alone is too expensive.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, tx cost {cost}, overshot {}",
        cost.saturating_sub(*balance)
    )]
    InsufficientFunds {
        /// Wei the sender has.
        balance: U256,
        /// Wei the transaction may cost, L1 fee and operator fee included.
        cost: U256,
    },
    /// The transaction is too expensive on top of those already pending.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, queued cost {queued}, tx cost {cost}, overshot {}",
        queued.saturating_add(*cost).saturating_sub(*balance)
    )]
    Overdraft {
        /// Wei the sender has.
        balance: U256,
        /// Wei that its pending transactions may cost.
        queued: U256,
        /// Wei that this one may cost.
        cost: U256,
    },
    /// The replacement is too much more expensive than what it replaces.
    #[error(
        "insufficient funds for gas * price + value: balance {balance}, queued cost {queued}, tx bumped {bump}, overshot {}",
        queued.saturating_add(*bump).saturating_sub(*balance)
    )]
    ReplacementOverdraft {
        /// Wei the sender has.
        balance: U256,
        /// Wei that its pending transactions may cost.
        queued: U256,
        /// Wei that this one may cost more than the one it replaces.
        bump: U256,
    },
    /// A delegated account may not leave a gap.
    #[error("gapped-nonce tx from delegated accounts")]
    DelegatedGap,
    /// A delegated account may have one transaction at a time.
    #[error("in-flight transaction limit reached for delegated accounts")]
    DelegatedInFlight,
    /// An account with transactions in the pool cannot be delegated by another's.
    #[error("authority already reserved")]
    AuthorityReserved,
    /// The pool has the nonce already, at a price that is not far enough below.
    #[error("replacement transaction underpriced")]
    ReplacementUnderpriced,
    /// The pool is full of better transactions, or the fee cap is below the protocol's least.
    #[error("transaction underpriced")]
    Underpriced,
    /// A transaction behind a gap cannot push out one that is executable.
    #[error("future transaction tries to replace pending")]
    FutureReplacesPending,
    /// The pool is full and no room can be made.
    #[error("txpool is full")]
    Full,
    /// The state of the head could not be read.
    #[error("state not available: {0}")]
    State(String),
}
