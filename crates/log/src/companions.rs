//! The files whose bytes the records name, and how they are flushed: with the log's own file, before its position counts as
//! durable.
//!
//! Where the replay verifies what records name, the flushes run at the same time, one on a thread of its own, so that a
//! commit waits for the slower of them and not for their sum. A file without a system handle is flushed on the caller's
//! thread, companions first, so that a test that fails the Nth I/O fails the same one each time.

use crate::{File, LogConfig};
use quintet_core::{Durability, Error, ErrorKind, Result};
use std::{
    sync::{Arc, Mutex, PoisonError, mpsc},
    thread,
};

/// The companions of one log.
pub(crate) struct Companions {
    files: Vec<Arc<dyn File>>,
    /// They must be on stable storage before a group is written.
    first: bool,
    helper: Option<Mutex<Helper>>,
}

/// The thread that flushes them. Ends when this is dropped.
struct Helper {
    ask: mpsc::SyncSender<()>,
    done: mpsc::Receiver<Result<()>>,
}

impl Companions {
    /// # Errors
    /// When the system has no thread to give.
    pub(crate) fn of(config: &LogConfig) -> Result<Self> {
        let files = config.companions.clone();
        let full = config.durability == Durability::Full;
        let real = !files.is_empty() && files.iter().all(|file| file.handle().is_some());
        let helper = if full && config.verified && real {
            Some(Mutex::new(Helper::spawn(files.clone())?))
        } else {
            None
        };
        Ok(Self {
            files,
            first: full && !config.verified,
            helper,
        })
    }

    /// To be called before a group is written. Blocks for a flush where records may not outlive what they name.
    pub(crate) fn before_write(&self) -> Result<()> {
        if self.first { sync(&self.files) } else { Ok(()) }
    }

    /// Flushes a log file, and with it the companions unless they were flushed before the write. Blocks.
    ///
    /// # Errors
    /// What any of the flushes answered; all have ended then.
    pub(crate) fn sync_with(&self, file: &dyn File) -> Result<()> {
        let Some(helper) = &self.helper else {
            if !self.first {
                sync(&self.files)?;
            }
            return file.sync_data();
        };
        let helper = helper.lock().unwrap_or_else(PoisonError::into_inner);
        let gone = |()| Error::new(ErrorKind::Io, "the thread that flushes companions is gone");
        helper.ask.send(()).map_err(|_| gone(()))?;
        let own = file.sync_data();
        let theirs = helper.done.recv().map_err(|_| gone(()))?;
        own.and(theirs)
    }
}

impl Helper {
    fn spawn(files: Vec<Arc<dyn File>>) -> Result<Self> {
        let (ask, asked) = mpsc::sync_channel(1);
        let (tell, done) = mpsc::sync_channel(1);
        thread::Builder::new()
            .name("log-companions".to_owned())
            .spawn(move || {
                while asked.recv().is_ok() {
                    if tell.send(sync(&files)).is_err() {
                        return;
                    }
                }
            })
            .map_err(Error::from)?;
        Ok(Self { ask, done })
    }
}

fn sync(files: &[Arc<dyn File>]) -> Result<()> {
    files.iter().try_for_each(|file| file.sync_data())
}
