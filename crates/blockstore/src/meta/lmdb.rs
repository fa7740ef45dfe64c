//! The checkpoint: an LMDB environment with one table of entries and one of marks. All of this crate's `unsafe` is here.
//!
//! LMDB syncs at every commit, so a checkpoint is durable when [`Lmdb::write`] returns. Transactions live within one call
//! and hold `live` for reading; growing the map holds it for writing, so no transaction is live in this process then.
//! Keys are 1 to 511 bytes: LMDB's limit.
#![expect(unsafe_code, reason = "opening and resizing a memory map are unsafe in heed")]

use super::{pages, reader::Visit};
use crate::BlockError;
use heed::types::Bytes;
use heed::{
    CommitOrAbort, CompactionOption, Database, Env, EnvFlags, EnvOpenOptions, MdbError, RoTxn, WithoutTls,
};
use quintet_core::Seq;
use std::{
    fs, io,
    path::{Path, PathBuf},
    sync::{Arc, PoisonError, RwLock},
};

/// The longest key that LMDB takes.
pub(crate) const MAX_KEY_BYTES: usize = 511;

/// LMDB's own name for its file.
const DATA_FILE: &str = "data.mdb";
const ENTRIES: &str = "entries";
const MARKS: &str = "marks";
const WATERMARK: &[u8] = b"watermark";
/// Map sizes are multiples of this: the largest page size in use anywhere.
const MAP_STEP_BYTES: usize = 64 << 10;

type Table = Database<'static, Bytes, Bytes>;

/// A value, shared between the overlay, the memtable and replies.
pub(crate) type Value = Arc<[u8]>;

/// The environment and its two tables.
struct Live {
    env: Env<WithoutTls>,
    entries: Table,
    marks: Table,
}

/// The checkpoint. Every transaction holds `live` for reading as long as it lives.
pub(crate) struct Lmdb {
    dir: PathBuf,
    /// `None` when the environment failed for good and could not be opened again.
    live: RwLock<Option<Live>>,
    map_bytes: usize,
    max_map_bytes: usize,
}

fn lmdb_error(error: &heed::Error) -> BlockError {
    if let heed::Error::Mdb(MdbError::Corrupted | MdbError::Invalid | MdbError::PageNotFound) = error {
        return BlockError::corrupted("the checkpoint store", error.to_string());
    }
    let full = match error {
        heed::Error::Mdb(MdbError::MapFull | MdbError::DbsFull) => true,
        heed::Error::Io(error) => matches!(
            error.kind(),
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
        ),
        _ => false,
    };
    BlockError::Lmdb {
        full,
        fault: error.to_string(),
    }
}

impl From<heed::Error> for BlockError {
    fn from(error: heed::Error) -> Self {
        lmdb_error(&error)
    }
}

/// Makes an empty environment under another name and renames it when it is whole and on the disk. LMDB itself writes its
/// first pages in place and unsynced: a power cut at that moment leaves a file that never opens again.
fn create(dir: &Path) -> io::Result<Result<(), heed::Error>> {
    let path = dir.join("data.mdb.new");
    let remove = |path: &Path| match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    };
    remove(&path)?;
    if let Err(error) = create_file(&path) {
        return Ok(Err(error));
    }
    fs::File::open(&path)?.sync_all()?;
    fs::rename(&path, dir.join(DATA_FILE))?;
    remove(&dir.join("data.mdb.new-lock"))?;
    fs::File::open(dir)?.sync_all()?;
    Ok(Ok(()))
}

fn create_file(path: &Path) -> Result<(), heed::Error> {
    let mut options = EnvOpenOptions::new();
    options.map_size(1 << 20).max_dbs(2);
    // SAFETY: the flag says only that the path names the file, not its directory.
    unsafe { options.flags(EnvFlags::NO_SUB_DIR) };
    // SAFETY: as in `Lmdb::open`; nobody else knows this file.
    let env = unsafe { options.open(path) }?;
    create_tables(&env)?;
    env.prepare_for_closing().wait();
    Ok(())
}

fn create_tables<T>(env: &Env<T>) -> Result<(Table, Table), heed::Error> {
    let txn = env.write_txn()?;
    let tables = env.create_databases_and_commit(txn, |opener, txn| {
        let entries: Database<'_, Bytes, Bytes> = opener.create_database(txn, Some(ENTRIES))?;
        let marks: Database<'_, Bytes, Bytes> = opener.create_database(txn, Some(MARKS))?;
        Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit((entries, marks)))
    })?;
    Ok(tables.unwrap_commit())
}

impl Lmdb {
    /// Whether there is an environment in `dir`.
    pub(crate) fn exists(dir: &Path) -> bool {
        dir.join(DATA_FILE).exists()
    }

    /// Opens or creates the environment in `dir`, which must exist. `map_bytes` of address space are reserved, sparse;
    /// when they are used up the map doubles up to `max_map_bytes`.
    pub(crate) fn open(
        dir: &Path,
        map_bytes: usize,
        max_map_bytes: usize,
        max_readers: u32,
    ) -> Result<Self, BlockError> {
        if !Self::exists(dir) {
            create(dir).map_err(|error| BlockError::io(format!("creating {}", dir.display()), error))??;
        }
        pages::check(&dir.join(DATA_FILE))?;
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options
            .map_size(map_bytes.next_multiple_of(MAP_STEP_BYTES))
            .max_readers(max_readers)
            .max_dbs(2);
        // SAFETY: every page that LMDB will follow is there, as `pages::check` saw; the map's files are modified through LMDB only: the store's directory lock keeps other processes out,
        // and no flag that weakens LMDB's own locking or syncing is set.
        let env = unsafe { options.open(dir) }?;
        env.clear_stale_readers()?;
        let (entries, marks) = create_tables(&env)?;
        Ok(Self {
            dir: dir.to_owned(),
            live: RwLock::new(Some(Live { env, entries, marks })),
            map_bytes,
            max_map_bytes,
        })
    }

    /// Opens the environment in `dir` for reading; nothing is created.
    pub(crate) fn open_read_only(dir: &Path, map_bytes: usize) -> Result<Self, BlockError> {
        Ok(Self {
            dir: dir.to_owned(),
            live: RwLock::new(Some(Live::open_read_only(dir, map_bytes)?)),
            map_bytes,
            max_map_bytes: map_bytes,
        })
    }

    /// Copies the last checkpoint into another directory, without syncing, and answers the copy's bytes. Writes go on.
    pub(crate) fn copy(&self, to: &Path) -> Result<u64, BlockError> {
        // Copying is no read that recovers.
        self.snapshot(|_, _| Ok(()))?;
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        let live = live.as_ref().ok_or(BlockError::Poisoned)?;
        let file = live
            .env
            .copy_to_path(to.join(DATA_FILE), CompactionOption::Disabled)?;
        let copied = file.metadata();
        copied
            .map(|copied| copied.len())
            .map_err(|error| BlockError::io(format!("copying to {}", to.display()), error))
    }

    /// Calls `read` within one snapshot. It must not ask for another.
    fn snapshot<T>(
        &self,
        read: impl FnOnce(&Live, &RoTxn<'_, WithoutTls>) -> Result<T, BlockError>,
    ) -> Result<T, BlockError> {
        let mut recovered = false;
        loop {
            let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
            let environment = live.as_ref().ok_or(BlockError::Poisoned)?;
            match environment.env.read_txn() {
                Ok(txn) => return read(environment, &txn),
                Err(heed::Error::Mdb(MdbError::Panic)) if !recovered => {}
                Err(error) => return Err(error.into()),
            }
            drop(live);
            self.recover_reads();
            recovered = true;
        }
    }

    /// The value of `key` in the last checkpoint.
    pub(crate) fn get(&self, key: &[u8]) -> Result<Option<Value>, BlockError> {
        self.snapshot(|live, txn| Ok(live.entries.get(txn, key)?.map(Value::from)))
    }

    /// Every log record up to this one is in the checkpoint.
    pub(crate) fn watermark(&self) -> Result<Seq, BlockError> {
        self.snapshot(|live, txn| {
            let Some(bytes) = live.marks.get(txn, WATERMARK)? else {
                return Ok(Seq::ZERO);
            };
            let bytes = bytes
                .try_into()
                .map_err(|_| BlockError::corrupted("LMDB", "the watermark is not 8 bytes long"))?;
            Ok(Seq(u64::from_le_bytes(bytes)))
        })
    }

    /// How many entries there are.
    pub(crate) fn entries(&self) -> Result<u64, BlockError> {
        self.snapshot(|live, txn| Ok(live.entries.len(txn)?))
    }

    /// Calls `each` on every entry whose key begins with `prefix`, in key order, in one snapshot, until it fails.
    pub(crate) fn scan(&self, prefix: &[u8], each: Visit<'_>) -> Result<(), BlockError> {
        if prefix.len() > MAX_KEY_BYTES {
            return Ok(());
        }
        self.snapshot(|live, txn| {
            let mut visit = |entry: Result<(&[u8], &[u8]), heed::Error>| {
                let (key, value) = entry?;
                each(key, value)
            };
            // LMDB takes no empty key to begin at.
            if prefix.is_empty() {
                return live.entries.iter(txn)?.try_for_each(&mut visit);
            }
            live.entries.prefix_iter(txn, prefix)?.try_for_each(&mut visit)
        })
    }

    /// Writes entries (`None` deletes) and the watermark in one synced transaction, growing the map as needed. All of it
    /// or nothing, unless the disk fails: then either. Reads go on after any failure.
    pub(crate) fn write(&self, entries: &[(&[u8], Option<&[u8]>)], watermark: Seq) -> Result<(), BlockError> {
        loop {
            let written = {
                let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
                live.as_ref()
                    .ok_or(BlockError::Poisoned)?
                    .write(entries, watermark)
            };
            match written {
                Ok(()) => return Ok(()),
                Err(heed::Error::Mdb(MdbError::MapFull)) => self.grow()?,
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// An environment whose meta page could not be written refuses everything from then on, reads too. What it holds is as
    /// good as before: the first who reads then opens it again, for reading only.
    fn recover_reads(&self) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        if live.as_ref().is_some_and(|live| live.env.read_txn().is_ok()) {
            return;
        }
        if let Some(Live { env, .. }) = live.take() {
            env.prepare_for_closing().wait();
        }
        // If this fails too, reads of what only the checkpoint holds are refused.
        *live = Live::open_read_only(&self.dir, self.map_bytes).ok();
    }

    fn grow(&self) -> Result<(), BlockError> {
        let alone = self.live.write().unwrap_or_else(PoisonError::into_inner);
        let env = &alone.as_ref().ok_or(BlockError::Poisoned)?.env;
        let now = env.info().map_size;
        let next = now.saturating_mul(2).min(self.max_map_bytes) / MAP_STEP_BYTES * MAP_STEP_BYTES;
        if next <= now {
            return Err(lmdb_error(&heed::Error::Mdb(MdbError::MapFull)));
        }
        // SAFETY: every transaction of this environment holds `live` for reading while it lives, and it is held for
        // writing here, so none is active in this process.
        unsafe { env.resize(next) }?;
        Ok(())
    }
}

impl Live {
    fn open_read_only(dir: &Path, map_bytes: usize) -> Result<Self, BlockError> {
        pages::check(&dir.join(DATA_FILE))?;
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options
            .map_size(map_bytes.next_multiple_of(MAP_STEP_BYTES))
            .max_dbs(2);
        // SAFETY: read-only is not one of the flags that weaken LMDB's locking or syncing; otherwise as in `Lmdb::open`.
        let env = unsafe { options.flags(EnvFlags::READ_ONLY).open(dir) }?;
        let txn = env.read_txn()?;
        let tables = env
            .open_databases_and_commit(txn, |opener, txn| {
                let entries: Option<Database<'_, Bytes, Bytes>> = opener.open_database(txn, Some(ENTRIES))?;
                let marks: Option<Database<'_, Bytes, Bytes>> = opener.open_database(txn, Some(MARKS))?;
                Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(entries.zip(marks)))
            })?
            .unwrap_commit();
        let (entries, marks) = tables
            .ok_or_else(|| BlockError::corrupted("the checkpoint store", "its tables are not there"))?;
        Ok(Self { env, entries, marks })
    }

    fn write(&self, entries: &[(&[u8], Option<&[u8]>)], watermark: Seq) -> Result<(), heed::Error> {
        let mut txn = self.env.write_txn()?;
        for (key, value) in entries {
            match value {
                Some(value) => self.entries.put(&mut txn, key, value)?,
                None => {
                    self.entries.delete(&mut txn, key)?;
                }
            }
        }
        self.marks.put(&mut txn, WATERMARK, &watermark.0.to_le_bytes())?;
        txn.commit()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::fd::AsRawFd;

    /// Makes every later write of a meta page of the environment in `dir` fail, as on a broken disk: LMDB writes those through
    /// a descriptor of their own, in whose place comes one that may only read.
    fn break_meta_pages(dir: &Path) {
        let data = fs::File::open(dir.join(DATA_FILE)).unwrap();
        let path = dir.join(DATA_FILE).canonicalize().unwrap();
        let mut broken = 0;
        for entry in fs::read_dir("/proc/self/fd").unwrap() {
            let entry = entry.unwrap();
            let Ok(number) = entry.file_name().to_string_lossy().parse::<i32>() else {
                continue;
            };
            // SAFETY: asks for a descriptor's flags, which changes nothing.
            let flags = unsafe { libc::fcntl(number, libc::F_GETFL) };
            if flags & libc::O_DSYNC != 0 && fs::read_link(entry.path()).is_ok_and(|link| link == path) {
                // SAFETY: the descriptor is LMDB's own, and its writes are what is to fail.
                assert_eq!(unsafe { libc::dup2(data.as_raw_fd(), number) }, number);
                broken += 1;
            }
        }
        assert_eq!(broken, 1);
    }

    #[test]
    fn reads_go_on_after_a_failed_write() {
        let dir = tempfile::tempdir().unwrap();
        let lmdb = Lmdb::open(dir.path(), 1 << 20, 1 << 20, 16).unwrap();
        lmdb.write(&[(b"kept", Some(b"1"))], Seq(1)).unwrap();
        break_meta_pages(dir.path());
        lmdb.write(&[(b"lost", Some(b"2"))], Seq(2)).unwrap_err();
        assert_eq!(lmdb.get(b"kept").unwrap().as_deref(), Some(&b"1"[..]));
        assert_eq!(lmdb.watermark().unwrap(), Seq(1));
        assert_eq!(lmdb.get(b"lost").unwrap(), None);
        lmdb.write(&[(b"more", Some(b"3"))], Seq(3)).unwrap_err();
        assert_eq!(lmdb.entries().unwrap(), 1, "reads go on");
    }

    #[test]
    fn a_full_map_grows_and_the_batch_is_written_whole() {
        let dir = tempfile::tempdir().unwrap();
        let lmdb = Lmdb::open(dir.path(), 256 << 10, 64 << 20, 16).unwrap();
        let keys: Vec<[u8; 8]> = (0_u64..4000).map(u64::to_be_bytes).collect();
        let value = [7_u8; 256];
        let batch: Vec<(&[u8], Option<&[u8]>)> =
            keys.iter().map(|key| (&key[..], Some(&value[..]))).collect();
        lmdb.write(&batch, Seq(9)).unwrap();
        assert_eq!(lmdb.watermark().unwrap(), Seq(9));
        let mut count = 0;
        lmdb.scan(&[], &mut |_, stored| {
            count += 1;
            assert_eq!(stored, value);
            Ok(())
        })
        .unwrap();
        assert_eq!(count, keys.len());
        let limit = Lmdb::open(tempfile::tempdir().unwrap().path(), 256 << 10, 256 << 10, 16).unwrap();
        let refused = limit.write(&batch, Seq(1)).unwrap_err();
        assert_eq!(refused.kind(), quintet_core::ErrorKind::Full);
        assert_eq!(
            limit.watermark().unwrap(),
            Seq::ZERO,
            "nothing of the refused batch is there"
        );
    }
}
