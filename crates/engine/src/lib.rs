//! ascribe-engine
