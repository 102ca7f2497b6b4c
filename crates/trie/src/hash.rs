//! Hashes of a [`Plan`], from the deepest nodes up.
//!
//! Nodes at one depth do not depend on each other: a level is cut into chunks for the threads, and
//! each thread hashes several nodes at a time, whatever tries they belong to.

use crate::{
    MadeNode, Node, NodeView,
    node::{BranchBuilder, BranchPatch, BranchView},
    plan::{Entry, Link, NewKind, NewLeaf, NewNode, Plan},
    rlp::{LeafValue, NodeRlp},
};
use alloy_primitives::{B256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, nodes::RlpNode};
use ascribe_keccak::Hasher;
use nybbles::Nibbles;
use rayon::prelude::*;

/// Leaves or nodes one thread hashes at a time.
const CHUNK: usize = 128;
/// How many nodes ahead the processor fetches the old node.
const AHEAD: usize = 4;

/// One trie after its changes.
#[derive(Debug, Default)]
pub(crate) struct Hashed {
    /// The new root; `None` when it is the old one.
    pub(crate) root: Option<B256>,
    /// Nodes to delete, then nodes to write, some of them at the same paths.
    pub(crate) nodes: Vec<(Nibbles, Option<Node>)>,
}

impl<V: LeafValue> Plan<V> {
    /// Hashes everything. Returns the plan's `trees` tries, and how parents refer to what is in it.
    /// `made` is told of the new nodes.
    pub(crate) fn hash(
        &self,
        trees: usize,
        made: &(impl Fn(&[MadeNode]) + Sync),
    ) -> (Vec<Hashed>, Finished) {
        let leaves = hash_leaves(&self.leaves);
        let mut finished = Finished { leaves, nodes: vec![RlpNode::default(); self.nodes.len()] };

        let mut hashed: Vec<Hashed> = Vec::new();
        hashed.resize_with(trees, Default::default);
        let mut counts = vec![0; trees];
        let stored = self.nodes.iter().map(|node| node.tree);
        for tree in stored.chain(self.removed.iter().map(|(tree, _)| *tree)) {
            counts[tree as usize] += 1;
        }
        for (hashed, count) in hashed.iter_mut().zip(counts) {
            hashed.nodes.reserve(count);
        }
        for (tree, path) in &self.removed {
            hashed[*tree as usize].nodes.push((*path, None));
        }

        for level in levels(&self.nodes) {
            let chunk = |ids: &[usize]| hash_nodes(self, &finished, ids, made);
            let done: Vec<_> = if level.len() <= CHUNK {
                vec![chunk(&level)]
            } else {
                level.par_chunks(CHUNK).map(chunk).collect()
            };
            for (id, new) in level.into_iter().zip(done.into_iter().flatten()) {
                finished.nodes[id] = new.reference;
                let NewNode { tree, path, .. } = &self.nodes[id];
                if new.differs {
                    hashed[*tree as usize].nodes.push((*path, Some(new.node)));
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
                    hashed.nodes.push((Nibbles::new(), Some(node)));
                    &finished.leaves[*leaf]
                }
                Entry::Node(link) => finished.link(link),
            };
            // A root is hashed however short it is.
            let root = reference.as_hash().unwrap_or_else(|| keccak256(reference.as_slice()));
            hashed.root = Some(root);
        }
        (hashed, finished)
    }
}

/// References to what is hashed already.
pub(crate) struct Finished {
    pub(crate) leaves: Vec<RlpNode>,
    nodes: Vec<RlpNode>,
}

impl Finished {
    pub(crate) fn link<'a>(&'a self, link: &'a Link) -> &'a RlpNode {
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

fn hash_nodes<V>(
    plan: &Plan<V>,
    finished: &Finished,
    ids: &[usize],
    made: &impl Fn(&[MadeNode]),
) -> Vec<MadeNode> {
    let mut hasher = Hasher::new();
    let mut rlp = NodeRlp::new();
    let mut nodes: Vec<MadeNode> = Vec::with_capacity(ids.len());
    for (at, id) in ids.iter().enumerate() {
        if let Some(NewKind::Branch { old: Some(old), .. }) =
            ids.get(at + AHEAD).map(|id| &plan.nodes[*id].kind)
        {
            old.fetch();
        }
        let (node, differs) = match &plan.nodes[*id].kind {
            NewKind::Branch { old, entries } => {
                branch(old.as_ref(), &plan.entries[entries.clone()], plan, finished)
            }
            NewKind::Extension(extension) => {
                (Node::extension(&extension.key, finished.link(&extension.branch)), true)
            }
        };
        let message = match node.view() {
            NodeView::Branch(branch) => rlp.branch(&branch),
            NodeView::Extension(extension) => rlp.extension(&extension.key(), &extension.child()),
            NodeView::Leaf { .. } => &[],
        };
        nodes.push(MadeNode { reference: RlpNode::default(), node, differs });
        refer(at, message, &mut hasher, &mut |at, reference| nodes[at].reference = reference);
    }
    hasher.finish(&mut |at: usize, hash| nodes[at].reference = RlpNode::word_rlp(&hash));
    made(&nodes);
    nodes
}

/// How a parent refers to a node: by its RLP if that is short, else by its hash.
fn refer(at: usize, rlp: &[u8], hasher: &mut Hasher<usize>, done: &mut impl FnMut(usize, RlpNode)) {
    if rlp.len() < 32 {
        done(at, RlpNode::from_rlp(rlp));
    } else {
        hasher.push(at, rlp, &mut |at, hash| done(at, RlpNode::word_rlp(&hash)));
    }
}

/// A new branch, and whether it differs from the old one.
fn branch<V>(
    old: Option<&Node>,
    entries: &[(u8, Entry)],
    plan: &Plan<V>,
    finished: &Finished,
) -> (Node, bool) {
    let leaf = |leaf: usize| (&plan.leaves[leaf].key, &finished.leaves[leaf]);
    let old = old.and_then(|node| Some((node, node.as_branch()?)));

    // Nearly always the same nibbles have children and leaves as before.
    if let Some((node, branch)) = old
        && entries.iter().all(|(nibble, entry)| same_kind(&branch, *nibble, entry))
    {
        let mut patch = BranchPatch::new(node);
        for (nibble, entry) in entries {
            match entry {
                Entry::Empty => {}
                Entry::Leaf(id) => {
                    let (key, reference) = leaf(*id);
                    patch.leaf(*nibble, key, reference);
                }
                Entry::Node(link) => patch.node(*nibble, finished.link(link)),
            }
        }
        return match patch.finish() {
            Some(node) => (node, true),
            None => (node.clone(), false),
        };
    }

    let mut builder = BranchBuilder::new();
    let mut entries = entries.iter().peekable();
    for nibble in 0..16 {
        if let Some((_, entry)) = entries.next_if(|(at, _)| *at == nibble) {
            match entry {
                Entry::Empty => {}
                Entry::Leaf(id) => {
                    let (key, reference) = leaf(*id);
                    builder.leaf(nibble, key, reference);
                }
                Entry::Node(link) => builder.node(nibble, finished.link(link)),
            }
        } else if let Some((_, old)) = old
            && old.children_mask() & (1 << nibble) != 0
        {
            builder.copy(nibble, &old);
        }
    }
    (builder.finish(), true)
}

/// Whether a branch has the same kind of child at a nibble as the new entry.
fn same_kind(branch: &BranchView<'_>, nibble: u8, entry: &Entry) -> bool {
    let bit = 1 << nibble;
    match entry {
        Entry::Empty => false,
        Entry::Leaf(_) => branch.leaves_mask() & bit != 0,
        Entry::Node(_) => branch.children_mask() & !branch.leaves_mask() & bit != 0,
    }
}
