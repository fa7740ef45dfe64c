//! What a run tells: an [`Event`] at each turn, and a [`Report`] at its end.

use crate::{Change, ChangeSet, Error, Path, Value, Warning};
use std::{collections::BTreeMap, fmt, sync::Arc, time::Duration};

/// How many failures and warnings a report keeps.
const KEPT: usize = 100;

/// Which step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepName {
    /// Its id, or what it runs.
    pub label: Arc<str>,
    /// Its line in the file.
    pub line: u32,
}

impl fmt::Display for StepName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} (line {})", self.label, self.line)
    }
}

/// Something that happened in a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The run begins.
    Started {
        /// How many steps the workflow has; those of a flow count once.
        steps: usize,
    },
    /// A step begins.
    StepStarted {
        /// Which.
        step: StepName,
        /// Which attempt, from 1.
        attempt: u32,
    },
    /// A step has committed.
    StepDone {
        /// Which.
        step: StepName,
        /// The version that it made, if it recorded one.
        version: Option<u64>,
        /// How many values it changed.
        changes: usize,
        /// How long it ran.
        elapsed: Duration,
    },
    /// The audit let something pass.
    Warned {
        /// Which step.
        step: StepName,
        /// What.
        warning: Warning,
    },
    /// A step failed; nothing of it is left, unless it was raw.
    StepFailed {
        /// Which.
        step: StepName,
        /// Why.
        error: Error,
        /// If it is tried again: after how long.
        retry_in: Option<Duration>,
    },
    /// A step did not run, because of one that failed, or because the run was ended.
    StepSkipped {
        /// Which.
        step: StepName,
    },
    /// The run has ended.
    Ended {
        /// How.
        status: Status,
    },
}

/// How a run ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Status {
    /// Every step that was to run has committed.
    Succeeded,
    /// A step failed.
    Failed,
    /// It was cancelled.
    Cancelled,
}

impl Status {
    /// As it is written.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Cancelled => "cancelled",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A step that failed for good.
#[derive(Clone, Debug)]
pub struct StepFailure {
    /// Which; `None` = the run itself.
    pub step: Option<StepName>,
    /// Why.
    pub error: Error,
}

impl fmt::Display for StepFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.step {
            Some(step) => write!(f, "{step}: {}", self.error),
            None => write!(f, "{}", self.error),
        }
    }
}

/// How a run went.
#[derive(Clone, Debug)]
pub struct Report {
    /// How it ended.
    pub status: Status,
    /// How many steps have committed; each turn of a loop counts its own.
    pub done: u64,
    /// How many failed for good.
    pub failed: u64,
    /// How many did not run.
    pub skipped: u64,
    /// The first 100 failures.
    pub failures: Vec<StepFailure>,
    /// The first 100 warnings of the audit.
    pub warnings: Vec<Warning>,
    /// What is different by what the steps recorded, by path: the first old value and the last new one.
    pub changes: Vec<Change>,
    /// Whether `changes` is all: false if a change set had left the context's history before it was read.
    pub is_complete: bool,
    /// How long it took.
    pub elapsed: Duration,
}

impl Report {
    pub(super) fn new() -> Self {
        Self {
            status: Status::Succeeded,
            done: 0,
            failed: 0,
            skipped: 0,
            failures: Vec::new(),
            warnings: Vec::new(),
            changes: Vec::new(),
            is_complete: true,
            elapsed: Duration::ZERO,
        }
    }

    /// Whether every step that was to run has committed.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status == Status::Succeeded
    }

    pub(super) fn fail(&mut self, step: Option<StepName>, error: Error) {
        self.failed += u64::from(step.is_some());
        if self.failures.len() < KEPT {
            self.failures.push(StepFailure { step, error });
        }
    }

    pub(super) fn warn(&mut self, warning: Warning) {
        if self.warnings.len() < KEPT {
            self.warnings.push(warning);
        }
    }
}

/// Change sets of many steps made one: by version, because steps that ran at once are heard of in any order.
#[derive(Default)]
pub(super) struct Merged {
    paths: BTreeMap<Path, Span>,
}

struct Span {
    first: u64,
    old: Option<Value>,
    last: u64,
    new: Option<Value>,
}

impl Merged {
    pub(super) fn add(&mut self, set: &ChangeSet) {
        for change in &set.changes {
            let span = self.paths.entry(change.path.clone()).or_insert_with(|| Span {
                first: u64::MAX,
                old: None,
                last: 0,
                new: None,
            });
            if set.version < span.first {
                span.first = set.version;
                span.old.clone_from(&change.old);
            }
            if set.version >= span.last {
                span.last = set.version;
                span.new.clone_from(&change.new);
            }
        }
    }

    pub(super) fn into_changes(self) -> Vec<Change> {
        let changes = self.paths.into_iter().map(|(path, span)| Change {
            path,
            old: span.old,
            new: span.new,
        });
        changes.filter(|change| change.old != change.new).collect()
    }
}
