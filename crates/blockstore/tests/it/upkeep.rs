//! Looking after a store: scrubbing, checking reads, and giving storage back.

use crate::{
    recall::until,
    store::{body, config},
};
use quintet_blockstore::{
    BlockStore, CompactOptions, Config, Digest, FsckOptions, ScrubOptions, Verify, buddy::Buddy, fsck,
};
use quintet_core::{Durability, ErrorKind, SizeClass, SystemClock};
use quintet_log::{CrashDirectory, Fault, FaultDirectory, MemDirectory};
use std::{
    fs,
    ops::ControlFlow,
    os::unix::fs::{FileExt, MetadataExt},
    path::Path,
    sync::Arc,
};

fn relaxed(dir: &Path) -> Config {
    Config {
        durability: Durability::Relaxed,
        ..config(dir)
    }
}

fn go_on<T>(_: T) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

/// Changes a byte of a stored content behind the store's back.
fn damage(dir: &Path, content: &[u8]) {
    let path = dir.join("blocks.data");
    let bytes = fs::read(&path).unwrap();
    let at = bytes
        .windows(content.len())
        .position(|window| window == content)
        .unwrap();
    let file = fs::File::options().write(true).open(&path).unwrap();
    file.write_all_at(&[!content[5]], at as u64 + 5).unwrap();
}

#[test]
fn a_scrub_reads_everything_and_names_what_is_damaged_while_the_store_goes_on() {
    let dir = tempfile::tempdir().unwrap();
    let store = BlockStore::open(relaxed(dir.path())).unwrap();
    let names: Vec<Digest> = (0..100)
        .map(|seed| store.put(&body(seed, 3000)).unwrap())
        .collect();
    store.lock(&names[7], b"holder", b"a lock is no block").unwrap();
    let sound = store.scrub(ScrubOptions::default(), &mut go_on).unwrap();
    assert_eq!(
        (sound.blocks, sound.bytes, sound.fault_count),
        (100, 300_000, 0),
        "{sound}"
    );
    damage(dir.path(), &body(41, 3000));
    let (mut told, mut deleted) = (Vec::new(), false);
    let found = store
        .scrub(ScrubOptions::default(), &mut |progress| {
            told.push(progress);
            if !deleted {
                // Others put and delete meanwhile.
                deleted = true;
                store.put(&body(1000, 3000)).unwrap();
                let last = names.iter().max().unwrap();
                if *last != names[41] && *last != names[7] {
                    store.delete(last).unwrap();
                }
            }
            ControlFlow::Continue(())
        })
        .unwrap();
    assert_eq!(found.fault_count, 1, "{found}");
    assert!(found.faults[0].starts_with(&names[41].to_string()), "{found}");
    assert!((99..=101).contains(&found.blocks), "{found}");
    assert!(
        told.windows(2)
            .all(|pair| pair[1].done_blocks == pair[0].done_blocks + 1)
    );
    assert_eq!(told.last().unwrap().total_blocks, 100);
    let stopped = store
        .scrub(ScrubOptions::default(), &mut |_| ControlFlow::Break(()))
        .unwrap();
    assert!(stopped.stopped && stopped.blocks == 1, "{stopped}");
}

#[test]
fn a_scrub_goes_on_past_blocks_that_the_disk_cannot_read() {
    let meta = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultDirectory::new(Arc::new(MemDirectory::new())));
    let store = BlockStore::open_in(
        disk.clone(),
        meta.path(),
        relaxed(meta.path()),
        Arc::new(SystemClock),
    )
    .unwrap();
    for seed in 0..10 {
        store.put(&body(seed, 100)).unwrap();
    }
    let mut blocks = 0;
    let found = store.scrub(ScrubOptions::default(), &mut |_| {
        blocks += 1;
        match blocks {
            3 => disk.fail_from(0, Fault::Io),
            5 => disk.heal(),
            _ => {}
        }
        ControlFlow::Continue(())
    });
    let found = found.unwrap();
    assert_eq!((found.blocks, found.fault_count), (10, 2), "{found}");
    assert!(found.faults[0].contains("input/output error"), "{found}");
}

#[test]
fn reads_are_checked_as_often_as_the_policy_says() {
    for verify in Verify::ALL {
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            verify,
            ..relaxed(dir.path())
        };
        let store = BlockStore::open(config).unwrap();
        let name = store.put(&body(1, 3000)).unwrap();
        damage(dir.path(), &body(1, 3000));
        let reads = (0..130).map(|_| store.get(&name)).collect::<Vec<_>>();
        let kinds: Vec<_> = reads
            .iter()
            .map(|read| read.as_ref().err().map(|error| error.kind()))
            .collect();
        let refused = kinds
            .iter()
            .filter(|kind| **kind == Some(ErrorKind::Corrupted))
            .count();
        let expected = match verify {
            Verify::Never => 0,
            Verify::Sample => 3,
            Verify::Always => 130,
        };
        assert_eq!(refused, expected, "{verify}");
        assert_eq!(kinds.iter().flatten().count(), refused, "no other error");
    }
}

#[test]
fn compacting_cuts_the_tail_and_punches_holes_and_loses_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = BlockStore::open(Config {
        capacity_bytes: 64 << 20,
        ..relaxed(dir.path())
    })
    .unwrap();
    let names: Vec<Digest> = (0..40)
        .map(|seed| store.put(&body(seed, 500_000)).unwrap())
        .collect();
    let data = dir.path().join("blocks.data");
    let before = fs::metadata(&data).unwrap();
    for (at, name) in names.iter().enumerate() {
        if at >= 30 || at % 3 == 1 {
            store.delete(name).unwrap();
        }
    }
    let trimmed = store.compact(CompactOptions::default(), &mut |_| ()).unwrap();
    assert_eq!((trimmed.before_bytes, trimmed.punched_bytes), (before.len(), 0));
    assert_eq!(
        trimmed.file_bytes,
        30 * 524_288,
        "thirty blocks, the last of them taken"
    );
    assert_eq!(fs::metadata(&data).unwrap().len(), trimmed.file_bytes);
    let mut options = CompactOptions::default();
    options.punch = true;
    let punched = store.compact(options, &mut |_| ()).unwrap();
    assert_eq!(punched.punched_bytes, 10 * 524_288);
    assert_eq!(store.stats().file_bytes, punched.file_bytes);
    let after = fs::metadata(&data).unwrap();
    assert_eq!(after.len(), trimmed.file_bytes);
    assert!(
        after.blocks() * 512 <= 20 * 524_288 + 65_536,
        "{} sectors of 512",
        after.blocks()
    );
    let there = |seed: usize| seed < 30 && seed % 3 != 1;
    for (seed, name) in names.iter().enumerate() {
        let expected = there(seed).then(|| body(seed as u64, 500_000));
        assert!(store.get(name).unwrap() == expected, "block {seed}");
    }
    // The holes and the tail are used again.
    let again: Vec<Digest> = (100..120)
        .map(|seed| store.put(&body(seed, 500_000)).unwrap())
        .collect();
    assert_eq!(store.get(&again[19]).unwrap(), Some(body(119, 500_000)));
    store.close().unwrap();
    drop(store);
    let mut options = FsckOptions::default();
    options.contents = true;
    let report = fsck(dir.path(), options).unwrap();
    assert!(report.is_clean() && report.blocks == 40, "{report}");
}

#[test]
fn released_blocks_give_their_storage_back_on_request() {
    let dir = tempfile::tempdir().unwrap();
    let store = BlockStore::open(Config {
        punch_released: true,
        ..config(dir.path())
    })
    .unwrap();
    let names: Vec<Digest> = (0..8)
        .map(|seed| store.put(&body(seed, 500_000)).unwrap())
        .collect();
    let kept = store.put(&body(50, 5000)).unwrap();
    for name in &names {
        store.delete(name).unwrap();
    }
    store.compact(CompactOptions::default(), &mut |_| ()).unwrap();
    let storage = fs::metadata(dir.path().join("blocks.data")).unwrap().blocks() * 512;
    // What was reserved and never written is not given back by this.
    assert!(storage < 3 * 524_288, "{storage} bytes");
    assert_eq!(store.get(&kept).unwrap(), Some(body(50, 5000)));
}

#[test]
fn an_emptied_store_compacts_to_nothing_and_grows_again() {
    let meta = tempfile::tempdir().unwrap();
    let disk = CrashDirectory::new();
    let open =
        |disk| BlockStore::open_in(disk, meta.path(), config(meta.path()), Arc::new(SystemClock)).unwrap();
    let store = open(Arc::new(disk.clone()));
    for round in 0..3 {
        let names: Vec<Digest> = (0..6)
            .map(|seed| store.put(&body(seed, 200_000)).unwrap())
            .collect();
        for name in &names {
            store.delete(name).unwrap();
        }
        let compacted = store.compact(CompactOptions::default(), &mut |_| ()).unwrap();
        assert_eq!(compacted.file_bytes, 0, "round {round}: {:?}", store.stats());
    }
    store.put(&body(9, 200_000)).unwrap();
    drop(store);
    // A power cut may bring the old length back.
    for seed in 0..20 {
        let fresh = tempfile::tempdir().unwrap();
        let left = Arc::new(disk.image(disk.moments(), seed));
        let store =
            BlockStore::open_in(left, fresh.path(), config(fresh.path()), Arc::new(SystemClock)).unwrap();
        assert!(store.opened().blocks <= 1);
    }
}

#[test]
fn the_allocator_shrinks_to_its_last_taken_block_and_lists_its_free_runs() {
    let mut buddy = Buddy::default();
    assert_eq!((buddy.end_blocks(), buddy.free_runs(0, 9)), (0, (vec![], None)));
    buddy.grow(1024);
    let blocks: Vec<_> = (0..6)
        .map(|class| buddy.allocate(SizeClass::ALL[class]).unwrap())
        .collect();
    let far = buddy.allocate(SizeClass::LARGEST).unwrap();
    let runs = |buddy: &Buddy, look| {
        let (mut all, mut next) = (Vec::new(), Some(0));
        while let Some(from) = next {
            let (runs, after) = buddy.free_runs(from, look);
            all.extend(runs);
            next = after;
        }
        let units: u64 = all.iter().map(|run| run.end - run.start).sum();
        assert_eq!(units, buddy.free_blocks());
        all
    };
    // 1, 2, 4, 8, 16 and 32 units, each at a multiple of its size, then 128 at 128.
    assert_eq!(runs(&buddy, 1000), [1..2, 64..128, 256..1024]);
    buddy.free(blocks[3]).unwrap();
    assert_eq!(runs(&buddy, 1000), [1..2, 8..16, 64..128, 256..1024]);
    assert_eq!(
        runs(&buddy, 1).iter().map(|run| run.end - run.start).sum::<u64>(),
        1 + 8 + 64 + 768
    );
    assert_eq!(buddy.end_blocks(), 256);
    buddy.shrink();
    assert_eq!((buddy.capacity_blocks(), buddy.free_blocks()), (256, 73));
    buddy.free(far).unwrap();
    assert_eq!(buddy.end_blocks(), 128);
    buddy.shrink();
    assert_eq!(buddy.largest_free(), SizeClass::from_index(6));
    buddy.grow(300);
    assert_eq!(runs(&buddy, 1000), [1..2, 8..16, 64..300]);
    assert_eq!(buddy.allocate(SizeClass::LARGEST).unwrap().number, 1);
}

#[test]
fn a_write_that_the_disk_refuses_poisons_the_store_and_a_full_disk_does_not() {
    let meta = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultDirectory::new(Arc::new(MemDirectory::new())));
    let open = || {
        let config = relaxed(meta.path());
        BlockStore::open_in(disk.clone(), meta.path(), config, Arc::new(SystemClock)).unwrap()
    };
    let store = open();
    // So that the pools have blocks and the next operation is the write of content.
    let kept = store.put(&body(1, 100)).unwrap();
    disk.fail_nth(0, Fault::NoSpace);
    assert_eq!(store.put(&body(2, 100)).unwrap_err().kind(), ErrorKind::Full);
    let room_again = store.put(&body(2, 100)).unwrap();
    assert!(!store.stats().poisoned);
    disk.fail_from(0, Fault::Io);
    assert_eq!(store.put(&body(3, 100)).unwrap_err().kind(), ErrorKind::Io);
    until("the store to say so, though nobody writes", || {
        store.stats().poisoned
    });
    assert_eq!(store.put(&body(4, 100)).unwrap_err().kind(), ErrorKind::Poisoned);
    assert_eq!(store.delete(&kept).unwrap_err().kind(), ErrorKind::Poisoned);
    disk.heal();
    assert!(store.get(&kept).unwrap().is_some() && store.get(&room_again).unwrap().is_some());
    drop(store);
    let store = open();
    assert!(!store.stats().poisoned && store.stats().blocks == 2);
    store.put(&body(3, 100)).unwrap();
}

#[test]
fn a_flush_that_fails_in_the_background_shows_though_nobody_asks_for_anything() {
    let meta = tempfile::tempdir().unwrap();
    let disk = Arc::new(FaultDirectory::new(Arc::new(MemDirectory::new())));
    let config = Config {
        durability: Durability::Interval,
        ..config(meta.path())
    };
    let store = BlockStore::open_in(disk.clone(), meta.path(), config, Arc::new(SystemClock)).unwrap();
    store.put(&body(1, 100)).unwrap();
    disk.fail_from(0, Fault::Io);
    // If the sync came before the fault, the next write meets it.
    let _refused = store.put(&body(2, 100));
    until("the store to say so", || store.stats().poisoned);
}
