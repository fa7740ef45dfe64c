//! The subjects: one file each in this folder. A new file appears in every table; nothing else has to be touched.
//!
//! `build.rs` lists the files. Each has a constant `ENTRIES` with one [`Entry`] per row that it brings, and nothing
//! else that others need.

use super::{session::Session, workload::Level};
use anyhow::Result;
use quintet_core::{BatchConfig, BatchController, Connector, Keyed, MessageHandler, Parker, SystemClock};
use quintet_log::{Directory, LogConfig, OsDirectory};
use std::{
    path::{Path, PathBuf},
    sync::{Arc, mpsc},
    thread::{self, JoinHandle},
};

include!(concat!(env!("OUT_DIR"), "/subjects.rs"));

/// One row of every table.
pub(crate) struct Entry {
    /// As it stands in the tables, and on the command line.
    pub name: &'static str,
    /// Who may touch the data, in a few words.
    pub model: &'static str,
    /// One of this project's engines.
    pub ours: bool,
    /// At which levels it can run.
    pub levels: &'static [Level],
    /// At which of them it takes part when nobody asks for all.
    pub headline: &'static [Level],
    /// Starts it.
    pub open: fn(&Home) -> Result<Box<dyn Engine>>,
}

/// Where and how a subject is to start.
pub(crate) struct Home {
    /// A directory of its own, empty or left by the same subject.
    pub dir: PathBuf,
    /// What an acknowledged write is to survive.
    pub level: Level,
    /// How large the largest value is.
    pub max_value_bytes: usize,
    /// How large one file of a log may be. Small for the check, which opens a subject many times.
    pub segment_bytes: u64,
}

impl Home {
    /// The directory `name` in this one, created if needed.
    ///
    /// # Errors
    /// What the system answers.
    pub(crate) fn dir(&self, name: &str) -> Result<PathBuf> {
        let dir = self.dir.join(name);
        std::fs::create_dir_all(&dir)?;
        Ok(dir)
    }
}

/// A running subject. Dropping it ends it.
pub(crate) trait Engine: Sync {
    /// A connection for one thread, answering [`Keyed`].
    ///
    /// # Errors
    /// When it cannot be made.
    fn connect(&self) -> Result<Session>;

    /// The calls that a user would make without the message, for one thread; the table shows them beside.
    ///
    /// # Errors
    /// When they cannot be made.
    fn native(&self) -> Result<Box<dyn Native + '_>>;
}

/// A subject's own calls. A counter is 8 bytes, little-endian, unless the subject has a better one.
pub(crate) trait Native: Send {
    /// The value's length, and whether it begins with `mark` as far as it reaches; `None` for a missing key.
    ///
    /// # Errors
    /// What the subject answers.
    fn get(&mut self, key: &[u8], mark: u64) -> Result<Option<(usize, bool)>>;

    /// Sets the value.
    ///
    /// # Errors
    /// What the subject answers.
    fn put(&mut self, key: &[u8], value: &[u8]) -> Result<()>;

    /// Adds to a counter and answers nothing.
    ///
    /// # Errors
    /// What the subject answers.
    fn add(&mut self, key: &[u8], delta: i64) -> Result<()>;
}

/// What [`Native::get`] says of a value.
#[must_use]
pub(crate) fn seen(value: &[u8], mark: u64) -> (usize, bool) {
    let mark = mark.to_le_bytes();
    let marked = mark.len().min(value.len());
    (value.len(), value[..marked] == mark[..marked])
}

/// The subject of that name.
#[must_use]
pub(crate) fn find(name: &str) -> Option<&'static Entry> {
    all().find(|entry| entry.name == name)
}

/// Every subject: ours first, each group by name.
pub(crate) fn all() -> impl Iterator<Item = &'static Entry> {
    let mut entries: Vec<&'static Entry> = FILES.iter().flat_map(|file| file.iter()).collect();
    entries.sort_by_key(|entry| (!entry.ours, entry.name));
    entries.into_iter()
}

/// What is not compared, and why.
pub(crate) const NOT_COMPARED: [(&str, &str); 2] = [
    ("RocksDB", "needs a C++ compiler and libclang to build"),
    ("Redis", "lives behind a socket: see `cargo xtask bench kv`"),
];

/// A thread that owns a handler and serves connections: an engine with one owner.
pub(super) struct Served {
    connector: Connector<Keyed>,
    thread: Option<JoinHandle<quintet_core::Result<()>>>,
}

impl Served {
    /// Builds the handler on its thread; `arm` is given what wakes it.
    pub(super) fn start<H: MessageHandler<Keyed>>(
        build: impl FnOnce(&Parker) -> quintet_core::Result<H> + Send + 'static,
    ) -> Result<Self> {
        let (tell, told) = mpsc::channel();
        let thread = thread::Builder::new().name("owner".into()).spawn(move || {
            let parker = Parker::new();
            let handler = build(&parker)?;
            let clock = Arc::new(SystemClock);
            let mut controller =
                BatchController::new(handler, clock, parker.doorbell(), BatchConfig::default());
            // Whoever started this waits for it.
            let _told = tell.send(controller.connector());
            controller.run(&parker)
        })?;
        let Ok(connector) = told.recv() else {
            let ended = thread.join().map_err(|_| anyhow::anyhow!("the owner panicked"))?;
            ended?;
            anyhow::bail!("the owner ended");
        };
        Ok(Self {
            connector,
            thread: Some(thread),
        })
    }

    /// What connects to it.
    pub(super) fn connector(&self) -> &Connector<Keyed> {
        &self.connector
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.connector.stop();
        if let Some(thread) = self.thread.take() {
            // What went wrong was answered to those who asked.
            let _ended = thread.join();
        }
    }
}

/// The settings of a log of ours at that level.
pub(super) fn log_config(home: &Home, durability: quintet_core::Durability) -> LogConfig {
    let usual = LogConfig::default();
    let most = home.segment_bytes as usize / 2;
    LogConfig {
        durability,
        segment_bytes: home.segment_bytes,
        max_record_bytes: usual.max_record_bytes.min(most),
        max_group_bytes: usual.max_group_bytes.min(most),
        ..usual
    }
}

/// A file system directory for a log.
pub(super) fn log_directory(path: &Path) -> Result<Arc<dyn Directory>> {
    Ok(Arc::new(OsDirectory::open(path)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique_and_headlines_are_levels() {
        let names: Vec<_> = all().map(|entry| entry.name).collect();
        assert!(names.len() >= 13, "{names:?}");
        for (at, entry) in all().enumerate() {
            assert!(
                !names[..at].contains(&entry.name),
                "{} is there twice",
                entry.name
            );
            assert!(entry.headline.iter().all(|level| entry.levels.contains(level)));
        }
        for level in [Level::Memory, Level::Full] {
            let row = all().filter(|entry| entry.headline.contains(&level)).count();
            assert_eq!(row, 8, "subjects at level {level}");
        }
    }
}
