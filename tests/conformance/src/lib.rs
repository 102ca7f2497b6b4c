//! ascribe-conformance
