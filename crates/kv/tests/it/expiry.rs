//! Expiry is accurate to 10 ms, without anybody looking at the keys; and nothing is armed when nothing is due.

use quintet_core::{Budget, Clock, fake::ManualClock};
use quintet_kv::{Config, Store};
use std::{collections::BTreeMap, num::NonZeroUsize, sync::Arc, time::Duration};

const ONE: Budget = Budget {
    items: NonZeroUsize::MIN,
};
const ACCURACY: Duration = Duration::from_millis(10);

fn store() -> (Store, ManualClock) {
    let clock = ManualClock::new();
    let config = Config {
        background: false,
        ..Config::memory()
    };
    (
        Store::in_memory_with(config, Arc::new(clock.clone())).unwrap(),
        clock,
    )
}

/// Moves the clock to each moment that the store asks for, and to no other.
#[test]
fn keys_go_within_ten_milliseconds_of_their_time() {
    let (store, clock) = store();
    let budget = Budget {
        items: NonZeroUsize::MAX,
    };
    let start = clock.now();
    let mut due = BTreeMap::<Duration, usize>::new();
    let mut random = 1_u64;
    for n in 0..5_000 {
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        // From a millisecond to an hour, most of them soon.
        let ttl = Duration::from_millis(1 + (random >> 33) % [50, 2_000, 3_600_000][n % 3]);
        store.set(format!("k{n}"), 1).unwrap();
        store.expire(format!("k{n}"), ttl).unwrap();
        *due.entry(ttl).or_default() += 1;
    }
    let mut rounds = 0;
    while let Some(next) = store.maintain(budget).unwrap() {
        let now = clock.now() - start;
        let overdue = due.range(..=now.saturating_sub(ACCURACY)).map(|(_, count)| count);
        assert_eq!(overdue.sum::<usize>(), 0, "keys are there after {now:?}");
        clock.advance(next.0.saturating_duration_since(clock.now()));
        let before = store.len();
        store.maintain(budget).unwrap();
        let now = clock.now() - start;
        let mut gone = before - store.len();
        while gone > 0 {
            let mut first = due.first_entry().unwrap();
            assert!(
                *first.key() <= now && now < *first.key() + ACCURACY,
                "{:?} went at {now:?}",
                first.key()
            );
            let here = gone.min(*first.get());
            *first.get_mut() -= here;
            gone -= here;
            if *first.get() == 0 {
                first.remove();
            }
        }
        rounds += 1;
    }
    assert!(
        due.is_empty() && store.is_empty() && rounds > 100,
        "{rounds} rounds"
    );
}

#[test]
fn nothing_is_armed_when_nothing_is_due() {
    let (store, _clock) = store();
    store.set("k", 1).unwrap();
    assert_eq!(store.maintain(ONE).unwrap(), None);
    store.expire("k", Duration::from_secs(1)).unwrap();
    assert!(store.maintain(ONE).unwrap().is_some());
}
