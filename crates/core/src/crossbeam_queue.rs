//! [`CrossbeamQueue`]: the trait over crossbeam's `ArrayQueue`, with a half for each side so that going away is seen.

use crate::{Closed, Consumer, PopError, Producer, PushError, Queue};
use crossbeam::queue::ArrayQueue;
use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

/// crossbeam's array queue. Slower than a ring between two threads; its strength is many of them.
pub struct CrossbeamQueue;

struct Shared<T> {
    items: ArrayQueue<T>,
    /// One half is gone. Stored with Release when it goes, so that all it pushed is visible to whoever sees this.
    alone: AtomicBool,
}

impl<T> Shared<T> {
    fn is_alone(&self) -> bool {
        self.alone.load(Ordering::Acquire)
    }
}

/// The sending half of a [`CrossbeamQueue`].
pub struct CrossbeamProducer<T>(Arc<Shared<T>>);

/// The receiving half of a [`CrossbeamQueue`].
pub struct CrossbeamConsumer<T>(Arc<Shared<T>>);

impl<T> Drop for CrossbeamProducer<T> {
    fn drop(&mut self) {
        self.0.alone.store(true, Ordering::Release);
    }
}

impl<T> Drop for CrossbeamConsumer<T> {
    fn drop(&mut self) {
        self.0.alone.store(true, Ordering::Release);
    }
}

impl<T: Send + 'static> Queue<T> for CrossbeamQueue {
    type Producer = CrossbeamProducer<T>;
    type Consumer = CrossbeamConsumer<T>;

    fn bounded(capacity: NonZeroUsize) -> (CrossbeamProducer<T>, CrossbeamConsumer<T>) {
        let shared = Arc::new(Shared {
            items: ArrayQueue::new(capacity.get()),
            alone: AtomicBool::new(false),
        });
        (CrossbeamProducer(Arc::clone(&shared)), CrossbeamConsumer(shared))
    }
}

impl<T: Send + 'static> Producer<T> for CrossbeamProducer<T> {
    fn push(&mut self, item: T) -> Result<(), PushError<T>> {
        if self.0.is_alone() {
            return Err(PushError::Closed(item));
        }
        self.0.items.push(item).map_err(PushError::Full)
    }

    fn push_batch(&mut self, items: &mut Vec<T>) -> Result<usize, Closed> {
        if self.0.is_alone() {
            return Err(Closed);
        }
        // Only this half pushes, so the room that is here now stays.
        let count = self.free().min(items.len());
        for item in items.drain(..count) {
            let refused = self.0.items.push(item).is_err();
            debug_assert!(!refused, "the only producer saw room that was not there");
        }
        Ok(count)
    }

    fn free(&self) -> usize {
        self.0.items.capacity() - self.0.items.len()
    }
}

impl<T: Send + 'static> Consumer<T> for CrossbeamConsumer<T> {
    fn pop(&mut self) -> Result<T, PopError> {
        if let Some(item) = self.0.items.pop() {
            return Ok(item);
        }
        if !self.0.is_alone() {
            return Err(PopError::Empty);
        }
        self.0.items.pop().ok_or(PopError::Closed)
    }

    fn pop_batch(&mut self, out: &mut Vec<T>, max: usize) -> Result<usize, Closed> {
        let before = out.len();
        while out.len() - before < max {
            match self.pop() {
                Ok(item) => out.push(item),
                Err(PopError::Empty) => break,
                Err(PopError::Closed) if out.len() == before => return Err(Closed),
                Err(PopError::Closed) => break,
            }
        }
        Ok(out.len() - before)
    }

    fn ready(&self) -> usize {
        self.0.items.len()
    }
}
