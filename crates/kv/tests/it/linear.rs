//! Linearizability of recorded histories of mixed operations on two lists: ends, moves, removal, blocking takes.
//!
//! Wing and Gong's search with a memo. A blocking take that timed out is one that found nothing at some moment.

use quintet_kv::{End, Store, Value, Wait};
use std::{
    collections::{HashSet, VecDeque},
    sync::{
        Barrier,
        atomic::{AtomicU64, Ordering},
    },
    thread,
    time::Duration,
};

const THREADS: usize = 3;
const OPERATIONS: usize = 7;

#[derive(Clone, Debug, PartialEq)]
enum Call {
    Push(usize, End, i64),
    Take(usize, End),
    TakeWait(usize, End),
    Transfer(usize, End, usize, End),
    TransferWait(usize, End, usize, End),
    /// Answers the whole list.
    Read(usize),
    Delete(usize),
    /// Swaps in a list of one.
    Swap(usize, i64),
}

#[derive(Clone, Debug, PartialEq)]
enum Reply {
    Len(usize),
    Item(Option<i64>),
    Items(Vec<i64>),
}

#[derive(Debug)]
struct Operation {
    call: Call,
    invoked: u64,
    returned: u64,
    reply: Reply,
}

type State = [VecDeque<i64>; 2];

fn take(list: &mut VecDeque<i64>, end: End) -> Option<i64> {
    match end {
        End::Front => list.pop_front(),
        End::Back => list.pop_back(),
    }
}

fn add(list: &mut VecDeque<i64>, end: End, item: i64) {
    match end {
        End::Front => list.push_front(item),
        End::Back => list.push_back(item),
    }
}

/// The sequential meaning. A missing list is an empty one.
fn step(state: &mut State, call: &Call) -> Reply {
    match *call {
        Call::Push(list, end, item) => {
            add(&mut state[list], end, item);
            Reply::Len(state[list].len())
        }
        Call::Take(list, end) | Call::TakeWait(list, end) => Reply::Item(take(&mut state[list], end)),
        Call::Transfer(from, from_end, to, to_end) | Call::TransferWait(from, from_end, to, to_end) => {
            let item = take(&mut state[from], from_end);
            item.into_iter()
                .for_each(|item| add(&mut state[to], to_end, item));
            Reply::Item(item)
        }
        Call::Read(list) => Reply::Items(state[list].iter().copied().collect()),
        Call::Delete(list) => Reply::Items(std::mem::take(&mut state[list]).into()),
        Call::Swap(list, item) => Reply::Items(std::mem::replace(&mut state[list], [item].into()).into()),
    }
}

fn explain(history: &[Operation], placed: u64, state: &State, dead: &mut HashSet<(u64, State)>) -> bool {
    let waiting = || (0..history.len()).filter(|at| placed & (1 << at) == 0);
    let Some(first_return) = waiting().map(|at| history[at].returned).min() else {
        return true;
    };
    if !dead.insert((placed, state.clone())) {
        return false;
    }
    waiting()
        .filter(|at| history[*at].invoked <= first_return)
        .any(|at| {
            let mut next = state.clone();
            step(&mut next, &history[at].call) == history[at].reply
                && explain(history, placed | 1 << at, &next, dead)
        })
}

fn numbers(value: Option<Value>) -> Vec<i64> {
    match value {
        None => Vec::new(),
        Some(Value::List(list)) => list.iter().map(number).collect(),
        Some(other) => panic!("{other:?} is no list"),
    }
}

fn number(value: &Value) -> i64 {
    match value {
        Value::Int(number) => *number,
        other => panic!("{other:?} was never stored"),
    }
}

fn run(store: &Store, call: &Call) -> Reply {
    const KEYS: [&str; 2] = ["x", "y"];
    let key = |list: usize| KEYS[list];
    let item = |item: Option<Value>| Reply::Item(item.as_ref().map(number));
    let soon = Wait::at_most(Duration::from_micros(200));
    match *call {
        Call::Push(list, End::Front, item) => Reply::Len(store.unshift(key(list), item).unwrap()),
        Call::Push(list, End::Back, item) => Reply::Len(store.push(key(list), item).unwrap()),
        Call::Take(list, End::Front) => item(store.shift(key(list)).ok().flatten()),
        Call::Take(list, End::Back) => item(store.pop(key(list)).ok().flatten()),
        Call::TakeWait(list, End::Front) => item(store.shift_wait(key(list), soon).unwrap()),
        Call::TakeWait(list, End::Back) => item(store.pop_wait(key(list), soon).unwrap()),
        Call::Transfer(from, from_end, to, to_end) => {
            item(store.transfer((key(from), from_end), (key(to), to_end)).unwrap())
        }
        Call::TransferWait(from, from_end, to, to_end) => {
            let (from, to) = ((key(from).as_bytes(), from_end), (key(to).as_bytes(), to_end));
            item(store.transfer_wait(from, to, soon).unwrap())
        }
        Call::Read(list) => Reply::Items(numbers(store.get(key(list)).unwrap())),
        Call::Delete(list) => Reply::Items(numbers(store.delete(key(list)).unwrap())),
        Call::Swap(list, item) => Reply::Items(numbers(
            store.swap(key(list), Value::list([Value::Int(item)])).unwrap(),
        )),
    }
}

fn pick(random: &mut u64, item: i64) -> Call {
    *random = random
        .wrapping_mul(6_364_136_223_846_793_005)
        .wrapping_add(1_442_695_040_888_963_407);
    let dice = (*random >> 33) as usize;
    let end = |bit: usize| {
        if dice >> bit & 1 == 0 {
            End::Front
        } else {
            End::Back
        }
    };
    let (list, other) = (dice & 1, dice >> 1 & 1);
    match dice >> 4 & 15 {
        0..=4 => Call::Push(list, end(2), item),
        5 | 6 => Call::Take(list, end(2)),
        7..=9 => Call::TakeWait(list, end(2)),
        10 => Call::Transfer(list, end(2), other, end(3)),
        11 | 12 => Call::TransferWait(list, end(2), other, end(3)),
        13 => Call::Read(list),
        14 => Call::Delete(list),
        _ => Call::Swap(list, item),
    }
}

fn record(seed: u64) -> Vec<Operation> {
    let store = Store::in_memory_with(
        quintet_kv::Config {
            background: false,
            shards: 2,
            ..quintet_kv::Config::memory()
        },
        std::sync::Arc::new(quintet_core::SystemClock),
    )
    .unwrap();
    let (time, start) = (AtomicU64::new(0), Barrier::new(THREADS));
    let history = thread::scope(|scope| {
        let (store, time, start) = (&store, &time, &start);
        let threads: Vec<_> = (0..THREADS as u64)
            .map(|thread| {
                scope.spawn(move || {
                    let mut random = seed
                        .wrapping_mul(31)
                        .wrapping_add(thread)
                        .wrapping_mul(0x9e37_79b9_7f4a_7c15);
                    start.wait();
                    let operation = |n: usize| {
                        let call = pick(&mut random, (thread * 1000) as i64 + n as i64);
                        let invoked = time.fetch_add(1, Ordering::SeqCst);
                        let reply = run(store, &call);
                        let returned = time.fetch_add(1, Ordering::SeqCst);
                        Operation {
                            call,
                            invoked,
                            returned,
                            reply,
                        }
                    };
                    (0..OPERATIONS).map(operation).collect::<Vec<_>>()
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    assert_eq!(store.waiting(), 0, "seed {seed}: a wait was left behind");
    history
}

#[test]
fn mixed_histories_with_blocking_takes_are_linearizable() {
    for seed in 0..2_000 {
        let history = record(seed);
        let explained = explain(&history, 0, &State::default(), &mut HashSet::new());
        assert!(explained, "seed {seed}: no order explains {history:#?}");
    }
}

#[test]
fn the_checker_refuses_an_item_that_is_handed_out_twice() {
    let operation = |call, invoked, returned, reply| Operation {
        call,
        invoked,
        returned,
        reply,
    };
    let history = [
        operation(Call::Push(0, End::Back, 1), 0, 1, Reply::Len(1)),
        operation(Call::Take(0, End::Front), 2, 5, Reply::Item(Some(1))),
        operation(Call::TakeWait(0, End::Front), 3, 4, Reply::Item(Some(1))),
    ];
    assert!(!explain(&history, 0, &State::default(), &mut HashSet::new()));
    assert!(explain(&history[..2], 0, &State::default(), &mut HashSet::new()));
}
