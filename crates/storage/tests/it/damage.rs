//! Damaged files, full disks: typed errors, never a panic, never a wrong answer.

use crate::chain::{self, Chain};
use ascribe_storage::{Storage, StorageError};
use rand::{Rng, SeedableRng, rngs::StdRng};
use rocksdb::{DB, Options};
use std::{
    env, fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

/// A database with a chain in table files.
fn flushed(dir: &Path, blocks: usize) -> Chain {
    let spec = chain::spec(0);
    let storage = chain::open(dir, &spec);
    let mut chain = Chain::new(&spec, 2);
    for _ in 0..blocks {
        chain.grow(&storage.reader(), 30);
    }
    storage.append(&chain.blocks).unwrap();
    storage.flush().unwrap();
    chain
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

fn files(dir: &Path, matches: impl Fn(&str) -> bool) -> Vec<PathBuf> {
    let mut files: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| matches(path.file_name().unwrap().to_str().unwrap()))
        .collect();
    files.sort();
    files
}

/// Opens a copy of `dir` after `damage` was done to the file named like `file`, and verifies it.
fn open_damaged(dir: &Path, file: &Path, damage: impl Fn(&Path)) -> Result<u64, StorageError> {
    let scratch = tempfile::tempdir().unwrap();
    copy(dir, scratch.path());
    damage(&scratch.path().join(file.file_name().unwrap()));
    let storage = chain::try_open(scratch.path(), &chain::spec(0))?;
    storage.reader().verify(&mut |_| {})?;
    Ok(storage.reader().head().number)
}

fn assert_corrupt(result: &Result<u64, StorageError>, file: &Path) {
    assert!(
        matches!(result, Err(StorageError::Corrupt { .. } | StorageError::Damaged(_))),
        "{}: {result:?}",
        file.display()
    );
}

#[test]
fn damaged_tables_are_typed_errors() {
    let dir = tempfile::tempdir().unwrap();
    flushed(dir.path(), 30);
    let tables = files(dir.path(), |name| name.ends_with(".sst"));
    assert!(tables.len() >= 10, "{tables:?}");
    let mut named = 0;
    for table in &tables {
        // Data blocks come first in a table.
        let flipped = open_damaged(dir.path(), table, |path| {
            let mut bytes = fs::read(path).unwrap();
            let half = bytes.len() / 2;
            bytes[..half].iter_mut().for_each(|byte| *byte ^= 0x55);
            fs::write(path, bytes).unwrap();
        });
        assert_corrupt(&flipped, table);
        named += usize::from(matches!(flipped, Err(StorageError::Corrupt { .. })));
        let truncated = open_damaged(dir.path(), table, |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
        });
        assert_corrupt(&truncated, table);
        let removed = open_damaged(dir.path(), table, |path| fs::remove_file(path).unwrap());
        assert_corrupt(&removed, table);
    }
    assert!(named > tables.len() / 2, "{named} of {} name a column and key", tables.len());
}

#[test]
fn a_damaged_manifest_is_a_typed_error() {
    let dir = tempfile::tempdir().unwrap();
    flushed(dir.path(), 5);
    let manifest = &files(dir.path(), |name| name.starts_with("MANIFEST"))[0];
    let current = &dir.path().join("CURRENT");
    let garbage = |path: &Path| fs::write(path, [0xa5; 3000]).unwrap();
    let empty = |path: &Path| fs::write(path, []).unwrap();
    let removed = |path: &Path| fs::remove_file(path).unwrap();
    let half = |path: &Path| {
        let bytes = fs::read(path).unwrap();
        fs::write(path, &bytes[..bytes.len() / 2]).unwrap();
    };
    for file in [manifest, current] {
        for damage in [&garbage as &dyn Fn(&Path), &empty, &removed, &half] {
            assert_corrupt(&open_damaged(dir.path(), file, damage), file);
        }
    }
}

#[test]
fn a_torn_log_opens_at_a_whole_block() {
    let spec = chain::spec(0);
    let dir = tempfile::tempdir().unwrap();
    drop(chain::open(dir.path(), &spec));
    let storage = chain::open(dir.path(), &spec);
    let mut chain = Chain::new(&spec, 4);
    for _ in 0..12 {
        chain.grow(&storage.reader(), 30);
        storage.append(chain.above(chain.height() - 1)).unwrap();
    }
    // The log as a machine that lost power would find it: the process has not closed anything.
    let torn = tempfile::tempdir().unwrap();
    copy(dir.path(), torn.path());
    drop(storage);

    let logs = files(torn.path(), |name| name.ends_with(".log"));
    let log = logs.iter().max_by_key(|path| fs::metadata(path).unwrap().len()).unwrap();
    let len = fs::metadata(log).unwrap().len() as usize;
    let mut rng = StdRng::seed_from_u64(0);
    let mut heads = Vec::new();
    for _ in 0..12 {
        let cut = rng.random_range(0..len);
        let head = open_damaged(torn.path(), log, |path| {
            let bytes = fs::read(path).unwrap();
            fs::write(path, &bytes[..cut]).unwrap();
        });
        heads.push((cut, head.unwrap()));
        let place = rng.random_range(0..len);
        let head = open_damaged(torn.path(), log, |path| {
            let mut bytes = fs::read(path).unwrap();
            let end = bytes.len().min(place + 100);
            bytes[place..end].iter_mut().for_each(|byte| *byte ^= 0xff);
            fs::write(path, bytes).unwrap();
        });
        match head {
            Ok(head) => assert!(head <= 12),
            error => assert_corrupt(&error, log),
        }
    }
    heads.sort();
    assert!(heads.is_sorted_by_key(|(_, head)| head), "more log, more blocks: {heads:?}");
    assert!(heads.first().unwrap().1 < heads.last().unwrap().1, "{heads:?}");
    let missing = open_damaged(torn.path(), log, |path| fs::remove_file(path).unwrap());
    match missing {
        Ok(head) => assert!(head <= 12),
        error => assert_corrupt(&error, log),
    }
}

#[test]
fn wrong_entries_are_named() {
    let dir = tempfile::tempdir().unwrap();
    flushed(dir.path(), 10);
    let columns = [
        "headers",
        "bodies",
        "senders",
        "receipts",
        "block-numbers",
        "transactions",
        "accounts",
        "storages",
        "codes",
        "account-trie",
        "storage-trie",
        "account-changes",
        "storage-changes",
        "account-history",
        "storage-history",
    ];
    for column in columns {
        for wrong in [None, Some(&[0xff; 41][..])] {
            let scratch = tempfile::tempdir().unwrap();
            copy(dir.path(), scratch.path());
            {
                let names = DB::list_cf(&Options::default(), scratch.path()).unwrap();
                let db = DB::open_cf(&Options::default(), scratch.path(), names).unwrap();
                let cf = db.cf_handle(column).unwrap();
                let entries: Vec<_> = db
                    .iterator_cf(cf, rocksdb::IteratorMode::Start)
                    .map(|entry| entry.unwrap().0)
                    .collect();
                let key = &entries[entries.len() / 2];
                match wrong {
                    Some(wrong) => db.put_cf(cf, key, wrong).unwrap(),
                    // One code may belong to nobody any more.
                    None if column == "codes" => {
                        for key in &entries {
                            db.delete_cf(cf, key).unwrap();
                        }
                    }
                    None => db.delete_cf(cf, key).unwrap(),
                }
            }
            let storage = chain::open(scratch.path(), &chain::spec(0));
            let found = storage.reader().verify(&mut |_| {}).unwrap_err();
            assert!(matches!(found, StorageError::Corrupt { .. }), "{column}, {wrong:?}: {found}");
        }
    }
}

const DIR: &str = "ASCRIBE_STORAGE_FULL_DIR";

/// Runs [`appends_until_refused`] on `dir` under a shell that `limits` it.
fn run_limited(shell: &mut Command, limits: &str, dir: &Path) -> Output {
    shell
        .arg(format!("{limits} exec \"$0\" \"$@\""))
        .arg(env::current_exe().unwrap())
        .args(["--exact", "damage::appends_until_refused", "--ignored", "--nocapture"])
        .env(DIR, dir)
        .output()
        .unwrap()
}

fn reported_head(output: &Output) -> u64 {
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{stdout}\n{}", String::from_utf8_lossy(&output.stderr));
    let line = stdout.lines().find_map(|line| line.strip_prefix("refused after block "));
    line.unwrap_or_else(|| panic!("no report in {stdout}")).parse().unwrap()
}

#[test]
fn a_file_that_may_not_grow_leaves_whole_blocks() {
    let dir = tempfile::tempdir().unwrap();
    let limits = "trap '' XFSZ; ulimit -f 600;";
    let head = reported_head(&run_limited(Command::new("sh").arg("-c"), limits, dir.path()));
    assert!(head > 0);
    let storage = chain::open(dir.path(), &chain::spec(0));
    assert_eq!(storage.reader().head().number, head);
    storage.reader().verify(&mut |_| {}).unwrap();
}

#[test]
fn a_full_disk_leaves_whole_blocks() {
    let dir = tempfile::tempdir().unwrap();
    // A small file system of its own takes a user namespace, which some machines forbid.
    let probe =
        Command::new("unshare").args(["-rm", "mount", "-t", "tmpfs", "tmpfs", "/mnt"]).output();
    if !probe.is_ok_and(|output| output.status.success()) {
        println!("not run: no user namespaces on this machine");
        return;
    }
    let saved = dir.path().join("saved");
    fs::create_dir(&saved).unwrap();
    // The small file system goes with its namespace: what it holds in the end is copied out.
    let script = format!(
        "cd {saved}; mkdir ../small; mount -t tmpfs -o size=3m tmpfs ../small;
         \"$0\" \"$@\"; code=$?; cp ../small/* .; exit $code",
        saved = saved.display()
    );
    let output = Command::new("unshare")
        .args(["-rm", "sh", "-c", &script])
        .arg(env::current_exe().unwrap())
        .args(["--exact", "damage::appends_until_refused", "--ignored", "--nocapture"])
        .env(DIR, dir.path().join("small"))
        .output()
        .unwrap();
    let head = reported_head(&output);
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(stdout.contains("disk full: "), "{stdout}");
    let storage = chain::open(&saved, &chain::spec(0));
    assert_eq!(storage.reader().head().number, head);
    storage.reader().verify(&mut |_| {}).unwrap();
}

#[test]
#[ignore = "started by the tests of full disks"]
fn appends_until_refused() {
    let Some(dir) = env::var_os(DIR) else { return };
    let spec = chain::spec(0);
    let storage: Storage = chain::open(Path::new(&dir), &spec);
    let mut chain = Chain::new(&spec, 6);
    let error = loop {
        chain.grow(&storage.reader(), 60);
        if let Err(error) = storage.append(chain.above(chain.height() - 1)) {
            break error;
        }
        assert!(chain.height() < 5_000, "the disk never fills");
    };
    println!("{error}");
    assert!(matches!(error, StorageError::NoSpace(_) | StorageError::Io(_)), "{error:?}");
    let head = storage.reader().head().number;
    assert_eq!(head + 1, chain.height(), "the refused block is not there");
    storage.reader().verify(&mut |_| {}).unwrap();
    println!("refused after block {head}");
}
