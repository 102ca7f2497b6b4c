//! ascribe-node
