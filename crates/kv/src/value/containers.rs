//! The containers: persistent structures that know their size, so that a memory limit costs no walk.

use super::{Bytes, Value};
use std::{cmp::Ordering, sync::Arc};

/// What one entry of a container costs beside its content, roughly.
const ENTRY_BYTES: usize = 16;

/// A list; O(1) amortised at both ends, O(log n) inside.
#[derive(Clone, Debug, Default)]
pub struct List {
    pub(crate) items: im::Vector<Value>,
    pub(crate) bytes: usize,
}

impl List {
    /// The items, first to last.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = &Value> + ExactSizeIterator {
        self.items.iter()
    }

    /// The item at a place.
    #[must_use]
    pub fn get(&self, at: usize) -> Option<&Value> {
        self.items.get(at)
    }

    pub(crate) fn push(&mut self, front: bool, item: Value) {
        self.bytes += item.size_bytes();
        if front {
            self.items.push_front(item);
        } else {
            self.items.push_back(item);
        }
    }

    pub(crate) fn pop(&mut self, front: bool) -> Option<Value> {
        let item = if front {
            self.items.pop_front()
        } else {
            self.items.pop_back()
        }?;
        self.bytes -= item.size_bytes();
        Some(item)
    }

    /// Replaces `removed` items from `at` on. Places beyond the end are cut.
    pub(crate) fn splice(&mut self, at: usize, removed: usize, items: Vec<Value>) {
        let at = at.min(self.items.len());
        let removed = removed.min(self.items.len() - at);
        let mut tail = self.items.split_off(at);
        let rest = tail.split_off(removed);
        self.bytes -= tail.iter().map(Value::size_bytes).sum::<usize>();
        for item in items {
            self.bytes += item.size_bytes();
            self.items.push_back(item);
        }
        self.items.append(rest);
    }
}

impl FromIterator<Value> for List {
    fn from_iter<I: IntoIterator<Item = Value>>(items: I) -> Self {
        let mut list = Self::default();
        for item in items {
            list.push(false, item);
        }
        list
    }
}

/// Fields by name, in the order of the names.
#[derive(Clone, Debug, Default)]
pub struct Object {
    pub(crate) fields: im::OrdMap<Arc<str>, Value>,
    pub(crate) bytes: usize,
}

impl Object {
    /// The fields in the order of their names.
    pub fn iter(&self) -> impl Iterator<Item = (&Arc<str>, &Value)> {
        self.fields.iter()
    }

    /// One field.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.fields.get(name)
    }

    /// A deep merge: objects into objects, null deletes the field, everything else replaces. `depth` bounds recursion.
    #[must_use]
    pub fn merged(&self, patch: &Self) -> Self {
        let mut result = self.clone();
        for (name, value) in &patch.fields {
            match value {
                Value::Null => {
                    result.remove(name);
                }
                Value::Object(inner) => {
                    let merged = match self.fields.get(name) {
                        Some(Value::Object(old)) => old.merged(inner),
                        _ => Self::default().merged(inner),
                    };
                    result.insert(name.clone(), Value::Object(Arc::new(merged)));
                }
                other => result.insert(name.clone(), other.clone()),
            }
        }
        result
    }

    fn insert(&mut self, name: Arc<str>, value: Value) {
        let added = ENTRY_BYTES + name.len() + value.size_bytes();
        self.remove(&name);
        self.bytes += added;
        self.fields.insert(name, value);
    }

    fn remove(&mut self, name: &str) {
        if let Some(old) = self.fields.remove(name) {
            self.bytes -= ENTRY_BYTES + name.len() + old.size_bytes();
        }
    }
}

impl FromIterator<(Arc<str>, Value)> for Object {
    fn from_iter<I: IntoIterator<Item = (Arc<str>, Value)>>(fields: I) -> Self {
        let mut object = Self::default();
        for (name, value) in fields {
            object.insert(name, value);
        }
        object
    }
}

/// Byte strings under byte strings.
#[derive(Clone, Debug, Default)]
pub struct Hash {
    pub(crate) fields: im::HashMap<Bytes, Bytes>,
    pub(crate) bytes: usize,
}

impl Hash {
    /// The fields, in no order.
    pub fn iter(&self) -> impl Iterator<Item = (&Bytes, &Bytes)> {
        self.fields.iter()
    }

    /// One field.
    #[must_use]
    pub fn get(&self, name: &[u8]) -> Option<&Bytes> {
        self.fields.get(name)
    }

    pub(crate) fn put(&mut self, name: Bytes, value: Bytes) -> bool {
        let (name_bytes, added) = (name.len(), value.len());
        self.bytes += added;
        match self.fields.insert(name, value) {
            Some(old) => {
                self.bytes -= old.len();
                false
            }
            None => {
                self.bytes += name_bytes + 2 * (ENTRY_BYTES + 16);
                true
            }
        }
    }

    pub(crate) fn remove(&mut self, name: &[u8]) -> bool {
        let Some(old) = self.fields.remove(name) else {
            return false;
        };
        self.bytes -= old.len() + name.len() + 2 * (ENTRY_BYTES + 16);
        true
    }
}

/// Byte strings, each once.
#[derive(Clone, Debug, Default)]
pub struct Set {
    pub(crate) members: im::HashSet<Bytes>,
    pub(crate) bytes: usize,
}

impl Set {
    /// The members, in no order.
    pub fn iter(&self) -> impl Iterator<Item = &Bytes> {
        self.members.iter()
    }

    /// Whether it is one.
    #[must_use]
    pub fn contains(&self, member: &[u8]) -> bool {
        self.members.contains(member)
    }

    pub(crate) fn add(&mut self, member: Bytes) -> bool {
        let added = member.len() + 2 * ENTRY_BYTES;
        let is_new = self.members.insert(member).is_none();
        if is_new {
            self.bytes += added;
        }
        is_new
    }

    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        let was_there = self.members.remove(member).is_some();
        if was_there {
            self.bytes -= member.len() + 2 * ENTRY_BYTES;
        }
        was_there
    }
}

/// A score as it is ordered: totally, because it is never NaN.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Score(pub(crate) f64);

impl Eq for Score {}

impl PartialOrd for Score {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Score {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.partial_cmp(&other.0).unwrap_or(Ordering::Equal)
    }
}

/// Byte strings with scores, ordered by score and then by bytes.
#[derive(Clone, Debug, Default)]
pub struct SortedSet {
    pub(crate) scores: im::HashMap<Bytes, f64>,
    pub(crate) order: im::OrdSet<(Score, Bytes)>,
    pub(crate) bytes: usize,
}

impl SortedSet {
    /// Members with their scores, lowest first.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (f64, &Bytes)> {
        self.order.iter().map(|(score, member)| (score.0, member))
    }

    /// A member's score.
    #[must_use]
    pub fn score(&self, member: &[u8]) -> Option<f64> {
        self.scores.get(member).copied()
    }

    pub(crate) fn put(&mut self, score: f64, member: Bytes) -> bool {
        let old = self.scores.insert(member.clone(), score);
        if let Some(old) = old {
            self.order.remove(&(Score(old), member.clone()));
        } else {
            self.bytes += member.len() + 6 * ENTRY_BYTES;
        }
        self.order.insert((Score(score), member));
        old.is_none()
    }

    pub(crate) fn remove(&mut self, member: &[u8]) -> bool {
        let Some((member, score)) = self.scores.remove_with_key(member) else {
            return false;
        };
        self.bytes -= member.len() + 6 * ENTRY_BYTES;
        self.order.remove(&(Score(score), member));
        true
    }
}

/// The size of a container's content; 0 for a scalar.
pub(crate) fn container_bytes(value: &Value) -> usize {
    let content = match value {
        Value::List(list) => list.bytes,
        Value::Object(object) => object.bytes,
        Value::Hash(hash) => hash.bytes,
        Value::Set(set) => set.bytes,
        Value::SortedSet(set) => set.bytes,
        Value::Null
        | Value::Bool(_)
        | Value::Int(_)
        | Value::Float(_)
        | Value::String(_)
        | Value::Bytes(_) => return 0,
    };
    64 + content
}
