//! How long it takes until a thread that sleeps holds the message: the price of being woken.

use super::Effort;
use crate::{
    machine::pin_to,
    measure::{Samples, Subject, alternate},
};
use quintet_core::{Consumer, Parker, PopError, Producer, Queue, rtrb_queue::RtrbQueue};
use std::{
    num::NonZeroUsize,
    sync::{Barrier, mpsc},
    thread,
    time::{Duration, Instant},
};

pub(super) const NAMES: [&str; 3] = [
    "std mpsc, parked",
    "rtrb and doorbell, parked",
    "rtrb and doorbell, spinning first",
];

/// Long enough for the other side to fall asleep.
const ASLEEP: Duration = Duration::from_micros(300);
/// Short enough for a spinning side to be awake still.
const AWAKE: Duration = Duration::from_micros(3);

pub(super) fn measure(effort: &Effort) -> Vec<Samples> {
    let times = effort.hand_offs;
    alternate(
        vec![
            Subject::new(NAMES[0], move || std_channel(times)),
            Subject::new(NAMES[1], move || doorbell(times, 0, ASLEEP)),
            Subject::new(NAMES[2], move || doorbell(times, 1_000_000, AWAKE)),
        ],
        effort.repetitions,
    )
}

/// Median of the hand-offs in µs.
fn median_us(mut delays: Vec<Duration>) -> f64 {
    delays.sort_unstable();
    delays[delays.len() / 2].as_nanos() as f64 / 1e3
}

fn pause(time: Duration) {
    let start = Instant::now();
    while start.elapsed() < time {
        std::hint::spin_loop();
    }
}

fn std_channel(times: u32) -> f64 {
    let (tx, rx) = mpsc::sync_channel::<Instant>(1);
    let ready = Barrier::new(2);
    thread::scope(|scope| {
        let started = &ready;
        let receiver = scope.spawn(move || {
            pin_to(1);
            started.wait();
            rx.into_iter().map(|sent| sent.elapsed()).collect::<Vec<_>>()
        });
        pin_to(0);
        ready.wait();
        for _ in 0..times {
            pause(ASLEEP);
            let _gone = tx.send(Instant::now());
        }
        drop(tx);
        receiver.join().map_or(f64::NAN, median_us)
    })
}

fn doorbell(times: u32, spins: u32, gap: Duration) -> f64 {
    let (mut tx, mut rx) = <RtrbQueue as Queue<Instant>>::bounded(NonZeroUsize::MIN);
    let parker = Parker::new().with_spins(spins);
    let bell = parker.doorbell();
    let ready = Barrier::new(2);
    thread::scope(|scope| {
        let started = &ready;
        let receiver = scope.spawn(move || {
            pin_to(1);
            started.wait();
            let mut delays = Vec::new();
            loop {
                match rx.pop() {
                    Ok(sent) => delays.push(sent.elapsed()),
                    Err(PopError::Empty) => {
                        parker.wait(|| rx.ready() > 0, None);
                    }
                    Err(PopError::Closed) => return delays,
                }
            }
        });
        pin_to(0);
        ready.wait();
        for _ in 0..times {
            pause(gap);
            let _refused = tx.push(Instant::now());
            bell.ring();
        }
        drop(tx);
        bell.ring();
        receiver.join().map_or(f64::NAN, median_us)
    })
}
