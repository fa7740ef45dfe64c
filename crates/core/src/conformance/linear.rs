//! A linearizability checker for histories of [`Keyed`] operations on one key: Wing and Gong's search, with a memo.
//!
//! A history is linearizable when its operations can be put in one order that respects real time (what had returned
//! before another was invoked comes first) and in which every reply is the sequential one. The search places operations
//! one by one; which were placed and what the value is then is remembered, so that no such point is explored twice.

use crate::{Keyed, KeyedReply};
use std::{collections::HashSet, fmt};

/// How many operations one history may hold.
pub const MAX_OPERATIONS: usize = 128;

/// One operation as its caller saw it. Times come from one counter that all callers share.
#[derive(Clone, Debug)]
pub struct Operation {
    /// What was asked. Its key is not looked at: a history is about one key.
    pub call: Keyed,
    /// When it was asked.
    pub invoked: u64,
    /// What was answered and when; `None` = the outcome is unknown: it took effect at some time, or never will.
    pub returned: Option<(u64, Reply)>,
}

/// A reply as the checker compares it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Reply {
    /// The operation succeeded with this reply.
    Answer(KeyedReply),
    /// The operation was refused as invalid and had no effect.
    Refused,
}

/// There is no order that explains the history.
#[derive(Clone, Debug)]
pub struct NotLinearizable {
    history: Vec<Operation>,
    placed: usize,
}

impl fmt::Display for NotLinearizable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (placed, all) = (self.placed, self.history.len());
        writeln!(
            f,
            "no order explains these operations; at most {placed} of {all} could be placed:"
        )?;
        for operation in &self.history {
            let Operation {
                call,
                invoked,
                returned,
            } = operation;
            match returned {
                Some((at, reply)) => writeln!(f, "  {invoked}..{at} {call:?} -> {reply:?}")?,
                None => writeln!(f, "  {invoked}.. {call:?} -> unknown")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for NotLinearizable {}

type Value = Option<Vec<u8>>;

/// Checks the operations on one key, which at first has no value.
///
/// # Errors
/// [`NotLinearizable`] with the history when no order explains it.
///
/// # Panics
/// When there are more than [`MAX_OPERATIONS`].
pub fn check(history: &[Operation]) -> Result<(), NotLinearizable> {
    assert!(
        history.len() <= MAX_OPERATIONS,
        "a history of {} operations is longer than {MAX_OPERATIONS}",
        history.len()
    );
    let mut search = Search {
        history,
        seen: HashSet::new(),
        deepest: 0,
    };
    if search.place_the_rest(0, &None) {
        Ok(())
    } else {
        Err(NotLinearizable {
            history: history.to_vec(),
            placed: search.deepest,
        })
    }
}

struct Search<'a> {
    history: &'a [Operation],
    /// Dead ends: which operations were placed, and the value then.
    seen: HashSet<(u128, Value)>,
    deepest: usize,
}

impl Search<'_> {
    fn place_the_rest(&mut self, placed: u128, value: &Value) -> bool {
        self.deepest = self.deepest.max(placed.count_ones() as usize);
        let waiting = |at: &usize| placed & (1 << at) == 0;
        let history = self.history;
        // Whatever returned first among the rest must be placed before anything invoked after that.
        let first_return = (0..history.len())
            .filter(waiting)
            .filter_map(|at| history[at].returned.as_ref().map(|(time, _)| *time))
            .min();
        let Some(first_return) = first_return else {
            return true; // Those of unknown outcome may never have happened.
        };
        if !self.seen.insert((placed, value.clone())) {
            return false;
        }
        for at in (0..history.len()).filter(waiting) {
            let operation = &history[at];
            if operation.invoked > first_return {
                continue;
            }
            let (next, reply) = step(value, &operation.call);
            let explained = match &operation.returned {
                Some((_, seen)) => *seen == reply,
                None => true,
            };
            if explained && self.place_the_rest(placed | 1 << at, &next) {
                return true;
            }
        }
        false
    }
}

/// The sequential meaning of one operation: the value afterwards, and the reply.
fn step(value: &Value, call: &Keyed) -> (Value, Reply) {
    match call {
        Keyed::Get { .. } => (value.clone(), Reply::Answer(KeyedReply::Value(value.clone()))),
        Keyed::Put { value, .. } => (Some(value.clone()), Reply::Answer(KeyedReply::Stored)),
        Keyed::Add { delta, .. } => match Keyed::add_to(value.as_deref(), *delta) {
            Ok(sum) => (
                Some(sum.to_le_bytes().to_vec()),
                Reply::Answer(KeyedReply::Sum(sum)),
            ),
            Err(_) => (value.clone(), Reply::Refused),
        },
        Keyed::Delete { .. } => (None, Reply::Answer(KeyedReply::Deleted(value.is_some()))),
    }
}
