//! A full disk before anything is stored is an answer; a failed write or sync is the end until the next open.

use crate::support::{expect_run, open, record, small};
use quintet_core::{Durability, Error, ErrorKind, Result, Seq};
use quintet_log::{CrashDirectory, Directory, Fault, FaultDirectory, File, MemDirectory, OpenMode};
use std::{
    error::Error as _,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// Has no room for new files while told so.
#[derive(Clone, Default)]
struct Cramped {
    inner: MemDirectory,
    full: Arc<AtomicBool>,
}

impl Directory for Cramped {
    fn open(&self, name: &str, mode: OpenMode) -> Result<Arc<dyn File>> {
        if mode == OpenMode::Create && self.full.load(Ordering::SeqCst) {
            return Err(Error::new(ErrorKind::Full, format!("open {name}: no space left")));
        }
        self.inner.open(name, mode)
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.inner.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.inner.rename(from, to)
    }

    fn list(&self) -> Result<Vec<String>> {
        self.inner.list()
    }

    fn sync(&self) -> Result<()> {
        self.inner.sync()
    }
}

#[test]
fn a_full_disk_refuses_the_record_and_the_log_goes_on_when_there_is_room() {
    for durability in Durability::ALL {
        let directory = Cramped::default();
        let (log, ..) = open(&directory, small(durability), Seq::ZERO).unwrap();
        directory.full.store(true, Ordering::SeqCst);
        let mut number = 0;
        let refused = loop {
            match log.append(&record(number + 1)) {
                Ok(seq) => number = seq.0,
                Err(error) => break error,
            }
            log.wait_durable(Seq(number), None).unwrap();
        };
        assert_eq!(refused.kind(), ErrorKind::Full);
        assert!(
            (10..60).contains(&number),
            "the first segment took {number} records"
        );
        assert_eq!(
            log.append(&record(number + 1)).unwrap_err().kind(),
            ErrorKind::Full
        );
        assert_eq!((log.last(), log.durable().unwrap()), (Seq(number), Seq(number)));
        directory.full.store(false, Ordering::SeqCst);
        for next in number + 1..=100 {
            assert_eq!(
                log.append(&record(next)).unwrap(),
                Seq(next),
                "a refused record has no position"
            );
        }
        log.close().unwrap();
        let (_, _, records) = open(&directory, small(durability), Seq::ZERO).unwrap();
        expect_run(&records, 1, 100);
    }
}

#[test]
fn a_failed_flush_poisons_for_good_and_names_the_cause() {
    for durability in Durability::ALL {
        let directory = MemDirectory::new();
        let faulty = FaultDirectory::new(Arc::new(directory.clone()));
        let (log, ..) = open(&faulty, small(durability), Seq::ZERO).unwrap();
        log.append(b"good").unwrap();
        log.sync().unwrap();
        log.append(b"lost?").unwrap();
        faulty.fail_nth(0, Fault::Io);
        let before = faulty.operations();
        let error = log.sync().unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Poisoned);
        let cause = error.source().unwrap().source().unwrap().to_string();
        assert!(cause.contains("segment-") && cause.contains("at byte"), "{cause}");
        assert_eq!(faulty.fired(), 1);
        for _ in 0..3 {
            assert_eq!(log.append(b"x").unwrap_err().kind(), ErrorKind::Poisoned);
            assert_eq!(log.commit().unwrap_err().kind(), ErrorKind::Poisoned);
            assert_eq!(log.durable().unwrap_err().kind(), ErrorKind::Poisoned);
            assert_eq!(log.sync().unwrap_err().kind(), ErrorKind::Poisoned);
            assert_eq!(log.truncate(Seq(1)).unwrap_err().kind(), ErrorKind::Poisoned);
            assert_eq!(
                log.wait_durable(Seq(2), None).unwrap_err().kind(),
                ErrorKind::Poisoned
            );
        }
        assert_eq!(log.synced(), Seq(1), "what was synced stays known");
        assert_eq!(log.close().unwrap_err().kind(), ErrorKind::Poisoned);
        assert_eq!(faulty.operations(), before + 1, "nothing is tried again");
        let (_, _, records) = open(&directory, small(durability), Seq::ZERO).unwrap();
        assert_eq!(records[0], (Seq(1), b"good".to_vec()));
    }
}

#[test]
fn a_failed_open_leaves_a_log_that_opens() {
    let directory = MemDirectory::new();
    drop(
        open(&directory, small(Durability::Full), Seq::ZERO)
            .unwrap()
            .0
            .append(b"kept"),
    );
    for nth in 0.. {
        let faulty = FaultDirectory::new(Arc::new(directory.clone()));
        faulty.fail_nth(nth, Fault::Io);
        let outcome = open(&faulty, small(Durability::Full), Seq::ZERO);
        if faulty.fired() == 0 {
            break;
        }
        if let Err(error) = outcome {
            assert_eq!(error.kind(), ErrorKind::Io, "{error}");
        }
        let (_, _, records) = open(&directory, small(Durability::Full), Seq::ZERO).unwrap();
        assert_eq!(records, [(Seq(1), b"kept".to_vec())], "I/O {nth} of open failed");
    }
    assert!(directory.list().unwrap().len() <= 3, "{:?}", directory.list());
}

#[test]
fn what_an_open_replays_after_a_failed_sync_survives_a_power_cut() {
    let crash = CrashDirectory::new();
    let faulty = FaultDirectory::new(Arc::new(crash.clone()));
    let (log, ..) = open(&faulty, small(Durability::Full), Seq::ZERO).unwrap();
    log.append(&record(1)).unwrap();
    log.sync().unwrap();
    log.append(&record(2)).unwrap();
    faulty.fail_nth(1, Fault::Io); // The write passes, the sync does not.
    assert_eq!(log.sync().unwrap_err().kind(), ErrorKind::Poisoned);
    drop(log);
    let (_log, _, records) = open(&crash, small(Durability::Full), Seq::ZERO).unwrap();
    expect_run(&records, 1, 2);
    for seed in 0..100 {
        let (_log, _, records) = open(
            &crash.image(crash.moments(), seed),
            small(Durability::Full),
            Seq::ZERO,
        )
        .unwrap();
        expect_run(&records, 1, 2);
    }
}
