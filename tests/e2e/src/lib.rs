//! ascribe-e2e
