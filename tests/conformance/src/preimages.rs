//! State out of a bag of trie nodes, codes and headers, looked up by their hash.

use alloy_consensus::Header;
use alloy_primitives::{Address, B256, Bytes, U256, keccak256, map::B256Map};
use alloy_rlp::Decodable;
use alloy_trie::{
    EMPTY_ROOT_HASH, TrieAccount,
    nodes::{RlpNode, TrieNode},
};
use ascribe_trie::{Child, Node, TrieReadError, TrieReader};
use nybbles::Nibbles;
use revm::{Database, bytecode::Bytecode, database_interface::DBErrorMarker, state::AccountInfo};

/// What can be wrong with a set of preimages.
#[derive(Debug, thiserror::Error)]
pub enum PreimageError {
    /// Execution needs something that was not given.
    #[error("no preimage of {0}")]
    Missing(B256),
    /// What was given is not a trie node, account, value or header.
    #[error("preimage does not decode: {0}")]
    Rlp(#[from] alloy_rlp::Error),
    /// A block hash was asked for of which the headers do not tell.
    #[error("block {0} is not an ancestor within reach")]
    NoAncestor(u64),
}

impl DBErrorMarker for PreimageError {}

/// Byte strings by their keccak256.
#[derive(Debug, Default)]
pub struct Preimages(B256Map<Bytes>);

impl Preimages {
    /// Hashes every byte string.
    pub fn new(preimages: impl IntoIterator<Item = Bytes>) -> Self {
        Self(preimages.into_iter().map(|bytes| (keccak256(&bytes), bytes)).collect())
    }

    fn get(&self, hash: B256) -> Result<&Bytes, PreimageError> {
        self.0.get(&hash).ok_or(PreimageError::Missing(hash))
    }

    /// The node a parent points to: by hash, or embedded in the pointer itself.
    fn resolve(&self, pointer: &RlpNode) -> Result<TrieNode, PreimageError> {
        let encoded = match pointer.as_hash() {
            Some(hash) => self.get(hash)?.as_ref(),
            None => pointer.as_slice(),
        };
        Ok(TrieNode::decode(&mut &*encoded)?)
    }

    /// The node at exactly `path` of the trie under `root`.
    fn node_at(&self, root: B256, path: &Nibbles) -> Result<Option<TrieNode>, PreimageError> {
        if root == EMPTY_ROOT_HASH {
            return Ok(None);
        }
        let mut node = self.resolve(&RlpNode::word_rlp(&root))?;
        let mut depth = 0;
        while depth < path.len() {
            let rest = path.slice(depth..);
            let next = match &node {
                TrieNode::Branch(branch) => {
                    depth += 1;
                    rest.first().and_then(|nibble| {
                        branch.as_ref().children().find(|(at, _)| *at == nibble)?.1.cloned()
                    })
                }
                TrieNode::Extension(extension) if rest.starts_with(&extension.key) => {
                    depth += extension.key.len();
                    Some(extension.child.clone())
                }
                _ => None,
            };
            let Some(next) = next else { return Ok(None) };
            node = self.resolve(&next)?;
        }
        Ok(Some(node))
    }

    /// The value under `key`.
    fn value(&self, root: B256, key: B256) -> Result<Option<Vec<u8>>, PreimageError> {
        if root == EMPTY_ROOT_HASH {
            return Ok(None);
        }
        let mut rest = Nibbles::unpack(key);
        let mut node = self.resolve(&RlpNode::word_rlp(&root))?;
        loop {
            let next = match node {
                TrieNode::EmptyRoot => return Ok(None),
                TrieNode::Leaf(leaf) => return Ok((leaf.key == rest).then_some(leaf.value)),
                TrieNode::Extension(extension) => {
                    if !rest.starts_with(&extension.key) {
                        return Ok(None);
                    }
                    rest = rest.slice(extension.key.len()..);
                    extension.child
                }
                TrieNode::Branch(branch) => {
                    let nibble = rest.first();
                    let child = branch
                        .as_ref()
                        .children()
                        .find(|(at, _)| Some(*at) == nibble)
                        .and_then(|(_, child)| child.cloned());
                    let Some(child) = child else { return Ok(None) };
                    rest = rest.slice(1..);
                    child
                }
            };
            node = self.resolve(&next)?;
        }
    }

    fn account(&self, root: B256, hashed: B256) -> Result<Option<TrieAccount>, PreimageError> {
        let value = self.value(root, hashed)?;
        Ok(value.map(|rlp| TrieAccount::decode(&mut rlp.as_slice())).transpose()?)
    }

    fn slot(&self, storage_root: B256, slot: B256) -> Result<U256, PreimageError> {
        let value = self.value(storage_root, slot)?;
        Ok(value.map(|rlp| U256::decode(&mut rlp.as_slice())).transpose()?.unwrap_or_default())
    }

    /// A node as the trie crate stores it: children that are leaves carry their whole key.
    ///
    /// A child whose preimage is not there is one that nothing touches; it stays a mere pointer.
    fn stored_node(&self, root: B256, path: &Nibbles) -> Result<Option<Node>, PreimageError> {
        Ok(match self.node_at(root, path)? {
            None | Some(TrieNode::EmptyRoot) => None,
            // Below the root, leaves live in their parents.
            Some(TrieNode::Leaf(leaf)) => {
                path.is_empty().then(|| Node::leaf(&full_key(path, None, &leaf.key)))
            }
            Some(TrieNode::Extension(extension)) => {
                Some(Node::extension(&extension.key, &extension.child))
            }
            Some(TrieNode::Branch(branch)) => {
                let mut children = Vec::new();
                for (nibble, child) in branch.as_ref().children() {
                    let Some(reference) = child.cloned() else { continue };
                    let child = match self.resolve(&reference) {
                        Ok(TrieNode::Leaf(leaf)) => {
                            Child::Leaf { key: full_key(path, Some(nibble), &leaf.key), reference }
                        }
                        Ok(_) | Err(PreimageError::Missing(_)) => Child::Node(reference),
                        Err(error) => return Err(error),
                    };
                    children.push((nibble, child));
                }
                Some(Node::branch(children.iter().map(|(nibble, child)| (*nibble, child))))
            }
        })
    }
}

fn full_key(path: &Nibbles, nibble: Option<u8>, rest: &Nibbles) -> B256 {
    let mut key = *path;
    if let Some(nibble) = nibble {
        key.push(nibble);
    }
    key.extend(rest);
    B256::from_slice(&key.pack())
}

/// The state after one block, as far as preimages tell it: read by the EVM and by the trie.
#[derive(Debug)]
pub struct StatelessState<'a> {
    preimages: &'a Preimages,
    parent: &'a Header,
}

impl<'a> StatelessState<'a> {
    /// The state after `parent`.
    pub const fn new(preimages: &'a Preimages, parent: &'a Header) -> Self {
        Self { preimages, parent }
    }
}

impl Database for &StatelessState<'_> {
    type Error = PreimageError;

    fn basic(&mut self, address: Address) -> Result<Option<AccountInfo>, PreimageError> {
        let account = self.preimages.account(self.parent.state_root, keccak256(address))?;
        Ok(account.map(|account| AccountInfo {
            balance: account.balance,
            nonce: account.nonce,
            code_hash: account.code_hash,
            // Asked for by its hash when it runs.
            code: None,
            ..AccountInfo::default()
        }))
    }

    fn code_by_hash(&mut self, code_hash: B256) -> Result<Bytecode, PreimageError> {
        Ok(Bytecode::new_raw(self.preimages.get(code_hash)?.clone()))
    }

    fn storage(&mut self, address: Address, slot: U256) -> Result<U256, PreimageError> {
        let account = self.preimages.account(self.parent.state_root, keccak256(address))?;
        account.map_or(Ok(U256::ZERO), |account| {
            self.preimages.slot(account.storage_root, keccak256(slot.to_be_bytes::<32>()))
        })
    }

    fn block_hash(&mut self, number: u64) -> Result<B256, PreimageError> {
        let mut header = self.parent.clone();
        let mut hash = header.hash_slow();
        while header.number > number {
            hash = header.parent_hash;
            header = Header::decode(&mut self.preimages.get(hash)?.as_ref())?;
        }
        if header.number == number { Ok(hash) } else { Err(PreimageError::NoAncestor(number)) }
    }
}

impl TrieReader for StatelessState<'_> {
    fn account(&self, hashed: B256) -> Result<Option<TrieAccount>, TrieReadError> {
        self.preimages.account(self.parent.state_root, hashed).map_err(TrieReadError::source)
    }

    fn storage(&self, account: B256, slot: B256) -> Result<U256, TrieReadError> {
        match TrieReader::account(self, account)? {
            Some(account) => {
                self.preimages.slot(account.storage_root, slot).map_err(TrieReadError::source)
            }
            None => Ok(U256::ZERO),
        }
    }

    fn account_node(&self, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        self.preimages.stored_node(self.parent.state_root, path).map_err(TrieReadError::source)
    }

    fn storage_node(&self, account: B256, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        match TrieReader::account(self, account)? {
            Some(account) => self
                .preimages
                .stored_node(account.storage_root, path)
                .map_err(TrieReadError::source),
            None => Ok(None),
        }
    }
}
