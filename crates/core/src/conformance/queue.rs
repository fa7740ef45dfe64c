//! The clauses of [`Queue`], [`Producer`] and [`Consumer`], for a queue type.
//!
//! Single-threaded clauses pin the contract call by call; `two_threads` and `closing_loses_nothing` let it race.

use super::claim::{Claim, Clause};
use crate::{Closed, Consumer, PopError, Producer, PushError, Queue};
use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// Calls a macro with the names of all clauses of this suite.
#[doc(hidden)]
#[macro_export]
macro_rules! queue_clauses {
    ($then:ident $arguments:tt) => {
        $crate::$then! { $arguments
            fifo full_returns_the_item holds_exactly_its_capacity drains_then_closes closed_returns_the_item
            push_batch_keeps_the_suffix push_batch_to_nobody_takes_nothing pop_batch_appends_up_to_max
            pop_batch_drains_then_closes drops_each_item_once free_and_ready_are_lower_bounds wraps_around
            zero_sized_items large_items two_threads closing_loses_nothing
        }
    };
}

/// One `#[test]` per clause of [`Queue`](crate::Queue): `queue_suite!(name_of_module, QueueType)`.
#[macro_export]
macro_rules! queue_suite {
    ($name:ident, $queue:ty) => {
        $crate::queue_clauses! { clause_tests_of_type (queue, $name, $queue) }
    };
}

/// What a queue type must carry to be examined: numbers, nothing, pages and values that count their drops.
pub trait Examined: Queue<u64> + Queue<()> + Queue<[u8; 4096]> + Queue<Tracked> {}

impl<Q: Queue<u64> + Queue<()> + Queue<[u8; 4096]> + Queue<Tracked>> Examined for Q {}

/// All clauses, for a runner of one's own.
#[must_use]
pub fn clauses<Q: Examined + 'static>() -> Vec<Clause> {
    queue_clauses! { clause_list_of_type (queue, Q) }
}

/// A value that counts how often it is dropped.
#[derive(Debug)]
pub struct Tracked(Arc<AtomicUsize>);

impl Drop for Tracked {
    fn drop(&mut self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

type Halves<Q, T> = (<Q as Queue<T>>::Producer, <Q as Queue<T>>::Consumer);

fn bounded<Q: Queue<T>, T: Send + 'static>(capacity: usize) -> Halves<Q, T> {
    Q::bounded(NonZeroUsize::new(capacity).unwrap_or(NonZeroUsize::MIN))
}

/// What was pushed first is popped first.
pub fn fifo<Q: Queue<u64>>() {
    let claim = Claim("queue::fifo");
    let (mut tx, mut rx) = bounded::<Q, u64>(8);
    for item in 0..5 {
        claim.ok("push", tx.push(item));
    }
    for item in 0..5 {
        claim.same("pop", Ok(item), rx.pop());
    }
    claim.same("pop of an empty queue", Err(PopError::Empty), rx.pop());
}

/// A push into a full queue hands the item back and changes nothing.
pub fn full_returns_the_item<Q: Queue<u64>>() {
    let claim = Claim("queue::full_returns_the_item");
    let (mut tx, mut rx) = bounded::<Q, u64>(2);
    claim.ok("push", tx.push(1));
    claim.ok("push", tx.push(2));
    claim.same("push into a full queue", Err(PushError::Full(3)), tx.push(3));
    claim.same("pop after the refusal", Ok(1), rx.pop());
    claim.ok("push after a pop", tx.push(4));
    claim.same("pop", Ok(2), rx.pop());
    claim.same("pop", Ok(4), rx.pop());
}

/// A queue takes as many items as was asked for, no more and no fewer.
pub fn holds_exactly_its_capacity<Q: Queue<u64>>() {
    let claim = Claim("queue::holds_exactly_its_capacity");
    for capacity in [1, 2, 3, 5, 8, 100] {
        let (mut tx, _rx) = bounded::<Q, u64>(capacity);
        let accepted = (0..)
            .take_while(|item| tx.push(*item).is_ok() && *item < 1_000)
            .count();
        claim.same("items accepted", capacity, accepted);
    }
}

/// When the producer is gone, what it sent is still there, and then the queue is closed.
pub fn drains_then_closes<Q: Queue<u64>>() {
    let claim = Claim("queue::drains_then_closes");
    let (mut tx, mut rx) = bounded::<Q, u64>(4);
    claim.ok("push", tx.push(1));
    claim.ok("push", tx.push(2));
    drop(tx);
    claim.same("first pop", Ok(1), rx.pop());
    claim.same("second pop", Ok(2), rx.pop());
    claim.same("pop of what is drained", Err(PopError::Closed), rx.pop());
    claim.same("and again", Err(PopError::Closed), rx.pop());
}

/// When the consumer is gone, a push hands the item back as closed, whether there is room or not.
pub fn closed_returns_the_item<Q: Queue<u64>>() {
    let claim = Claim("queue::closed_returns_the_item");
    for before in 0..2 {
        let (mut tx, rx) = bounded::<Q, u64>(1);
        for item in 0..before {
            claim.ok("push", tx.push(item));
        }
        drop(rx);
        claim.same("push to nobody", Err(PushError::Closed(7)), tx.push(7));
    }
}

/// A batch moves the longest prefix that fits and leaves the rest, in order.
pub fn push_batch_keeps_the_suffix<Q: Queue<u64>>() {
    let claim = Claim("queue::push_batch_keeps_the_suffix");
    let (mut tx, mut rx) = bounded::<Q, u64>(3);
    let mut items = vec![1, 2, 3, 4, 5];
    claim.same("moved into an empty queue", Ok(3), tx.push_batch(&mut items));
    claim.same("the rest", &[4, 5][..], &items);
    claim.same("moved into a full queue", Ok(0), tx.push_batch(&mut items));
    claim.same("the rest", &[4, 5][..], &items);
    claim.same("pop", Ok(1), rx.pop());
    claim.same("moved into one free place", Ok(1), tx.push_batch(&mut items));
    claim.same("the rest", &[5][..], &items);
    for item in 2..5 {
        claim.same("pop", Ok(item), rx.pop());
    }
    claim.same("moved when all fits", Ok(1), tx.push_batch(&mut items));
    claim.holds(
        items.is_empty(),
        format_args!("{items:?} was left although it fits"),
    );
    claim.same("an empty batch", Ok(0), tx.push_batch(&mut items));
    claim.same("pop", Ok(5), rx.pop());
}

/// A batch for a consumer that is gone stays with the caller.
pub fn push_batch_to_nobody_takes_nothing<Q: Queue<u64>>() {
    let claim = Claim("queue::push_batch_to_nobody_takes_nothing");
    let (mut tx, rx) = bounded::<Q, u64>(3);
    drop(rx);
    let mut items = vec![1, 2];
    claim.same("push to nobody", Err(Closed), tx.push_batch(&mut items));
    claim.same("the items", &[1, 2][..], &items);
}

/// Taking a batch appends to what the caller has and takes no more than it asked for.
pub fn pop_batch_appends_up_to_max<Q: Queue<u64>>() {
    let claim = Claim("queue::pop_batch_appends_up_to_max");
    let (mut tx, mut rx) = bounded::<Q, u64>(8);
    claim.same("moved", Ok(5), tx.push_batch(&mut vec![1, 2, 3, 4, 5]));
    let mut out = vec![99];
    claim.same("a batch of none", Ok(0), rx.pop_batch(&mut out, 0));
    claim.same("a batch of two", Ok(2), rx.pop_batch(&mut out, 2));
    claim.same("taken", &[99, 1, 2][..], &out);
    claim.same("a batch of what is there", Ok(3), rx.pop_batch(&mut out, 100));
    claim.same("taken", &[99, 1, 2, 3, 4, 5][..], &out);
    claim.same("a batch of an empty queue", Ok(0), rx.pop_batch(&mut out, 100));
}

/// As `drains_then_closes`, for batches.
pub fn pop_batch_drains_then_closes<Q: Queue<u64>>() {
    let claim = Claim("queue::pop_batch_drains_then_closes");
    let (mut tx, mut rx) = bounded::<Q, u64>(4);
    claim.same("moved", Ok(3), tx.push_batch(&mut vec![1, 2, 3]));
    drop(tx);
    let mut out = Vec::new();
    claim.same("first batch", Ok(2), rx.pop_batch(&mut out, 2));
    claim.same("last batch", Ok(1), rx.pop_batch(&mut out, 2));
    claim.same(
        "a batch of what is drained",
        Err(Closed),
        rx.pop_batch(&mut out, 2),
    );
    claim.same("taken", &[1, 2, 3][..], &out);
}

/// Every item is dropped once: taken, refused, or left in the queue; whichever half goes first.
pub fn drops_each_item_once<Q: Queue<Tracked>>() {
    let claim = Claim("queue::drops_each_item_once");
    for consumer_first in [false, true] {
        let drops = Arc::new(AtomicUsize::new(0));
        let (mut tx, mut rx) = bounded::<Q, Tracked>(3);
        for _ in 0..4 {
            drop(tx.push(Tracked(Arc::clone(&drops))));
        }
        claim.same("drops after one refusal", 1, drops.load(Ordering::Relaxed));
        drop(rx.pop());
        claim.same("drops after one pop", 2, drops.load(Ordering::Relaxed));
        if consumer_first {
            drop(rx);
            drop(tx);
        } else {
            drop(tx);
            drop(rx);
        }
        claim.same(
            "drops when both halves are gone",
            4,
            drops.load(Ordering::Relaxed),
        );
        claim.same("handles left", 1, Arc::strong_count(&drops));
    }
}

/// As many pushes as `free` says, and as many pops as `ready` says, succeed; both are exact when nothing moves.
pub fn free_and_ready_are_lower_bounds<Q: Queue<u64>>() {
    let claim = Claim("queue::free_and_ready_are_lower_bounds");
    let (mut tx, mut rx) = bounded::<Q, u64>(5);
    for round in 0..20 {
        let free = tx.free();
        claim.same("free with nothing queued", 5, free);
        let pushed = (round % 5) + 1;
        for item in 0..pushed {
            claim.same("free", 5 - item, tx.free());
            claim.ok("push although `free` said there is room", tx.push(item as u64));
        }
        claim.same("ready", pushed, rx.ready());
        for _ in 0..pushed {
            claim.ok("pop although `ready` said there is something", rx.pop());
        }
        claim.same("ready of an empty queue", 0, rx.ready());
    }
}

/// Order and count survive many turns around rings of awkward sizes, one by one and in batches.
pub fn wraps_around<Q: Queue<u64>>() {
    let claim = Claim("queue::wraps_around");
    for capacity in [1, 2, 3, 7] {
        let (mut tx, mut rx) = bounded::<Q, u64>(capacity);
        let (mut sent, mut seen) = (0_u64, 0_u64);
        let mut out = Vec::new();
        for turn in 0..200 {
            let mut items: Vec<u64> = (sent..sent + 1 + turn % 4).collect();
            let asked = items.len();
            let moved = claim.ok("push_batch", tx.push_batch(&mut items));
            claim.same("left of the batch", asked - moved, items.len());
            sent += moved as u64;
            if turn % 3 == 0 && tx.push(sent).is_ok() {
                sent += 1;
            }
            claim.ok(
                "pop_batch",
                rx.pop_batch(&mut out, 1 + (turn as usize % capacity)),
            );
            out.extend(rx.pop().ok());
            for item in out.drain(..) {
                claim.same("item", seen, item);
                seen += 1;
            }
        }
        claim.same("items that wait", (sent - seen) as usize, rx.ready());
        claim.holds(seen > 100, format_args!("only {seen} items passed in 200 turns"));
    }
}

/// Items without a size are counted all the same.
pub fn zero_sized_items<Q: Queue<()>>() {
    let claim = Claim("queue::zero_sized_items");
    let (mut tx, mut rx) = bounded::<Q, ()>(3);
    claim.same("moved", Ok(3), tx.push_batch(&mut vec![(); 5]));
    claim.same("push into a full queue", Err(PushError::Full(())), tx.push(()));
    claim.same("ready", 3, rx.ready());
    claim.same("pop", Ok(()), rx.pop());
    let mut out = Vec::new();
    claim.same("batch", Ok(2), rx.pop_batch(&mut out, 9));
    claim.same("pop of an empty queue", Err(PopError::Empty), rx.pop());
}

/// Items of a page come out byte for byte.
pub fn large_items<Q: Queue<[u8; 4096]>>() {
    let claim = Claim("queue::large_items");
    let (mut tx, mut rx) = bounded::<Q, [u8; 4096]>(3);
    let page = |fill: u8| {
        let mut page = [fill; 4096];
        page[4095] = !fill;
        page
    };
    for turn in 0..30 {
        claim.holds(
            tx.push(page(turn)).is_ok(),
            format_args!("push of page {turn} failed"),
        );
        claim.same("moved", Ok(1), tx.push_batch(&mut vec![page(turn + 100)]));
        for fill in [turn, turn + 100] {
            let whole = rx.pop().is_ok_and(|seen| seen == page(fill));
            claim.holds(whole, format_args!("page {fill} came out changed or not at all"));
        }
    }
}

/// 100 000 items cross between two threads, in order, singly and in batches, under back-pressure.
pub fn two_threads<Q: Queue<u64>>() {
    const ITEMS: u64 = 100_000;
    let claim = Claim("queue::two_threads");
    let (mut tx, rx) = bounded::<Q, u64>(61);
    thread::scope(move |scope| {
        let mut rx = rx; // Inside: a consumer that fails is gone before its producer is waited for.
        scope.spawn(move || {
            let mut next = 0;
            let mut items = Vec::new();
            while next < ITEMS || !items.is_empty() {
                while items.len() < 16 && next < ITEMS {
                    items.push(next);
                    next += 1;
                }
                let free = tx.free();
                let asked = items.len();
                match tx.push_batch(&mut items) {
                    Ok(moved) => claim.holds(
                        moved >= free.min(asked),
                        format_args!("`free` promised {free} places, {moved} of {asked} items fitted"),
                    ),
                    Err(Closed) => return, // The consumer failed and says why.
                }
                if items.len() == asked {
                    thread::yield_now();
                }
            }
        });
        let mut out = Vec::new();
        let mut expected = 0;
        let mut turn = 0_usize;
        // Each step has its own patience: a slow machine is no fault, a queue that stands still is.
        let mut ended = false;
        while !ended {
            claim.within("an item or the end of the queue", || {
                turn += 1;
                let popped = if turn.is_multiple_of(7) {
                    rx.pop()
                        .map(|item| out.push(item))
                        .map_err(|end| end == PopError::Closed)
                } else {
                    rx.pop_batch(&mut out, 32).map(|_| ()).map_err(|Closed| true)
                };
                ended = popped == Err(true);
                if out.is_empty() && !ended {
                    thread::yield_now();
                    return None;
                }
                Some(())
            });
            for item in out.drain(..) {
                claim.same("item", expected, item);
                expected += 1;
            }
        }
        claim.same("items received", ITEMS, expected);
    });
}

/// A producer that goes away while the consumer polls loses nothing, however the two race.
pub fn closing_loses_nothing<Q: Queue<u64>>() {
    let claim = Claim("queue::closing_loses_nothing");
    for round in 0..500 {
        let (mut tx, mut rx) = bounded::<Q, u64>(4);
        thread::scope(|scope| {
            scope.spawn(move || {
                for item in 0..round % 4 {
                    claim.ok("push", tx.push(item));
                }
            });
            let mut received = 0;
            claim.within("the end of the queue", || match rx.pop() {
                Ok(_) => {
                    received += 1;
                    None
                }
                Err(PopError::Empty) => None,
                Err(PopError::Closed) => Some(()),
            });
            claim.same("items received before the end", round % 4, received);
        });
    }
}
