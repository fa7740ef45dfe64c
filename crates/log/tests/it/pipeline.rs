//! Group commit: what goes on while a sync is held, how many syncs there are, who is woken, many threads at once.

use crate::{
    gate::Gate,
    support::{StillClock, eventually, open, open_at, record, small},
};
use quintet_core::{Clock, Commit, Deadline, Durability, ErrorKind, Seq, SystemClock};
use quintet_log::{LogConfig, MemDirectory};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    task::{Wake, Waker},
    thread,
    time::Duration,
};

/// Large enough that nothing rolls.
fn roomy(durability: Durability) -> LogConfig {
    LogConfig {
        durability,
        segment_bytes: 1 << 20,
        max_record_bytes: 1 << 10,
        max_group_bytes: 64 << 10,
        ..LogConfig::default()
    }
}

#[test]
fn appends_and_commits_go_on_while_a_sync_is_held_and_one_sync_serves_them_all() {
    let gate = Gate::default();
    let (log, ..) = open(&gate, roomy(Durability::Full), Seq::ZERO).unwrap();
    gate.close_gate();
    log.append(b"first").unwrap();
    assert_eq!(log.commit().unwrap(), Commit::Pending(Seq(1)));
    eventually("the flusher at the gate", || gate.waiting() == 1);
    let before = gate.syncs();
    for number in 2..=100 {
        log.append(b"more").unwrap();
        assert_eq!(log.commit().unwrap(), Commit::Pending(Seq(number)));
    }
    assert_eq!((log.durable().unwrap(), log.synced()), (Seq::ZERO, Seq::ZERO));
    assert_eq!(
        gate.waiting(),
        1,
        "a second sync may not begin before the first has ended"
    );
    gate.open_gate();
    log.wait_durable(Seq(100), None).unwrap();
    assert_eq!(
        gate.syncs() - before,
        2,
        "one for the first group, one for all that collected"
    );
    assert_eq!(log.commit().unwrap(), Commit::Done);
    assert_eq!((log.stats().groups, log.stats().appended_records), (2, 100));
}

#[test]
fn a_commit_without_records_is_pending_while_an_earlier_one_is() {
    let gate = Gate::default();
    let (log, ..) = open(&gate, roomy(Durability::Full), Seq::ZERO).unwrap();
    assert_eq!(log.commit().unwrap(), Commit::Done);
    gate.close_gate();
    log.append(b"x").unwrap();
    log.commit().unwrap();
    assert_eq!(log.commit().unwrap(), Commit::Pending(Seq(1)));
    // Only when the flusher is at work is there something to wait for; else this thread would flush.
    eventually("the flusher at the gate", || gate.waiting() == 1);
    let now = Deadline(SystemClock.now());
    let error = log.wait_durable(Seq(1), Some(now)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TimedOut);
    gate.open_gate();
    log.wait_durable(Seq(1), None).unwrap();
}

#[test]
fn a_full_group_holds_the_appender_back_until_a_flush_makes_room() {
    let gate = Gate::default();
    let (log, ..) = open(&gate, small(Durability::Full), Seq::ZERO).unwrap();
    gate.close_gate();
    log.append(&[1; 500]).unwrap();
    log.commit().unwrap();
    eventually("the flusher at the gate", || gate.waiting() == 1);
    let appended = Arc::new(AtomicU64::new(0));
    let appender = {
        let (log, appended) = (log.clone(), appended.clone());
        thread::spawn(move || {
            for _ in 0..4 {
                log.append(&[2; 600]).unwrap();
                appended.fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    eventually("two fit the group", || appended.load(Ordering::SeqCst) == 2);
    assert_eq!(log.last(), Seq(3), "the third waits");
    gate.open_gate();
    appender.join().unwrap();
    assert_eq!(log.sync().unwrap(), Seq(5));
}

#[test]
fn eight_threads_append_commit_and_wait() {
    for durability in [Durability::Full, Durability::Interval] {
        let directory = MemDirectory::new();
        let (log, ..) = open(&directory, small(durability), Seq::ZERO).unwrap();
        thread::scope(|scope| {
            for thread in 0..8_u8 {
                let log = log.clone();
                scope.spawn(move || {
                    let mut before = Seq::ZERO;
                    for number in 0..150_u8 {
                        let seq = log.append(&[thread, number]).unwrap();
                        assert!(seq > before, "positions of one thread grow");
                        before = seq;
                        let commit = log.commit().unwrap();
                        if number % 3 == 0 {
                            log.wait_durable(seq, None).unwrap();
                            assert!(log.durable().unwrap() >= seq);
                        }
                        if commit == Commit::Done {
                            assert!(
                                log.durable().unwrap() >= seq,
                                "done means that nothing is outstanding"
                            );
                        }
                    }
                });
            }
        });
        log.close().unwrap();
        let (_, _, records) = open(&directory, small(durability), Seq::ZERO).unwrap();
        assert_eq!(records.len(), 8 * 150);
        for thread in 0..8 {
            let numbers: Vec<u8> = records
                .iter()
                .filter(|(_, r)| r[0] == thread)
                .map(|(_, r)| r[1])
                .collect();
            assert_eq!(numbers, (0..150).collect::<Vec<_>>(), "thread {thread}");
        }
    }
}

#[test]
fn the_interval_is_kept_and_an_idle_log_syncs_nothing() {
    let gate = Gate::default();
    let clock = StillClock::new();
    let (log, ..) = open_at(
        &gate,
        roomy(Durability::Interval),
        Seq::ZERO,
        Arc::new(clock.clone()),
    )
    .unwrap();
    let idle = gate.syncs();
    for number in 1..=3 {
        log.append(&record(number)).unwrap();
        assert_eq!(log.commit().unwrap(), Commit::Done);
        assert_eq!((log.durable().unwrap(), log.synced()), (Seq(number), Seq::ZERO));
    }
    assert_eq!(gate.syncs(), idle, "nothing is synced before its time");
    clock.advance(Duration::from_millis(100));
    log.commit().unwrap();
    eventually("the interval's sync", || log.synced() == Seq(3));
    assert_eq!(gate.syncs(), idle + 1, "one sync for the whole interval");
    clock.advance(Duration::from_secs(100));
    assert_eq!(log.commit().unwrap(), Commit::Done);
    assert_eq!(
        (gate.syncs(), log.stats().syncs),
        (idle + 1, 1),
        "nothing new, nothing to sync"
    );
}

#[test]
fn relaxed_syncs_only_when_told() {
    let gate = Gate::default();
    let (log, ..) = open(&gate, roomy(Durability::Relaxed), Seq::ZERO).unwrap();
    let idle = gate.syncs();
    log.append(b"x").unwrap();
    assert_eq!(log.commit().unwrap(), Commit::Done);
    assert_eq!(
        (log.durable().unwrap(), log.synced(), gate.syncs()),
        (Seq(1), Seq::ZERO, idle)
    );
    assert_eq!(log.sync().unwrap(), Seq(1));
    assert_eq!((log.synced(), gate.syncs()), (Seq(1), idle + 1));
}

struct Bell(AtomicU64);

impl Wake for Bell {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn wakers_ring_once_for_each_advance_and_are_bounded() {
    let (log, ..) = open(&MemDirectory::new(), roomy(Durability::Full), Seq::ZERO).unwrap();
    let bell = Arc::new(Bell(AtomicU64::new(0)));
    let waker = Waker::from(bell.clone());
    log.on_progress(&waker).unwrap();
    log.on_progress(&waker).unwrap();
    for number in 1..=3 {
        log.append(b"x").unwrap();
        log.sync().unwrap();
        assert_eq!(bell.0.load(Ordering::SeqCst), number);
    }
    log.sync().unwrap();
    assert_eq!(bell.0.load(Ordering::SeqCst), 3, "nothing advanced");
    let refused = (0..64).map(|_| log.on_progress(&Waker::from(Arc::new(Bell(AtomicU64::new(0))))));
    let error = refused.filter_map(Result::err).next().unwrap();
    assert_eq!(error.kind(), ErrorKind::Unavailable);
}
