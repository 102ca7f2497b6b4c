//! The nodes on the way to many keys, read level by level.
//!
//! Paths are walked side by side, through all tries at once: each level is one request to the
//! reader, which so can ask its store for many nodes together, and hide the time each takes behind
//! the others'.

use crate::{
    Child, Node, NodeView, TrieError, TrieId, TrieReader, WantedNode,
    plan::{child, groups, within},
    rlp::KEY_NIBBLES,
};
use alloy_primitives::B256;
use alloy_trie::{EMPTY_ROOT_HASH, nodes::RlpNode};
use nybbles::Nibbles;
use rayon::prelude::*;
use std::ops::Range;

/// Nodes one thread reads at a time.
const CHUNK: usize = 128;

/// A trie, and the sorted keys to which to walk in it.
pub(crate) struct Walk<'a, X> {
    /// The account whose storage trie it is; `None` is the account trie.
    pub(crate) account: Option<B256>,
    pub(crate) root: B256,
    pub(crate) keys: &'a [(B256, X)],
}

/// Nodes that were read, parents before children.
#[derive(Default)]
pub(crate) struct Loaded {
    nodes: Vec<LoadedNode>,
    /// Root nodes by walk; `None` where the trie is empty.
    roots: Vec<Option<usize>>,
    /// Walk, key and node reference of every leaf that was looked for and is there.
    pub(crate) leaves: Vec<(usize, usize, RlpNode)>,
}

struct LoadedNode {
    node: Node,
    /// The first of the node's children that were read. They follow each other in path order.
    children: usize,
}

impl Loaded {
    pub(crate) fn root(&self, walk: usize) -> Option<usize> {
        self.roots[walk]
    }

    pub(crate) fn node(&self, index: usize) -> &Node {
        &self.nodes[index].node
    }

    pub(crate) fn children(&self, index: usize) -> usize {
        self.nodes[index].children
    }
}

/// Nodes to read next, and for each its walk and the keys below it.
#[derive(Default)]
struct Level {
    wanted: Vec<WantedNode>,
    keys: Vec<(usize, Range<usize>)>,
}

/// Reads all nodes on the way to all keys.
pub(crate) fn load<R: TrieReader, X: Sync>(
    reader: &R,
    walks: &[Walk<'_, X>],
) -> Result<Loaded, TrieError> {
    let mut loaded = Loaded::default();
    let mut level = Level::default();
    for (index, walk) in walks.iter().enumerate() {
        let read = walk.root != EMPTY_ROOT_HASH && !walk.keys.is_empty();
        loaded.roots.push(read.then_some(level.wanted.len()));
        if read {
            let reference = RlpNode::word_rlp(&walk.root);
            let wanted = WantedNode { account: walk.account, path: Nibbles::new(), reference };
            level.wanted.push(wanted);
            level.keys.push((index, 0..walk.keys.len()));
        }
    }
    while !level.wanted.is_empty() {
        let expanded: Vec<Expanded> = if level.wanted.len() <= CHUNK {
            vec![expand(reader, walks, &level.wanted, &level.keys)?]
        } else {
            level
                .wanted
                .par_chunks(CHUNK)
                .zip(level.keys.par_chunks(CHUNK))
                .map(|(wanted, keys)| expand(reader, walks, wanted, keys))
                .collect::<Result<_, _>>()?
        };
        let mut children = loaded.nodes.len() + level.wanted.len();
        level = Level::default();
        for mut part in expanded {
            for (node, count) in part.nodes {
                loaded.nodes.push(LoadedNode { node, children });
                children += count;
            }
            level.wanted.append(&mut part.next.wanted);
            level.keys.append(&mut part.next.keys);
            loaded.leaves.append(&mut part.leaves);
        }
    }
    Ok(loaded)
}

/// Nodes, with how many children of each are to be read, and these children.
struct Expanded {
    nodes: Vec<(Node, usize)>,
    next: Level,
    leaves: Vec<(usize, usize, RlpNode)>,
}

fn expand<R: TrieReader, X>(
    reader: &R,
    walks: &[Walk<'_, X>],
    wanted: &[WantedNode],
    keys: &[(usize, Range<usize>)],
) -> Result<Expanded, TrieError> {
    let nodes = reader.nodes(wanted)?;
    let mut expanded = Expanded {
        nodes: Vec::with_capacity(wanted.len()),
        next: Level::default(),
        leaves: Vec::new(),
    };
    for ((wanted, (walk, below)), node) in wanted.iter().zip(keys).zip(nodes) {
        let WantedNode { account, path, .. } = *wanted;
        let trie = account.map_or(TrieId::Accounts, TrieId::Storage);
        let node = node.ok_or(TrieError::MissingNode { trie, path })?;
        let misplaced = || TrieError::Misplaced { trie, path };
        let before = expanded.next.wanted.len();
        let keys = &walks[*walk].keys[below.clone()];
        let mut go = |path, keys: Range<usize>, reference| {
            expanded.next.wanted.push(WantedNode { account, path, reference });
            expanded.next.keys.push((*walk, below.start + keys.start..below.start + keys.end));
        };
        let mut leaf = |key: B256, keys: &[(B256, X)], offset: usize, reference| {
            if let Ok(found) = keys.binary_search_by(|(wanted, _)| wanted.cmp(&key)) {
                expanded.leaves.push((*walk, below.start + offset + found, reference));
            }
        };
        match node.view() {
            NodeView::Branch(branch) => {
                if path.len() >= KEY_NIBBLES {
                    return Err(misplaced());
                }
                let mut start = 0;
                for (nibble, group) in groups(path.len(), keys) {
                    match branch.child(nibble) {
                        None => {}
                        Some(Child::Leaf { key, reference }) => leaf(key, group, start, reference),
                        Some(Child::Node(reference)) => {
                            go(child(&path, nibble), start..start + group.len(), reference);
                        }
                    }
                    start += group.len();
                }
            }
            NodeView::Extension(extension) => {
                let key = extension.key();
                if path.len() + key.len() >= KEY_NIBBLES {
                    return Err(misplaced());
                }
                let path = path.join(&key);
                let inner = within(&path, keys);
                if !inner.is_empty() {
                    go(path, inner, extension.child());
                }
            }
            NodeView::Leaf { key } if path.is_empty() => {
                leaf(key, keys, 0, wanted.reference.clone());
            }
            NodeView::Leaf { .. } => return Err(misplaced()),
        }
        let count = expanded.next.wanted.len() - before;
        expanded.nodes.push((node, count));
    }
    Ok(expanded)
}
