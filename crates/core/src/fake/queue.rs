//! [`FakeQueue`]: a deque behind a mutex. Slow, obviously correct, and the queue that loom explores.

use crate::{
    Closed, Consumer, PopError, Producer, PushError, Queue,
    primitive::{Arc, Mutex, lock},
};
use std::{collections::VecDeque, num::NonZeroUsize};

/// A queue without cleverness, for tests.
pub struct FakeQueue;

struct State<T> {
    items: VecDeque<T>,
    capacity: usize,
    producer_gone: bool,
    consumer_gone: bool,
}

/// The sending half of a [`FakeQueue`].
pub struct FakeProducer<T>(Arc<Mutex<State<T>>>);

/// The receiving half of a [`FakeQueue`].
pub struct FakeConsumer<T>(Arc<Mutex<State<T>>>);

impl<T> Drop for FakeProducer<T> {
    fn drop(&mut self) {
        lock(&self.0).producer_gone = true;
    }
}

impl<T> Drop for FakeConsumer<T> {
    fn drop(&mut self) {
        lock(&self.0).consumer_gone = true;
    }
}

impl<T: Send + 'static> Queue<T> for FakeQueue {
    type Producer = FakeProducer<T>;
    type Consumer = FakeConsumer<T>;

    fn bounded(capacity: NonZeroUsize) -> (FakeProducer<T>, FakeConsumer<T>) {
        let state = State {
            items: VecDeque::with_capacity(capacity.get()),
            capacity: capacity.get(),
            producer_gone: false,
            consumer_gone: false,
        };
        let state = Arc::new(Mutex::new(state));
        (FakeProducer(Arc::clone(&state)), FakeConsumer(state))
    }
}

impl<T: Send + 'static> Producer<T> for FakeProducer<T> {
    fn push(&mut self, item: T) -> Result<(), PushError<T>> {
        let mut state = lock(&self.0);
        if state.consumer_gone {
            return Err(PushError::Closed(item));
        }
        if state.items.len() == state.capacity {
            return Err(PushError::Full(item));
        }
        state.items.push_back(item);
        Ok(())
    }

    fn push_batch(&mut self, items: &mut Vec<T>) -> Result<usize, Closed> {
        let mut state = lock(&self.0);
        if state.consumer_gone {
            return Err(Closed);
        }
        let count = items.len().min(state.capacity - state.items.len());
        state.items.extend(items.drain(..count));
        Ok(count)
    }

    fn free(&self) -> usize {
        let state = lock(&self.0);
        state.capacity - state.items.len()
    }
}

impl<T: Send + 'static> Consumer<T> for FakeConsumer<T> {
    fn pop(&mut self) -> Result<T, PopError> {
        let mut state = lock(&self.0);
        let end = if state.producer_gone {
            PopError::Closed
        } else {
            PopError::Empty
        };
        state.items.pop_front().ok_or(end)
    }

    fn pop_batch(&mut self, out: &mut Vec<T>, max: usize) -> Result<usize, Closed> {
        let mut state = lock(&self.0);
        if state.items.is_empty() && state.producer_gone && max > 0 {
            return Err(Closed);
        }
        let count = max.min(state.items.len());
        out.extend(state.items.drain(..count));
        Ok(count)
    }

    fn ready(&self) -> usize {
        lock(&self.0).items.len()
    }
}
