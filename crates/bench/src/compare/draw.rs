//! The operations of one client, drawn from a seed: the same seed gives the same operations, to every subject.
//!
//! Key numbers are drawn before the clock starts. The zipfian draw is that of Gray et al., "Quickly generating
//! billion-record synthetic databases" (SIGMOD 1994), as YCSB uses it.

use super::workload::{Choice, Workload};
use std::sync::{
    Arc,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// How many key numbers a client draws ahead; it goes round and round through them.
const AHEAD: usize = 1 << 15;
/// The longest run of neighbouring keys.
const MAX_SCAN: u64 = 100;

/// One thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Operation {
    Read(u64),
    Update(u64),
    Insert(u64),
    /// The first key, and how many.
    Scan(u64, u64),
    ReadModifyWrite(u64),
    Add(u64),
}

/// A small fast generator: SplitMix64.
pub(super) struct Dice(u64);

impl Dice {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ 0x5bf0_3635)
    }

    pub(super) fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        scatter(self.0)
    }

    /// Below `limit`, with a bias of at most `limit` / 2^64.
    pub(super) fn below(&mut self, limit: u64) -> u64 {
        ((u128::from(self.roll()) * u128::from(limit)) >> 64) as u64
    }

    fn unit(&mut self) -> f64 {
        (self.roll() >> 11) as f64 / (1_u64 << 53) as f64
    }
}

fn scatter(mut z: u64) -> u64 {
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

/// Ranks with the probability 1 / rank^0.99.
pub(super) struct Zipf {
    items: u64,
    zeta: f64,
    alpha: f64,
    eta: f64,
}

const THETA: f64 = 0.99;

impl Zipf {
    pub(super) fn new(items: u64) -> Self {
        let zeta_of = |n: u64| (1..=n).map(|rank| (rank as f64).powf(-THETA)).sum::<f64>();
        let zeta = zeta_of(items);
        Self {
            items,
            zeta,
            alpha: 1.0 / (1.0 - THETA),
            eta: (1.0 - (2.0 / items as f64).powf(1.0 - THETA)) / (1.0 - zeta_of(2) / zeta),
        }
    }

    /// From 0, the most frequent.
    pub(super) fn rank(&self, dice: &mut Dice) -> u64 {
        let unit = dice.unit();
        let scaled = unit * self.zeta;
        if scaled < 1.0 || self.items == 1 {
            0
        } else if scaled < 1.0 + 0.5_f64.powf(THETA) {
            1
        } else {
            let rank = self.items as f64 * (self.eta * unit - self.eta + 1.0).powf(self.alpha);
            (rank as u64).min(self.items - 1)
        }
    }
}

/// What the clients of one workload share.
pub(super) struct Source {
    workload: Workload,
    zipf: Option<Zipf>,
    /// How many keys there are by now.
    inserted: Arc<AtomicU64>,
}

impl Source {
    /// `inserted` outlives one measurement: keys that were inserted stay.
    pub(super) fn new(workload: &Workload, inserted: Arc<AtomicU64>) -> Self {
        let needs_zipf = workload.choice != Choice::Uniform;
        Self {
            workload: workload.clone(),
            zipf: needs_zipf.then(|| Zipf::new(workload.keys)),
            inserted,
        }
    }

    /// The operations of client number `client`.
    pub(super) fn stream(&self, client: usize) -> Stream {
        let keys = self.workload.keys;
        let mut dice =
            Dice::new(self.workload.seed ^ (client as u64 + 1).wrapping_mul(0xa076_1d64_78bd_642f));
        let drawn = (0..AHEAD)
            .map(|_| match (self.workload.choice, &self.zipf) {
                (Choice::Zipf, Some(zipf)) => scatter(zipf.rank(&mut dice)) % keys,
                // An age; how old the newest is shows when it is asked for.
                (Choice::Latest, Some(zipf)) => zipf.rank(&mut dice),
                _ => dice.below(keys),
            })
            .collect();
        Stream {
            workload: self.workload.clone(),
            drawn,
            at: 0,
            dice,
            inserted: Arc::clone(&self.inserted),
        }
    }
}

/// One client's operations, without end.
pub(super) struct Stream {
    workload: Workload,
    drawn: Vec<u64>,
    at: usize,
    dice: Dice,
    inserted: Arc<AtomicU64>,
}

impl Stream {
    fn key(&mut self) -> u64 {
        self.at = (self.at + 1) % AHEAD;
        let drawn = self.drawn[self.at];
        if self.workload.choice == Choice::Latest {
            // The very newest may still be on its way: a reader may find nothing there.
            self.inserted.load(Relaxed).saturating_sub(1 + drawn)
        } else {
            drawn
        }
    }

    pub(super) fn next(&mut self) -> Operation {
        let mix = self.workload.mix;
        let mut dice = self.dice.below(100) as u32;
        for (percent, make) in [
            (mix.read, Operation::Read as fn(u64) -> Operation),
            (mix.update, Operation::Update),
            (mix.add, Operation::Add),
            (mix.read_modify_write, Operation::ReadModifyWrite),
        ] {
            if dice < percent {
                return make(self.key());
            }
            dice -= percent;
        }
        if dice < mix.insert {
            return Operation::Insert(self.inserted.fetch_add(1, Relaxed));
        }
        let len = (1 + self.dice.below(MAX_SCAN)).min(self.workload.keys);
        let first = self.key().min(self.workload.keys - len);
        Operation::Scan(first, len)
    }
}

/// The bytes of a key: they sort as their numbers do.
pub(super) fn key_bytes(number: u64) -> Vec<u8> {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let mut key = b"user000000000000".to_vec();
    let mut rest = number;
    for digit in key[4..].iter_mut().rev() {
        *digit = DIGITS[(rest & 15) as usize];
        rest >>= 4;
    }
    key
}

/// The value of a key: its number, and then the same for all.
pub(super) fn value_bytes(number: u64, len: usize) -> Vec<u8> {
    let mut value = vec![0x5a; len];
    let mark = number.to_le_bytes();
    let marked = mark.len().min(len);
    value[..marked].copy_from_slice(&mark[..marked]);
    value
}

/// Whether `value` is one of that key's.
pub(super) fn is_value_of(number: u64, len: usize, value: &[u8]) -> bool {
    let mark = number.to_le_bytes();
    let marked = mark.len().min(len);
    value.len() == len && value[..marked] == mark[..marked]
}

#[cfg(test)]
mod tests {
    use super::super::workload::{Level, Mix};
    use super::*;

    fn workload(mix: Mix, choice: Choice) -> Workload {
        Workload {
            mix,
            choice,
            keys: 1000,
            value_bytes: 16,
            clients: 1,
            depth: 1,
            level: Level::Memory,
            seed: 7,
        }
    }

    fn drawn(workload: &Workload, count: usize) -> Vec<Operation> {
        let source = Source::new(workload, Arc::new(AtomicU64::new(workload.keys)));
        let mut stream = source.stream(0);
        (0..count).map(|_| stream.next()).collect()
    }

    #[test]
    fn the_same_seed_gives_the_same_operations() {
        let workload = workload(Mix::ycsb('e').unwrap(), Choice::Zipf);
        assert_eq!(drawn(&workload, 500), drawn(&workload, 500));
        let other = Workload {
            seed: 8,
            ..workload.clone()
        };
        assert_ne!(drawn(&workload, 500), drawn(&other, 500));
    }

    #[test]
    fn every_mix_is_drawn_in_its_shares_and_within_the_keys() {
        for (letter, choice) in [
            ('a', Choice::Zipf),
            ('d', Choice::Latest),
            ('e', Choice::Uniform),
            ('f', Choice::Zipf),
        ] {
            let workload = workload(Mix::ycsb(letter).unwrap(), choice);
            let operations = drawn(&workload, 20_000);
            let share =
                |is: fn(&Operation) -> bool| operations.iter().filter(|op| is(op)).count() as f64 / 200.0;
            let mix = workload.mix;
            let close = |percent: u32, seen: f64| (f64::from(percent) - seen).abs() < 1.5;
            assert!(close(mix.read, share(|op| matches!(op, Operation::Read(_)))));
            assert!(close(mix.update, share(|op| matches!(op, Operation::Update(_)))));
            assert!(close(mix.insert, share(|op| matches!(op, Operation::Insert(_)))));
            assert!(close(mix.scan, share(|op| matches!(op, Operation::Scan(..)))));
            assert!(close(
                mix.read_modify_write,
                share(|op| matches!(op, Operation::ReadModifyWrite(_)))
            ));
            for operation in operations {
                if let Operation::Scan(first, len) = operation {
                    assert!((1..=100).contains(&len) && first + len <= workload.keys);
                }
            }
        }
    }

    #[test]
    fn zipf_prefers_the_first_as_its_formula_says() {
        let (zipf, mut dice) = (Zipf::new(1000), Dice::new(1));
        let mut counts = vec![0_u32; 1000];
        for _ in 0..200_000 {
            counts[zipf.rank(&mut dice) as usize] += 1;
        }
        let zeta: f64 = (1..=1000).map(|rank| f64::from(rank).powf(-THETA)).sum();
        for rank in [0, 1] {
            let expected = 200_000.0 * f64::from(rank as u32 + 1).powf(-THETA) / zeta;
            let seen = f64::from(counts[rank]);
            assert!(
                (seen / expected - 1.0).abs() < 0.05,
                "rank {rank}: {seen} instead of {expected}"
            );
        }
        assert_eq!(Zipf::new(1).rank(&mut dice), 0);
    }

    #[test]
    fn keys_sort_as_their_numbers() {
        assert!(key_bytes(9) < key_bytes(10) && key_bytes(255) < key_bytes(256));
        assert_eq!(key_bytes(0x12ab), b"user0000000012ab");
        assert!(is_value_of(3, 16, &value_bytes(3, 16)));
        assert!(!is_value_of(4, 16, &value_bytes(3, 16)) && !is_value_of(3, 17, &value_bytes(3, 16)));
    }
}
