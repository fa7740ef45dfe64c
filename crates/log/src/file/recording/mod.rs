//! Recordings of a real process's file operations, replayed into [`CrashDirectory`]s: power cuts for code that no seam
//! reaches, such as the C inside LMDB.
//!
//! A recording is made by the preloaded library in `shim/record.c`. Each of its events is a header of 40 bytes, all numbers
//! little-endian – magic `Qrec` (4), kind (4), inode (8), offset (8), length (8), path bytes (4), payload bytes (4) – then
//! the path and the payload. A process may append notes of its own with [`note`].
//!
//! What the replay assumes: a sync covers the changes of its file that had returned when it started, whatever descriptor
//! they were made through; a write through `O_DSYNC` makes its own bytes durable and nothing that was written before;
//! directories themselves are durable when they are made.

mod event;

pub use event::note;

use super::{CrashDirectory, Directory, File, OpenMode, OsDirectory, crash::CrashFile};
use event::{Event, NOTE, decode};
use quintet_core::{Error, ErrorKind, Result};
use std::{
    collections::HashMap,
    fs,
    path::{Path, PathBuf},
};

/// A replayed recording: at any moment of it, the power can be cut.
pub struct Replay {
    /// In the order in which they were first used.
    directories: Vec<(PathBuf, CrashDirectory)>,
    /// After each event: how many moments each directory that was in use by then had seen.
    moments: Vec<Vec<usize>>,
    notes: Vec<(usize, Vec<u8>)>,
}

impl Replay {
    /// Replays `recording` of the files below `root`, which was empty when the recording began.
    ///
    /// # Errors
    /// [`ErrorKind::Corrupted`] when the recording is not one, with the offset.
    pub fn of(recording: &[u8], root: &Path) -> Result<Self> {
        Self::without_syncs_of(recording, root, None)
    }

    /// The same on a disk that ignores every sync of the file called `liar`: a check that still finds nothing wrong
    /// checks nothing.
    ///
    /// # Errors
    /// As [`of`](Self::of).
    pub fn without_syncs_of(recording: &[u8], root: &Path, liar: Option<&str>) -> Result<Self> {
        let mut state = State {
            root: root.to_owned(),
            liar: liar.map(str::to_owned),
            directories: Vec::new(),
            handles: HashMap::new(),
        };
        let (mut moments, mut notes) = (Vec::new(), Vec::new());
        let mut at = 0;
        while at < recording.len() {
            let (event, next) = decode(recording, at)?;
            at = next;
            if event.kind == NOTE {
                notes.push((moments.len(), event.payload.to_vec()));
            } else {
                state.apply(&event)?;
            }
            moments.push(
                state
                    .directories
                    .iter()
                    .map(|(_, directory)| directory.moments())
                    .collect(),
            );
        }
        Ok(Self {
            directories: state.directories,
            moments,
            notes,
        })
    }

    /// How many events there are: every number from 0 to this one is a moment at which the power can fail.
    #[must_use]
    pub fn moments(&self) -> usize {
        self.moments.len()
    }

    /// The notes that were appended before a moment, oldest first.
    pub fn notes_before(&self, moment: usize) -> impl Iterator<Item = &[u8]> {
        self.notes
            .iter()
            .take_while(move |(at, _)| *at < moment)
            .map(|(_, payload)| payload.as_slice())
    }

    /// Writes into the empty directory `target` what a power cut after the first `moment` events left. `seed` chooses
    /// among the possible outcomes, as in [`CrashDirectory::image`].
    ///
    /// # Errors
    /// What the system answers.
    pub fn image(&self, moment: usize, seed: u64, target: &Path) -> Result<()> {
        let Some(seen) = moment.checked_sub(1).and_then(|last| self.moments.get(last)) else {
            return Ok(());
        };
        for ((path, directory), moments) in self.directories.iter().zip(seen) {
            let image = directory.image(*moments, seed);
            let real = OsDirectory::open(target.join(path))?;
            for name in image.list()? {
                let bytes = image.bytes(&name).unwrap_or_default();
                fs::write(real.path().join(name), bytes)?;
            }
        }
        Ok(())
    }
}

/// What an inode number stands for at this point of the recording.
struct Handle {
    what: What,
    /// Syncs in flight: who called, and the moment at which it did.
    syncs: Vec<(u64, usize)>,
}

enum What {
    Directory(CrashDirectory),
    File(CrashFile),
}

impl Handle {
    fn of(what: What) -> Self {
        let syncs = Vec::new();
        Self { what, syncs }
    }
}

struct State {
    root: PathBuf,
    /// The name of a file whose syncs do nothing.
    liar: Option<String>,
    directories: Vec<(PathBuf, CrashDirectory)>,
    handles: HashMap<u64, Handle>,
}

impl State {
    fn apply(&mut self, event: &Event<'_>) -> Result<()> {
        let (offset, length) = (event.offset, event.length);
        match event.kind {
            1 => self.open(event)?,
            2 => self.change(event.inode, |file| file.write_at(event.payload, offset))?,
            3 => self.sync_started(event.inode, offset),
            4 => self.sync_returned(event.inode, offset),
            5 => self.change(event.inode, |file| file.set_len(length))?,
            6 => self.change(event.inode, |file| file.allocate(offset, length))?,
            7 => self.change(event.inode, |file| file.punch_hole(offset, length))?,
            8 => {
                let (directory, from) = self.place(event.path)?;
                let (_, to) = self.place(event.payload)?;
                directory.rename(&from, &to)?;
            }
            9 => {
                let (directory, name) = self.place(event.path)?;
                directory.remove(&name)?;
            }
            10 => {
                let liar = self.liar.clone();
                self.change(event.inode, |file| match liar {
                    Some(liar) if liar == file.name() => file.write_at(event.payload, offset),
                    _ => file.write_through(event.payload, offset),
                })?;
            }
            kind => {
                return Err(Error::new(
                    ErrorKind::Corrupted,
                    format!("an event of the unknown kind {kind}"),
                ));
            }
        }
        Ok(())
    }

    fn open(&mut self, event: &Event<'_>) -> Result<()> {
        if event.offset == 1 {
            let path = self.relative(event.path)?;
            let directory = self.directory(path);
            let handle = Handle::of(What::Directory(directory));
            self.handles.insert(event.inode, handle);
        } else if event.length == 1 || !self.handles.contains_key(&event.inode) {
            let (directory, name) = self.place(event.path)?;
            let file = directory.open_file(&name, OpenMode::Create)?;
            self.handles.insert(event.inode, Handle::of(What::File(file)));
        }
        Ok(())
    }

    fn change(&mut self, inode: u64, change: impl FnOnce(&CrashFile) -> Result<()>) -> Result<()> {
        match self.handles.get(&inode).map(|handle| &handle.what) {
            Some(What::File(file)) => change(file),
            _ => Ok(()),
        }
    }

    /// What was recorded by now is what the sync will cover.
    fn sync_started(&mut self, inode: u64, caller: u64) {
        if let Some(handle) = self.handles.get_mut(&inode) {
            let now = match &handle.what {
                What::Directory(directory) => directory.moments(),
                What::File(file) => file.moments(),
            };
            handle.syncs.push((caller, now));
        }
    }

    fn sync_returned(&mut self, inode: u64, caller: u64) {
        let Some(handle) = self.handles.get_mut(&inode) else {
            return;
        };
        let Some(at) = handle.syncs.iter().position(|(other, _)| *other == caller) else {
            return;
        };
        let (_, covers) = handle.syncs.remove(at);
        match &handle.what {
            What::Directory(directory) => directory.sync_returned(covers),
            What::File(file) if self.liar.as_deref() == Some(file.name()) => {}
            What::File(file) => file.sync_returned(covers),
        }
    }

    fn directory(&mut self, path: PathBuf) -> CrashDirectory {
        if let Some((_, known)) = self.directories.iter().find(|(known, _)| *known == path) {
            return known.clone();
        }
        let directory = CrashDirectory::new();
        self.directories.push((path, directory.clone()));
        directory
    }

    fn relative(&self, path: &[u8]) -> Result<PathBuf> {
        let text = std::str::from_utf8(path)
            .map_err(|_| Error::new(ErrorKind::Corrupted, "a recorded path is not UTF-8"))?;
        let path = Path::new(text).strip_prefix(&self.root);
        path.map(Path::to_owned).map_err(|_| {
            Error::new(
                ErrorKind::Corrupted,
                format!("the recorded path {text} is not below the root"),
            )
        })
    }

    fn place(&mut self, path: &[u8]) -> Result<(CrashDirectory, String)> {
        let path = self.relative(path)?;
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        Ok((
            self.directory(path.parent().unwrap_or(Path::new("")).to_owned()),
            name,
        ))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use event::{HEADER_BYTES, MAGIC};

    fn event(kind: u32, inode: u64, offset: u64, length: u64, path: &str, payload: &[u8]) -> Vec<u8> {
        let mut bytes = Vec::new();
        bytes.extend_from_slice(&MAGIC.to_le_bytes());
        bytes.extend_from_slice(&kind.to_le_bytes());
        for number in [inode, offset, length] {
            bytes.extend_from_slice(&number.to_le_bytes());
        }
        bytes.extend_from_slice(&(path.len() as u32).to_le_bytes());
        bytes.extend_from_slice(&(payload.len() as u32).to_le_bytes());
        bytes.extend_from_slice(path.as_bytes());
        bytes.extend_from_slice(payload);
        bytes
    }

    /// The file `a` as an image with everything unsynced lost shows it.
    fn left(replay: &Replay) -> Option<Vec<u8>> {
        left_with(replay, 1)
    }

    fn left_with(replay: &Replay, seed: u64) -> Option<Vec<u8>> {
        let target = tempfile::tempdir().unwrap();
        replay.image(replay.moments(), seed, target.path()).unwrap();
        fs::read(target.path().join("d/a")).ok()
    }

    #[test]
    fn a_sync_covers_what_was_written_before_it_started() {
        let mut tape = [
            event(1, 1, 1, 0, "/r/d", b""),
            event(1, 7, 0, 1, "/r/d/a", b""),
            event(3, 1, 5, 0, "", b""),
            event(4, 1, 5, 0, "", b""),
            event(2, 7, 0, 3, "", b"one"),
            event(3, 7, 99, 0, "", b""),
            event(2, 7, 3, 3, "", b"two"),
        ]
        .concat();
        let before = Replay::of(&tape, Path::new("/r")).unwrap();
        assert_eq!(left(&before).unwrap(), b"");
        tape.extend(event(4, 7, 99, 0, "", b""));
        let after = Replay::of(&tape, Path::new("/r")).unwrap();
        assert_eq!(left(&after).unwrap(), b"one");
        assert_eq!(
            left_with(&after, 0).unwrap(),
            b"onetwo",
            "it may be there all the same"
        );
        tape.extend(event(3, 7, 98, 0, "", b""));
        tape.extend(event(4, 7, 98, 0, "", b""));
        assert_eq!(
            left(&Replay::of(&tape, Path::new("/r")).unwrap()).unwrap(),
            b"onetwo"
        );
    }

    #[test]
    fn a_write_through_covers_itself_and_not_what_came_before() {
        let made = [
            event(1, 1, 1, 0, "/r/d", b""),
            event(1, 7, 0, 1, "/r/d/a", b""),
            event(3, 1, 5, 0, "", b""),
            event(4, 1, 5, 0, "", b""),
        ]
        .concat();
        let through = [
            event(2, 7, 0, 3, "", b"one"),
            event(10, 7, 3, 3, "", b"two"),
            event(2, 7, 6, 5, "", b"three"),
        ]
        .concat();
        let tape = [made, through].concat();
        let replay = Replay::of(&tape, Path::new("/r")).unwrap();
        assert_eq!(left(&replay).unwrap(), b"\0\0\0two");
        let lied = Replay::without_syncs_of(&tape, Path::new("/r"), Some("a")).unwrap();
        assert_eq!(left(&lied).unwrap(), b"");
    }

    #[test]
    fn a_sync_of_the_directory_covers_the_entries_from_before_it_was_called() {
        let tape = [
            event(1, 1, 1, 0, "/r/d", b""),
            event(3, 1, 5, 0, "", b""),
            event(1, 7, 0, 1, "/r/d/a", b""),
            event(4, 1, 5, 0, "", b""),
        ]
        .concat();
        let replay = Replay::of(&tape, Path::new("/r")).unwrap();
        assert_eq!(left(&replay), None);
        assert!(left_with(&replay, 0).is_some());
    }

    #[test]
    fn a_file_whose_directory_was_not_synced_may_be_gone() {
        let tape = [
            event(1, 7, 0, 1, "/r/d/a", b""),
            event(2, 7, 0, 3, "", b"one"),
            event(3, 7, 99, 0, "", b""),
            event(4, 7, 99, 0, "", b""),
        ]
        .concat();
        assert_eq!(left(&Replay::of(&tape, Path::new("/r")).unwrap()), None);
    }

    #[test]
    fn notes_keep_their_place_and_damage_is_refused() {
        let file = tempfile::NamedTempFile::new().unwrap();
        note(file.as_file(), b"first").unwrap();
        note(file.as_file(), b"second").unwrap();
        let tape = fs::read(file.path()).unwrap();
        let replay = Replay::of(&tape, Path::new("/r")).unwrap();
        assert_eq!(replay.notes_before(1).collect::<Vec<_>>(), [b"first"]);
        assert_eq!(replay.notes_before(2).count(), 2);
        for cut in [1, HEADER_BYTES, tape.len() - 1] {
            assert!(Replay::of(&tape[..cut], Path::new("/r")).is_err(), "cut at {cut}");
        }
    }
}
