//! What only the writer may see: operations staged since the last commit, and committed ones that are not durable yet.
//!
//! Staged operations can be undone. Committed groups leave in commit order, whole, when the log has reached them.

use super::lmdb::Value;
use quintet_core::Seq;
use std::collections::{HashMap, VecDeque};

type Key = Box<[u8]>;

/// The operations of one commit, in order.
pub(super) struct Group {
    pub(super) seq: Seq,
    pub(super) operations: Vec<(Key, Option<Value>)>,
}

/// The writer's unsettled state.
#[derive(Default)]
pub(super) struct Overlay {
    staged: Vec<(Key, Option<Value>)>,
    /// The newest staged operation on a key.
    staged_at: HashMap<Key, usize, foldhash::fast::RandomState>,
    pending: VecDeque<Group>,
    /// The newest pending value of a key, and the group it belongs to.
    pending_at: HashMap<Key, (Seq, Option<Value>), foldhash::fast::RandomState>,
}

impl Overlay {
    /// `None` = nothing unsettled about this key; `Some(None)` = deleted.
    pub(super) fn get(&self, key: &[u8]) -> Option<Option<Value>> {
        if let Some(at) = self.staged_at.get(key) {
            return Some(self.staged[*at].1.clone());
        }
        self.pending_at.get(key).map(|(_, value)| value.clone())
    }

    pub(super) fn stage(&mut self, key: &[u8], value: Option<Value>) {
        self.staged_at.insert(key.into(), self.staged.len());
        self.staged.push((key.into(), value));
    }

    pub(super) fn staged(&self) -> &[(Key, Option<Value>)] {
        &self.staged
    }

    /// Forgets what was staged.
    pub(super) fn rollback(&mut self) {
        self.staged.clear();
        self.staged_at.clear();
    }

    /// What was staged is record `seq` of the log now.
    pub(super) fn commit(&mut self, seq: Seq) {
        self.staged_at.clear();
        let operations = std::mem::take(&mut self.staged);
        for (key, value) in &operations {
            self.pending_at.insert(key.clone(), (seq, value.clone()));
        }
        self.pending.push_back(Group { seq, operations });
    }

    /// The last committed position that is not settled.
    pub(super) fn last_pending(&self) -> Option<Seq> {
        self.pending.back().map(|group| group.seq)
    }

    /// Takes the oldest group if the log has reached it.
    pub(super) fn settle(&mut self, durable: Seq) -> Option<Group> {
        let group = self.pending.pop_front_if(|group| group.seq <= durable)?;
        for (key, _) in &group.operations {
            if self.pending_at.get(key).is_some_and(|(seq, _)| *seq == group.seq) {
                self.pending_at.remove(key);
            }
        }
        Some(group)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Option<Value> {
        Some(Value::from(text.as_bytes()))
    }

    #[test]
    fn rollback_uncovers_the_pending_value_and_settling_an_older_group_keeps_the_newer() {
        let mut overlay = Overlay::default();
        overlay.stage(b"k", value("1"));
        overlay.commit(Seq(1));
        overlay.stage(b"k", None);
        assert_eq!(overlay.get(b"k"), Some(None));
        overlay.rollback();
        assert_eq!(overlay.get(b"k"), Some(value("1")));
        overlay.stage(b"k", value("2"));
        overlay.commit(Seq(2));
        assert_eq!(overlay.settle(Seq(1)).unwrap().seq, Seq(1));
        assert!(overlay.settle(Seq(1)).is_none());
        assert_eq!(overlay.get(b"k"), Some(value("2")));
        assert_eq!(overlay.settle(Seq(2)).unwrap().seq, Seq(2));
        assert_eq!((overlay.get(b"k"), overlay.last_pending()), (None, None));
    }
}
