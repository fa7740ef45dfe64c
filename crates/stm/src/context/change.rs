//! [`ChangeSet`]: what one commit changed, who did it, and what it sends.

use super::{path::Path, value::Value};
use crate::Isolation;
use std::sync::Arc;

/// One value before and after.
#[derive(Clone, Debug, PartialEq)]
pub struct Change {
    /// Which value.
    pub path: Path,
    /// What it was; `None` = it was not there.
    pub old: Option<Value>,
    /// What it is; `None` = it is gone.
    pub new: Option<Value>,
}

/// What one commit did.
#[derive(Clone, Debug, PartialEq)]
pub struct ChangeSet {
    /// The context's version that it made.
    pub version: u64,
    /// The label of the transaction.
    pub who: Arc<str>,
    /// The level it ran at.
    pub isolation: Isolation,
    /// Every value it changed, by path.
    pub changes: Vec<Change>,
    /// What it put into the outbox.
    pub messages: Vec<Message>,
}

/// Something to be delivered at least once, because its transaction has committed.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Grows with every message of the context; the receiver can use it to recognise a repetition.
    pub id: u64,
    /// Where to.
    pub topic: Arc<str>,
    /// What.
    pub payload: Value,
}

/// Puts the effect of several change sets, oldest first, into one: the first `old` and the last `new` of each path that
/// ends up different.
pub(crate) fn merge(sets: impl Iterator<Item = Arc<ChangeSet>>) -> Vec<Change> {
    let mut merged: std::collections::BTreeMap<Path, Change> = std::collections::BTreeMap::new();
    for set in sets {
        for change in &set.changes {
            merged
                .entry(change.path.clone())
                .and_modify(|known| known.new.clone_from(&change.new))
                .or_insert_with(|| change.clone());
        }
    }
    merged
        .into_values()
        .filter(|change| change.old != change.new)
        .collect()
}
