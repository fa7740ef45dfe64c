//! Picking at random: SRANDMEMBER, HRANDFIELD, ZRANDMEMBER and SPOP.

use super::{Call, Fail, NOT_INTEGER, SYNTAX, fail, parse_int};

/// How many members one command may answer when it may repeat them.
const MOST_REPEATED: usize = 1 << 20;

/// How many are wanted, and whether one may come more than once.
#[derive(Clone, Copy)]
pub(super) struct Wanted {
    pub(super) count: usize,
    pub(super) repeats: bool,
}

/// Reads `[count [WITH...]]`, which stand from the third argument on; `None` = one member, by itself.
pub(super) fn wanted(call: &Call<'_, '_, '_>, with: &str) -> Result<(Option<Wanted>, bool), Fail> {
    if call.len() == 2 {
        return Ok((None, false));
    }
    // Who takes no word behind the count refuses it before the count.
    if with.is_empty() && call.len() > 3 {
        return Err(fail(SYNTAX));
    }
    let count = parse_int(call.argument(2)).ok_or_else(|| fail(NOT_INTEGER))?;
    if count == i64::MIN {
        let text =
            "ERR value is out of range, value must between -9223372036854775807 and 9223372036854775807";
        return Err(fail(text));
    }
    let with_more = call.len() == 4 && call.is(3, with);
    if call.len() > 3 && !with_more {
        return Err(fail(SYNTAX));
    }
    if with_more && count.unsigned_abs() > i64::MAX as u64 / 2 {
        return Err(fail("ERR value is out of range"));
    }
    let wanted = Wanted {
        count: usize::try_from(count.unsigned_abs()).unwrap_or(usize::MAX),
        repeats: count < 0,
    };
    if wanted.repeats && wanted.count > MOST_REPEATED {
        return Err(fail("ERR value is out of range"));
    }
    Ok((Some(wanted), with_more))
}

/// Places below `len`, as many as wanted; each once unless repeats are. Ascending, so that one walk finds them, unless they
/// repeat.
pub(super) fn places(len: usize, wanted: Wanted, mut random: impl FnMut() -> u64) -> Vec<usize> {
    if len == 0 {
        return Vec::new();
    }
    if wanted.repeats {
        return (0..wanted.count).map(|_| random() as usize % len).collect();
    }
    let count = wanted.count.min(len);
    // Floyd's sampling: each subset of that size is equally likely.
    let mut picked = std::collections::BTreeSet::new();
    for top in len - count..len {
        let at = random() as usize % (top + 1);
        if !picked.insert(at) {
            picked.insert(top);
        }
    }
    picked.into_iter().collect()
}

/// The items at those places of a walk.
pub(super) fn pick<T: Clone>(items: impl Iterator<Item = T>, places: &[usize]) -> Vec<T> {
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|at| places[*at]);
    let mut picked: Vec<Option<T>> = vec![None; places.len()];
    let mut next = order.into_iter().peekable();
    for (at, item) in items.enumerate() {
        while let Some(slot) = next.next_if(|slot| places[*slot] == at) {
            picked[slot] = Some(item.clone());
        }
        if next.peek().is_none() {
            break;
        }
    }
    picked.into_iter().flatten().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_is_picked_once_or_with_repeats_as_wanted() {
        let mut state = 1_u64;
        let mut random = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            state >> 33
        };
        let mut hits = [0; 10];
        for _ in 0..1000 {
            let wanted = Wanted {
                count: 3,
                repeats: false,
            };
            let places = places(10, wanted, &mut random);
            assert_eq!(places.len(), 3);
            assert!(places.is_sorted_by(|a, b| a < b));
            places.iter().for_each(|at| hits[*at] += 1);
        }
        assert!(hits.iter().all(|hits| (200..400).contains(hits)), "{hits:?}");
        let wanted = Wanted {
            count: 30,
            repeats: true,
        };
        let repeated = places(10, wanted, &mut random);
        assert_eq!(pick(0..10, &repeated), repeated);
        assert_eq!(repeated.len(), 30);
    }
}
