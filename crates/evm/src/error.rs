//! What can be wrong with a block or a transaction, and what can go wrong in this node.

use crate::l1_fee::FootprintScalarError;
use alloy_primitives::{B256, Bloom, Bytes};
use op_revm::OpTransactionError;
use revm::context::result::InvalidTransaction;

/// A transaction that can be in no block on top of this state.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum InvalidTx {
    /// The EVM refuses it: nonce, balance, fees, intrinsic gas, type not yet active …
    #[error(transparent)]
    Rejected(#[from] OpTransactionError),
    /// A signature that nobody can have made.
    #[error("invalid transaction v, r, s values")]
    Signature,
    /// A type that is reserved (`0x7D`) and not part of any active fork.
    #[error("transaction type not supported: received type {0}")]
    UnsupportedType(u8),
    /// From Jovian on the first transaction of a block is the L1-attributes deposit.
    #[error("missing deposit transaction")]
    MissingL1Attributes,
    /// The first transaction is a deposit, but not one with a Jovian block's L1 attributes.
    #[error(transparent)]
    L1Attributes(#[from] FootprintScalarError),
}

impl InvalidTx {
    /// The nonce was used already. Whoever picks transactions drops this one and goes on with the
    /// sender's next, where any other reason condemns those that follow as well.
    pub const fn is_nonce_too_low(&self) -> bool {
        matches!(
            self,
            Self::Rejected(OpTransactionError::Base(InvalidTransaction::NonceTooLow { .. }))
        )
    }
}

/// A transaction that may be good, but not in what is left of this block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BlockFull {
    /// Its gas limit is above the gas that is left.
    #[error("transaction gas limit {gas_limit} is more than blocks available gas {available}")]
    Gas {
        /// The transaction's gas limit.
        gas_limit: u64,
        /// The block's gas limit less the gas used so far.
        available: u64,
    },
    /// Its DA footprint is above what is left (Jovian).
    #[error(
        "transaction DA footprint {footprint} is more than blocks available DA footprint {available}"
    )]
    DaFootprint {
        /// The transaction's DA footprint, in gas.
        footprint: u64,
        /// The block's gas limit less the footprint so far.
        available: u64,
    },
    /// The block that activates Jovian holds deposits only.
    #[error("unexpected non-deposit transactions in Jovian activation block")]
    ActivationBlock,
}

/// This node failed; nothing is said about the block.
#[derive(Debug, thiserror::Error)]
pub enum FatalError {
    /// State could not be read.
    #[error("failed to read state: {0}")]
    Database(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The EVM gave up for a reason that is no transaction's fault.
    #[error("EVM internal error: {0}")]
    Evm(String),
}

impl FatalError {
    pub(crate) fn database(error: impl std::error::Error + Send + Sync + 'static) -> Self {
        Self::Database(Box::new(error))
    }
}

/// Why a transaction did not get into the block being built.
#[derive(Debug, thiserror::Error)]
pub enum PushError {
    /// Skip it: it is invalid here.
    #[error(transparent)]
    Invalid(#[from] InvalidTx),
    /// Skip it for this block.
    #[error(transparent)]
    BlockFull(#[from] BlockFull),
    /// Give up building.
    #[error(transparent)]
    Fatal(#[from] FatalError),
}

/// Why a block was not executed to its end.
#[derive(Debug, thiserror::Error)]
pub enum ExecutionError {
    /// The block is invalid, here and on every other node.
    #[error(transparent)]
    Invalid(#[from] ConsensusError),
    /// This node failed.
    #[error(transparent)]
    Fatal(#[from] FatalError),
}

/// A rule of the chain that a block breaks. The texts are what `validationError` says.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[allow(missing_docs, reason = "the fields are `got` and `expected` of what the text names")]
pub enum ConsensusError {
    /// The parent hash is not the parent's hash.
    #[error("mismatched parent hash: got {got}, expected {expected}")]
    ParentHash { got: B256, expected: B256 },
    /// The number does not follow the parent's.
    #[error("block number {number} does not match parent block number {parent}")]
    Number { number: u64, parent: u64 },
    /// The timestamp is not after the parent's.
    #[error("block timestamp {timestamp} is in the past compared to the parent timestamp {parent}")]
    Timestamp { timestamp: u64, parent: u64 },
    /// The gas limit is above 2^63 - 1.
    #[error("invalid gasLimit: have {0}, max 9223372036854775807")]
    GasLimit(u64),
    /// More gas used than the limit allows.
    #[error("block used gas ({gas_used}) is greater than gas limit ({gas_limit})")]
    GasUsedAboveLimit { gas_used: u64, gas_limit: u64 },
    /// Proof-of-work difficulty after the merge.
    #[error("difficulty after merge is not zero")]
    Difficulty,
    /// Proof-of-work nonce after the merge.
    #[error("nonce after merge is not zero")]
    Nonce,
    /// Ommers after the merge.
    #[error("ommers hash after merge is not empty")]
    Ommers,
    /// More than 32 bytes.
    #[error("extra data {len} exceeds max length")]
    ExtraDataLength { len: usize },
    /// Not the EIP-1559 parameters of the fork.
    #[error("invalid extraData {extra_data}: {reason}")]
    ExtraData { extra_data: Bytes, reason: String },
    /// The parent's header does not yield a base fee.
    #[error("could not compute the base fee from the parent header: {0}")]
    BaseFeeUnknown(String),
    /// No base fee.
    #[error("base fee missing")]
    BaseFeeMissing,
    /// Not the base fee that follows from the parent.
    #[error("block base fee mismatch: got {got}, expected {expected}")]
    BaseFee { got: u64, expected: u64 },
    /// A header field that its fork demands is missing.
    #[error("missing {field}, required from {fork} on")]
    FieldMissing { field: &'static str, fork: &'static str },
    /// A header field of a later fork, or of no OP fork.
    #[error("unexpected {0}")]
    FieldUnexpected(&'static str),
    /// `blobGasUsed` before Jovian, and `excessBlobGas` always, is 0.
    #[error("{field} must be zero, got {got}")]
    FieldNotZero { field: &'static str, got: u64 },
    /// The DA footprint is bounded as gas is (Jovian).
    #[error("DA footprint {footprint} is greater than gas limit {gas_limit}")]
    DaFootprintAboveLimit { footprint: u64, gas_limit: u64 },
    /// The EIP-7685 requests of an OP block are empty.
    #[error("mismatched block requests hash: got {got}, expected {expected}")]
    RequestsHash { got: B256, expected: B256 },
    /// Canyon to Granite: the root of an empty list. From Isthmus: the message passer's storage.
    #[error("mismatched block withdrawals root: got {got}, expected {expected}")]
    WithdrawalsRoot { got: B256, expected: B256 },
    /// The withdrawals list of an OP block is empty.
    #[error("withdrawals must be empty, got {0}")]
    WithdrawalsNotEmpty(usize),
    /// The body is not the header's.
    #[error("mismatched block transaction root: got {got}, expected {expected}")]
    TransactionsRoot { got: B256, expected: B256 },
    /// A transaction is invalid.
    #[error("could not apply tx {index} [{hash}]: {reason}")]
    Transaction {
        index: usize,
        hash: B256,
        #[source]
        reason: InvalidTx,
    },
    /// A transaction does not fit into the block.
    #[error("could not apply tx {index} [{hash}]: {reason}")]
    TransactionDoesNotFit {
        index: usize,
        hash: B256,
        #[source]
        reason: BlockFull,
    },
    /// From Jovian on a block starts with the L1-attributes deposit.
    #[error("missing deposit transaction")]
    MissingL1Attributes,
    /// EIP-4788 needs the root.
    #[error("missing parent beacon block root")]
    MissingParentBeaconBlockRoot,
    /// The gas used by execution differs.
    #[error("block gas used mismatch: got {got}, expected {expected}")]
    GasUsed { got: u64, expected: u64 },
    /// The DA footprint (0 before Jovian) differs.
    #[error("blob gas used mismatch: got {got}, expected {expected}")]
    BlobGasUsed { got: u64, expected: u64 },
    /// The receipts differ.
    #[error("receipt root mismatch: got {got}, expected {expected}")]
    ReceiptsRoot { got: B256, expected: B256 },
    /// The bloom differs.
    #[error("header bloom filter mismatch: got {got}, expected {expected}")]
    LogsBloom { got: Box<Bloom>, expected: Box<Bloom> },
    /// The state differs.
    #[error("mismatched block state root: got {got}, expected {expected}")]
    StateRoot { got: B256, expected: B256 },
}
