//! State after any block: in memory, persisted, or historical.

use crate::{
    ProviderError,
    block::MemoryBlock,
    cache::{Caches, CodeCache, PlainAccount, StateCacheView},
    tree::Tree,
};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use ascribe_storage::{StorageError, StorageReader};
use ascribe_trie::{
    AccountProof, Cached, Layered, Nibbles, Node, StateLayer, TrieAccount, TrieReadError,
    TrieReader, WantedAccount, WantedNode, account_proof, state_root,
};
use parking_lot::Mutex;
use reth_primitives_traits::SealedHeader;
use revm::{
    Database, DatabaseRef, bytecode::Bytecode, primitives::KECCAK_EMPTY, state::AccountInfo,
};
use std::sync::{Arc, OnceLock};

/// Blocks below the persisted head down to which a side chain may leave. The state there is made
/// from the changes since, in memory.
pub(crate) const MAX_SIDE_DEPTH: u64 = 1024;

/// State after one block. Cheap to clone; goes on showing that state whatever the chain does.
///
/// It holds a snapshot of the database: keep it for the length of a request.
#[derive(Debug, Clone)]
pub struct StateView {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    header: SealedHeader,
    /// Executed blocks in memory down to the base, newest first.
    blocks: Vec<Arc<MemoryBlock>>,
    state: Layered<Base>,
    cache: Option<StateCacheView>,
    codes: Arc<CodeCache>,
}

impl StateView {
    /// State after an executed block. What is read enters the cross-block cache if that is at this
    /// block.
    pub(crate) fn new(tree: &Tree, hash: B256, caches: &Caches) -> Result<Self, ProviderError> {
        let header = tree.header(&hash)?.ok_or(ProviderError::UnknownBlock(hash))?;
        let (blocks, below) = tree.to_persisted(hash)?.ok_or(ProviderError::UnknownBlock(hash))?;
        let reader = tree.reader().clone();
        let head = reader.head().number;
        if below.number < reader.history_floor() {
            let floor = reader.history_floor();
            return Err(StorageError::Pruned { number: below.number, floor }.into());
        }
        if !blocks.is_empty() && head - below.number > MAX_SIDE_DEPTH {
            return Err(ProviderError::TooDeep(header.number));
        }
        let base = if below.number == head {
            Base::Head(reader)
        } else {
            Base::Past(Arc::new(Past::new(reader, below.number)))
        };
        let layers = blocks.iter().map(|block| block.executed().layer.clone()).collect();
        let cache = StateCacheView::new(&caches.state, hash);
        Ok(Self {
            inner: Arc::new(Inner {
                header,
                blocks,
                state: Layered::new(layers, base),
                cache,
                codes: caches.code.clone(),
            }),
        })
    }

    /// The block.
    pub fn header(&self) -> &SealedHeader {
        &self.inner.header
    }

    /// Root of this state.
    pub fn state_root(&self) -> B256 {
        self.inner.header.state_root
    }

    /// An account with its storage root.
    pub fn trie_account(&self, address: Address) -> Result<Option<TrieAccount>, ProviderError> {
        Ok(self.inner.state.account(keccak256(address))?)
    }

    /// Balance in wei; zero of an account that does not exist.
    pub fn balance(&self, address: Address) -> Result<U256, ProviderError> {
        Ok(self.plain_account(address)?.map_or(U256::ZERO, |account| account.balance))
    }

    /// Nonce; zero of an account that does not exist.
    pub fn nonce(&self, address: Address) -> Result<u64, ProviderError> {
        Ok(self.plain_account(address)?.map_or(0, |account| account.nonce))
    }

    /// Code of an account; empty of one that has none.
    pub fn code(&self, address: Address) -> Result<Bytes, ProviderError> {
        match self.plain_account(address)? {
            Some(account) => Ok(self.bytecode(account.code_hash)?.original_bytes()),
            None => Ok(Bytes::new()),
        }
    }

    /// Code with this hash; empty if there is none.
    pub fn bytecode(&self, hash: B256) -> Result<Bytecode, ProviderError> {
        if hash == KECCAK_EMPTY || hash.is_zero() {
            return Ok(Bytecode::default());
        }
        self.inner.codes.get_or_read(hash, || {
            let in_memory = self.inner.blocks.iter().find_map(|block| block.code(&hash)).cloned();
            let code = match in_memory {
                Some(code) => Some(code),
                None => self.inner.state.base().reader().code(hash)?,
            };
            Ok(Bytecode::new_raw(code.unwrap_or_default()))
        })
    }

    /// A storage word; zero of a slot that is not set.
    pub fn storage(&self, address: Address, slot: U256) -> Result<U256, ProviderError> {
        self.storage_of(address, || keccak256(address), slot)
    }

    fn storage_of(
        &self,
        address: Address,
        hashed: impl FnOnce() -> B256,
        slot: U256,
    ) -> Result<U256, ProviderError> {
        let read = || Ok(self.inner.state.storage(hashed(), keccak256(B256::from(slot)))?);
        match &self.inner.cache {
            Some(cache) => cache.slot(address, slot, read),
            None => read(),
        }
    }

    /// Proof of an account and slots of it (EIP-1186).
    ///
    /// At a block below the persisted head the nodes of that time are made first, from the changes
    /// since: the cost follows their number.
    pub fn proof(&self, address: Address, slots: &[B256]) -> Result<AccountProof, ProviderError> {
        self.inner.state.base().require_trie()?;
        Ok(account_proof(&self.inner.state, self.state_root(), address, slots)?)
    }

    /// Makes the trie nodes of this state readable, where they are not yet: at a block below the
    /// persisted head. Reading a node does the same.
    pub fn require_trie(&self) -> Result<(), ProviderError> {
        self.inner.state.base().require_trie()
    }

    /// Hash of this block or an ancestor; zero if the height is above.
    pub fn block_hash(&self, number: u64) -> Result<B256, ProviderError> {
        let top = self.inner.header.number;
        let Some(depth) = top.checked_sub(number) else { return Ok(B256::ZERO) };
        if depth == 0 {
            return Ok(self.inner.header.hash());
        }
        match usize::try_from(depth).ok().and_then(|depth| self.inner.blocks.get(depth)) {
            Some(block) => Ok(block.hash()),
            None => {
                let hash = self.inner.state.base().reader().canonical_hash(number)?;
                Ok(hash.unwrap_or_default())
            }
        }
    }

    pub(crate) fn plain_account(
        &self,
        address: Address,
    ) -> Result<Option<PlainAccount>, ProviderError> {
        let read = || {
            let account = self.inner.state.account(keccak256(address))?;
            Ok(account.as_ref().map(PlainAccount::from))
        };
        match &self.inner.cache {
            Some(cache) => cache.account(address, read),
            None => read(),
        }
    }

    /// This state with its trie read through the cross-block node cache.
    pub(crate) fn cached_trie(&self, caches: &Caches) -> Cached<&Self> {
        Cached::new(caches.trie.clone(), self)
    }
}

impl TrieReader for StateView {
    fn account(&self, hashed: B256) -> Result<Option<TrieAccount>, TrieReadError> {
        self.inner.state.account(hashed)
    }

    fn storage(&self, account: B256, slot: B256) -> Result<U256, TrieReadError> {
        self.inner.state.storage(account, slot)
    }

    fn account_node(&self, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        self.inner.state.account_node(path)
    }

    fn storage_node(&self, account: B256, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        self.inner.state.storage_node(account, path)
    }

    fn nodes(&self, wanted: &[WantedNode]) -> Result<Vec<Option<Node>>, TrieReadError> {
        self.inner.state.nodes(wanted)
    }

    fn accounts(
        &self,
        wanted: &[WantedAccount],
    ) -> Result<Vec<Option<TrieAccount>>, TrieReadError> {
        self.inner.state.accounts(wanted)
    }
}

impl DatabaseRef for StateView {
    type Error = ProviderError;

    fn basic_ref(&self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        Ok(self.plain_account(address)?.map(PlainAccount::into_info))
    }

    fn code_by_hash_ref(&self, code_hash: B256) -> Result<Bytecode, Self::Error> {
        self.bytecode(code_hash)
    }

    fn storage_ref(&self, address: Address, index: U256) -> Result<U256, Self::Error> {
        self.storage(address, index)
    }

    fn block_hash_ref(&self, number: u64) -> Result<B256, Self::Error> {
        self.block_hash(number)
    }
}

/// A state as a block reads it while it is executed: many slots of one account in a row, whose
/// address is hashed once.
#[derive(Debug)]
pub(crate) struct ExecutionState<'a> {
    state: &'a StateView,
    hashed: Option<(Address, B256)>,
}

impl<'a> ExecutionState<'a> {
    pub(crate) const fn new(state: &'a StateView) -> Self {
        Self { state, hashed: None }
    }
}

impl Database for ExecutionState<'_> {
    type Error = ProviderError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, Self::Error> {
        self.state.basic_ref(address)
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, Self::Error> {
        self.state.bytecode(code_hash)
    }

    fn storage(&mut self, address: Address, index: U256) -> Result<U256, Self::Error> {
        let Self { state, hashed } = self;
        let hash = || match *hashed {
            Some((last, hash)) if last == address => hash,
            _ => hashed.insert((address, keccak256(address))).1,
        };
        state.storage_of(address, hash, index)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, Self::Error> {
        self.state.block_hash(number)
    }
}

/// What lies under the blocks in memory.
#[derive(Debug, Clone)]
enum Base {
    /// The state at the persisted head.
    Head(StorageReader),
    /// The state at a persisted block below it.
    Past(Arc<Past>),
}

/// State at a persisted block below the persisted head. Leaves come from history; nodes are made
/// from the changes since, once, when first asked for.
#[derive(Debug)]
struct Past {
    reader: StorageReader,
    number: u64,
    state: OnceLock<Layered<StorageReader>>,
    /// Held while the state is made, so that it is made once.
    making: Mutex<()>,
}

impl Past {
    const fn new(reader: StorageReader, number: u64) -> Self {
        Self { reader, number, state: OnceLock::new(), making: Mutex::new(()) }
    }

    /// The state with its nodes: what changed since, undone over the persisted head.
    fn state(&self) -> Result<&Layered<StorageReader>, ProviderError> {
        if let Some(state) = self.state.get() {
            return Ok(state);
        }
        let _making = self.making.lock();
        if let Some(state) = self.state.get() {
            return Ok(state);
        }
        let (number, head) = (self.number, self.reader.head());
        let header = self.reader.header(number)?;
        let header = header.ok_or(StorageError::AboveHead { number, head: head.number })?;
        let changes = self.reader.revert_state(number)?;
        let output = state_root(&self.reader, head.state_root, &changes)?;
        if output.state_root != header.state_root {
            let (computed, header) = (output.state_root, header.state_root);
            return Err(StorageError::UnwoundRoot { number, computed, header }.into());
        }
        let layer = Arc::new(StateLayer::new(changes, output));
        Ok(self.state.get_or_init(|| Layered::new(vec![layer], self.reader.clone())))
    }
}

impl Base {
    fn reader(&self) -> &StorageReader {
        match self {
            Self::Head(reader) => reader,
            Self::Past(past) => &past.reader,
        }
    }

    fn require_trie(&self) -> Result<(), ProviderError> {
        match self {
            Self::Head(_) => Ok(()),
            Self::Past(past) => past.state().map(|_| ()),
        }
    }
}

impl TrieReader for Base {
    fn account(&self, hashed: B256) -> Result<Option<TrieAccount>, TrieReadError> {
        match self {
            Self::Head(reader) => TrieReader::account(reader, hashed),
            Self::Past(past) => match past.state.get() {
                Some(state) => state.account(hashed),
                None => Ok(past.reader.account_at(hashed, past.number)?),
            },
        }
    }

    fn storage(&self, account: B256, slot: B256) -> Result<U256, TrieReadError> {
        match self {
            Self::Head(reader) => TrieReader::storage(reader, account, slot),
            Self::Past(past) => match past.state.get() {
                Some(state) => state.storage(account, slot),
                None => Ok(past.reader.storage_at(account, slot, past.number)?),
            },
        }
    }

    fn account_node(&self, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        match self {
            Self::Head(reader) => reader.account_node(path),
            Self::Past(past) => past.state().map_err(TrieReadError::source)?.account_node(path),
        }
    }

    fn storage_node(&self, account: B256, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        match self {
            Self::Head(reader) => reader.storage_node(account, path),
            Self::Past(past) => {
                past.state().map_err(TrieReadError::source)?.storage_node(account, path)
            }
        }
    }

    fn nodes(&self, wanted: &[WantedNode]) -> Result<Vec<Option<Node>>, TrieReadError> {
        match self {
            Self::Head(reader) => reader.nodes(wanted),
            Self::Past(past) => past.state().map_err(TrieReadError::source)?.nodes(wanted),
        }
    }

    fn accounts(
        &self,
        wanted: &[WantedAccount],
    ) -> Result<Vec<Option<TrieAccount>>, TrieReadError> {
        match self {
            Self::Head(reader) => reader.accounts(wanted),
            Self::Past(_) => wanted.iter().map(|wanted| self.account(wanted.address)).collect(),
        }
    }
}
