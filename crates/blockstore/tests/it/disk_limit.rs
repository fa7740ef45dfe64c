//! A directory on a disk that is almost full, and how a store behaves there.

use crate::store::{body, config};
use quintet_blockstore::{BlockStore, Config};
use quintet_core::{ErrorKind, Result, SystemClock};
use quintet_log::{Directory, File, MemDirectory, OpenMode};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering},
};

/// Refuses to reserve more for the data file than there is room for.
#[derive(Clone)]
struct Limited {
    files: MemDirectory,
    room_bytes: Arc<AtomicU64>,
}

impl Directory for Limited {
    fn open(&self, name: &str, mode: OpenMode) -> Result<Arc<dyn File>> {
        let file = self.files.open(name, mode)?;
        if name != "blocks.data" {
            return Ok(file);
        }
        let room_bytes = Arc::clone(&self.room_bytes);
        Ok(Arc::new(LimitedFile { file, room_bytes }))
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.files.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.files.rename(from, to)
    }

    fn list(&self) -> Result<Vec<String>> {
        self.files.list()
    }

    fn sync(&self) -> Result<()> {
        self.files.sync()
    }
}

struct LimitedFile {
    file: Arc<dyn File>,
    room_bytes: Arc<AtomicU64>,
}

impl File for LimitedFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> Result<()> {
        self.file.sync_data()
    }

    fn len(&self) -> Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len)
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        if offset + len > self.room_bytes.load(Ordering::Relaxed) {
            return Err(ErrorKind::Full.into());
        }
        self.file.allocate(offset, len)
    }

    fn punch_hole(&self, offset: u64, len: u64) -> Result<()> {
        self.file.punch_hole(offset, len)
    }

    fn name(&self) -> &str {
        self.file.name()
    }
}

#[test]
fn near_a_full_disk_the_file_grows_by_what_is_there() {
    let meta = tempfile::tempdir().unwrap();
    let disk = Limited {
        files: MemDirectory::new(),
        room_bytes: Arc::new(AtomicU64::new(1_400_000)),
    };
    let config = Config {
        capacity_bytes: 64 << 20,
        growth_step_bytes: 32 << 20,
        pool_targets: [0; 8],
        ..config(meta.path())
    };
    let open = || {
        BlockStore::open_in(
            Arc::new(disk.clone()),
            meta.path(),
            config.clone(),
            Arc::new(SystemClock),
        )
        .unwrap()
    };
    let store = open();
    // 1,400,000 bytes are two blocks of 512 KiB, one of 256 KiB, one of 64 KiB, five of 4 KiB.
    for (seed, len, fits) in [
        (1, 524_288, true),
        (2, 524_288, true),
        (3, 524_288, false),
        (4, 262_144, true),
        (5, 262_144, false),
        (6, 65_536, true),
        (7, 65_536, false),
        (8, 4096, true),
        (9, 4096, true),
        (10, 4096, true),
        (11, 4096, true),
        (12, 4096, true),
        (13, 4096, false),
    ] {
        let stored = store.put(&body(seed, len));
        match stored {
            Ok(_) => assert!(fits, "{seed}: {len} bytes"),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::Full, "{error}");
                assert!(!fits, "{seed}: {len} bytes: {error}");
            }
        }
    }
    let before = store.stats();
    assert_eq!(before.blocks, 9);
    store.close().unwrap();
    drop(store);
    // With more room it goes on from the odd length.
    let store = open();
    assert_eq!(store.opened().blocks, 9);
    disk.room_bytes.store(64 << 20, Ordering::Relaxed);
    let name = store.put(&body(3, 524_288)).unwrap();
    assert_eq!(store.get(&name).unwrap(), Some(body(3, 524_288)));
}
