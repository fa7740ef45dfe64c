//! A second, naive controller, written from the contract alone. Without a fault it passes; with one it fails one clause.

use super::{covers_every_clause, fails_exactly};
use crate::subjects::{CREDITS, Stepped, full, settle};
use quintet_core::{
    Commit, Completion, Consumer, Controller, Doorbell, ErrorKind, Keyed, KeyedReply, Message,
    MessageHandler, Producer, Queue, QueueWorker, Request, Result, Seq, Tick,
    conformance::controller::{Capabilities, Subject, clauses},
    fake::{FakeConsumer, FakeHandler, FakeProducer, FakeQueue},
};
use std::num::NonZeroUsize;

#[derive(Clone, Copy, Debug, PartialEq)]
enum Fault {
    None,
    AlwaysWorks,
    IgnoresTheBudget,
    AnswersTheNeighbour,
    BeginsAtTheFirst,
    ForgetsOthersOfTheGone,
    HidesTheFailure,
    AnswersTooEarly,
    CommitsBeforeReads,
    DropsWhatIsQueued,
    KeepsPortsOpen,
    FailsTheSecondTime,
}

/// Queue halves of one worker; `None` when it is gone.
type Port = Option<(FakeConsumer<Request<Keyed>>, FakeProducer<Completion<Keyed>>)>;
type Answer = (usize, Completion<Keyed>);

struct Naive {
    fault: Fault,
    handler: FakeHandler,
    ports: Vec<Port>,
    first: usize,
    pending: Vec<(Seq, Vec<Answer>)>,
    closed: bool,
}

impl Naive {
    fn connect(&mut self) -> Option<QueueWorker<Keyed>> {
        if self.closed && self.fault != Fault::KeepsPortsOpen {
            return None;
        }
        let (requests, requests_out) = FakeQueue::bounded(CREDITS);
        let (replies, replies_out) = FakeQueue::bounded(CREDITS);
        self.ports.push(Some((requests_out, replies)));
        let bell = Doorbell::silent();
        Some(QueueWorker::new(
            Box::new(requests),
            Box::new(replies_out),
            CREDITS,
            bell,
        ))
    }

    fn collect(&mut self, budget: usize) -> Vec<(usize, Request<Keyed>)> {
        let mut taken = Vec::new();
        let ports = self.ports.len();
        let mut quiet = 0;
        let mut at = if self.fault == Fault::BeginsAtTheFirst {
            0
        } else {
            self.first
        };
        while taken.len() < budget && quiet < ports {
            at %= ports;
            let popped = self.ports[at].as_mut().map(|(requests, _)| requests.pop());
            match popped {
                Some(Ok(request)) => {
                    taken.push((at, request));
                    quiet = 0;
                    if self.fault == Fault::BeginsAtTheFirst {
                        continue;
                    }
                }
                Some(Err(quintet_core::PopError::Closed)) => {
                    self.ports[at] = None;
                    if self.fault == Fault::ForgetsOthersOfTheGone {
                        taken.clear();
                        self.pending.clear();
                    }
                }
                _ => quiet += 1,
            }
            at += 1;
        }
        self.first = at;
        taken
    }

    fn send(&mut self, answers: Vec<Answer>) {
        for (at, answer) in answers {
            let at = match self.fault {
                Fault::AnswersTheNeighbour if matches!(answer.result, Ok(KeyedReply::Sum(_))) => {
                    (at + 1) % self.ports.len()
                }
                _ => at,
            };
            if let Some((_, replies)) = &mut self.ports[at] {
                let _gone = replies.push(answer);
            }
        }
    }

    fn handle(&mut self, taken: Vec<(usize, Request<Keyed>)>) -> Vec<Answer> {
        taken
            .into_iter()
            .map(|(at, Request { id, message })| {
                let result = self.handler.handle(message);
                (at, Completion { id, result })
            })
            .collect()
    }

    fn commit(&mut self, mut answers: Vec<Answer>) -> Result<()> {
        let committed = self.handler.commit();
        match &committed {
            Ok(Commit::Pending(seq)) if self.fault != Fault::AnswersTooEarly => {
                self.pending.push((*seq, answers));
                return Ok(());
            }
            Err(error) if self.fault != Fault::HidesTheFailure => {
                for (_, answer) in &mut answers {
                    answer.result = Err(error.clone());
                }
            }
            _ => {}
        }
        self.send(answers);
        committed.map(|_| ())
    }

    fn release(&mut self) -> usize {
        let durable = self.handler.durable().unwrap_or(Seq::ZERO);
        let (out, held) = std::mem::take(&mut self.pending)
            .into_iter()
            .partition(|(seq, _)| *seq <= durable);
        self.pending = held;
        let out: Vec<(Seq, Vec<Answer>)> = out;
        let count = out.len();
        out.into_iter().for_each(|(_, answers)| self.send(answers));
        count
    }

    fn turn(&mut self, budget: usize) -> usize {
        let released = self.release();
        let taken = self.collect(budget);
        let worked = released + taken.len();
        let (reads, writes): (Vec<_>, Vec<_>) = taken
            .into_iter()
            .partition(|(_, request)| request.message.rank() == 0);
        if self.fault == Fault::CommitsBeforeReads && !writes.is_empty() {
            let answers = self.handle(writes);
            let _told = self.commit(answers);
            let answers = self.handle(reads);
            self.send(answers);
            return worked;
        }
        let answers = self.handle(reads);
        self.send(answers);
        if !writes.is_empty() {
            let answers = self.handle(writes);
            let _told = self.commit(answers);
        }
        worked
    }
}

impl Controller for Naive {
    fn tick(&mut self, budget_messages: NonZeroUsize) -> Result<Tick> {
        if self.closed {
            return Ok(Tick::Closed);
        }
        let budget = match self.fault {
            Fault::IgnoresTheBudget => 1_000,
            _ => budget_messages.get(),
        };
        let worked = self
            .turn(budget)
            .max(usize::from(self.fault == Fault::AlwaysWorks));
        Ok(NonZeroUsize::new(worked).map_or(Tick::Idle, Tick::Worked))
    }

    fn shutdown(&mut self) -> Result<()> {
        if self.closed {
            return match self.fault {
                Fault::FailsTheSecondTime => Err(ErrorKind::Closed.into()),
                _ => Ok(()),
            };
        }
        self.closed = true;
        if self.fault != Fault::DropsWhatIsQueued {
            self.turn(1_000);
        }
        if self.fault != Fault::KeepsPortsOpen {
            self.ports.clear();
        }
        Ok(())
    }
}

impl Subject for Naive {
    type Controller = Self;
    type Worker = QueueWorker<Keyed>;

    fn capabilities(&self) -> Capabilities {
        Capabilities::ALL
    }
    fn controller(&mut self) -> &mut Self {
        self
    }
    fn connect(&mut self) -> Option<QueueWorker<Keyed>> {
        Naive::connect(self)
    }
    fn fail_next_commit(&mut self) {
        self.handler.fail_next_commit(full());
    }
    fn hold_flushes(&mut self) {
        self.handler.delay_commits(true);
    }
    fn settle(&mut self) {
        settle(&mut self.handler);
    }
}

fn naive(fault: Fault) -> impl Fn() -> Naive + Clone + 'static {
    move || Naive {
        fault,
        handler: FakeHandler::new(),
        ports: Vec::new(),
        first: 0,
        pending: Vec::new(),
        closed: false,
    }
}

const CASES: &[(Fault, &[&str])] = &[
    (Fault::AlwaysWorks, &["idle_is_idle"]),
    (Fault::IgnoresTheBudget, &["at_most_the_budget_per_tick"]),
    (Fault::AnswersTheNeighbour, &["replies_go_to_the_asking_port"]),
    (Fault::BeginsAtTheFirst, &["no_port_starves"]),
    (
        Fault::ForgetsOthersOfTheGone,
        &[
            "a_gone_worker_harms_nobody",
            "a_failed_commit_fails_its_batch",
            "at_most_the_budget_per_tick",
        ],
    ),
    (Fault::HidesTheFailure, &["a_failed_commit_fails_its_batch"]),
    (
        Fault::AnswersTooEarly,
        &["no_write_is_answered_before_its_commit"],
    ),
    (Fault::CommitsBeforeReads, &["a_read_never_sees_uncommitted"]),
    (
        Fault::DropsWhatIsQueued,
        &["shutdown_answers_what_is_queued", "shutdown_is_idempotent"],
    ),
    (Fault::KeepsPortsOpen, &["shutdown_closes_every_port"]),
    (Fault::FailsTheSecondTime, &["shutdown_is_idempotent"]),
];

#[test]
fn without_a_fault_it_passes() {
    fails_exactly("controller", "has no fault", clauses(naive(Fault::None)), &[]);
}

#[test]
fn each_fault_is_caught_by_its_clause() {
    for (fault, expected) in CASES {
        fails_exactly(
            "controller",
            &format!("{fault:?}"),
            clauses(naive(*fault)),
            expected,
        );
    }
    let cases: Vec<_> = CASES.iter().map(|(_, expected)| *expected).collect();
    covers_every_clause(clauses(Stepped::<FakeQueue>::new), &cases);
}
