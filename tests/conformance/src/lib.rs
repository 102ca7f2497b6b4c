#![doc = include_str!("../README.md")]

mod stateless;

pub use stateless::{StatelessError, StatelessState};

use std::{io::Write, path::PathBuf};

/// The folder `suite` inside the directory that `ASCRIBE_VECTORS` names.
///
/// `None`, said aloud, if the variable is not set: the suite cannot run here.
///
/// # Panics
/// If the variable is set and the folder is not there: then something is broken, not missing.
pub fn vectors(suite: &str, folder: &str) -> Option<PathBuf> {
    let Some(root) = std::env::var_os("ASCRIBE_VECTORS").filter(|root| !root.is_empty()) else {
        say(&format!("{suite}: SKIPPED, ASCRIBE_VECTORS is not set"));
        return None;
    };
    let folder = PathBuf::from(root).join(folder);
    assert!(
        folder.is_dir(),
        "{suite}: ASCRIBE_VECTORS is set, but {} is no folder",
        folder.display()
    );
    Some(folder)
}

/// Says how many cases a suite ran: `op_sepolia: 5 blocks`.
///
/// # Panics
/// If it ran none: a suite that tests nothing has not passed.
pub fn report(suite: &str, cases: usize, what: &str) {
    assert_ne!(cases, 0, "{suite}: no {what} found");
    say(&format!("{suite}: {cases} {what}"));
}

/// Writes past the test harness's capture, which would hide it.
fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A closed pipe must not fail a test.
    let _ = writeln!(out, "{line}");
}
