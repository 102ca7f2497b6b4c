//! ascribe-evm
