//! The engines as parts of the server: how one is opened, watched, drained and closed, whatever it is.
//!
//! | trait or type | role |
//! |---|---|
//! | [`Part`] | what `compose` starts and ends: an engine with its own port, or the API port |
//! | [`Engine`] | what the API port asks of every engine: health, figures |
//! | [`Mount`] | the place on the API port that an engine fills once it has recovered |
//! | [`Roster`] | all engines by name, those that are absent with the reason |

#[cfg(feature = "blockstore")]
pub(crate) mod blocks;
pub(crate) mod disk;
#[cfg(feature = "kv")]
pub(crate) mod kv;
#[cfg(any(feature = "shard", feature = "stm"))]
pub(crate) mod logs;
#[cfg(feature = "tree")]
mod readers;
#[cfg(feature = "stm")]
pub(crate) mod stm;
#[cfg(feature = "tree")]
pub(crate) mod tree;
#[cfg(feature = "shard")]
pub(crate) mod vectors;
pub(crate) mod vitals;
#[cfg(feature = "stm")]
pub(crate) mod workflows;

use crate::{failure::Failure, port::metrics::Exposition};
use quintet_core::{Deadline, Error, ErrorKind};
use std::{
    path::Path,
    sync::{Arc, OnceLock},
};
use vitals::Vitals;

/// Something that was started and has to be ended.
pub(crate) trait Part: Send {
    /// What the start-up text says about it: the line with its address first.
    fn lines(&self) -> Vec<String>;

    /// Reads again what was read from files at the start; what cannot be read leaves what is in force.
    fn reload(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// First step of the end: its own port stops accepting and finishes what is in flight, until `deadline`. Blocks.
    /// Engines stay open, because another port may still need them.
    fn drain(&mut self, deadline: Deadline) -> Result<(), Failure>;

    /// Second step, when every port is drained: flushes and closes. Blocks.
    fn close(self: Box<Self>) -> Result<(), Failure>;
}

/// What the API port asks of an engine. No call waits for anything but short locks.
pub(crate) trait Engine: Send + Sync + 'static {
    /// Whether it accepts writes; the error says why not.
    fn health(&self) -> Result<(), Error>;

    /// Its figures, for `/stats`.
    fn stats(&self) -> serde_json::Value;

    /// By what it is watched; `None` for what is no engine.
    fn vitals(&self) -> Option<Vitals> {
        None
    }

    /// The same as samples.
    fn metrics(&self, page: &mut Exposition);

    /// Copies what it keeps into a folder that is not there yet, while it goes on; `false` = it keeps nothing. The copy is
    /// of one moment, with everything that was answered before the call, and is on stable storage. Blocks for long.
    fn backup(&self, _folder: &Path, _each: Each<'_>) -> Result<bool, Error> {
        Ok(false)
    }

    /// About how many bytes the copy would have.
    fn backup_bytes(&self) -> u64 {
        0
    }
}

/// Told the bytes of each piece that was copied; an error ends the copying.
pub(crate) type Each<'a> = &'a mut dyn FnMut(u64) -> Result<(), Error>;

/// Where an engine appears once it is open. Clones are the same place.
pub(crate) struct Mount<E> {
    name: &'static str,
    engine: Arc<OnceLock<Arc<E>>>,
}

impl<E> Clone for Mount<E> {
    fn clone(&self) -> Self {
        Self {
            name: self.name,
            engine: Arc::clone(&self.engine),
        }
    }
}

impl<E: Engine> Mount<E> {
    /// An empty place for the engine of this name.
    pub(crate) fn new(name: &'static str) -> Self {
        Self {
            name,
            engine: Arc::new(OnceLock::new()),
        }
    }

    /// Its name while it is empty.
    pub(crate) fn awaited(&self) -> Option<&'static str> {
        self.engine.get().is_none().then_some(self.name)
    }

    /// Fills the place. Only the first engine counts, and there is only one.
    pub(crate) fn fill(&self, engine: Arc<E>) {
        let _first = self.engine.set(engine);
    }

    /// The engine.
    ///
    /// # Errors
    /// [`ErrorKind::Unavailable`] while it recovers.
    pub(crate) fn get(&self) -> Result<Arc<E>, Error> {
        self.engine
            .get()
            .cloned()
            .ok_or_else(|| Error::new(ErrorKind::Unavailable, format!("{} is recovering", self.name)))
    }
}

/// An engine that may not be there yet, whatever its type.
trait Place: Send + Sync {
    fn look(&self) -> Result<Arc<dyn Engine>, Error>;
}

impl<E: Engine> Place for Mount<E> {
    fn look(&self) -> Result<Arc<dyn Engine>, Error> {
        self.get().map(|engine| engine as Arc<dyn Engine>)
    }
}

/// One engine of the roster.
pub(crate) struct Entry {
    /// As it is named in paths, figures and messages.
    pub(crate) name: &'static str,
    state: Result<Box<dyn Place>, String>,
}

impl Entry {
    /// The engine; `Err` says why it is absent; inside, an error while it recovers.
    pub(crate) fn look(&self) -> Result<Result<Arc<dyn Engine>, Error>, &str> {
        match &self.state {
            Ok(place) => Ok(place.look()),
            Err(reason) => Err(reason),
        }
    }
}

/// Every engine that this program knows, in the order in which it is shown.
#[derive(Default)]
pub(crate) struct Roster {
    entries: Vec<Entry>,
}

impl Roster {
    /// Adds an engine that is there or will be.
    pub(crate) fn add<E: Engine>(&mut self, mount: &Mount<E>) {
        let (name, state) = (mount.name, Ok(Box::new(mount.clone()) as Box<dyn Place>));
        self.entries.push(Entry { name, state });
    }

    /// Adds an engine that will not be there, and why.
    pub(crate) fn add_absent(&mut self, name: &'static str, reason: impl Into<String>) {
        let state = Err(reason.into());
        self.entries.push(Entry { name, state });
    }

    /// All of them.
    pub(crate) fn entries(&self) -> &[Entry] {
        &self.entries
    }
}
