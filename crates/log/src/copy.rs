//! A consistent copy of a log while it goes on: what a `kill` at one moment would have left, prefix and all.
//!
//! A [`Hold`] keeps the log from giving segments back, so that whoever took one can first copy what the log continues (a
//! snapshot, a checkpoint) and then the log: it has every record after that, up to the moment of [`Hold::copy_log`]. For
//! the engines' backups. Copies are on stable storage when the call returns.

use crate::{
    Directory, File, Log, OpenMode, segment,
    writer::{Shared, lock},
};
use quintet_core::{ErrorKind, Result, Seq};
use std::sync::Arc;

/// How much is copied between two calls of the caller's function.
const PIECE_BYTES: usize = 1 << 20;

/// Told the bytes of each piece that was copied; an error ends the copying with that error.
pub type EachPiece<'a> = &'a mut dyn FnMut(u64) -> Result<()>;

/// A log as something to copy. Unlike a [`Log`] it does not keep the log open.
#[derive(Clone)]
pub struct Source {
    shared: Arc<Shared>,
}

/// While this lives, the log gives nothing back: [`Log::truncate`] leaves its work to the next call.
#[must_use = "the log is held only while this lives"]
pub struct Hold {
    shared: Arc<Shared>,
}

impl Log {
    /// What copies of the log are made from.
    #[must_use]
    pub fn source(&self) -> Source {
        Source {
            shared: self.shared_handle(),
        }
    }
}

impl Source {
    /// Holds the log. Take it before anything is copied that the log continues. No I/O.
    pub fn hold(&self) -> Hold {
        lock(&self.shared.writer).holds += 1;
        Hold {
            shared: Arc::clone(&self.shared),
        }
    }

    /// Copies the snapshot of this name, if there is one, and then the log, from the log's own directory to an empty one,
    /// which an engine opens like the original. Answers the last position that the copy has. Blocks; nobody waits for it.
    ///
    /// # Errors
    /// What either directory or `each` answers; the copy is of no use then.
    pub fn copy(&self, snapshot: &str, to: &dyn Directory, each: EachPiece<'_>) -> Result<Seq> {
        let hold = self.hold();
        copy_file(&*self.shared.directory, snapshot, to, each)?;
        let last = hold.copy_log(to, each)?;
        to.sync()?;
        Ok(last)
    }
}

impl Hold {
    /// Copies every record that the log has not given back, up to those that are in the kernel now, and answers the last
    /// one's position. Each acknowledged record is among them. Blocks.
    ///
    /// # Errors
    /// What either directory or `each` answers.
    pub fn copy_log(&self, to: &dyn Directory, each: EachPiece<'_>) -> Result<Seq> {
        let (sealed, active, end, last) = {
            let writer = lock(&self.shared.writer);
            let sealed: Vec<u64> = writer.sealed.iter().map(|sealed| sealed.number).collect();
            let active = (writer.active.number, Arc::clone(&writer.active.file));
            // Of one moment: both change under this lock.
            (sealed, active, writer.end(), self.shared.written())
        };
        for number in sealed {
            let name = segment::name(number);
            let file = self.shared.directory.open(&name, OpenMode::Read)?;
            copy_open(&*file, file.len()?, to, &name, each)?;
        }
        let (number, file) = active;
        copy_open(&*file, end, to, &segment::name(number), each)?;
        Ok(Seq(last))
    }
}

impl Drop for Hold {
    fn drop(&mut self) {
        lock(&self.shared.writer).holds -= 1;
    }
}

/// Copies one file that is replaced by renaming and never changed, such as a snapshot; `false` when there is none. Blocks.
///
/// # Errors
/// What either directory or `each` answers.
pub fn copy_file(from: &dyn Directory, name: &str, to: &dyn Directory, each: EachPiece<'_>) -> Result<bool> {
    let file = match from.open(name, OpenMode::Read) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
        opened => opened?,
    };
    copy_open(&*file, file.len()?, to, name, each)?;
    Ok(true)
}

/// Copies the first `len` bytes of an open file, which nobody changes. On stable storage when it returns; blocks.
///
/// # Errors
/// What the file, the directory or `each` answers.
pub fn copy_open(
    from: &dyn File,
    len: u64,
    to: &dyn Directory,
    name: &str,
    each: EachPiece<'_>,
) -> Result<()> {
    let copy = to.open(name, OpenMode::CreateNew)?;
    let mut piece = vec![0; len.min(PIECE_BYTES as u64) as usize];
    let mut offset = 0;
    while offset < len {
        let some = piece.len().min((len - offset) as usize);
        from.read_exact_at(&mut piece[..some], offset)?;
        copy.write_at(&piece[..some], offset)?;
        offset += some as u64;
        each(some as u64)?;
    }
    copy.sync_data()
}
