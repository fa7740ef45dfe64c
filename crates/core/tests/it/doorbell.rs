//! The doorbell and the parker on real threads.

use quintet_core::{Doorbell, Parker};
use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Wake, Waker},
    thread,
    time::{Duration, Instant},
};

#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn only_the_first_ring_of_an_armed_bell_wakes() {
    let counter = Arc::new(Counter::default());
    let bell = Doorbell::new(Waker::from(Arc::clone(&counter)));
    let woken = || counter.0.load(Ordering::SeqCst);
    bell.ring();
    assert_eq!(woken(), 0, "nobody sleeps");
    bell.arm();
    bell.ring();
    bell.clone().ring();
    assert_eq!(woken(), 1);
    bell.arm();
    bell.disarm();
    bell.ring();
    assert_eq!(woken(), 1, "awake again");
    bell.arm();
    Waker::from(bell).wake();
    assert_eq!(woken(), 2, "a bell is a waker");
}

/// Two threads hand a token to and fro; each turn needs a wake-up, at once, after some looks, after some that give way.
#[test]
fn no_wake_up_is_lost_between_threads() {
    const TURNS: usize = 5_000;
    for (spins, gives_way) in [(0, false), (50, false), (50, true)] {
        let token = AtomicUsize::new(0);
        let parkers = [0, 1].map(|_| {
            let parker = Parker::new().with_spins(spins);
            if gives_way { parker.giving_way() } else { parker }
        });
        let bells = [parkers[0].doorbell(), parkers[1].doorbell()];
        let give_up = Instant::now() + Duration::from_secs(60);
        let play = |me: usize, parker: &Parker, bells: &[Doorbell; 2]| {
            for turn in 0..TURNS {
                let mine = 2 * turn + me;
                while token.load(Ordering::Acquire) != mine {
                    // Longer than a lost wake-up may pass for slow.
                    let ready = || token.load(Ordering::Acquire) == mine;
                    parker.wait(ready, Some(Duration::from_secs(20)));
                    assert!(
                        Instant::now() < give_up,
                        "stuck in turn {turn} with {spins} spins"
                    );
                }
                token.store(mine + 1, Ordering::Release);
                bells[1 - me].ring();
            }
        };
        let started = Instant::now();
        thread::scope(|scope| {
            let (play, bells) = (&play, &bells);
            for (me, parker) in parkers.into_iter().enumerate() {
                scope.spawn(move || play(me, &parker, bells));
            }
        });
        assert_eq!(token.load(Ordering::Acquire), 2 * TURNS);
        assert!(
            started.elapsed() < Duration::from_secs(20),
            "a wake-up was lost and a timeout saved it"
        );
    }
}

#[test]
fn a_ring_before_the_wait_is_seen_as_work() {
    let parker = Parker::new().with_spins(0);
    assert!(parker.wait(|| true, None), "with work there is no sleep");
    assert!(!parker.wait(|| false, Some(Duration::ZERO)), "no time, no sleep");
    let mut looks = 0;
    let found = parker.wait(
        || {
            looks += 1;
            looks > 1
        },
        Some(Duration::from_millis(1)),
    );
    assert!(found, "after the timeout it looks once more");
}
