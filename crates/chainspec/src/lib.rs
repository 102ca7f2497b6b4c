//! ascribe-chainspec
