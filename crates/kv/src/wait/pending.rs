//! [`Pending`]: one wait that is going on, from its registration to its end, however it ends. Dropping it gives back what
//! was handed over and never taken.

use super::{Delivery, Mailbox, Shared, Waiter, Wish};
use crate::{KvError, effect::Effect, inner::Inner, transaction::Transaction, value::Bytes};
use quintet_core::Result;
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Waker,
};

pub(crate) struct Pending {
    inner: Arc<Inner>,
    keys: Vec<Bytes>,
    mailbox: Shared<Mailbox>,
    ticket: u64,
    in_line: AtomicBool,
}

impl Pending {
    /// A wait for something about these keys. Not yet registered.
    ///
    /// # Errors
    /// [`KvError::TooManyWaiters`].
    pub(crate) fn new(inner: &Arc<Inner>, keys: Vec<Bytes>, waker: Waker) -> Result<Self> {
        let limit = inner.config.max_waiters;
        if inner.waiters.fetch_add(1, Relaxed) >= limit {
            inner.waiters.fetch_sub(1, Relaxed);
            return Err(KvError::TooManyWaiters { limit }.into());
        }
        Ok(Self {
            inner: inner.clone(),
            keys,
            mailbox: Shared::new(Mailbox::new(waker)),
            ticket: inner.tickets.fetch_add(1, Relaxed),
            in_line: AtomicBool::new(false),
        })
    }

    /// Gets in line at every key, under their locks. Registering again after a retry takes the old place.
    pub(crate) fn register(&self, transaction: &Transaction<'_>, wish: &Wish) {
        if !self.in_line.swap(true, Relaxed) {
            self.inner.in_line.fetch_add(1, Relaxed);
        }
        let table = &transaction.inner.table;
        for key in &self.keys {
            let waiter = Waiter {
                mailbox: self.mailbox.clone(),
                wish: wish.clone(),
                ticket: self.ticket,
            };
            table.side(table.shard_of(table.hash(key))).line.join(key, waiter);
        }
    }

    /// Makes the mailbox ready for another answer. Call it before looking again, and outside of any lock.
    pub(crate) fn renew(&mut self) {
        self.mailbox = Shared::new(Mailbox::new(self.mailbox.waker().clone()));
    }

    pub(crate) fn is_ready(&self) -> bool {
        !self.mailbox.is_waiting()
    }

    /// Takes what was delivered, if it was.
    pub(crate) fn take(&self) -> Option<Delivery> {
        self.mailbox.take()
    }

    /// Ends the wait; `Some` = the delivery was faster.
    pub(crate) fn close(&self) -> Option<Delivery> {
        self.mailbox.close()
    }

    pub(crate) fn waker(&self) -> &Waker {
        self.mailbox.waker()
    }

    /// Gives back what nobody will take: an item to the end it came from, a hint to the next in line.
    fn give_back(&self, delivery: Delivery) {
        // A log that refuses the item has failed for good; the item is then as lost as everything not yet durable.
        let _outcome = match delivery {
            Delivery::Item { key, end, value } => self.inner.write(&[&key], false, |transaction| {
                let items = vec![value.clone()];
                transaction.apply(&key, Effect::Push { end, items })
            }),
            Delivery::Retry { key } => self.inner.write(&[&key], false, |transaction| {
                transaction.touch(&key);
                Ok(())
            }),
            Delivery::State { .. } => return,
        };
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        let left = self.mailbox.close();
        let table = &self.inner.table;
        for key in &self.keys {
            let shard = table.shard_of(table.hash(key));
            let line = &table.side(shard).line;
            if !line.is_empty() {
                let _locked = table.write(shard);
                line.leave(key, &self.mailbox);
            }
        }
        if *self.in_line.get_mut() {
            self.inner.in_line.fetch_sub(1, Relaxed);
        }
        self.inner.waiters.fetch_sub(1, Relaxed);
        if let Some(delivery) = left {
            self.give_back(delivery);
        }
    }
}
