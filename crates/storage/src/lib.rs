//! ascribe-storage
