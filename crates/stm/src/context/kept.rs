//! [`Kept`]: a change set in the history's ring. Of the usual small ones only the contents are kept, in place, so that a
//! commit allocates nothing for them; the set itself is made when somebody asks.

use super::{
    cell::Cell,
    change::{Change, ChangeSet},
    value::Value,
};
use crate::{Isolation, label::Label};
use std::sync::Arc;

#[derive(Debug)]
pub(super) enum Kept {
    One(One),
    Whole(Arc<ChangeSet>),
}

/// One value replaced, and no message.
#[derive(Clone, Debug)]
pub(super) struct One {
    pub(super) version: u64,
    pub(super) who: Label,
    pub(super) isolation: Isolation,
    pub(super) cell: Arc<Cell>,
    pub(super) old: Value,
    pub(super) new: Value,
}

impl Kept {
    pub(super) fn version(&self) -> u64 {
        match self {
            Self::One(one) => one.version,
            Self::Whole(set) => set.version,
        }
    }

    pub(super) fn set(&self) -> Arc<ChangeSet> {
        match self {
            Self::Whole(set) => Arc::clone(set),
            Self::One(one) => Arc::new(ChangeSet {
                version: one.version,
                who: one.who.name(),
                isolation: one.isolation,
                changes: vec![Change {
                    path: one.cell.path.clone(),
                    old: Some(one.old.clone()),
                    new: Some(one.new.clone()),
                }],
                messages: Vec::new(),
            }),
        }
    }
}
