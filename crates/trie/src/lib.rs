//! ascribe-trie
