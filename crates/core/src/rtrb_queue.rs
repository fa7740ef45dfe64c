//! [`RtrbQueue`]: the trait over rtrb's wait-free ring, one producer and one consumer.
//!
//! A batch is one chunk: one Acquire and one Release however many items it moves.

use crate::{Closed, Consumer, PopError, Producer, PushError, Queue};
use std::num::NonZeroUsize;

/// rtrb's ring. The fastest queue between exactly two threads.
pub struct RtrbQueue;

/// The sending half of an [`RtrbQueue`].
pub struct RtrbProducer<T>(rtrb::Producer<T>);

/// The receiving half of an [`RtrbQueue`].
pub struct RtrbConsumer<T>(rtrb::Consumer<T>);

impl<T: Send + 'static> Queue<T> for RtrbQueue {
    type Producer = RtrbProducer<T>;
    type Consumer = RtrbConsumer<T>;

    fn bounded(capacity: NonZeroUsize) -> (Self::Producer, Self::Consumer) {
        let (producer, consumer) = rtrb::RingBuffer::new(capacity.get());
        (RtrbProducer(producer), RtrbConsumer(consumer))
    }
}

impl<T: Send + 'static> Producer<T> for RtrbProducer<T> {
    #[inline]
    fn push(&mut self, item: T) -> Result<(), PushError<T>> {
        if self.0.is_abandoned() {
            return Err(PushError::Closed(item));
        }
        self.0
            .push(item)
            .map_err(|rtrb::PushError::Full(item)| PushError::Full(item))
    }

    #[inline]
    fn push_batch(&mut self, items: &mut Vec<T>) -> Result<usize, Closed> {
        if self.0.is_abandoned() {
            return Err(Closed);
        }
        // The consumer can only make room, so the cached answer is good when it suffices.
        let mut room = self.0.cached_slots();
        if room < items.len() {
            room = self.0.slots();
        }
        let count = room.min(items.len());
        if count == 0 {
            return Ok(0);
        }
        let Ok(chunk) = self.0.write_chunk_uninit(count) else {
            return Ok(0);
        };
        Ok(chunk.fill_from_iter(items.drain(..count)))
    }

    #[inline]
    fn free(&self) -> usize {
        self.0.slots()
    }
}

impl<T: Send + 'static> Consumer<T> for RtrbConsumer<T> {
    #[inline]
    fn pop(&mut self) -> Result<T, PopError> {
        if let Ok(item) = self.0.pop() {
            return Ok(item);
        }
        if !self.0.is_abandoned() {
            return Err(PopError::Empty);
        }
        // What was pushed before the producer went away is visible now that its going is.
        self.0.pop().map_err(|rtrb::PopError::Empty| PopError::Closed)
    }

    #[inline]
    fn pop_batch(&mut self, out: &mut Vec<T>, max: usize) -> Result<usize, Closed> {
        let mut ready = self.0.cached_slots();
        if ready < max {
            ready = self.0.slots();
            if ready == 0 {
                if !self.0.is_abandoned() {
                    return Ok(0);
                }
                // What was pushed before the producer went away is visible now that its going is.
                ready = self.0.slots();
                if ready == 0 {
                    return Err(Closed);
                }
            }
        }
        let count = ready.min(max);
        let Ok(chunk) = self.0.read_chunk(count) else {
            return Ok(0);
        };
        out.extend(chunk);
        Ok(count)
    }

    #[inline]
    fn ready(&self) -> usize {
        self.0.slots()
    }
}
