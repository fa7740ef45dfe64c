//! Random operations against a `BTreeMap`, with time, snapshots and reopening among them.

use crate::conformance::config;
use proptest::{collection::vec, prelude::*};
use quintet_core::{Durability, fake::ManualClock};
use quintet_kv::{End, Store, Ttl, Value};
use quintet_log::MemDirectory;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::Arc,
    time::Duration,
};

#[derive(Clone, Debug)]
enum Step {
    Set(usize, i64),
    SetOnce(usize, i64),
    Swap(usize, i64),
    Increment(usize, i64),
    Push(usize, bool, i64),
    Pop(usize, bool),
    Rename(usize, usize),
    Transfer(usize, bool, usize, bool),
    Cas(usize, bool, i64),
    Mset(usize, usize, i64),
    Expire(usize, u64),
    Persist(usize),
    Delete(usize),
    Clear,
    Advance(u64),
    Snapshot,
    Reopen,
}

fn steps() -> impl Strategy<Value = Step> {
    let key = || 0..4_usize;
    prop_oneof![
        1 => (key(), 0..9_i64).prop_map(|(key, n)| Step::Set(key, n)),
        1 => (key(), 0..9_i64).prop_map(|(key, n)| Step::SetOnce(key, n)),
        1 => (key(), 0..9_i64).prop_map(|(key, n)| Step::Swap(key, n)),
        1 => (key(), -9..9_i64).prop_map(|(key, n)| Step::Increment(key, n)),
        4 => (key(), any::<bool>(), 0..9_i64).prop_map(|(key, front, n)| Step::Push(key, front, n)),
        3 => (key(), any::<bool>()).prop_map(|(key, front)| Step::Pop(key, front)),
        2 => (key(), key()).prop_map(|(from, to)| Step::Rename(from, to)),
        2 => (key(), any::<bool>(), key(), any::<bool>()).prop_map(|(a, b, c, d)| Step::Transfer(a, b, c, d)),
        1 => (key(), any::<bool>(), 0..9_i64).prop_map(|(key, right, n)| Step::Cas(key, right, n)),
        1 => (key(), key(), 0..9_i64).prop_map(|(a, b, n)| Step::Mset(a, b, n)),
        2 => (key(), 0..60_u64).prop_map(|(key, ms)| Step::Expire(key, ms)),
        1 => key().prop_map(Step::Persist),
        2 => key().prop_map(Step::Delete),
        1 => Just(Step::Clear),
        3 => (1..40_u64).prop_map(Step::Advance),
        1 => Just(Step::Snapshot),
        1 => Just(Step::Reopen),
    ]
}

#[derive(Clone, Debug, PartialEq)]
enum Model {
    Number(i64),
    List(VecDeque<i64>),
}

/// The oracle: each key's value and the moment at which it ends.
#[derive(Default)]
struct Oracle {
    entries: BTreeMap<usize, (Model, Option<u64>)>,
    now: u64,
}

impl Oracle {
    fn live(&mut self, key: usize) -> Option<&mut (Model, Option<u64>)> {
        let now = self.now;
        if self
            .entries
            .get(&key)
            .is_some_and(|(_, end)| end.is_some_and(|end| end <= now))
        {
            self.entries.remove(&key);
        }
        self.entries.get_mut(&key)
    }

    fn set(&mut self, key: usize, value: Model) {
        let end = self.live(key).and_then(|(_, end)| *end);
        self.entries.insert(key, (value, end));
    }

    /// The list to push to; `None` = there is something else.
    fn list(&mut self, key: usize) -> Option<&mut VecDeque<i64>> {
        if self.live(key).is_none() {
            self.set(key, Model::List(VecDeque::new()));
        }
        match &mut self.entries.get_mut(&key)?.0 {
            Model::List(list) => Some(list),
            Model::Number(_) => None,
        }
    }
}

fn push(list: &mut VecDeque<i64>, front: bool, item: i64) {
    if front {
        list.push_front(item);
    } else {
        list.push_back(item);
    }
}

fn pop(list: &mut VecDeque<i64>, front: bool) -> Option<i64> {
    if front { list.pop_front() } else { list.pop_back() }
}

fn end(front: bool) -> End {
    if front { End::Front } else { End::Back }
}

fn value(model: &Model) -> Value {
    match model {
        Model::Number(number) => Value::Int(*number),
        Model::List(items) => Value::list(items.iter().map(|item| Value::Int(*item))),
    }
}

struct Pair {
    store: Option<Store>,
    oracle: Oracle,
    directory: MemDirectory,
    clock: ManualClock,
}

impl Pair {
    fn open(&mut self) {
        drop(self.store.take());
        let directory = Arc::new(self.directory.clone());
        let store = Store::open(
            config(Durability::Relaxed),
            directory,
            Arc::new(self.clock.clone()),
        );
        self.store = Some(store.unwrap());
    }

    fn store(&self) -> &Store {
        self.store.as_ref().unwrap()
    }

    fn run(&mut self, step: &Step) {
        match *step {
            Step::Advance(ms) => {
                self.oracle.now += ms;
                self.clock.advance(Duration::from_millis(ms));
            }
            Step::Snapshot => self.store().snapshot().unwrap(),
            Step::Reopen => self.open(),
            Step::Clear => {
                self.store().clear().unwrap();
                self.oracle.entries.clear();
            }
            Step::Rename(from, to) => self.rename(from, to),
            Step::Transfer(from, from_front, to, to_front) => self.transfer(from, from_front, to, to_front),
            Step::Mset(a, b, n) => {
                self.store()
                    .mset(&[(key(a), Value::Int(n)), (key(b), Value::Int(n + 1))])
                    .unwrap();
                self.oracle.set(a, Model::Number(n));
                self.oracle.set(b, Model::Number(n + 1));
            }
            Step::Expire(k, ms) => {
                let there = self.oracle.live(k).is_some();
                let done = self.store().expire(key(k), Duration::from_millis(ms));
                assert_eq!(done.is_ok(), there);
                let at = self.oracle.now + ms;
                if let Some((_, end)) = self.oracle.live(k) {
                    *end = Some(at);
                }
            }
            Step::Persist(k) => {
                let had = self.oracle.live(k).and_then(|(_, end)| end.take()).is_some();
                assert_eq!(self.store().persist(key(k)).unwrap(), had);
            }
            Step::Delete(k) => {
                let old = self.oracle.live(k).map(|(model, _)| value(model));
                assert_eq!(self.store().delete(key(k)).unwrap(), old);
                self.oracle.entries.remove(&k);
            }
            _ => self.run_on_value(step),
        }
    }

    fn run_on_value(&mut self, step: &Step) {
        let store = self.store.clone().unwrap();
        let oracle = &mut self.oracle;
        match *step {
            Step::Set(k, n) => {
                store.set(key(k), n).unwrap();
                oracle.set(k, Model::Number(n));
            }
            Step::SetOnce(k, n) => {
                let free = oracle.live(k).is_none();
                assert_eq!(store.set_once(key(k), n).unwrap(), free);
                if free {
                    oracle.set(k, Model::Number(n));
                }
            }
            Step::Swap(k, n) => {
                let old = oracle.live(k).map(|(model, _)| value(model));
                assert_eq!(store.swap(key(k), n).unwrap(), old);
                oracle.set(k, Model::Number(n));
            }
            Step::Increment(k, n) => match oracle.live(k).map(|(model, _)| model.clone()) {
                Some(Model::List(_)) => assert!(store.increment(key(k), n).is_err()),
                number => {
                    let old = if let Some(Model::Number(old)) = number {
                        old
                    } else {
                        0
                    };
                    assert_eq!(store.increment(key(k), n).unwrap(), Value::Int(old + n));
                    oracle.set(k, Model::Number(old + n));
                }
            },
            Step::Push(k, front, n) => {
                let done = if front {
                    store.unshift(key(k), n)
                } else {
                    store.push(key(k), n)
                };
                let len = oracle.list(k).map(|list| {
                    push(list, front, n);
                    list.len()
                });
                assert_eq!(done.ok(), len);
            }
            Step::Pop(k, front) => {
                let done = if front {
                    store.shift(key(k))
                } else {
                    store.pop(key(k))
                };
                match oracle.live(k) {
                    Some((Model::List(list), _)) => {
                        assert_eq!(done.unwrap(), pop(list, front).map(Value::Int))
                    }
                    _ => assert!(done.is_err()),
                }
            }
            Step::Cas(k, right, n) => {
                let version = store
                    .get_versioned(key(k))
                    .unwrap()
                    .map_or(0, |(_, version)| version);
                let asked = if right { version } else { version + 1 };
                let done = store.compare_and_swap(key(k), asked, n).unwrap();
                assert_eq!(done, if right { Ok(()) } else { Err(version) });
                if right {
                    oracle.set(k, Model::Number(n));
                }
            }
            _ => unreachable!("{step:?} is handled elsewhere"),
        }
    }

    fn rename(&mut self, from: usize, to: usize) {
        let possible = self.oracle.live(from).is_some() && self.oracle.live(to).is_none();
        assert_eq!(self.store().rename(key(from), key(to)).is_ok(), possible);
        if possible && let Some(entry) = self.oracle.entries.remove(&from) {
            self.oracle.entries.insert(to, entry);
        }
    }

    fn transfer(&mut self, from: usize, from_front: bool, to: usize, to_front: bool) {
        let done = self
            .store()
            .transfer((key(from), end(from_front)), (key(to), end(to_front)));
        let is_number = |entry: Option<&mut (Model, _)>| matches!(entry, Some((Model::Number(_), _)));
        if is_number(self.oracle.live(from)) || is_number(self.oracle.live(to)) {
            assert!(done.is_err(), "{done:?}");
            return;
        }
        let item = match self.oracle.live(from) {
            Some((Model::List(list), _)) => pop(list, from_front),
            _ => None,
        };
        if let Some(item) = item {
            push(self.oracle.list(to).unwrap(), to_front, item);
        }
        assert_eq!(done.unwrap(), item.map(Value::Int));
    }

    fn compare(&mut self) {
        let store = self.store.clone().unwrap();
        for k in 0..4 {
            let now = self.oracle.now;
            let expected = self.oracle.live(k).map(|(model, end)| (value(model), *end));
            assert_eq!(
                store.get(key(k)).unwrap(),
                expected.as_ref().map(|(value, _)| value.clone())
            );
            let ttl = match expected {
                None => Ttl::Missing,
                Some((_, None)) => Ttl::Never,
                Some((_, Some(end))) => Ttl::Left(Duration::from_millis(end - now)),
            };
            assert_eq!(store.ttl(key(k)).unwrap(), ttl);
        }
    }
}

fn key(k: usize) -> String {
    format!("key{k}")
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn the_store_is_a_map_through_time_and_reopening(steps in vec(steps(), 1..60)) {
        let mut pair = Pair {
            store: None,
            oracle: Oracle::default(),
            directory: MemDirectory::new(),
            clock: ManualClock::new(),
        };
        pair.open();
        for step in &steps {
            pair.run(step);
            pair.compare();
        }
        pair.open();
        pair.compare();
    }
}
