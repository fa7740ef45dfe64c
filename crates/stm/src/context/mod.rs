//! The dynamic API: a context is a tree of named values that transactions read and change at any level.
//!
//! | file | role |
//! |---|---|
//! | `context` | the handle: make, run, read |
//! | `tx`, `state`, `buffer`, `tree`, `branch`, `ending` | one attempt: what its body may do, what it has read, what it writes, keys made and removed, what is taken back, its commit |
//! | `write`, `commit` | a buffered write, and what a commit records |
//! | `short`, `raw` | the short ways of one small write, and of a raw one |
//! | `cell`, `form`, `index` | versioned values, and finding them |
//! | `journal`, `lanes`, `kept` | the order of commits: versions, history, outbox, log |
//! | `snapshot` | a frozen view |
//! | `record`, `durable` | bytes in the log, and the way back from them |
//! | `horizon` | what is durable enough to be reported |
//! | `request` | a transaction as data |
//! | `handler` | a context as a message handler |

mod branch;
mod buffer;
mod cell;
mod change;
mod commit;
mod config;
#[expect(clippy::module_inception, reason = "the file named after its type")]
mod context;
mod durable;
mod ending;
mod form;
mod handler;
mod horizon;
mod index;
mod journal;
mod kept;
mod lanes;
mod path;
mod raw;
mod record;
mod request;
mod schema;
mod short;
mod snapshot;
mod state;
mod tree;
mod tx;
mod value;
mod write;
mod zone;

pub use change::{Change, ChangeSet, Message};
pub use config::ContextConfig;
pub use context::Context;
pub use handler::ContextHandler;
pub use journal::Image;
pub use path::Path;
pub use request::{Operation, Request, Response};
pub use schema::{Field, Kind, Schema};
pub use snapshot::Snapshot;
pub use tx::ContextTx;
pub use value::Value;
pub use zone::{Capability, Zone};

use crate::{Error, Result, primitive::lock, protocol::domain::Domain};
use cell::Cell;
use horizon::Horizon;
use index::Index;
use journal::{Gathered, Journal, Needed};
use lanes::Lanes;
use quintet_log::Log;
use std::sync::{Arc, Mutex, RwLock, atomic::AtomicBool};

/// What all handles of one context share.
struct Shared {
    name: Arc<str>,
    config: ContextConfig,
    domain: Domain,
    index: Index,
    journal: Mutex<Journal>,
    lanes: Lanes,
    needed: Needed,
    schema: RwLock<Schema>,
    /// Whether there is, or is about to be, a schema.
    has_schema: AtomicBool,
    /// A durable context has one.
    log: Option<Log>,
    horizon: Horizon,
    /// Where checkpoints go. Locked while one is written. After `log`, which closes before the claim ends.
    checkpoint: Mutex<Option<durable::Home>>,
    /// Locked while messages are delivered.
    delivery: Mutex<()>,
}

impl Shared {
    /// Refuses a value that is too large for its zone.
    #[inline]
    fn check_size(&self, path: &str, zone: Zone, value: &Value) -> Result<()> {
        match value {
            Value::Null | Value::Bool(_) | Value::Int(_) | Value::Float(_) => Ok(()),
            value => self.measure(path, zone, value),
        }
    }

    fn measure(&self, path: &str, zone: Zone, value: &Value) -> Result<()> {
        let limit = match zone {
            Zone::Heavy => self.config.max_heavy_bytes,
            _ => self.config.max_value_bytes,
        };
        let refuse = |what, size, limit| {
            Err(Error::TooLarge {
                at: path.to_owned(),
                what,
                size,
                limit,
            })
        };
        match value.size_bytes() {
            None => refuse("the nesting of the value", Value::MAX_DEPTH + 1, Value::MAX_DEPTH),
            Some(size) if size > limit => refuse("the size of the value in bytes", size, limit),
            Some(_) => Ok(()),
        }
    }

    /// Checks a path. One that is there has been checked, and is shared.
    fn path(&self, path: &str) -> Result<Path> {
        match self.index.with(path, |cell| cell.path.clone()) {
            Some(known) => Ok(known),
            None => Path::new(path),
        }
    }

    /// The journal with all that the lanes hold brought into it: to be used by whoever looks at the history.
    fn gathered(&self) -> Gathered<'_> {
        let mut journal = lock(&self.journal);
        let evicted = journal.gather(self);
        Gathered::new(journal, evicted)
    }

    /// Whether commits go to a log.
    fn is_durable(&self) -> bool {
        self.log.is_some()
    }

    /// The last version that may be reported; `u64::MAX` in a context without a log.
    fn reportable(&self) -> u64 {
        self.horizon.version(self.log.as_ref())
    }

    /// Waits until everything up to a version may be reported. One load if it may be already.
    ///
    /// # Errors
    /// [`Error::Log`] when it never may be.
    #[inline]
    fn settle(&self, version: u64) -> Result<()> {
        match &self.log {
            Some(log) if !self.horizon.covers(version) => self.horizon.reach(log, version),
            _ => Ok(()),
        }
    }
}

/// The cells below a branch, in order of their paths. All of them below the empty one.
fn below<'a>(
    structure: &'a im::OrdMap<Path, Arc<Cell>>,
    branch: &str,
) -> Box<dyn Iterator<Item = &'a Arc<Cell>> + 'a> {
    let start = format!("{branch}.");
    if branch.is_empty() {
        return Box::new(structure.values());
    }
    let from: (std::ops::Bound<&str>, std::ops::Bound<&str>) = (
        std::ops::Bound::Included(start.as_str()),
        std::ops::Bound::Unbounded,
    );
    let cells = structure.range::<_, str>(from).map(|(_, cell)| cell);
    Box::new(cells.take_while(move |cell| cell.path.as_str().starts_with(&start)))
}
