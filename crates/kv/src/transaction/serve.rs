//! Serving waiters: what a transaction brought is handed to those who wait for it, in their order, before anybody else can
//! see it.

use super::{Touch, Transaction};
use crate::{
    effect::{Effect, End},
    value::{Bytes, Value},
    wait::{Delivery, Served, Waiter, Wish},
};
use quintet_core::Result;

impl Transaction<'_> {
    /// Serves every key that was touched, until nothing changes any more: handing an item over is a change, too.
    pub(super) fn serve(&mut self) {
        while let Some((key, touch)) = self.touched.pop() {
            let inner = self.inner;
            let line = &inner
                .table
                .side(inner.table.shard_of(inner.table.hash(&key)))
                .line;
            if touch == Touch::Changed {
                line.changed(&key);
            }
            let (mut told, mut woken) = (0, std::mem::take(&mut self.woken));
            let served = line.serve(
                &key,
                |waiter| self.offer(&key, waiter, &mut told),
                |waiter| woken.push(waiter.mailbox),
            );
            self.woken = woken;
            if served.is_err() {
                // What brought the item has succeeded: its answer does not depend on who gets it. The item stays where it
                // is and the waiter where it was; the log will refuse the next one, too.
                for (key, _) in std::mem::take(&mut self.touched) {
                    inner
                        .table
                        .side(inner.table.shard_of(inner.table.hash(&key)))
                        .line
                        .changed(&key);
                }
            }
        }
    }

    /// Has a key's waiters look again, because one who was told did not take what was there.
    pub(crate) fn touch(&mut self, key: &[u8]) {
        self.touched.push((key.into(), Touch::Untaken));
    }

    /// `told` counts those who were sent to look for an item of this list.
    fn offer(&mut self, key: &Bytes, waiter: &Waiter, told: &mut usize) -> Result<Served> {
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
            #[cfg(feature = "port")]
            (Wish::RetryScored, Some(Value::SortedSet(set))) if set.scores.len() > *told => {
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
