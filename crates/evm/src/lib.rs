#![doc = include_str!("../README.md")]

mod assemble;
mod attribution;
mod builder;
mod bundle;
mod canyon;
mod config;
mod error;
mod evm;
mod executor;
mod factory;
mod fastlz;
pub mod l1_fee;
mod precompiles;
mod receipts;
mod settled;
#[cfg(test)]
mod test_chain;
mod validate;

pub use assemble::{HeaderRoots, assemble_header, transactions_root};
pub use attribution::attribution;
pub use builder::{BlockBuilder, BuiltParts, PushedTx};
pub use config::{EvmConfig, ExecutionOutput, NextBlock, TxSender, op_spec_id};
pub use error::{BlockFull, ConsensusError, ExecutionError, FatalError, InvalidTx, PushError};
pub use evm::AscribeEvm;
pub use factory::{AscribeEvmFactory, ScheduledPrecompile};
pub use l1_fee::{EstimatedSize, FootprintScalarError};
pub use precompiles::{KARST_BN254_PAIR_MAX_INPUT_SIZE, precompiles};
pub use receipts::receipts_root_and_bloom;
pub use validate::{
    validate_block_pre_execution, validate_body_against_header, validate_header,
    validate_post_execution, validate_state_root, validate_withdrawals_root,
};

pub use alloy_evm::{EvmEnv, EvmFactory};
pub use alloy_op_evm::OpTx;
pub use op_revm::{L1BlockInfo, OpHaltReason, OpSpecId, OpTransactionError};

/// `L2ToL1MessagePasser`: from Isthmus on its storage root is the header's `withdrawalsRoot`.
pub use op_alloy_consensus::predeploys::L2_TO_L1_MESSAGE_PASSER_ADDRESS;
