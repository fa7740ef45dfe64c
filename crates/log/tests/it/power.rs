//! Power cuts and failed I/O, by the suites that are exported for every store; and proof that the suites can fail.

use crate::stores::{FULL, INTERVAL, INTERVAL_WITH_DATA, Setup, WITH_DATA, WITH_VERIFIED_DATA, open};
use quintet_core::{Durability, Error, ErrorKind, Result};
use quintet_log::{
    Directory, Fault, File, OpenMode,
    conformance::durable::{Durable, Workload, survives_every_fault, survives_power_cuts},
};
use std::sync::Arc;

const WORK: Workload = Workload { values: 60, batch: 3 };
const IMAGES: u64 = 5000;

fn cut(setup: Setup, seed: u64) {
    let looked_at = survives_power_cuts(&|directory| open(directory, setup), WORK, IMAGES, seed).unwrap();
    assert_eq!(looked_at, 2 * IMAGES);
}

#[test]
fn ten_thousand_power_cuts_at_level_full() {
    cut(FULL, 2);
}

#[test]
fn ten_thousand_power_cuts_at_level_interval() {
    cut(INTERVAL, 3);
}

#[test]
fn ten_thousand_power_cuts_with_a_data_file() {
    cut(WITH_DATA, 4);
}

#[test]
fn ten_thousand_power_cuts_with_a_data_file_that_is_synced_beside_the_log() {
    cut(WITH_VERIFIED_DATA, 7);
}

#[test]
fn ten_thousand_power_cuts_with_a_data_file_at_level_interval() {
    cut(INTERVAL_WITH_DATA, 6);
}

#[test]
fn relaxed_keeps_what_was_synced() {
    let relaxed = Setup {
        durability: Durability::Relaxed,
        ..INTERVAL
    };
    survives_power_cuts(&|directory| open(directory, relaxed), WORK, 1000, 5).unwrap();
}

#[test]
fn every_io_fails_once_in_every_way() {
    for setup in [FULL, INTERVAL, WITH_DATA, WITH_VERIFIED_DATA, INTERVAL_WITH_DATA] {
        for fault in Fault::ALL {
            for sticky in [false, true] {
                let work = Workload { values: 40, batch: 4 };
                let faults =
                    survives_every_fault(&|directory| open(directory, setup), work, fault, sticky).unwrap();
                assert!(faults > 20, "only {faults} faults were tried");
            }
        }
    }
}

/// A seam that lies about some syncs.
struct Lying {
    inner: Arc<dyn Directory>,
    syncs_files: bool,
    syncs_directory: bool,
}

struct LyingFile(Arc<dyn File>);

impl Directory for Lying {
    fn open(&self, name: &str, mode: OpenMode) -> Result<Arc<dyn File>> {
        let file = self.inner.open(name, mode)?;
        if self.syncs_files {
            Ok(file)
        } else {
            Ok(Arc::new(LyingFile(file)))
        }
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
        if self.syncs_directory {
            self.inner.sync()
        } else {
            Ok(())
        }
    }
}

impl File for LyingFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        self.0.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.0.write_at(bytes, offset)
    }

    fn sync_data(&self) -> Result<()> {
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        self.0.len()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.0.set_len(len)
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        self.0.allocate(offset, len)
    }

    fn punch_hole(&self, offset: u64, len: u64) -> Result<()> {
        self.0.punch_hole(offset, len)
    }

    fn name(&self) -> &str {
        self.0.name()
    }
}

/// A log as one writes it first: it goes on behind the last whole record, in the same file.
struct Naive {
    file: Arc<dyn File>,
    values: Vec<u64>,
    synced: u64,
    commits: u64,
}

impl Naive {
    fn open(directory: &dyn Directory) -> Result<Box<dyn Durable>> {
        let file = directory.open("naive", OpenMode::Create)?;
        directory.sync()?;
        let mut values = Vec::new();
        let mut record = [0; 512];
        while file.read_at(&mut record, values.len() as u64 * 512)? == 512 {
            let value = u64::from_le_bytes(*record.first_chunk().unwrap());
            let position = u64::from_le_bytes(*record[8..].first_chunk().unwrap());
            if value == 0 || position != values.len() as u64 {
                break;
            }
            values.push(value);
        }
        file.sync_data()?;
        let synced = values.len() as u64;
        Ok(Box::new(Self {
            file,
            values,
            synced,
            commits: 0,
        }))
    }
}

impl Durable for Naive {
    fn push(&mut self, value: u64) -> Result<()> {
        let mut record = [0; 512];
        record[..8].copy_from_slice(&value.to_le_bytes());
        record[8..16].copy_from_slice(&(self.values.len() as u64).to_le_bytes());
        self.file.write_at(&record, self.values.len() as u64 * 512)?;
        self.values.push(value);
        Ok(())
    }

    fn commit(&mut self) -> Result<u64> {
        self.commits += 1;
        if self.commits.is_multiple_of(2) {
            self.file.sync_data()?;
            self.synced = self.values.len() as u64;
        }
        Ok(self.synced)
    }

    fn values(&mut self) -> Result<Vec<u64>> {
        Ok(self.values.clone())
    }
}

fn caught(why: &str, open: &dyn Fn(Arc<dyn Directory>) -> Result<Box<dyn Durable>>) {
    let outcome = survives_power_cuts(&open, WORK, IMAGES, 7);
    assert!(outcome.is_err(), "the suite does not notice: {why}");
}

#[test]
fn the_suite_catches_a_log_that_acknowledges_before_the_sync() {
    caught("acknowledged early", &|directory| {
        open(directory, Setup { hasty: true, ..FULL })
    });
}

#[test]
fn the_suite_catches_syncs_that_do_nothing() {
    for (syncs_files, syncs_directory) in [(false, true), (true, false)] {
        caught("a sync is missing", &|inner| {
            open(
                Arc::new(Lying {
                    inner,
                    syncs_files,
                    syncs_directory,
                }),
                FULL,
            )
        });
    }
}

#[test]
fn the_suite_catches_a_data_file_that_is_not_synced_first() {
    caught("the data file is no companion", &|directory| {
        open(
            directory,
            Setup {
                companion: false,
                ..WITH_DATA
            },
        )
    });
}

#[test]
fn the_suite_catches_a_replay_that_trusts_what_was_synced_beside_the_log() {
    caught("the replay does not look", &|directory| {
        open(
            directory,
            Setup {
                trusts: true,
                ..WITH_VERIFIED_DATA
            },
        )
    });
}

#[test]
fn the_suite_catches_a_log_that_resurrects_what_was_lost() {
    caught("stale records come back", &|directory| Naive::open(&*directory));
}

/// A store that tries again after a failed sync, as if nothing had happened.
struct Retrying(Box<dyn Durable>);

impl Durable for Retrying {
    fn push(&mut self, value: u64) -> Result<()> {
        match self.0.push(value) {
            Err(error) if error.kind() == ErrorKind::Poisoned => Ok(()),
            outcome => outcome,
        }
    }

    fn commit(&mut self) -> Result<u64> {
        match self.0.commit() {
            Err(error) if error.kind() == ErrorKind::Poisoned => Ok(self.0.values()?.len() as u64),
            outcome => outcome,
        }
    }

    fn values(&mut self) -> Result<Vec<u64>> {
        self.0.values()
    }
}

#[test]
fn the_suite_catches_a_store_that_hides_a_failure() {
    let hiding = |directory| Ok(Box::new(Retrying(open(directory, FULL)?)) as Box<dyn Durable>);
    let outcome = survives_every_fault(&hiding, WORK, Fault::Io, false);
    assert!(outcome.is_err(), "a hidden failure went unnoticed");
    let other = |_: Arc<dyn Directory>| Err(Error::from(ErrorKind::Conflict));
    let outcome = survives_every_fault(&other, WORK, Fault::Io, false);
    assert!(outcome.unwrap_err().0.contains("unexpected error"));
}
