//! [`Effect`]: what a change does to one key. An operation is planned against the value, its effect goes to the log, and
//! then [`change`] does it: the same function that replays the log, so memory and recovery cannot disagree.
//!
//! An effect that meets a value of another kind starts from nothing: only a replay over a later snapshot sees that, and
//! the log then ends that key's life before it matters.

use crate::value::{Bytes, Hash, List, Object, Set, SortedSet, Value};
use std::sync::Arc;

/// Which end of a list.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum End {
    /// Where `shift` and `unshift` work; LEFT.
    Front,
    /// Where `push` and `pop` work; RIGHT.
    Back,
}

/// A change of one key.
#[derive(Clone, Debug)]
pub(crate) enum Effect {
    /// The value, and when it expires (0 = never).
    Put { value: Value, expires_ms: u64 },
    /// The key is gone; also logged when it expired.
    Delete,
    /// When it expires; 0 = never.
    Expire { at_ms: u64 },
    /// Items, one after another.
    Push { end: End, items: Vec<Value> },
    /// That many items are gone.
    Pop { end: End, count: u64 },
    /// Items in place of `removed` others.
    Splice {
        at: u64,
        removed: u64,
        items: Vec<Value>,
    },
    /// A deep merge into an object.
    Merge { patch: Arc<Object> },
    /// Fields of a hash.
    HashPut { fields: Vec<(Bytes, Bytes)> },
    /// Fields of a hash are gone.
    HashRemove { fields: Vec<Bytes> },
    /// Members of a set.
    SetAdd { members: Vec<Bytes> },
    /// Members of a set are gone.
    SetRemove { members: Vec<Bytes> },
    /// Members of a sorted set with their scores.
    Score { members: Vec<(f64, Bytes)> },
    /// Members of a sorted set are gone.
    Unscore { members: Vec<Bytes> },
}

/// A whole number below 2^48, in six bytes that need no alignment.
#[derive(Clone, Copy, Debug)]
struct Six([u8; 6]);

impl Six {
    const MAX: u64 = (1 << 48) - 1;

    #[inline]
    fn new(number: u64) -> Self {
        let [a, b, c, d, e, f, ..] = number.min(Self::MAX).to_le_bytes();
        Self([a, b, c, d, e, f])
    }

    #[inline]
    fn get(self) -> u64 {
        let [a, b, c, d, e, f] = self.0;
        u64::from_le_bytes([a, b, c, d, e, f, 0, 0])
    }
}

/// The latest moment at which a key can expire, in milliseconds since 1970: in the year 10889.
#[cfg(feature = "port")]
pub(crate) const LATEST_MS: u64 = Six::MAX;

/// A key's state in the table: 40 bytes, so that with its key it fills a cache line.
#[derive(Clone, Debug)]
pub(crate) struct Slot {
    pub(crate) value: Value,
    /// Where the key stands in its shard's index.
    pub(crate) at: u32,
    version: Six,
    expires: Six,
}

impl Slot {
    pub(crate) fn new(value: Value, version: u64, expires_ms: u64) -> Self {
        Self {
            value,
            at: u32::MAX,
            version: Six::new(version),
            expires: Six::new(expires_ms),
        }
    }

    /// Grows with every change; with a log, the position of the record that made it. A million changes a second would
    /// need nine years to use the numbers up.
    #[inline]
    pub(crate) fn version(&self) -> u64 {
        self.version.get()
    }

    pub(crate) fn set_version(&mut self, version: u64) {
        self.version = Six::new(version);
    }

    /// Milliseconds since 1970; 0 = never.
    #[inline]
    pub(crate) fn expires_ms(&self) -> u64 {
        self.expires.get()
    }

    pub(crate) fn set_expires_ms(&mut self, expires_ms: u64) {
        self.expires = Six::new(expires_ms);
    }
}

impl Effect {
    /// What it can add to the memory in use, in bytes: an upper bound that costs no look at the value.
    pub(crate) fn added_bytes(&self) -> u64 {
        let bytes = |list: &[Bytes]| list.iter().map(|item| item.len() + 64).sum::<usize>();
        let added = match self {
            Self::Put { value, .. } => value.size_bytes(),
            Self::Push { items, .. } | Self::Splice { items, .. } => {
                items.iter().map(Value::size_bytes).sum()
            }
            Self::Merge { patch } => patch.bytes,
            Self::HashPut { fields } => fields
                .iter()
                .map(|(name, value)| name.len() + value.len() + 64)
                .sum(),
            Self::SetAdd { members } => bytes(members),
            Self::Score { members } => members.iter().map(|(_, member)| member.len() + 96).sum(),
            Self::Delete
            | Self::Expire { .. }
            | Self::Pop { .. }
            | Self::HashRemove { .. }
            | Self::SetRemove { .. }
            | Self::Unscore { .. } => 0,
        };
        added as u64
    }
}

/// The container inside, alone or copied; a fresh one in place of anything else.
macro_rules! container {
    ($slot:expr, $kind:ident) => {{
        if !matches!($slot.value, Value::$kind(_)) {
            $slot.value = Value::$kind(Arc::new($kind::default()));
        }
        let Value::$kind(inner) = &mut $slot.value else {
            return;
        };
        Arc::make_mut(inner)
    }};
}

/// Does an effect on what is there; the caller deletes, inserts and sets the version. Whether the value shares its structure with a reader's costs a path, not a copy.
pub(crate) fn change(slot: &mut Slot, effect: Effect) {
    match effect {
        Effect::Put { value, expires_ms } => {
            slot.value = value;
            slot.set_expires_ms(expires_ms);
        }
        Effect::Delete => {}
        Effect::Expire { at_ms } => slot.set_expires_ms(at_ms),
        Effect::Push { end, items } => {
            let list = container!(slot, List);
            items
                .into_iter()
                .for_each(|item| list.push(end == End::Front, item));
        }
        Effect::Pop { end, count } => {
            let list = container!(slot, List);
            for _ in 0..count.min(list.items.len() as u64) {
                list.pop(end == End::Front);
            }
        }
        Effect::Splice { at, removed, items } => {
            let list = container!(slot, List);
            list.splice(at as usize, removed as usize, items);
        }
        Effect::Merge { patch } => {
            let object = container!(slot, Object);
            *object = object.merged(&patch);
        }
        other => change_keyed(slot, other),
    }
}

fn change_keyed(slot: &mut Slot, effect: Effect) {
    match effect {
        Effect::HashPut { fields } => {
            let hash = container!(slot, Hash);
            for (name, value) in fields {
                hash.put(name, value);
            }
        }
        Effect::HashRemove { fields } => {
            let hash = container!(slot, Hash);
            for name in fields {
                hash.remove(&name);
            }
        }
        Effect::SetAdd { members } => {
            let set = container!(slot, Set);
            for member in members {
                set.add(member);
            }
        }
        Effect::SetRemove { members } => {
            let set = container!(slot, Set);
            for member in members {
                set.remove(&member);
            }
        }
        Effect::Score { members } => {
            let set = container!(slot, SortedSet);
            for (score, member) in members {
                set.put(score, member);
            }
        }
        Effect::Unscore { members } => {
            let set = container!(slot, SortedSet);
            for member in members {
                set.remove(&member);
            }
        }
        _ => {}
    }
}
