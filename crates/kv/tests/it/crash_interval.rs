//! Level interval: a power cut at any moment loses at most what was acknowledged within the last interval.

use crate::conformance::config;
use quintet_core::{Clock, Durability, SystemClock, fake::ManualClock};
use quintet_kv::{Config, Store, Value};
use quintet_log::{CrashDirectory, MemDirectory};
use std::{
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

const INTERVAL: Duration = Duration::from_millis(10);
const LONG: Duration = Duration::from_secs(20);

fn settings() -> Config {
    Config {
        interval: INTERVAL,
        ..config(Durability::Interval)
    }
}

/// What a store finds in what a power cut left.
fn found(image: MemDirectory) -> u64 {
    let store = Store::open(settings(), Arc::new(image), Arc::new(SystemClock)).unwrap();
    match store.get("n").unwrap() {
        None => 0,
        Some(Value::Int(n)) => n as u64,
        Some(other) => panic!("{other:?}"),
    }
}

/// The disk, the time in microseconds, and how many writes were acknowledged when.
struct Rig {
    directory: CrashDirectory,
    clock: ManualClock,
    start: Instant,
    /// When the nth write was acknowledged.
    acknowledged: Vec<u64>,
}

impl Rig {
    fn now_us(&self) -> u64 {
        (self.clock.now() - self.start).as_micros() as u64
    }

    fn note(&self) {
        self.directory
            .note((self.acknowledged.len() as u64) << 40 | self.now_us());
    }

    /// How many writes must be there when the power is cut at this time.
    fn owed(&self, now_us: u64) -> u64 {
        let old = |at: &&u64| **at + (INTERVAL.as_micros() as u64) < now_us;
        self.acknowledged.iter().filter(old).count() as u64
    }

    /// Moves the time on, and stops at each moment at which something is due.
    fn advance(&self, step_us: u64) {
        let target_us = self.now_us() + step_us;
        loop {
            let now_us = self.now_us();
            let due = self
                .acknowledged
                .iter()
                .map(|at| at + INTERVAL.as_micros() as u64);
            let stop_us = due
                .filter(|due| *due > now_us)
                .min()
                .unwrap_or(target_us)
                .min(target_us);
            self.clock.advance(Duration::from_micros(stop_us - now_us));
            self.note();
            self.flushed();
            if stop_us == target_us {
                return;
            }
        }
    }

    /// Gives the flusher, which lives in real time, the chance to do what is due at this moment.
    fn flushed(&self) {
        let deadline = Instant::now() + LONG;
        let due = self.owed(self.now_us() + 1);
        while found(self.directory.image(self.directory.moments(), 1)) < due {
            assert!(Instant::now() < deadline, "{due} writes are due and not on disk");
            thread::yield_now();
        }
    }
}

#[test]
fn at_most_an_interval_is_lost_whenever_the_power_is_cut() {
    let clock = ManualClock::new();
    let mut rig = Rig {
        directory: CrashDirectory::new(),
        start: clock.now(),
        clock,
        acknowledged: Vec::new(),
    };
    let store = Store::open(
        settings(),
        Arc::new(rig.directory.clone()),
        Arc::new(rig.clock.clone()),
    )
    .unwrap();
    let mut random = 7_u64;
    for _ in 0..120 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        if (random >> 33).is_multiple_of(3) {
            store.increment("n", 1).unwrap();
            rig.acknowledged.push(rig.now_us());
        }
        rig.note();
        rig.advance((random >> 40) % 3_000);
    }
    let (mut lost, writes) = (0, rig.acknowledged.len() as u64);
    for moment in 0..=rig.directory.moments() {
        let noted = rig.directory.noted(moment).unwrap_or(0);
        let (acknowledged, now_us) = (noted >> 40, noted & 0xff_ffff_ffff);
        for seed in [1, 2 + moment as u64] {
            let found = found(rig.directory.image(moment, seed));
            let owed = rig.owed(now_us);
            assert!(
                found >= owed,
                "moment {moment}, seed {seed}: {found} of {owed} writes older than the interval"
            );
            lost += acknowledged.saturating_sub(found);
        }
    }
    assert!(
        writes > 20 && lost > 0,
        "{writes} writes, {lost} lost: the check had nothing to do"
    );
}
