//! Folders, databases and disks that no node can work with, and what is said about it. Nothing is lost
//! or half written.

use std::{
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    time::Duration,
};

use alloy_primitives::B256;
use ascribe_e2e::{Driver, Fork, Load, NodeOptions, RpcError, TestChain, say, wait_until};
use serde_json::json;

/// A stopped node with `blocks` blocks of load, and their newest hash.
fn stopped_with(blocks: u64) -> (TestChain, NodeOptions, B256) {
    let chain = TestChain::new(Fork::Karst);
    let node = NodeOptions::new(&chain).start();
    let mut driver = Driver::new(&node);
    let load = Load::new(&chain, 3, 2, 10);
    for number in 1..=blocks {
        driver.extend(load.block(number, 0)).expect("a block");
    }
    (chain, node.stop(), driver.head().hash)
}

#[test]
fn a_folder_has_one_chain_and_one_node() {
    let (chain, options, head) = stopped_with(20);

    // The same genesis under another id, on which other signatures count; another genesis.
    let other = TestChain::with_id(Fork::Karst, 902);
    let mut wrong = options.clone();
    wrong.chain = other.genesis_file().to_string_lossy().into_owned();
    let output = wrong.refused_start();
    assert!(output.contains("database belongs to chain 901"), "{output}");
    let other = TestChain::new(Fork::Jovian);
    let mut genesis = TestChain::genesis(Fork::Jovian, chain.chain_id);
    genesis["timestamp"] = json!("0x1");
    std::fs::write(other.genesis_file(), genesis.to_string()).expect("written");
    wrong.chain = other.genesis_file().to_string_lossy().into_owned();
    let output = wrong.refused_start();
    assert!(output.contains("database contains incompatible genesis"), "{output}");
    let (status, output) = wrong.run(&["db", "verify"], &[]);
    assert!(!status.success() && output.contains("incompatible genesis"), "{output}");

    // Two at a time.
    let mut first = options.start();
    let output = options.refused_start();
    assert!(output.contains("is in use by another process"), "{output}");
    let (status, output) = options.run(&["db", "verify"], &[]);
    assert!(!status.success() && output.contains("is in use by another process"), "{output}");
    first.assert_alive();
    assert_eq!(first.head(), (20, head));
    // A port that is taken.
    let port = first.rpc.url().rsplit_once(':').expect("a port").1.to_owned();
    let elsewhere = NodeOptions::new(&chain).with(&["--metrics", &format!("127.0.0.1:{port}")]);
    let output = elsewhere.refused_start();
    assert!(
        output.to_lowercase().contains("address already in use")
            || output.contains("cannot be used multiple times"),
        "{output}"
    );
    first.stop();
    options.assert_verifies();
}

#[test]
fn a_database_of_a_later_release() {
    let (_chain, options, head) = stopped_with(3);
    let folder = options.datadir().join("db");
    let write = |version: u32| {
        let plain = rocksdb::Options::default();
        let columns = rocksdb::DB::list_cf(&plain, &folder).expect("column families");
        let database = rocksdb::DB::open_cf(&plain, &folder, columns).expect("a database");
        let meta = database.cf_handle("meta").expect("the column family");
        let before = database.get_cf(meta, "schema").expect("read").expect("a version");
        database.put_cf(meta, "schema", version.to_be_bytes()).expect("written");
        u32::from_be_bytes(before.try_into().expect("four bytes"))
    };
    let ours = write(4711);
    let output = options.refused_start();
    assert!(output.contains("database schema 4711 is newer than schema"), "{output}");
    let (status, output) = options.run(&["db", "verify"], &[]);
    assert!(!status.success() && output.contains("is newer than schema"), "{output}");
    // Nothing was touched.
    assert_eq!(write(ours), 4711);
    assert_eq!(options.start().head(), (3, head));
}

fn files(folder: &Path, suffix: &str) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a folder");
    let mut found: Vec<PathBuf> = entries
        .map(|entry| entry.expect("an entry").path())
        .filter(|path| path.to_string_lossy().contains(suffix))
        .collect();
    found.sort();
    found
}

fn copy_folder(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).expect("a folder");
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        let target = to.join(path.file_name().expect("a name"));
        if path.is_dir() {
            copy_folder(&path, &target);
        } else {
            std::fs::copy(&path, target).expect("a copy");
        }
    }
}

#[test]
fn a_database_that_is_damaged() {
    let (_chain, options, head) = stopped_with(40);
    options.assert_verifies();
    let data = options.datadir().join("db");
    let whole = options.folder().join("whole");
    copy_folder(&data, &whole);
    let restore = || {
        std::fs::remove_dir_all(&data).expect("removed");
        copy_folder(&whole, &data);
    };

    // A byte flipped in the middle of a table.
    let tables = files(&data, ".sst");
    assert!(!tables.is_empty(), "a stopped node has its state in tables");
    for table in &tables {
        let length = std::fs::metadata(table).expect("a file").len();
        for at in [length / 7, length / 2, length - 60] {
            let file =
                std::fs::File::options().read(true).write(true).open(table).expect("a table");
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).expect("read");
            file.write_all_at(&[byte[0] ^ 0x55], at).expect("written");
            drop(file);
            let (status, output) = options.run(&["db", "verify"], &[]);
            assert!(!status.success(), "{} at {at} of {length}: {output}", table.display());
            assert!(output.contains("corrupt database"), "{} at {at}: {output}", table.display());
            assert!(!output.contains("panicked"), "{output}");
            restore();
        }
    }
    // A manifest cut short, a pointer to none, a table that is gone.
    let manifest = files(&data, "MANIFEST").pop().expect("a manifest");
    let length = std::fs::metadata(&manifest).expect("a file").len();
    let file = std::fs::File::options().write(true).open(&manifest).expect("the manifest");
    file.set_len(length / 2).expect("cut");
    let output = options.refused_start();
    assert!(output.contains("corrupt database"), "{output}");
    restore();
    std::fs::write(data.join("CURRENT"), "MANIFEST-999999\n").expect("written");
    assert!(options.refused_start().contains("corrupt database"));
    restore();
    std::fs::remove_file(&tables[0]).expect("removed");
    assert!(options.refused_start().contains("corrupt database"));
    restore();

    // Put back as it was, it is as it was.
    options.assert_verifies();
    assert_eq!(options.start().head(), (40, head));
}

/// Blocks until they are refused.
fn fill(driver: &mut Driver, load: &Load) -> RpcError {
    for _ in 0..800 {
        let number = driver.head().number + 1;
        if let Err(error) = driver.extend(load.block(number, 0)) {
            return error.into_rpc();
        }
    }
    panic!("the disk was never full")
}

/// Writing stops at a file size that the process may not pass. What was reported is there afterwards.
#[test]
fn a_disk_that_is_full() {
    let chain = TestChain::new(Fork::Karst);
    let mut options = NodeOptions::new(&chain);
    // The database begins with room.
    let node = options.start();
    let mut driver = Driver::new(&node);
    let load = Load::new(&chain, 4, 6, 60);
    for number in 1..=10 {
        driver.extend(load.block(number, 0)).expect("a block");
    }
    options = node.stop();

    let wal = files(&options.datadir().join("db"), ".log");
    let largest = wal.iter().map(|file| std::fs::metadata(file).map_or(0, |it| it.len())).max();
    let room = largest.unwrap_or_default() + (1 << 20);
    // In blocks of 512 bytes; without the trap the signal would end the process.
    let limited = format!("trap '' XFSZ; ulimit -f {}; exec \"$@\"", room / 512);
    options.wrapper = ["/bin/sh", "-c", &limited, "sh"].map(str::to_owned).to_vec();
    let mut node = options.start();
    driver.engine = node.engine.clone();
    driver.reread();
    let refused = fill(&mut driver, &load);
    assert_eq!(refused.code, -32603, "{refused}");
    assert!(refused.message.contains("blocks cannot be persisted"), "{refused}");
    // It says so, still answers, and still has its blocks in memory.
    let (status, text) = node.monitor.get("/healthz").expect("an answer");
    assert_eq!(status, 503, "{text}");
    assert!(text.contains("blocks cannot be written"), "{text}");
    node.assert_alive();
    let persisted = node.metric("ascribe_storage_persisted_block").unwrap_or_default();
    let persisted = format!("{persisted}").parse().unwrap_or(10);
    let reported = driver.block(persisted);
    let healthy = node.kill();

    // With room again nothing that was reported is gone, and the chain goes on.
    let mut healthy = healthy;
    healthy.wrapper.clear();
    healthy.assert_verifies();
    let node = healthy.start();
    assert_eq!(node.canonical(reported.number), Some(reported.hash));
    driver.engine = node.engine.clone();
    driver.reread();
    for _ in 0..20 {
        let number = driver.head().number + 1;
        driver.extend(load.block(number, 0)).expect("a block");
    }
    wait_until("a write", Duration::from_secs(20), || {
        node.metric("ascribe_storage_persisted_block").filter(|number| *number > 0.0)
    });
    let head = driver.head();
    let healthy = node.stop();
    assert_eq!(healthy.start().head(), (head.number, head.hash));
}

/// A file system in memory, of a size that can change.
struct Mount(PathBuf);

impl Mount {
    /// `None` where this process may not mount.
    fn new(at: PathBuf) -> Option<Self> {
        std::fs::create_dir_all(&at).expect("a folder");
        let mount = Self(at);
        mount.options("size=512m").then_some(mount)
    }

    fn options(&self, options: &str) -> bool {
        let mut mount = std::process::Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", options, "ascribe-e2e"]).arg(&self.0);
        mount.output().is_ok_and(|output| output.status.success())
    }

    /// Leaves so many bytes free, as near as the system's counting goes.
    fn leave(&self, bytes: u64) {
        let mut df = std::process::Command::new("df");
        let output = df.args(["-k", "--output=used"]).arg(&self.0).output().expect("df");
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let used: u64 = text.lines().nth(1).expect("a line").trim().parse().expect("a number");
        let size = used + bytes / 1024;
        assert!(self.options(&format!("remount,size={size}k")), "remounting with {size} KiB");
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        // Lazily: a failing test may still have something open.
        let _ = std::process::Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// A full disk that gets room again: the node says so, waits, and goes on by itself.
#[test]
fn a_disk_that_has_room_again() {
    let chain = TestChain::new(Fork::Karst);
    let options = NodeOptions::new(&chain);
    let Some(disk) = Mount::new(options.datadir()) else {
        return say("a_disk_that_has_room_again: SKIPPED, this user may not mount a tmpfs");
    };
    let node = options.start();
    let mut driver = Driver::new(&node);
    let load = Load::new(&chain, 4, 6, 60);
    for number in 1..=10 {
        driver.extend(load.block(number, 0)).expect("a block");
    }
    disk.leave(1 << 20);
    let refused = fill(&mut driver, &load);
    assert_eq!(refused.code, -32603, "{refused}");
    assert!(refused.message.contains("disk full"), "{refused}");
    let (status, text) = node.monitor.get("/healthz").expect("an answer");
    assert_eq!((status, text.contains("disk full")), (503, true), "{text}");
    let head = driver.head();
    assert_eq!(node.head(), (head.number, head.hash), "what is in memory is served");

    assert!(disk.options("remount,size=512m"));
    wait_until("blocks to be written again", Duration::from_secs(60), || {
        let number = driver.head().number + 1;
        driver.extend(load.block(number, 0)).ok()
    });
    for _ in 0..10 {
        let number = driver.head().number + 1;
        driver.extend(load.block(number, 0)).expect("a block");
    }
    assert_eq!(node.monitor.get("/healthz").expect("an answer").0, 200);
    let head = driver.head();
    let options = node.stop();
    options.assert_verifies();
    drop(options.start().stop());
    assert_eq!(options.start().head(), (head.number, head.hash));
}
