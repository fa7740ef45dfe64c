//! [`Mark`]: where an attempt's writes stand before a branch that may give up, and how to get back there.
//!
//! What the branch has read stays read: if the other one gives up too, the attempt sleeps until something that either has
//! read changes.

use super::{path::Path, state::State, write::Write};
use std::collections::BTreeMap;

/// A copy of what is buffered. Values are shared, so it costs O(writes) however large they are.
pub(super) struct Mark {
    writes: Vec<Write>,
    made: BTreeMap<Path, usize>,
    messages: usize,
}

impl State {
    pub(super) fn mark(&mut self) -> Mark {
        self.unfold();
        Mark {
            writes: self.writes.iter().map(Write::again).collect(),
            made: self.made.clone(),
            messages: self.messages.len(),
        }
    }

    /// Takes back everything that was buffered since the mark.
    pub(super) fn back_to(&mut self, mark: Mark) {
        self.short = None;
        let Mark {
            writes,
            made,
            messages,
        } = mark;
        self.writes = writes;
        self.made = made;
        self.messages.truncate(messages);
        self.index_again();
    }
}
