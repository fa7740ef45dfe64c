//! Names for pushed children: 20 characters that sort by the time they were made, and never come twice.
//!
//! Eight characters are the milliseconds since 1970, twelve are random; within one millisecond the random part counts up, so
//! the order of one process's pushes is kept. The alphabet is in the order of ASCII. The clock going back does not take
//! the names back.

use std::{
    hash::{BuildHasher, RandomState},
    sync::{Mutex, PoisonError},
};

const ALPHABET: &[u8; 64] = b"-0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
const TIME_CHARS: usize = 8;
const RANDOM_CHARS: usize = 12;

/// Makes names. One for each tree.
#[derive(Default)]
pub(crate) struct PushIds {
    last: Mutex<Last>,
}

#[derive(Default)]
struct Last {
    ms: u64,
    /// Six bits each.
    random: [u8; RANDOM_CHARS],
    made: u64,
}

impl PushIds {
    /// The next name at this time.
    pub(crate) fn next(&self, now_ms: u64) -> String {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        last.made += 1;
        if now_ms > last.ms {
            last.ms = now_ms;
            last.random = random(last.made);
        } else if !count_up(&mut last.random) {
            last.ms += 1;
        }
        let mut id = String::with_capacity(TIME_CHARS + RANDOM_CHARS);
        for place in (0..TIME_CHARS).rev() {
            id.push(char::from(ALPHABET[(last.ms >> (6 * place)) as usize & 63]));
        }
        id.extend(
            last.random
                .iter()
                .map(|bits| char::from(ALPHABET[usize::from(*bits)])),
        );
        id
    }
}

/// 72 bits that the standard library seeds from the system, anew for each call.
fn random(made: u64) -> [u8; RANDOM_CHARS] {
    let (a, b) = (
        RandomState::new().hash_one(made),
        RandomState::new().hash_one(!made),
    );
    let mut bits = u128::from(a) << 64 | u128::from(b);
    std::array::from_fn(|_| {
        let six = (bits & 63) as u8;
        bits >>= 6;
        six
    })
}

/// The next number; false when it wrapped around.
fn count_up(random: &mut [u8; RANDOM_CHARS]) -> bool {
    for digit in random.iter_mut().rev() {
        if *digit < 63 {
            *digit += 1;
            return true;
        }
        *digit = 0;
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_sort_by_time_and_never_repeat() {
        let ids = PushIds::default();
        let mut names: Vec<String> = Vec::new();
        for ms in [
            5,
            5,
            5,
            4,
            6,
            1_700_000_000_000,
            1_700_000_000_000,
            1_700_000_000_001,
        ] {
            names.extend((0..100).map(|_| ids.next(ms)));
        }
        assert!(names.iter().all(|name| name.len() == 20));
        assert!(names.windows(2).all(|pair| pair[0] < pair[1]));
        assert!(names[500].starts_with("-NjEtLV-"), "{}", names[500]);
    }

    #[test]
    fn a_random_part_at_its_end_moves_on_in_time() {
        let ids = PushIds::default();
        let first = ids.next(7);
        ids.last.lock().unwrap().random = [63; RANDOM_CHARS];
        assert!(ids.next(7) > first);
    }
}
