//! The `ascribe` binary.
fn main() {}
