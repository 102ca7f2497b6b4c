//! Output roots: what a proposer writes to L1 about an L2 block.

use alloy_consensus::Transaction;
use alloy_primitives::{B256, keccak256};
use ascribe_evm::L2_TO_L1_MESSAGE_PASSER_ADDRESS;
use ascribe_trie::EMPTY_ROOT_HASH;
use op_alloy_consensus::{OpBlock, OpTxEnvelope};
use reth_primitives_traits::RecoveredBlock;
use serde::Serialize;

use super::{BlockId, L2BlockRef, RollupNode, SyncStatus};
use crate::{RpcContext, RpcError};

/// The answer to `optimism_outputAtBlock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct OutputResponse {
    /// Always zero.
    pub version: B256,
    /// keccak256 of version, state root, the message passer's storage root and block hash.
    pub output_root: B256,
    /// The block.
    pub block_ref: L2BlockRef,
    /// Storage root of the `L2ToL1MessagePasser`.
    pub withdrawal_storage_root: B256,
    /// State root after the block.
    pub state_root: B256,
    /// Where the node stands.
    pub sync_status: SyncStatus,
}

/// The output root of version 0 (specs: `proposals.md`).
fn output_root(state_root: B256, withdrawal_storage_root: B256, block_hash: B256) -> B256 {
    let mut preimage = [0; 128];
    preimage[32..64].copy_from_slice(&state_root[..]);
    preimage[64..96].copy_from_slice(&withdrawal_storage_root[..]);
    preimage[96..].copy_from_slice(&block_hash[..]);
    keccak256(preimage)
}

pub(super) fn at(
    context: &RpcContext,
    rollup: &RollupNode,
    number: u64,
) -> Result<OutputResponse, RpcError> {
    let missing = |what: &str| {
        RpcError::server(format!("failed to get L2 block ref with sync status: {what}"))
    };
    let sync_status = rollup.api.sync_status();
    let block = context.chain.block_by_number(number)?.ok_or_else(|| missing("not found"))?;
    let block_ref = if number == rollup.genesis_l2 {
        L2BlockRef { l1_origin: rollup.genesis_l1.into(), ..plain_ref(&block) }
    } else {
        l2_block_ref(&block)
            .ok_or_else(|| missing("first transaction in block is no L1 attributes deposit"))?
    };
    let withdrawal_storage_root = match block.header().withdrawals_root {
        // Before Isthmus it is the root of the empty list, or not there.
        Some(root) if block.header().requests_hash.is_some() => root,
        _ => context
            .chain
            .state_at(block.hash())?
            .trie_account(L2_TO_L1_MESSAGE_PASSER_ADDRESS)?
            .map_or(EMPTY_ROOT_HASH, |account| account.storage_root),
    };
    let state_root = block.header().state_root;
    Ok(OutputResponse {
        version: B256::ZERO,
        output_root: output_root(state_root, withdrawal_storage_root, block.hash()),
        block_ref,
        withdrawal_storage_root,
        state_root,
        sync_status,
    })
}

/// A block without where it stands on L1.
fn plain_ref(block: &RecoveredBlock<OpBlock>) -> L2BlockRef {
    L2BlockRef {
        hash: block.hash(),
        number: block.header().number,
        parent_hash: block.header().parent_hash,
        timestamp: block.header().timestamp,
        ..L2BlockRef::default()
    }
}

/// A block with where it stands on L1, as its L1-attributes deposit says. Nothing for a block
/// without one: the genesis block.
pub fn l2_block_ref(block: &RecoveredBlock<OpBlock>) -> Option<L2BlockRef> {
    let attributes = match block.body().transactions.first()? {
        OpTxEnvelope::Deposit(deposit) => deposit.input(),
        _ => return None,
    };
    let (l1_origin, sequence_number) = l1_origin(attributes)?;
    Some(L2BlockRef { l1_origin, sequence_number, ..plain_ref(block) })
}

/// The origin and the sequence number in the calldata of an L1-attributes deposit of any fork.
fn l1_origin(calldata: &[u8]) -> Option<(BlockId, u64)> {
    let (selector, arguments) = calldata.split_first_chunk::<4>()?;
    let number_at =
        |at: usize| Some(u64::from_be_bytes(arguments.get(at..at + 8)?.try_into().ok()?));
    let hash_at = |at: usize| Some(B256::from_slice(arguments.get(at..at + 32)?));
    match *selector {
        // Bedrock: ABI words number, time, base fee, hash, sequence number, …
        [0x01, 0x5d, 0x8e, 0xb9] => {
            Some((BlockId { number: number_at(24)?, hash: hash_at(96)? }, number_at(152)?))
        }
        // Ecotone, Isthmus, Jovian: packed.
        [0x44, 0x0a, 0x5e, 0x20] | [0x09, 0x89, 0x99, 0xbe] | [0x3d, 0xb6, 0xbe, 0x2b] => {
            Some((BlockId { number: number_at(24)?, hash: hash_at(96)? }, number_at(8)?))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use alloy_primitives::{b256, hex};

    #[test]
    fn root_of_known_output() {
        // OP Sepolia's message passer was empty at genesis: the root of zeros is a constant.
        let root = output_root(B256::ZERO, B256::ZERO, B256::ZERO);
        assert_eq!(root, keccak256([0; 128]));
        let one = output_root(B256::repeat_byte(1), B256::repeat_byte(2), B256::repeat_byte(3));
        let preimage = [[0; 32], [1; 32], [2; 32], [3; 32]].concat();
        assert_eq!(one, keccak256(preimage));
    }

    #[test]
    fn origins_of_every_format() {
        // Block 1 of an OP chain after Ecotone, from op-alloy's public example.
        let ecotone = hex!(
            "440a5e20000f424000000000000000000000000300000000670d6d890000000000000125000000000000000000000000000000000000000000000000000000000000000700000000000000000000000000000000000000000000000000000000000000014bf9181db6e381d4384bbf69c48b0ee0eed23c6ca26143c6d2544f9d39997a590000000000000000000000007f83d659683caf2767fd3c720981d51f5bc365bc"
        );
        let hash = b256!("4bf9181db6e381d4384bbf69c48b0ee0eed23c6ca26143c6d2544f9d39997a59");
        assert_eq!(l1_origin(&ecotone), Some((BlockId { number: 0x125, hash }, 3)));
        for selector in [[0x09, 0x89, 0x99, 0xbe], [0x3d, 0xb6, 0xbe, 0x2b]] {
            let mut later = ecotone.to_vec();
            later[..4].copy_from_slice(&selector);
            assert_eq!(l1_origin(&later), Some((BlockId { number: 0x125, hash }, 3)));
        }

        let mut bedrock = vec![0x01, 0x5d, 0x8e, 0xb9];
        for word in [7_u8, 8, 9] {
            bedrock.extend([0; 31]);
            bedrock.push(word);
        }
        bedrock.extend(hash.0);
        bedrock.extend([0; 31]);
        bedrock.push(5);
        assert_eq!(l1_origin(&bedrock), Some((BlockId { number: 7, hash }, 5)));

        assert_eq!(l1_origin(&[]), None);
        assert_eq!(l1_origin(&[1, 2, 3, 4]), None);
        assert_eq!(l1_origin(&ecotone[..100]), None);
    }
}
