//! ascribe-bench
