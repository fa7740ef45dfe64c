//! Random runs of worker, queue, controller and handler with injected trouble, judged request by request.

use quintet_core::{
    ErrorKind, Keyed, KeyedReply, MessageHandler,
    fake::{Outcome, Sim, Troubles},
};

const COUNTERS: u64 = 3;

/// Half are puts, each of a key of its own; the rest count, or read.
fn message(random: u64) -> Keyed {
    match random % 4 {
        0 | 1 => Keyed::Put {
            key: random.to_be_bytes().to_vec(),
            value: random.to_le_bytes().to_vec(),
        },
        2 => Keyed::Add {
            key: vec![(random >> 8) as u8 % COUNTERS as u8],
            delta: 1,
        },
        _ => Keyed::Get {
            key: vec![(random >> 8) as u8 % COUNTERS as u8],
        },
    }
}

fn run(seed: u64) -> (Vec<Outcome>, quintet_core::fake::FakeHandler, usize) {
    let mut sim = Sim::new(seed, Troubles::default());
    sim.run(400, message);
    let refused = sim.refused();
    let (outcomes, store) = sim.finish();
    (outcomes, store, refused)
}

fn counter(value: Option<&[u8]>) -> i64 {
    value.map_or(0, |bytes| i64::from_le_bytes(bytes.try_into().unwrap()))
}

#[test]
fn each_request_is_answered_once_and_what_was_acknowledged_was_durable_and_stays() {
    let (mut acknowledged, mut failed, mut abandoned, mut without_credit) = (0, 0, 0, 0);
    for seed in 0..400 {
        let (outcomes, store, refused) = run(seed);
        without_credit += refused;
        let mut added = vec![(0, 0); COUNTERS as usize];
        for outcome in &outcomes {
            let seen = format!("seed {seed}: {outcome:?}");
            assert!(
                outcome.completions.len() == usize::from(!outcome.abandoned),
                "{seen}"
            );
            let stored = store.durable_value(outcome.message.key());
            match (&outcome.message, outcome.completions.first()) {
                (Keyed::Put { value, .. }, Some(Ok(KeyedReply::Stored))) => {
                    assert_eq!(
                        outcome.durable_then.as_ref(),
                        Some(value),
                        "answered before its commit, {seen}"
                    );
                    assert_eq!(stored, Some(&value[..]), "acknowledged and lost, {seen}");
                    acknowledged += 1;
                }
                (Keyed::Put { .. }, Some(Err(error))) => {
                    assert_eq!(error.kind(), ErrorKind::Full, "{seen}");
                    assert_eq!(stored, None, "failed and there all the same, {seen}");
                    failed += 1;
                }
                (Keyed::Add { key, .. }, Some(Ok(KeyedReply::Sum(sum)))) => {
                    let durable = counter(outcome.durable_then.as_deref());
                    assert!(durable >= *sum, "answered before its commit, {seen}");
                    added[usize::from(key[0])].0 += 1;
                }
                (Keyed::Add { key, .. }, None) => added[usize::from(key[0])].1 += 1,
                (_, None) => abandoned += 1,
                (Keyed::Add { .. }, Some(Err(error))) => assert_eq!(error.kind(), ErrorKind::Full, "{seen}"),
                (Keyed::Get { .. }, Some(Ok(KeyedReply::Value(_)))) => {}
                _ => panic!("an answer of the wrong kind, {seen}"),
            }
        }
        for (key, (sure, perhaps)) in added.into_iter().enumerate() {
            let sum = counter(store.durable_value(&[key as u8]));
            assert!(
                (sure..=sure + perhaps).contains(&sum),
                "seed {seed}, counter {key}: {sum} is not {sure} + 0..={perhaps}"
            );
        }
    }
    // The runs are worth nothing if the trouble does not happen.
    let all = (acknowledged, failed, abandoned, without_credit);
    assert!(acknowledged > 2_000, "{all:?}");
    assert!(failed > 200, "{all:?}");
    assert!(abandoned > 100, "{all:?}");
    assert!(without_credit > 500, "{all:?}");
}

#[test]
fn the_same_seed_gives_the_same_run() {
    for seed in [1, 2, 99] {
        let (first, mut store, _) = run(seed);
        let (second, mut again, _) = run(seed);
        assert_eq!(format!("{first:?}"), format!("{second:?}"), "seed {seed}");
        for key in 0..COUNTERS as u8 {
            let get = || Keyed::Get { key: vec![key] };
            assert_eq!(store.handle(get()).unwrap(), again.handle(get()).unwrap());
        }
    }
}
