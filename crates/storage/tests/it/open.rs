//! Opening: the right chain, the right release, one process; labels and rooms across restarts.

use crate::chain::{self, Chain};
use alloy_eips::BlockNumHash;
use ascribe_storage::{Labels, MAX_ROOM_VALUE, SCHEMA_VERSION, StorageError};
use rocksdb::{DB, Options};

#[test]
fn genesis_is_written_once_and_checked_at_every_start() {
    let (spec, other) = (chain::spec(0), chain::spec(1));
    let dir = tempfile::tempdir().unwrap();
    let mut seen = Vec::new();
    let storage = ascribe_storage::Storage::open(dir.path(), chain::options(), &spec, &mut |p| {
        seen.push((p.accounts, p.total));
    })
    .unwrap();
    assert_eq!(seen.last(), Some(&(40, 40)));
    let report = storage.reader().verify(&mut |_| {}).unwrap();
    assert_eq!((report.blocks, report.accounts), (1, 40));
    assert_eq!(report.slots, (4..=40).step_by(4).sum::<u64>());
    assert_eq!(storage.reader().head().hash(), spec.genesis_hash());
    drop(storage);

    let storage = ascribe_storage::Storage::open(dir.path(), chain::options(), &spec, &mut |_| {
        panic!("genesis is there already");
    })
    .unwrap();
    drop(storage);
    let refused = chain::try_open(dir.path(), &other).unwrap_err();
    assert!(
        matches!(refused, StorageError::GenesisMismatch { stored, given }
            if stored == spec.genesis_hash() && given == other.genesis_hash()),
        "{refused}"
    );
    chain::open(dir.path(), &spec);
}

#[test]
fn a_second_opener_is_told_so() {
    let spec = chain::spec(0);
    let dir = tempfile::tempdir().unwrap();
    let storage = chain::open(dir.path(), &spec);
    let refused = chain::try_open(dir.path(), &spec).unwrap_err();
    assert!(
        matches!(&refused, StorageError::Locked { path, .. } if path == dir.path()),
        "{refused}"
    );
    drop(storage);
    chain::open(dir.path(), &spec);
}

#[test]
fn a_newer_schema_is_refused_and_left_alone() {
    let spec = chain::spec(0);
    let dir = tempfile::tempdir().unwrap();
    drop(chain::open(dir.path(), &spec));
    let edit = |version: u32| {
        let names = DB::list_cf(&Options::default(), dir.path()).unwrap();
        let mut options = Options::default();
        options.create_missing_column_families(true);
        let db = DB::open_cf(&options, dir.path(), names.iter().map(String::as_str)).unwrap();
        db.put_cf(db.cf_handle("meta").unwrap(), b"schema", version.to_be_bytes()).unwrap();
        db
    };
    drop(edit(SCHEMA_VERSION + 1));
    let refused = chain::try_open(dir.path(), &spec).unwrap_err();
    let expected = SCHEMA_VERSION + 1;
    assert!(
        matches!(refused, StorageError::NewerSchema { found, .. } if found == expected),
        "{refused}"
    );

    // A newer release may also bring columns that this one does not know.
    let mut db = edit(SCHEMA_VERSION + 1);
    db.create_cf("from-the-future", &Options::default()).unwrap();
    drop(db);
    let refused = chain::try_open(dir.path(), &spec).unwrap_err();
    assert!(matches!(refused, StorageError::NewerSchema { .. }), "{refused}");
    drop(edit(SCHEMA_VERSION));
    let refused = chain::try_open(dir.path(), &spec).unwrap_err();
    assert!(
        matches!(&refused, StorageError::Foreign { column, .. } if column == "from-the-future")
    );
}

#[test]
fn a_database_of_another_program_is_left_alone() {
    let spec = chain::spec(0);
    let mut options = Options::default();
    options.create_if_missing(true);
    options.create_missing_column_families(true);

    let dir = tempfile::tempdir().unwrap();
    DB::open(&options, dir.path()).unwrap().put(b"theirs", b"1").unwrap();
    let refused = chain::try_open(dir.path(), &spec).unwrap_err();
    assert!(
        matches!(&refused, StorageError::Foreign { column, .. } if column == "default"),
        "{refused}"
    );
    assert_eq!(DB::open(&options, dir.path()).unwrap().get(b"theirs").unwrap().unwrap(), b"1");

    let dir = tempfile::tempdir().unwrap();
    drop(DB::open_cf(&options, dir.path(), ["theirs"]).unwrap());
    let refused = chain::try_open(dir.path(), &spec).unwrap_err();
    assert!(
        matches!(&refused, StorageError::Foreign { column, .. } if column == "theirs"),
        "{refused}"
    );
    assert_eq!(DB::list_cf(&options, dir.path()).unwrap(), ["default", "theirs"]);
}

#[test]
fn genesis_cut_short_is_written_again() {
    let (spec, other) = (chain::spec(0), chain::spec(1));
    let dir = tempfile::tempdir().unwrap();
    drop(chain::open(dir.path(), &other));
    // What is there when a process dies while it writes genesis: state, but no genesis hash.
    {
        let names = DB::list_cf(&Options::default(), dir.path()).unwrap();
        let db = DB::open_cf(&Options::default(), dir.path(), names.iter()).unwrap();
        db.delete_cf(db.cf_handle("meta").unwrap(), b"genesis").unwrap();
    }
    let storage = chain::open(dir.path(), &spec);
    storage.reader().verify(&mut |_| {}).unwrap();
    chain::check(&storage.reader(), &Chain::new(&spec, 0), 0);
}

#[test]
fn labels_on_disk_only_name_blocks_on_disk() {
    let spec = chain::spec(0);
    let dir = tempfile::tempdir().unwrap();
    let storage = chain::open(dir.path(), &spec);
    let mut chain = Chain::new(&spec, 1);
    for _ in 0..6 {
        chain.grow(&storage.reader(), 5);
    }
    let at = |number: usize| Some(chain.blocks[number - 1].num_hash());
    storage.append(&chain.blocks[..3]).unwrap();
    storage.set_forkchoice(Labels { safe: at(5), finalized: at(2) }).unwrap();
    assert_eq!(storage.labels(), Labels { safe: at(5), finalized: at(2) });
    drop(storage);

    // Block 5 was in memory only.
    let storage = chain::open(dir.path(), &spec);
    assert_eq!(storage.labels(), Labels { safe: None, finalized: at(2) });
    storage.set_forkchoice(Labels { safe: at(3), finalized: at(2) }).unwrap();
    storage.set_forkchoice(Labels { safe: at(5), finalized: at(4) }).unwrap();
    storage.append(&chain.blocks[3..4]).unwrap();
    drop(storage);
    let storage = chain::open(dir.path(), &spec);
    assert_eq!(storage.labels(), Labels { safe: at(3), finalized: at(4) });

    // Set ahead of the block, written with the block.
    storage.set_forkchoice(Labels { safe: at(6), finalized: at(5) }).unwrap();
    storage.append(&chain.blocks[4..]).unwrap();
    drop(storage);
    let storage = chain::open(dir.path(), &spec);
    assert_eq!(storage.labels(), Labels { safe: at(6), finalized: at(5) });

    // Unwinding lowers what it takes away.
    storage.unwind_to(5, &mut |_| {}).unwrap();
    assert_eq!(storage.labels(), Labels { safe: at(5), finalized: at(5) });
    storage.unwind_to(1, &mut |_| {}).unwrap();
    drop(storage);
    let storage = chain::open(dir.path(), &spec);
    assert_eq!(storage.labels(), Labels { safe: at(1), finalized: at(1) });
    let genesis = BlockNumHash { number: 0, hash: spec.genesis_hash() };
    storage.set_forkchoice(Labels { safe: None, finalized: Some(genesis) }).unwrap();
    drop(storage);
    let storage = chain::open(dir.path(), &spec);
    assert_eq!(storage.labels(), Labels { safe: None, finalized: Some(genesis) });
}

#[test]
fn rooms_keep_small_values_apart() {
    let spec = chain::spec(0);
    let dir = tempfile::tempdir().unwrap();
    let storage = chain::open(dir.path(), &spec);
    let (a, b) = (storage.room("a"), storage.room("b"));
    a.put(b"k", b"1").unwrap();
    b.put(b"k", b"2").unwrap();
    a.put(b"gone", b"").unwrap();
    a.delete(b"gone").unwrap();
    assert!(matches!(
        a.put(b"k", &vec![0; MAX_ROOM_VALUE + 1]),
        Err(StorageError::TooLarge { .. })
    ));
    assert!(matches!(a.get(&[0; 300]), Err(StorageError::TooLarge { .. })));
    drop((a, b, storage));
    let storage = chain::open(dir.path(), &spec);
    assert_eq!(storage.room("a").get(b"k").unwrap().unwrap()[..], b"1"[..]);
    assert_eq!(storage.room("b").get(b"k").unwrap().unwrap()[..], b"2"[..]);
    assert_eq!(storage.room("a").get(b"gone").unwrap(), None);
    let stats = storage.stats().unwrap();
    assert_eq!(stats.head, 0);
    let accounts = stats.columns.iter().find(|column| column.name == "accounts").unwrap();
    assert!(accounts.keys >= 40, "{accounts:?}");
}
