//! A directory that remembers every change, and can show what a power cut at any moment would have left.
//!
//! The model is harsher than any one file system: what was synced is there; every other write is kept, lost, or torn at
//! 512-byte sectors, each on its own and in any order; creations, renames, removals and length changes that were not
//! synced happened or did not. A sector is written whole or not at all. A sync covers what came before it was called, and
//! a change that was written through covers itself alone.

mod change;
mod dice;

use self::{
    change::Change,
    dice::{Dice, Outcome},
};
use super::{Directory, File, MemDirectory, OpenMode};
use quintet_core::Result;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

type Inode = usize;

#[derive(Clone, Debug)]
enum Event {
    Create {
        name: String,
        inode: Inode,
    },
    Rename {
        from: String,
        to: String,
        inode: Inode,
    },
    Remove {
        name: String,
    },
    /// The entries among the first `covers` events are durable.
    SyncDirectory {
        covers: usize,
    },
    /// `through`: durable by itself, and nothing else with it.
    Change {
        inode: Inode,
        change: Change,
        through: bool,
    },
    /// The file's changes among the first `covers` events are durable.
    SyncFile {
        inode: Inode,
        covers: usize,
    },
    Note {
        value: u64,
    },
}

#[derive(Debug, Default)]
struct Tape {
    /// The files before the first event: durable.
    base: Vec<Vec<u8>>,
    /// Their names.
    base_names: BTreeMap<String, Inode>,
    names: BTreeMap<String, Inode>,
    inodes: usize,
    events: Vec<Event>,
}

/// Records all changes on their way into a [`MemDirectory`]. Clones share the record.
#[derive(Clone, Debug)]
pub struct CrashDirectory {
    live: MemDirectory,
    tape: Arc<Mutex<Tape>>,
}

impl Default for CrashDirectory {
    fn default() -> Self {
        Self::over(MemDirectory::new())
    }
}

impl CrashDirectory {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Goes on from files that are on stable storage already, such as an earlier image.
    #[must_use]
    pub fn over(live: MemDirectory) -> Self {
        let mut tape = Tape::default();
        for name in live.list().unwrap_or_default() {
            tape.base.push(live.bytes(&name).unwrap_or_default());
            tape.base_names.insert(name, tape.base.len() - 1);
        }
        tape.names = tape.base_names.clone();
        tape.inodes = tape.base.len();
        let tape = Arc::new(Mutex::new(tape));
        Self { live, tape }
    }

    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// [`Directory::open`], for who records more than its trait can say.
    pub(super) fn open_file(&self, name: &str, mode: OpenMode) -> Result<CrashFile> {
        let mut tape = self.tape();
        let inner = self.live.open(name, mode)?;
        let inode = match tape.names.get(name) {
            Some(&inode) => inode,
            None => {
                let inode = tape.inodes;
                tape.inodes += 1;
                tape.names.insert(name.to_owned(), inode);
                let name = name.to_owned();
                tape.events.push(Event::Create { name, inode });
                inode
            }
        };
        let tape = self.tape.clone();
        Ok(CrashFile { inner, inode, tape })
    }

    /// The end of a sync that began at a [moment](Self::moments).
    pub(super) fn sync_returned(&self, covers: usize) {
        self.tape().events.push(Event::SyncDirectory { covers });
    }

    /// Writes a remark into the record: for example, how much has been acknowledged by now.
    pub fn note(&self, value: u64) {
        self.tape().events.push(Event::Note { value });
    }

    /// The last remark before a moment.
    #[must_use]
    pub fn noted(&self, moment: usize) -> Option<u64> {
        let tape = self.tape();
        let before = &tape.events[..moment.min(tape.events.len())];
        before.iter().rev().find_map(|event| match event {
            Event::Note { value } => Some(*value),
            _ => None,
        })
    }

    /// How many events were recorded. Every number from 0 to this one is a moment at which the power can fail.
    #[must_use]
    pub fn moments(&self) -> usize {
        self.tape().events.len()
    }

    /// The files as they are now, seen by a process that was killed: nothing is lost.
    #[must_use]
    pub fn now(&self) -> MemDirectory {
        self.live.fork()
    }

    /// What a power cut after the first `moment` events left. `seed` chooses among the possible outcomes; 0 keeps every
    /// unsynced change, 1 loses all of them, others mix.
    #[must_use]
    pub fn image(&self, moment: usize, seed: u64) -> MemDirectory {
        let tape = self.tape();
        let events = &tape.events[..moment.min(tape.events.len())];
        let mut dice = Dice::new(seed);
        let names = surviving_names(&tape, events, &mut dice);
        let mut covered: HashMap<Inode, usize> = HashMap::new();
        for event in events {
            if let Event::SyncFile { inode, covers } = event {
                let until = covered.entry(*inode).or_default();
                *until = (*until).max(*covers);
            }
        }
        let mut files = tape.base.clone();
        files.resize(tape.inodes, Vec::new());
        for (at, event) in events.iter().enumerate() {
            if let Event::Change {
                inode,
                change,
                through,
            } = event
            {
                let synced = *through || covered.get(inode).is_some_and(|&until| at < until);
                let dice = if synced { None } else { Some(&mut dice) };
                change.apply(&mut files[*inode], dice);
            }
        }
        let image = MemDirectory::new();
        for (name, inode) in names {
            image.insert(&name, files[inode].clone());
        }
        image
    }
}

/// Which names lead to which files after the cut.
fn surviving_names(tape: &Tape, events: &[Event], dice: &mut Dice) -> BTreeMap<String, Inode> {
    let covers = |event: &Event| match event {
        Event::SyncDirectory { covers } => Some(*covers),
        _ => None,
    };
    let synced_until = events.iter().filter_map(covers).max().unwrap_or(0);
    let mut names = tape.base_names.clone();
    for (at, event) in events.iter().enumerate() {
        let is_entry = matches!(
            event,
            Event::Create { .. } | Event::Rename { .. } | Event::Remove { .. }
        );
        if !is_entry || at >= synced_until && dice.outcome() != Outcome::Kept {
            continue;
        }
        match event {
            Event::Create { name, inode } => {
                names.insert(name.clone(), *inode);
            }
            Event::Rename { from, to, inode } => {
                // By file, not by name: the rename may have reached the disk where the creation did not.
                if names.get(from) == Some(inode) {
                    names.remove(from);
                }
                names.insert(to.clone(), *inode);
            }
            Event::Remove { name } => {
                names.remove(name);
            }
            _ => {}
        }
    }
    names
}

impl Directory for CrashDirectory {
    fn open(&self, name: &str, mode: OpenMode) -> Result<Arc<dyn File>> {
        Ok(Arc::new(self.open_file(name, mode)?))
    }

    fn remove(&self, name: &str) -> Result<()> {
        let mut tape = self.tape();
        self.live.remove(name)?;
        tape.names.remove(name);
        let name = name.to_owned();
        tape.events.push(Event::Remove { name });
        Ok(())
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        let mut tape = self.tape();
        self.live.rename(from, to)?;
        if let Some(inode) = tape.names.remove(from) {
            tape.names.insert(to.to_owned(), inode);
            let (from, to) = (from.to_owned(), to.to_owned());
            tape.events.push(Event::Rename { from, to, inode });
        }
        Ok(())
    }

    fn list(&self) -> Result<Vec<String>> {
        self.live.list()
    }

    fn sync(&self) -> Result<()> {
        self.sync_returned(self.moments());
        Ok(())
    }
}

/// A file whose changes are recorded.
pub(super) struct CrashFile {
    inner: Arc<dyn File>,
    inode: Inode,
    tape: Arc<Mutex<Tape>>,
}

impl CrashFile {
    /// Does and records a change as one step, so that the record has the order of the effects.
    fn change(&self, change: Change, operation: impl FnOnce(&dyn File) -> Result<()>) -> Result<()> {
        self.record(change, false, operation)
    }

    fn record(
        &self,
        change: Change,
        through: bool,
        operation: impl FnOnce(&dyn File) -> Result<()>,
    ) -> Result<()> {
        let mut tape = self.tape.lock().unwrap_or_else(PoisonError::into_inner);
        operation(&*self.inner)?;
        let inode = self.inode;
        tape.events.push(Event::Change {
            inode,
            change,
            through,
        });
        Ok(())
    }

    /// Writes as through `O_DSYNC`: these bytes are durable, and what was written before them is not for that.
    pub(super) fn write_through(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let copy = bytes.into();
        self.record(Change::Write { offset, bytes: copy }, true, |file| {
            file.write_at(bytes, offset)
        })
    }

    /// The end of a sync that began at a [moment](CrashDirectory::moments).
    pub(super) fn sync_returned(&self, covers: usize) {
        let mut tape = self.tape.lock().unwrap_or_else(PoisonError::into_inner);
        let inode = self.inode;
        tape.events.push(Event::SyncFile { inode, covers });
    }

    /// How many events of its directory were recorded.
    pub(super) fn moments(&self) -> usize {
        let tape = self.tape.lock().unwrap_or_else(PoisonError::into_inner);
        tape.events.len()
    }
}

impl File for CrashFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        self.inner.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        let copy = bytes.into();
        self.change(Change::Write { offset, bytes: copy }, |file| {
            file.write_at(bytes, offset)
        })
    }

    fn sync_data(&self) -> Result<()> {
        self.sync_returned(self.moments());
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        self.inner.len()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.change(Change::SetLen { len }, |file| file.set_len(len))
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        let end = offset + len;
        self.change(Change::Extend { end }, |file| file.allocate(offset, len))
    }

    fn punch_hole(&self, offset: u64, len: u64) -> Result<()> {
        self.change(Change::Punch { offset, len }, |file| file.punch_hole(offset, len))
    }

    fn next_data(&self, offset: u64) -> Result<Option<u64>> {
        self.inner.next_data(offset)
    }

    fn name(&self) -> &str {
        self.inner.name()
    }
}
