//! Where programs are, and what to say when they are not.

use std::{
    env,
    io::Write,
    path::{Path, PathBuf},
};

/// The repository's root.
pub(crate) fn repository() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

/// The `ascribe` binary: `ASCRIBE_BIN`, or the one of the build that this test belongs to.
///
/// # Panics
/// If it is not there: the message says what to run.
pub fn ascribe_bin() -> PathBuf {
    if let Some(given) = env::var_os("ASCRIBE_BIN").filter(|path| !path.is_empty()) {
        let path = PathBuf::from(given);
        assert!(path.is_file(), "ASCRIBE_BIN is {}, which is no file", path.display());
        return path;
    }
    // target/<profile>/deps/<test>-<hash>
    let test = env::current_exe().expect("the path of this test");
    let profile = test.ancestors().nth(2).expect("a test lies in target/<profile>/deps");
    let path = profile.join("ascribe");
    assert!(
        path.is_file(),
        "there is no {}: run `cargo build --workspace --bins` first, or set ASCRIBE_BIN",
        path.display()
    );
    path
}

/// A program: that of an npm package of `contracts/`, or one on `PATH`.
///
/// The packages' own commands are scripts that start the program, say nothing of how it ended, and
/// leave it behind when they are killed; so the program itself is looked for.
pub fn find_program(name: &str) -> Option<PathBuf> {
    let packages = repository().join("contracts/node_modules/@foundry-rs");
    let packed = std::fs::read_dir(packages).into_iter().flatten().flatten();
    let path = env::var_os("PATH").unwrap_or_default();
    packed
        .map(|package| package.path().join("bin").join(name))
        .chain(env::split_paths(&path).map(|folder| folder.join(name)))
        .find(|candidate| candidate.is_file())
}

/// A stock program in the folder that `ASCRIBE_STOCK` names.
///
/// # Errors
/// What is missing.
pub fn find_stock(name: &str) -> Result<PathBuf, String> {
    let folder = env::var_os("ASCRIBE_STOCK").filter(|folder| !folder.is_empty());
    let folder = PathBuf::from(folder.ok_or("ASCRIBE_STOCK is not set")?);
    let program = folder.join(name);
    if program.is_file() {
        return Ok(program);
    }
    Err(format!("there is no {name} in {}", folder.display()))
}

/// Says that a test cannot run here and why. Write `return skip(…)`.
///
/// # Panics
/// If `ASCRIBE_NO_SKIP` is set: then everything has to be there.
pub fn skip(test: &str, why: &str) {
    assert!(env::var_os("ASCRIBE_NO_SKIP").is_none(), "{test}: cannot run: {why}");
    say(&format!("{test}: SKIPPED, {why}"));
}

/// Writes a line past the test harness's capture, which would hide it.
pub fn say(line: &str) {
    let mut out = std::io::stdout().lock();
    // A closed pipe must not fail a test.
    let _ = writeln!(out, "{line}");
}
