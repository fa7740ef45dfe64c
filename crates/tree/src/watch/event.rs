//! One change as one place sees it. All watchers of a place share it, and its text is made once.

use crate::{Path, Written};
use quintet_core::Seq;
use serde_json::{Map, Value, json};
use std::{
    borrow::Cow,
    ops::Range,
    sync::{Arc, OnceLock},
};

/// How an event changes what a watcher knows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventKind {
    /// What is at the path is replaced by the data.
    Put,
    /// What is at each path in the data is replaced; the rest stays.
    Patch,
}

/// One change of a watched place.
#[derive(Debug)]
pub struct Event {
    seq: Seq,
    kind: EventKind,
    /// Counted from the watched place.
    path: Path,
    changes: Arc<[(Path, Value)]>,
    /// Which of the changes: one for a put.
    range: Range<usize>,
    /// For a put, the place within the change; for a patch, the place that names are counted from.
    place: Path,
    text: OnceLock<String>,
}

impl Event {
    /// What a write means for the watchers of `watched`; `None` = nothing. `update_at` is where an update was made.
    pub(super) fn of(written: &Written, update_at: Option<&Path>, watched: &Path) -> Option<Self> {
        let changes = &written.changes;
        let make = |kind, path, range, place| {
            Some(Self {
                seq: written.seq,
                kind,
                path,
                changes: Arc::clone(changes),
                range,
                place,
                text: OnceLock::new(),
            })
        };
        // Changes are sorted and none is within another: at most one is at or above the place, or else those below it
        // are next to each other.
        let end = changes.partition_point(|(path, _)| path <= watched);
        if let Some(at) = end.checked_sub(1)
            && let Some(place) = watched.relative_to(&changes[at].0)
        {
            return make(EventKind::Put, Path::root(), at..at + 1, place);
        }
        let start = changes.partition_point(|(path, _)| path < watched);
        let count = changes[start..]
            .iter()
            .take_while(|(path, _)| path.is_within(watched))
            .count();
        if count == 0 {
            return None;
        }
        let range = start..start + count;
        match update_at {
            None => make(
                EventKind::Put,
                changes[start].0.relative_to(watched)?,
                range,
                Path::root(),
            ),
            Some(update) => {
                let base = if update.is_within(watched) {
                    update
                } else {
                    watched
                };
                make(EventKind::Patch, base.relative_to(watched)?, range, base.clone())
            }
        }
    }

    /// The write's place in the order of all writes.
    #[must_use]
    pub fn seq(&self) -> Seq {
        self.seq
    }

    /// How it changes what is known.
    #[must_use]
    pub fn kind(&self) -> EventKind {
        self.kind
    }

    /// Where, counted from the watched place.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The places that are replaced, counted from the watched place, with what is there now.
    pub fn changes(&self) -> impl Iterator<Item = (Path, &Value)> {
        self.changes[self.range.clone()]
            .iter()
            .filter_map(|(path, value)| match self.kind {
                EventKind::Put => Some((self.path.clone(), find(value, &self.place))),
                EventKind::Patch => Some((self.path.join(&path.relative_to(&self.place)?).ok()?, value)),
            })
    }

    /// The new document of a put. For a patch an object whose names are paths below [`path`](Self::path), without the
    /// first `/`.
    #[must_use]
    pub fn data(&self) -> Cow<'_, Value> {
        let changes = &self.changes[self.range.clone()];
        match self.kind {
            EventKind::Put => Cow::Borrowed(
                changes
                    .first()
                    .map_or(&Value::Null, |(_, value)| find(value, &self.place)),
            ),
            EventKind::Patch => {
                let mut map = Map::new();
                for (path, value) in changes {
                    let name = path.relative_to(&self.place).unwrap_or_default().to_string();
                    map.insert(name.trim_start_matches('/').to_owned(), value.clone());
                }
                Cow::Owned(Value::Object(map))
            }
        }
    }

    /// `{"path": …, "data": …}` as text: what Firebase's streams carry. Made at the first call.
    pub fn json(&self) -> &str {
        self.text
            .get_or_init(|| json!({"path": self.path.to_string(), "data": *self.data()}).to_string())
    }
}

/// What is at `path` within a document.
fn find<'a>(document: &'a Value, path: &Path) -> &'a Value {
    let mut at = document;
    for name in path.names() {
        let below = match at {
            Value::Object(map) => map.get(&*name),
            Value::Array(items) => name.parse::<usize>().ok().and_then(|index| items.get(index)),
            _ => None,
        };
        match below {
            Some(value) => at = value,
            None => return &Value::Null,
        }
    }
    at
}
