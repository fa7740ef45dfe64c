//! How many messages a second cross from one thread to another.

use super::{Effort, Message};
use crate::{
    machine::pin_to,
    measure::{Samples, Subject, alternate},
};
use quintet_core::{
    Consumer, PopError, Producer, Queue, crossbeam_queue::CrossbeamQueue, fake::FakeQueue,
    rtrb_queue::RtrbQueue,
};
use std::{hint::spin_loop, num::NonZeroUsize, sync::Barrier, thread, time::Instant};

const CAPACITY: NonZeroUsize = NonZeroUsize::new(4096).unwrap();

pub(super) const NAMES: [&str; 6] = [
    "rtrb, raw",
    "rtrb, through the trait",
    "crossbeam, raw",
    "crossbeam, through the trait",
    "fake (mutex)",
    "rtrb, raw, in place",
];

pub(super) fn measure(effort: &Effort, chunk: usize) -> Vec<Samples> {
    let messages = effort.messages;
    alternate(
        vec![
            Subject::new(NAMES[0], move || raw_rtrb(messages, chunk)),
            Subject::new(NAMES[1], move || by_trait::<RtrbQueue>(messages, chunk)),
            Subject::new(NAMES[2], move || raw_crossbeam(messages)),
            Subject::new(NAMES[3], move || by_trait::<CrossbeamQueue>(messages, chunk)),
            Subject::new(NAMES[4], move || by_trait::<FakeQueue>(messages, chunk)),
            Subject::new(NAMES[5], move || rtrb_in_place(messages, chunk)),
        ],
        effort.repetitions,
    )
}

/// Runs `produce` and `consume` on two cores and returns millions of messages a second. `consume` returns the sum of
/// what it saw, so that a lost or doubled message is found.
fn two_threads(messages: u64, produce: impl FnOnce() + Send, consume: impl FnOnce() -> u64) -> f64 {
    let ready = Barrier::new(2);
    thread::scope(|scope| {
        scope.spawn(|| {
            pin_to(1);
            ready.wait();
            produce();
        });
        pin_to(0);
        ready.wait();
        let start = Instant::now();
        let sum = consume();
        let seconds = start.elapsed().as_secs_f64();
        assert_eq!(
            sum,
            messages * (messages - 1) / 2,
            "messages were lost or doubled"
        );
        messages as f64 / seconds / 1e6
    })
}

/// Moves owned messages one by one, or from a `Vec` to a `Vec` in chunks: the job that the trait does.
fn raw_rtrb(messages: u64, chunk: usize) -> f64 {
    let (mut tx, mut rx) = rtrb::RingBuffer::<Message>::new(CAPACITY.get());
    let produce = move || {
        let mut next = 0;
        let mut batch = Vec::with_capacity(chunk);
        while next < messages || !batch.is_empty() {
            if chunk == 1 {
                while tx.push([next; 8]).is_err() {
                    spin_loop();
                }
                next += 1;
                continue;
            }
            refill(&mut batch, &mut next, messages, chunk);
            let room = if tx.cached_slots() < batch.len() {
                tx.slots()
            } else {
                batch.len()
            };
            if let Ok(slots) = tx.write_chunk_uninit(room.min(batch.len())) {
                slots.fill_from_iter(batch.drain(..room.min(batch.len())));
            }
        }
    };
    let consume = move || {
        let (mut seen, mut sum) = (0, 0);
        let mut batch = Vec::with_capacity(chunk);
        while seen < messages {
            if chunk == 1 {
                match rx.pop() {
                    Ok(message) => {
                        sum += message[0];
                        seen += 1;
                    }
                    Err(_) => spin_loop(),
                }
                continue;
            }
            let ready = if rx.cached_slots() < chunk {
                rx.slots()
            } else {
                chunk
            };
            if let Ok(slots) = rx.read_chunk(ready.min(chunk)) {
                batch.extend(slots);
            }
            seen += batch.len() as u64;
            sum += batch.drain(..).map(|message| message[0]).sum::<u64>();
        }
        sum
    };
    two_threads(messages, produce, consume)
}

/// Writes and reads messages where they lie in the ring: no owned batch, the bound that no safe trait reaches.
fn rtrb_in_place(messages: u64, chunk: usize) -> f64 {
    let (mut tx, mut rx) = rtrb::RingBuffer::<Message>::new(CAPACITY.get());
    let produce = move || {
        let mut next = 0;
        while next < messages {
            let wanted = chunk.min((messages - next) as usize);
            let room = if tx.cached_slots() < wanted {
                tx.slots()
            } else {
                wanted
            };
            if let Ok(slots) = tx.write_chunk_uninit(room.min(wanted)) {
                next += slots.fill_from_iter((next..).map(|n| [n; 8])) as u64;
            }
        }
    };
    let consume = move || {
        let (mut seen, mut sum) = (0, 0);
        while seen < messages {
            let ready = if rx.cached_slots() < chunk {
                rx.slots()
            } else {
                chunk
            };
            if let Ok(slots) = rx.read_chunk(ready.min(chunk)) {
                for message in slots {
                    sum += message[0];
                    seen += 1;
                }
            }
        }
        sum
    };
    two_threads(messages, produce, consume)
}

fn refill(batch: &mut Vec<Message>, next: &mut u64, messages: u64, chunk: usize) {
    let missing = (chunk - batch.len()).min((messages - *next) as usize);
    batch.extend((*next..).take(missing).map(|n| [n; 8]));
    *next += missing as u64;
}

fn raw_crossbeam(messages: u64) -> f64 {
    let queue = crossbeam::queue::ArrayQueue::<Message>::new(CAPACITY.get());
    let produce = || {
        for n in 0..messages {
            while queue.push([n; 8]).is_err() {
                spin_loop();
            }
        }
    };
    let consume = || {
        let (mut seen, mut sum) = (0, 0);
        while seen < messages {
            match queue.pop() {
                Some(message) => {
                    sum += message[0];
                    seen += 1;
                }
                None => spin_loop(),
            }
        }
        sum
    };
    two_threads(messages, produce, consume)
}

fn by_trait<Q: Queue<Message>>(messages: u64, chunk: usize) -> f64 {
    let (mut tx, mut rx) = Q::bounded(CAPACITY);
    let produce = move || {
        let mut next = 0;
        let mut batch = Vec::with_capacity(chunk);
        while next < messages {
            if chunk == 1 {
                while tx.push([next; 8]).is_err() {
                    spin_loop();
                }
                next += 1;
                continue;
            }
            refill(&mut batch, &mut next, messages, chunk);
            while !batch.is_empty() && tx.push_batch(&mut batch) == Ok(0) {
                spin_loop();
            }
        }
        while !batch.is_empty() && tx.push_batch(&mut batch).is_ok() {}
    };
    let consume = move || {
        let (mut seen, mut sum) = (0, 0);
        let mut batch = Vec::with_capacity(chunk);
        while seen < messages {
            if chunk == 1 {
                match rx.pop() {
                    Ok(message) => {
                        sum += message[0];
                        seen += 1;
                    }
                    Err(PopError::Empty) => spin_loop(),
                    Err(PopError::Closed) => break,
                }
                continue;
            }
            if rx.pop_batch(&mut batch, chunk).is_err() {
                break;
            }
            seen += batch.len() as u64;
            sum += batch.drain(..).map(|message| message[0]).sum::<u64>();
        }
        sum
    };
    two_threads(messages, produce, consume)
}
