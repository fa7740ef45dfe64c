//! How long one message takes there and back while both threads are awake, and what a controller adds.

use super::{Effort, Message};
use crate::{
    machine::pin_to,
    measure::{Samples, Subject, alternate},
};
use quintet_core::{
    BatchConfig, BatchController, Consumer, Controller, Doorbell, Keyed, Producer, Queue, SystemClock, Tick,
    Worker,
    crossbeam_queue::CrossbeamQueue,
    fake::{FakeHandler, FakeQueue},
    rtrb_queue::RtrbQueue,
};
use std::{
    hint::spin_loop,
    num::NonZeroUsize,
    sync::{Arc, Barrier},
    thread,
    time::Instant,
};

const ONE: NonZeroUsize = NonZeroUsize::MIN;

pub(super) const NAMES: [&str; 5] = [
    "rtrb, raw",
    "rtrb, through the trait",
    "crossbeam, through the trait",
    "fake (mutex)",
    "worker, rtrb, controller and back",
];

pub(super) fn measure(effort: &Effort) -> Vec<Samples> {
    let trips = effort.round_trips;
    alternate(
        vec![
            Subject::new(NAMES[0], move || raw(trips)),
            Subject::new(NAMES[1], move || by_trait::<RtrbQueue>(trips)),
            Subject::new(NAMES[2], move || by_trait::<CrossbeamQueue>(trips)),
            Subject::new(NAMES[3], move || by_trait::<FakeQueue>(trips)),
            Subject::new(NAMES[4], move || through_a_controller(trips)),
        ],
        effort.repetitions,
    )
}

/// Runs `echo` on one core and `trip` so many times on another; returns ns per trip.
fn ping_pong(trips: u64, echo: impl FnOnce() + Send, mut trip: impl FnMut()) -> f64 {
    let ready = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            pin_to(1);
            ready.wait();
            echo();
        });
        pin_to(0);
        ready.wait();
        trip();
        let start = Instant::now();
        for _ in 1..trips {
            trip();
        }
        start.elapsed().as_nanos() as f64 / (trips - 1) as f64
    })
}

fn raw(trips: u64) -> f64 {
    let (mut there, mut arriving) = rtrb::RingBuffer::<Message>::new(1);
    let (mut back, mut returning) = rtrb::RingBuffer::<Message>::new(1);
    let echo = move || {
        for _ in 0..trips {
            let message = loop {
                match arriving.pop() {
                    Ok(message) => break message,
                    Err(_) => spin_loop(),
                }
            };
            while back.push(message).is_err() {
                spin_loop();
            }
        }
    };
    ping_pong(trips, echo, move || {
        while there.push([7; 8]).is_err() {
            spin_loop();
        }
        while returning.pop().is_err() {
            spin_loop();
        }
    })
}

fn by_trait<Q: Queue<Message>>(trips: u64) -> f64 {
    let (mut there, mut arriving) = Q::bounded(ONE);
    let (mut back, mut returning) = Q::bounded(ONE);
    let echo = move || {
        for _ in 0..trips {
            let message = loop {
                match arriving.pop() {
                    Ok(message) => break message,
                    Err(_) => spin_loop(),
                }
            };
            while back.push(message).is_err() {
                spin_loop();
            }
        }
    };
    ping_pong(trips, echo, move || {
        while there.push([7; 8]).is_err() {
            spin_loop();
        }
        while returning.pop().is_err() {
            spin_loop();
        }
    })
}

fn through_a_controller(trips: u64) -> f64 {
    let mut controller = BatchController::new(
        FakeHandler::new(),
        Arc::new(SystemClock),
        Doorbell::silent(),
        BatchConfig::default(),
    );
    let connector = controller.connector();
    let Ok(mut worker) = connector.connect::<RtrbQueue>(ONE, Doorbell::silent()) else {
        return f64::NAN;
    };
    let mut done = Vec::with_capacity(1);
    let echo = move || {
        let mut served = 0;
        while served < trips {
            if let Ok(Tick::Worked(count)) = controller.tick(ONE) {
                served += count.get() as u64;
            }
        }
    };
    ping_pong(trips, echo, move || {
        while worker.submit(Keyed::Get { key: Vec::new() }).is_err() {
            spin_loop();
        }
        let _gone = worker.flush();
        while worker.reap(&mut done, 1) == Ok(0) {
            spin_loop();
        }
        done.clear();
    })
}
