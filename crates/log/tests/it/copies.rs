//! Copies of a log that goes on: a prefix with everything that was acknowledged, whatever is truncated meanwhile.

use crate::support::{open, record, small};
use quintet_core::{Commit, Durability, Error, ErrorKind, Seq};
use quintet_log::{Directory, Log, MemDirectory, snapshot};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Stores and waits until the record is acknowledged.
fn store(log: &Log, number: u64) {
    let seq = log.append(&record(number)).unwrap();
    assert_eq!(seq, Seq(number));
    if let Commit::Pending(seq) = log.commit().unwrap() {
        log.wait_durable(seq, None).unwrap();
    }
}

/// A snapshot that is only its watermark.
fn checkpoint(log: &Log, directory: &MemDirectory) {
    let last = log.sync().unwrap();
    snapshot::write(directory, "state", last, |sink| sink.put(b"whole")).unwrap();
    log.truncate(last).unwrap();
}

/// Opens a copy, and answers where it ends; everything after its snapshot must be there.
fn ends_at(copy: &MemDirectory, durability: Durability) -> Seq {
    let watermark = snapshot::read(copy, "state", &mut |_| Ok(())).unwrap();
    let after = watermark.unwrap_or(Seq::ZERO);
    let (log, recovery, records) = open(copy, small(durability), after).unwrap();
    for (at, (seq, bytes)) in records.iter().enumerate() {
        assert_eq!((seq.0, bytes), (after.0 + 1 + at as u64, &record(seq.0)));
    }
    assert_eq!(recovery.last.0, after.0 + records.len() as u64);
    log.close().unwrap();
    recovery.last
}

#[test]
fn a_copy_made_under_load_and_truncation_has_all_that_was_acknowledged_before_it() {
    for durability in Durability::ALL {
        let directory = MemDirectory::new();
        let (log, _, _) = open(&directory, small(durability), Seq::ZERO).unwrap();
        let (acknowledged, over) = (AtomicU64::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for number in 1.. {
                    store(&log, number);
                    acknowledged.store(number, Ordering::Release);
                    if number % 50 == 0 {
                        checkpoint(&log, &directory);
                    }
                    if over.load(Ordering::Acquire) {
                        break;
                    }
                }
            });
            let source = log.source();
            for _ in 0..40 {
                let before = acknowledged.load(Ordering::Acquire);
                let copy = MemDirectory::new();
                let last = source.copy("state", &copy, &mut |_| Ok(())).unwrap();
                assert!(last.0 >= before, "{durability}: {last} after {before}");
                assert_eq!(ends_at(&copy, durability), last);
            }
            over.store(true, Ordering::Release);
        });
        log.close().unwrap();
    }
}

#[test]
fn a_held_log_gives_nothing_back_until_the_hold_goes() {
    let directory = MemDirectory::new();
    let (log, _, _) = open(&directory, small(Durability::Relaxed), Seq::ZERO).unwrap();
    (1..=200).for_each(|number| store(&log, number));
    let before = directory.list().unwrap().len();
    let hold = log.source().hold();
    log.truncate(Seq(200)).unwrap();
    let copy = MemDirectory::new();
    assert_eq!(hold.copy_log(&copy, &mut |_| Ok(())).unwrap(), Seq(200));
    assert_eq!(
        ends_at(&copy, Durability::Relaxed),
        Seq(200),
        "from the first record on"
    );
    drop(hold);
    log.truncate(Seq(200)).unwrap();
    assert!(directory.list().unwrap().len() + 2 < before, "as usual again");
    store(&log, 201);
}

#[test]
fn whoever_is_told_of_the_pieces_can_end_the_copying() {
    let directory = MemDirectory::new();
    let (log, _, _) = open(&directory, small(Durability::Full), Seq::ZERO).unwrap();
    (1..=100).for_each(|number| store(&log, number));
    let enough = || Error::new(ErrorKind::Closed, "enough");
    let ended = log
        .source()
        .copy("state", &MemDirectory::new(), &mut |_| Err(enough()))
        .unwrap_err();
    assert_eq!(ended.kind(), ErrorKind::Closed);
}
