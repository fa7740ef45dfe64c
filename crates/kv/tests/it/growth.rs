//! How long the log grows before a snapshot replaces it: by the size of the data, with a least; nothing is forgotten when
//! the store is opened again.

use crate::conformance::config;
use quintet_core::{Budget, Durability, SystemClock};
use quintet_kv::{Config, Store};
use quintet_log::MemDirectory;
use std::{num::NonZeroUsize, sync::Arc};

const MIB: u64 = 1 << 20;
const VALUE_BYTES: usize = 32 << 10;

struct Rig {
    directory: MemDirectory,
    store: Store,
}

impl Rig {
    fn over(directory: MemDirectory) -> Self {
        let settings = Config {
            snapshot_after_bytes: MIB,
            segment_bytes: MIB,
            ..config(Durability::Interval)
        };
        let store = Store::open(settings, Arc::new(directory.clone()), Arc::new(SystemClock)).unwrap();
        Self { directory, store }
    }

    fn again(self) -> Self {
        drop(self.store);
        Self::over(self.directory)
    }

    /// Writes this much log, over `keys` keys of 32 KiB in turn.
    fn log(&self, bytes: u64, keys: u64) {
        for n in 0..bytes / VALUE_BYTES as u64 {
            self.store
                .set(format!("k{}", n % keys), &vec![n as u8; VALUE_BYTES - 64][..])
                .unwrap();
        }
    }

    fn maintain(&self) {
        let budget = Budget {
            items: NonZeroUsize::MIN,
        };
        self.store.maintain(budget).unwrap();
    }

    fn has_snapshot(&self) -> bool {
        self.maintain();
        self.directory.bytes("kv.snapshot").is_some()
    }

    fn log_files(&self) -> usize {
        let names = quintet_log::Directory::list(&self.directory).unwrap();
        names.iter().filter(|name| name.ends_with(".log")).count()
    }
}

#[test]
fn a_little_data_does_not_carry_a_long_log() {
    assert!(
        Config::default().snapshot_after_bytes <= 16 * MIB,
        "a store of a few keys keeps and reads again that much log"
    );
    let rig = Rig::over(MemDirectory::new());
    rig.log(MIB - 4 * VALUE_BYTES as u64, 1);
    assert!(!rig.has_snapshot(), "the least is not reached");
    rig.log(5 * VALUE_BYTES as u64, 1);
    assert!(rig.has_snapshot(), "32 KiB of data under 1 MiB of log");
    for _ in 0..20 {
        rig.log(MIB, 1);
        rig.maintain();
        assert!(rig.log_files() <= 4, "{} segments of 1 MiB", rig.log_files());
    }
}

#[test]
fn much_data_is_not_written_again_for_a_little_log() {
    let rig = Rig::over(MemDirectory::new());
    let data_bytes = 4 * MIB;
    rig.log(data_bytes, data_bytes / VALUE_BYTES as u64);
    assert!(rig.store.size_bytes() > data_bytes - MIB);
    rig.store.snapshot().unwrap();
    let first = rig.directory.bytes("kv.snapshot");
    rig.log(data_bytes / 2, 8);
    rig.maintain();
    assert!(
        rig.directory.bytes("kv.snapshot") == first,
        "half as much log as data, and all of it was written again"
    );
    rig.log(data_bytes, 8);
    rig.maintain();
    assert!(rig.directory.bytes("kv.snapshot") != first);
}

#[test]
fn what_an_earlier_opening_left_counts() {
    let mut rig = Rig::over(MemDirectory::new());
    for _ in 0..4 {
        assert!(!rig.has_snapshot());
        rig.log(MIB / 4, 1);
        rig = rig.again();
    }
    rig.log(MIB / 4, 1);
    assert!(rig.has_snapshot(), "the log grows with every restart");
}
