//! Copies of a store that serves: whole, checked, and with everything that was answered before them.

use crate::store::{body, config};
use quintet_blockstore::{BlockStore, Digest, FsckOptions, fsck};
use quintet_core::{Error, ErrorKind};
use std::{
    fs,
    path::Path,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

fn body_of(number: u64) -> Vec<u8> {
    body(number + 1, 1 + (number * 7919 % 30_000) as usize)
}

fn checked(copy: &Path) -> u64 {
    let mut options = FsckOptions::default();
    options.contents = true;
    let report = fsck(copy, options).unwrap();
    assert!(report.is_clean(), "{report}");
    report.blocks
}

#[test]
fn a_copy_made_under_puts_and_deletes_is_the_store_at_one_commit() {
    let dir = tempfile::tempdir().unwrap();
    let store = BlockStore::open(config(dir.path())).unwrap();
    let locked = store.put(b"locked").unwrap();
    store.lock(&locked, b"holder", b"why").unwrap();
    // Those up to `stored` are there, but for those below `deleted`; one thread puts, one deletes.
    let (stored, deleting, over) = (AtomicU64::new(0), AtomicU64::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0.. {
                store.put(&body_of(number)).unwrap();
                stored.store(number + 1, Ordering::Release);
                if number >= 60 {
                    deleting.store(number - 59, Ordering::Release);
                    store.delete(&Digest::of(&body_of(number - 60))).unwrap();
                }
                if over.load(Ordering::Acquire) {
                    break;
                }
            }
        });
        for round in 0..6 {
            while stored.load(Ordering::Acquire) < 70 * (round + 1) {
                std::thread::yield_now();
            }
            let before = stored.load(Ordering::Acquire);
            let to = tempfile::tempdir().unwrap();
            store.backup(to.path(), &mut |_| Ok(())).unwrap();
            let after = deleting.load(Ordering::Acquire);
            let blocks = checked(to.path());
            assert!((61..=63).contains(&blocks), "of one moment: {blocks}");
            let copy = BlockStore::open(config(to.path())).unwrap();
            for number in after..before {
                let found = copy.get(&Digest::of(&body_of(number))).unwrap();
                assert_eq!(found, Some(body_of(number)), "block {number} was acknowledged");
            }
            assert_eq!(copy.locks(&locked).unwrap().unwrap().len(), 1);
            assert_eq!(copy.delete(&locked).unwrap_err().kind(), ErrorKind::Conflict);
            // It is a store like any other.
            copy.put(b"more").unwrap();
            copy.close().unwrap();
        }
        over.store(true, Ordering::Release);
    });
    drop(store);
    checked(dir.path());
}

#[test]
fn a_copy_is_as_small_as_the_blocks_that_are_left() {
    let (dir, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = BlockStore::open(config(dir.path())).unwrap();
    let names: Vec<_> = (0..100)
        .map(|number| store.put(&body(number + 1, 60_000)).unwrap())
        .collect();
    names[..95].iter().for_each(|name| store.delete(name).unwrap());
    let copied = AtomicU64::new(0);
    let mut each = |bytes| {
        copied.fetch_add(bytes, Ordering::Relaxed);
        Ok(())
    };
    store.backup(to.path(), &mut each).unwrap();
    assert!(copied.load(Ordering::Relaxed) >= 5 * 60_000);
    let len = fs::metadata(to.path().join("blocks.data")).unwrap().len();
    assert!(len <= 512 << 10, "{len} bytes for five blocks of 64 KiB");
    assert_eq!(checked(to.path()), 5);
    let refused = store.backup(to.path(), &mut |_| Ok(())).unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::AlreadyExists, "{refused}");
}

#[test]
fn a_copy_that_is_ended_lets_the_store_reuse_its_space() {
    let (dir, to) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let store = BlockStore::open(config(dir.path())).unwrap();
    store.put(b"some").unwrap();
    let mut enough = |_| Err(Error::new(ErrorKind::Closed, "enough"));
    let ended = store.backup(to.path(), &mut enough).unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::Closed);
    // More than the capacity, one after the other: a pin that was left behind would fill the store.
    for number in 0..200 {
        let name = store.put(&body(number + 7, 100_000)).unwrap();
        store.delete(&name).unwrap();
    }
}
