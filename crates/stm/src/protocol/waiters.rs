//! Who sleeps until a variable changes, for `retry`.
//!
//! No wake-up is lost, and a commit that nobody waits for pays nothing: the sleeper first enters its name here and then
//! sets the *watched* flag in the word itself, which only succeeds while the stamp is still the one it has seen. Whoever
//! changes the variable afterwards finds the flag in the word it seals, and must find the name.

use super::{slot::Slot, stamp::Stamp};
use crate::primitive::{Arc, Condvar, Mutex, lock};
use std::{collections::BTreeMap, time::Duration};

#[cfg(not(quintet_loom))]
const SHARDS: usize = 16;
#[cfg(quintet_loom)]
const SHARDS: usize = 1;

type Shard = BTreeMap<usize, Vec<Arc<Sleeper>>>;

#[derive(Debug)]
pub(crate) struct Waiters {
    shards: [Mutex<Shard>; SHARDS],
}

#[derive(Debug, Default)]
struct Sleeper {
    woken: Mutex<bool>,
    bell: Condvar,
}

impl Sleeper {
    fn wake(&self) {
        *lock(&self.woken) = true;
        self.bell.notify_one();
    }

    /// False = the time passed first.
    fn sleep(&self, at_most: Option<Duration>) -> bool {
        let woken = lock(&self.woken);
        match at_most {
            #[cfg(not(quintet_loom))]
            Some(at_most) => {
                let (woken, _) = self
                    .bell
                    .wait_timeout_while(woken, at_most, |woken| !*woken)
                    .unwrap_or_else(std::sync::PoisonError::into_inner);
                *woken
            }
            _ => {
                let mut woken = woken;
                while !*woken {
                    woken = self
                        .bell
                        .wait(woken)
                        .unwrap_or_else(std::sync::PoisonError::into_inner);
                }
                true
            }
        }
    }
}

impl Waiters {
    #[cfg(not(quintet_loom))]
    pub(crate) const fn new() -> Self {
        Self {
            shards: [const { Mutex::new(Shard::new()) }; SHARDS],
        }
    }

    #[cfg(quintet_loom)]
    pub(crate) fn new() -> Self {
        Self {
            shards: [Mutex::new(Shard::new())],
        }
    }

    fn shard(&self, slot: &Slot) -> &Mutex<Shard> {
        // The low five bits of an address are zero.
        &self.shards[(slot.address() >> 5) % SHARDS]
    }

    /// Blocks until one of the slots no longer bears the stamp it was seen with. False = `at_most` passed first.
    pub(crate) fn wait<'a>(
        &self,
        seen: impl Iterator<Item = (&'a Slot, Stamp)> + Clone,
        at_most: Option<Duration>,
    ) -> bool {
        let sleeper = Arc::new(Sleeper::default());
        let mut unchanged = true;
        let mut entered = 0;
        for (slot, stamp) in seen.clone() {
            lock(self.shard(slot))
                .entry(slot.address())
                .or_default()
                .push(Arc::clone(&sleeper));
            entered += 1;
            if !slot.watch(stamp) {
                unchanged = false;
                break;
            }
        }
        let changed = !unchanged || sleeper.sleep(at_most);
        for (slot, _) in seen.take(entered) {
            let mut shard = lock(self.shard(slot));
            if let Some(sleepers) = shard.get_mut(&slot.address()) {
                sleepers.retain(|other| !Arc::ptr_eq(other, &sleeper));
                if sleepers.is_empty() {
                    shard.remove(&slot.address());
                }
            }
        }
        changed
    }

    /// Wakes all who sleep on the slot. For whoever sealed a word that was watched, after it published.
    #[cold]
    pub(crate) fn wake(&self, slot: &Slot) {
        let sleepers = lock(self.shard(slot)).remove(&slot.address());
        for sleeper in sleepers.into_iter().flatten() {
            sleeper.wake();
        }
    }
}
