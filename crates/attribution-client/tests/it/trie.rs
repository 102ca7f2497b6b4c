//! Tries with proofs.

use alloy_primitives::{B256, Bytes, keccak256};
use alloy_trie::{HashBuilder, Nibbles, proof::ProofRetainer};
use std::collections::BTreeMap;

/// A trie whose keys are hashed.
#[derive(Debug, Default)]
pub(crate) struct Trie(BTreeMap<B256, Vec<u8>>);

impl Trie {
    pub(crate) fn insert(&mut self, key: impl AsRef<[u8]>, value: Vec<u8>) {
        self.0.insert(keccak256(key), value);
    }

    pub(crate) fn root(&self) -> B256 {
        self.prove(&[]).0
    }

    /// The root, and for each key the nodes on the way to it.
    pub(crate) fn prove(&self, keys: &[&[u8]]) -> (B256, Vec<Vec<Bytes>>) {
        let targets: Vec<_> = keys.iter().map(|key| Nibbles::unpack(keccak256(key))).collect();
        let mut builder =
            HashBuilder::default().with_proof_retainer(ProofRetainer::from_iter(targets.clone()));
        for (key, value) in &self.0 {
            builder.add_leaf(Nibbles::unpack(key), value);
        }
        let root = builder.root();
        let nodes = builder.take_proof_nodes();
        let proof = |target: &Nibbles| {
            nodes.matching_nodes_sorted(target).into_iter().map(|(_, node)| node).collect()
        };
        (root, targets.iter().map(proof).collect())
    }
}
