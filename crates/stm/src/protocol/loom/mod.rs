//! The commit protocol under loom: every interleaving of two or three threads over two variables.
//!
//! Run with `RUSTFLAGS="--cfg quintet_loom" cargo test -p quintet-stm --release --lib protocol::loom`.
//!
//! | model | refutes |
//! |---|---|
//! | `no_update_is_lost` | a lost update, in safe and hybrid |
//! | `safe_reads_are_one_moment` | read skew, also in an attempt that will fail |
//! | `safe_writes_do_not_skew` | write skew |
//! | `versions_are_a_serial_order` | a version before that of one who overwrites what its commit has read |
//! | `writes_in_place_are_not_lost` | an update lost between a write in place and a commit |
//! | `safe_glances_are_one_moment` | a glance that sees a later write in place and not an earlier one |
//! | `a_sleeper_is_woken` | a lost wake-up |
//! | `aged::an_aged_transaction_wins` | a conflict of an aged transaction with a young one |
//! | `aged::a_raw_write_of_two_waits_with_nothing_sealed` | a raw write and an aged transaction that wait for each other |
//! | `a_retired_variable_is_not_written` | a late write to a recycled slot |

mod aged;

use super::{
    commit::{Pending, Refusal, commit, commit_one, commit_plain},
    domain::Domain,
    read_set::ReadSet,
    slot::Slot,
    stamp::{Stamp, Word},
};
use crate::Isolation;
use loom::{sync::Arc, thread};

struct Write {
    slot: &'static Slot,
    generation: u32,
    seen: Option<Stamp>,
    value: u64,
    before: Option<Word>,
}

impl Pending for Write {
    type Failure = ();

    fn slot(&self) -> &'static Slot {
        self.slot
    }

    fn seen(&self) -> Option<Stamp> {
        self.seen
    }

    fn prepare(&mut self) -> Result<(), ()> {
        Ok(())
    }

    fn apply(&mut self, _: Stamp) {
        self.slot.set_bits(self.value);
    }

    fn is_stale(&self) -> bool {
        self.generation != self.slot.generation()
    }

    fn before(&mut self) -> &mut Option<Word> {
        &mut self.before
    }
}

fn slot() -> &'static Slot {
    Box::leak(Box::new(Slot::new()))
}

/// Two slots in a known order of addresses, because loom needs every run to seal in the same order.
fn two_slots() -> (&'static Slot, &'static Slot) {
    let [x, y]: &'static [Slot; 2] = Box::leak(Box::new([Slot::new(), Slot::new()]));
    (x, y)
}

/// One attempt of the test's transactions.
struct Attempt<'a> {
    domain: &'a Domain,
    isolation: Isolation,
    reads: ReadSet,
    writes: Vec<Write>,
}

impl<'a> Attempt<'a> {
    fn begin(domain: &'a Domain, isolation: Isolation, aged: bool) -> Self {
        let mut reads = ReadSet::default();
        reads.begin(domain, isolation, aged);
        Self {
            domain,
            isolation,
            reads,
            writes: Vec::new(),
        }
    }

    fn read(&mut self, slot: &'static Slot) -> Option<u64> {
        let read = self.reads.read(self.domain, self.isolation, slot, || slot.bits());
        read.ok().map(|(value, _)| value)
    }

    fn write(&mut self, slot: &'static Slot, value: u64) {
        self.writes.push(Write {
            slot,
            generation: slot.generation(),
            seen: self.reads.seen(slot),
            value,
            before: None,
        });
    }

    fn commit(mut self) -> bool {
        let result = commit(
            self.domain,
            self.isolation,
            &mut self.reads,
            &mut self.writes,
            1,
            |_, _, v| Ok(v),
        );
        self.reads.end();
        !matches!(result, Err(Refusal::Conflict | Refusal::Failed(())))
    }
}

fn explore(model: impl Fn() + Send + Sync + 'static) {
    let mut builder = loom::model::Builder::new();
    builder.preemption_bound = Some(3);
    builder.check(model);
}

/// Adds one, and tries once more if it lost.
fn add_one(domain: &Domain, isolation: Isolation, slot: &'static Slot) -> bool {
    (0..2).any(|_| {
        let mut attempt = Attempt::begin(domain, isolation, false);
        let Some(now) = attempt.read(slot) else {
            return false;
        };
        attempt.write(slot, now + 1);
        attempt.commit()
    })
}

#[test]
fn no_update_is_lost() {
    for isolation in [Isolation::Safe, Isolation::Hybrid] {
        explore(move || {
            let (domain, x) = (Arc::new(Domain::new(0)), slot());
            let other = {
                let domain = Arc::clone(&domain);
                thread::spawn(move || add_one(&domain, isolation, x))
            };
            let mine = add_one(&domain, isolation, x);
            let theirs = other.join().unwrap();
            assert_eq!(x.bits(), u64::from(mine) + u64::from(theirs));
            assert!(mine && theirs, "the loser's second attempt has no rival left");
        });
    }
}

#[test]
fn safe_reads_are_one_moment() {
    explore(|| {
        let (domain, (x, y)) = (Arc::new(Domain::new(0)), two_slots());
        let writer = {
            let domain = Arc::clone(&domain);
            thread::spawn(move || {
                for value in 1..=2 {
                    let mut attempt = Attempt::begin(&domain, Isolation::Hybrid, false);
                    attempt.write(x, value);
                    attempt.write(y, value);
                    assert!(attempt.commit());
                }
            })
        };
        let mut attempt = Attempt::begin(&domain, Isolation::Safe, false);
        if let Some(first) = attempt.read(x)
            && let Some(second) = attempt.read(y)
        {
            assert_eq!(first, second);
        }
        writer.join().unwrap();
    });
}

#[test]
fn safe_writes_do_not_skew() {
    explore(|| {
        let (domain, (x, y)) = (Arc::new(Domain::new(0)), two_slots());
        let run = |domain: &Domain, reads: &'static Slot, writes: &'static Slot| {
            let mut attempt = Attempt::begin(domain, Isolation::Safe, false);
            let Some(0) = attempt.read(reads) else {
                return false;
            };
            attempt.write(writes, 1);
            attempt.commit()
        };
        let other = {
            let domain = Arc::clone(&domain);
            thread::spawn(move || run(&domain, x, y))
        };
        let mine = run(&domain, y, x);
        let theirs = other.join().unwrap();
        assert!(!(mine && theirs), "both saw zero and both wrote");
        assert_eq!((x.bits(), y.bits()), (u64::from(mine), u64::from(theirs)));
    });
}

/// Reads a slot, writes the other, and takes a version as the commits of contexts do; what was read, and the version.
fn numbered(domain: &Domain, reads: &'static Slot, writes: &'static Slot) -> Option<(u64, u64)> {
    let mut attempt = Attempt::begin(domain, Isolation::Safe, false);
    let saw = attempt.read(reads)?;
    attempt.write(writes, 1);
    let Attempt {
        mut reads,
        mut writes,
        ..
    } = attempt;
    let own_version = |_: &mut [Write], reads: &mut ReadSet, _| {
        let version = domain.next();
        reads.still_hold().map_err(drop).map(|()| version)
    };
    let version = commit(domain, Isolation::Safe, &mut reads, &mut writes, 1, own_version);
    Some((saw, version.ok()?))
}

#[test]
fn versions_are_a_serial_order() {
    explore(|| {
        let (domain, (x, y)) = (Arc::new(Domain::new(0)), two_slots());
        let other = {
            let domain = Arc::clone(&domain);
            // Reads what nobody writes, so that it never loses.
            thread::spawn(move || numbered(&domain, slot(), x))
        };
        let mine = numbered(&domain, x, y);
        let (_, overwrites) = other.join().unwrap().unwrap();
        if let Some((saw, version)) = mine {
            assert_eq!(
                saw == 0,
                version < overwrites,
                "{version} saw {saw}, {overwrites} wrote 1"
            );
        }
    });
}

/// Sets a slot in place once nobody else has sealed it, from what is there.
fn set_in_place(domain: &Domain, slot: &'static Slot, value: impl Fn(u64) -> u64) {
    let word = loop {
        match slot.try_seal() {
            Some(word) => break word,
            None => thread::yield_now(),
        }
    };
    assert!(commit_plain(domain, slot, word, 1, || {
        slot.set_bits(value(slot.bits()));
        true
    }));
}

#[test]
fn writes_in_place_are_not_lost() {
    for isolation in [Isolation::Safe, Isolation::Hybrid] {
        explore(move || {
            let (domain, x) = (Arc::new(Domain::new(0)), slot());
            let other = {
                let domain = Arc::clone(&domain);
                thread::spawn(move || set_in_place(&domain, x, |now| now + 1))
            };
            assert!(add_one(&domain, isolation, x), "the other one writes once");
            other.join().unwrap();
            assert_eq!(x.bits(), 2);
        });
    }
}

#[test]
fn safe_glances_are_one_moment() {
    explore(|| {
        let (domain, (x, y)) = (Arc::new(Domain::new(0)), two_slots());
        let writer = {
            let domain = Arc::clone(&domain);
            thread::spawn(move || {
                set_in_place(&domain, x, |_| 1);
                let word = y.seal(false).unwrap();
                let write = |_| {
                    y.set_bits(1);
                    Ok::<_, ()>(())
                };
                commit_one(&domain, y, word, 1, write).unwrap();
            })
        };
        let mut attempt = Attempt::begin(&domain, Isolation::Safe, false);
        let mut glance = |slot: &'static Slot| {
            let Attempt { reads, isolation, .. } = &mut attempt;
            reads.glance(*isolation, slot, || slot.bits())
        };
        let (first, second) = (glance(x), glance(y));
        assert_ne!((first, second), (Some(0), Some(1)), "there was no such moment");
        writer.join().unwrap();
    });
}

#[test]
fn a_sleeper_is_woken() {
    explore(|| {
        let (domain, x) = (Arc::new(Domain::new(0)), slot());
        let writer = {
            let domain = Arc::clone(&domain);
            thread::spawn(move || {
                let mut attempt = Attempt::begin(&domain, Isolation::Hybrid, false);
                attempt.write(x, 1);
                assert!(attempt.commit());
            })
        };
        loop {
            let mut attempt = Attempt::begin(&domain, Isolation::Safe, false);
            if attempt.read(x) == Some(1) {
                break;
            }
            let seen: Vec<_> = attempt
                .reads
                .reads()
                .iter()
                .map(|read| (read.slot, read.stamp))
                .collect();
            domain.waiters.wait(seen.into_iter(), None);
        }
        writer.join().unwrap();
    });
}

#[test]
fn a_retired_variable_is_not_written() {
    explore(|| {
        let (domain, x) = (Arc::new(Domain::new(0)), slot());
        let late = {
            let domain = Arc::clone(&domain);
            let mut attempt = Attempt::begin(&domain, Isolation::Hybrid, false);
            attempt.write(x, 7);
            let Attempt {
                mut reads,
                mut writes,
                ..
            } = attempt;
            let domain = Arc::clone(&domain);
            thread::spawn(move || {
                let done = commit(
                    &domain,
                    Isolation::Hybrid,
                    &mut reads,
                    &mut writes,
                    1,
                    |_, _, v| Ok(v),
                );
                assert!(done.is_ok());
            })
        };
        x.retire();
        // The next variable in this slot gets its first value.
        x.set_bits(99);
        late.join().unwrap();
        assert_eq!(x.bits(), 99, "the write meant for the former variable");
        assert!(!x.word().has(Word::SEALED));
    });
}
