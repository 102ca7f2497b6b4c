//! Puts a built block's header together.

use crate::BuiltParts;
use alloy_consensus::{
    EMPTY_OMMER_ROOT_HASH, Header, constants::EMPTY_WITHDRAWALS, proofs::ordered_trie_root_encoded,
};
use alloy_eips::Encodable2718;
use alloy_op_hardforks::OpHardforks;
use alloy_primitives::{B64, B256, Bloom, U256};
use op_alloy_consensus::OpTxEnvelope;
use rayon::prelude::*;

/// Below this many transactions, handing them to other threads costs more than it gains.
const PARALLEL_THRESHOLD: usize = 64;

/// The hashes over a block's contents and the state after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeaderRoots {
    /// Root of the state after the block.
    pub state_root: B256,
    /// See [`transactions_root`].
    pub transactions_root: B256,
    /// See [`crate::receipts_root_and_bloom`].
    pub receipts_root: B256,
    /// See [`crate::receipts_root_and_bloom`].
    pub logs_bloom: Bloom,
    /// Storage root of the `L2ToL1MessagePasser` after the block, which Isthmus puts into the
    /// header; not looked at before.
    pub message_passer_root: B256,
}

/// The header of a built block, for every fork from Bedrock on.
pub fn assemble_header(spec: impl OpHardforks, parts: &BuiltParts, roots: &HeaderRoots) -> Header {
    let timestamp = parts.next.timestamp;
    let ecotone = spec.is_ecotone_active_at_timestamp(timestamp);
    let withdrawals_root = if spec.is_isthmus_active_at_timestamp(timestamp) {
        Some(roots.message_passer_root)
    } else {
        spec.is_canyon_active_at_timestamp(timestamp).then_some(EMPTY_WITHDRAWALS)
    };
    Header {
        parent_hash: parts.parent_hash,
        ommers_hash: EMPTY_OMMER_ROOT_HASH,
        beneficiary: parts.next.fee_recipient,
        state_root: roots.state_root,
        transactions_root: roots.transactions_root,
        receipts_root: roots.receipts_root,
        logs_bloom: roots.logs_bloom,
        difficulty: U256::ZERO,
        number: parts.number,
        gas_limit: parts.next.gas_limit,
        gas_used: parts.output.gas_used,
        timestamp,
        extra_data: parts.next.extra_data.clone(),
        mix_hash: parts.next.prev_randao,
        nonce: B64::ZERO,
        base_fee_per_gas: Some(parts.base_fee),
        withdrawals_root,
        // There are no blobs: 0 from Ecotone on, the DA footprint from Jovian on.
        blob_gas_used: ecotone.then_some(parts.output.blob_gas_used),
        excess_blob_gas: ecotone.then_some(0),
        parent_beacon_block_root: parts.next.parent_beacon_block_root.filter(|_| ecotone),
        requests_hash: parts.output.requests_hash,
        ..Header::default()
    }
}

/// The header's transactions root, encoding on all cores.
pub fn transactions_root(transactions: &[OpTxEnvelope]) -> B256 {
    let encoded: Vec<_> = if transactions.len() < PARALLEL_THRESHOLD {
        transactions.iter().map(Encodable2718::encoded_2718).collect()
    } else {
        transactions.par_iter().map(Encodable2718::encoded_2718).collect()
    };
    ordered_trie_root_encoded(&encoded)
}
