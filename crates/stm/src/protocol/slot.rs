//! [`Slot`]: the shared part of one variable: its word (stamp and lock), and its value if that fits 64 bits.
//!
//! Slots live for the whole program and are recycled by [`pool`](super::pool), so a transaction's read set is a plain
//! list of references: no count to touch, nothing to keep alive. A recycled slot has another generation, so that a late
//! write to the former variable is noticed and dropped; what a late reader concludes about a variable that is gone does
//! not matter.
//!
//! Invariant: `bits` and `generation` change only while the word is sealed, by the thread that sealed it.

use super::stamp::{Stamp, Word};
use crate::primitive::{AtomicU32, AtomicU64, Ordering, Spin};

/// One variable's lock, stamp and small value. 32 bytes, so that none straddles a cache line.
#[repr(align(32))]
#[derive(Debug)]
pub(crate) struct Slot {
    word: AtomicU64,
    bits: AtomicU64,
    generation: AtomicU32,
    /// Label of who wrote last, to name a rival. Advisory.
    writer: AtomicU32,
}

/// Why a slot could not be sealed: an aged transaction has reserved it.
#[derive(Debug)]
pub(crate) struct Reserved;

impl Slot {
    #[cfg(not(quintet_loom))]
    pub(crate) const fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            bits: AtomicU64::new(0),
            generation: AtomicU32::new(0),
            writer: AtomicU32::new(0),
        }
    }

    #[cfg(quintet_loom)]
    pub(crate) fn new() -> Self {
        Self {
            word: AtomicU64::new(0),
            bits: AtomicU64::new(0),
            generation: AtomicU32::new(0),
            writer: AtomicU32::new(0),
        }
    }

    /// The identity of a slot, for maps and for sealing in one order.
    #[inline]
    pub(crate) fn address(&self) -> usize {
        std::ptr::from_ref(self) as usize
    }

    #[inline]
    pub(crate) fn word(&self) -> Word {
        Word::from_u64(self.word.load(Ordering::SeqCst))
    }

    /// The small value. `Acquire`, so that a later look at the word sees at least the seal of the commit that stored it.
    #[inline]
    pub(crate) fn bits(&self) -> u64 {
        self.bits.load(Ordering::Acquire)
    }

    /// Only by the sealer. `Release` pairs with [`bits`](Self::bits).
    #[inline]
    pub(crate) fn set_bits(&self, bits: u64) {
        self.bits.store(bits, Ordering::Release);
    }

    #[inline]
    pub(crate) fn generation(&self) -> u32 {
        self.generation.load(Ordering::Acquire)
    }

    #[inline]
    pub(crate) fn writer(&self) -> u32 {
        self.writer.load(Ordering::Relaxed)
    }

    /// Only by the sealer.
    #[inline]
    pub(crate) fn set_writer(&self, label: u32) {
        self.writer.store(label, Ordering::Relaxed);
    }

    /// Seals the slot for a write-back, waiting for a commit that is in its own. Answers the word before.
    ///
    /// # Errors
    /// [`Reserved`] when an aged transaction has claimed the slot and `owns_reservations` is false.
    #[inline]
    pub(crate) fn seal(&self, owns_reservations: bool) -> Result<Word, Reserved> {
        let mut spin = Spin::default();
        loop {
            let word = self.word();
            if word.has(Word::SEALED) {
                spin.turn();
                continue;
            }
            if word.has(Word::RESERVED) && !owns_reservations {
                return Err(Reserved);
            }
            if self.exchange(word, word.as_u64() | Word::SEALED) {
                return Ok(word);
            }
        }
    }

    /// As [`seal`](Self::seal) for a commit without reservations, but once: `None` = somebody else has sealed or reserved
    /// the slot, or changed its word meanwhile.
    #[inline]
    pub(crate) fn try_seal(&self) -> Option<Word> {
        let word = self.word();
        let is_free = !word.has(Word::SEALED) && !word.has(Word::RESERVED);
        (is_free && self.exchange(word, word.as_u64() | Word::SEALED)).then_some(word)
    }

    /// Ends a seal with a new stamp. A reservation ends with it. `Release` publishes the value.
    #[inline]
    pub(crate) fn publish(&self, stamp: Stamp) {
        self.word.store(Word::new(stamp).as_u64(), Ordering::Release);
    }

    /// Ends a seal as if it had never been.
    pub(crate) fn unseal(&self, before: Word) {
        self.word.store(before.as_u64(), Ordering::Release);
    }

    /// Claims the slot for an aged transaction: others may read it and not write it. Answers whether the claim is new.
    pub(crate) fn reserve(&self) -> bool {
        let mut spin = Spin::default();
        loop {
            let word = self.word();
            if word.has(Word::SEALED) {
                spin.turn();
            } else if word.has(Word::RESERVED) {
                return false;
            } else if self.exchange(word, word.as_u64() | Word::RESERVED) {
                return true;
            }
        }
    }

    /// Gives a claim back.
    pub(crate) fn unreserve(&self) {
        self.word.fetch_and(!Word::RESERVED, Ordering::AcqRel);
    }

    /// Asks to be woken when the slot changes. False = it has changed from `seen`, or is about to.
    pub(crate) fn watch(&self, seen: Stamp) -> bool {
        loop {
            let word = self.word();
            if word.has(Word::SEALED) || word.stamp() != seen {
                return false;
            }
            if word.has(Word::WATCHED) || self.exchange(word, word.as_u64() | Word::WATCHED) {
                return true;
            }
        }
    }

    /// Ends the variable: writes still buffered for it will find another generation and be dropped.
    pub(crate) fn retire(&self) {
        let mut spin = Spin::default();
        loop {
            let word = self.word();
            if word.has(Word::SEALED) {
                spin.turn();
            } else if self.exchange(word, word.as_u64() | Word::SEALED) {
                break;
            }
        }
        self.generation
            .store(self.generation().wrapping_add(1), Ordering::Release);
        // The next variable starts at the origin. Not a store: an aged transaction may drop its reservation meanwhile.
        self.word
            .fetch_and(Word::RESERVED | Word::WATCHED, Ordering::AcqRel);
    }

    #[inline]
    fn exchange(&self, from: Word, to: u64) -> bool {
        self.word
            .compare_exchange(from.as_u64(), to, Ordering::SeqCst, Ordering::Relaxed)
            .is_ok()
    }
}
