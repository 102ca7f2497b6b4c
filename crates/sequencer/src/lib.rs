//! ascribe-sequencer
