//! When may a released block's bytes be overwritten? When nobody who learned its address can still be reading it.
//!
//! A global counter, and one slot per reader. A reader *pins*: it publishes the counter's value in its slot before it
//! looks an address up, and withdraws it after the last byte was read. The owner, after it made a release visible to
//! look-ups, *retires* it: it advances the counter and keeps the new value as the block's tag. The block is free once
//! every slot is 0 or at least the tag.
//!
//! Why that is enough. Let a reader have found the old address. (1) It read a counter below the tag: had it read the tag
//! or more, the counter's release/acquire pair would have shown it the release. So its slot stays below the tag until it
//! ends: later pins never raise a slot above its oldest pin. (2) The owner sees that slot: the reader stores the slot,
//! fences and looks up; the owner makes the release visible, fences and loads the slots. Two `SeqCst` fences forbid that
//! both miss the other's store, and the reader did miss the release. (3) A slot that reads 0 or more than it was is
//! loaded with acquire after the reader's releasing store, so the reads happened before the block is written again.

#[cfg(quintet_loom)]
use loom::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
#[cfg(not(quintet_loom))]
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

/// No reader holds a pin in this slot.
const IDLE: u64 = 0;

/// On its own pair of cache lines, so that one reader's pins do not slow another's.
#[repr(align(128))]
struct Slot {
    epoch: AtomicU64,
    taken: AtomicBool,
}

/// The counter and the slots.
pub struct Epochs {
    counter: AtomicU64,
    slots: Box<[Slot]>,
}

/// A retired block is reusable once [`Epochs::horizon`] has reached its tag.
pub type Tag = u64;

impl Epochs {
    /// Epochs for at most `readers` readers at a time.
    #[must_use]
    pub fn new(readers: usize) -> Arc<Self> {
        let slots = (0..readers)
            .map(|_| Slot {
                epoch: AtomicU64::new(IDLE),
                taken: AtomicBool::new(false),
            })
            .collect();
        Arc::new(Self {
            counter: AtomicU64::new(IDLE + 1),
            slots,
        })
    }

    /// Takes a free slot; `None` when all are taken.
    #[must_use]
    pub fn register(self: &Arc<Self>) -> Option<Reader> {
        let slot = self
            .slots
            .iter()
            .position(|slot| !slot.taken.swap(true, Ordering::AcqRel))?;
        let held = Held {
            epochs: Arc::clone(self),
            slot,
            pins: Mutex::default(),
        };
        Some(Reader { held: Arc::new(held) })
    }

    /// For the owner, after it made a release visible to every look-up: the tag for the blocks that it released.
    pub fn retire(&self) -> Tag {
        self.counter.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// For the owner: blocks whose tag is at most this are read by nobody. One load per slot.
    #[must_use]
    pub fn horizon(&self) -> Tag {
        fence(Ordering::SeqCst);
        self.slots
            .iter()
            .map(|slot| slot.epoch.load(Ordering::Acquire))
            .filter(|epoch| *epoch != IDLE)
            .min()
            .unwrap_or(Tag::MAX)
    }
}

/// A slot's holder, who may have any number of pins at a time.
pub struct Reader {
    held: Arc<Held>,
}

struct Held {
    epochs: Arc<Epochs>,
    slot: usize,
    /// How many pins hold each epoch, oldest first. The slot shows the first of them.
    pins: Mutex<VecDeque<(u64, usize)>>,
}

impl Reader {
    /// Protects every block found from now on until the pin is dropped. Never blocks on the owner or other readers.
    #[must_use = "an address looked up without a pin may be overwritten while it is read"]
    pub fn pin(&self) -> Pin {
        let epoch = self.held.begin();
        Pin {
            held: Arc::clone(&self.held),
            epoch,
        }
    }
}

impl Held {
    fn begin(&self) -> u64 {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        let epoch = self.epochs.counter.load(Ordering::Acquire);
        match pins.back_mut() {
            Some((newest, count)) if *newest == epoch => *count += 1,
            _ => {
                if pins.is_empty() {
                    self.epochs.slots[self.slot].epoch.store(epoch, Ordering::Release);
                }
                pins.push_back((epoch, 1));
            }
        }
        // Between the slot's store and the look-up that follows.
        fence(Ordering::SeqCst);
        epoch
    }

    fn end(&self, epoch: u64) {
        let mut pins = self.pins.lock().unwrap_or_else(PoisonError::into_inner);
        if let Ok(at) = pins.binary_search_by_key(&epoch, |(epoch, _)| *epoch) {
            pins[at].1 -= 1;
        }
        let mut moved = false;
        while pins.front().is_some_and(|(_, count)| *count == 0) {
            pins.pop_front();
            moved = true;
        }
        if moved {
            let oldest = pins.front().map_or(IDLE, |(epoch, _)| *epoch);
            self.epochs.slots[self.slot]
                .epoch
                .store(oldest, Ordering::Release);
        }
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let slot = &self.epochs.slots[self.slot];
        slot.epoch.store(IDLE, Ordering::Release);
        slot.taken.store(false, Ordering::Release);
    }
}

/// While this lives, no block that its holder found since is overwritten. May be dropped on any thread.
pub struct Pin {
    held: Arc<Held>,
    epoch: u64,
}

impl Drop for Pin {
    fn drop(&mut self) {
        self.held.end(self.epoch);
    }
}

#[cfg(all(test, not(quintet_loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_pin_from_before_a_release_holds_it_back_and_a_later_one_does_not() {
        let epochs = Epochs::new(2);
        let (a, b) = (epochs.register().unwrap(), epochs.register().unwrap());
        assert!(epochs.register().is_none(), "both slots are taken");
        let before = a.pin();
        let tag = epochs.retire();
        let after = b.pin();
        assert!(epochs.horizon() < tag);
        drop(before);
        assert!(epochs.horizon() >= tag, "only the later pin is left");
        drop(after);
        drop(b);
        assert!(
            epochs.register().is_some(),
            "a dropped reader's slot is free again"
        );
    }

    #[test]
    fn overlapping_pins_of_one_reader_let_the_horizon_advance() {
        let epochs = Epochs::new(1);
        let reader = epochs.register().unwrap();
        let mut current = reader.pin();
        for _ in 0..100 {
            let tag = epochs.retire();
            let next = reader.pin();
            assert!(epochs.horizon() < tag);
            drop(std::mem::replace(&mut current, next));
            assert!(epochs.horizon() >= tag, "the slot is never idle, yet it moves on");
        }
        let (tag, second) = (epochs.retire(), reader.pin());
        drop(second);
        assert!(
            epochs.horizon() < tag,
            "ending a later pin leaves the earlier one"
        );
    }
}
