//! Bounded queues between two threads: the contract that rings, array queues and fakes all keep.
//!
//! A queue is split into two halves that are used through `&mut self`, so that "one producer, one consumer" is a matter
//! of ownership and a wait-free ring needs no lock. A refused item always comes back. Batches are the fast path: one
//! synchronisation per call instead of one per item.

use std::{fmt, num::NonZeroUsize};

/// Why an item was not queued. The item is handed back.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum PushError<T> {
    /// There is no room now. Only the consumer can change that.
    Full(T),
    /// The consumer is gone; no push will ever succeed again.
    Closed(T),
}

impl<T> PushError<T> {
    /// The item that was refused.
    pub fn into_inner(self) -> T {
        match self {
            Self::Full(item) | Self::Closed(item) => item,
        }
    }
}

impl<T> fmt::Debug for PushError<T> {
    // By hand, so that the item need not be `Debug`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "Full(..)",
            Self::Closed(_) => "Closed(..)",
        })
    }
}

impl<T> fmt::Display for PushError<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full(_) => "the queue is full",
            Self::Closed(_) => "the other end of the queue is gone",
        })
    }
}

impl<T> std::error::Error for PushError<T> {}

/// Why there was no item to take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PopError {
    /// Nothing is queued now.
    Empty,
    /// The producer is gone *and* everything it sent has been taken.
    Closed,
}

impl fmt::Display for PopError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Empty => "the queue is empty",
            Self::Closed => "the queue is drained and its other end is gone",
        })
    }
}

impl std::error::Error for PopError {}

/// The other side of a queue or port is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Closed;

impl fmt::Display for Closed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the other side is gone")
    }
}

impl std::error::Error for Closed {}

impl From<Closed> for crate::Error {
    fn from(_: Closed) -> Self {
        crate::ErrorKind::Closed.into()
    }
}

/// The sending half of a bounded queue.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Producer<T: Send + 'static>: Send {
    /// Queues one item.
    ///
    /// # Errors
    /// [`PushError::Full`] when the queue holds its capacity, [`PushError::Closed`] when the consumer was dropped. The
    /// item comes back in both.
    fn push(&mut self, item: T) -> Result<(), PushError<T>>;

    /// Moves the longest prefix of `items` that fits and returns its length; the rest stays in `items`, in order. At
    /// most one synchronisation per call on rings, no allocation.
    ///
    /// # Errors
    /// [`Closed`] when the consumer was dropped; nothing is taken from `items` then.
    fn push_batch(&mut self, items: &mut Vec<T>) -> Result<usize, Closed>;

    /// How many items fit now: a lower bound, since only the consumer can change it, and only upwards.
    fn free(&self) -> usize;
}

/// The receiving half of a bounded queue.
#[cfg_attr(any(test, feature = "mock"), mockall::automock)]
pub trait Consumer<T: Send + 'static>: Send {
    /// Takes the oldest item.
    ///
    /// # Errors
    /// [`PopError::Empty`] when nothing is queued, [`PopError::Closed`] when nothing ever will be.
    fn pop(&mut self) -> Result<T, PopError>;

    /// Appends at most `max` items to `out`, oldest first, and returns how many; `out` is never cleared. An empty queue
    /// with a live producer is `Ok(0)`.
    ///
    /// # Errors
    /// [`Closed`] when the queue is drained and the producer was dropped.
    fn pop_batch(&mut self, out: &mut Vec<T>, max: usize) -> Result<usize, Closed>;

    /// How many items can be taken now: a lower bound, since only the producer can change it, and only upwards.
    fn ready(&self) -> usize;
}

/// A kind of queue, chosen at compile time: an rtrb ring, a crossbeam array queue, the fake.
///
/// ```
/// use quintet_core::{Consumer, PopError, Producer, Queue, fake::FakeQueue};
/// use std::num::NonZeroUsize;
///
/// let (mut tx, mut rx) = <FakeQueue as Queue<u32>>::bounded(NonZeroUsize::new(2).unwrap());
/// tx.push(1).unwrap();
/// drop(tx);
/// assert_eq!(rx.pop(), Ok(1));
/// assert_eq!(rx.pop(), Err(PopError::Closed));
/// ```
pub trait Queue<T: Send + 'static> {
    /// The sending half.
    type Producer: Producer<T> + 'static;
    /// The receiving half.
    type Consumer: Consumer<T> + 'static;

    /// Makes a queue that holds exactly `capacity` items. Allocates once, here.
    fn bounded(capacity: NonZeroUsize) -> (Self::Producer, Self::Consumer);
}
