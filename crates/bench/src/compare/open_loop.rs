//! The open loop: operations are due at fixed moments, whether or not the subject is ready, and latency counts from then.
//!
//! That corrects for coordinated omission: while a subject stalls, the operations that were due meanwhile wait too, and
//! their waiting shows. The schedule is split over the clients, each of which has its own moments.

use super::{
    draw::Source,
    drive::{Driver, Through},
    workload::Workload,
};
use anyhow::Result;
use hdrhistogram::Histogram;
use std::{
    sync::{Arc, Barrier, Mutex, PoisonError},
    thread,
    time::{Duration, Instant},
};

/// What is read off the histogram, in percent.
pub(crate) const PERCENTILES: [f64; 12] = [
    1.0, 10.0, 25.0, 50.0, 75.0, 90.0, 95.0, 99.0, 99.5, 99.9, 99.99, 100.0,
];

/// Sleeping is used for waits longer than this; waking takes some 50 µs.
const SLEEP_AT_LEAST: Duration = Duration::from_micros(300);

/// What an open loop takes.
#[derive(Clone, Debug, serde::Serialize, serde::Deserialize)]
pub(crate) struct Latency {
    /// How many a second were done; less than were due when the subject cannot keep up.
    pub achieved_per_second: f64,
    /// Microseconds at each of [`PERCENTILES`].
    pub percentiles_us: Vec<f64>,
}

fn histogram() -> Result<Histogram<u64>> {
    // A nanosecond to a minute, three digits.
    Ok(Histogram::new_with_bounds(1, 60_000_000_000, 3)?)
}

impl Driver<'_> {
    /// Latency at `per_second` operations of all clients together.
    pub(super) fn open_loop(
        &self,
        workload: &Workload,
        per_second: f64,
        window: Duration,
    ) -> Result<Latency> {
        let one_at_a_time = Workload {
            depth: 1,
            ..workload.clone()
        };
        let source = Source::new(&one_at_a_time, Arc::clone(&self.inserted));
        let each = Duration::from_secs_f64(workload.clients as f64 / per_second);
        let start = Barrier::new(workload.clients);
        let merged = Mutex::new((histogram()?, 0, None));
        let mut clients = Vec::new();
        for _ in 0..workload.clients {
            clients.push(self.client(&one_at_a_time, Through::Message)?);
        }
        let begun = Instant::now();
        thread::scope(|scope| {
            for (number, mut client) in clients.into_iter().enumerate() {
                let (source, start, merged) = (&source, &start, &merged);
                scope.spawn(move || {
                    let mut stream = source.stream(number);
                    start.wait();
                    let taken = paced(each, number as u32, workload.clients as u32, window, || {
                        client.step(&mut stream).map(drop)
                    });
                    let mut merged = merged.lock().unwrap_or_else(PoisonError::into_inner);
                    match taken {
                        Ok((own, done)) => {
                            merged.1 += done;
                            if merged.0.add(&own).is_err() {
                                merged.2 = Some(anyhow::anyhow!("a latency beyond a minute"));
                            }
                        }
                        Err(error) => merged.2 = Some(error),
                    }
                });
            }
        });
        let seconds = begun.elapsed().as_secs_f64();
        let (all, done, failed) = merged.into_inner().unwrap_or_else(PoisonError::into_inner);
        if let Some(error) = failed {
            return Err(error);
        }
        let at = |percent: f64| all.value_at_quantile(percent / 100.0) as f64 / 1e3;
        Ok(Latency {
            achieved_per_second: done as f64 / seconds,
            percentiles_us: PERCENTILES.iter().map(|percent| at(*percent)).collect(),
        })
    }
}

/// Does what is due until the window is over; what is overdue at its end is still done, but not for longer than the
/// window once more. Answers the latencies, and how many operations were really done.
fn paced(
    each: Duration,
    number: u32,
    clients: u32,
    window: Duration,
    mut operation: impl FnMut() -> Result<()>,
) -> Result<(Histogram<u64>, u64)> {
    let (mut taken, mut done) = (histogram()?, 0);
    // Clients are due one after another, not all at once.
    let begun = Instant::now();
    let mut due = begun + each * number / clients;
    while due < begun + window {
        wait_until(due);
        operation()?;
        done += 1;
        let now = Instant::now();
        let latency = now.saturating_duration_since(due).as_nanos() as u64;
        taken.saturating_record(latency.max(1));
        due += each;
        if now > begun + 2 * window {
            // Hopelessly behind: what is still due has waited at least until now.
            while due < begun + window {
                let waited = now.saturating_duration_since(due).as_nanos() as u64;
                taken.saturating_record(waited.max(1));
                due += each;
            }
        }
    }
    Ok((taken, done))
}

fn wait_until(due: Instant) {
    loop {
        let left = due.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return;
        }
        match left.checked_sub(SLEEP_AT_LEAST) {
            Some(most) => thread::sleep(most),
            None => thread::yield_now(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stall_is_seen_by_everything_that_was_due_meanwhile() {
        let mut calls = 0;
        let each = Duration::from_millis(1);
        let stall = Duration::from_millis(60);
        let taken = paced(each, 0, 1, Duration::from_millis(100), || {
            calls += 1;
            if calls == 10 {
                let until = Instant::now() + stall;
                while Instant::now() < until {
                    thread::yield_now();
                }
            }
            Ok(())
        });
        let (taken, done) = taken.unwrap();
        assert_eq!((taken.len(), done), (100, 100));
        // Without the correction one of a hundred would be slow; with it, those of 60 ms, half of them by 30 ms and more.
        let slow = taken.count_between(30_000_000, 60_000_000_000);
        assert!(slow >= 25, "{slow} operations saw the stall");
    }

    #[test]
    fn what_can_never_be_done_in_time_is_counted_all_the_same() {
        let each = Duration::from_micros(100);
        let taken = paced(each, 0, 1, Duration::from_millis(20), || {
            let until = Instant::now() + Duration::from_millis(5);
            while Instant::now() < until {
                thread::yield_now();
            }
            Ok(())
        });
        let (taken, done) = taken.unwrap();
        assert!(taken.len() == 200 && done < 20, "{done} of {} done", taken.len());
    }
}
