//! Operations that block the calling thread: for an item of a list, for a value, for a condition.

use crate::{
    CancelToken, KvError, Store,
    effect::End,
    error::show,
    value::{Bytes, Value},
    wait::{Delivery, Pending, Wish},
};
use quintet_core::{Deadline, Parker, Result};
use std::{task::Waker, time::Duration};

/// How long to wait. The deadline is fixed when the operation is called.
#[derive(Clone, Copy, Debug, Default)]
pub struct Wait<'a> {
    timeout: Option<Duration>,
    cancel: Option<&'a CancelToken>,
}

impl<'a> Wait<'a> {
    /// Until it happens.
    #[must_use]
    pub fn forever() -> Self {
        Self::default()
    }

    /// At most so long, to the nanosecond.
    #[must_use]
    pub fn at_most(timeout: Duration) -> Self {
        Self {
            timeout: Some(timeout),
            cancel: None,
        }
    }

    /// The same, and no longer than until the token is cancelled.
    #[must_use]
    pub fn or_cancelled(mut self, token: &'a CancelToken) -> Self {
        self.cancel = Some(token);
        self
    }
}

/// How a wait ended.
enum Ended {
    Delivered(Delivery),
    TimedOut,
    Cancelled,
}

/// One blocked operation: its thread's parker, its deadline, its place in line.
struct Blocked<'a> {
    parker: Parker,
    deadline: Option<Deadline>,
    wait: Wait<'a>,
    pending: Pending,
}

impl<'a> Blocked<'a> {
    fn new(store: &Store, keys: &[&[u8]], wait: Wait<'a>) -> Result<Self> {
        let clock = &*store.inner.clock;
        let parker = Parker::new();
        let keys = keys.iter().map(|key| Bytes::from(*key)).collect();
        let pending = Pending::new(&store.inner, keys, Waker::from(parker.doorbell()))?;
        if let Some(token) = wait.cancel {
            token.register(pending.waker());
        }
        Ok(Self {
            deadline: wait
                .timeout
                .and_then(|timeout| clock.now().checked_add(timeout))
                .map(Deadline),
            parker,
            wait,
            pending,
        })
    }

    fn park(&self, store: &Store) -> Ended {
        let clock = &*store.inner.clock;
        let is_cancelled = || self.wait.cancel.is_some_and(CancelToken::is_cancelled);
        loop {
            if let Some(delivery) = self.pending.take() {
                return Ended::Delivered(delivery);
            }
            let cancelled = is_cancelled();
            if cancelled || self.deadline.is_some_and(|deadline| deadline.is_due(clock)) {
                return match self.pending.close() {
                    Some(delivery) => Ended::Delivered(delivery),
                    None if cancelled => Ended::Cancelled,
                    None => Ended::TimedOut,
                };
            }
            let left = self
                .deadline
                .map(|Deadline(at)| at.saturating_duration_since(clock.now()));
            self.parker
                .wait(|| self.pending.is_ready() || is_cancelled(), left);
        }
    }
}

impl Drop for Blocked<'_> {
    fn drop(&mut self) {
        if let Some(token) = self.wait.cancel {
            token.deregister(self.pending.waker());
        }
    }
}

impl Store {
    /// Takes the item at the front, waiting for one; `None` when the time is up. Those who wait are served in the order
    /// in which they came. Waits on through removals of the key.
    ///
    /// # Errors
    /// [`InvalidInput`](quintet_core::ErrorKind::InvalidInput) when there is something that is no list;
    /// [`Closed`](quintet_core::ErrorKind::Closed) when cancelled;
    /// [`Unavailable`](quintet_core::ErrorKind::Unavailable) when too many wait.
    pub fn shift_wait(&self, key: impl AsRef<[u8]>, wait: Wait<'_>) -> Result<Option<Value>> {
        let taken = self.take_wait(&[key.as_ref()], End::Front, wait, "shift_wait")?;
        Ok(taken.map(|(_, item)| item))
    }

    /// Takes the item at the back, waiting for one.
    ///
    /// # Errors
    /// As [`shift_wait`](Self::shift_wait).
    pub fn pop_wait(&self, key: impl AsRef<[u8]>, wait: Wait<'_>) -> Result<Option<Value>> {
        let taken = self.take_wait(&[key.as_ref()], End::Back, wait, "pop_wait")?;
        Ok(taken.map(|(_, item)| item))
    }

    /// Takes an item from the first of several lists that has one, waiting for one; answers which it was.
    ///
    /// # Errors
    /// As [`shift_wait`](Self::shift_wait).
    pub fn take_wait(
        &self,
        keys: &[&[u8]],
        end: End,
        wait: Wait<'_>,
        operation: &'static str,
    ) -> Result<Option<(Bytes, Value)>> {
        let blocked = Blocked::new(self, keys, wait)?;
        let (found, seen) = self.inner.write(keys, false, |transaction| {
            for key in keys {
                if let Some(item) = transaction.pop(key, end, operation)?.flatten() {
                    return Ok(Some((Bytes::from(*key), item)));
                }
            }
            blocked.pending.register(transaction, &Wish::Item(end));
            Ok(None)
        })?;
        if found.is_some() {
            self.inner.settle(seen)?;
            return Ok(found);
        }
        match blocked.park(self) {
            Ended::Delivered(Delivery::Item { key, value, .. }) => {
                self.settle_all()?;
                Ok(Some((key, value)))
            }
            Ended::Delivered(_) | Ended::TimedOut => Ok(None),
            Ended::Cancelled => Err(KvError::Cancelled { operation }.into()),
        }
    }

    /// Takes an item off one end of a list and adds it to one end of another, at one moment, waiting for one; `None` when
    /// the time is up.
    ///
    /// # Errors
    /// As [`shift_wait`](Self::shift_wait); the kind of the other list is looked at when there is an item.
    pub fn transfer_wait(
        &self,
        from: (&[u8], End),
        to: (&[u8], End),
        wait: Wait<'_>,
    ) -> Result<Option<Value>> {
        let operation = "transfer_wait";
        let mut blocked = Blocked::new(self, &[from.0], wait)?;
        loop {
            let (moved, seen) = self.inner.write(&[from.0, to.0], true, |transaction| {
                if transaction
                    .list(from.0, operation)?
                    .is_some_and(|list| !list.items.is_empty())
                {
                    return transaction.transfer(from, to, operation);
                }
                blocked.pending.register(transaction, &Wish::Retry);
                Ok(None)
            })?;
            if moved.is_some() {
                self.inner.settle(seen)?;
                return Ok(moved);
            }
            match blocked.park(self) {
                Ended::Delivered(_) => blocked.pending.renew(),
                Ended::TimedOut => return Ok(None),
                Ended::Cancelled => return Err(KvError::Cancelled { operation }.into()),
            }
        }
    }

    /// With a value: waits until the key holds it. Without: until the key holds something else than now; that it appears
    /// counts. Answers the value. Every value the key holds is looked at, however short its life.
    ///
    /// # Errors
    /// [`TimedOut`](quintet_core::ErrorKind::TimedOut); [`Closed`](quintet_core::ErrorKind::Closed) when cancelled.
    pub fn wait(&self, key: impl AsRef<[u8]>, value: Option<Value>, wait: Wait<'_>) -> Result<Value> {
        let key = key.as_ref();
        let blocked = Blocked::new(self, &[key], wait)?;
        let (found, seen) = self.inner.write(&[key], false, |transaction| {
            let current = transaction.value(key)?;
            if value.is_some() && current == value {
                return Ok(current);
            }
            let wish = match &value {
                Some(value) => Wish::Equals(value.clone()),
                None => Wish::Differs(current),
            };
            blocked.pending.register(transaction, &wish);
            Ok(None)
        })?;
        if let Some(found) = found {
            self.inner.settle(seen)?;
            return Ok(found);
        }
        match blocked.park(self) {
            Ended::Delivered(Delivery::State { value }) => {
                self.settle_all()?;
                Ok(value)
            }
            Ended::Delivered(_) | Ended::TimedOut => Err(timed_out("wait", key)),
            Ended::Cancelled => Err(KvError::Cancelled { operation: "wait" }.into()),
        }
    }

    /// Waits until `predicate` says yes to the key's value, and answers that value. It runs without locks, on values as
    /// they are when it looks: one that lives shorter than a look may be missed.
    ///
    /// # Errors
    /// As [`wait`](Self::wait).
    pub fn wait_for(
        &self,
        key: impl AsRef<[u8]>,
        mut predicate: impl FnMut(&Value) -> bool,
        wait: Wait<'_>,
    ) -> Result<Value> {
        let key = key.as_ref();
        let mut blocked = Blocked::new(self, &[key], wait)?;
        loop {
            let (current, seen) = self.inner.write(&[key], false, |transaction| {
                let current = transaction.value(key)?;
                blocked.pending.register(transaction, &Wish::Change);
                Ok(current)
            })?;
            if let Some(current) = current
                && predicate(&current)
            {
                self.inner.settle(seen)?;
                return Ok(current);
            }
            match blocked.park(self) {
                Ended::Delivered(_) => blocked.pending.renew(),
                Ended::TimedOut => return Err(timed_out("wait_for", key)),
                Ended::Cancelled => {
                    return Err(KvError::Cancelled {
                        operation: "wait_for",
                    }
                    .into());
                }
            }
        }
    }
}

fn timed_out(operation: &'static str, key: &[u8]) -> quintet_core::Error {
    let key = show(key);
    KvError::TimedOut { operation, key }.into()
}
