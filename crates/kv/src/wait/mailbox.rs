//! [`Mailbox`]: where one waiter gets its one answer. Whoever moves it out of `Waiting` first has decided how the wait
//! ended: a delivery, or the waiter itself that gave up.

use super::primitive::{Mutex, MutexGuard, lock};
use crate::{
    effect::End,
    value::{Bytes, Value},
};
use std::task::Waker;

/// What a waiter gets.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// An item that is taken out of the list: it belongs to the waiter now.
    Item { key: Bytes, end: End, value: Value },
    /// The value that fulfilled a condition.
    State { value: Value },
    /// Something may be there: look again.
    Retry { key: Bytes },
}

#[derive(Debug)]
pub(crate) enum Letter {
    Waiting,
    Ready(Delivery),
    Closed,
}

impl Letter {
    pub(crate) fn is_waiting(&self) -> bool {
        matches!(self, Self::Waiting)
    }

    pub(crate) fn deliver(&mut self, delivery: Delivery) {
        *self = Self::Ready(delivery);
    }
}

#[derive(Debug)]
pub(crate) struct Mailbox {
    letter: Mutex<Letter>,
    waker: Waker,
}

impl Mailbox {
    pub(crate) fn new(waker: Waker) -> Self {
        Self {
            letter: Mutex::new(Letter::Waiting),
            waker,
        }
    }

    /// The letter, for a deliverer that must not let go between looking and putting.
    pub(crate) fn lock(&self) -> MutexGuard<'_, Letter> {
        lock(&self.letter)
    }

    pub(crate) fn is_waiting(&self) -> bool {
        self.lock().is_waiting()
    }

    /// Takes what was delivered; the mailbox is closed then. `None` while waiting.
    pub(crate) fn take(&self) -> Option<Delivery> {
        let mut letter = self.lock();
        if matches!(*letter, Letter::Waiting) {
            return None;
        }
        match std::mem::replace(&mut *letter, Letter::Closed) {
            Letter::Ready(delivery) => Some(delivery),
            Letter::Waiting | Letter::Closed => None,
        }
    }

    /// Gives up. What was delivered before that is handed out: it must not be lost.
    pub(crate) fn close(&self) -> Option<Delivery> {
        match std::mem::replace(&mut *self.lock(), Letter::Closed) {
            Letter::Ready(delivery) => Some(delivery),
            Letter::Waiting | Letter::Closed => None,
        }
    }

    pub(crate) fn wake(&self) {
        self.waker.wake_by_ref();
    }

    pub(crate) fn waker(&self) -> &Waker {
        &self.waker
    }
}
