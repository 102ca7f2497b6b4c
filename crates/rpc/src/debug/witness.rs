//! `debug_executionWitness`: all that a stateless client needs to execute a block.

use std::collections::{BTreeMap, BTreeSet};

use alloy_primitives::{Address, B256, Bytes, U256, keccak256, map::B256Map};
use alloy_rpc_types_debug::ExecutionWitness;
use ascribe_engine::{ProviderError, StateView};
use ascribe_evm::L2_TO_L1_MESSAGE_PASSER_ADDRESS;
use ascribe_trie::HashedPostState;
use op_alloy_consensus::OpBlock;
use reth_primitives_traits::RecoveredBlock;
use revm::{Database, DatabaseRef, bytecode::Bytecode, state::AccountInfo};

use crate::{RpcContext, RpcError, eth::block_id::BlockRef, hex::Hex, method::Registry};

pub(super) fn register(registry: &mut Registry) {
    registry.heavy("debug_executionWitness", |context, (at,): (BlockRef,)| by_ref(context, at));
    registry.heavy("debug_executionWitnessByBlockHash", |context, (Hex(hash),): (Hex<B256>,)| {
        by_ref(context, BlockRef::Hash { hash, require_canonical: false })
    });
}

fn by_ref(context: &RpcContext, at: BlockRef) -> Result<ExecutionWitness, RpcError> {
    let found = context.state_block(at)?;
    let block = context.chain.block_by_hash(found.hash)?;
    witness(context, &*block.ok_or_else(RpcError::header_not_found)?)
}

/// State as it was before the block, and a note of all that was asked of it.
#[derive(Debug)]
struct Recorder {
    state: StateView,
    touched: BTreeMap<Address, BTreeSet<U256>>,
    codes: BTreeMap<B256, Bytes>,
    /// The oldest block whose hash was asked for.
    oldest: Option<u64>,
}

impl Database for Recorder {
    type Error = ProviderError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        self.touched.entry(address).or_default();
        let mut info = self.state.basic_ref(address)?;
        // Code is to be asked for by its hash, so that it is noted only where it was needed.
        if let Some(info) = &mut info {
            info.code = None;
        }
        Ok(info)
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Self::Error> {
        let code = self.state.code_by_hash_ref(code_hash)?;
        self.codes.entry(code_hash).or_insert_with(|| code.original_bytes());
        Ok(code)
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, Self::Error> {
        self.touched.entry(address).or_default().insert(slot);
        self.state.storage_ref(address, slot)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Self::Error> {
        self.oldest = Some(self.oldest.map_or(number, |oldest| oldest.min(number)));
        self.state.block_hash_ref(number)
    }
}

/// Executes a block again and gathers the nodes, codes, keys and headers that it takes.
fn witness(
    context: &RpcContext,
    block: &RecoveredBlock<OpBlock>,
) -> Result<ExecutionWitness, RpcError> {
    let header = block.header();
    if header.number == 0 {
        return Err(RpcError::server("genesis block has no parent to execute on"));
    }
    let state = context.chain.state_at(header.parent_hash)?;
    let mut recorder = Recorder {
        state: state.clone(),
        touched: BTreeMap::new(),
        codes: BTreeMap::new(),
        oldest: None,
    };
    let output = context
        .evm
        .execute(&mut recorder, block)
        .map_err(|error| RpcError::server(error.to_string()))?;
    let Recorder { mut touched, codes, oldest, .. } = recorder;
    // Its storage root is part of the header.
    touched.entry(L2_TO_L1_MESSAGE_PASSER_ADDRESS).or_default();

    let hashed: B256Map<_> = touched
        .iter()
        .map(|(address, slots)| {
            let slots = slots.iter().map(|slot| keccak256(B256::from(*slot))).collect();
            (keccak256(address), slots)
        })
        .collect();
    let changes = HashedPostState::from_bundle(&output.bundle);
    let nodes = ascribe_trie::witness(&state, state.state_root(), &hashed, &changes)
        .map_err(|error| RpcError::internal(error.to_string()))?;

    let parent = header.number - 1;
    let mut headers = Vec::new();
    let mut at = header.parent_hash;
    for number in (oldest.unwrap_or(parent).min(parent)..=parent).rev() {
        let ancestor = context
            .chain
            .header_by_hash(at)?
            .ok_or_else(|| RpcError::internal(format!("header of ancestor {number} is missing")))?;
        headers.push(Bytes::from(alloy_rlp::encode(ancestor.header())));
        at = ancestor.parent_hash;
    }
    headers.reverse();

    let keys = touched.into_iter().flat_map(|(address, slots)| {
        let slots = slots.into_iter().map(|slot| Bytes::from(B256::from(slot)));
        std::iter::once(Bytes::from(address.0.0)).chain(slots)
    });
    Ok(ExecutionWitness {
        state: nodes,
        codes: codes.into_values().collect(),
        keys: keys.collect(),
        headers,
    })
}
