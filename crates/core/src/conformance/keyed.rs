//! What [`Keyed`] means, asked through a [`Worker`]: the sequential semantics, and linearizability of each key.
//!
//! A [`Subject`] is a running service that any number of workers can talk to; every engine offers one.

use super::{
    claim::{Claim, Clause},
    linear::{self, MAX_OPERATIONS, Operation, Reply},
    random::Random,
};
use crate::{ErrorKind, Keyed, KeyedReply, Result, Worker};
use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU64, AtomicUsize, Ordering},
    thread,
};

/// Calls a macro with the names of all clauses of this suite.
#[doc(hidden)]
#[macro_export]
macro_rules! keyed_clauses {
    ($then:ident $arguments:tt) => {
        $crate::$then! { $arguments
            a_missing_key_has_no_value put_sets_the_value put_replaces_the_value any_byte_may_occur
            add_counts_from_zero add_refuses_what_is_no_counter add_refuses_to_overflow
            delete_says_whether_there_was_something keys_are_independent each_key_is_linearizable
        }
    };
}

/// One `#[test]` per clause of [`Keyed`](crate::Keyed): `keyed_suite!(name_of_module, factory)`, where the factory starts
/// a fresh [`Subject`](crate::conformance::keyed::Subject).
#[macro_export]
macro_rules! keyed_suite {
    ($name:ident, $make:expr) => {
        $crate::keyed_clauses! { clause_tests_of_factory (keyed, $name, $make) }
    };
}

/// A service that answers [`Keyed`]. It runs until it is dropped.
pub trait Subject {
    /// A connection, for one thread.
    type Worker: Worker<Keyed> + Send;

    /// Connects once more. Each worker has at least one credit.
    fn worker(&self) -> Self::Worker;

    /// Called over and over while a clause waits for a reply, from the thread that waits.
    fn turn(&self) {
        thread::yield_now();
    }
}

/// All clauses, for a runner of one's own.
#[must_use]
pub fn clauses<S: Subject + Sync + 'static>(make: impl Fn() -> S + Clone + 'static) -> Vec<Clause> {
    keyed_clauses! { clause_list_of_factory (keyed, make) }
}

/// Asks one thing and waits for its answer.
fn ask<S: Subject>(claim: Claim, subject: &S, worker: &mut S::Worker, message: Keyed) -> Result<KeyedReply> {
    let id = claim.ok("submit with nothing in flight", worker.submit(message));
    claim.ok("flush", worker.flush());
    let mut done = Vec::new();
    claim.within("a reply", || {
        let reaped = claim.ok("reap", worker.reap(&mut done, 2));
        if reaped == 0 {
            subject.turn();
        }
        (reaped > 0).then_some(())
    });
    claim.same("completions of one request", 1, done.len());
    match done.pop() {
        Some(done) if done.id == id => done.result,
        other => claim.fail(format_args!("request {id} was answered by {other:?}")),
    }
}

/// A subject and one worker.
struct Exam<S: Subject> {
    claim: Claim,
    worker: S::Worker,
    subject: S,
}

impl<S: Subject> Exam<S> {
    fn new(clause: &'static str, make: impl Fn() -> S) -> Self {
        let subject = make();
        Self {
            claim: Claim(clause),
            worker: subject.worker(),
            subject,
        }
    }

    fn ask(&mut self, message: Keyed) -> Result<KeyedReply> {
        ask(self.claim, &self.subject, &mut self.worker, message)
    }

    #[track_caller]
    fn answers(&mut self, message: Keyed, expected: KeyedReply) {
        let what = format!("the reply to {message:?}");
        let reply = self.ask(message);
        let reply = self.claim.ok(&what, reply);
        self.claim.same(&what, expected, reply);
    }

    #[track_caller]
    fn refuses(&mut self, message: Keyed) {
        let what = format!("the reply to {message:?}");
        let kind = self.ask(message).map_err(|error| error.kind());
        self.claim.same(&what, Err(ErrorKind::InvalidInput), kind);
    }

    #[track_caller]
    fn holds(&mut self, key: &[u8], value: Option<&[u8]>) {
        self.answers(get(key), KeyedReply::Value(value.map(<[u8]>::to_vec)));
    }
}

fn get(key: &[u8]) -> Keyed {
    Keyed::Get { key: key.to_vec() }
}

fn put(key: &[u8], value: &[u8]) -> Keyed {
    Keyed::Put {
        key: key.to_vec(),
        value: value.to_vec(),
    }
}

fn add(key: &[u8], delta: i64) -> Keyed {
    Keyed::Add {
        key: key.to_vec(),
        delta,
    }
}

fn delete(key: &[u8]) -> Keyed {
    Keyed::Delete { key: key.to_vec() }
}

/// A key that was never written has no value.
pub fn a_missing_key_has_no_value<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("keyed::a_missing_key_has_no_value", make);
    exam.holds(b"missing", None);
}

/// What was put is got, by another worker too.
pub fn put_sets_the_value<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("keyed::put_sets_the_value", make);
    exam.answers(put(b"k", b"v"), KeyedReply::Stored);
    exam.holds(b"k", Some(b"v"));
    exam.worker = exam.subject.worker();
    exam.holds(b"k", Some(b"v"));
}

/// The last put wins; an empty value is a value.
pub fn put_replaces_the_value<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("keyed::put_replaces_the_value", make);
    for value in [&b"first, and longer"[..], b"second", b"", b"last"] {
        exam.answers(put(b"k", value), KeyedReply::Stored);
        exam.holds(b"k", Some(value));
    }
}

/// Keys and values may hold any bytes, in any number up to 300 and 20 000.
pub fn any_byte_may_occur<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("keyed::any_byte_may_occur", make);
    let all: Vec<u8> = (0..=255).collect();
    let long: Vec<u8> = all.iter().copied().cycle().take(20_000).collect();
    for key in [&[0][..], &[255], &[0, 0], b"a/b.c$d#[e]\r\n", &all, &long[..300]] {
        exam.answers(put(key, &long), KeyedReply::Stored);
        exam.holds(key, Some(&long));
    }
}

/// Adding to a missing key counts from 0; the stored value is the sum, 8 bytes little-endian.
pub fn add_counts_from_zero<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("keyed::add_counts_from_zero", make);
    let mut sum = 0_i64;
    for delta in [5, -7, 0, 1 << 40] {
        sum += delta;
        exam.answers(add(b"n", delta), KeyedReply::Sum(sum));
        exam.holds(b"n", Some(&sum.to_le_bytes()));
    }
    exam.answers(put(b"n", &41_i64.to_le_bytes()), KeyedReply::Stored);
    exam.answers(add(b"n", 1), KeyedReply::Sum(42));
}

/// Adding to a value that is not 8 bytes long is invalid and changes nothing.
pub fn add_refuses_what_is_no_counter<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("keyed::add_refuses_what_is_no_counter", make);
    for value in [&b""[..], b"seven b", b"nine byte"] {
        exam.answers(put(b"k", value), KeyedReply::Stored);
        exam.refuses(add(b"k", 1));
        exam.holds(b"k", Some(value));
    }
}

/// A sum beyond 64 bits is invalid and changes nothing.
pub fn add_refuses_to_overflow<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("keyed::add_refuses_to_overflow", make);
    for (start, delta) in [(i64::MAX, 1), (i64::MIN, -1)] {
        exam.answers(put(b"n", &start.to_le_bytes()), KeyedReply::Stored);
        exam.refuses(add(b"n", delta));
        exam.holds(b"n", Some(&start.to_le_bytes()));
        exam.answers(add(b"n", -delta), KeyedReply::Sum(start - delta));
    }
}

/// A delete says whether there was something; afterwards there is not, and counting starts again.
pub fn delete_says_whether_there_was_something<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("keyed::delete_says_whether_there_was_something", make);
    exam.answers(delete(b"k"), KeyedReply::Deleted(false));
    exam.answers(add(b"k", 3), KeyedReply::Sum(3));
    exam.answers(delete(b"k"), KeyedReply::Deleted(true));
    exam.holds(b"k", None);
    exam.answers(delete(b"k"), KeyedReply::Deleted(false));
    exam.answers(add(b"k", 4), KeyedReply::Sum(4));
}

/// Nothing done to one key shows at another, prefixes included.
pub fn keys_are_independent<S: Subject>(make: impl Fn() -> S) {
    let mut exam = Exam::new("keyed::keys_are_independent", make);
    let keys: [&[u8]; 5] = [b"a", b"ab", b"abc", b"b", b"a\0"];
    for (at, key) in keys.iter().enumerate() {
        exam.answers(put(key, &[at as u8; 3]), KeyedReply::Stored);
    }
    exam.answers(delete(b"ab"), KeyedReply::Deleted(true));
    exam.answers(put(b"b", b"new"), KeyedReply::Stored);
    exam.holds(b"a", Some(&[0; 3]));
    exam.holds(b"ab", None);
    exam.holds(b"abc", Some(&[2; 3]));
    exam.holds(b"b", Some(b"new"));
    exam.holds(b"a\0", Some(&[4; 3]));
}

const WORKERS: usize = 3;
/// How often each worker asks: all together are one history at most, whatever keys they choose.
const ASKS: usize = MAX_OPERATIONS / WORKERS;

/// What the workers of one history share.
#[derive(Default)]
struct Meeting {
    time: AtomicU64,
    /// How often each has asked.
    progress: [AtomicUsize; WORKERS],
}

impl Meeting {
    fn now(&self) -> u64 {
        self.time.fetch_add(1, Ordering::SeqCst)
    }

    /// Waits until nobody is more than two asks behind: workers that run one after another would prove nothing.
    fn keep_together(&self, claim: Claim, asked: usize) {
        claim.within("an ask of another worker", || {
            let close = |other: &AtomicUsize| other.load(Ordering::SeqCst) + 2 >= asked;
            let together = self.progress.iter().all(close);
            if !together {
                thread::yield_now();
            }
            together.then_some(())
        });
    }
}

/// Workers that ask at once see each key as if the operations on it had happened one after another. Random histories.
pub fn each_key_is_linearizable<S: Subject + Sync>(make: impl Fn() -> S) {
    let claim = Claim("keyed::each_key_is_linearizable");
    for seed in 0..8 {
        let subject = make();
        let meeting = Meeting::default();
        let mut history: BTreeMap<Vec<u8>, Vec<Operation>> = BTreeMap::new();
        thread::scope(|scope| {
            let (subject, meeting) = (&subject, &meeting);
            let threads: Vec<_> = (0..WORKERS)
                .map(|number| {
                    let worker = subject.worker();
                    let random = Random::new(seed * WORKERS as u64 + number as u64);
                    scope.spawn(move || record(claim, subject, worker, random, meeting, number))
                })
                .collect();
            for operation in threads.into_iter().flat_map(|thread| match thread.join() {
                Ok(operations) => operations,
                Err(panic) => std::panic::resume_unwind(panic),
            }) {
                history
                    .entry(operation.call.key().to_vec())
                    .or_default()
                    .push(operation);
            }
        });
        for (key, operations) in history {
            if let Err(wrong) = linear::check(&operations) {
                let key = key.escape_ascii();
                claim.fail(format_args!("seed {seed}, key {key}: {wrong}"));
            }
        }
    }
}

/// One worker's random operations on three keys.
fn record<S: Subject>(
    claim: Claim,
    subject: &S,
    mut worker: S::Worker,
    mut random: Random,
    meeting: &Meeting,
    number: usize,
) -> Vec<Operation> {
    (0..ASKS)
        .map(|asked| {
            meeting.keep_together(claim, asked);
            let key = [b"x", b"y", b"z"][random.below(3)];
            let call = match random.below(8) {
                0..3 => get(key),
                3 => put(key, &(random.below(100) as i64).to_le_bytes()),
                4 => put(key, &[random.bits() as u8]),
                5 | 6 => add(key, random.below(9) as i64 - 4),
                _ => delete(key),
            };
            let invoked = meeting.now();
            let reply = ask(claim, subject, &mut worker, call.clone());
            let now = meeting.now();
            meeting.progress[number].store(asked + 1, Ordering::SeqCst);
            let returned = match reply {
                Ok(reply) => Some((now, Reply::Answer(reply))),
                Err(error) if error.kind() == ErrorKind::InvalidInput => Some((now, Reply::Refused)),
                Err(error) if error.kind() == ErrorKind::Closed => None,
                Err(error) => claim.fail(format_args!("{call:?} was answered by {error:?}")),
            };
            Operation {
                call,
                invoked,
                returned,
            }
        })
        .collect()
}
