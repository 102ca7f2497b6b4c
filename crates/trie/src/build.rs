//! A trie out of sorted leaves.

use crate::{
    Node, TrieError,
    node::BranchBuilder,
    plan::nibble,
    rlp::{KEY_NIBBLES, LeafValue, NodeRlp},
};
use alloy_primitives::{B256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, nodes::RlpNode};
use nybbles::Nibbles;

/// Builds a trie from leaves in key order and hands every finished node to a sink.
///
/// Holds one open branch per depth, so memory does not grow with the number of leaves.
pub struct TrieBuilder<V, S> {
    sink: S,
    /// Branches that may still grow, from the root down.
    open: Vec<Open>,
    /// The last leaf: where it hangs depends on the next.
    last: Option<(B256, V)>,
    rlp: NodeRlp,
}

struct Open {
    depth: usize,
    branch: BranchBuilder,
}

impl<V, S> std::fmt::Debug for TrieBuilder<V, S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("TrieBuilder")
            .field("depth", &self.open.len())
            .field("last", &self.last.as_ref().map(|(key, _)| key))
            .finish_non_exhaustive()
    }
}

impl<V: LeafValue, S: FnMut(Nibbles, Node)> TrieBuilder<V, S> {
    /// Starts an empty trie. `sink` gets each node to be stored, with its path, children first.
    pub const fn new(sink: S) -> Self {
        Self { sink, open: Vec::new(), last: None, rlp: NodeRlp::new() }
    }

    /// Adds a leaf.
    ///
    /// # Errors
    ///
    /// [`TrieError::KeyOrder`] if `key` is not greater than every key before.
    pub fn add(&mut self, key: B256, value: V) -> Result<(), TrieError> {
        if let Some((previous, old)) = self.last {
            if previous >= key {
                return Err(TrieError::KeyOrder { previous, key });
            }
            let shared = Nibbles::unpack(previous).common_prefix_length(&Nibbles::unpack(key));
            self.hang(previous, &old, shared);
        }
        self.last = Some((key, value));
        Ok(())
    }

    /// Ends the trie and returns its root.
    pub fn finish(mut self) -> B256 {
        let Some((key, value)) = self.last else { return EMPTY_ROOT_HASH };
        if self.open.is_empty() {
            (self.sink)(Nibbles::new(), Node::leaf(&key));
            return keccak256(self.rlp.leaf(&key, 0, &value));
        }
        self.attach_leaf(&key, &value);
        let path = Nibbles::unpack(key);
        while let Some(open) = self.open.pop() {
            let parent = self.open.last().map(|open| open.depth);
            let reference = self.close(open, &path, parent.map_or(0, |depth| depth + 1));
            match self.open.last_mut() {
                Some(Open { depth, branch }) => branch.node(nibble(&key, *depth), &reference),
                None => {
                    return reference.as_hash().unwrap_or_else(|| keccak256(reference.as_slice()));
                }
            }
        }
        EMPTY_ROOT_HASH
    }

    /// Hangs the last leaf where it belongs, given that the next shares `shared` nibbles with it,
    /// and closes the branches that the next does not reach.
    fn hang(&mut self, key: B256, value: &V, shared: usize) {
        let path = Nibbles::unpack(key);
        self.open_at(shared);
        self.attach_leaf(&key, value);
        while let Some(open) = self.open.pop_if(|open| open.depth > shared) {
            // The branch that the next leaf hangs from may lie above this one and not be open yet.
            if self.open.last().is_none_or(|open| open.depth < shared) {
                self.open.push(Open { depth: shared, branch: BranchBuilder::new() });
            }
            let depth = self.open.last().map_or(0, |open| open.depth);
            let reference = self.close(open, &path, depth + 1);
            if let Some(parent) = self.open.last_mut() {
                parent.branch.node(nibble(&key, depth), &reference);
            }
        }
    }

    /// Makes sure that the deepest open branch is not above `depth`.
    fn open_at(&mut self, depth: usize) {
        if self.open.last().is_none_or(|open| open.depth < depth) {
            self.open.push(Open { depth, branch: BranchBuilder::new() });
        }
    }

    fn attach_leaf(&mut self, key: &B256, value: &V) {
        if let Some(Open { depth, branch }) = self.open.last_mut() {
            let reference = RlpNode::from_rlp(self.rlp.leaf(key, *depth + 1, value));
            branch.leaf(nibble(key, *depth), key, &reference);
        }
    }

    /// Finishes a branch on the way to `key`, and the extension that leads to it from `from`.
    fn close(&mut self, open: Open, key: &Nibbles, from: usize) -> RlpNode {
        debug_assert!(open.depth < KEY_NIBBLES);
        let node = open.branch.finish();
        let mut reference = match node.as_branch() {
            Some(branch) => RlpNode::from_rlp(self.rlp.branch(&branch)),
            None => RlpNode::default(),
        };
        (self.sink)(key.slice(..open.depth), node);
        if open.depth > from {
            let skip = key.slice(from..open.depth);
            (self.sink)(key.slice(..from), Node::extension(&skip, &reference));
            reference = RlpNode::from_rlp(self.rlp.extension(&skip, &reference));
        }
        reference
    }
}
