//! The history of commits that threads enter side by side: in order, without a hole, and equal to what it was made of.

use quintet_stm::{ChangeSet, Context, ContextConfig, Isolation, Value};
use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

const THREADS: usize = 3;
const KEYS: usize = 5;

fn key(at: usize) -> String {
    format!("k{at}")
}

/// Versions grow, and each change of a key begins where the one before it has ended.
fn is_whole(sets: &[Arc<ChangeSet>]) -> BTreeMap<String, Value> {
    let mut last: BTreeMap<String, Value> = BTreeMap::new();
    assert!(sets.windows(2).all(|pair| pair[0].version < pair[1].version));
    for change in sets.iter().flat_map(|set| &set.changes) {
        let new = change.new.clone().unwrap();
        if let Some(before) = last.insert(change.path.to_string(), new) {
            assert_eq!(Some(before), change.old, "a change of {} is missing", change.path);
        }
    }
    last
}

fn work(context: &Context, thread: usize, turns: usize) {
    for turn in 0..turns {
        let name = key((turn * (thread + 1)) % KEYS);
        let done = match turn % 7 {
            // Through the journal: two values, and one that is large.
            0 => context.run(Isolation::Safe, |tx| {
                tx.increment(&name, 1)?;
                tx.increment("both", 1)
            }),
            1 => context.run(Isolation::Hybrid, |tx| {
                tx.set("large", vec![Value::Int(turn as i64); 40])
            }),
            2 | 3 => context.run(Isolation::Hybrid, |tx| tx.increment(&name, 1)),
            4 => context.run(Isolation::Hybrid, |tx| {
                tx.set("text", format!("{thread} {turn}").as_str())
            }),
            _ => context.run(Isolation::Safe, |tx| {
                let now = tx.get_int(&name)?;
                tx.set(&name, now + 1)
            }),
        };
        done.unwrap();
    }
}

fn beside_each_other(history: usize, turns: usize) {
    let config = ContextConfig {
        history,
        ..ContextConfig::default()
    };
    let context = Context::with_config("lanes", config).unwrap();
    let start = (0..KEYS).map(key).chain(["both".into()]);
    context
        .run(Isolation::Hybrid, |tx| {
            start.clone().try_for_each(|name| tx.set(&name, 0_i64))
        })
        .unwrap();
    context
        .run(Isolation::Hybrid, |tx| tx.set("large", Vec::<Value>::new()))
        .unwrap();
    context.run(Isolation::Hybrid, |tx| tx.set("text", "")).unwrap();
    let working = AtomicUsize::new(THREADS);
    thread::scope(|scope| {
        for at in 0..THREADS {
            let (context, working) = (&context, &working);
            scope.spawn(move || {
                work(context, at, turns);
                working.fetch_sub(1, Ordering::SeqCst);
            });
        }
        while working.load(Ordering::SeqCst) > 0 {
            let sets = context.history(history);
            is_whole(&sets);
            assert!(sets.len() <= history);
            if let [first, .., last] = &sets[..] {
                // What was just listed may be too old by now, and is refused then.
                if let Ok(image) = context.replay(last.version) {
                    let changes = context.diff(first.version, last.version);
                    for change in changes.into_iter().flatten() {
                        assert_eq!(image.get(&change.path), change.new.as_ref(), "{}", change.path);
                    }
                }
            }
        }
    });
    let sets = context.history(history);
    assert_eq!(
        sets.len(),
        history.min(THREADS * turns + 3),
        "as many as are kept"
    );
    let ends = is_whole(&sets);
    let image = context.snapshot().unwrap().image();
    for (path, value) in ends {
        assert_eq!(image.get(path.as_str()), Some(&value), "{path}");
    }
    let counted: i64 = (0..KEYS)
        .map(|at| context.get(&key(at)).unwrap().unwrap().as_int().unwrap())
        .sum();
    let counts = (0..turns).filter(|turn| !matches!(turn % 7, 1 | 4)).count() * THREADS;
    assert_eq!(counted, counts as i64);
    assert_eq!(context.replay(context.version()).unwrap(), image);
    assert_eq!(context.version(), sets.last().unwrap().version);
}

#[test]
fn a_short_history_has_no_hole() {
    beside_each_other(50, 1_000);
}

#[test]
fn a_history_longer_than_a_lane_has_no_hole() {
    beside_each_other(20_000, 7_000);
}

#[test]
fn a_history_of_one_is_the_last() {
    beside_each_other(1, 300);
}
