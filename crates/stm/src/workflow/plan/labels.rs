//! [`Labels`]: what the steps of a plan are called in progress, errors and the plan's text.
//!
//! A label is the step's id, or else what it runs, or else what it is and its line. No two of a plan are the same: the
//! second has `#2` behind it.

use crate::workflow::model::{Action, Step};
use std::{collections::HashMap, sync::Arc};

/// Every label of a plan, and the last number that was put behind it.
#[derive(Debug, Default)]
pub(super) struct Labels {
    used: HashMap<Arc<str>, u32>,
}

impl Labels {
    /// The label of one more step. Linear in the number of steps over all of them.
    pub(super) fn of(&mut self, step: &Step) -> Arc<str> {
        let line = step.place.line;
        self.distinct(match (&step.id, &step.action) {
            (Some(name), _) | (None, Action::Process(name) | Action::Flow(name)) => Arc::from(&*name.text),
            (None, Action::Set(_)) => Arc::from(format!("set@{line}")),
            (None, Action::Steps(_)) => Arc::from(format!("steps@{line}")),
            (None, Action::If { .. }) => Arc::from(format!("if@{line}")),
            (None, Action::While { .. }) => Arc::from(format!("while@{line}")),
        })
    }

    fn distinct(&mut self, wanted: Arc<str>) -> Arc<str> {
        let mut label = Arc::clone(&wanted);
        let mut number = self.used.get(&wanted).copied().unwrap_or(1);
        while self.used.contains_key(&label) {
            number += 1;
            label = Arc::from(format!("{wanted}#{number}"));
        }
        self.used.insert(Arc::clone(&label), 1);
        self.used.insert(wanted, number);
        label
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_are_the_same() {
        let mut labels = Labels::default();
        let wanted = ["a", "a#2", "a", "a", "a#2", "b", "a"];
        let given = wanted.map(|label| labels.distinct(Arc::from(label)).to_string());
        assert_eq!(given, ["a", "a#2", "a#3", "a#4", "a#2#2", "b", "a#5"]);
    }
}
