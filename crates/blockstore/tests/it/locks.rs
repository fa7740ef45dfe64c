//! Locks: kept with their bodies, durable like records, and a locked block stays.

use crate::store::{body, config};
use proptest::prelude::*;
use quintet_blockstore::{
    BlockStore, Config, Digest, FsckOptions, Lock, MAX_LOCK_BYTES, MAX_LOCKS, MAX_RESOURCE_BYTES, fsck,
};
use quintet_core::{Durability, ErrorKind};
use std::collections::BTreeMap;

fn lock(resource: &str, body: &str) -> Lock {
    Lock {
        resource: resource.into(),
        body: body.into(),
    }
}

#[test]
fn a_locked_block_stays_until_its_last_lock_ends_and_locks_survive_a_restart() {
    for durability in Durability::ALL {
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            durability,
            ..config(dir.path())
        };
        let store = BlockStore::open(config.clone()).unwrap();
        let name = store.put(b"kept").unwrap();
        let other = store.put(b"another").unwrap();
        assert_eq!(store.locks(&name).unwrap(), Some(vec![]));
        store.lock(&name, b"b", b"second").unwrap();
        store.lock(&name, b"a", b"").unwrap();
        store.lock(&name, b"b", b"replaced").unwrap();
        let both = vec![lock("a", ""), lock("b", "replaced")];
        assert_eq!(store.locks(&name).unwrap(), Some(both.clone()));
        assert_eq!(store.stats().locks, 2);
        let refused = store.delete(&name).unwrap_err();
        assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
        assert!(refused.to_string().contains("locked 2 times"), "{refused}");
        // Stored again, it is still locked.
        assert_eq!(store.put(b"kept").unwrap(), name);
        store.close().unwrap();
        drop(store);
        let report = fsck(dir.path(), FsckOptions::default()).unwrap();
        assert!(report.is_clean() && report.locks == 2, "{report}");
        let store = BlockStore::open(config).unwrap();
        assert_eq!((store.opened().blocks, store.opened().locks), (2, 2));
        assert_eq!(store.locks(&name).unwrap(), Some(both));
        assert_eq!(store.locks(&other).unwrap(), Some(vec![]));
        store.unlock(&name, b"b").unwrap();
        assert_eq!(store.delete(&name).unwrap_err().kind(), ErrorKind::Conflict);
        store.unlock(&name, b"a").unwrap();
        assert_eq!(
            store.unlock(&name, b"a").unwrap_err().kind(),
            ErrorKind::NotFound,
            "twice"
        );
        store.delete(&name).unwrap();
        assert_eq!(store.locks(&name).unwrap(), None);
        assert_eq!(store.stats().locks, 0);
    }
}

#[test]
fn unknown_blocks_and_lengths_beyond_the_limits_are_refused() {
    let dir = tempfile::tempdir().unwrap();
    let store = BlockStore::open(Config {
        durability: Durability::Relaxed,
        ..config(dir.path())
    })
    .unwrap();
    let unknown = Digest([1; 32]);
    assert_eq!(
        store.lock(&unknown, b"r", b"").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(
        store.unlock(&unknown, b"r").unwrap_err().kind(),
        ErrorKind::NotFound
    );
    assert_eq!(store.locks(&unknown).unwrap(), None);
    let name = store.put(b"block").unwrap();
    let (resource, body) = (vec![b'r'; MAX_RESOURCE_BYTES], vec![0; MAX_LOCK_BYTES]);
    store.lock(&name, &resource, &body).unwrap();
    assert_eq!(store.locks(&name).unwrap().unwrap()[0].body, body);
    let long = |bytes: &[u8]| [bytes, b"r"].concat();
    assert_eq!(
        store.lock(&name, &long(&resource), b"").unwrap_err().kind(),
        ErrorKind::TooLarge
    );
    assert_eq!(
        store.lock(&name, b"r", &long(&body)).unwrap_err().kind(),
        ErrorKind::TooLarge
    );
    assert_eq!(
        store.lock(&name, b"", b"").unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    assert_eq!(
        store.unlock(&name, b"").unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    for number in 1..MAX_LOCKS {
        store.lock(&name, &number.to_le_bytes(), b"").unwrap();
    }
    let refused = store.lock(&name, b"one more", b"").unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Conflict, "{refused}");
    store.lock(&name, &resource, b"another body").unwrap();
    assert_eq!(store.stats().locks, u64::from(MAX_LOCKS));
}

#[derive(Clone, Debug)]
enum Step {
    Put(u64),
    Delete(u64),
    Lock(u64, u8, u8),
    Unlock(u64, u8),
    Reopen,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0_u64..4).prop_map(Step::Put),
        3 => (0_u64..4).prop_map(Step::Delete),
        6 => (0_u64..4, 0_u8..3, any::<u8>()).prop_map(|(block, resource, body)| Step::Lock(block, resource, body)),
        4 => (0_u64..4, 0_u8..3).prop_map(|(block, resource)| Step::Unlock(block, resource)),
        1 => Just(Step::Reopen),
    ]
}

/// Tries again while the store asks for patience: its checkpoints are tiny here.
fn patiently<T>(mut call: impl FnMut() -> quintet_core::Result<T>) -> Result<T, ErrorKind> {
    loop {
        match call() {
            Err(busy) if busy.kind() == ErrorKind::Unavailable => std::thread::yield_now(),
            other => return other.map_err(|error| error.kind()),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn blocks_and_locks_are_what_a_map_of_maps_says(steps in prop::collection::vec(step(), 1..60)) {
        let dir = tempfile::tempdir().unwrap();
        let config = Config {
            durability: Durability::Relaxed,
            checkpoint_entries: 5,
            log_segment_bytes: 64 << 10,
            ..config(dir.path())
        };
        let mut store = BlockStore::open(config.clone()).unwrap();
        let mut model: BTreeMap<u64, BTreeMap<u8, u8>> = BTreeMap::new();
        let name = |block: &u64| Digest::of(&body(*block, 50));
        for step in steps {
            match step {
                Step::Put(block) => {
                    patiently(|| store.put(&body(block, 50))).unwrap();
                    model.entry(block).or_default();
                }
                Step::Delete(block) => {
                    let kind = patiently(|| store.delete(&name(&block)));
                    let expected = match model.get(&block) {
                        None => Err(ErrorKind::NotFound),
                        Some(locks) if !locks.is_empty() => Err(ErrorKind::Conflict),
                        Some(_) => {
                            model.remove(&block);
                            Ok(())
                        }
                    };
                    prop_assert_eq!(kind, expected);
                }
                Step::Lock(block, resource, body) => {
                    let kind = patiently(|| store.lock(&name(&block), &[resource], &[body]));
                    let known = model.get_mut(&block).map(|locks| locks.insert(resource, body));
                    prop_assert_eq!(kind, known.map(|_| ()).ok_or(ErrorKind::NotFound));
                }
                Step::Unlock(block, resource) => {
                    let kind = patiently(|| store.unlock(&name(&block), &[resource]));
                    let known = model.get_mut(&block).and_then(|locks| locks.remove(&resource));
                    prop_assert_eq!(kind, known.map(|_| ()).ok_or(ErrorKind::NotFound));
                }
                Step::Reopen => {
                    drop(store);
                    let report = fsck(dir.path(), FsckOptions::default()).unwrap();
                    prop_assert!(report.is_clean(), "{}", report);
                    store = BlockStore::open(config.clone()).unwrap();
                }
            }
            for block in 0..4 {
                let found = store.locks(&name(&block)).unwrap();
                let expected = model.get(&block).map(|locks| {
                    let lock = |(resource, body): (&u8, &u8)| Lock { resource: vec![*resource], body: vec![*body] };
                    locks.iter().map(lock).collect::<Vec<_>>()
                });
                prop_assert_eq!(found, expected);
            }
        }
        let all: usize = model.values().map(BTreeMap::len).sum();
        prop_assert_eq!(store.stats().locks, all as u64);
    }
}
