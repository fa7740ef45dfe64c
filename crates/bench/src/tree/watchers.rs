//! What watchers cost a writer, and how soon they know: one thread reads for all of them, as an event loop would.

use super::{Effort, Home, writes};
use crate::measure::Subject;
use quintet_core::Parker;
use quintet_tree::{Next, Path, Watch};
use serde_json::json;
use std::{
    path,
    sync::{
        Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll, Waker},
    thread,
    time::{Duration, Instant},
};

pub(super) const NAMES: [&str; 5] = [
    "no watcher",
    "1 watcher",
    "100 watchers",
    "1000 watchers",
    "1000 watchers that never read",
];

pub(super) struct Bench {
    home: Mutex<Home>,
    events: usize,
    window: Duration,
}

impl Bench {
    pub(super) fn prepare(effort: &Effort, dir: &path::Path) -> anyhow::Result<Self> {
        let bench = Self {
            home: Mutex::new(Home::new(dir)?),
            events: effort.events,
            window: effort.window,
        };
        anyhow::ensure!(bench.measure(2, true)[0] > 0.0, "watchers are not told");
        Ok(bench)
    }

    pub(super) fn subjects(&self) -> Vec<Subject<'_>> {
        [(0, true), (1, true), (100, true), (1000, true), (1000, false)]
            .into_iter()
            .zip(NAMES)
            .map(|((watchers, read), name)| Subject::several(name, move || self.measure(watchers, read)))
            .collect()
    }

    /// Median and p99 of the time until the last watcher knows, in µs, and writes a second of 16 clients.
    fn measure(&self, watchers: usize, read: bool) -> Vec<f64> {
        let home = self.home.lock().expect("no measurement panics");
        let tree = &home.tree;
        let watched = Path::from_names(["clients"]).expect("a path");
        // Not read first: it grows with every round.
        let begin = || tree.reader().changes(&watched).expect("a watch");
        let mut watches: Vec<Watch> = (0..watchers).map(|_| begin()).collect();
        let (tell, told) = mpsc::channel();
        let (stop, seen) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            if read {
                let (watches, stop, seen) = (&mut watches, &stop, &seen);
                scope.spawn(move || read_all(watches, stop, seen, &tell));
            } else {
                drop(tell);
            }
            let waker: Waker = told.recv().unwrap_or_else(|_| Waker::noop().clone());
            let mut times: Vec<Duration> = (0..self.events)
                .map(|n| {
                    let (before, wanted) = (Instant::now(), seen.load(Ordering::Acquire) + watchers);
                    tree.set(&watched.child("x").expect("a path"), json!(n))
                        .expect("a write");
                    while read && seen.load(Ordering::Acquire) < wanted {
                        thread::yield_now();
                    }
                    before.elapsed()
                })
                .collect();
            let rate = writes::clients_of(16, self.window, &|client, n| {
                writes::write(tree, client, n).is_ok()
            })[0];
            stop.store(true, Ordering::Release);
            waker.wake();
            times.sort_unstable();
            let at = |share: usize| times[(times.len() - 1) * share / 100].as_secs_f64() * 1e6;
            vec![at(50), at(99), rate]
        })
    }
}

/// Reads for all watchers until told to stop.
fn read_all(watches: &mut [Watch], stop: &AtomicBool, seen: &AtomicUsize, tell: &mpsc::Sender<Waker>) {
    // A look at a thousand watches is no spin.
    let parker = Parker::new().with_spins(0);
    let waker = Waker::from(parker.doorbell());
    // The measurement waits for this.
    let _told = tell.send(waker.clone());
    let mut context = Context::from_waker(&waker);
    while !stop.load(Ordering::Acquire) {
        parker.wait(
            || {
                let mut found = 0;
                for watch in watches.iter_mut() {
                    while let Poll::Ready(Some(next)) = watch.poll_next(&mut context) {
                        if matches!(next, Next::Overflow) {
                            watch.skip().expect("a read");
                        }
                        found += 1;
                    }
                }
                seen.fetch_add(found, Ordering::Release);
                found > 0 || stop.load(Ordering::Acquire)
            },
            None,
        );
    }
}
