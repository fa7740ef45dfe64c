//! A hierarchical timing wheel: which keys are due when, to 10 ms. It holds hints: the table knows the truth, and a key
//! that fires early, because its time was moved, is armed again by whoever looks.
//!
//! A key is armed once. A later time leaves the earlier entry alone; an earlier one makes the old entry stale, and stale
//! entries are swept out when they outnumber the others. Nothing is armed when nothing is due.

use crate::value::Bytes;
use std::collections::HashMap;

/// The wheel's resolution, in milliseconds.
pub(crate) const TICK_MS: u64 = 10;
const SLOT_BITS: u32 = 6;
const SLOTS: usize = 1 << SLOT_BITS;
const LEVELS: usize = 8;
const LAST_TICK: u64 = (1 << (SLOT_BITS * LEVELS as u32)) - 1;

#[derive(Debug)]
struct Entry {
    tick: u64,
    key: Bytes,
}

#[derive(Debug)]
struct Level {
    occupied: u64,
    slots: [Vec<Entry>; SLOTS],
}

/// See the module.
#[derive(Debug)]
pub(crate) struct Wheel {
    tick: u64,
    levels: [Level; LEVELS],
    armed: HashMap<Bytes, u64>,
    entries: usize,
}

impl Wheel {
    pub(crate) fn new(now_ms: u64) -> Self {
        Self {
            tick: (now_ms / TICK_MS).min(LAST_TICK),
            levels: std::array::from_fn(|_| Level {
                occupied: 0,
                slots: std::array::from_fn(|_| Vec::new()),
            }),
            armed: HashMap::new(),
            entries: 0,
        }
    }

    /// Arms a key. Returns whether the wheel's next event may have come closer.
    pub(crate) fn arm(&mut self, key: &Bytes, at_ms: u64) -> bool {
        let tick = at_ms
            .div_ceil(TICK_MS)
            .clamp(self.tick + 1, LAST_TICK.max(self.tick + 1));
        if self.armed.get(key).is_some_and(|armed| *armed <= tick) {
            return false;
        }
        self.armed.insert(key.clone(), tick);
        self.place(Entry {
            tick,
            key: key.clone(),
        });
        if self.entries > 2 * self.armed.len() + 1024 {
            self.rebuild();
        }
        true
    }

    /// The level is where the tick first differs from now, seen from the top.
    fn place(&mut self, entry: Entry) {
        let differs = (entry.tick ^ self.tick).max(1);
        let level = ((u64::BITS - 1 - differs.leading_zeros()) / SLOT_BITS) as usize;
        let level = level.min(LEVELS - 1);
        let slot = (entry.tick >> (SLOT_BITS * level as u32)) as usize % SLOTS;
        self.levels[level].occupied |= 1 << slot;
        self.levels[level].slots[slot].push(entry);
        self.entries += 1;
    }

    fn rebuild(&mut self) {
        for level in &mut self.levels {
            level.occupied = 0;
            level.slots.iter_mut().for_each(Vec::clear);
        }
        self.entries = 0;
        let armed: Vec<_> = self
            .armed
            .iter()
            .map(|(key, tick)| (key.clone(), *tick))
            .collect();
        for (key, tick) in armed {
            self.place(Entry { tick, key });
        }
    }

    /// The first occupied slot: its tick, level and number.
    fn next(&self) -> Option<(u64, usize, usize)> {
        for (at, level) in self.levels.iter().enumerate() {
            let shift = SLOT_BITS * at as u32;
            let current = (self.tick >> shift) as usize % SLOTS;
            // Slots at or before the current one belong to no future of this level.
            let ahead = level.occupied.checked_shr(current as u32 + 1).unwrap_or(0);
            if ahead != 0 {
                let slot = current + 1 + ahead.trailing_zeros() as usize;
                let above = shift + SLOT_BITS;
                return Some(((self.tick >> above << above) | (slot as u64) << shift, at, slot));
            }
        }
        None
    }

    /// When to look next, in milliseconds since 1970; `None` when nothing is armed. Cascades count as well.
    pub(crate) fn next_ms(&self) -> Option<u64> {
        self.next().map(|(tick, ..)| tick * TICK_MS)
    }

    /// Moves on to `now_ms` and takes out at most `limit` due keys.
    pub(crate) fn advance(&mut self, now_ms: u64, limit: usize) -> Vec<Bytes> {
        let now = (now_ms / TICK_MS).min(LAST_TICK);
        let mut due = Vec::new();
        while due.len() < limit {
            let Some((tick, level, slot)) = self.next().filter(|(tick, ..)| *tick <= now) else {
                self.tick = self.tick.max(now);
                break;
            };
            self.tick = tick;
            self.levels[level].occupied &= !(1 << slot);
            let entries = std::mem::take(&mut self.levels[level].slots[slot]);
            self.entries -= entries.len();
            for entry in entries {
                if self.armed.get(&entry.key) != Some(&entry.tick) {
                    continue;
                }
                if entry.tick > tick {
                    self.place(entry);
                } else {
                    self.armed.remove(&entry.key);
                    due.push(entry.key);
                }
            }
        }
        due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(name: &str) -> Bytes {
        name.as_bytes().into()
    }

    #[test]
    fn keys_fire_in_their_tick_and_not_before() {
        for delay_ms in [
            1,
            9,
            10,
            639,
            640,
            641,
            40_960,
            2_621_440,
            86_400_000,
            400 * 86_400_000,
        ] {
            let start = 1_577_836_800_123;
            let mut wheel = Wheel::new(start);
            assert_eq!(wheel.next_ms(), None);
            assert!(wheel.arm(&key("k"), start + delay_ms));
            let mut now = start;
            let mut fired = Vec::new();
            while let Some(next) = wheel.next_ms() {
                assert!(next > now, "{delay_ms}: {next} is not after {now}");
                assert_eq!(wheel.advance(next - 1, 10), Vec::<Bytes>::new());
                now = next;
                fired.extend(wheel.advance(now, 10));
            }
            assert_eq!(fired, [key("k")], "{delay_ms}");
            let due = start + delay_ms;
            assert!(
                now >= due && now < due + TICK_MS,
                "{delay_ms} fired at {now}, due {due}"
            );
        }
    }

    #[test]
    fn moving_a_key_again_and_again_keeps_the_wheel_small() {
        let mut wheel = Wheel::new(0);
        for round in 0..100_000_u64 {
            wheel.arm(&key("k"), 10_000_000 - round * 10);
        }
        assert!(wheel.entries < 2048, "{} entries", wheel.entries);
        assert_eq!(wheel.advance(20_000_000, 10), [key("k")]);
        assert_eq!(wheel.next_ms(), None);
    }
}
