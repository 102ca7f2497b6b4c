//! State out of a witness.

use crate::{Child, Node, TrieReadError, TrieReader, WantedNode};
use alloy_primitives::{B256, Bytes, U256, keccak256, map::B256Map};
use alloy_rlp::Decodable;
use alloy_trie::{
    EMPTY_ROOT_HASH, TrieAccount,
    nodes::{RlpNode, TrieNode},
};
use nybbles::Nibbles;

/// The part of a state that a witness shows: a root, and RLP nodes found by their hash.
///
/// Reading what the witness does not show is [`TrieReadError::Unwitnessed`]. Every node is checked
/// against the hash by which its parent names it, so the answers are as sound as the root.
#[derive(Debug, Clone, Default)]
pub struct WitnessState {
    root: B256,
    nodes: B256Map<Bytes>,
}

impl WitnessState {
    /// A state with this root. Of `preimages`, those that are not nodes (codes, headers) do no
    /// harm.
    pub fn new(root: B256, preimages: impl IntoIterator<Item = Bytes>) -> Self {
        let nodes = preimages.into_iter().map(|node| (keccak256(&node), node)).collect();
        Self { root, nodes }
    }

    /// The state root.
    pub const fn root(&self) -> B256 {
        self.root
    }

    /// What was given with this hash: a node, a code, a header.
    pub fn preimage(&self, hash: &B256) -> Option<&Bytes> {
        self.nodes.get(hash)
    }

    /// Walks from `root` along `path` to its end, or to the leaf before it; returns how far that
    /// was.
    fn walk(&self, root: B256, path: &Nibbles) -> Result<Option<(TrieNode, usize)>, TrieReadError> {
        if root == EMPTY_ROOT_HASH {
            return Ok(None);
        }
        let mut node = self.node(&RlpNode::word_rlp(&root))?;
        let mut depth = 0;
        loop {
            let (child, below) = match &node {
                TrieNode::EmptyRoot => return Ok(None),
                TrieNode::Leaf(_) => return Ok(Some((node, depth))),
                _ if depth == path.len() => return Ok(Some((node, depth))),
                TrieNode::Branch(branch) => {
                    let nibble = path.get_unchecked(depth);
                    if !branch.state_mask.is_bit_set(nibble) {
                        return Ok(None);
                    }
                    let below = branch.state_mask.get() & ((1 << nibble) - 1);
                    (branch.stack.get(below.count_ones() as usize), depth + 1)
                }
                TrieNode::Extension(extension) => {
                    if !path.slice(depth..).starts_with(&extension.key) {
                        return Ok(None);
                    }
                    (Some(&extension.child), depth + extension.key.len())
                }
            };
            let Some(child) = child else { return Ok(None) };
            node = self.node(child)?;
            depth = below;
        }
    }

    /// The node that a parent refers to.
    fn node(&self, reference: &RlpNode) -> Result<TrieNode, TrieReadError> {
        let hash = reference.as_hash();
        let unwitnessed = || TrieReadError::Unwitnessed(hash.unwrap_or_default());
        let rlp = match &hash {
            Some(hash) => self.nodes.get(hash).ok_or_else(unwitnessed)?.as_ref(),
            None => reference.as_slice(),
        };
        TrieNode::decode(&mut &*rlp).map_err(|_| unwitnessed())
    }

    fn value<V: Decodable>(&self, root: B256, key: B256) -> Result<Option<V>, TrieReadError> {
        let path = Nibbles::unpack(key);
        let Some((TrieNode::Leaf(leaf), depth)) = self.walk(root, &path)? else { return Ok(None) };
        if path.slice(depth..) != leaf.key {
            return Ok(None);
        }
        let value = V::decode(&mut leaf.value.as_slice())
            .map_err(|_| TrieReadError::Unwitnessed(keccak256(alloy_rlp::encode(leaf))))?;
        Ok(Some(value))
    }

    /// The stored form of the node at `path`.
    fn stored(&self, root: B256, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        let Some((node, depth)) = self.walk(root, path)? else { return Ok(None) };
        if depth == path.len() { self.store(node, path) } else { Ok(None) }
    }

    /// The stored form of a node that stands at `path`; a leaf is stored only as a root.
    fn store(&self, node: TrieNode, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        let sound = match &node {
            TrieNode::Branch(branch) => {
                branch.stack.len() >= 2 && branch.stack.iter().all(is_reference)
            }
            TrieNode::Extension(extension) => {
                (1..64).contains(&extension.key.len()) && is_reference(&extension.child)
            }
            TrieNode::Leaf(_) | TrieNode::EmptyRoot => true,
        };
        if !sound {
            return Err(TrieReadError::Unwitnessed(keccak256(alloy_rlp::encode(node))));
        }
        Ok(match node {
            TrieNode::Branch(branch) => {
                let mut children = Vec::with_capacity(16);
                for (nibble, reference) in branch.as_ref().children() {
                    if let Some(reference) = reference {
                        let mut path = *path;
                        path.push(nibble);
                        children.push((nibble, self.child(&path, reference)));
                    }
                }
                Some(Node::branch(children.iter().map(|(nibble, child)| (*nibble, child))))
            }
            TrieNode::Extension(extension) => {
                Some(Node::extension(&extension.key, &extension.child))
            }
            TrieNode::Leaf(leaf) if path.is_empty() && leaf.key.len() == 64 => {
                Some(Node::leaf(&key(&leaf.key)))
            }
            TrieNode::Leaf(_) | TrieNode::EmptyRoot => None,
        })
    }

    /// A child of a branch. One that the witness does not show passes for a node: should it be
    /// needed, reading it fails.
    fn child(&self, path: &Nibbles, reference: &RlpNode) -> Child {
        match self.node(reference) {
            Ok(TrieNode::Leaf(leaf)) if path.len() + leaf.key.len() == 64 => {
                Child::Leaf { key: key(&path.join(&leaf.key)), reference: reference.clone() }
            }
            _ => Child::Node(reference.clone()),
        }
    }

    fn storage_root(&self, account: B256) -> Result<B256, TrieReadError> {
        let account = self.value::<TrieAccount>(self.root, account)?;
        Ok(account.map_or(EMPTY_ROOT_HASH, |account| account.storage_root))
    }
}

/// A hash, or RLP that is short enough to stand in place of its hash.
fn is_reference(reference: &RlpNode) -> bool {
    match reference.as_slice() {
        [first, ..] if reference.is_hash() => *first == 0xa0,
        rlp => (1..32).contains(&rlp.len()),
    }
}

fn key(path: &Nibbles) -> B256 {
    let mut key = B256::ZERO;
    path.pack_to(key.as_mut_slice());
    key
}

impl TrieReader for WitnessState {
    fn account(&self, hashed: B256) -> Result<Option<TrieAccount>, TrieReadError> {
        self.value(self.root, hashed)
    }

    fn storage(&self, account: B256, slot: B256) -> Result<U256, TrieReadError> {
        Ok(self.value(self.storage_root(account)?, slot)?.unwrap_or_default())
    }

    fn account_node(&self, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        self.stored(self.root, path)
    }

    fn storage_node(&self, account: B256, path: &Nibbles) -> Result<Option<Node>, TrieReadError> {
        self.stored(self.storage_root(account)?, path)
    }

    fn nodes(&self, wanted: &[WantedNode]) -> Result<Vec<Option<Node>>, TrieReadError> {
        wanted
            .iter()
            .map(|wanted| self.store(self.node(&wanted.reference)?, &wanted.path))
            .collect()
    }
}
