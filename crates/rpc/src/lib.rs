//! ascribe-rpc
