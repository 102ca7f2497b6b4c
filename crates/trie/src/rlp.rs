//! RLP of trie nodes, written into buffers on the stack (Yellow Paper, appendix D).

use crate::node::BranchView;
use alloy_primitives::{B256, U256};
use alloy_rlp::Encodable;
use alloy_trie::{TrieAccount, nodes::RlpNode};
use nybbles::Nibbles;

/// RLP of a branch of sixteen hashes, the longest node there is.
pub(crate) const MAX_RLP: usize = 3 + 16 * 33 + 1;
/// RLP of an account with every field at its longest.
pub const MAX_LEAF_VALUE: usize = 2 + 9 + 33 + 33 + 33;
/// Nibbles of a key.
pub(crate) const KEY_NIBBLES: usize = 64;

/// A node's RLP.
pub(crate) struct NodeRlp {
    bytes: [u8; MAX_RLP],
    /// The RLP begins here: the list header is written last, before its payload.
    start: usize,
    end: usize,
}

/// Room for the longest list header.
const PAYLOAD: usize = 3;

impl NodeRlp {
    pub(crate) const fn new() -> Self {
        Self { bytes: [0; MAX_RLP], start: PAYLOAD, end: PAYLOAD }
    }

    pub(crate) fn as_slice(&self) -> &[u8] {
        &self.bytes[self.start..self.end]
    }

    /// Writes the leaf of `key` whose parent ends at `depth` nibbles.
    pub(crate) fn leaf<V: LeafValue>(&mut self, key: &B256, depth: usize, value: &V) -> &[u8] {
        self.end = PAYLOAD;
        let packed = &key.as_slice()[depth.div_ceil(2)..];
        let head = if depth.is_multiple_of(2) { 0x20 } else { 0x30 | (key[depth / 2] & 0x0f) };
        self.path(head, packed);

        let mut rlp = [0; MAX_LEAF_VALUE];
        let value = value.write(&mut rlp);
        match value {
            [byte] if *byte < 0x80 => self.put(&[*byte]),
            _ => {
                if value.len() <= 55 {
                    self.put(&[0x80 + value.len() as u8]);
                } else {
                    self.put(&[0xb8, value.len() as u8]);
                }
                self.put(value);
            }
        }
        self.close()
    }

    /// Writes an extension.
    pub(crate) fn extension(&mut self, key: &Nibbles, child: &RlpNode) -> &[u8] {
        self.end = PAYLOAD;
        let odd = key.len() % 2;
        let head = if odd == 1 { 0x10 | key.get_unchecked(0) } else { 0 };
        let mut packed = [0; KEY_NIBBLES / 2];
        let packed = &mut packed[..key.len() / 2];
        for (at, byte) in packed.iter_mut().enumerate() {
            *byte = key.get_byte_unchecked(odd + 2 * at);
        }
        self.path(head, packed);
        self.put(child);
        self.close()
    }

    /// Writes a branch.
    pub(crate) fn branch(&mut self, branch: &BranchView<'_>) -> &[u8] {
        self.end = PAYLOAD;
        for nibble in 0..16 {
            if branch.children_mask() & (1 << nibble) == 0 {
                self.put(&[0x80]);
            } else if branch.is_inlined(nibble) {
                let slot = branch.slot(nibble);
                self.put(&slot[1..=usize::from(slot[0])]);
            } else {
                self.bytes[self.end] = 0xa0;
                self.bytes[self.end + 1..self.end + 33].copy_from_slice(branch.slot(nibble));
                self.end += 33;
            }
        }
        self.put(&[0x80]);
        self.close()
    }

    /// The hex-prefix form of a partial path.
    fn path(&mut self, head: u8, packed: &[u8]) {
        if !packed.is_empty() {
            self.put(&[0x81 + packed.len() as u8]);
        }
        self.put(&[head]);
        self.put(packed);
    }

    fn put(&mut self, bytes: &[u8]) {
        self.bytes[self.end..self.end + bytes.len()].copy_from_slice(bytes);
        self.end += bytes.len();
    }

    /// Puts the list header before the payload.
    fn close(&mut self) -> &[u8] {
        let len = self.end - PAYLOAD;
        self.start = if len <= 55 {
            self.bytes[2] = 0xc0 + len as u8;
            2
        } else if len <= 0xff {
            self.bytes[1..3].copy_from_slice(&[0xf8, len as u8]);
            1
        } else {
            self.bytes[0] = 0xf9;
            self.bytes[1..3].copy_from_slice(&(len as u16).to_be_bytes());
            0
        };
        self.as_slice()
    }
}

/// What a leaf holds: an account, or a storage slot's value.
pub trait LeafValue: Copy + PartialEq + Send + Sync {
    /// Writes the value's RLP and returns it.
    fn write<'a>(&self, out: &'a mut [u8; MAX_LEAF_VALUE]) -> &'a [u8];
}

impl LeafValue for TrieAccount {
    fn write<'a>(&self, out: &'a mut [u8; MAX_LEAF_VALUE]) -> &'a [u8] {
        let mut rest = &mut out[..];
        self.encode(&mut rest);
        let left = rest.len();
        &out[..MAX_LEAF_VALUE - left]
    }
}

impl LeafValue for U256 {
    fn write<'a>(&self, out: &'a mut [u8; MAX_LEAF_VALUE]) -> &'a [u8] {
        let mut rest = &mut out[..];
        self.encode(&mut rest);
        let left = rest.len();
        &out[..MAX_LEAF_VALUE - left]
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Child, Node};
    use alloy_primitives::keccak256;
    use alloy_trie::nodes::{BranchNode, ExtensionNode, LeafNode};
    use proptest::prelude::*;

    fn suffix(key: &B256, depth: usize) -> Nibbles {
        Nibbles::unpack(key).slice(depth..)
    }

    #[test]
    fn the_longest_branch_fits() {
        let reference = RlpNode::word_rlp(&B256::repeat_byte(7));
        let children: Vec<_> =
            (0..16).map(|nibble| (nibble, Child::Node(reference.clone()))).collect();
        let node = Node::branch(children.iter().map(|(nibble, child)| (*nibble, child)));
        let mut rlp = NodeRlp::new();
        let branch = node.as_branch().expect("a branch");
        assert_eq!(rlp.branch(&branch).len(), MAX_RLP);
    }

    #[test]
    fn the_longest_account_fits() {
        let account =
            TrieAccount::new(u64::MAX, U256::MAX, B256::repeat_byte(1), B256::repeat_byte(2));
        let mut rlp = NodeRlp::new();
        let expected = alloy_rlp::encode(LeafNode::new(
            Nibbles::unpack(B256::ZERO),
            alloy_rlp::encode(account),
        ));
        assert_eq!(rlp.leaf(&B256::ZERO, 0, &account), expected);
    }

    proptest! {
        #[test]
        fn leaves_encode_as_alloy_does(key: [u8; 32], depth in 0..=64usize, value: u64, shift in 0..192usize) {
            let key = B256::from(key);
            let value = U256::from(value) << shift;
            let expected = alloy_rlp::encode(LeafNode::new(suffix(&key, depth), alloy_rlp::encode(value)));
            let mut rlp = NodeRlp::new();
            prop_assert_eq!(rlp.leaf(&key, depth, &value), expected);
        }

        #[test]
        fn extensions_encode_as_alloy_does(key: [u8; 32], len in 1..64usize, inlined in prop::option::of(1..32usize)) {
            let hash = keccak256(key);
            let child = inlined.map_or_else(
                || RlpNode::word_rlp(&hash),
                |len| RlpNode::from_raw(&hash[..len]).expect("short"),
            );
            let key = Nibbles::unpack(key).slice(..len);
            let expected = alloy_rlp::encode(ExtensionNode::new(key, child.clone()));
            let mut rlp = NodeRlp::new();
            prop_assert_eq!(rlp.extension(&key, &child), expected);
        }

        #[test]
        fn branches_encode_as_alloy_does(children in prop::collection::btree_map(0..16u8, (any::<[u8; 32]>(), 1..=32usize), 2..=16)) {
            let children: Vec<_> = children
                .into_iter()
                .map(|(nibble, (hash, len))| {
                    let reference = if len == 32 {
                        RlpNode::word_rlp(&B256::from(hash))
                    } else {
                        RlpNode::from_raw(&hash[..len]).expect("short")
                    };
                    (nibble, Child::Node(reference))
                })
                .collect();
            let mask = children.iter().fold(0, |mask, (nibble, _)| mask | 1 << nibble);
            let stack = children.iter().map(|(_, child)| child.reference().clone()).collect();
            let expected = alloy_rlp::encode(BranchNode::new(stack, alloy_trie::TrieMask::new(mask)));
            let node = Node::branch(children.iter().map(|(nibble, child)| (*nibble, child)));
            let branch = node.as_branch().expect("a branch");
            let mut rlp = NodeRlp::new();
            prop_assert_eq!(rlp.branch(&branch), expected);
        }
    }
}
