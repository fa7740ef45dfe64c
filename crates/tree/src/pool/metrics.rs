//! What a pool counts: jobs by priority, how long they waited and ran, how busy the workers were. Padded by nothing: a job
//! costs a few relaxed additions.

use super::{Priority, queue::Turn};
use std::{
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

/// Bucket n counts what took less than 2^n µs; the last one all that is longer.
const BUCKETS: usize = 26;

/// How long something took: counts in buckets, each twice as wide as the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Spread {
    /// Bucket n: less than 2^n µs; the last one: more.
    pub buckets: [u64; BUCKETS],
    /// The sum.
    pub total: Duration,
    /// The longest.
    pub max: Duration,
}

impl Spread {
    /// How many there were.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.buckets.iter().sum()
    }

    /// An upper bound of what this share, 0.0 to 1.0, stayed below: at most twice the true value.
    #[must_use]
    pub fn quantile(&self, share: f64) -> Duration {
        let rank = (self.count() as f64 * share).ceil() as u64;
        let mut seen = 0;
        for (bucket, count) in self.buckets.iter().enumerate() {
            seen += count;
            if seen >= rank {
                return Duration::from_micros(1 << bucket).min(self.max);
            }
        }
        self.max
    }
}

/// The jobs of one priority.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PriorityStats {
    /// Waiting now.
    pub waiting: usize,
    /// Done.
    pub done: u64,
    /// Not begun, because the deadline had passed.
    pub late: u64,
    /// Not begun, because the caller was gone.
    pub cancelled: u64,
    /// Panicked.
    pub panicked: u64,
    /// Refused, because the queue was full.
    pub refused: u64,
    /// From being queued to being begun.
    pub wait: Spread,
    /// From being begun to being done.
    pub run: Spread,
}

/// What a pool has done so far.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PoolStats {
    /// Workers now.
    pub workers: usize,
    /// Workers that wait for a job now.
    pub idle: usize,
    /// The most workers there ever were.
    pub peak_workers: usize,
    /// The share of the workers' time that they spent on jobs, 0.0 to 1.0, since the start.
    pub utilisation: f64,
    /// Each priority, in the order of [`Priority::ALL`].
    pub priorities: [PriorityStats; 4],
}

#[derive(Default)]
struct Counts {
    buckets: [AtomicU64; BUCKETS],
    total_ns: AtomicU64,
    max_ns: AtomicU64,
}

impl Counts {
    fn add(&self, took: Duration) {
        let us = u64::try_from(took.as_micros()).unwrap_or(u64::MAX);
        let bucket = (u64::BITS - us.leading_zeros()) as usize;
        self.buckets[bucket.min(BUCKETS - 1)].fetch_add(1, Relaxed);
        let ns = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        self.total_ns.fetch_add(ns, Relaxed);
        self.max_ns.fetch_max(ns, Relaxed);
    }

    fn read(&self) -> Spread {
        Spread {
            buckets: std::array::from_fn(|bucket| self.buckets[bucket].load(Relaxed)),
            total: Duration::from_nanos(self.total_ns.load(Relaxed)),
            max: Duration::from_nanos(self.max_ns.load(Relaxed)),
        }
    }
}

#[derive(Default)]
struct OfPriority {
    done: AtomicU64,
    late: AtomicU64,
    cancelled: AtomicU64,
    panicked: AtomicU64,
    refused: AtomicU64,
    wait: Counts,
    run: Counts,
}

pub(super) struct Metrics {
    priorities: [OfPriority; 4],
    busy_ns: AtomicU64,
    peak_workers: AtomicUsize,
    alive: Mutex<Alive>,
}

/// The time that workers were there, up to `since`.
struct Alive {
    workers: u32,
    since: Instant,
    total: Duration,
}

impl Alive {
    fn change(&mut self, workers: u32, now: Instant) {
        self.total += now.saturating_duration_since(self.since) * self.workers;
        self.since = now;
        self.workers = workers;
    }
}

impl Metrics {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            priorities: Default::default(),
            busy_ns: AtomicU64::new(0),
            peak_workers: AtomicUsize::new(0),
            alive: Mutex::new(Alive {
                workers: 0,
                since: now,
                total: Duration::ZERO,
            }),
        }
    }

    fn alive(&self) -> std::sync::MutexGuard<'_, Alive> {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn worker_started(&self, workers: usize, now: Instant) {
        self.peak_workers.fetch_max(workers, Relaxed);
        let mut alive = self.alive();
        let more = alive.workers + 1;
        alive.change(more, now);
    }

    pub(super) fn worker_ended(&self, now: Instant) {
        let mut alive = self.alive();
        let less = alive.workers.saturating_sub(1);
        alive.change(less, now);
    }

    pub(super) fn refused(&self, priority: Priority) {
        self.priorities[priority as usize].refused.fetch_add(1, Relaxed);
    }

    /// `done`: whether it ran; `None` = it panicked.
    pub(super) fn job(
        &self,
        priority: Priority,
        turn: Turn,
        done: Option<bool>,
        waited: Duration,
        ran: Duration,
    ) {
        let of = &self.priorities[priority as usize];
        let counter = match (done, turn) {
            (None, _) => &of.panicked,
            (Some(false), _) => &of.cancelled,
            (Some(true), Turn::Late(_)) => &of.late,
            (Some(true), Turn::Run) => &of.done,
        };
        counter.fetch_add(1, Relaxed);
        of.wait.add(waited);
        if done != Some(false) && turn == Turn::Run {
            of.run.add(ran);
        }
        self.busy_ns
            .fetch_add(u64::try_from(ran.as_nanos()).unwrap_or(u64::MAX), Relaxed);
    }

    pub(super) fn read(&self, workers: usize, idle: usize, waiting: [usize; 4], now: Instant) -> PoolStats {
        let alive = {
            let mut alive = self.alive();
            let same = alive.workers;
            alive.change(same, now);
            alive.total.as_secs_f64()
        };
        let busy = Duration::from_nanos(self.busy_ns.load(Relaxed)).as_secs_f64();
        PoolStats {
            workers,
            idle,
            peak_workers: self.peak_workers.load(Relaxed),
            utilisation: if alive > 0.0 { (busy / alive).min(1.0) } else { 0.0 },
            priorities: std::array::from_fn(|priority| {
                let of = &self.priorities[priority];
                PriorityStats {
                    waiting: waiting[priority],
                    done: of.done.load(Relaxed),
                    late: of.late.load(Relaxed),
                    cancelled: of.cancelled.load(Relaxed),
                    panicked: of.panicked.load(Relaxed),
                    refused: of.refused.load(Relaxed),
                    wait: of.wait.read(),
                    run: of.run.read(),
                }
            }),
        }
    }
}
