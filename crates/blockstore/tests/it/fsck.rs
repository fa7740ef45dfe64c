//! The offline check: clean stores are clean, and each kind of damage is named.

use crate::store::{body, config};
use quintet_blockstore::{BlockStore, Config, Digest, FsckOptions, Report, Verify, fsck};
use quintet_core::{Durability, ErrorKind};
use std::{fs, os::unix::fs::FileExt, path::Path};

fn contents() -> FsckOptions {
    let mut options = FsckOptions::default();
    options.contents = true;
    options
}

fn check(dir: &Path) -> Report {
    fsck(dir, contents()).unwrap()
}

fn stored(dir: &Path, count: u64) -> Vec<Digest> {
    let store = BlockStore::open(config(dir)).unwrap();
    (0..count)
        .map(|seed| store.put(&body(seed, 4096)).unwrap())
        .collect()
}

#[test]
fn a_closed_store_is_clean_and_an_open_one_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = BlockStore::open(Config {
        durability: Durability::Relaxed,
        ..config(dir.path())
    })
    .unwrap();
    store.put(b"one").unwrap();
    assert_eq!(
        fsck(dir.path(), contents()).unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    drop(store);
    let report = check(dir.path());
    assert!(report.is_clean(), "{report}");
    assert_eq!(
        (report.blocks, report.content_bytes, report.checked_contents),
        (1, 3, 1)
    );
    let empty = tempfile::tempdir().unwrap();
    assert_eq!(
        fsck(empty.path(), contents()).unwrap_err().kind(),
        ErrorKind::Io,
        "not a store"
    );
}

#[test]
fn changed_content_is_found_by_hashing_only() {
    let dir = tempfile::tempdir().unwrap();
    let names = stored(dir.path(), 3);
    let data = fs::File::options()
        .write(true)
        .open(dir.path().join("blocks.data"))
        .unwrap();
    data.write_all_at(&[0xFF], 4096 + 7).unwrap();
    assert!(fsck(dir.path(), FsckOptions::default()).unwrap().is_clean());
    let report = check(dir.path());
    assert_eq!(report.fault_count, 1, "{report}");
    assert!(
        names
            .iter()
            .any(|name| report.faults[0].starts_with(&name.to_string())),
        "{report}"
    );
    let store = BlockStore::open(Config {
        verify: Verify::Always,
        ..config(dir.path())
    })
    .unwrap();
    let refused: Vec<_> = names.iter().filter_map(|name| store.get(name).err()).collect();
    assert_eq!(
        refused.iter().map(|error| error.kind()).collect::<Vec<_>>(),
        [ErrorKind::Corrupted]
    );
}

#[test]
fn a_short_data_file_is_found_and_the_store_does_not_open() {
    let dir = tempfile::tempdir().unwrap();
    stored(dir.path(), 3);
    let data = fs::File::options()
        .write(true)
        .open(dir.path().join("blocks.data"))
        .unwrap();
    data.set_len(4096).unwrap();
    let report = check(dir.path());
    assert_eq!(report.fault_count, 2, "{report}");
    assert!(report.faults[0].contains("of a data file of 4096"), "{report}");
    let refused = BlockStore::open(config(dir.path())).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Corrupted, "{refused}");
}

#[test]
fn a_missing_data_file_is_a_fault() {
    let dir = tempfile::tempdir().unwrap();
    stored(dir.path(), 1);
    fs::remove_file(dir.path().join("blocks.data")).unwrap();
    assert_eq!(check(dir.path()).fault_count, 1);
}

#[test]
fn a_missing_checkpoint_is_a_fault_once_the_log_was_cut_behind_it() {
    let dir = tempfile::tempdir().unwrap();
    let small = Config {
        durability: Durability::Relaxed,
        log_segment_bytes: 64 << 10,
        ..config(dir.path())
    };
    let store = BlockStore::open(small.clone()).unwrap();
    let digest = store.put(b"kept").unwrap();
    drop(store);
    let lose = || fs::remove_file(dir.path().join("meta/data.mdb")).unwrap();
    lose();
    let report = check(dir.path());
    assert!(report.is_clean(), "the log still holds everything: {report}");
    let store = BlockStore::open(small.clone()).unwrap();
    assert!(store.contains(&digest).unwrap());
    for number in 0_u64..1000 {
        let passing = store.put(&number.to_le_bytes()).unwrap();
        store.delete(&passing).unwrap();
    }
    drop(store);
    assert!(
        !dir.path().join("segment-0000000000000002.log").exists(),
        "the log was not cut"
    );
    lose();
    assert_eq!(check(dir.path()).fault_count, 1);
    assert!(
        BlockStore::open(small).is_err(),
        "a store without its records must not look empty"
    );
}
