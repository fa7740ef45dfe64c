//! Released blocks that must not be overwritten yet.
//!
//! A released block passes three gates, in order: its release becomes visible to readers (then it is *retired* and gets an
//! epoch tag); the release is on stable storage (otherwise a power cut could bring back a record that names new bytes);
//! no reader that found the old record still reads. Groups pass in commit order, so each gate is a queue.

use crate::epoch::{Epochs, Tag};
use quintet_core::{BlockAddress, Clock, Seq};
use std::{collections::VecDeque, time::Instant};

struct Retired {
    seq: Seq,
    tag: Tag,
    addresses: Vec<BlockAddress>,
}

/// The queues, owned by the block handler.
#[derive(Default)]
pub(crate) struct Quarantine {
    /// Committed, not yet visible to readers.
    committed: VecDeque<(Seq, Vec<BlockAddress>)>,
    retired: VecDeque<Retired>,
    /// Since when a release waits for a sync at least: that of the first one, or the last time that a sync was asked for.
    unsynced_since: Option<Instant>,
    /// The oldest block that waits for nothing but readers, by its tag, and since when it was seen to.
    held: Option<(Tag, Instant)>,
    blocks: u64,
    bytes: u64,
}

impl Quarantine {
    /// Takes blocks whose release is log record `seq`, committed now.
    pub(crate) fn committed(&mut self, seq: Seq, addresses: Vec<BlockAddress>, now: Instant) {
        if addresses.is_empty() {
            return;
        }
        if self.is_empty() {
            self.unsynced_since = Some(now);
        }
        self.blocks += addresses.len() as u64;
        self.bytes += addresses
            .iter()
            .map(|address| address.class.size_bytes())
            .sum::<u64>();
        self.committed.push_back((seq, addresses));
    }

    /// Every release up to `durable` is visible to readers now.
    pub(crate) fn retire(&mut self, durable: Seq, epochs: &Epochs) {
        if self.committed.front().is_none_or(|(seq, _)| *seq > durable) {
            return;
        }
        let tag = epochs.retire();
        while let Some((seq, addresses)) = self.committed.pop_front_if(|(seq, _)| *seq <= durable) {
            self.retired.push_back(Retired { seq, tag, addresses });
        }
    }

    /// Hands every block that may be overwritten to `free`. Reads the clock when one is left that only readers hold.
    pub(crate) fn drain(
        &mut self,
        synced: Seq,
        epochs: &Epochs,
        clock: &dyn Clock,
        mut free: impl FnMut(BlockAddress),
    ) {
        if !self.waits_for_readers(synced) {
            self.held = None;
            return;
        }
        let horizon = epochs.horizon();
        let passed = |oldest: &mut Retired| oldest.seq <= synced && oldest.tag <= horizon;
        while let Some(retired) = self.retired.pop_front_if(passed) {
            for address in retired.addresses {
                self.blocks -= 1;
                self.bytes -= address.class.size_bytes();
                free(address);
            }
        }
        let held = self.retired.front().filter(|oldest| oldest.seq <= synced);
        self.held = match (held, self.held) {
            (Some(oldest), Some((tag, since))) if oldest.tag == tag => Some((tag, since)),
            (Some(oldest), _) => Some((oldest.tag, clock.now())),
            (None, _) => None,
        };
    }

    /// Since when some block has waited for nothing but readers. `None` = none does.
    pub(crate) fn held_since(&self) -> Option<Instant> {
        self.held.map(|(_, since)| since)
    }

    pub(crate) const fn blocks(&self) -> u64 {
        self.blocks
    }

    pub(crate) const fn bytes(&self) -> u64 {
        self.bytes
    }

    /// Since when some block waits for a sync, at least.
    pub(crate) const fn unsynced_since(&self) -> Option<Instant> {
        self.unsynced_since
    }

    /// A sync was asked for: what is in here will have waited for it from now on.
    pub(crate) fn sync_requested(&mut self, now: Instant) {
        self.unsynced_since = Some(now);
    }

    /// Whether the oldest block waits for nothing but readers.
    pub(crate) fn waits_for_readers(&self, synced: Seq) -> bool {
        self.retired.front().is_some_and(|oldest| oldest.seq <= synced)
    }

    /// Whether no block is in here.
    pub(crate) fn is_empty(&self) -> bool {
        self.committed.is_empty() && self.retired.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use quintet_core::{SizeClass, fake::ManualClock};
    use std::time::Duration;

    fn drained(quarantine: &mut Quarantine, synced: u64, epochs: &Epochs) -> Vec<u64> {
        drained_at(quarantine, synced, epochs, &ManualClock::new())
    }

    fn drained_at(
        quarantine: &mut Quarantine,
        synced: u64,
        epochs: &Epochs,
        clock: &ManualClock,
    ) -> Vec<u64> {
        let mut numbers = Vec::new();
        quarantine.drain(Seq(synced), epochs, clock, |address| numbers.push(address.number));
        numbers
    }

    #[test]
    fn what_only_readers_hold_is_timed_from_when_it_was_first_seen_to() {
        let epochs = Epochs::new(1);
        let reader = epochs.register().unwrap();
        let (clock, mut quarantine) = (ManualClock::new(), Quarantine::default());
        let address = |number| BlockAddress {
            class: SizeClass::SMALLEST,
            number,
        };
        let (first, start) = (reader.pin(), clock.now());
        quarantine.committed(Seq(1), vec![address(1)], start);
        quarantine.retire(Seq(1), &epochs);
        assert!(drained_at(&mut quarantine, 0, &epochs, &clock).is_empty());
        assert_eq!(quarantine.held_since(), None, "it waits for a sync too");
        clock.advance(Duration::from_secs(1));
        let held = clock.now();
        for _ in 0..2 {
            assert!(drained_at(&mut quarantine, 1, &epochs, &clock).is_empty());
            assert_eq!(quarantine.held_since(), Some(held));
            clock.advance(Duration::from_secs(5));
        }
        let second = reader.pin();
        quarantine.committed(Seq(2), vec![address(2)], clock.now());
        quarantine.retire(Seq(2), &epochs);
        drop(first);
        assert_eq!(drained_at(&mut quarantine, 2, &epochs, &clock), [1]);
        assert_eq!(
            quarantine.held_since(),
            Some(clock.now()),
            "another block's time begins anew"
        );
        drop(second);
        assert_eq!(drained_at(&mut quarantine, 2, &epochs, &clock), [2]);
        assert_eq!(quarantine.held_since(), None);
    }

    #[test]
    fn a_block_passes_visibility_then_sync_then_readers() {
        let epochs = Epochs::new(1);
        let reader = epochs.register().unwrap();
        let mut quarantine = Quarantine::default();
        let address = |number| BlockAddress {
            class: SizeClass::SMALLEST,
            number,
        };
        let now = quintet_core::Clock::now(&quintet_core::SystemClock);
        quarantine.committed(Seq(1), vec![address(1)], now);
        quarantine.committed(Seq(2), vec![address(2)], now);
        assert_eq!(drained(&mut quarantine, 9, &epochs), [], "not visible yet");
        let pin = reader.pin();
        quarantine.retire(Seq(1), &epochs);
        assert_eq!(drained(&mut quarantine, 9, &epochs), [], "a reader from before");
        drop(pin);
        assert_eq!(drained(&mut quarantine, 0, &epochs), [], "not synced");
        assert_eq!(drained(&mut quarantine, 1, &epochs), [1]);
        quarantine.retire(Seq(2), &epochs);
        assert_eq!((quarantine.blocks(), quarantine.bytes()), (1, 4096));
        assert_eq!(drained(&mut quarantine, 2, &epochs), [2]);
        assert!(quarantine.is_empty());
    }
}
