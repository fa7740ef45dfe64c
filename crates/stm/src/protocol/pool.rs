//! Where slots come from: chunks that are never given back to the system, and a free list.
//!
//! Memory is bounded by the most variables that ever lived at once: 32 bytes each. Neighbours in creation order are put
//! on different cache lines, because variables made together are often written by different threads.

use super::slot::Slot;
use crate::primitive::lock;
use std::sync::Mutex;

/// Slots a chunk: 128 KiB.
const CHUNK_SLOTS: usize = 4096;
/// How far apart two slots are that are handed out in sequence. Odd strides of whole lines visit every slot of a chunk.
const STRIDE_SLOTS: usize = 2 * 31 + 1;

static FREE: Mutex<Vec<&'static Slot>> = Mutex::new(Vec::new());
static FREE_LINES: Mutex<Vec<&'static Line>> = Mutex::new(Vec::new());

/// A slot alone on its pair of cache lines, for stripes that threads must not share.
#[repr(align(128))]
pub(crate) struct Line {
    pub(crate) slot: Slot,
}

/// A slot for a new variable. Takes a lock; allocates a chunk when none is free.
pub(crate) fn take() -> &'static Slot {
    let mut free = lock(&FREE);
    if let Some(slot) = free.pop() {
        return slot;
    }
    let chunk: &'static [Slot] = Box::leak((0..CHUNK_SLOTS).map(|_| Slot::new()).collect());
    free.extend((1..CHUNK_SLOTS).map(|turn| &chunk[turn * STRIDE_SLOTS % CHUNK_SLOTS]));
    &chunk[0]
}

/// The slot of a variable that is gone.
pub(crate) fn give_back(slot: &'static Slot) {
    slot.retire();
    lock(&FREE).push(slot);
}

/// A slot that shares its cache line with no other.
pub(crate) fn take_line() -> &'static Line {
    lock(&FREE_LINES)
        .pop()
        .unwrap_or_else(|| Box::leak(Box::new(Line { slot: Slot::new() })))
}

/// The slot of a stripe that is gone.
pub(crate) fn give_back_line(line: &'static Line) {
    line.slot.retire();
    line.slot.set_bits(0);
    lock(&FREE_LINES).push(line);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn a_chunk_hands_out_every_slot_once() {
        let slots: Vec<_> = (0..2 * CHUNK_SLOTS).map(|_| take()).collect();
        let addresses: HashSet<_> = slots.iter().map(|slot| slot.address()).collect();
        assert_eq!(addresses.len(), slots.len());
        slots.into_iter().for_each(give_back);
    }

    #[test]
    fn a_recycled_slot_has_another_generation() {
        let line = take_line();
        let generation = line.slot.generation();
        give_back_line(line);
        assert_ne!(line.slot.generation(), generation);
    }
}
