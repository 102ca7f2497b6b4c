//! A stored trie node and its compact form.
//!
//! ```text
//! branch     01 children:u16 leaves:u16 inlined:u16  reference[32] per child  key[32] per leaf
//! extension  02 inlined:u8 nibbles:u8  packed nibbles  reference[32]
//! leaf       03 key[32]
//! ```
//!
//! Masks are big-endian, bit *n* stands for nibble *n*; children lie in nibble order. A reference
//! is the keccak256 of the child's RLP or, where that RLP is shorter than 32 bytes, one length
//! byte, the RLP, and zeros. So every reference has one size and is found by counting bits.

use crate::table::fetch;
use alloy_primitives::B256;
use alloy_trie::nodes::RlpNode;
use nybbles::Nibbles;
use std::{fmt, sync::Arc};

const BRANCH: u8 = 1;
const EXTENSION: u8 = 2;
const LEAF: u8 = 3;

/// Kind and three masks.
const BRANCH_HEADER: usize = 7;
/// Kind, inlined flag, nibble count.
const EXTENSION_HEADER: usize = 3;
const WORD: usize = 32;
/// Bytes the processor fetches at a time.
const LINE: usize = 64;

/// The longest compact form: a branch of sixteen leaves.
pub const MAX_NODE_LEN: usize = BRANCH_HEADER + 16 * 2 * WORD;

/// Bytes that are not a compact node.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NodeDecodeError {
    /// The length does not follow from the head.
    #[error("{given} bytes where {expected} belong")]
    Length {
        /// Bytes the head asks for.
        expected: usize,
        /// Bytes there are.
        given: usize,
    },
    /// The first byte is none of branch, extension, leaf.
    #[error("unknown kind {0}")]
    Kind(u8),
    /// A branch has fewer than two children, or a mask names a child it does not have.
    #[error("masks children {children:#06x}, leaves {leaves:#06x}, inlined {inlined:#06x}")]
    Masks {
        /// Children.
        children: u16,
        /// Children that are leaves.
        leaves: u16,
        /// Children whose RLP stands in place of its hash.
        inlined: u16,
    },
    /// The keys of a branch's leaves do not rise.
    #[error("leaf keys out of order")]
    KeyOrder,
    /// An inlined reference has a bad length or padding.
    #[error("bad inlined reference")]
    Reference,
    /// An extension has no nibbles, too many, or a stray half byte.
    #[error("bad extension key")]
    ExtensionKey,
}

/// What a parent knows of a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Child {
    /// A leaf. It is stored nowhere else; its value is the state's record under `key`.
    Leaf {
        /// The leaf's full key.
        key: B256,
        /// RLP or hash of the leaf node.
        reference: RlpNode,
    },
    /// A branch or an extension, stored under its own path.
    Node(RlpNode),
}

impl Child {
    /// RLP or hash of the child, as it stands in its parent.
    pub const fn reference(&self) -> &RlpNode {
        match self {
            Self::Leaf { reference, .. } | Self::Node(reference) => reference,
        }
    }
}

/// A branch, an extension, or the leaf that is a whole trie: one stored node.
///
/// Holds its compact form and reads from it in place; cloning is cheap.
#[derive(Clone, PartialEq, Eq)]
pub struct Node(Arc<[u8]>);

/// What a [`Node`] is.
#[derive(Debug, Clone, Copy)]
pub enum NodeView<'a> {
    /// A branch.
    Branch(BranchView<'a>),
    /// An extension.
    Extension(ExtensionView<'a>),
    /// A leaf: only ever the root of a trie of one.
    Leaf {
        /// The leaf's full key.
        key: B256,
    },
}

impl Node {
    /// Checks and takes over a compact form.
    pub fn decode(bytes: &[u8]) -> Result<Self, NodeDecodeError> {
        check(bytes)?;
        Ok(Self(bytes.into()))
    }

    /// The compact form.
    pub fn encoded(&self) -> &[u8] {
        &self.0
    }

    /// The node's content.
    #[inline]
    pub fn view(&self) -> NodeView<'_> {
        let bytes = &*self.0;
        match bytes[0] {
            BRANCH => NodeView::Branch(BranchView::new(bytes)),
            EXTENSION => NodeView::Extension(ExtensionView(bytes)),
            _ => NodeView::Leaf { key: B256::from_slice(&bytes[1..]) },
        }
    }

    /// Has the processor fetch the node and its reference count while something else is done.
    #[inline]
    pub(crate) fn fetch(&self) {
        fetch(self.0.as_ptr().wrapping_sub(1));
        for line in self.0.chunks(LINE) {
            fetch(line);
        }
    }

    /// False when the node's leaves lie elsewhere: it comes from a subtree that is the same but for
    /// its place. What a node has besides leaf keys does not depend on its place.
    pub(crate) fn may_stand_at(&self, path: &Nibbles) -> bool {
        match self.as_branch() {
            Some(branch) if branch.leaves != 0 => {
                let key = branch.leaf_key(branch.leaves.trailing_zeros() as u8);
                Nibbles::unpack(key).starts_with(path)
            }
            _ => true,
        }
    }

    /// The node's content, if it is a branch.
    #[inline]
    pub(crate) fn as_branch(&self) -> Option<BranchView<'_>> {
        (self.0[0] == BRANCH).then(|| BranchView::new(&self.0))
    }

    /// A leaf that is a whole trie.
    pub fn leaf(key: &B256) -> Self {
        let mut bytes = [LEAF; 1 + WORD];
        bytes[1..].copy_from_slice(key.as_slice());
        Self(bytes.as_slice().into())
    }

    /// An extension. `key` must have 1 to 63 nibbles.
    pub fn extension(key: &Nibbles, child: &RlpNode) -> Self {
        debug_assert!((1..64).contains(&key.len()));
        let mut bytes = [0; EXTENSION_HEADER + WORD + WORD];
        let packed = key.len().div_ceil(2);
        bytes[0] = EXTENSION;
        bytes[2] = key.len() as u8;
        key.pack_to(&mut bytes[EXTENSION_HEADER..EXTENSION_HEADER + packed]);
        let end = EXTENSION_HEADER + packed + WORD;
        let inlined = write_reference(child, &mut bytes[EXTENSION_HEADER + packed..end]);
        bytes[1] = u8::from(inlined);
        Self(bytes[..end].into())
    }

    /// A branch of these children, in nibble order; at least two.
    pub fn branch<'a>(children: impl IntoIterator<Item = (u8, &'a Child)>) -> Self {
        let mut builder = BranchBuilder::new();
        for (nibble, child) in children {
            match child {
                Child::Leaf { key, reference } => builder.leaf(nibble, key, reference),
                Child::Node(reference) => builder.node(nibble, reference),
            }
        }
        builder.finish()
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.view().fmt(f)
    }
}

/// A branch that differs from another in references and leaf keys, but not in which nibbles have
/// children and leaves.
pub(crate) struct BranchPatch {
    bytes: Arc<[u8]>,
    masks: [u16; 3],
    differs: bool,
}

impl BranchPatch {
    /// Starts with a copy of a branch.
    pub(crate) fn new(old: &Node) -> Self {
        Self { bytes: (&*old.0).into(), masks: masks(&old.0), differs: false }
    }

    /// Changes the reference of an existing child.
    pub(crate) fn node(&mut self, nibble: u8, reference: &RlpNode) {
        let [children, _, inlined] = &mut self.masks;
        let at = BRANCH_HEADER + below(*children, nibble) * WORD;
        let bytes = Arc::get_mut(&mut self.bytes).expect("invariant: the copy is not shared");
        let mut slot = [0; WORD];
        let bit = u16::from(write_reference(reference, &mut slot)) << nibble;
        self.differs |= bytes[at..at + WORD] != slot || *inlined & (1 << nibble) != bit;
        bytes[at..at + WORD].copy_from_slice(&slot);
        *inlined = *inlined & !(1 << nibble) | bit;
    }

    /// Changes the key and the reference of an existing leaf.
    pub(crate) fn leaf(&mut self, nibble: u8, key: &B256, reference: &RlpNode) {
        self.node(nibble, reference);
        let [children, leaves, _] = self.masks;
        let word = children.count_ones() as usize + below(leaves, nibble);
        let at = BRANCH_HEADER + word * WORD;
        let bytes = Arc::get_mut(&mut self.bytes).expect("invariant: the copy is not shared");
        self.differs |= &bytes[at..at + WORD] != key.as_slice();
        bytes[at..at + WORD].copy_from_slice(key.as_slice());
    }

    /// The branch, if it came to differ from what it was a copy of.
    pub(crate) fn finish(mut self) -> Option<Node> {
        if !self.differs {
            return None;
        }
        let bytes = Arc::get_mut(&mut self.bytes).expect("invariant: the copy is not shared");
        bytes[5..BRANCH_HEADER].copy_from_slice(&self.masks[2].to_be_bytes());
        Some(Node(self.bytes))
    }
}

/// A branch, read in place.
#[derive(Clone, Copy)]
pub struct BranchView<'a> {
    children: u16,
    leaves: u16,
    inlined: u16,
    references: &'a [u8],
    keys: &'a [u8],
}

impl<'a> BranchView<'a> {
    #[inline]
    fn new(bytes: &'a [u8]) -> Self {
        let [children, leaves, inlined] = masks(bytes);
        let (references, keys) =
            bytes[BRANCH_HEADER..].split_at(children.count_ones() as usize * WORD);
        Self { children, leaves, inlined, references, keys }
    }

    /// Mask of the nibbles that have a child.
    #[inline]
    pub const fn children_mask(&self) -> u16 {
        self.children
    }

    /// Mask of the nibbles whose child is a leaf.
    #[inline]
    pub const fn leaves_mask(&self) -> u16 {
        self.leaves
    }

    /// The child at a nibble.
    #[inline]
    pub fn child(&self, nibble: u8) -> Option<Child> {
        let bit = 1u16 << nibble;
        if self.children & bit == 0 {
            return None;
        }
        let reference = self.reference(nibble);
        Some(if self.leaves & bit == 0 {
            Child::Node(reference)
        } else {
            Child::Leaf { key: self.leaf_key(nibble), reference }
        })
    }

    /// All children in nibble order.
    pub fn children(self) -> impl Iterator<Item = (u8, Child)> + 'a {
        (0..16).filter_map(move |nibble| Some((nibble, self.child(nibble)?)))
    }

    /// Reference bytes of an existing child: a hash, or what [`write_reference`] made.
    #[inline]
    pub(crate) fn slot(&self, nibble: u8) -> &'a [u8] {
        word(self.references, below(self.children, nibble))
    }

    /// Whether an existing child's RLP stands in place of its hash.
    #[inline]
    pub(crate) const fn is_inlined(&self, nibble: u8) -> bool {
        self.inlined & (1 << nibble) != 0
    }

    fn reference(&self, nibble: u8) -> RlpNode {
        read_reference(self.slot(nibble), self.is_inlined(nibble))
    }

    /// The key of a child that is a leaf.
    #[inline]
    pub(crate) fn leaf_key(&self, nibble: u8) -> B256 {
        B256::from_slice(word(self.keys, below(self.leaves, nibble)))
    }
}

impl fmt::Debug for BranchView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.children()).finish()
    }
}

/// An extension, read in place.
#[derive(Clone, Copy)]
pub struct ExtensionView<'a>(&'a [u8]);

impl ExtensionView<'_> {
    /// The nibbles between this node and the branch below it; 1 to 63.
    pub fn key(&self) -> Nibbles {
        let len = usize::from(self.0[2]);
        let packed = &self.0[EXTENSION_HEADER..EXTENSION_HEADER + len.div_ceil(2)];
        let mut key = Nibbles::unpack(packed);
        key.truncate(len);
        key
    }

    /// RLP or hash of the branch below.
    pub fn child(&self) -> RlpNode {
        read_reference(&self.0[self.0.len() - WORD..], self.0[1] != 0)
    }
}

impl fmt::Debug for ExtensionView<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Extension").field("key", &self.key()).field("child", &self.child()).finish()
    }
}

/// Puts a branch together in its compact form, without allocating before the end.
pub(crate) struct BranchBuilder {
    masks: [u16; 3],
    /// Header and references.
    bytes: [u8; MAX_NODE_LEN],
    end: usize,
    keys: [u8; 16 * WORD],
    keys_end: usize,
}

impl BranchBuilder {
    pub(crate) const fn new() -> Self {
        Self {
            masks: [0; 3],
            bytes: [0; MAX_NODE_LEN],
            end: BRANCH_HEADER,
            keys: [0; 16 * WORD],
            keys_end: 0,
        }
    }

    /// Adds a leaf. Nibbles must rise from call to call.
    pub(crate) fn leaf(&mut self, nibble: u8, key: &B256, reference: &RlpNode) {
        self.node(nibble, reference);
        self.key(nibble, key.as_slice());
    }

    /// Adds a branch or an extension. Nibbles must rise from call to call.
    pub(crate) fn node(&mut self, nibble: u8, reference: &RlpNode) {
        let inlined = write_reference(reference, &mut self.bytes[self.end..self.end + WORD]);
        self.reference(nibble, inlined);
    }

    /// Adds the child another branch has at this nibble.
    pub(crate) fn copy(&mut self, nibble: u8, from: &BranchView<'_>) {
        self.bytes[self.end..self.end + WORD].copy_from_slice(from.slot(nibble));
        self.reference(nibble, from.is_inlined(nibble));
        if from.leaves & (1 << nibble) != 0 {
            self.key(nibble, word(from.keys, below(from.leaves, nibble)));
        }
    }

    fn reference(&mut self, nibble: u8, inlined: bool) {
        debug_assert!(self.masks[0] >> nibble == 0, "children out of order");
        self.end += WORD;
        self.masks[0] |= 1 << nibble;
        self.masks[2] |= u16::from(inlined) << nibble;
    }

    fn key(&mut self, nibble: u8, key: &[u8]) {
        self.keys[self.keys_end..self.keys_end + WORD].copy_from_slice(key);
        self.keys_end += WORD;
        self.masks[1] |= 1 << nibble;
    }

    /// The branch; it has at least two children.
    pub(crate) fn finish(mut self) -> Node {
        debug_assert!(self.masks[0].count_ones() >= 2);
        self.bytes[0] = BRANCH;
        for (at, mask) in self.masks.iter().enumerate() {
            self.bytes[1 + 2 * at..3 + 2 * at].copy_from_slice(&mask.to_be_bytes());
        }
        let end = self.end + self.keys_end;
        self.bytes[self.end..end].copy_from_slice(&self.keys[..self.keys_end]);
        Node(self.bytes[..end].into())
    }
}

fn check(bytes: &[u8]) -> Result<(), NodeDecodeError> {
    let length = |expected: usize| {
        let given = bytes.len();
        if given == expected { Ok(()) } else { Err(NodeDecodeError::Length { expected, given }) }
    };
    match bytes.first() {
        None => length(1),
        Some(&BRANCH) => {
            if bytes.len() < BRANCH_HEADER {
                length(BRANCH_HEADER)?;
            }
            let [children, leaves, inlined] = masks(bytes);
            if children.count_ones() < 2 || leaves & !children != 0 || inlined & !children != 0 {
                return Err(NodeDecodeError::Masks { children, leaves, inlined });
            }
            let words = (children.count_ones() + leaves.count_ones()) as usize;
            length(BRANCH_HEADER + words * WORD)?;
            let view = BranchView::new(bytes);
            if !view.keys.chunks_exact(WORD).is_sorted_by(|a, b| a < b) {
                return Err(NodeDecodeError::KeyOrder);
            }
            (0..16)
                .filter(|nibble| view.is_inlined(*nibble))
                .try_for_each(|nibble| check_inlined(view.slot(nibble)))
        }
        Some(&EXTENSION) => {
            if bytes.len() < EXTENSION_HEADER {
                length(EXTENSION_HEADER)?;
            }
            let nibbles = usize::from(bytes[2]);
            if !(1..64).contains(&nibbles) {
                return Err(NodeDecodeError::ExtensionKey);
            }
            let packed = nibbles.div_ceil(2);
            length(EXTENSION_HEADER + packed + WORD)?;
            if nibbles % 2 == 1 && bytes[EXTENSION_HEADER + packed - 1] & 0x0f != 0 {
                return Err(NodeDecodeError::ExtensionKey);
            }
            match bytes[1] {
                0 => Ok(()),
                1 => check_inlined(&bytes[EXTENSION_HEADER + packed..]),
                _ => Err(NodeDecodeError::Reference),
            }
        }
        Some(&LEAF) => length(1 + WORD),
        Some(&kind) => Err(NodeDecodeError::Kind(kind)),
    }
}

fn check_inlined(slot: &[u8]) -> Result<(), NodeDecodeError> {
    let len = usize::from(slot[0]);
    let sound = (1..WORD).contains(&len) && slot[1 + len..].iter().all(|byte| *byte == 0);
    if sound { Ok(()) } else { Err(NodeDecodeError::Reference) }
}

#[inline]
fn masks(bytes: &[u8]) -> [u16; 3] {
    [1, 3, 5].map(|at| u16::from_be_bytes([bytes[at], bytes[at + 1]]))
}

/// How many bits of `mask` stand below `nibble`.
#[inline]
const fn below(mask: u16, nibble: u8) -> usize {
    (mask & ((1 << nibble) - 1)).count_ones() as usize
}

#[inline]
fn word(words: &[u8], index: usize) -> &[u8] {
    &words[index * WORD..(index + 1) * WORD]
}

/// Writes a reference into its 32-byte slot, which holds zeros; true when it is inlined.
#[inline]
fn write_reference(reference: &RlpNode, slot: &mut [u8]) -> bool {
    let rlp = reference.as_slice();
    if rlp.len() > WORD {
        slot.copy_from_slice(&rlp[1..]);
        false
    } else {
        slot[0] = rlp.len() as u8;
        slot[1..=rlp.len()].copy_from_slice(rlp);
        true
    }
}

#[inline]
fn read_reference(slot: &[u8], inlined: bool) -> RlpNode {
    if inlined {
        RlpNode::from_raw(&slot[1..=usize::from(slot[0])]).unwrap_or_default()
    } else {
        RlpNode::word_rlp(&B256::from_slice(slot))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn reference() -> impl Strategy<Value = RlpNode> {
        prop_oneof![
            3 => any::<[u8; 32]>().prop_map(|hash| RlpNode::word_rlp(&B256::from(hash))),
            1 => prop::collection::vec(any::<u8>(), 1..32)
                .prop_map(|rlp| RlpNode::from_raw(&rlp).expect("short")),
        ]
    }

    fn children() -> impl Strategy<Value = Vec<(u8, Child)>> {
        let child = (any::<Option<[u8; 31]>>(), reference());
        prop::collection::btree_map(0..16u8, child, 2..=16).prop_map(|children| {
            children
                .into_iter()
                .map(|(nibble, (key, reference))| match key {
                    Some(tail) => {
                        let mut key = B256::repeat_byte(nibble);
                        key[1..].copy_from_slice(&tail);
                        (nibble, Child::Leaf { key, reference })
                    }
                    None => (nibble, Child::Node(reference)),
                })
                .collect()
        })
    }

    fn branch(children: &[(u8, Child)]) -> Node {
        Node::branch(children.iter().map(|(nibble, child)| (*nibble, child)))
    }

    fn node() -> impl Strategy<Value = Node> {
        prop_oneof![
            children().prop_map(|children| branch(&children)),
            (any::<[u8; 32]>(), 1..64usize, reference()).prop_map(|(key, len, child)| {
                Node::extension(&Nibbles::unpack(key).slice(..len), &child)
            }),
            any::<[u8; 32]>().prop_map(|key| Node::leaf(&B256::from(key))),
        ]
    }

    proptest! {
        #[test]
        fn a_branch_gives_back_its_children(children in children()) {
            let node = branch(&children);
            prop_assert!(node.encoded().len() <= MAX_NODE_LEN);
            let NodeView::Branch(view) = node.view() else { panic!("a branch") };
            prop_assert_eq!(view.children().collect::<Vec<_>>(), children);
        }

        #[test]
        fn an_extension_gives_back_its_key_and_child(key: [u8; 32], len in 1..64usize, child in reference()) {
            let key = Nibbles::unpack(key).slice(..len);
            let node = Node::extension(&key, &child);
            let NodeView::Extension(view) = node.view() else { panic!("an extension") };
            prop_assert_eq!((view.key(), view.child()), (key, child));
        }

        #[test]
        fn what_is_encoded_decodes(node in node()) {
            prop_assert_eq!(Node::decode(node.encoded()), Ok(node));
        }

        #[test]
        fn no_other_length_decodes(node in node(), cut in any::<prop::sample::Index>(), more: u8) {
            let bytes = node.encoded();
            prop_assert!(Node::decode(&bytes[..cut.index(bytes.len())]).is_err());
            prop_assert!(Node::decode(&[bytes, &[more]].concat()).is_err());
        }

        /// Whatever decodes is the one form of what it says: nothing in it goes unread.
        #[test]
        fn a_node_has_one_form(node in node(), at in any::<prop::sample::Index>(), flip in 1..=255u8) {
            let mut bytes = node.encoded().to_vec();
            let at = at.index(bytes.len());
            bytes[at] ^= flip;
            if let Ok(other) = Node::decode(&bytes) {
                let again = match other.view() {
                    NodeView::Branch(view) => branch(&view.children().collect::<Vec<_>>()),
                    NodeView::Extension(view) => Node::extension(&view.key(), &view.child()),
                    NodeView::Leaf { key } => Node::leaf(&key),
                };
                prop_assert_eq!(again.encoded(), bytes);
            }
        }

        #[test]
        fn noise_is_refused_or_read(bytes in prop::collection::vec(any::<u8>(), 0..1100)) {
            if let Ok(node) = Node::decode(&bytes) {
                let text = format!("{node:?}");
                prop_assert!(!text.is_empty());
            }
        }
    }

    #[test]
    fn damage_is_named() {
        let reference = RlpNode::word_rlp(&B256::ZERO);
        let leaf =
            |byte| Child::Leaf { key: B256::repeat_byte(byte), reference: reference.clone() };
        let sound = branch(&[(1, leaf(0x11)), (2, leaf(0x22))]);
        let with = |at: usize, byte: u8| {
            let mut bytes = sound.encoded().to_vec();
            bytes[at] = byte;
            Node::decode(&bytes).expect_err("damaged")
        };
        assert_eq!(with(0, 9), NodeDecodeError::Kind(9));
        assert!(matches!(with(2, 2), NodeDecodeError::Masks { .. }));
        assert!(matches!(with(4, 1), NodeDecodeError::Masks { .. }));
        assert!(matches!(with(2, 7), NodeDecodeError::Length { .. }));
        assert_eq!(with(6, 2), NodeDecodeError::Reference);
        assert_eq!(with(7 + 64, 0x33), NodeDecodeError::KeyOrder);
        assert_eq!(Node::decode(&[]), Err(NodeDecodeError::Length { expected: 1, given: 0 }));
        assert_eq!(Node::decode(&[2, 0, 64]), Err(NodeDecodeError::ExtensionKey));
    }
}
