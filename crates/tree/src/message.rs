//! What the writer is asked and what it answers.

use crate::{ETag, Guard, Path, TreeError, index::Indexes, prepare::Target};
use quintet_core::{Message, Seq};
use serde_json::Value;
use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
        mpsc::SyncSender,
    },
};

/// What a write does at its path.
#[derive(Clone, Debug, PartialEq)]
pub enum Action {
    /// Replaces what is there; null removes it, and parents that become empty.
    Set(Value),
    /// Replaces what is at each of these paths, counted from the write's; all or none.
    Update(Vec<(Path, Value)>),
}

/// An action, as it was asked for or as it was prepared.
#[derive(Clone, Debug)]
pub(crate) enum Work {
    Asked(Action),
    Ready { targets: Vec<Target>, is_update: bool },
}

impl Work {
    /// Nothing to do.
    pub(crate) const NONE: Self = Self::Ready {
        targets: Vec::new(),
        is_update: true,
    };

    pub(crate) fn is_update(&self) -> bool {
        match self {
            Self::Asked(action) => matches!(action, Action::Update(_)),
            Self::Ready { is_update, .. } => *is_update,
        }
    }
}

/// One write: what, where, and on which conditions.
#[derive(Clone)]
pub struct Write {
    pub(crate) path: Path,
    pub(crate) work: Work,
    pub(crate) if_match: Option<ETag>,
    pub(crate) guard: Option<Arc<dyn Guard>>,
}

impl Write {
    /// Replaces what is at `path`.
    #[must_use]
    pub fn set(path: Path, value: Value) -> Self {
        Self::new(path, Action::Set(value))
    }

    /// Removes what is at `path`.
    #[must_use]
    pub fn delete(path: Path) -> Self {
        Self::set(path, Value::Null)
    }

    /// Replaces what is at several places, counted from `path`; all or none. None of them may lie within another.
    #[must_use]
    pub fn update(path: Path, changes: Vec<(Path, Value)>) -> Self {
        Self::new(path, Action::Update(changes))
    }

    fn new(path: Path, action: Action) -> Self {
        Self {
            path,
            work: Work::Asked(action),
            if_match: None,
            guard: None,
        }
    }

    /// Only if the document at the write's path has this tag now. A guard must allow reading it too: the outcome tells
    /// what is there.
    #[must_use]
    pub fn if_match(mut self, tag: ETag) -> Self {
        self.if_match = Some(tag);
        self
    }

    /// Only if `guard` allows it.
    #[must_use]
    pub fn guarded(mut self, guard: Arc<dyn Guard>) -> Self {
        self.guard = Some(guard);
        self
    }

    /// About how much memory this takes. Costs a look at each value.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        128 + match &self.work {
            Work::Asked(Action::Set(value)) => value_bytes(value),
            Work::Asked(Action::Update(changes)) => changes
                .iter()
                .map(|(path, value)| path.bytes().len() as u64 + value_bytes(value))
                .sum(),
            Work::Ready { targets, .. } => targets.iter().map(Target::bytes).sum(),
        }
    }
}

impl fmt::Debug for Write {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Write")
            .field("path", &self.path)
            .field("work", &self.work)
            .field("if_match", &self.if_match)
            .field("guarded", &self.guard.is_some())
            .finish()
    }
}

/// About how much memory a document takes.
pub(crate) fn value_bytes(value: &Value) -> u64 {
    let below: u64 = match value {
        Value::String(text) => text.len() as u64,
        Value::Array(items) => items.iter().map(value_bytes).sum(),
        Value::Object(map) => map
            .iter()
            .map(|(name, item)| 32 + name.len() as u64 + value_bytes(item))
            .sum(),
        Value::Null | Value::Bool(_) | Value::Number(_) => 0,
    };
    32 + below
}

/// Room that a waiting write takes; given back when it is dropped.
#[derive(Debug)]
pub(crate) struct Room {
    bytes: u64,
    taken: Arc<AtomicU64>,
}

impl Room {
    /// Room for `bytes`, unless more than `max` would be taken. One write alone always fits.
    pub(crate) fn take(taken: &Arc<AtomicU64>, bytes: u64, max: u64) -> Option<Self> {
        let before = taken.fetch_add(bytes, Ordering::Relaxed);
        let room = Self {
            bytes,
            taken: Arc::clone(taken),
        };
        (before == 0 || before.saturating_add(bytes) <= max).then_some(room)
    }
}

impl Drop for Room {
    fn drop(&mut self) {
        self.taken.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// What crosses the queue to the writer.
#[derive(Debug)]
pub enum TreeMessage {
    /// The document at a path, from committed state. Answers [`TreeReply::Value`]. Readers do this without the writer.
    Get {
        /// Where.
        path: Path,
    },
    /// A write. Answers [`TreeReply::Written`] or [`TreeReply::Mismatch`].
    Write(Waiting),
    /// Other indexes, once the batch is committed. Answers [`TreeReply::Reindexed`].
    Reindex(Reindex),
}

/// A write on its way.
#[derive(Debug)]
pub struct Waiting {
    pub(crate) write: Box<Write>,
    /// Held until it was handled.
    pub(crate) _room: Option<Room>,
}

/// Indexes on their way.
#[derive(Debug)]
pub struct Reindex {
    pub(crate) declared: Indexes,
    /// Told how it went before the message is answered. It fails alone: the writes of its batch took place.
    pub(crate) outcome: SyncSender<Result<(), TreeError>>,
}

impl From<Write> for TreeMessage {
    fn from(write: Write) -> Self {
        Self::Write(Waiting {
            write: Box::new(write),
            _room: None,
        })
    }
}

/// A write that took place.
#[derive(Clone, Debug, PartialEq)]
pub struct Written {
    /// Its place in the order of all writes; 1 is the first. No other write has it, and later ones have greater.
    pub seq: Seq,
    /// Every place that was replaced, with what is there now, as it would be read; null = nothing.
    pub changes: Arc<[(Path, Value)]>,
}

impl Written {
    /// What is at the first place now: all there is of a set.
    #[must_use]
    pub fn value(&self) -> &Value {
        self.changes.first().map_or(&Value::Null, |(_, value)| value)
    }
}

/// What the writer answers.
#[derive(Clone, Debug, PartialEq)]
pub enum TreeReply {
    /// The document; null when there is nothing.
    Value(Value),
    /// The write took place.
    Written(Written),
    /// The document did not have the tag that the write asked for. Nothing was written.
    Mismatch {
        /// The tag it has.
        etag: ETag,
        /// The document.
        value: Value,
    },
    /// Other indexes were declared; how it went is told apart.
    Reindexed,
}

impl Message for TreeMessage {
    type Reply = TreeReply;

    fn rank(&self) -> u8 {
        match self {
            Self::Get { .. } => 0,
            Self::Write(_) | Self::Reindex(_) => 1,
        }
    }
}
