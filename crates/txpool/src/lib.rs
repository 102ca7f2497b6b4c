//! ascribe-txpool
