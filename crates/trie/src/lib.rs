#![doc = include_str!("../README.md")]

mod build;
mod cache;
mod error;
mod hash;
mod hashed;
mod layer;
mod load;
mod memory;
mod node;
mod part;
mod plan;
mod prefetch;
mod proof;
mod reader;
mod rlp;
mod root;
mod stateless;
mod table;
mod tree;
mod witness;

pub use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount, nodes::RlpNode};
pub use build::TrieBuilder;
pub use cache::{Cached, Lookups, TrieCache};
pub use error::{TrieError, TrieId, TrieReadError};
pub use hashed::{HashedAccount, HashedPostState, HashedStorage, ReplacedSlots};
pub use layer::{Layered, NodeUpdates, StateLayer, StorageTrieUpdates, TrieUpdates};
pub use memory::MemoryState;
pub use node::{BranchView, Child, ExtensionView, MAX_NODE_LEN, Node, NodeDecodeError, NodeView};
pub use nybbles::Nibbles;
pub use prefetch::prefetch;
pub use proof::{AccountProof, StorageProof, account_proof};
pub use reader::{MadeNode, TrieReader, WantedAccount, WantedNode};
pub use rlp::{LeafValue, MAX_LEAF_VALUE};
pub use root::{TrieOutput, state_root};
pub use stateless::WitnessState;
pub use witness::witness;
