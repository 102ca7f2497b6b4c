//! Merkle trees that OpenZeppelin's `MerkleProof` verifies.
//!
//! A node is the keccak256 of its two children, the smaller one first; the last node of an odd level
//! goes up as it is. Leaves are hashes of messages that are never 64 bytes long, so that no inner
//! node passes for one.

use alloy_primitives::{B256, keccak256};
use ascribe_keccak::Hasher;

/// Hashes of messages of at most [`ascribe_keccak::MAX_MESSAGE`] bytes, in order.
pub(crate) fn hashes<M: AsRef<[u8]>>(messages: impl ExactSizeIterator<Item = M>) -> Vec<B256> {
    let mut hashes = vec![B256::ZERO; messages.len()];
    let mut hasher = Hasher::new();
    let mut done = |at: u32, hash| hashes[at as usize] = hash;
    for (at, message) in (0..).zip(messages) {
        hasher.push(at, message.as_ref(), &mut done);
    }
    hasher.finish(&mut done);
    hashes
}

/// The two, the smaller one first.
fn pair(one: &B256, other: &B256) -> [u8; 64] {
    let (first, second) = if one <= other { (one, other) } else { (other, one) };
    let mut bytes = [0; 64];
    bytes[..32].copy_from_slice(first.as_slice());
    bytes[32..].copy_from_slice(second.as_slice());
    bytes
}

/// The level above, if there is one.
fn parents(level: &[B256]) -> Option<Vec<B256>> {
    (level.len() > 1).then(|| {
        let pairs = level.chunks_exact(2);
        let odd = pairs.remainder().first().copied();
        let mut parents = hashes(pairs.map(|children| pair(&children[0], &children[1])));
        parents.extend(odd);
        parents
    })
}

/// The root over `leaves`; zero if there are none.
pub fn root(leaves: &[B256]) -> B256 {
    let mut level = leaves.to_vec();
    while let Some(above) = parents(&level) {
        level = above;
    }
    level.first().copied().unwrap_or_default()
}

/// The siblings on the way from the leaf at `index` to the root over `leaves`; `None` if there is no
/// such leaf.
pub fn proof(leaves: &[B256], mut index: usize) -> Option<Vec<B256>> {
    if index >= leaves.len() {
        return None;
    }
    let (mut level, mut siblings) = (leaves.to_vec(), Vec::new());
    while let Some(above) = parents(&level) {
        siblings.extend(level.get(index ^ 1));
        index /= 2;
        level = above;
    }
    Some(siblings)
}

/// The root that `leaf` has with these siblings.
pub fn root_from_proof(leaf: B256, siblings: &[B256]) -> B256 {
    siblings.iter().fold(leaf, |node, sibling| keccak256(pair(&node, sibling)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_leaf_has_a_proof() {
        assert_eq!(root(&[]), B256::ZERO);
        for count in 1..70_u64 {
            let leaves: Vec<B256> = (0..count).map(|at| keccak256(at.to_be_bytes())).collect();
            let root = root(&leaves);
            for (index, leaf) in leaves.iter().enumerate() {
                let siblings = proof(&leaves, index).expect("a leaf");
                assert_eq!(root_from_proof(*leaf, &siblings), root);
                assert_ne!(root_from_proof(keccak256(leaf), &siblings), root);
            }
            assert_eq!(proof(&leaves, leaves.len()), None);
        }
    }

    /// The last of an odd number goes up as it is.
    #[test]
    fn three_leaves() {
        let leaves = ["a", "b", "c"].map(keccak256);
        let ab = keccak256(pair(&leaves[0], &leaves[1]));
        assert_eq!(root(&leaves), keccak256(pair(&ab, &leaves[2])));
    }
}
