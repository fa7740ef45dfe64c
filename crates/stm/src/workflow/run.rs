//! Running a [`Plan`]: one driver, the calling thread, which starts each step when all that it waits for is done.
//!
//! | file | role |
//! |---|---|
//! | `run` | the loop: start what is ready, hear of what is done, retry, end |
//! | `next` | which step may start |
//! | `ends` | what follows when a step has ended |
//! | `lanes` | the pool's threads as this run sees them, one step each |
//! | `frames` | which list of steps is how far, blocks and loops within |
//!
//! The driver alone knows the state of the run; threads know one step. It waits only for the bell that they, and whoever
//! cancels, ring.

mod ends;
mod frames;
mod lanes;
mod next;

use super::{
    Plan, Pool,
    expr::Expression,
    plan::{Act, Job},
    pool::Task,
    report::{Event, Merged, Report, Status, StepFailure, StepName},
    token::{CancelToken, StepToken},
};
use crate::{Context, Error, Isolation, Result, Transaction, Value, process::message_of};
use frames::{Ended, Frames, Turn};
use lanes::Lanes;
use quintet_core::{Clock, SystemClock};
use std::{
    cmp::Reverse,
    collections::{BinaryHeap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::{Duration, Instant},
};

/// How long the driver sleeps at most while something is due: a clock that is not the system's may move meanwhile.
const LONGEST_NAP: Duration = Duration::from_millis(10);
/// How to run a plan.
pub struct RunOptions<'a> {
    /// Ends the run from outside.
    pub cancel: CancelToken,
    /// What time it is.
    pub clock: Arc<dyn Clock>,
    /// Is told what happens, on the calling thread, in order. It must not block for long: nothing starts meanwhile.
    pub observe: Box<dyn FnMut(Event) + 'a>,
}

impl Default for RunOptions<'_> {
    fn default() -> Self {
        Self {
            cancel: CancelToken::new(),
            clock: Arc::new(SystemClock),
            observe: Box::new(|_| {}),
        }
    }
}

/// A step of one frame, and which attempt at it this is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Turned {
    turn: Turn,
    attempt: u32,
}

struct Run<'a> {
    plan: &'a Plan,
    context: &'a Context,
    options: RunOptions<'a>,
    lanes: Lanes,
    frames: Frames,
    /// Steps that may start.
    ready: VecDeque<Turned>,
    /// Blocks that may begin, and do not while very many are under way. The last is the innermost and begins first.
    held: Vec<Turned>,
    /// Steps to try again, and when.
    delayed: BinaryHeap<Reverse<(Instant, Turned)>>,
    report: Report,
    merged: Merged,
    /// How many steps and turns of loops have begun.
    operations: u64,
    deadline: Option<Instant>,
    /// Nothing more starts.
    stopping: bool,
}

impl Plan {
    /// Runs it on a context. Blocks until every step has ended.
    ///
    /// Each step is a transaction of its own, and durable as the context is before the next one starts. A failed run
    /// keeps what its steps have committed.
    #[must_use]
    pub fn run(&self, context: &Context, pool: &Pool, options: RunOptions<'_>) -> Report {
        let began = options.clock.now();
        let lanes = Lanes::new(pool);
        options.cancel.listen(lanes.bell());
        let mut run = Run {
            plan: self,
            context,
            deadline: self.inner.timeout.map(|limit| began + limit),
            lanes,
            frames: Frames::default(),
            ready: VecDeque::new(),
            held: Vec::new(),
            delayed: BinaryHeap::new(),
            report: Report::new(),
            merged: Merged::default(),
            operations: 0,
            stopping: false,
            options,
        };
        run.tell(Event::Started {
            steps: self.inner.steps,
        });
        run.enter(0, None);
        run.drive();
        let mut report = run.report;
        // A step may meet the cancellation before the run has looked at it: that alone is no failure.
        let is_cancelled = |failure: &StepFailure| matches!(failure.error, Error::Cancelled);
        if run.options.cancel.is_cancelled()
            && !report.failures.is_empty()
            && report.failures.iter().all(is_cancelled)
        {
            report.status = Status::Cancelled;
        }
        report.changes = run.merged.into_changes();
        report.elapsed = run.options.clock.now().saturating_duration_since(began);
        (run.options.observe)(Event::Ended {
            status: report.status,
        });
        report
    }
}

impl Run<'_> {
    fn tell(&mut self, event: Event) {
        (self.options.observe)(event);
    }

    fn drive(&mut self) {
        loop {
            self.look_at_the_clock();
            while let Some(turned) = self.next_ready() {
                self.begin(turned);
            }
            if self.lanes.in_flight() == 0 && self.ready.is_empty() {
                match self.delayed.peek() {
                    None => return,
                    Some(Reverse((due, _))) if *due <= self.options.clock.now() => continue,
                    Some(_) => {}
                }
            }
            self.wait();
            for arrived in self.lanes.reap() {
                self.arrive(arrived);
            }
        }
    }

    fn wait(&mut self) {
        let due = self.delayed.peek().map(|Reverse((due, _))| *due);
        let next = [due, self.lanes.next_deadline(), self.deadline]
            .into_iter()
            .flatten()
            .min();
        let now = self.options.clock.now();
        let nap = next.map(|next| next.saturating_duration_since(now).min(LONGEST_NAP));
        // What is due already is looked at without a nap of no length, which would spin.
        let nap = nap.map(|nap| nap.max(Duration::from_micros(50)));
        let was_cancelled = self.stopping;
        let cancel = self.options.cancel.clone();
        self.lanes.wait(nap, || cancel.is_cancelled() && !was_cancelled);
    }

    /// What has become due: cancellation, the run's time, steps' times, second attempts.
    fn look_at_the_clock(&mut self) {
        if self.options.cancel.is_cancelled() && self.report.status != Status::Cancelled {
            self.report.status = Status::Cancelled;
            self.stop(&Error::Cancelled);
        }
        if self.deadline.is_none() && self.delayed.is_empty() && self.lanes.next_deadline().is_none() {
            return;
        }
        let now = self.options.clock.now();
        if !self.stopping && self.deadline.is_some_and(|deadline| now >= deadline) {
            let limit = self.plan.inner.timeout.unwrap_or_default();
            let limit_ms = u64::try_from(limit.as_millis()).unwrap_or(u64::MAX);
            let error = Error::DeadlinePassed { limit_ms };
            self.report.status = Status::Failed;
            self.report.fail(None, error.clone());
            self.stop(&error);
        }
        for (turned, error) in self.lanes.stop_late(now) {
            self.failed(turned, error);
        }
        while let Some(Reverse((due, turned))) = self.delayed.peek().copied() {
            if due > now && !self.stopping {
                break;
            }
            self.delayed.pop();
            self.ready.push_back(turned);
        }
    }

    /// Nothing more starts; what runs is ended, unless it is about to commit.
    fn stop(&mut self, why: &Error) {
        self.stopping = true;
        for turned in self.lanes.stop_all() {
            self.failed(turned, why.clone());
        }
        while let Some(Reverse((_, turned))) = self.delayed.pop() {
            self.ready.push_back(turned);
        }
        self.ready.extend(self.held.drain(..));
    }

    fn begin(&mut self, turned: Turned) {
        let plan = self.plan;
        let act = self.frames.act(plan, turned.turn);
        if self.stopping {
            return self.skip(turned.turn);
        }
        match act {
            Act::Join => self.finish(turned.turn, Ended::Done),
            Act::Run(job) => self.start(turned, job),
            Act::Block(graph) => self.enter(*graph, Some(turned.turn)),
            Act::If {
                condition,
                then,
                otherwise,
            } => match self.decide(turned.turn, condition) {
                Ok(true) => self.enter(*then, Some(turned.turn)),
                Ok(false) => match otherwise {
                    Some(graph) => self.enter(*graph, Some(turned.turn)),
                    None => self.finish(turned.turn, Ended::Done),
                },
                Err(error) => self.failed(turned, error),
            },
            Act::While { .. } => self.turn_loop(turned.turn, 0),
        }
    }

    /// Begins the next turn of a loop, or ends it.
    fn turn_loop(&mut self, turn: Turn, turns: u64) {
        let plan = self.plan;
        let Act::While {
            condition,
            body,
            max_ops,
        } = self.frames.act(plan, turn)
        else {
            return;
        };
        let turned = Turned { turn, attempt: 1 };
        if self.stopping {
            return self.skip(turn);
        }
        match self.decide(turn, condition) {
            Ok(false) => self.finish(turn, Ended::Done),
            Ok(true) if turns >= u64::from(*max_ops) => {
                self.failed(turned, tripped("turns of this loop", u64::from(*max_ops)));
            }
            Ok(true) => {
                let frame = self.frames.enter(plan, *body, Some(turn), turns + 1);
                self.push_ready(frame);
            }
            Err(error) => self.failed(turned, error),
        }
    }

    fn enter(&mut self, graph: usize, parent: Option<Turn>) {
        let ready = self.frames.enter(self.plan, graph, parent, 0);
        self.push_ready(ready);
    }

    fn start(&mut self, turned: Turned, job: &Arc<Job>) {
        if let Err(error) = self.count() {
            self.report.status = Status::Failed;
            self.failed(turned, error.clone());
            return self.stop(&error);
        }
        let step = self.frames.name(self.plan, turned.turn);
        self.tell(Event::StepStarted {
            step,
            attempt: turned.attempt,
        });
        let clock = &self.options.clock;
        let deadline = job.timeout.map(|limit| (clock.now() + limit, limit));
        let token = Arc::new(StepToken::new(
            self.options.cancel.clone(),
            deadline,
            Arc::clone(clock),
        ));
        let task = Task {
            job: Arc::clone(job),
            context: self.context.clone(),
            token,
            clock: Arc::clone(clock),
        };
        // One that is alone and has all the time it wants runs here; the others must leave the driver free.
        let inline = self.is_alone() && deadline.is_none() && self.deadline.is_none();
        let arrived = if inline || !self.lanes.is_free() {
            Some(self.lanes.run_here(turned, task))
        } else {
            self.lanes.send(turned, task)
        };
        if let Some(arrived) = arrived {
            self.arrive(arrived);
        }
    }

    /// One more step or turn.
    fn count(&mut self) -> Result<()> {
        let limit = u64::from(self.plan.inner.max_ops);
        self.operations += 1;
        if self.operations > limit {
            return Err(tripped("operations", limit));
        }
        Ok(())
    }

    fn decide(&mut self, turn: Turn, condition: &Expression) -> Result<bool> {
        self.count().inspect_err(|_| self.stopping = true)?;
        let how = Transaction::new(Isolation::Safe).label("workflow");
        let ask = || {
            self.context
                .transact(&how, |tx| condition.evaluate(&mut |path, _| tx.get(path)))
        };
        let answer = catch_unwind(AssertUnwindSafe(ask)).unwrap_or_else(|panic| {
            Err(Error::Panicked {
                process: self.frames.name(self.plan, turn).label.to_string(),
                message: message_of(&*panic),
            })
        });
        match answer?.0 {
            Value::Bool(set) => Ok(set),
            other => Err(Error::TypeClash {
                path: format!("condition `{}`", condition.text()),
                expected: "true or false".into(),
                found: other.kind().into(),
            }),
        }
    }
}

fn tripped(what: &'static str, limit: u64) -> Error {
    Error::InvalidOperation {
        at: "max_ops".into(),
        reason: format!("more than {limit} {what}; is there a loop without an end?"),
    }
}

impl Frames {
    fn name(&self, plan: &Plan, turn: Turn) -> StepName {
        self.name_in(plan, self.graph_of(turn), turn.node)
    }

    fn name_in(&self, plan: &Plan, graph: usize, node: u32) -> StepName {
        let node = &plan.inner.graphs[graph].nodes[node as usize];
        StepName {
            label: Arc::clone(&node.label),
            line: node.line,
        }
    }

    fn act<'p>(&self, plan: &'p Plan, turn: Turn) -> &'p Act {
        &plan.inner.graphs[self.graph_of(turn)].nodes[turn.node as usize].act
    }
}
