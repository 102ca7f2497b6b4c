//! The EVM's view of a witness.

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_rlp::Decodable;
use ascribe_trie::{TrieReadError, TrieReader, WitnessState};
use revm::{Database, bytecode::Bytecode, database_interface::DBErrorMarker, state::AccountInfo};

/// What a witness does not hold.
#[derive(Debug, thiserror::Error)]
pub enum StatelessError {
    /// An account or a slot.
    #[error(transparent)]
    Trie(#[from] TrieReadError),
    /// A code or a header.
    #[error("no preimage of {0}")]
    Missing(B256),
    /// A header that is none.
    #[error("header does not decode: {0}")]
    Header(#[from] alloy_rlp::Error),
    /// A block hash that the given headers do not lead to.
    #[error("block {0} is not an ancestor")]
    NoAncestor(u64),
}

impl DBErrorMarker for StatelessError {}

/// State, codes and ancestors after one block, as far as preimages tell of them.
#[derive(Debug)]
pub struct StatelessState<'a> {
    witness: WitnessState,
    parent: &'a Header,
}

impl<'a> StatelessState<'a> {
    /// The state after `parent`.
    pub fn new(parent: &'a Header, preimages: impl IntoIterator<Item = Bytes>) -> Self {
        Self { witness: WitnessState::new(parent.state_root, preimages), parent }
    }

    /// The trie's view.
    pub const fn witness(&self) -> &WitnessState {
        &self.witness
    }

    fn preimage(&self, hash: B256) -> Result<&Bytes, StatelessError> {
        self.witness.preimage(&hash).ok_or(StatelessError::Missing(hash))
    }
}

impl Database for &StatelessState<'_> {
    type Error = StatelessError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, StatelessError> {
        Ok(self.witness.account(keccak256(address))?.map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            // Asked for by its hash when it runs.
            code: None,
            ..AccountInfo::default()
        }))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, StatelessError> {
        Ok(Bytecode::new_raw(self.preimage(code_hash)?.clone()))
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, StatelessError> {
        Ok(self.witness.storage(keccak256(address), keccak256(slot.to_be_bytes::<32>()))?)
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, StatelessError> {
        let mut header = self.parent.clone();
        let mut hash = header.hash_slow();
        while header.number > number {
            hash = header.parent_hash;
            header = Header::decode(&mut self.preimage(hash)?.as_ref())?;
        }
        if header.number == number { Ok(hash) } else { Err(StatelessError::NoAncestor(number)) }
    }
}
