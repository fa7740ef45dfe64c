//! Serving waiters: what a transaction brought is handed to those who wait for it, in their order, before anybody else can
//! see it.

use super::Transaction;
use crate::{
    effect::{Effect, End},
    value::{Bytes, Value},
    wait::{Delivery, Waiter, Wish},
};
use quintet_core::Result;
use std::sync::atomic::Ordering::Relaxed;

/// What became of a waiter that was looked at.
enum Served {
    Done,
    Kept,
    /// Its wait had ended before.
    Stale,
}

impl Transaction<'_> {
    /// Serves every key that was touched, until nothing changes any more: handing an item over is a change, too.
    pub(super) fn serve(&mut self) -> Result<()> {
        while let Some(key) = self.touched.pop() {
            self.serve_key(&key)?;
        }
        Ok(())
    }

    /// Has a key's waiters look again, because one who was told did not take what was there.
    pub(crate) fn touch(&mut self, key: &[u8]) {
        self.touched.push(key.into());
    }

    fn serve_key(&mut self, key: &Bytes) -> Result<()> {
        let inner = self.inner;
        let side = inner.table.side(inner.table.shard_of(inner.table.hash(key)));
        let mut queue = side.registry().take(key);
        let mut kept = std::collections::VecDeque::with_capacity(queue.len());
        let mut told = 0;
        let mut failed = None;
        while let Some(waiter) = queue.pop_front() {
            match self.serve_one(key, &waiter, &mut told) {
                Ok(Served::Kept) => kept.push_back(waiter),
                Ok(Served::Done) => {
                    side.waiting.fetch_sub(1, Relaxed);
                    self.woken.push(waiter.mailbox);
                }
                Ok(Served::Stale) => {
                    side.waiting.fetch_sub(1, Relaxed);
                }
                Err(error) => {
                    // The item stays where it is and the waiter where it was; the log will refuse the next one, too.
                    kept.push_back(waiter);
                    kept.append(&mut queue);
                    failed = Some(error);
                }
            }
        }
        side.registry().restore(key.clone(), kept);
        match failed {
            None => Ok(()),
            // What brought the item has succeeded: its answer does not depend on who gets it.
            Some(_) => {
                self.touched.clear();
                Ok(())
            }
        }
    }

    /// `told` counts those who were sent to look for an item of this list.
    fn serve_one(&mut self, key: &Bytes, waiter: &Waiter, told: &mut usize) -> Result<Served> {
        let mut letter = waiter.mailbox.lock();
        if !letter.is_waiting() {
            return Ok(Served::Stale);
        }
        let value = self.value(key)?;
        let delivery = match (&waiter.wish, value) {
            (Wish::Item(end), Some(Value::List(list))) if list.items.len() > *told => {
                let item = match end {
                    End::Front => list.items.front().cloned(),
                    End::Back => list.items.back().cloned(),
                };
                drop(list);
                self.apply(key, Effect::Pop { end: *end, count: 1 })?;
                item.map(|value| Delivery::Item {
                    key: key.clone(),
                    end: *end,
                    value,
                })
            }
            (Wish::Retry, Some(Value::List(list))) if list.items.len() > *told => {
                *told += 1;
                Some(Delivery::Retry { key: key.clone() })
            }
            (Wish::Equals(wanted), Some(value)) if value == *wanted => Some(Delivery::State { value }),
            (Wish::Differs(old), Some(value)) if old.as_ref() != Some(&value) => {
                Some(Delivery::State { value })
            }
            (Wish::Change, _) => Some(Delivery::Retry { key: key.clone() }),
            _ => None,
        };
        Ok(match delivery {
            Some(delivery) => {
                letter.deliver(delivery);
                Served::Done
            }
            None => Served::Kept,
        })
    }
}
