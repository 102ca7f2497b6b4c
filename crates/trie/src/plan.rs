//! The shape of a trie after changes, hashes not yet computed.
//!
//! A [`Plan`] holds what is new: leaves, branches and extensions, of one or many tries. It is made
//! by walking from the root down the changed paths, whose nodes [`load`](crate::load) has read, and
//! back; nothing more is read, but where a branch is left with one child. How nodes hash is
//! [`hash`](crate::hash)'s business.

use crate::{
    Child, Node, NodeView, TrieError, load::Loaded, node::BranchView, rlp::LeafValue, tree::Tree,
};
use alloy_primitives::B256;
use alloy_trie::nodes::RlpNode;
use nybbles::Nibbles;
use rayon::prelude::*;
use smallvec::SmallVec;
use std::ops::Range;

/// From how many changes under one branch on its children are planned in parallel.
const PARALLEL: usize = 256;

/// A key's new value; `None` deletes. Lists of changes are sorted by key, without repetition.
pub(crate) type Change<V> = (B256, Option<V>);

/// New leaves and nodes of one or many tries.
pub(crate) struct Plan<V> {
    pub(crate) leaves: Vec<NewLeaf<V>>,
    pub(crate) nodes: Vec<NewNode>,
    /// Children of new branches, each branch's own in one range, in nibble order.
    pub(crate) entries: Vec<(u8, Entry)>,
    /// Stored nodes that go, unless a new one takes the place.
    pub(crate) removed: Vec<(u32, Nibbles)>,
    /// New roots by trie. A trie that stays as it is has none.
    pub(crate) roots: Vec<(u32, Entry)>,
}

pub(crate) struct NewLeaf<V> {
    pub(crate) key: B256,
    pub(crate) value: V,
    /// Nibbles of the key above this leaf; known when it has found its place.
    pub(crate) depth: usize,
}

pub(crate) struct NewNode {
    /// Which of the plan's tries.
    pub(crate) tree: u32,
    pub(crate) path: Nibbles,
    pub(crate) kind: NewKind,
}

pub(crate) enum NewKind {
    /// The children in `entries`, and those of `old` at all other nibbles.
    Branch {
        old: Option<Node>,
        entries: Range<usize>,
    },
    Extension(Box<Extension>),
}

pub(crate) struct Extension {
    pub(crate) key: Nibbles,
    pub(crate) branch: Link,
}

/// A branch, new or as it was. What is rare is boxed: links are moved about a lot.
pub(crate) enum Link {
    New(usize),
    Old(Box<RlpNode>),
}

/// A child of a new branch, or a root.
pub(crate) enum Entry {
    Empty,
    Leaf(usize),
    Node(Link),
}

/// What stands at a path before the changes.
enum At {
    Empty,
    Leaf(B256),
    /// A stored node; its place among the loaded ones.
    Node(usize),
    /// The rest of an extension that was split, down to a stored branch. Maybe nothing is left of
    /// it: then the branch stands here. The branch is loaded if a change goes there.
    Rest {
        key: Nibbles,
        branch: RlpNode,
        loaded: usize,
    },
}

/// What stands at a path after the changes. Leaves and extensions float: if the branch above goes,
/// they move up, so they are placed only when that branch is sure to stay.
pub(crate) enum Slot {
    /// As before.
    Kept,
    Empty,
    Leaf(usize),
    Branch(Link),
    Extension(Box<Extension>),
}

/// Children of a branch that change, in nibble order.
pub(crate) type Changed = SmallVec<[(u8, Slot); 16]>;

impl Slot {
    /// A branch that was there before, `key` further down.
    fn old(key: Nibbles, branch: RlpNode) -> Self {
        Self::Branch(Link::Old(Box::new(branch))).under(&key)
    }

    /// The same thing seen from `prefix` further up, where no branch is in between.
    fn under(self, prefix: &Nibbles) -> Self {
        match self {
            Self::Branch(branch) if !prefix.is_empty() => {
                Self::Extension(Box::new(Extension { key: *prefix, branch }))
            }
            Self::Extension(mut extension) => {
                extension.key = prefix.join(&extension.key);
                Self::Extension(extension)
            }
            other => other,
        }
    }
}

impl<V: LeafValue> Plan<V> {
    pub(crate) const fn new() -> Self {
        Self {
            leaves: Vec::new(),
            nodes: Vec::new(),
            entries: Vec::new(),
            removed: Vec::new(),
            roots: Vec::new(),
        }
    }

    /// Plans the changes of one trie, the nodes on the way to which are loaded. `index` tells it
    /// from the plan's others; `root` is its root node.
    pub(crate) fn trie<T: Tree<Value = V>>(
        &mut self,
        index: u32,
        tree: &T,
        loaded: &Loaded,
        root: Option<usize>,
        changes: &[Change<V>],
    ) -> Result<(), TrieError> {
        let path = Nibbles::new();
        let at = match root {
            None => At::Empty,
            Some(root) => match loaded.node(root).view() {
                NodeView::Leaf { key } => At::Leaf(key),
                _ => At::Node(root),
            },
        };
        let slot = Planner { index, tree, loaded, plan: self }.update(path, &at, changes)?;
        if matches!(slot, Slot::Empty) && matches!(at, At::Leaf(_)) {
            self.removed.push((index, path));
        }
        self.root(index, slot);
        Ok(())
    }

    /// Makes a slot the new root of a trie.
    pub(crate) fn root(&mut self, index: u32, slot: Slot) {
        if !matches!(slot, Slot::Kept) {
            let entry = self.place(index, Nibbles::new(), slot);
            self.roots.push((index, entry));
        }
    }

    /// Takes in another plan; returns how far its leaves and nodes moved.
    pub(crate) fn append(&mut self, other: Self) -> Moved {
        let moved = Moved { leaves: self.leaves.len(), nodes: self.nodes.len() };
        let entries = self.entries.len();
        self.leaves.extend(other.leaves);
        self.nodes.extend(other.nodes.into_iter().map(|node| NewNode {
            kind: match node.kind {
                NewKind::Branch { old, entries: Range { start, end } } => {
                    NewKind::Branch { old, entries: start + entries..end + entries }
                }
                NewKind::Extension(extension) => {
                    NewKind::Extension(Box::new(moved.extension(*extension)))
                }
            },
            ..node
        }));
        self.entries
            .extend(other.entries.into_iter().map(|(nibble, entry)| (nibble, moved.entry(entry))));
        self.removed.extend(other.removed);
        self.roots.extend(other.roots.into_iter().map(|(tree, entry)| (tree, moved.entry(entry))));
        moved
    }

    /// Fixes what floats at its path.
    fn place(&mut self, tree: u32, path: Nibbles, slot: Slot) -> Entry {
        match slot {
            Slot::Kept | Slot::Empty => Entry::Empty,
            Slot::Leaf(leaf) => {
                self.leaves[leaf].depth = path.len();
                Entry::Leaf(leaf)
            }
            Slot::Branch(link) => Entry::Node(link),
            Slot::Extension(extension) => {
                let kind = NewKind::Extension(extension);
                self.nodes.push(NewNode { tree, path, kind });
                Entry::Node(Link::New(self.nodes.len() - 1))
            }
        }
    }
}

/// Offsets of a plan's items after it was appended to another.
#[derive(Clone, Copy)]
pub(crate) struct Moved {
    leaves: usize,
    nodes: usize,
}

impl Moved {
    fn link(self, link: Link) -> Link {
        match link {
            Link::New(node) => Link::New(node + self.nodes),
            old @ Link::Old(_) => old,
        }
    }

    fn extension(self, Extension { key, branch }: Extension) -> Extension {
        Extension { key, branch: self.link(branch) }
    }

    fn entry(self, entry: Entry) -> Entry {
        match entry {
            Entry::Empty => Entry::Empty,
            Entry::Leaf(leaf) => Entry::Leaf(leaf + self.leaves),
            Entry::Node(link) => Entry::Node(self.link(link)),
        }
    }

    fn slot(self, slot: Slot) -> Slot {
        match slot {
            Slot::Leaf(leaf) => Slot::Leaf(leaf + self.leaves),
            Slot::Branch(link) => Slot::Branch(self.link(link)),
            Slot::Extension(extension) => Slot::Extension(Box::new(self.extension(*extension))),
            slot @ (Slot::Kept | Slot::Empty) => slot,
        }
    }
}

/// Walks one trie.
pub(crate) struct Planner<'a, T: Tree> {
    pub(crate) index: u32,
    pub(crate) tree: &'a T,
    pub(crate) loaded: &'a Loaded,
    pub(crate) plan: &'a mut Plan<T::Value>,
}

impl<T: Tree> Planner<'_, T> {
    /// Applies changes whose keys all begin with `path` to what stands there.
    fn update(
        &mut self,
        path: Nibbles,
        at: &At,
        changes: &[Change<T::Value>],
    ) -> Result<Slot, TrieError> {
        match at {
            At::Empty => {
                if let [(key, Some(value))] = changes {
                    return Ok(self.leaf(*key, *value));
                }
                let inserts: Vec<_> = inserts(changes).collect();
                Ok(if inserts.is_empty() { Slot::Kept } else { self.build(path.len(), &inserts) })
            }
            At::Leaf(key) => self.update_leaf(path, *key, changes),
            At::Node(index) => self.update_node(path, *index, changes),
            At::Rest { key, loaded, .. } if key.is_empty() => {
                self.update_node(path, *loaded, changes)
            }
            At::Rest { key, branch, loaded } => {
                self.update_extension(path, *key, branch, *loaded, changes)
            }
        }
    }

    fn update_node(
        &mut self,
        path: Nibbles,
        index: usize,
        changes: &[Change<T::Value>],
    ) -> Result<Slot, TrieError> {
        let (node, children) = (self.loaded.node(index), self.loaded.children(index));
        match node.view() {
            NodeView::Branch(branch) => self.update_branch(path, node, branch, children, changes),
            NodeView::Extension(extension) => {
                let (key, branch) = (extension.key(), extension.child());
                let slot = self.update_extension(path, key, &branch, children, changes)?;
                if !matches!(slot, Slot::Kept) {
                    self.removed(path);
                }
                Ok(slot)
            }
            NodeView::Leaf { .. } => Err(self.tree.misplaced(&path)),
        }
    }

    fn update_leaf(
        &mut self,
        path: Nibbles,
        key: B256,
        changes: &[Change<T::Value>],
    ) -> Result<Slot, TrieError> {
        if let [(changed, value)] = changes
            && *changed == key
        {
            return Ok(value.map_or(Slot::Empty, |value| self.leaf(key, value)));
        }
        let mut inserts: Vec<_> = inserts(changes).collect();
        if changes.binary_search_by(|change| change.0.cmp(&key)).is_err() {
            if inserts.is_empty() {
                return Ok(Slot::Kept);
            }
            if !starts_with(&key, &path) {
                return Err(self.tree.misplaced(&path));
            }
            let place = inserts.partition_point(|insert| insert.0 < key);
            inserts.insert(place, (key, self.tree.value(key)?));
        }
        Ok(self.build(path.len(), &inserts))
    }

    fn update_branch(
        &mut self,
        path: Nibbles,
        node: &Node,
        branch: BranchView<'_>,
        children: usize,
        changes: &[Change<T::Value>],
    ) -> Result<Slot, TrieError> {
        let changed = self.update_children(path, branch, children, changes)?;
        self.finish_branch(path, node, branch, changed)
    }

    /// Applies changes to the children of a branch.
    pub(crate) fn update_children(
        &mut self,
        path: Nibbles,
        branch: BranchView<'_>,
        mut children: usize,
        changes: &[Change<T::Value>],
    ) -> Result<Changed, TrieError> {
        let mut next = |nibble| {
            let at = at(branch, nibble, children);
            children += usize::from(matches!(at, At::Node(_)));
            at
        };
        let mut changed = Changed::new();
        if changes.len() < PARALLEL {
            for (nibble, group) in groups(path.len(), changes) {
                match self.update(child(&path, nibble), &next(nibble), group)? {
                    Slot::Kept => {}
                    slot => changed.push((nibble, slot)),
                }
            }
        } else {
            let Self { index, tree, loaded, .. } = *self;
            let parts: Vec<_> = groups(path.len(), changes)
                .map(|(nibble, group)| (nibble, next(nibble), group))
                .collect::<Vec<_>>()
                .into_par_iter()
                .map(|(nibble, at, group)| {
                    let mut plan = Plan::new();
                    let slot = Planner { index, tree, loaded, plan: &mut plan }.update(
                        child(&path, nibble),
                        &at,
                        group,
                    )?;
                    Ok((nibble, slot, plan))
                })
                .collect::<Result<_, TrieError>>()?;
            for (nibble, slot, plan) in parts {
                let moved = self.plan.append(plan);
                match slot {
                    Slot::Kept => {}
                    slot => changed.push((nibble, moved.slot(slot))),
                }
            }
        }
        Ok(changed)
    }

    /// What becomes of a branch some children of which have changed.
    pub(crate) fn finish_branch(
        &mut self,
        path: Nibbles,
        node: &Node,
        branch: BranchView<'_>,
        changed: Changed,
    ) -> Result<Slot, TrieError> {
        if changed.is_empty() {
            return Ok(Slot::Kept);
        }
        let slot = self.settle(path, Some((node, branch)), changed)?;
        if !matches!(slot, Slot::Branch(_)) {
            self.removed(path);
        }
        Ok(slot)
    }

    /// Applies changes to an extension by `skip` to a branch, which may or may not be stored.
    fn update_extension(
        &mut self,
        path: Nibbles,
        skip: Nibbles,
        branch: &RlpNode,
        loaded: usize,
        changes: &[Change<T::Value>],
    ) -> Result<Slot, TrieError> {
        let full = self.tree.beyond(&path, &skip)?;
        let shared = |key: &B256| Nibbles::unpack(key).common_prefix_length(&full);
        let split = inserts(changes).map(|(key, _)| shared(&key)).min().unwrap_or(full.len());
        if split == full.len() {
            let inner = &changes[within(&full, changes)];
            if inner.is_empty() {
                return Ok(Slot::Kept);
            }
            let slot = self.update_node(full, loaded, inner)?;
            return Ok(slot.under(&skip));
        }

        // Some insert leaves the extension: a branch comes to stand where the first one does.
        let middle = full.slice(..split);
        let old_nibble = full.get_unchecked(split);
        let mut old =
            Some(At::Rest { key: full.slice(split + 1..), branch: branch.clone(), loaded });
        let mut changed = Changed::new();
        for (nibble, group) in groups(split, &changes[within(&middle, changes)]) {
            if let Some(at) = old.take_if(|_| nibble > old_nibble) {
                changed.push((old_nibble, floating(at)));
            }
            let path = child(&middle, nibble);
            let slot = match old.take_if(|_| nibble == old_nibble) {
                None => self.update(path, &At::Empty, group)?,
                Some(at) => match self.update(path, &at, group)? {
                    Slot::Kept => floating(at),
                    slot => slot,
                },
            };
            if !matches!(slot, Slot::Kept) {
                changed.push((nibble, slot));
            }
        }
        if let Some(at) = old {
            changed.push((old_nibble, floating(at)));
        }
        let slot = self.settle(middle, None, changed)?;
        Ok(slot.under(&middle.slice(path.len()..)))
    }

    /// Makes of the children that are left what can stand at `path`: a branch if there are at
    /// least two, else the one child moved up, or nothing.
    fn settle(
        &mut self,
        path: Nibbles,
        old: Option<(&Node, BranchView<'_>)>,
        changed: Changed,
    ) -> Result<Slot, TrieError> {
        let mut children = old.map_or(0, |(_, branch)| branch.children_mask());
        for (nibble, slot) in &changed {
            let bit = 1 << nibble;
            children = if matches!(slot, Slot::Empty) { children & !bit } else { children | bit };
        }
        match children.count_ones() {
            0 => Ok(Slot::Empty),
            1 => {
                let nibble = children.trailing_zeros() as u8;
                let prefix = Nibbles::from_nibbles_unchecked([nibble]);
                let new = changed.into_iter().find(|(changed, _)| *changed == nibble);
                match (new, old) {
                    (Some((_, slot)), _) => Ok(slot.under(&prefix)),
                    (None, Some((_, branch))) => {
                        let slot = self.lift(child(&path, nibble), branch.child(nibble))?;
                        Ok(slot.under(&prefix))
                    }
                    (None, None) => Ok(Slot::Empty),
                }
            }
            _ => Ok(self.branch(path, old.map(|(node, _)| node.clone()), changed)),
        }
    }

    /// Frees a child that no change has touched, to be moved up.
    fn lift(&mut self, path: Nibbles, child: Option<Child>) -> Result<Slot, TrieError> {
        match child {
            Some(Child::Leaf { key, .. }) => {
                let value = self.tree.value(key)?;
                Ok(self.leaf(key, value))
            }
            Some(Child::Node(reference)) => match self.tree.child(&path, &reference)?.view() {
                NodeView::Branch(_) => Ok(Slot::old(Nibbles::new(), reference)),
                NodeView::Extension(extension) => {
                    self.tree.beyond(&path, &extension.key())?;
                    self.removed(path);
                    Ok(Slot::old(extension.key(), extension.child()))
                }
                NodeView::Leaf { .. } => Err(self.tree.misplaced(&path)),
            },
            None => Err(self.tree.misplaced(&path)),
        }
    }

    /// A new subtree of these leaves, whose keys share their first `depth` nibbles.
    fn build(&mut self, depth: usize, leaves: &[(B256, T::Value)]) -> Slot {
        let (first, last) = match leaves {
            [] => return Slot::Empty,
            [(key, value)] => return self.leaf(*key, *value),
            [first, .., last] => (Nibbles::unpack(first.0), Nibbles::unpack(last.0)),
        };
        let path = first.slice(..first.common_prefix_length(&last));
        let mut slots = Changed::new();
        for (nibble, group) in groups(path.len(), leaves) {
            slots.push((nibble, self.build(path.len() + 1, group)));
        }
        self.branch(path, None, slots).under(&path.slice(depth..))
    }

    /// A branch with these children, and those of `old` elsewhere.
    fn branch(&mut self, path: Nibbles, old: Option<Node>, changed: Changed) -> Slot {
        let start = self.plan.entries.len();
        for (nibble, slot) in changed {
            let entry = self.plan.place(self.index, child(&path, nibble), slot);
            self.plan.entries.push((nibble, entry));
        }
        let kind = NewKind::Branch { old, entries: start..self.plan.entries.len() };
        self.plan.nodes.push(NewNode { tree: self.index, path, kind });
        Slot::Branch(Link::New(self.plan.nodes.len() - 1))
    }

    pub(crate) fn leaf(&mut self, key: B256, value: T::Value) -> Slot {
        self.plan.leaves.push(NewLeaf { key, value, depth: 0 });
        Slot::Leaf(self.plan.leaves.len() - 1)
    }

    fn removed(&mut self, path: Nibbles) {
        self.plan.removed.push((self.index, path));
    }
}

/// What a branch has at a nibble; `loaded` is the place of the node it may have there.
fn at(branch: BranchView<'_>, nibble: u8, loaded: usize) -> At {
    let bit = 1 << nibble;
    if branch.children_mask() & bit == 0 {
        At::Empty
    } else if branch.leaves_mask() & bit == 0 {
        At::Node(loaded)
    } else {
        At::Leaf(branch.leaf_key(nibble))
    }
}

/// The far side of a split extension when no change touches it.
fn floating(at: At) -> Slot {
    match at {
        At::Rest { key, branch, .. } => Slot::old(key, branch),
        At::Empty | At::Leaf(_) | At::Node(_) => Slot::Kept,
    }
}

fn inserts<V: Copy>(changes: &[Change<V>]) -> impl Iterator<Item = (B256, V)> + '_ {
    changes.iter().filter_map(|(key, value)| Some((*key, (*value)?)))
}

/// Splits sorted keys by the nibble at `depth`, above which all are the same.
pub(crate) fn groups<X>(
    depth: usize,
    mut items: &[(B256, X)],
) -> impl Iterator<Item = (u8, &[(B256, X)])> {
    std::iter::from_fn(move || {
        let nibble = nibble(&items.first()?.0, depth);
        let len = items.partition_point(|item| self::nibble(&item.0, depth) <= nibble);
        let (group, rest) = items.split_at(len);
        items = rest;
        Some((nibble, group))
    })
}

/// Where in sorted items the keys begin with `prefix`.
pub(crate) fn within<X>(prefix: &Nibbles, items: &[(B256, X)]) -> Range<usize> {
    let side = |key: &B256| Nibbles::unpack(key).slice(..prefix.len()).cmp(prefix);
    let start = items.partition_point(|(key, _)| side(key).is_lt());
    let len = items[start..].partition_point(|(key, _)| side(key).is_eq());
    start..start + len
}

pub(crate) fn child(path: &Nibbles, nibble: u8) -> Nibbles {
    let mut path = *path;
    path.push_unchecked(nibble);
    path
}

pub(crate) fn nibble(key: &B256, depth: usize) -> u8 {
    let byte = key[depth / 2];
    if depth.is_multiple_of(2) { byte >> 4 } else { byte & 0x0f }
}

fn starts_with(key: &B256, path: &Nibbles) -> bool {
    Nibbles::unpack(key).starts_with(path)
}
