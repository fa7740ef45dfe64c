//! [`Taking`]: a wait for an item of a list as a future, for async callers. It runs on no thread while it waits, and needs
//! no runtime. Dropping it gives back what was handed over and never taken.

use super::{Delivery, Pending, Wish};
use crate::{
    Store,
    effect::{Effect, End},
    inner::Inner,
    value::{Bytes, Value},
};
use quintet_core::Result;
use std::{
    fmt,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Wake, Waker},
};

/// Wakes whoever polled last.
#[derive(Default)]
struct Relay {
    waker: Mutex<Option<Waker>>,
}

impl Wake for Relay {
    fn wake(self: Arc<Self>) {
        let waker = self.waker.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(waker) = waker {
            waker.wake();
        }
    }
}

/// An item, or a place in the line of those who wait for one. Made by [`Store::taking`].
#[must_use = "a future does nothing unless polled; dropping it leaves the line"]
pub struct Taking {
    relay: Arc<Relay>,
    state: State,
    inner: Arc<Inner>,
    key: Bytes,
    end: End,
}

enum State {
    Found(Option<Value>),
    Waiting(Pending),
}

impl fmt::Debug for Taking {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let waits = matches!(self.state, State::Waiting(_));
        f.debug_struct("Taking")
            .field("waits", &waits)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Takes the item at one end of a list, or gets in line for one. The future then resolves without blocking; what it
    /// answers is as durable as configured once [`settle`](Self::settle) has returned.
    ///
    /// Blocks for the locks of the key and the log's back-pressure only. Dropping the future may block likewise.
    ///
    /// ```
    /// use quintet_kv::{End, Store};
    /// use std::{future::Future, pin::pin, task::{Context, Poll, Waker}};
    ///
    /// let store = Store::in_memory();
    /// let mut taking = pin!(store.taking("jobs", End::Front, "shift")?);
    /// let mut context = Context::from_waker(Waker::noop());
    /// assert!(taking.as_mut().poll(&mut context).is_pending());
    /// store.push("jobs", "job 1")?;
    /// assert_eq!(taking.as_mut().poll(&mut context), Poll::Ready(Some("job 1".into())));
    /// # Ok::<(), quintet_core::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`InvalidInput`](quintet_core::ErrorKind::InvalidInput) when there is something that is no list;
    /// [`Unavailable`](quintet_core::ErrorKind::Unavailable) when too many wait.
    pub fn taking(&self, key: impl AsRef<[u8]>, end: End, operation: &'static str) -> Result<Taking> {
        let key = key.as_ref();
        let relay = Arc::<Relay>::default();
        let waker = Waker::from(relay.clone());
        let pending = Pending::new(&self.inner, vec![Bytes::from(key)], waker)?;
        let (found, _) = self.inner.write(&[key], false, |transaction| {
            let item = transaction.pop(key, end, operation)?.flatten();
            if item.is_none() {
                pending.register(transaction, &Wish::Item(end));
            }
            Ok(item)
        })?;
        let state = match found {
            Some(item) => State::Found(Some(item)),
            None => State::Waiting(pending),
        };
        let (inner, key) = (self.inner.clone(), Bytes::from(key));
        Ok(Taking {
            relay,
            state,
            inner,
            key,
            end,
        })
    }
}

impl Drop for Taking {
    fn drop(&mut self) {
        // What was handed over while waiting is given back by `Pending`.
        if let State::Found(item) = &mut self.state
            && let Some(value) = item.take()
        {
            // A log that refuses the item has failed for good.
            let _outcome = self.inner.write(&[&self.key], false, |transaction| {
                let (end, items) = (self.end, vec![value.clone()]);
                transaction.apply(&self.key, Effect::Push { end, items })
            });
        }
    }
}

impl Future for Taking {
    /// `None` only when it is polled again after its end.
    type Output = Option<Value>;

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Value>> {
        *self.relay.waker.lock().unwrap_or_else(PoisonError::into_inner) = Some(context.waker().clone());
        match &mut self.state {
            State::Found(item) => Poll::Ready(item.take()),
            // After the waker is there: what is delivered from here on wakes it.
            State::Waiting(pending) => match pending.take() {
                Some(Delivery::Item { value, .. }) => Poll::Ready(Some(value)),
                Some(Delivery::State { .. } | Delivery::Retry { .. }) => Poll::Ready(None),
                None => Poll::Pending,
            },
        }
    }
}

#[cfg(all(test, not(quintet_loom)))]
mod tests {
    use super::*;
    use std::pin::pin;

    #[test]
    fn items_go_to_the_first_in_line_and_come_back_from_those_who_leave() {
        let store = Store::in_memory();
        let mut context = Context::from_waker(Waker::noop());
        let mut first = pin!(store.taking("l", End::Front, "shift").unwrap());
        let second = store.taking("l", End::Front, "shift").unwrap();
        assert!(first.as_mut().poll(&mut context).is_pending());
        store.push("l", 1_i64).unwrap();
        store.push("l", 2_i64).unwrap();
        assert_eq!(
            first.as_mut().poll(&mut context),
            Poll::Ready(Some(Value::Int(1)))
        );
        assert_eq!(first.as_mut().poll(&mut context), Poll::Pending);
        // The second was given its item and leaves without it.
        assert_eq!(store.shift("l").unwrap(), None);
        drop(second);
        assert_eq!(store.shift("l").unwrap(), Some(Value::Int(2)));
        assert_eq!(store.waiting(), 1);
    }

    #[test]
    fn what_is_there_is_taken_at_once() {
        let store = Store::in_memory();
        store.push("l", 1_i64).unwrap();
        let mut taking = pin!(store.taking("l", End::Back, "pop").unwrap());
        let mut context = Context::from_waker(Waker::noop());
        assert_eq!(
            taking.as_mut().poll(&mut context),
            Poll::Ready(Some(Value::Int(1)))
        );
        store.push("l", Value::from("x")).unwrap();
        drop(store.taking("l", End::Back, "pop").unwrap());
        assert_eq!(store.pop("l").unwrap(), Some(Value::from("x")));
        store.set("s", 1_i64).unwrap();
        assert!(store.taking("s", End::Back, "pop").is_err());
        assert_eq!(store.waiting(), 0);
    }
}
