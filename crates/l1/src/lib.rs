//! ascribe-l1
