//! What the tests share: small configurations, a clock that stands still, and short ways to open a log.

use quintet_core::{Clock, Durability, Result, Seq, SystemClock};
use quintet_log::{Directory, Log, LogConfig, Recovery};
use std::{
    sync::{Arc, Mutex},
    time::{Duration, Instant, SystemTime},
};

/// Small segments, so that a short workload rolls over several.
pub(crate) fn small(durability: Durability) -> LogConfig {
    LogConfig {
        durability,
        segment_bytes: 4096,
        max_record_bytes: 1000,
        max_group_bytes: 1500,
        ..LogConfig::default()
    }
}

pub(crate) type Records = Vec<(Seq, Vec<u8>)>;

/// Opens and collects what is replayed.
pub(crate) fn open(
    directory: &(impl Directory + Clone + 'static),
    config: LogConfig,
    after: Seq,
) -> Result<(Log, Recovery, Records)> {
    open_at(directory, config, after, Arc::new(SystemClock))
}

pub(crate) fn open_at(
    directory: &(impl Directory + Clone + 'static),
    config: LogConfig,
    after: Seq,
    clock: Arc<dyn Clock>,
) -> Result<(Log, Recovery, Records)> {
    let mut records = Vec::new();
    let (log, recovery) = Log::open(
        Arc::new(directory.clone()),
        config,
        clock,
        after,
        &mut |seq, record| {
            records.push((seq, record.to_vec()));
            Ok(())
        },
    )?;
    Ok((log, recovery, records))
}

/// A record whose length and bytes follow from its number.
pub(crate) fn record(number: u64) -> Vec<u8> {
    let len = (number * 37 % 190) as usize;
    (0..len).map(|at| (number as usize * 31 + at) as u8).collect()
}

/// Record `i` at position `i`, from `first` on.
pub(crate) fn expect_run(records: &Records, first: u64, count: u64) {
    assert_eq!(records.len() as u64, count, "number of records");
    for (index, (seq, bytes)) in records.iter().enumerate() {
        let number = first + index as u64;
        assert_eq!((*seq, bytes), (Seq(number), &record(number)));
    }
}

/// Time that moves when told.
#[derive(Clone)]
pub(crate) struct StillClock {
    begun: Instant,
    passed: Arc<Mutex<Duration>>,
}

impl StillClock {
    pub(crate) fn new() -> Self {
        Self {
            begun: Instant::now(),
            passed: Arc::default(),
        }
    }

    pub(crate) fn advance(&self, by: Duration) {
        *self.passed.lock().unwrap() += by;
    }
}

impl Clock for StillClock {
    fn now(&self) -> Instant {
        self.begun + *self.passed.lock().unwrap()
    }

    fn wall(&self) -> SystemTime {
        SystemTime::UNIX_EPOCH + *self.passed.lock().unwrap()
    }
}

/// Waits, a minute at most, for something that another thread will make true.
pub(crate) fn eventually(what: &str, mut holds: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !holds() {
        assert!(begun.elapsed() < Duration::from_secs(60), "never came: {what}");
        std::thread::yield_now();
    }
}
