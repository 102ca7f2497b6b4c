//! Looks into state: `debug_storageRangeAt`, `debug_accountRange`, `debug_intermediateRoots`.
//!
//! State is keyed by hash and nobody keeps what the hashes are of, so that keys are told as hashes
//! alone, as geth tells them when it runs without preimages.

use std::collections::BTreeMap;
use std::sync::Arc;

use alloy_primitives::{Address, B256, Bytes, U256, hex, keccak256};
use ascribe_engine::StateView;
use ascribe_trie::{
    Child, HashedPostState, Nibbles, Node, NodeView, TrieReadError, TrieReader, state_root,
};
use revm::database::states::bundle_state::BundleRetention;
use serde::Serialize;

use super::{options::TraceOptions, replay::Replay, stack, trace};
use crate::{RpcContext, RpcError, eth::block_id::BlockRef, hex::Hex, method::Registry};

/// As many slots as one call may ask for.
const MOST_SLOTS: usize = 10_000;
/// As many accounts as one call may ask for: geth's limit.
const MOST_ACCOUNTS: usize = 256;

pub(super) fn register(registry: &mut Registry) {
    registry.heavy("debug_storageRangeAt", storage_range);
    registry.heavy("debug_accountRange", account_range);
    registry.waiting(
        "debug_intermediateRoots",
        |context: Arc<RpcContext>, (Hex(hash), _options): (Hex<B256>, Option<TraceOptions>)| async move {
            let shared = context.clone();
            stack::run(&shared, move |_| intermediate_roots(&context, hash)).await
        },
    );
}

/// The leaves of a trie from a key on, in order.
struct Leaves<F> {
    node: F,
    start: Nibbles,
    /// What is still to be visited, next last.
    todo: Vec<Todo>,
}

enum Todo {
    Node(Nibbles),
    Leaf(B256),
}

impl<F: Fn(&Nibbles) -> Result<Option<Node>, TrieReadError>> Leaves<F> {
    fn new(node: F, start: B256) -> Self {
        Self { node, start: Nibbles::unpack(start), todo: vec![Todo::Node(Nibbles::new())] }
    }

    /// Plans to visit a leaf, unless it comes before the start.
    fn leaf(&mut self, key: B256) {
        if Nibbles::unpack(key) >= self.start {
            self.todo.push(Todo::Leaf(key));
        }
    }

    /// Plans to visit a node, unless all below it comes before the start.
    fn inner(&mut self, path: Nibbles) {
        if path >= self.start.slice(..path.len()) {
            self.todo.push(Todo::Node(path));
        }
    }

    fn next(&mut self) -> Result<Option<B256>, TrieReadError> {
        while let Some(todo) = self.todo.pop() {
            let path = match todo {
                Todo::Leaf(key) => return Ok(Some(key)),
                Todo::Node(path) => path,
            };
            let Some(node) = (self.node)(&path)? else { continue };
            match node.view() {
                NodeView::Leaf { key } => self.leaf(key),
                NodeView::Extension(extension) => self.inner(path.join(&extension.key())),
                NodeView::Branch(branch) => {
                    // From the last child to the first, as the stack gives them back.
                    let mut children: Vec<_> = branch.children().collect();
                    children.reverse();
                    for (nibble, child) in children {
                        match child {
                            Child::Leaf { key, .. } => self.leaf(key),
                            Child::Node(_) => {
                                let mut path = path;
                                path.push(nibble);
                                self.inner(path);
                            }
                        }
                    }
                }
            }
        }
        Ok(None)
    }
}

/// A key that a range starts with: what is not said is zero.
fn start_key(bytes: &Bytes) -> B256 {
    let length = bytes.len().min(32);
    B256::right_padding_from(&bytes[..length])
}

fn broken(error: TrieReadError) -> RpcError {
    RpcError::internal(error.to_string())
}

#[derive(Debug, Serialize)]
struct StorageEntry {
    /// Not known.
    key: Option<B256>,
    value: B256,
}

/// Slots of an account by the hash of their keys.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct StorageRange {
    storage: Option<BTreeMap<B256, StorageEntry>>,
    next_key: Option<B256>,
}

/// The storage of an account before a block. As in geth, it does not show what the block's
/// transactions before `index` changed, although they are asked for.
fn storage_range(
    context: &RpcContext,
    (at, index, Hex(address), Hex(start), most): (BlockRef, usize, Hex<Address>, Hex<Bytes>, usize),
) -> Result<StorageRange, RpcError> {
    let found = context.state_block(at)?;
    let block = context.chain.block_by_hash(found.hash)?;
    let block = block.ok_or_else(RpcError::header_not_found)?;
    if found.number == 0 {
        return Err(RpcError::server("no transaction in genesis"));
    }
    let transactions = block.body().transactions.len();
    if index >= transactions && !(index == 0 && transactions == 0) {
        return Err(RpcError::server(format!(
            "transaction index {index} out of range for block {}",
            found.hash
        )));
    }
    let state = context.chain.state_at(block.header().parent_hash)?;
    state.require_trie()?;
    let account = keccak256(address);
    let mut leaves = Leaves::new(|path| state.storage_node(account, path), start_key(&start));
    let mut storage = BTreeMap::new();
    let mut next_key = leaves.next().map_err(broken)?;
    let exists = next_key.is_some() || !start.is_empty();
    while storage.len() < most.min(MOST_SLOTS)
        && let Some(key) = next_key
    {
        let value = TrieReader::storage(&state, account, key).map_err(broken)?;
        storage.insert(key, StorageEntry { key: None, value: value.into() });
        next_key = leaves.next().map_err(broken)?;
    }
    Ok(StorageRange { storage: exists.then_some(storage), next_key })
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct DumpedAccount {
    /// In wei, decimal.
    balance: String,
    nonce: u64,
    root: B256,
    code_hash: B256,
    #[serde(skip_serializing_if = "Option::is_none")]
    code: Option<Bytes>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    storage: BTreeMap<B256, String>,
    key: B256,
}

/// Accounts by `pre(<hash of the address>)`.
#[derive(Debug, Serialize)]
struct Dump {
    /// Hexadecimal without prefix.
    root: String,
    accounts: BTreeMap<String, DumpedAccount>,
    #[serde(skip_serializing_if = "Option::is_none")]
    next: Option<B256>,
}

type AccountRange = (BlockRef, Hex<Bytes>, usize, bool, bool, bool);

/// The accounts after a block. Those of unknown address, which are all, only if asked for.
fn account_range(
    context: &RpcContext,
    (at, Hex(start), most, no_code, no_storage, incompletes): AccountRange,
) -> Result<Dump, RpcError> {
    let found = context.state_block(at)?;
    let state = context.chain.state_at(found.hash)?;
    state.require_trie()?;
    let mut dump =
        Dump { root: hex::encode(state.state_root()), accounts: BTreeMap::new(), next: None };
    if !incompletes {
        return Ok(dump);
    }
    let most = if (1..=MOST_ACCOUNTS).contains(&most) { most } else { MOST_ACCOUNTS };
    let mut leaves = Leaves::new(|path| state.account_node(path), start_key(&start));
    let mut slots = MOST_SLOTS;
    while let Some(key) = leaves.next().map_err(broken)? {
        if dump.accounts.len() == most || slots == 0 {
            dump.next = Some(key);
            break;
        }
        let account = dumped(&state, key, no_code, no_storage, &mut slots)?;
        dump.accounts.insert(format!("pre({key})"), account);
    }
    Ok(dump)
}

fn dumped(
    state: &StateView,
    key: B256,
    no_code: bool,
    no_storage: bool,
    slots: &mut usize,
) -> Result<DumpedAccount, RpcError> {
    let account = TrieReader::account(state, key).map_err(broken)?.unwrap_or_default();
    let code = (!no_code).then(|| state.bytecode(account.code_hash)).transpose()?;
    let mut storage = BTreeMap::new();
    if !no_storage {
        let mut leaves = Leaves::new(|path| state.storage_node(key, path), B256::ZERO);
        while *slots > 0
            && let Some(slot) = leaves.next().map_err(broken)?
        {
            let value: U256 = TrieReader::storage(state, key, slot).map_err(broken)?;
            storage.insert(slot, format!("{value:x}"));
            *slots -= 1;
        }
    }
    Ok(DumpedAccount {
        balance: account.balance.to_string(),
        nonce: account.nonce,
        root: account.storage_root,
        code_hash: account.code_hash,
        code: code.map(|code| code.original_bytes()).filter(|code| !code.is_empty()),
        storage,
        key,
    })
}

/// The state root after each transaction of a block.
fn intermediate_roots(context: &RpcContext, hash: B256) -> Result<Vec<B256>, RpcError> {
    let block = trace::block_by_hash(context, hash)?;
    if block.header().number == 0 {
        return Err(trace::not_traceable());
    }
    let parent = context.chain.state_at(block.header().parent_hash)?;
    let mut replay = Replay::new(context, &block)?;
    let roots = (1..=block.body().transactions.len()).map(|transactions| {
        replay.run_to(transactions)?;
        let state = replay.state_mut();
        state.merge_transitions(BundleRetention::PlainState);
        let changes = HashedPostState::from_bundle(&state.bundle_state);
        state_root(&parent, parent.state_root(), &changes)
            .map(|output| output.state_root)
            .map_err(|error| RpcError::internal(error.to_string()))
    });
    roots.collect()
}
