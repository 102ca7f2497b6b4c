//! Merkle proofs (EIP-1186).

use crate::{
    Child, Node, NodeView, TrieError, TrieReader,
    plan::nibble,
    rlp::NodeRlp,
    tree::{AccountTree, StorageTree, Tree},
};
use alloy_primitives::{Address, B256, Bytes, U256, keccak256};
use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount};
use nybbles::Nibbles;

/// An account and some of its slots, or their absence, proven against a state root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AccountProof {
    /// The address.
    pub address: Address,
    /// The account, if there is one.
    pub account: Option<TrieAccount>,
    /// RLP of the nodes from the root to the account or to where it would be.
    pub proof: Vec<Bytes>,
    /// The slots that were asked for, in the order they were asked for.
    pub storage: Vec<StorageProof>,
}

/// A slot, or its absence, proven against a storage root.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StorageProof {
    /// The slot, not hashed.
    pub slot: B256,
    /// Its value; zero when absent.
    pub value: U256,
    /// RLP of the nodes from the storage root to the slot or to where it would be. Empty when the
    /// account has no storage.
    pub proof: Vec<Bytes>,
}

/// Proves an account and slots of it in the state of `reader`, whose root is `root`.
///
/// # Errors
///
/// [`TrieError::RootMismatch`] if the reader is not at `root`; any [`TrieError`] if it fails or
/// holds a damaged trie.
pub fn account_proof<R: TrieReader>(
    reader: &R,
    root: B256,
    address: Address,
    slots: &[B256],
) -> Result<AccountProof, TrieError> {
    let tree = AccountTree(reader);
    check_root(&tree, root)?;
    let hashed = keccak256(address);
    let Proven { value: account, nodes: proof } = prove(&tree, root, hashed)?;
    let tree = StorageTree { reader, account: hashed };
    let storage_root = account.map_or(EMPTY_ROOT_HASH, |account| account.storage_root);
    let storage = slots
        .iter()
        .map(|slot| {
            let Proven { value, nodes: proof } = prove(&tree, storage_root, keccak256(slot))?;
            Ok(StorageProof { slot: *slot, value: value.unwrap_or_default(), proof })
        })
        .collect::<Result<_, TrieError>>()?;
    Ok(AccountProof { address, account, proof, storage })
}

/// A leaf, or that there is none, with the nodes that show it.
pub(crate) struct Proven<V> {
    pub(crate) value: Option<V>,
    /// RLP from the root down. Nodes inlined in their parent are part of it.
    pub(crate) nodes: Vec<Bytes>,
}

/// Proves what a trie with this root has at a key.
pub(crate) fn prove<T: Tree>(
    tree: &T,
    root: B256,
    key: B256,
) -> Result<Proven<T::Value>, TrieError> {
    let mut nodes = Vec::new();
    let mut rlp = NodeRlp::new();
    let end = walk(tree, root, key, |node| {
        push(&mut nodes, node_rlp(tree, node, &mut rlp)?);
        Ok(())
    })?;
    let Some(End { key: found, depth }) = end else { return Ok(Proven { value: None, nodes }) };
    let value = tree.value(found)?;
    if depth > 0 {
        push(&mut nodes, rlp.leaf(&found, depth, &value));
    }
    Ok(Proven { value: (found == key).then_some(value), nodes })
}

/// The leaf a walk ends at: the one looked for, or another that stands in its way.
pub(crate) struct End {
    key: B256,
    /// Nibbles above the leaf; 0 when it is the root, and so a stored node.
    depth: usize,
}

/// Goes from the root towards a key and shows every stored node on the way.
pub(crate) fn walk<T: Tree>(
    tree: &T,
    root: B256,
    key: B256,
    mut visit: impl FnMut(&Node) -> Result<(), TrieError>,
) -> Result<Option<End>, TrieError> {
    if root == EMPTY_ROOT_HASH {
        return Ok(None);
    }
    let full = Nibbles::unpack(key);
    let mut path = Nibbles::new();
    loop {
        let node = tree.node(&path)?;
        visit(&node)?;
        match node.view() {
            NodeView::Branch(_) if path.len() >= full.len() => {
                return Err(tree.misplaced(&path));
            }
            NodeView::Branch(branch) => match branch.child(nibble(&key, path.len())) {
                None => return Ok(None),
                Some(Child::Leaf { key, .. }) => {
                    return Ok(Some(End { key, depth: path.len() + 1 }));
                }
                Some(Child::Node(_)) => path.push(full.get_unchecked(path.len())),
            },
            NodeView::Extension(extension) => {
                path = tree.beyond(&path, &extension.key())?;
                if !full.starts_with(&path) {
                    return Ok(None);
                }
            }
            NodeView::Leaf { key } => return Ok(Some(End { key, depth: 0 })),
        }
    }
}

/// A node's RLP.
pub(crate) fn node_rlp<'a, T: Tree>(
    tree: &T,
    node: &Node,
    rlp: &'a mut NodeRlp,
) -> Result<&'a [u8], TrieError> {
    Ok(match node.view() {
        NodeView::Branch(branch) => rlp.branch(&branch),
        NodeView::Extension(extension) => rlp.extension(&extension.key(), &extension.child()),
        NodeView::Leaf { key } => rlp.leaf(&key, 0, &tree.value(key)?),
    })
}

/// The trie's root node, which must be the one with this hash.
pub(crate) fn check_root<T: Tree>(tree: &T, expected: B256) -> Result<Option<Node>, TrieError> {
    let root = tree.read_node(&Nibbles::new())?;
    let found = match &root {
        None => EMPTY_ROOT_HASH,
        Some(node) => keccak256(node_rlp(tree, node, &mut NodeRlp::new())?),
    };
    if found == expected {
        Ok(root)
    } else {
        Err(TrieError::RootMismatch { trie: tree.id(), found, expected })
    }
}

/// Adds a node to a proof unless its parent holds it; the root has no parent.
fn push(nodes: &mut Vec<Bytes>, rlp: &[u8]) {
    if nodes.is_empty() || rlp.len() >= 32 {
        nodes.push(Bytes::copy_from_slice(rlp));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::MemoryState;
    use alloy_primitives::map::B256Map;
    use alloy_trie::proof::verify_proof;
    use proptest::prelude::*;

    fn account(nonce: u64) -> TrieAccount {
        TrieAccount { nonce, balance: U256::from(nonce), ..Default::default() }
    }

    /// Keys that share prefixes of any length.
    fn key() -> impl Strategy<Value = B256> {
        (0..64usize, 0..16u8, 0..64usize).prop_map(|(depth, nibble, zero)| {
            let mut key = B256::repeat_byte(0x33);
            key[depth / 2] = nibble << 4 | 3;
            key[zero / 2] &= 0x0f;
            key
        })
    }

    fn verify<V: alloy_rlp::Encodable>(root: B256, key: B256, value: Option<V>, nodes: &[Bytes]) {
        let value = value.map(alloy_rlp::encode);
        verify_proof(root, Nibbles::unpack(key), value, nodes).expect("a sound proof");
    }

    proptest! {
        #[test]
        fn alloy_verifies_what_is_there_and_what_is_not(
            accounts in prop::collection::btree_map(key(), 0..3u64, 0..20),
            slots in prop::collection::btree_map(key(), 1..300u64, 0..20),
            absent in prop::collection::vec(key(), 1..10),
        ) {
            let holder = accounts.keys().next().copied();
            let storages: B256Map<B256Map<U256>> = holder
                .iter()
                .map(|holder| {
                    (*holder, slots.iter().map(|(slot, value)| (*slot, U256::from(*value))).collect())
                })
                .collect();
            let leaves = accounts.iter().map(|(key, nonce)| (*key, account(*nonce))).collect();
            let (state, root) = MemoryState::build(leaves, storages).expect("sorted keys");

            let tree = AccountTree(&state);
            for key in accounts.keys().chain(&absent) {
                let proven = prove(&tree, root, *key).expect("sound state");
                prop_assert_eq!(proven.value.as_ref(), state.accounts.get(key));
                verify(root, *key, proven.value, &proven.nodes);
            }
            let Some(holder) = holder else { return Ok(()) };
            let tree = StorageTree { reader: &state, account: holder };
            let root = state.accounts[&holder].storage_root;
            for key in slots.keys().chain(&absent) {
                let proven = prove(&tree, root, *key).expect("sound state");
                prop_assert_eq!(proven.value, slots.get(key).map(|value| U256::from(*value)));
                verify(root, *key, proven.value, &proven.nodes);
            }
        }
    }

    #[test]
    fn an_account_and_its_slots_are_proven_by_their_names() {
        let addresses = [1, 2, 3].map(Address::repeat_byte);
        let slots = [4, 5].map(B256::repeat_byte);
        let accounts = addresses.iter().map(|address| (keccak256(address), account(7))).collect();
        let storage =
            (keccak256(addresses[0]), B256Map::from_iter([(keccak256(slots[0]), U256::from(6))]));
        let (state, root) =
            MemoryState::build(accounts, B256Map::from_iter([storage])).expect("sorted keys");

        let proof = account_proof(&state, root, addresses[0], &slots).expect("sound state");
        let account = proof.account.expect("there");
        verify(root, keccak256(addresses[0]), Some(account), &proof.proof);
        assert_eq!(
            proof.storage.iter().map(|slot| slot.value).collect::<Vec<_>>(),
            [U256::from(6), U256::ZERO]
        );
        verify(
            account.storage_root,
            keccak256(slots[0]),
            Some(U256::from(6)),
            &proof.storage[0].proof,
        );
        verify(account.storage_root, keccak256(slots[1]), None::<U256>, &proof.storage[1].proof);

        let absent =
            account_proof(&state, root, Address::repeat_byte(9), &slots).expect("sound state");
        assert_eq!(absent.account, None);
        verify(root, keccak256(absent.address), None::<TrieAccount>, &absent.proof);
        assert!(absent.storage.iter().all(|slot| slot.proof.is_empty() && slot.value.is_zero()));
    }

    #[test]
    fn a_reader_at_another_root_is_refused() {
        let (state, root) =
            MemoryState::build(B256Map::default(), B256Map::default()).expect("empty");
        assert_eq!(root, EMPTY_ROOT_HASH);
        assert!(account_proof(&state, root, Address::ZERO, &[]).is_ok());
        let error =
            account_proof(&state, B256::ZERO, Address::ZERO, &[]).expect_err("another root");
        assert!(matches!(error, TrieError::RootMismatch { found, .. } if found == EMPTY_ROOT_HASH));
    }
}
