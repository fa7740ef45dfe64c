//! A directory that remembers every change, and can show what a power cut at any moment would have left.
//!
//! The model is harsher than any one file system: what was synced is there; every other write is kept, lost, or torn at
//! 512-byte sectors, each on its own and in any order; creations, renames, removals and length changes that were not
//! synced happened or did not. A sector is written whole or not at all.

use super::{Directory, File, MemDirectory, OpenMode};
use quintet_core::Result;
use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// What media write whole.
const SECTOR_BYTES: u64 = 512;

type Inode = usize;

#[derive(Clone, Debug)]
enum Change {
    Write { offset: u64, bytes: Arc<[u8]> },
    SetLen { len: u64 },
    Extend { end: u64 },
    Punch { offset: u64, len: u64 },
}

#[derive(Clone, Debug)]
enum Event {
    Create { name: String, inode: Inode },
    Rename { from: String, to: String, inode: Inode },
    Remove { name: String },
    SyncDirectory,
    Change { inode: Inode, change: Change },
    SyncFile { inode: Inode },
    Note { value: u64 },
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
        let mut synced_until: HashMap<Inode, usize> = HashMap::new();
        for (at, event) in events.iter().enumerate() {
            if let Event::SyncFile { inode } = event {
                synced_until.insert(*inode, at);
            }
        }
        let mut files = tape.base.clone();
        files.resize(tape.inodes, Vec::new());
        for (at, event) in events.iter().enumerate() {
            if let Event::Change { inode, change } = event {
                let synced = synced_until.get(inode).is_some_and(|&until| at < until);
                apply(
                    &mut files[*inode],
                    change,
                    if synced { None } else { Some(&mut dice) },
                );
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
    let synced_until = events
        .iter()
        .rposition(|event| matches!(event, Event::SyncDirectory))
        .unwrap_or(0);
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

/// Applies one change whole, or as the dice have it.
fn apply(file: &mut Vec<u8>, change: &Change, dice: Option<&mut Dice>) {
    let mut torn = None;
    if let Some(dice) = dice {
        match dice.outcome() {
            Outcome::Kept => {}
            Outcome::Lost => return,
            Outcome::Torn => torn = Some(dice),
        }
    }
    match (change, torn) {
        (Change::Write { offset, bytes }, None) => put(file, *offset, bytes),
        (Change::Write { offset, bytes }, Some(dice)) => {
            let mut at = 0;
            while at < bytes.len() {
                let position = offset + at as u64;
                let to_boundary = (SECTOR_BYTES - position % SECTOR_BYTES) as usize;
                let end = bytes.len().min(at + to_boundary);
                if dice.flip() {
                    put(file, position, &bytes[at..end]);
                }
                at = end;
            }
        }
        // There is no half of these.
        (_, Some(_)) => {}
        (Change::SetLen { len }, None) => file.resize(*len as usize, 0),
        (Change::Extend { end }, None) => {
            let len = file.len().max(*end as usize);
            file.resize(len, 0);
        }
        (Change::Punch { offset, len }, None) => {
            let from = file.len().min(*offset as usize);
            let to = file.len().min((*offset + *len) as usize);
            file[from..to].fill(0);
        }
    }
}

fn put(file: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let from = offset as usize;
    if file.len() < from + bytes.len() {
        file.resize(from + bytes.len(), 0);
    }
    file[from..from + bytes.len()].copy_from_slice(bytes);
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Kept,
    Lost,
    Torn,
}

/// A small generator (splitmix64): the same seed gives the same image on every machine.
struct Dice {
    seed: u64,
    state: u64,
    /// Of 16: how many changes are kept, and how many are kept or torn.
    kept: u64,
    kept_or_torn: u64,
}

impl Dice {
    fn new(seed: u64) -> Self {
        let mut dice = Self {
            seed,
            state: seed,
            kept: 0,
            kept_or_torn: 0,
        };
        dice.kept = dice.next() % 16;
        dice.kept_or_torn = dice.kept + dice.next() % (17 - dice.kept);
        dice
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn flip(&mut self) -> bool {
        self.next() >> 63 == 1
    }

    fn outcome(&mut self) -> Outcome {
        match self.seed {
            0 => Outcome::Kept,
            1 => Outcome::Lost,
            _ => match self.next() % 16 {
                roll if roll < self.kept => Outcome::Kept,
                roll if roll < self.kept_or_torn => Outcome::Torn,
                _ => Outcome::Lost,
            },
        }
    }
}

impl Directory for CrashDirectory {
    fn open(&self, name: &str, mode: OpenMode) -> Result<Arc<dyn File>> {
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
        Ok(Arc::new(CrashFile { inner, inode, tape }))
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
        self.tape().events.push(Event::SyncDirectory);
        Ok(())
    }
}

struct CrashFile {
    inner: Arc<dyn File>,
    inode: Inode,
    tape: Arc<Mutex<Tape>>,
}

impl CrashFile {
    /// Does and records a change as one step, so that the record has the order of the effects.
    fn change(&self, change: Change, operation: impl FnOnce(&dyn File) -> Result<()>) -> Result<()> {
        let mut tape = self.tape.lock().unwrap_or_else(PoisonError::into_inner);
        operation(&*self.inner)?;
        let inode = self.inode;
        tape.events.push(Event::Change { inode, change });
        Ok(())
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
        let mut tape = self.tape.lock().unwrap_or_else(PoisonError::into_inner);
        let inode = self.inode;
        tape.events.push(Event::SyncFile { inode });
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

    fn name(&self) -> &str {
        self.inner.name()
    }
}
