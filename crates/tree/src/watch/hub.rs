//! [`Hub`]: takes committed writes from the writer and brings each to the watchers it concerns, on a thread of its own.
//!
//! Invariants: writes are dispatched in their order; registering and dispatching exclude each other, so a watcher sees
//! every write that is dispatched after it registered; the inbox is bounded, and when it overflows every watcher is told.
//! The last writes are retained so that a watcher can resume.

use super::{Event, subscriber::Subscriber};
use crate::{
    Config, Path, TreeError,
    handler::Publication,
    path::key::{self, AFTER_NAMES},
};
use quintet_core::{Doorbell, Parker, Seq};
use std::{
    collections::{BTreeMap, BTreeSet, HashMap, VecDeque},
    ops::Bound,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    thread::{self, JoinHandle},
};

/// How many writes may wait for dispatch.
const INBOX_WRITES: usize = 65_536;

/// Brings writes to watchers.
pub(crate) struct Hub {
    state: Mutex<State>,
    inbox: Mutex<Inbox>,
    bell: Doorbell,
    stop: AtomicBool,
    max_watches: usize,
    queue_events: usize,
    retained_writes: usize,
    retained_bytes: u64,
}

#[derive(Default)]
struct Inbox {
    writes: Vec<Publication>,
    bytes: u64,
    /// Writes up to this one were dropped.
    lost: Option<Seq>,
}

#[derive(Default)]
struct State {
    /// By the bytes of the place, then by number.
    watchers: BTreeMap<Vec<u8>, HashMap<u64, Arc<Subscriber>>>,
    count: usize,
    next_id: u64,
    retained: VecDeque<Publication>,
    retained_bytes: u64,
    /// Every write after this one that was dispatched is retained.
    floor: Seq,
    dispatched: Seq,
    closed: bool,
}

impl Hub {
    /// A hub and its thread. `last` is the last write before this opening.
    pub(crate) fn start(config: &Config, last: Seq) -> Result<(Arc<Self>, JoinHandle<()>), TreeError> {
        let parker = Parker::new().with_spins(0);
        let state = State {
            floor: last,
            dispatched: last,
            ..State::default()
        };
        let hub = Arc::new(Self {
            state: Mutex::new(state),
            inbox: Mutex::default(),
            bell: parker.doorbell(),
            stop: AtomicBool::new(false),
            max_watches: config.max_watches,
            queue_events: config.watch_queue_events,
            retained_writes: config.retained_writes,
            retained_bytes: config.retained_bytes,
        });
        let run = Arc::clone(&hub);
        let thread = thread::Builder::new()
            .name("tree-watch".into())
            .spawn(move || run.run(&parker))
            .map_err(|error| TreeError::io("starting the watchers' thread", error))?;
        Ok((hub, thread))
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn inbox(&self) -> MutexGuard<'_, Inbox> {
        self.inbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Called by the writer with what it committed. Never waits for a watcher.
    pub(crate) fn publish(&self, batch: &mut Vec<Publication>) {
        let mut inbox = self.inbox();
        let bytes: u64 = batch.iter().map(|publication| publication.bytes).sum();
        let max_bytes = self.retained_bytes.max(64 << 20);
        if inbox.writes.len() + batch.len() > INBOX_WRITES
            || (inbox.bytes > 0 && inbox.bytes + bytes > max_bytes)
        {
            inbox.lost = batch.last().map(|publication| publication.written.seq);
            inbox.writes = Vec::new();
            inbox.bytes = 0;
            batch.clear();
        } else {
            inbox.bytes += bytes;
            inbox.writes.append(batch);
        }
        drop(inbox);
        self.bell.ring();
    }

    /// Ends the thread after what is published, and every watch.
    pub(crate) fn stop(&self) {
        self.stop.store(true, Ordering::Release);
        self.bell.ring();
    }

    fn run(&self, parker: &Parker) {
        let news = || {
            let inbox = self.inbox();
            !inbox.writes.is_empty() || inbox.lost.is_some()
        };
        loop {
            // Looked at before the inbox: what is published before the stop is dispatched.
            let stopping = self.stop.load(Ordering::Acquire);
            self.dispatch_all();
            if stopping {
                break;
            }
            parker.wait(|| news() || self.stop.load(Ordering::Acquire), None);
        }
        let mut state = self.state();
        state.closed = true;
        let woken: Vec<Waker> = state.everyone().filter_map(|one| one.close()).collect();
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    fn dispatch_all(&self) {
        let taken = std::mem::take(&mut *self.inbox());
        let mut state = self.state();
        let mut woken = Vec::new();
        if let Some(lost) = taken.lost {
            woken.extend(state.everyone().filter_map(|one| one.overflow()));
            state.retained.clear();
            state.retained_bytes = 0;
            (state.floor, state.dispatched) = (lost, lost);
        }
        for publication in taken.writes {
            state.dispatch(&publication, &mut woken);
            state.dispatched = publication.written.seq;
            state.retained_bytes += publication.bytes;
            state.retained.push_back(publication);
            state.trim(self.retained_writes, self.retained_bytes);
        }
        drop(state);
        woken.into_iter().for_each(Waker::wake);
    }

    /// Adds a watcher. Says whether it goes on right after the write `after`; otherwise it must read.
    pub(super) fn register(
        &self,
        path: &Path,
        after: Option<Seq>,
    ) -> Result<(Arc<Subscriber>, bool), TreeError> {
        let mut state = self.state();
        if state.closed {
            return Err(TreeError::Closed);
        }
        if state.count >= self.max_watches {
            return Err(TreeError::Busy {
                what: "every watch is in use",
            });
        }
        let subscriber = Arc::new(Subscriber::new(state.next_id, path.clone(), self.queue_events));
        state.next_id += 1;
        state.count += 1;
        let resumed = after.is_some_and(|after| state.replay(&subscriber, after, self.queue_events));
        state
            .watchers
            .entry(path.bytes().to_vec())
            .or_default()
            .insert(subscriber.id, Arc::clone(&subscriber));
        Ok((subscriber, resumed))
    }

    pub(super) fn unregister(&self, subscriber: &Subscriber) {
        let mut state = self.state();
        let place = subscriber.path().bytes();
        let Some(here) = state.watchers.get_mut(place) else {
            return;
        };
        let removed = here.remove(&subscriber.id);
        if here.is_empty() {
            state.watchers.remove(place);
        }
        if removed.is_some() {
            state.count -= 1;
        }
    }

    /// How many watches there are.
    pub(crate) fn count(&self) -> usize {
        self.state().count
    }
}

impl State {
    fn everyone(&self) -> impl Iterator<Item = &Arc<Subscriber>> {
        self.watchers.values().flat_map(HashMap::values)
    }

    /// Forgets the oldest writes beyond the limits.
    fn trim(&mut self, max_writes: usize, max_bytes: u64) {
        while self.retained.len() > max_writes || self.retained_bytes > max_bytes {
            let Some(oldest) = self.retained.pop_front() else {
                return;
            };
            self.retained_bytes -= oldest.bytes;
            self.floor = oldest.written.seq;
        }
    }

    /// Queues what came after a write, if all of it is retained and fits.
    fn replay(&self, subscriber: &Subscriber, after: Seq, capacity: usize) -> bool {
        if after < self.floor || after > self.dispatched {
            return false;
        }
        let first = self.retained.partition_point(|one| one.written.seq <= after);
        let mut events = Vec::new();
        for one in self.retained.range(first..) {
            events.extend(Event::of(&one.written, one.update_at.as_ref(), subscriber.path()));
            if events.len() > capacity {
                return false;
            }
        }
        for event in events {
            // Nobody waits yet.
            let _nobody = subscriber.push(Arc::new(event));
        }
        true
    }

    fn dispatch(&self, publication: &Publication, woken: &mut Vec<Waker>) {
        if self.watchers.is_empty() {
            return;
        }
        let written = &publication.written;
        for place in self.concerned(publication) {
            let watched = Path::from_bytes(place.to_vec());
            if let Some(event) = Event::of(written, publication.update_at.as_ref(), &watched) {
                let event = Arc::new(event);
                let here = self.watchers.get(place).into_iter().flat_map(HashMap::values);
                woken.extend(here.filter_map(|one| one.push(Arc::clone(&event))));
            }
        }
    }

    /// The watched places at, above and below what changed.
    fn concerned(&self, publication: &Publication) -> BTreeSet<&[u8]> {
        let mut places = BTreeSet::new();
        for (path, _) in publication.written.changes.iter() {
            let mut len = 0;
            let lens = path.pieces().map(|piece| piece.len());
            for step in std::iter::once(0).chain(lens) {
                len += step;
                if let Some((place, _)) = self.watchers.get_key_value(&path.bytes()[..len]) {
                    places.insert(place.as_slice());
                }
            }
            let end = [path.bytes(), &[AFTER_NAMES]].concat();
            let below = (Bound::Excluded(path.bytes()), Bound::Excluded(end.as_slice()));
            let below = self
                .watchers
                .range::<[u8], _>(below)
                .map(|(place, _)| place.as_slice());
            places.extend(below.filter(|place| key::is_within(place, path.bytes())));
        }
        places
    }
}
