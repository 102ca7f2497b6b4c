//! State trie.

mod error;
mod hashed;
mod layer;
mod node;
mod reader;
mod root;

pub use alloy_trie::{EMPTY_ROOT_HASH, TrieAccount, nodes::RlpNode};
pub use error::{TrieError, TrieId, TrieReadError};
pub use hashed::{HashedAccount, HashedPostState, HashedStorage};
pub use layer::{Layered, NodeUpdates, StateLayer, StorageTrieUpdates, TrieUpdates};
pub use node::{BranchView, Child, ExtensionView, MAX_NODE_LEN, Node, NodeDecodeError, NodeView};
pub use nybbles::Nibbles;
pub use reader::TrieReader;
pub use root::TrieOutput;
