//! Parts of a trie that are computed side by side.
//!
//! What lies below one nibble of a root branch depends on nothing else, from reading to hashing. So
//! a thread can take some nibbles all the way: it is woken once, and finds what it read in its own
//! processor's cache when it comes to hash it.

use crate::{
    Node, TrieError,
    hash::Finished,
    load::Loaded,
    plan::{Change, Changed, Extension, Link, Plan, Planner, Slot, groups},
    tree::Tree,
};
use alloy_primitives::B256;
use nybbles::Nibbles;

/// Keys of a part: what is on the way to so many fits the cache that a processor has to itself.
const MANY: usize = 128;
/// Keys for which it does not pay to wake a thread.
const FEW: usize = 32;

/// Cuts sorted keys into parts that share no nibble of a root branch.
pub(crate) fn cut<X>(keys: &[(B256, X)]) -> Vec<&[(B256, X)]> {
    let threads = rayon::current_num_threads();
    let parts = keys.len().div_ceil(MANY).next_multiple_of(threads).min(keys.len() / FEW).max(1);
    let size = keys.len() / parts;
    let mut cut = Vec::with_capacity(parts);
    let (mut start, mut end) = (0, 0);
    for (_, group) in groups(0, keys) {
        if end > start && end - start + group.len() / 2 > size {
            cut.push(&keys[start..end]);
            start = end;
        }
        end += group.len();
    }
    if end > start {
        cut.push(&keys[start..end]);
    }
    cut
}

/// What comes to stand at some nibbles of a root branch. Whatever lies deeper is hashed.
pub(crate) struct Below<V>(Vec<(u8, Sealed<V>)>);

/// A slot that needs no plan to be understood.
enum Sealed<V> {
    Leaf(B256, V),
    Other(Slot),
}

/// Plans changes in a loaded trie whose root is `branch`, but for the root.
pub(crate) fn plan<T: Tree>(
    plan: &mut Plan<T::Value>,
    tree: &T,
    loaded: &Loaded,
    changes: &[Change<T::Value>],
) -> Result<Changed, TrieError> {
    let root = loaded.root(0).and_then(|root| {
        let branch = loaded.node(root).as_branch()?;
        Some((branch, loaded.children(root)))
    });
    let path = Nibbles::new();
    let (branch, children) = root.ok_or_else(|| tree.misplaced(&path))?;
    Planner { index: 0, tree, loaded, plan }.update_children(path, branch, children, changes)
}

impl<V: Copy> Below<V> {
    /// Takes what has been planned out of its plan, which is hashed.
    pub(crate) fn new(plan: &Plan<V>, finished: &Finished, slots: Changed) -> Self {
        let link = |link: &Link| Link::Old(Box::new(finished.link(link).clone()));
        let seal = |slot| match slot {
            Slot::Leaf(leaf) => Sealed::Leaf(plan.leaves[leaf].key, plan.leaves[leaf].value),
            Slot::Branch(branch) => Sealed::Other(Slot::Branch(link(&branch))),
            Slot::Extension(extension) => {
                let Extension { key, branch } = *extension;
                let branch = link(&branch);
                Sealed::Other(Slot::Extension(Box::new(Extension { key, branch })))
            }
            slot @ (Slot::Kept | Slot::Empty) => Sealed::Other(slot),
        };
        Self(slots.into_iter().map(|(nibble, slot)| (nibble, seal(slot))).collect())
    }
}

/// Plans what becomes of a root branch, given all parts of the trie in their order.
pub(crate) fn join<T: Tree>(
    tree: &T,
    root: &Node,
    parts: impl Iterator<Item = Below<T::Value>>,
) -> Result<Plan<T::Value>, TrieError> {
    let (mut plan, loaded) = (Plan::new(), Loaded::default());
    let mut planner = Planner { index: 0, tree, loaded: &loaded, plan: &mut plan };
    let mut changed = Changed::new();
    for (nibble, sealed) in parts.flat_map(|part| part.0) {
        let slot = match sealed {
            Sealed::Leaf(key, value) => planner.leaf(key, value),
            Sealed::Other(slot) => slot,
        };
        changed.push((nibble, slot));
    }
    let path = Nibbles::new();
    let branch = root.as_branch().ok_or_else(|| tree.misplaced(&path))?;
    let slot = planner.finish_branch(path, root, branch, changed)?;
    plan.root(0, slot);
    Ok(plan)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HashedPostState, MemoryState, StateLayer, TrieAccount, state_root};
    use alloy_primitives::{keccak256, map::B256Map};

    #[test]
    fn parts_are_all_keys_and_share_no_nibble() {
        let nibble = |key: &B256| key[0] >> 4;
        for len in [0, 1, 31, 64, 200, 1000, 5000] {
            let mut keys: Vec<_> = (0..len).map(|n: u64| (keccak256(n.to_be_bytes()), n)).collect();
            keys.sort_unstable();
            let parts = cut(&keys);
            assert_eq!(parts.concat(), keys);
            assert!(parts.iter().all(|part| !part.is_empty()));
            for pair in parts.windows(2) {
                let (last, first) = (pair[0].last().expect("a key").0, pair[1][0].0);
                assert!(nibble(&last) < nibble(&first));
            }
            assert!(parts.len() <= 16 && (len >= 64 || parts.len() <= 1));
        }
        // Nothing can be cut where all keys begin alike.
        let keys: Vec<_> = (0..=255).map(|n| (B256::with_last_byte(n), ())).collect();
        assert_eq!(cut(&keys), [&keys[..]]);
    }

    /// Deletes, in many parts, all accounts but some, which stay as they are or change as well.
    fn thin_out(stays: impl Fn(&B256) -> bool) {
        let account = |nonce| TrieAccount { nonce, ..Default::default() };
        let keys: Vec<_> = (0..600u64).map(|n| keccak256(n.to_be_bytes())).collect();
        let (state, root) = MemoryState::build(
            keys.iter().map(|key| (*key, account(1))).collect(),
            B256Map::default(),
        )
        .expect("sorted keys");
        for touch in [false, true] {
            let kept = keys.iter().filter(|key| stays(key));
            let kept = kept.map(|key| (*key, account(1 + u64::from(touch)))).collect();
            let (expected, expected_root) =
                MemoryState::build(kept, B256Map::default()).expect("sorted keys");
            let changed = keys.iter().filter(|key| touch || !stays(key));
            let accounts: B256Map<_> =
                changed.map(|key| (*key, expected.accounts.get(key).map(Into::into))).collect();
            let changes = HashedPostState { accounts, ..Default::default() };
            let output = state_root(&state, root, &changes).expect("sound state");
            assert_eq!(output.state_root, expected_root);
            let mut state = state.clone();
            state.apply(&StateLayer::new(changes, output));
            assert_eq!(state, expected);
        }
    }

    #[test]
    fn a_root_dissolves_across_parts() {
        let one = keccak256(7u64.to_be_bytes());
        thin_out(|_| false);
        thin_out(|key| *key == one);
        thin_out(|key| key[0] == one[0]);
        thin_out(|key| key[0] >> 4 == one[0] >> 4);
        thin_out(|key| key[0] & 0x0f == 3);
    }
}
