//! The embedded store on a real directory: many threads, small capacities, reopening, damage.

use quintet_blockstore::{BlockStore, Config, Digest, Lookup};
use quintet_core::{Durability, ErrorKind, SizeClass};
use std::sync::atomic::{AtomicU64, Ordering};

pub(crate) fn config(dir: &std::path::Path) -> Config {
    Config {
        capacity_bytes: 8 << 20,
        growth_step_bytes: 1 << 20,
        pool_targets: [4, 2, 2, 1, 1, 1, 1, 1],
        log_segment_bytes: 256 << 10,
        map_bytes: 1 << 30,
        workers: 4,
        ..Config::new(dir)
    }
}

/// A body of this length that no other seed has.
pub(crate) fn body(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut bytes = Vec::with_capacity(len + 8);
    while bytes.len() < len {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        bytes.extend_from_slice(&state.to_le_bytes());
    }
    bytes.truncate(len);
    bytes
}

#[test]
fn every_size_comes_back_at_every_level_and_survives_a_restart() {
    for (durability, lookup) in
        Durability::ALL
            .into_iter()
            .zip([Lookup::Index, Lookup::Controller, Lookup::Index])
    {
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            durability,
            lookup,
            ..config(dir.path())
        };
        let store = BlockStore::open(config.clone()).unwrap();
        let bodies: Vec<_> = [1, 4095, 4096, 4097, 65_537, 524_288]
            .iter()
            .enumerate()
            .map(|(seed, len)| body(seed as u64, *len))
            .collect();
        let names: Vec<_> = bodies.iter().map(|body| store.put(body).unwrap()).collect();
        for (name, body) in names.iter().zip(&bodies) {
            assert_eq!(*name, Digest::of(body));
            assert_eq!(store.get(name).unwrap().as_ref(), Some(body), "{durability}");
        }
        store.delete(&names[0]).unwrap();
        assert_eq!(
            store.delete(&names[0]).unwrap_err().kind(),
            ErrorKind::NotFound,
            "twice"
        );
        assert_eq!(store.get(&names[0]).unwrap(), None);
        store.close().unwrap();
        assert_eq!(store.put(b"late").unwrap_err().kind(), ErrorKind::Closed);
        drop(store);
        let store = BlockStore::open(config).unwrap();
        assert_eq!(store.opened().replayed_records, 0, "a clean close checkpoints");
        assert_eq!(store.opened().blocks, 5);
        assert!(!store.contains(&names[0]).unwrap());
        for (name, body) in names.iter().zip(&bodies).skip(1) {
            assert_eq!(store.get(name).unwrap().as_ref(), Some(body));
        }
    }
}

#[test]
fn bad_bodies_and_unknown_names_are_errors_that_change_nothing() {
    let dir = tempfile::tempdir().unwrap();
    let store = BlockStore::open(config(dir.path())).unwrap();
    assert_eq!(store.put(b"").unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(
        store.put(&vec![0; 524_289]).unwrap_err().kind(),
        ErrorKind::TooLarge
    );
    assert_eq!(
        store.delete(&Digest([9; 32])).unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(store.get(&Digest([9; 32])).unwrap(), None);
    assert_eq!(store.stats().blocks, 0);
}

#[test]
fn a_full_store_says_so_and_goes_on_after_a_delete() {
    let dir = tempfile::tempdir().unwrap();
    let store = BlockStore::open(config(dir.path())).unwrap();
    let mut stored = Vec::new();
    let refused = loop {
        match store.put(&body(stored.len() as u64, 524_288)) {
            Ok(name) => stored.push(name),
            Err(error) => break error,
        }
    };
    assert_eq!(refused.kind(), ErrorKind::Full, "{refused}");
    assert_eq!(stored.len(), 16, "8 MiB hold sixteen blocks of 512 KiB");
    assert_eq!(store.get(&stored[3]).unwrap().unwrap().len(), 524_288);
    store.delete(&stored[3]).unwrap();
    let name = store.put(&body(99, 524_288)).unwrap();
    assert_eq!(store.get(&name).unwrap().unwrap(), body(99, 524_288));
}

#[test]
fn after_deleting_everything_the_allocator_is_whole_again() {
    let dir = tempfile::tempdir().unwrap();
    let store = BlockStore::open(config(dir.path())).unwrap();
    let next = AtomicU64::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let (store, next) = (&store, &next);
            scope.spawn(move || {
                for round in 0..40_u64 {
                    // Every body is put by all threads, at about the same time.
                    let shared = body(1000 + round, 5000);
                    let name = store.put(&shared).unwrap();
                    assert_eq!(store.put(&shared).unwrap(), name);
                    let own = body(next.fetch_add(1, Ordering::Relaxed), 3000 * (thread + 1));
                    let own_name = store.put(&own).unwrap();
                    assert_eq!(store.get(&own_name).unwrap(), Some(own));
                }
            });
        }
    });
    assert_eq!(store.stats().blocks, 40 + 160);
    for round in 0..40 {
        store.delete(&Digest::of(&body(1000 + round, 5000))).unwrap();
    }
    for seed in 0..160 {
        let owners: Vec<_> = (1..=4).map(|size| Digest::of(&body(seed, 3000 * size))).collect();
        let stored = owners.iter().filter(|name| store.contains(name).unwrap()).count();
        assert_eq!(stored, 1);
        for name in owners.iter().filter(|name| store.contains(name).unwrap()) {
            store.delete(name).unwrap();
        }
    }
    let empty = store.stats();
    assert_eq!((empty.blocks, empty.content_bytes), (0, 0));
    store.close().unwrap();
    drop(store);
    let store = BlockStore::open(config(dir.path())).unwrap();
    let stats = store.stats();
    assert_eq!(stats.free_bytes, stats.capacity_bytes);
    assert_eq!(
        stats.classes[7].free,
        stats.file_bytes / SizeClass::LARGEST.size_bytes(),
        "all merged"
    );
}

#[test]
fn a_file_that_ends_with_its_last_content_opens() {
    let dir = tempfile::tempdir().unwrap();
    let store = BlockStore::open(config(dir.path())).unwrap();
    let body = body(3, 5000);
    let digest = store.put(&body).unwrap();
    store.close().unwrap();
    drop(store);
    // As a power cut leaves it that undid the growth and kept the write.
    let data = std::fs::OpenOptions::new()
        .write(true)
        .open(dir.path().join("blocks.data"))
        .unwrap();
    let content = std::fs::read(dir.path().join("blocks.data")).unwrap();
    let end = content
        .windows(body.len())
        .position(|window| window == body)
        .unwrap()
        + body.len();
    data.set_len(end as u64).unwrap();
    assert!(
        quintet_blockstore::fsck(dir.path(), quintet_blockstore::FsckOptions::default())
            .unwrap()
            .is_clean()
    );
    let store = BlockStore::open(config(dir.path())).unwrap();
    assert_eq!(store.get(&digest).unwrap().as_ref(), Some(&body));
    let other = store.put(&[7; 100_000]).unwrap();
    assert_eq!(store.get(&other).unwrap().map(|body| body.len()), Some(100_000));
}

#[test]
fn one_store_per_directory_and_one_format() {
    let dir = tempfile::tempdir().unwrap();
    let store = BlockStore::open(config(dir.path())).unwrap();
    let refused = BlockStore::open(config(dir.path())).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    drop(store);
    std::fs::write(dir.path().join("VERSION"), "quintet-blocks 99\n").unwrap();
    let refused = BlockStore::open(config(dir.path())).err().unwrap();
    assert_eq!(refused.kind(), ErrorKind::Unsupported);
    assert!(refused.to_string().contains("`quintet-blocks 99`"), "{refused}");
}

#[test]
fn a_name_that_begins_like_any_text_survives_restarts() {
    // Found by search: its digest begins with the bytes 0x74 0x5F.
    let content = (0_u64..)
        .map(|n| n.to_le_bytes())
        .find(|bytes| Digest::of(bytes).0.starts_with(b"t_"))
        .unwrap();
    let dir = tempfile::tempdir().unwrap();
    for _ in 0..3 {
        let store = BlockStore::open(config(dir.path())).unwrap();
        let name = store.put(&content).unwrap();
        assert_eq!(store.get(&name).unwrap().as_deref(), Some(&content[..]));
        assert_eq!(store.stats().blocks, 1);
    }
}

#[test]
fn reads_do_not_wait_for_puts_that_wait_for_a_flush() {
    let (meta, disk) = (tempfile::tempdir().unwrap(), crate::gate::GateDirectory::new());
    let config = Config {
        workers: 1,
        ..config(meta.path())
    };
    let clock = std::sync::Arc::new(quintet_core::SystemClock);
    let store = BlockStore::open_in(std::sync::Arc::new(disk.clone()), meta.path(), config, clock).unwrap();
    let stored = store.put(b"stored").unwrap();
    disk.hold();
    std::thread::scope(|scope| {
        let put = scope.spawn(|| store.put(b"held back"));
        while store.stats().blocks < 2 {
            std::thread::yield_now();
        }
        assert_eq!(store.get(&stored).unwrap().as_deref(), Some(&b"stored"[..]));
        let held = Digest::of(b"held back");
        assert!(
            !store.contains(&held).unwrap(),
            "nobody sees it before it is durable"
        );
        assert!(!put.is_finished(), "nor is it acknowledged");
        disk.release();
        assert_eq!(put.join().unwrap().unwrap(), held);
        assert!(store.contains(&held).unwrap());
    });
}
