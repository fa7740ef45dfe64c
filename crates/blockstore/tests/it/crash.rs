//! Power cuts at every moment and failures of every I/O: what was acknowledged is there afterwards, with the right bytes.

use crate::{
    recall::until,
    store::{body, config},
};
use quintet_blockstore::{BlockStore, Config, Digest, Engine, Get};
use quintet_core::{Durability, ErrorKind, Inline, Result, SystemClock, fake::ManualClock};
use quintet_log::{CrashDirectory, Directory, Fault, FaultDirectory, MemDirectory};
use std::{
    collections::{BTreeMap, BTreeSet},
    num::NonZeroUsize,
    sync::{Arc, OnceLock},
};

#[derive(Clone, Copy, Debug)]
enum Step {
    Put(u64),
    Delete(u64),
    Lock(u64),
    Unlock(u64),
}

/// Blocks by seed, and whether each is locked.
type State = BTreeMap<u64, bool>;

const HOLDER: &[u8] = b"holder";

/// Bodies of 40 to 400 KB in a store of 1.5 MiB: released blocks must be reused.
fn content(seed: u64) -> &'static [u8] {
    static BODIES: OnceLock<Vec<Vec<u8>>> = OnceLock::new();
    let make = |seed| body(seed, 40_000 + (seed as usize * 61_111) % 360_000);
    &BODIES.get_or_init(|| (0..12).map(make).collect())[seed as usize]
}

fn name(seed: u64) -> Digest {
    static NAMES: OnceLock<Vec<Digest>> = OnceLock::new();
    NAMES.get_or_init(|| (0..12).map(|seed| Digest::of(content(seed))).collect())[seed as usize]
}

fn steps() -> Vec<Step> {
    let mut steps = Vec::new();
    for seed in 0..12 {
        steps.push(Step::Put(seed));
        if seed % 2 == 0 {
            steps.push(Step::Lock(seed));
        }
        if seed >= 2 {
            if seed % 2 == 0 {
                steps.push(Step::Unlock(seed - 2));
            }
            steps.push(Step::Delete(seed - 2));
        }
        if seed % 5 == 4 {
            steps.push(Step::Put(seed - 2));
            steps.push(Step::Put(seed));
            steps.push(Step::Delete(seed - 2));
        }
    }
    steps
}

fn tight(dir: &std::path::Path, durability: Durability) -> Config {
    Config {
        capacity_bytes: 3 << 19,
        growth_step_bytes: 1 << 19,
        pool_targets: [0; 8],
        log_segment_bytes: 64 << 10,
        durability,
        ..config(dir)
    }
}

fn apply(store: &BlockStore, step: Step) -> Result<()> {
    match step {
        Step::Put(seed) => store.put(content(seed)).map(|_| ()),
        Step::Delete(seed) => store.delete(&name(seed)),
        Step::Lock(seed) => store.lock(&name(seed), HOLDER, &seed.to_le_bytes()),
        Step::Unlock(seed) => store.unlock(&name(seed), HOLDER),
    }
}

fn expect(state: &mut State, step: Step) {
    match step {
        Step::Put(seed) => drop(state.entry(seed).or_default()),
        Step::Delete(seed) => drop(state.remove(&seed)),
        Step::Lock(seed) => drop(state.insert(seed, true)),
        Step::Unlock(seed) => drop(state.insert(seed, false)),
    }
}

/// Opens what is left, and answers which bodies are there, and which are locked. Panics when something has other bytes, or
/// there is something that nobody put.
fn found(left: Arc<dyn Directory>, meta: &std::path::Path, durability: Durability) -> State {
    let clock = Arc::new(ManualClock::new());
    let Engine {
        handler,
        workers,
        opened,
    } = Engine::open(left, meta, &tight(meta, durability), clock).unwrap();
    let link = Inline::new(handler, NonZeroUsize::new(16).unwrap());
    let mut worker = workers.worker(Box::new(link)).unwrap();
    let mut seeds = State::new();
    for seed in 0..12 {
        let wanted = content(seed);
        if let Get::Found(extent) = worker.get(&name(seed)).unwrap() {
            let mut read = vec![0; wanted.len()];
            assert_eq!(extent.read_at(0, &mut read).unwrap(), wanted.len());
            assert!(read == wanted, "block {seed} has other bytes");
            let locks = worker.locks(&name(seed)).unwrap().unwrap();
            for lock in &locks {
                assert_eq!(
                    (&lock.resource[..], &lock.body[..]),
                    (HOLDER, &seed.to_le_bytes()[..])
                );
            }
            seeds.insert(seed, !locks.is_empty());
        }
    }
    assert_eq!(opened.blocks, seeds.len() as u64, "a record that nobody put");
    let locked = seeds.values().filter(|locked| **locked).count();
    assert_eq!(opened.locks, locked as u64, "a lock without a block, or too many");
    seeds
}

/// What may be there when `acknowledged` steps were: the state after them, or with the one in progress too.
fn allowed(states: &[State], acknowledged: usize) -> Vec<&State> {
    states.iter().skip(acknowledged).take(2).collect()
}

#[test]
fn a_power_cut_or_a_kill_at_any_moment_keeps_what_the_level_promises() {
    for durability in Durability::ALL {
        let meta = tempfile::tempdir().unwrap();
        let disk = CrashDirectory::new();
        let store = BlockStore::open_in(
            Arc::new(disk.clone()),
            meta.path(),
            tight(meta.path(), durability),
            Arc::new(SystemClock),
        )
        .unwrap();
        let mut states = vec![State::new()];
        disk.note(0);
        for (at, step) in steps().into_iter().enumerate() {
            apply(&store, step).unwrap();
            disk.note(at as u64 + 1);
            let mut state = states[at].clone();
            expect(&mut state, step);
            states.push(state);
        }
        // Before the close: its checkpoint goes to LMDB, which is not on this disk.
        let moments = disk.moments();
        for moment in 0..=moments {
            let acknowledged = disk.noted(moment).unwrap_or(0) as usize;
            // Seed 0 is a kill: nothing is lost. The others are power cuts.
            for seed in [0, 1 + moment as u64 % 5] {
                let fresh = tempfile::tempdir().unwrap();
                let left = Arc::new(disk.image(moment, seed));
                let found = found(left, fresh.path(), durability);
                if seed == 0 || durability == Durability::Full {
                    let allowed = allowed(&states, acknowledged);
                    assert!(
                        allowed.contains(&&found),
                        "{durability}, {moment} of {moments}, seed {seed}: {found:?}, not {allowed:?}"
                    );
                } else {
                    let ever: BTreeSet<_> = states.iter().take(acknowledged + 2).flatten().collect();
                    assert!(
                        found.iter().all(|block| ever.contains(&block)),
                        "{durability}, {moment}, seed {seed}: {found:?}"
                    );
                }
            }
        }
    }
}

/// What is known after a run in which some I/O failed, of a block and of its lock: there, not there, or (`None`) unknown.
type Known = BTreeMap<(u64, What), Option<bool>>;

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum What {
    Block,
    Lock,
}

fn run(store: &BlockStore) -> Known {
    let mut known = Known::new();
    for step in steps() {
        let (seed, what, present) = match step {
            Step::Put(seed) => (seed, What::Block, true),
            Step::Delete(seed) => (seed, What::Block, false),
            Step::Lock(seed) => (seed, What::Lock, true),
            Step::Unlock(seed) => (seed, What::Lock, false),
        };
        let before = |what| known.get(&(seed, what)).copied().unwrap_or(Some(false));
        match apply(store, step) {
            Ok(()) => drop(known.insert((seed, what), Some(present))),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let sure =
                    before(What::Block) == Some(true) && (what == What::Block || before(what) == Some(true));
                assert!(!sure, "an acknowledged block or lock is gone: {error}");
            }
            Err(error) if error.kind() == ErrorKind::Conflict => {
                assert_ne!(
                    before(What::Lock),
                    Some(false),
                    "it was unlocked, and acknowledged so: {error}"
                );
            }
            Err(error) => {
                let kinds = [
                    ErrorKind::Io,
                    ErrorKind::Full,
                    ErrorKind::Poisoned,
                    ErrorKind::Unavailable,
                ];
                assert!(kinds.contains(&error.kind()), "{error:?}");
                if error.kind() == ErrorKind::Io {
                    // The disk refused bytes: everybody is told, whether or not anybody writes again.
                    until("the store to be poisoned", || store.stats().poisoned);
                }
                // Refused before anything was tried, or in doubt: either way the last word is open.
                let before = before(what);
                known.insert((seed, what), if before == Some(present) { before } else { None });
            }
        }
    }
    known
}

fn check(store: &BlockStore, known: &Known, when: &str) {
    for ((seed, what), present) in known {
        let wanted = content(*seed);
        let got = store.get(&name(*seed)).unwrap();
        let locks = store.locks(&name(*seed)).unwrap();
        let found = match what {
            What::Block => got.is_some(),
            What::Lock => locks.is_some_and(|locks| !locks.is_empty()),
        };
        if let Some(present) = present {
            assert_eq!(found, *present, "{when}: {what:?} {seed}");
        }
        if let Some(got) = got {
            assert!(got == wanted, "{when}: block {seed} has other bytes");
        }
    }
}

#[test]
fn whichever_io_fails_nothing_acknowledged_is_lost_and_reads_go_on() {
    let kinds = [Fault::Io, Fault::NoSpace, Fault::ShortWrite, Fault::AfterEffect];
    for (durability, sticky) in [
        (Durability::Full, false),
        (Durability::Full, true),
        (Durability::Interval, true),
    ] {
        for nth in 0.. {
            let meta = tempfile::tempdir().unwrap();
            let disk = Arc::new(FaultDirectory::new(Arc::new(MemDirectory::new())));
            let config = tight(meta.path(), durability);
            let fault = kinds[nth as usize % kinds.len()];
            if sticky {
                disk.fail_from(nth, fault);
            } else {
                disk.fail_nth(nth, fault);
            }
            let open =
                || BlockStore::open_in(disk.clone(), meta.path(), config.clone(), Arc::new(SystemClock));
            let known = match open() {
                Ok(store) => {
                    let known = run(&store);
                    disk.heal();
                    check(&store, &known, "before the reopen");
                    known
                }
                Err(error) => {
                    assert!(
                        [ErrorKind::Io, ErrorKind::Full].contains(&error.kind()),
                        "{error:?}"
                    );
                    Known::new()
                }
            };
            let when = format!("{durability}, {fault:?} at {nth}, sticky {sticky}");
            let fired = disk.fired();
            disk.heal();
            check(&open().unwrap(), &known, &when);
            if fired == 0 {
                assert!(nth > 20, "only {nth} operations");
                break;
            }
        }
    }
}
