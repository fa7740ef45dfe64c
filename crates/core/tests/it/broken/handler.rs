//! Handlers with one fault each, over the fake one.

use super::{covers_every_clause, fails_exactly};
use crate::subjects::{Alone, full, settle};
use quintet_core::{
    Budget, Commit, Completion, Deadline, Keyed, KeyedReply, Message, MessageHandler, Request, Result, Seq,
    conformance::{
        KeyedProbe,
        handler::{Capabilities, Subject, clauses, durable_clauses},
    },
    fake::FakeHandler,
};
use std::{collections::BTreeMap, mem};

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    ForgetsTheLast,
    LeavesATrace,
    KeepsWhatFailed,
    DropsPendingOnFailure,
    ReversesABatch,
    ReadsItsOverlay,
    ReadsPending,
    ForgetsPending,
    IsDurableAtOnce,
    CommitsInMaintenance,
    OpensEmpty,
    CommitsOnOpen,
    LosesTheLogBehindPending,
    ReplaysWhatFailed,
}

struct Broken {
    inner: FakeHandler,
    fault: Fault,
    fail: bool,
    /// Writes since the last commit, by key.
    overlay: BTreeMap<Vec<u8>, Vec<u8>>,
    pending: BTreeMap<Vec<u8>, Vec<u8>>,
    failed: Vec<Keyed>,
    open: Vec<Keyed>,
}

impl MessageHandler<Keyed> for Broken {
    fn handle(&mut self, message: Keyed) -> Result<KeyedReply> {
        if let Keyed::Get { key } = &message {
            let seen = match self.fault {
                Fault::ReadsItsOverlay => self.overlay.get(key),
                Fault::ReadsPending => self.pending.get(key),
                _ => None,
            };
            if let Some(value) = seen {
                return Ok(KeyedReply::Value(Some(value.clone())));
            }
        }
        if message.rank() > 0 {
            self.open.push(message.clone());
        }
        if let Keyed::Put { key, value } = &message {
            self.overlay.insert(key.clone(), value.clone());
        }
        let key = message.key().to_vec();
        let reply = self.inner.handle(message);
        if reply.is_err() && self.fault == Fault::LeavesATrace {
            let value = b"trace".to_vec();
            self.inner.handle(Keyed::Put { key, value })?;
        }
        reply
    }

    fn commit(&mut self) -> Result<Commit> {
        let open = mem::take(&mut self.open);
        let overlay = mem::take(&mut self.overlay);
        if mem::take(&mut self.fail) {
            match self.fault {
                Fault::KeepsWhatFailed => return Err(full()),
                Fault::DropsPendingOnFailure => {
                    self.inner = mem::take(&mut self.inner).reopen();
                    return Err(full());
                }
                _ => self.failed.extend(open),
            }
            self.inner.fail_next_commit(full());
            return self.inner.commit();
        }
        let commit = self.inner.commit()?;
        if commit != Commit::Done {
            self.pending.extend(overlay);
        }
        if self.fault == Fault::ForgetsPending && open.is_empty() {
            return Ok(Commit::Done);
        }
        Ok(commit)
    }

    fn durable(&mut self) -> Result<Seq> {
        if self.fault == Fault::IsDurableAtOnce {
            return Ok(Seq::MAX);
        }
        self.inner.durable()
    }

    fn maintain(&mut self, budget: Budget) -> Option<Deadline> {
        if self.fault == Fault::CommitsInMaintenance {
            let _committed = self.inner.commit();
        }
        self.inner.maintain(budget)
    }

    fn handle_batch(&mut self, batch: &mut Vec<Request<Keyed>>, out: &mut Vec<Completion<Keyed>>) {
        match self.fault {
            Fault::ReversesABatch => batch.sort_by_key(|request| std::cmp::Reverse(request.id)),
            _ => batch.sort_by_key(|request| request.message.rank()),
        }
        let forgotten = match self.fault {
            Fault::ForgetsTheLast if batch.len() > 20 && batch[0].id.0 > 1_000 => batch.pop(),
            _ => None,
        };
        for Request { id, message } in batch.drain(..) {
            let result = self.handle(message);
            out.push(Completion { id, result });
        }
        drop(forgotten);
    }
}

struct BrokenSubject(Broken);

impl Subject for BrokenSubject {
    type Probe = KeyedProbe;
    type Handler = Broken;

    fn capabilities(&self) -> Capabilities {
        Capabilities::ALL
    }
    fn handler(&mut self) -> &mut Broken {
        &mut self.0
    }
    fn fail_next_commit(&mut self) {
        self.0.fail = true;
    }
    fn hold_flushes(&mut self) {
        self.0.inner.delay_commits(true);
    }
    fn settle(&mut self) {
        self.0.pending.clear();
        settle(&mut self.0.inner);
    }
    fn reopen(&mut self) {
        let broken = &mut self.0;
        let held = broken.inner.durable().unwrap() != Seq::MAX;
        if broken.fault == Fault::CommitsOnOpen {
            let _committed = broken.inner.commit();
        }
        broken.inner = match broken.fault {
            Fault::OpensEmpty => FakeHandler::new(),
            Fault::LosesTheLogBehindPending if held => FakeHandler::new(),
            _ => mem::take(&mut broken.inner).reopen(),
        };
        broken.overlay.clear();
        broken.pending.clear();
        broken.open.clear();
        if broken.fault == Fault::ReplaysWhatFailed {
            for message in mem::take(&mut broken.failed) {
                broken.inner.handle(message).unwrap();
            }
            let _committed = broken.inner.commit().unwrap();
        }
    }
}

fn broken(fault: Fault) -> impl Fn() -> BrokenSubject + Clone + 'static {
    move || {
        BrokenSubject(Broken {
            inner: FakeHandler::new(),
            fault,
            fail: false,
            overlay: BTreeMap::new(),
            pending: BTreeMap::new(),
            failed: Vec::new(),
            open: Vec::new(),
        })
    }
}

const CASES: &[(Fault, &str, &[&str])] = &[
    (
        Fault::ForgetsTheLast,
        "forgets a completion",
        &["one_completion_per_id"],
    ),
    (
        Fault::LeavesATrace,
        "leaves a trace",
        &["an_error_leaves_no_trace"],
    ),
    (
        Fault::KeepsWhatFailed,
        "keeps what failed to commit",
        &["a_failed_commit_undoes", "a_failed_commit_does_not_survive"],
    ),
    (
        Fault::DropsPendingOnFailure,
        "drops what is pending when a commit fails",
        &["a_failed_commit_spares_what_is_pending"],
    ),
    (
        Fault::ReversesABatch,
        "reverses a batch",
        &["handle_batch_equals_the_loop"],
    ),
    (
        Fault::ReadsItsOverlay,
        "reads its overlay",
        &[
            "a_read_never_sees_uncommitted",
            "a_read_never_sees_pending",
            "maintenance_keeps_the_state",
        ],
    ),
    (
        Fault::ReadsPending,
        "reads what is pending",
        &["a_read_never_sees_pending"],
    ),
    (
        Fault::ForgetsPending,
        "says done while an earlier commit is pending",
        &["nothing_new_is_pending_behind_pending"],
    ),
    (
        Fault::IsDurableAtOnce,
        "says durable at once",
        &["durable_reaches_what_is_pending"],
    ),
    (
        Fault::CommitsInMaintenance,
        "commits in maintenance",
        &["maintenance_keeps_the_state"],
    ),
    (
        Fault::OpensEmpty,
        "opens empty",
        &[
            "committed_survives_reopen",
            "uncommitted_does_not_survive",
            "what_is_durable_survives",
            "a_failed_commit_does_not_survive",
        ],
    ),
    (
        Fault::CommitsOnOpen,
        "commits when it opens",
        &["uncommitted_does_not_survive"],
    ),
    (
        Fault::LosesTheLogBehindPending,
        "loses the log when its end is torn",
        &["what_is_durable_survives"],
    ),
    (
        Fault::ReplaysWhatFailed,
        "replays what failed",
        &["a_failed_commit_does_not_survive"],
    ),
];

#[test]
fn each_fault_is_caught_by_its_clause() {
    for (fault, what, expected) in CASES {
        let mut all = clauses(broken(*fault));
        all.extend(durable_clauses(broken(*fault)));
        fails_exactly("handler", what, all, expected);
    }
    let cases: Vec<_> = CASES.iter().map(|(_, _, expected)| *expected).collect();
    let mut all = clauses(Alone::new);
    all.extend(durable_clauses(Alone::new));
    covers_every_clause(all, &cases);
}
