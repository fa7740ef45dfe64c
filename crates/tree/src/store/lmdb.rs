//! The disk: an LMDB environment with one table. All of this crate's `unsafe` is here.
//!
//! LMDB syncs at every commit, so a batch is durable when [`Lmdb::write`] returns. A [`Snapshot`] sees the state of one
//! commit; whoever holds one keeps its pages from being used again, so none outlives a call. The map is reserved whole at
//! open, sparse, and never grows.
#![expect(unsafe_code, reason = "opening a memory map is unsafe in heed")]

use super::{Rows, Visit, overlay::Overlay};
use crate::TreeError;
use heed::types::Bytes;
use heed::{CommitOrAbort, CompactionOption, Database, Env, EnvFlags, EnvOpenOptions, RoTxn, WithoutTls};
use quintet_core::ErrorKind;
use std::{
    borrow::Cow,
    fs, io,
    ops::{Bound, ControlFlow},
    os::unix::fs::FileExt as _,
    path::{Path, PathBuf},
    sync::{PoisonError, RwLock},
};

const DATA_FILE: &str = "data.mdb";
const TABLE: &str = "tree";
/// The system's number for an error of the device.
const EIO: i32 = 5;
/// Map sizes are multiples of this: the largest page size in use anywhere.
const MAP_STEP_BYTES: usize = 64 << 10;

type Table = Database<'static, Bytes, Bytes>;

#[derive(Clone)]
struct Live {
    env: Env<WithoutTls>,
    table: Table,
}

/// The environment. Only the writer calls [`write`](Self::write).
pub(crate) struct Lmdb {
    dir: PathBuf,
    /// `None` when the environment failed for good and could not be opened again.
    live: RwLock<Option<Live>>,
    map_bytes: usize,
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
    options.map_size(1 << 20).max_dbs(1);
    // SAFETY: the flag says only that the path names the file, not its directory.
    unsafe { options.flags(EnvFlags::NO_SUB_DIR) };
    // SAFETY: as in `Lmdb::open`; nobody else knows this file.
    let env = unsafe { options.open(path) }?;
    create_table(&env)?;
    env.prepare_for_closing().wait();
    Ok(())
}

fn create_table<T>(env: &Env<T>) -> Result<Table, heed::Error> {
    let txn = env.write_txn()?;
    let table = env.create_databases_and_commit(txn, |opener, txn| {
        let table: Database<'_, Bytes, Bytes> = opener.create_database(txn, Some(TABLE))?;
        Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(table))
    })?;
    Ok(table.unwrap_commit())
}

impl Live {
    fn open(dir: &Path, map_bytes: usize, max_readers: u32, read_only: bool) -> Result<Self, TreeError> {
        let mut options = EnvOpenOptions::new().read_txn_without_tls();
        options
            .map_size(map_bytes.next_multiple_of(MAP_STEP_BYTES))
            .max_readers(max_readers)
            .max_dbs(1);
        if read_only {
            // SAFETY: read-only is not one of the flags that weaken LMDB's locking or syncing.
            unsafe { options.flags(EnvFlags::READ_ONLY) };
        }
        // SAFETY: the map's files are modified through LMDB only: the directory's lock keeps other processes out, and no
        // flag that weakens LMDB's own locking or syncing is set.
        let env = unsafe { options.open(dir) }?;
        if read_only {
            let txn = env.read_txn()?;
            let table = env
                .open_databases_and_commit(txn, |opener, txn| {
                    let table: Option<Database<'_, Bytes, Bytes>> = opener.open_database(txn, Some(TABLE))?;
                    Ok::<_, heed::Error>(CommitOrAbort::<_, ()>::Commit(table))
                })?
                .unwrap_commit()
                .ok_or_else(|| TreeError::corrupted("LMDB", "its table is not there"))?;
            return Ok(Self { env, table });
        }
        env.clear_stale_readers()?;
        let table = create_table(&env)?;
        Ok(Self { env, table })
    }

    fn write(&self, changes: &Overlay) -> Result<(), heed::Error> {
        let mut txn = self.env.write_txn()?;
        for (low, high) in changes.removed() {
            let range = (Bound::Included(low), Bound::Excluded(high));
            self.table.delete_range(&mut txn, &range)?;
        }
        for (key, value) in changes.rows() {
            match value {
                Some(value) => self.table.put(&mut txn, key, value)?,
                None => {
                    self.table.delete(&mut txn, key)?;
                }
            }
        }
        txn.commit()
    }
}

impl Lmdb {
    /// Opens the environment in `dir`, which must exist, and creates it if need be.
    pub(crate) fn open(dir: &Path, map_bytes: usize, max_readers: u32) -> Result<Self, TreeError> {
        if !dir.join(DATA_FILE).exists() {
            create(dir).map_err(|error| TreeError::io(format!("creating {}", dir.display()), error))??;
        }
        Ok(Self {
            dir: dir.to_owned(),
            live: RwLock::new(Some(Live::open(dir, map_bytes, max_readers, false)?)),
            map_bytes,
        })
    }

    /// Opens the environment in `dir` for reading; nothing is created.
    pub(crate) fn open_read_only(dir: &Path, map_bytes: usize) -> Result<Self, TreeError> {
        Ok(Self {
            dir: dir.to_owned(),
            live: RwLock::new(Some(Live::open(dir, map_bytes, 126, true)?)),
            map_bytes,
        })
    }

    /// Copies the state of the last commit into another directory, without its free pages; answers the bytes. Writes go
    /// on, but the pages of that state are not used again before the end. The copy is on stable storage then.
    pub(crate) fn copy(&self, to: &Path) -> Result<u64, TreeError> {
        // Copying is no read that recovers.
        drop(self.snapshot()?);
        let live = self.live()?;
        let path = to.join(DATA_FILE);
        let file = live.env.copy_to_path(&path, CompactionOption::Enabled)?;
        let synced = file.sync_all().and_then(|()| fs::File::open(to)?.sync_all());
        let copied = synced.and_then(|()| Ok(file.metadata()?.len()));
        copied.map_err(|error| TreeError::io(format!("writing {}", path.display()), error))
    }

    /// The state of the last commit. Takes a reader's slot for as long as it lives. After a commit that failed for good this
    /// waits until every older one is gone, so a thread that holds one asks for another only while it is the writer, and not
    /// after its own failure.
    pub(crate) fn snapshot(&self) -> Result<Snapshot, TreeError> {
        let Live { env, table } = self.live()?;
        match env.static_read_txn() {
            Ok(txn) => Ok(Snapshot { txn, table }),
            Err(heed::Error::Mdb(heed::MdbError::Panic)) => {
                self.recover_reads();
                let Live { env, table } = self.live()?;
                let txn = env.static_read_txn()?;
                Ok(Snapshot { txn, table })
            }
            Err(error) => Err(error.into()),
        }
    }

    fn live(&self) -> Result<Live, TreeError> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        live.clone().ok_or(TreeError::Poisoned)
    }

    /// How many bytes rows may take. The rest is kept free, so that what is there can be removed when the map is full.
    pub(crate) fn limit_bytes(&self) -> u64 {
        let map = self.map_bytes as u64;
        map.saturating_sub((map / 16).clamp(256 << 10, 64 << 20))
    }

    /// Writes `changes` in one synced transaction: all or nothing, unless the disk fails, then either. Reads go on after
    /// any failure.
    pub(crate) fn write(&self, changes: &Overlay) -> Result<(), TreeError> {
        let live = self.live()?;
        let written = live.write(changes);
        drop(live);
        written.map_err(|error| {
            let is_short = matches!(&error, heed::Error::Io(error) if error.raw_os_error() == Some(EIO));
            let error = TreeError::from(error);
            if is_short && self.has_no_room_for(changes) {
                let fault = "the disk took only a part of a transaction: it is full".to_owned();
                return TreeError::Lmdb { full: true, fault };
            }
            error
        })
    }

    /// Whether the data file could not take these changes at its end. LMDB calls a write that the disk took only in part
    /// EIO, which is what a broken disk says too; whoever calls it so goes on after a full one and not after a broken one.
    /// Called by the writer after such a failure, when nobody else changes the file: what is written here is cut off again.
    fn has_no_room_for(&self, changes: &Overlay) -> bool {
        let bytes = |(key, value): (&[u8], Option<&[u8]>)| (key.len() + value.map_or(0, <[u8]>::len)) as u64;
        let needed = changes.rows().map(bytes).sum::<u64>().clamp(1 << 20, 64 << 20);
        let probe = || -> io::Result<()> {
            let file = fs::OpenOptions::new()
                .write(true)
                .open(self.dir.join(DATA_FILE))?;
            let end = file.metadata()?.len();
            let zeros = [0; 64 << 10];
            let mut written = Ok(());
            let mut at = end;
            while written.is_ok() && at < end + needed {
                written = file.write_all_at(&zeros, at);
                at += zeros.len() as u64;
            }
            file.set_len(end)?;
            written
        };
        probe().is_err_and(|error| crate::error::io_kind(&error) == ErrorKind::Full)
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
        // If this fails too, reads are refused.
        *live = Live::open(&self.dir, self.map_bytes, 126, true).ok();
    }

    /// Whether writes are still possible after a failed one.
    pub(crate) fn can_write(&self) -> bool {
        self.live().is_ok_and(|live| live.env.write_txn().is_ok())
    }

    /// How many bytes of the map were ever used, and how many there are.
    pub(crate) fn used_bytes(&self) -> Result<(u64, u64), TreeError> {
        let live = self.live()?;
        let info = live.env.info();
        let page_bytes = u64::from(live.env.unnamed_database_stat().page_size);
        Ok((
            (info.last_page_number as u64 + 1) * page_bytes,
            info.map_size as u64,
        ))
    }
}

/// The state of one commit.
pub(crate) struct Snapshot {
    txn: RoTxn<'static, WithoutTls>,
    table: Table,
}

impl Snapshot {
    /// The value of `key`, without copying.
    pub(crate) fn find(&self, key: &[u8]) -> Result<Option<&[u8]>, TreeError> {
        Ok(self.table.get(&self.txn, key)?)
    }

    /// How many bytes the rows take, in whole pages.
    pub(crate) fn live_bytes(&self) -> Result<u64, TreeError> {
        let stat = self.table.stat(&self.txn)?;
        let pages = stat.branch_pages + stat.leaf_pages + stat.overflow_pages;
        Ok(pages as u64 * u64::from(stat.page_size))
    }
}

impl Rows for Snapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Cow<'_, [u8]>>, TreeError> {
        Ok(self.find(key)?.map(Cow::Borrowed))
    }

    fn scan(&self, low: &[u8], high: &[u8], visit: &mut Visit<'_>) -> Result<ControlFlow<()>, TreeError> {
        let range = (Bound::Included(low), Bound::Excluded(high));
        for row in self.table.range(&self.txn, &range)? {
            let (key, value) = row?;
            if visit(key, value)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
    }

    fn scan_back(
        &self,
        low: &[u8],
        high: &[u8],
        visit: &mut Visit<'_>,
    ) -> Result<ControlFlow<()>, TreeError> {
        let range = (Bound::Included(low), Bound::Excluded(high));
        for row in self.table.rev_range(&self.txn, &range)? {
            let (key, value) = row?;
            if visit(key, value)?.is_break() {
                return Ok(ControlFlow::Break(()));
            }
        }
        Ok(ControlFlow::Continue(()))
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

    fn set(key: &[u8], value: &[u8]) -> Overlay {
        let mut changes = Overlay::default();
        changes.set(key.to_vec(), Some(value.to_vec()));
        changes
    }

    #[test]
    fn reads_go_on_after_a_failed_write_also_where_the_writer_holds_a_snapshot() {
        let dir = tempfile::tempdir().unwrap();
        let lmdb = Lmdb::open(dir.path(), 1 << 20, 16).unwrap();
        lmdb.write(&set(b"kept", b"1")).unwrap();
        let before = lmdb.snapshot().unwrap();
        break_meta_pages(dir.path());
        lmdb.write(&set(b"lost", b"2")).unwrap_err();
        assert!(!lmdb.can_write());
        assert_eq!(before.find(b"kept").unwrap(), Some(&b"1"[..]));
        drop(before);
        let after = lmdb.snapshot().unwrap();
        assert_eq!(after.find(b"kept").unwrap(), Some(&b"1"[..]));
        assert_eq!(after.find(b"lost").unwrap(), None);
        lmdb.write(&set(b"more", b"3")).unwrap_err();
        assert_eq!(
            after.find(b"kept").unwrap(),
            Some(&b"1"[..]),
            "the environment is still this one"
        );
    }
}
