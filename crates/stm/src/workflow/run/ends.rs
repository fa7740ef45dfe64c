//! What follows when a step has ended: tell, count, try again, go on with what waited for it.

use super::{
    Run, Turned,
    frames::{Ended, Turn},
    lanes::Arrived,
};
use crate::{
    Error,
    workflow::{
        model::OnFailure,
        plan::Act,
        pool::Done,
        report::{Event, Status},
    },
};
use std::{cmp::Reverse, time::Duration};

/// The longest wait between two attempts.
const LONGEST_BACKOFF: Duration = Duration::from_secs(60);

impl Run<'_> {
    pub(super) fn arrive(&mut self, arrived: Arrived) {
        let Arrived { turned, done } = arrived;
        let Done {
            result,
            changes,
            elapsed,
        } = done;
        let outcome = match result {
            Ok(outcome) => outcome,
            Err(error) => return self.failed(turned, error),
        };
        let step = self.frames.name(self.plan, turned.turn);
        for warning in outcome.warnings {
            self.report.warn(warning.clone());
            self.tell(Event::Warned {
                step: step.clone(),
                warning,
            });
        }
        match &changes {
            Some(set) => self.merged.add(set),
            None => self.report.is_complete &= outcome.version.is_none(),
        }
        self.report.done += 1;
        self.tell(Event::StepDone {
            step,
            version: outcome.version,
            changes: changes.map_or(0, |set| set.changes.len()),
            elapsed,
        });
        self.finish(turned.turn, Ended::Done);
    }

    pub(super) fn failed(&mut self, turned: Turned, error: Error) {
        let step = self.frames.name(self.plan, turned.turn);
        let retry_in = self.retry_in(turned, &error);
        let now = self.options.clock.now();
        self.tell(Event::StepFailed {
            step: step.clone(),
            error: error.clone(),
            retry_in,
        });
        if let Some(backoff) = retry_in {
            let again = Turned {
                attempt: turned.attempt + 1,
                ..turned
            };
            self.delayed.push(Reverse((now + backoff, again)));
            return;
        }
        let ends_all = matches!(&error, Error::Audit { level, .. } if level.ends_workflow())
            || self.plan.inner.on_failure == OnFailure::FailFast;
        if self.report.status == Status::Succeeded {
            self.report.status = Status::Failed;
        }
        self.report.fail(Some(step), error);
        if ends_all && !self.stopping {
            self.stop(&Error::Cancelled);
        }
        self.finish(turned.turn, Ended::Failed);
    }

    /// Whether, and after how long, a failed step is tried again.
    pub(super) fn retry_in(&self, turned: Turned, error: &Error) -> Option<Duration> {
        let Act::Run(job) = self.frames.act(self.plan, turned.turn) else {
            return None;
        };
        let is_hopeless = match error {
            // A contract is broken by the code, and an interlock is not to be worn down.
            Error::Violation { .. } | Error::Cancelled => true,
            Error::Audit { level, .. } => level.ends_workflow(),
            _ => false,
        };
        if self.stopping || is_hopeless || turned.attempt >= job.retry.attempts {
            return None;
        }
        let doubled = job
            .retry
            .backoff
            .saturating_mul(1_u32 << (turned.attempt - 1).min(16));
        Some(doubled.min(LONGEST_BACKOFF))
    }

    pub(super) fn skip(&mut self, turn: Turn) {
        if !matches!(self.frames.act(self.plan, turn), Act::Join) {
            self.report.skipped += 1;
            let step = self.frames.name(self.plan, turn);
            self.tell(Event::StepSkipped { step });
        }
        self.finish(turn, Ended::Skipped);
    }

    /// A step has ended: what waited for it may be ready, its list may be at its end, and so on outwards.
    pub(super) fn finish(&mut self, turn: Turn, ended: Ended) {
        let mut next = Some((turn, ended));
        while let Some((turn, ended)) = next.take() {
            let finished = self.frames.finish(self.plan, turn, ended);
            for skipped in finished.skipped {
                self.report.skipped += 1;
                let step = self.frames.name_in(self.plan, finished.graph, skipped);
                self.tell(Event::StepSkipped { step });
            }
            self.push_ready(finished.ready);
            let Some(list) = finished.list else { return };
            let Some(parent) = list.parent else { return };
            if list.turns > 0 && list.ended == Ended::Done {
                return self.turn_loop(parent, list.turns);
            }
            next = Some((parent, list.ended));
        }
    }

    pub(super) fn push_ready(&mut self, turns: Vec<Turn>) {
        self.ready
            .extend(turns.into_iter().map(|turn| Turned { turn, attempt: 1 }));
    }
}
