//! What becomes of an unsynced change in a power cut: chosen by a seed, the same on every machine.
//!
//! Seed 0 keeps everything and seed 1 loses everything; every other one mixes, each with its own share of kept, torn and
//! lost changes. Called by the crash directory alone.

#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    Kept,
    Lost,
    Torn,
}

/// A small generator (splitmix64): the same seed gives the same image on every machine.
pub(super) struct Dice {
    seed: u64,
    state: u64,
    /// Of 16: how many changes are kept, and how many are kept or torn.
    kept: u64,
    kept_or_torn: u64,
}

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        let mut dice = Self {
            seed,
            state: seed,
            kept: 0,
            kept_or_torn: 0,
        };
        dice.kept = dice.next() % 16;
        dice.kept_or_torn = dice.kept + dice.next() % (17 - dice.kept);
        dice
    }

    fn next(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    pub(super) fn flip(&mut self) -> bool {
        self.next() >> 63 == 1
    }

    pub(super) fn outcome(&mut self) -> Outcome {
        match self.seed {
            0 => Outcome::Kept,
            1 => Outcome::Lost,
            _ => match self.next() % 16 {
                roll if roll < self.kept => Outcome::Kept,
                roll if roll < self.kept_or_torn => Outcome::Torn,
                _ => Outcome::Lost,
            },
        }
    }
}
