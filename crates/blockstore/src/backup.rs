//! A copy of a store that serves, made while it goes on: another store, as small as its blocks allow.
//!
//! Order: a pin, which keeps every block that the copy will name from being written again; checkpoint and log, copied as they
//! are at one moment; then each block that those name, packed into a new file under new records. So the copy is the store
//! at one commit, and everything that was answered before the call is in it. Puts and deletes go on; deleted blocks are
//! reused only when the copy is done.

use crate::{
    BlockError, BlockStore, Digest, Record,
    engine::DATA_FILE,
    home::Home,
    lock,
    meta::{Checkpoint, Examiner, inspect},
    recovery,
    space::Space,
};
use quintet_core::{AlignedBuffer, Result, SizeClass};
use quintet_log::{Directory, File, OpenMode, OsDirectory, copy::EachPiece};
use std::{fs, path::Path, sync::Arc};

/// How many records are sorted by their place in the file before their blocks are copied.
const BATCH: usize = 8192;
/// By how much the copy's file grows.
const STEP_BYTES: u64 = 32 << 20;
/// Where checkpoint and log are copied to for as long as the copying takes.
const STATE: &str = "state";

impl BlockStore {
    /// Copies the store into the directory `to`, which is made if need be and must hold no store; the copy opens like the
    /// original. It has every put and delete that was answered before the call, and none without those before it. `each`
    /// is told the bytes of each piece and may end the copying with an error. Blocks until the copy is on stable storage;
    /// others do not wait for it, but space that is freed meanwhile is reused only afterwards.
    ///
    /// ```
    /// use quintet_blockstore::{BlockStore, Config};
    ///
    /// let (here, there) = (tempfile::tempdir()?, tempfile::tempdir()?);
    /// let store = BlockStore::open(Config::new(here.path()))?;
    /// let digest = store.put(b"hello")?;
    /// store.backup(there.path(), &mut |_bytes| Ok(()))?;
    /// store.delete(&digest)?;
    /// let copy = BlockStore::open(Config::new(there.path()))?;
    /// assert_eq!(copy.get(&digest)?.as_deref(), Some(&b"hello"[..]));
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// `AlreadyExists` when `to` holds a store; damage; what the system or `each` answers: the copy is of no use then.
    pub fn backup(&self, to: &Path, each: EachPiece<'_>) -> Result<()> {
        let home = Home::take(to)?;
        let directory = OsDirectory::open(to)?;
        let file = directory.open(DATA_FILE, OpenMode::CreateNew)?;
        let state = to.join(STATE);
        let failed = |what: &str, error| BlockError::io(format!("{what} {}", state.display()), error);
        fs::create_dir(&state).map_err(|error| failed("creating", error))?;
        let state_directory = OsDirectory::open(&state)?;

        let pin = self.workers.pin();
        self.workers.records().copy(&state, &state_directory, each)?;
        let limits = self.config().table(Vec::new());
        let mut copier = Copier {
            from: self.workers.file(),
            space: Space::new(Arc::clone(&file), u64::MAX, STEP_BYTES)?,
            to: Arc::clone(&file),
            records: Checkpoint::create(&home.meta_dir(), &limits)?,
            batch: Vec::new(),
            buffer: AlignedBuffer::zeroed(SizeClass::LARGEST.size_bytes() as usize),
            each,
            outcome: Ok(()),
        };
        inspect(&state, &state_directory, limits.max_map_bytes, &mut copier)?;
        copier.finish()?;
        drop(pin);

        fs::remove_dir_all(&state).map_err(|error| failed("removing", error))?;
        file.sync_data()?;
        directory.sync()
    }
}

/// An entry of the record table on its way into the copy.
struct Entry {
    key: Vec<u8>,
    value: Vec<u8>,
    /// What it names, unless it is a lock.
    block: Option<(Digest, Record)>,
}

struct Copier<'a, 'b> {
    from: &'a dyn File,
    to: Arc<dyn File>,
    space: Space,
    records: Checkpoint,
    batch: Vec<Entry>,
    buffer: AlignedBuffer,
    each: EachPiece<'b>,
    /// The first thing that went wrong; nothing is done after it.
    outcome: Result<()>,
}

impl Copier<'_, '_> {
    fn finish(mut self) -> Result<()> {
        self.outcome.clone()?;
        self.write_batch()?;
        self.space.trim()?;
        Ok(())
    }

    fn take(&mut self, key: &[u8], value: &[u8]) -> Result<()> {
        let block = if lock::is_lock(key) {
            None
        } else {
            Some(recovery::read(key, value)?)
        };
        self.batch.push(Entry {
            key: key.to_vec(),
            value: value.to_vec(),
            block,
        });
        if self.batch.len() < BATCH {
            return Ok(());
        }
        self.write_batch()
    }

    /// Copies the blocks of the batch in the order in which they lie, and then writes its records.
    fn write_batch(&mut self) -> Result<()> {
        let mut batch = std::mem::take(&mut self.batch);
        batch.sort_unstable_by_key(|entry| entry.block.map(|(_, record)| record.address.offset_bytes()));
        for entry in &mut batch {
            if let Some((digest, record)) = entry.block {
                entry.value = self.copy_block(&digest, record)?.encode(&digest).to_vec();
            }
        }
        batch.sort_unstable_by(|a, b| a.key.cmp(&b.key));
        let entries: Vec<(&[u8], Option<&[u8]>)> = batch
            .iter()
            .map(|entry| (&*entry.key, Some(&*entry.value)))
            .collect();
        self.records.write(&entries)?;
        Ok(())
    }

    fn copy_block(&mut self, digest: &Digest, record: Record) -> Result<Record> {
        let content = &mut self.buffer[..record.len_bytes as usize];
        let read = self.from.read_exact_at(content, record.address.offset_bytes());
        read.map_err(|error| {
            BlockError::corrupted(format!("the content of {digest}"), error.context().to_owned())
        })?;
        let room = self.space.allocate(record.address.class)?;
        let address = room.ok_or(BlockError::NoSpace {
            requested_bytes: record.address.class.size_bytes(),
            free_bytes: 0,
        })?;
        // Taken for good: nobody holds it but its record.
        self.space.name(address)?;
        self.to.write_at(content, address.offset_bytes())?;
        (self.each)(u64::from(record.len_bytes))?;
        Ok(Record { address, ..record })
    }
}

impl Examiner for Copier<'_, '_> {
    fn expect(&mut self, _entries: u64) {}

    fn entry(&mut self, key: &[u8], value: &[u8], _proven: bool) {
        if self.outcome.is_ok() {
            self.outcome = self.take(key, value);
        }
    }
}
