//! Hashes of a [`Plan`], from the deepest nodes up.
//!
//! Nodes at one depth do not depend on each other: a level is cut into chunks for the threads, and
//! each thread hashes several nodes at a time, whatever tries they belong to.

use crate::{
    Node, NodeUpdates,
    keccak::Hasher,
    node::BranchBuilder,
    plan::{Entry, Link, NewKind, NewLeaf, NewNode, Plan},
    rlp::{LeafValue, NodeRlp},
};
use alloy_primitives::{B256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, nodes::RlpNode};
use nybbles::Nibbles;
use rayon::prelude::*;

/// Leaves or nodes one thread hashes at a time.
const CHUNK: usize = 128;

/// One trie after its changes.
#[derive(Debug, Default)]
pub(crate) struct Hashed {
    /// The new root; `None` when it is the old one.
    pub(crate) root: Option<B256>,
    /// Nodes to write and to delete.
    pub(crate) nodes: NodeUpdates,
}

impl<V: LeafValue> Plan<V> {
    /// Hashes everything; returns the plan's `trees` tries.
    pub(crate) fn hash(self, trees: usize) -> Vec<Hashed> {
        let leaves = hash_leaves(&self.leaves);
        let mut finished = Finished { leaves, nodes: vec![RlpNode::default(); self.nodes.len()] };

        let mut hashed: Vec<Hashed> = Vec::new();
        hashed.resize_with(trees, Default::default);
        for (tree, path) in &self.removed {
            hashed[*tree as usize].nodes.insert(*path, None);
        }

        for level in levels(&self.nodes) {
            let chunk = |ids: &[usize]| hash_nodes(&self, &finished, ids);
            let done: Vec<_> = if level.len() <= CHUNK {
                vec![chunk(&level)]
            } else {
                level.par_chunks(CHUNK).map(chunk).collect()
            };
            for (id, (reference, node)) in level.into_iter().zip(done.into_iter().flatten()) {
                finished.nodes[id] = reference;
                let NewNode { tree, path, kind } = &self.nodes[id];
                let same = matches!(kind, NewKind::Branch { old: Some(old), .. } if *old == node);
                if !same {
                    hashed[*tree as usize].nodes.insert(*path, Some(node));
                }
            }
        }

        for (tree, entry) in &self.roots {
            let hashed = &mut hashed[*tree as usize];
            let reference = match entry {
                Entry::Empty => {
                    hashed.root = Some(EMPTY_ROOT_HASH);
                    continue;
                }
                Entry::Leaf(leaf) => {
                    let node = Node::leaf(&self.leaves[*leaf].key);
                    hashed.nodes.insert(Nibbles::new(), Some(node));
                    &finished.leaves[*leaf]
                }
                Entry::Node(link) => finished.link(link),
            };
            // A root is hashed however short it is.
            let root = reference.as_hash().unwrap_or_else(|| keccak256(reference.as_slice()));
            hashed.root = Some(root);
        }
        hashed
    }
}

/// References to what is hashed already.
struct Finished {
    leaves: Vec<RlpNode>,
    nodes: Vec<RlpNode>,
}

impl Finished {
    fn link<'a>(&'a self, link: &'a Link) -> &'a RlpNode {
        match link {
            Link::New(node) => &self.nodes[*node],
            Link::Old(reference) => reference,
        }
    }
}

/// Nodes by depth, deepest first.
fn levels(nodes: &[NewNode]) -> impl Iterator<Item = Vec<usize>> + use<> {
    let deepest = nodes.iter().map(|node| node.path.len()).max();
    let mut levels = vec![Vec::new(); deepest.map_or(0, |depth| depth + 1)];
    for (id, node) in nodes.iter().enumerate() {
        levels[node.path.len()].push(id);
    }
    levels.into_iter().rev()
}

fn hash_leaves<V: LeafValue>(leaves: &[NewLeaf<V>]) -> Vec<RlpNode> {
    let chunk = |leaves: &[NewLeaf<V>]| {
        let mut references = vec![RlpNode::default(); leaves.len()];
        let mut hasher = Hasher::new();
        let mut rlp = NodeRlp::new();
        for (at, leaf) in leaves.iter().enumerate() {
            let message = rlp.leaf(&leaf.key, leaf.depth, &leaf.value);
            refer(at, message, &mut hasher, &mut |at, reference| references[at] = reference);
        }
        hasher.finish(&mut |at, hash| references[at] = RlpNode::word_rlp(&hash));
        references
    };
    if leaves.len() <= CHUNK {
        return chunk(leaves);
    }
    leaves.par_chunks(CHUNK).flat_map_iter(chunk).collect()
}

fn hash_nodes<V>(plan: &Plan<V>, finished: &Finished, ids: &[usize]) -> Vec<(RlpNode, Node)> {
    let mut hasher = Hasher::new();
    let mut rlp = NodeRlp::new();
    let mut references = vec![RlpNode::default(); ids.len()];
    let mut nodes = Vec::with_capacity(ids.len());
    for (at, id) in ids.iter().enumerate() {
        let (node, message) = match &plan.nodes[*id].kind {
            NewKind::Branch { old, entries } => {
                let node = branch(old.as_ref(), &plan.entries[entries.clone()], plan, finished);
                let message = node.as_branch().map(|branch| rlp.branch(&branch));
                (node.clone(), message)
            }
            NewKind::Extension { key, branch } => {
                let branch = finished.link(branch);
                (Node::extension(key, branch), Some(rlp.extension(key, branch)))
            }
        };
        if let Some(message) = message {
            refer(at, message, &mut hasher, &mut |at, reference| references[at] = reference);
        }
        nodes.push(node);
    }
    hasher.finish(&mut |at, hash| references[at] = RlpNode::word_rlp(&hash));
    references.into_iter().zip(nodes).collect()
}

/// How a parent refers to a node: by its RLP if that is short, else by its hash.
fn refer(at: usize, rlp: &[u8], hasher: &mut Hasher<usize>, done: &mut impl FnMut(usize, RlpNode)) {
    if rlp.len() < 32 {
        done(at, RlpNode::from_rlp(rlp));
    } else {
        hasher.push(at, rlp, &mut |at, hash| done(at, RlpNode::word_rlp(&hash)));
    }
}

fn branch<V>(
    old: Option<&Node>,
    entries: &[(u8, Entry)],
    plan: &Plan<V>,
    finished: &Finished,
) -> Node {
    let old = old.and_then(Node::as_branch);
    let mut builder = BranchBuilder::new();
    let mut entries = entries.iter().peekable();
    for nibble in 0..16 {
        if let Some((_, entry)) = entries.next_if(|(at, _)| *at == nibble) {
            match entry {
                Entry::Empty => {}
                Entry::Leaf(leaf) => {
                    builder.leaf(nibble, &plan.leaves[*leaf].key, &finished.leaves[*leaf]);
                }
                Entry::Node(link) => builder.node(nibble, finished.link(link)),
            }
        } else if let Some(old) = old.filter(|old| old.children_mask() & (1 << nibble) != 0) {
            builder.copy(nibble, &old);
        }
    }
    builder.finish()
}
