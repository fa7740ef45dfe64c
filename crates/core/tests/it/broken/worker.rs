//! Workers with one fault each, over the queue-backed one.

use super::{covers_every_clause, fails_exactly};
use crate::subjects::QueuePeer;
use quintet_core::{
    Closed, Completion, Keyed, PushError, QueueWorker, RequestId, Worker,
    conformance::{
        Support,
        worker::{Subject, clauses},
    },
    fake::FakeQueue,
};

#[derive(Clone, Copy, PartialEq)]
enum Fault {
    ReusesIds,
    RefusesAsClosed,
    AnswersTwice,
    CountsWhatIsFlushed,
    ClearsOut,
    CannotFlushNothing,
    ForgetsTheRest,
    AcceptsForNobody,
}

struct Broken {
    peer: QueuePeer<FakeQueue>,
    fault: Fault,
    submitted: u64,
    twice: Vec<Completion<Keyed>>,
}

impl Broken {
    fn real(&mut self) -> &mut QueueWorker<Keyed> {
        self.peer.worker()
    }
}

impl Worker<Keyed> for Broken {
    fn submit(&mut self, message: Keyed) -> std::result::Result<RequestId, PushError<Keyed>> {
        self.submitted += 1;
        let fortieth = self.submitted == 40;
        match (self.fault, self.real().submit(message)) {
            (Fault::ReusesIds, Ok(_)) if fortieth => Ok(RequestId(0)),
            (Fault::RefusesAsClosed, Err(PushError::Full(message))) => Err(PushError::Closed(message)),
            (Fault::AcceptsForNobody, Err(PushError::Closed(_))) => Ok(RequestId(1_000)),
            (_, submitted) => submitted,
        }
    }

    fn flush(&mut self) -> std::result::Result<(), Closed> {
        if self.fault == Fault::CannotFlushNothing && self.submitted == 0 && self.real().in_flight() == 0 {
            self.submitted = 1;
            self.real().flush()?;
            return Err(Closed);
        }
        self.real().flush()
    }

    fn reap(&mut self, out: &mut Vec<Completion<Keyed>>, max: usize) -> std::result::Result<usize, Closed> {
        if self.fault == Fault::ClearsOut && max == 0 {
            out.clear();
        }
        if max == 100
            && let Some(again) = self.twice.pop()
        {
            out.push(again);
            return Ok(1);
        }
        let before = out.len();
        let reaped = self.real().reap(out, max);
        if let (Fault::AnswersTwice, Some(done)) = (self.fault, out[before..].first()) {
            let result = done.result.clone();
            self.twice.push(Completion { id: done.id, result });
        }
        let closed = out[before..].iter().any(|done| done.result.is_err());
        if self.fault == Fault::ForgetsTheRest && closed {
            out.truncate(before);
            return Err(Closed);
        }
        reaped
    }

    fn in_flight(&self) -> usize {
        let real = self.peer.in_flight();
        match self.fault {
            Fault::CountsWhatIsFlushed if real == 5 => 4,
            _ => real,
        }
    }
}

struct BrokenSubject(Broken);

impl Subject for BrokenSubject {
    type Worker = Broken;

    fn worker(&mut self) -> &mut Broken {
        &mut self.0
    }
    fn credits(&self) -> usize {
        self.0.peer.credits()
    }
    fn turn(&mut self) {
        self.0.peer.turn();
    }
    fn can_hang_up(&self) -> Support {
        Support::Provided
    }
    fn hang_up(&mut self) {
        self.0.peer.hang_up();
    }
}

fn broken(fault: Fault) -> impl Fn() -> BrokenSubject + Clone + 'static {
    move || {
        BrokenSubject(Broken {
            peer: QueuePeer::new(),
            fault,
            submitted: 0,
            twice: Vec::new(),
        })
    }
}

const CASES: &[(Fault, &str, &[&str])] = &[
    (Fault::ReusesIds, "uses an id again", &["ids_are_unique"]),
    (
        Fault::RefusesAsClosed,
        "says closed when it is full",
        &["a_refused_submit_returns_the_message"],
    ),
    (
        Fault::AnswersTwice,
        "answers twice",
        &["each_request_is_answered_once"],
    ),
    (
        Fault::CountsWhatIsFlushed,
        "counts wrongly",
        &["in_flight_is_exact"],
    ),
    (
        Fault::ClearsOut,
        "clears what the caller has",
        &["reap_appends_up_to_max"],
    ),
    (
        Fault::CannotFlushNothing,
        "cannot flush nothing",
        &["flushing_nothing_is_fine"],
    ),
    (
        Fault::ForgetsTheRest,
        "forgets the rest when its peer goes",
        &["a_gone_peer_resolves_the_rest"],
    ),
    (
        Fault::AcceptsForNobody,
        "accepts requests for nobody",
        &["a_gone_peer_refuses_submits"],
    ),
];

#[test]
fn each_fault_is_caught_by_its_clause() {
    for (fault, what, expected) in CASES {
        fails_exactly("worker", what, clauses(broken(*fault)), expected);
    }
    let cases: Vec<_> = CASES.iter().map(|(_, _, expected)| *expected).collect();
    covers_every_clause(clauses(QueuePeer::<FakeQueue>::new), &cases);
}
