//! Random histories, checked for serializability after the manner of Elle: every write appends its transaction's number
//! to a list, so the lists themselves tell who wrote after whom and what every read has seen. A cycle of dependencies
//! means that no serial order explains the history.

use quintet_stm::{Isolation, Step, TVar, Transaction, Tx};
use std::{
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

const KEYS: usize = 3;
const THREADS: usize = 3;
const PER_THREAD: usize = 4;

struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).unwrap() % bound
    }
}

#[derive(Clone, Debug)]
enum Op {
    Read(usize),
    Append(usize),
    Blind(usize),
    Yield,
}

/// What one committed transaction saw and did, and when.
#[derive(Clone, Debug)]
pub(crate) struct Done {
    id: usize,
    reads: Vec<(usize, Vec<usize>)>,
    appends: Vec<usize>,
    began: usize,
    ended: usize,
}

fn plan(random: &mut Random) -> Vec<Op> {
    (0..2 + random.below(4))
        .map(|_| match random.below(8) {
            0..3 => Op::Read(random.below(KEYS)),
            3..5 => Op::Append(random.below(KEYS)),
            5 => Op::Blind(random.below(KEYS)),
            _ => Op::Yield,
        })
        .collect()
}

fn perform(tx: &mut Tx, lists: &[TVar<Vec<usize>>], plan: &[Op], done: &mut Done) -> Step<()> {
    done.reads.clear();
    done.appends.clear();
    for op in plan {
        match *op {
            Op::Read(key) => {
                let list = tx.read(&lists[key])?;
                done.reads.push((key, list));
            }
            Op::Append(key) if !done.appends.contains(&key) => {
                let mut list = tx.read(&lists[key])?;
                done.reads.push((key, list.clone()));
                list.push(done.id);
                tx.write(&lists[key], list)?;
                done.appends.push(key);
            }
            Op::Blind(key) if !done.appends.contains(&key) => {
                tx.append(&lists[key], done.id)?;
                done.appends.push(key);
            }
            Op::Append(_) | Op::Blind(_) => {}
            Op::Yield => thread::yield_now(),
        }
    }
    Ok(())
}

/// Runs one random history and answers its transactions and the final lists.
fn history(seed: u64, isolation: Isolation) -> (Vec<Done>, Vec<Vec<usize>>) {
    let lists: Vec<_> = (0..KEYS).map(|_| TVar::new(Vec::new())).collect();
    let clock = AtomicUsize::new(0);
    let done = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| {
                let (lists, clock) = (&lists, &clock);
                let mut random =
                    Random(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ (thread as u64 + 1) << 40 | 1);
                scope.spawn(move || {
                    let mut all = Vec::new();
                    for turn in 0..PER_THREAD {
                        let plan = plan(&mut random);
                        let mut done = Done {
                            id: thread * PER_THREAD + turn,
                            reads: Vec::new(),
                            appends: Vec::new(),
                            began: clock.fetch_add(1, Ordering::SeqCst),
                            ended: 0,
                        };
                        Transaction::new(isolation)
                            .run(|tx| perform(tx, lists, &plan, &mut done))
                            .unwrap();
                        done.ended = clock.fetch_add(1, Ordering::SeqCst);
                        all.push(done);
                    }
                    all
                })
            })
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect()
    });
    (done, lists.iter().map(TVar::get).collect())
}

/// Who must come before whom. A read of one's own append does not count.
fn edges(done: &[Done], lists: &[Vec<usize>]) -> Result<Vec<(usize, usize)>, String> {
    let mut edges = Vec::new();
    for list in lists {
        edges.extend(list.windows(2).map(|pair| (pair[0], pair[1])));
    }
    for transaction in done {
        let id = transaction.id;
        for key in &transaction.appends {
            let times = lists[*key].iter().filter(|writer| **writer == id).count();
            if times != 1 {
                return Err(format!("transaction {id} appended to list {key} {times} times"));
            }
        }
        for (key, seen) in &transaction.reads {
            let seen = seen.strip_suffix(&[id]).unwrap_or(seen);
            let list = &lists[*key];
            if !list.starts_with(seen) {
                return Err(format!(
                    "transaction {id} read {seen:?} of list {key}, which became {list:?}"
                ));
            }
            if let Some(last) = seen.last() {
                edges.push((*last, id));
            }
            if let Some(next) = list.get(seen.len()).filter(|next| **next != id) {
                edges.push((id, *next));
            }
        }
        for other in done {
            if transaction.ended < other.began {
                edges.push((id, other.id));
            }
        }
    }
    Ok(edges)
}

/// Whether the graph has a cycle: nodes without predecessors are taken away until none is left.
fn is_cyclic(nodes: usize, edges: &[(usize, usize)]) -> bool {
    let mut alive = vec![true; nodes];
    loop {
        let free = (0..nodes).find(|node| {
            alive[*node]
                && !edges
                    .iter()
                    .any(|(from, to)| to == node && alive[*from] && from != to)
        });
        match free {
            Some(node) => alive[node] = false,
            None => return alive.contains(&true),
        }
    }
}

/// Why the history is not strictly serializable, if it is not.
fn objection(seed: u64, isolation: Isolation) -> Option<String> {
    let (done, lists) = history(seed, isolation);
    match edges(&done, &lists) {
        Err(reason) => Some(reason),
        Ok(edges) if is_cyclic(THREADS * PER_THREAD, &edges) => {
            Some(format!("a cycle in {edges:?} of {done:#?}"))
        }
        Ok(_) => None,
    }
}

#[test]
fn three_thousand_random_safe_histories_are_strictly_serializable() {
    for seed in 0..3_000 {
        if let Some(reason) = objection(seed, Isolation::Safe) {
            panic!("seed {seed}: {reason}");
        }
    }
}

#[test]
fn the_checker_objects_to_hybrid_and_raw_histories() {
    for isolation in [Isolation::Hybrid, Isolation::Raw] {
        let found = (0..20_000).any(|seed| objection(seed, isolation).is_some());
        assert!(
            found,
            "{isolation}: not one anomaly in 20 000 histories; the checker or the generator is blind"
        );
    }
}

#[test]
fn the_checker_knows_write_skew_when_it_sees_it() {
    let done = |id, sees: usize, appends| Done {
        id,
        reads: vec![(sees, Vec::new())],
        appends: vec![appends],
        began: 0,
        ended: 9,
    };
    let edges = edges(&[done(0, 1, 0), done(1, 0, 1)], &[vec![0], vec![1]]).unwrap();
    assert!(is_cyclic(2, &edges), "{edges:?}");
    assert!(!is_cyclic(2, &edges[..1]));
}
