//! What a store that was damaged, or cut off by a crash, says when it is opened or checked.

use crate::store::{body, config};
use quintet_blockstore::{BlockStore, Config, Digest, FsckOptions, fsck};
use quintet_core::{Durability, ErrorKind, SystemClock};
use quintet_log::{CrashDirectory, Directory};
use std::{fs, path::Path, sync::Arc};

/// A closed store of some hundred records.
fn closed(dir: &Path) {
    let store = BlockStore::open(Config {
        durability: Durability::Relaxed,
        ..config(dir)
    })
    .unwrap();
    for seed in 0..300 {
        store.put(&body(seed, 100)).unwrap();
    }
    store.close().unwrap();
}

#[test]
fn a_checkpoint_that_was_cut_short_is_damage_and_not_a_signal() {
    let dir = tempfile::tempdir().unwrap();
    closed(dir.path());
    let path = dir.path().join("meta/data.mdb");
    let whole = fs::read(&path).unwrap();
    for len in [0, 100, 4096, 8192, 12_288, whole.len() / 2, whole.len() - 4096] {
        fs::write(&path, &whole[..len]).unwrap();
        let refused = BlockStore::open(config(dir.path())).err().unwrap();
        assert_eq!(refused.kind(), ErrorKind::Corrupted, "{len} bytes: {refused}");
        assert!(refused.to_string().contains("data.mdb"), "{refused}");
        let report = fsck(dir.path(), FsckOptions::default()).unwrap();
        assert_eq!(report.fault_count, 1, "{len} bytes: {report}");
        assert!(report.faults[0].contains("data.mdb"), "{report}");
    }
    fs::write(&path, &whole).unwrap();
    assert_eq!(BlockStore::open(config(dir.path())).unwrap().opened().blocks, 300);
}

#[test]
fn data_without_its_version_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().unwrap();
    closed(dir.path());
    let version = dir.path().join("VERSION");
    for gone in ["", "blocks.data", "meta/data.mdb"] {
        let _nothing_at_first = fs::remove_file(dir.path().join(gone));
        let _perhaps_gone = fs::remove_file(&version);
        for refused in [
            BlockStore::open(config(dir.path())).err().unwrap(),
            fsck(dir.path(), FsckOptions::default()).err().unwrap(),
        ] {
            assert_eq!(refused.kind(), ErrorKind::Corrupted, "{refused}");
            assert!(refused.to_string().contains("VERSION"), "{refused}");
        }
        assert!(!version.exists(), "written again");
    }
}

#[test]
fn records_cut_off_below_full_are_no_faults_before_the_first_open_and_none_after() {
    for durability in [Durability::Interval, Durability::Relaxed] {
        let meta = tempfile::tempdir().unwrap();
        let disk = CrashDirectory::new();
        let config = Config {
            durability,
            interval: std::time::Duration::from_secs(60),
            ..config(meta.path())
        };
        let store = BlockStore::open_in(
            Arc::new(disk.clone()),
            meta.path(),
            config.clone(),
            Arc::new(SystemClock),
        )
        .unwrap();
        let names: Vec<Digest> = (0..40)
            .map(|seed| store.put(&body(seed, 5000)).unwrap())
            .collect();
        let mut cut_off = 0;
        for seed in 0..40 {
            let left = disk.image(disk.moments(), seed);
            let dir = tempfile::tempdir().unwrap();
            fs::create_dir(dir.path().join("meta")).unwrap();
            fs::write(dir.path().join("VERSION"), "quintet-blocks 1\n").unwrap();
            for name in left.list().unwrap() {
                fs::write(dir.path().join(&name), left.bytes(&name).unwrap()).unwrap();
            }
            let before = fsck(dir.path(), FsckOptions::default()).unwrap();
            assert!(before.is_clean(), "{durability}, {seed}: {before}");
            cut_off += before.cut_off_blocks;
            let mut config = config.clone();
            config.dir = dir.path().to_owned();
            let opened = BlockStore::open(config).unwrap();
            assert_eq!(opened.opened().blocks, before.blocks, "{durability}, {seed}");
            assert_eq!(opened.opened().dropped_blocks, before.cut_off_blocks);
            let there = names.iter().filter(|name| opened.contains(name).unwrap()).count();
            assert_eq!(there as u64, before.blocks);
            drop(opened);
            let after = fsck(dir.path(), FsckOptions::default()).unwrap();
            assert!(after.is_clean(), "{durability}, {seed}: {after}");
            assert_eq!((after.blocks, after.cut_off_blocks), (before.blocks, 0));
        }
        assert!(cut_off > 0, "{durability}: no cut took a content from a record");
    }
}

#[test]
fn the_first_put_finds_room_however_much_was_replayed() {
    let meta = tempfile::tempdir().unwrap();
    let disk = CrashDirectory::new();
    let open = |disk: Arc<dyn Directory>, meta: &Path, checkpoint_entries| {
        let config = Config {
            checkpoint_entries,
            ..config(meta)
        };
        BlockStore::open_in(disk, meta, config, Arc::new(SystemClock)).unwrap()
    };
    let store = open(Arc::new(disk.clone()), meta.path(), 65_536);
    for seed in 0..40 {
        store.put(&body(seed, 100)).unwrap();
    }
    let left = Arc::new(disk.now());
    let fresh = tempfile::tempdir().unwrap();
    let store = open(left, fresh.path(), 4);
    assert_eq!(store.opened().replayed_records, 40);
    store.put(b"at once").unwrap();
    assert_eq!(store.stats().blocks, 41);
}
