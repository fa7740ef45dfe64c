//! [`Depot`]: where the controller finds blocks that it handed out and that nobody uses.
//!
//! Each worker keeps its pools on a [`Shelf`] here, behind a lock that nobody else asks for while there is space. When a
//! request finds none, and when the store empties, the controller takes what lies on the shelves back itself: a worker
//! that sleeps, or an embedded seat that nobody sits on, need not be woken for it. What a worker had under way when it was
//! dropped comes back here too. No lock of this file is held while a message is sent.

use crate::{message::BlockMessage, refill::Refill, under_way::UnderWay};
use quintet_core::{Block, BlockAddress, Error, SizeClass};
use quintet_log::Alarm;
use std::sync::{
    Arc, Mutex, MutexGuard, PoisonError,
    atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
};

/// Shared by the handler and every worker of a store.
pub(crate) struct Depot {
    alarm: Alarm,
    shelves: Mutex<Vec<Arc<Shelf>>>,
    /// What dropped workers had asked for and not been answered.
    orphans: Mutex<Vec<UnderWay>>,
    /// Blocks whose worker is gone.
    stray: Mutex<Vec<Block>>,
    /// Something is among the orphans or the stray blocks.
    has_left_overs: AtomicBool,
    pressed: AtomicBool,
}

/// One worker's pools.
pub(crate) struct Shelf {
    refills: Mutex<[Refill; SizeClass::COUNT]>,
    /// The worker is gone.
    closed: AtomicBool,
    blocks: AtomicU64,
    bytes: AtomicU64,
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shelf {
    fn new(refills: [Refill; SizeClass::COUNT]) -> Self {
        Self {
            refills: Mutex::new(refills),
            closed: AtomicBool::new(false),
            blocks: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
        }
    }

    /// Puts a block into its pool; hands it back when that has no room or no use for it, or the worker is gone.
    pub(crate) fn put_back(&self, block: Block) -> Result<(), Block> {
        let class = usize::from(block.address().class.index());
        self.with(|refills| {
            if self.closed.load(Relaxed) {
                return Err(block);
            }
            refills[class].put_back(block)
        })
    }

    /// Works on all pools; what lies in them is counted again afterwards.
    pub(crate) fn with<T>(&self, work: impl FnOnce(&mut [Refill; SizeClass::COUNT]) -> T) -> T {
        let mut refills = lock(&self.refills);
        let done = work(&mut refills);
        let (mut blocks, mut bytes) = (0, 0);
        for (class, refill) in SizeClass::ALL.into_iter().zip(refills.iter()) {
            let available = refill.available() as u64;
            blocks += available;
            bytes += available * class.size_bytes();
        }
        self.blocks.store(blocks, Relaxed);
        self.bytes.store(bytes, Relaxed);
        done
    }
}

/// Where a put's block goes when nobody names it: to the shelf that it came from, or to the controller.
#[derive(Clone)]
pub(crate) struct Home {
    pub(crate) shelf: Arc<Shelf>,
    pub(crate) depot: Arc<Depot>,
}

impl Home {
    pub(crate) fn take_back(&self, block: Block) {
        if let Err(block) = self.shelf.put_back(block) {
            self.depot.put_stray(block);
        }
    }
}

impl Depot {
    /// An empty one. `alarm` is raised when the content of a block cannot be written.
    pub(crate) fn new(alarm: Alarm) -> Self {
        Self {
            alarm,
            shelves: Mutex::default(),
            orphans: Mutex::default(),
            stray: Mutex::default(),
            has_left_overs: AtomicBool::default(),
            pressed: AtomicBool::default(),
        }
    }

    /// Whether the disk refused anything that had to be written, or synced.
    pub(crate) fn is_alarmed(&self) -> bool {
        self.alarm.is_raised()
    }

    /// The disk refused bytes of a block.
    pub(crate) fn raise_alarm(&self, error: &Error) {
        self.alarm.raise(error);
    }

    /// A place for one worker's pools, until [`leave`](Self::leave).
    pub(crate) fn enter(&self, refills: [Refill; SizeClass::COUNT]) -> Arc<Shelf> {
        let shelf = Arc::new(Shelf::new(refills));
        lock(&self.shelves).push(Arc::clone(&shelf));
        shelf
    }

    /// A worker is gone: its blocks are the controller's again, those that it was promised as soon as they come.
    pub(crate) fn leave(&self, shelf: &Arc<Shelf>, mut under_way: UnderWay) {
        lock(&self.shelves).retain(|other| !Arc::ptr_eq(other, shelf));
        let left = shelf.with(|refills| {
            shelf.closed.store(true, Relaxed);
            refills.iter_mut().flat_map(Refill::empty).collect::<Vec<_>>()
        });
        let mut stray = lock(&self.stray);
        stray.extend(left);
        under_way.reap(&mut stray);
        drop(stray);
        if !under_way.is_empty() {
            lock(&self.orphans).push(under_way);
        }
        self.has_left_overs.store(true, Relaxed);
    }

    /// A block whose worker is gone.
    pub(crate) fn put_stray(&self, block: Block) {
        lock(&self.stray).push(block);
        self.has_left_overs.store(true, Relaxed);
    }

    /// For the controller: what dropped workers left behind and nobody can use any more.
    pub(crate) fn left_overs(&self) -> Vec<BlockAddress> {
        if !self.has_left_overs.swap(false, Relaxed) {
            return Vec::new();
        }
        let mut blocks = std::mem::take(&mut *lock(&self.stray));
        let mut orphans = lock(&self.orphans);
        orphans.retain_mut(|orphan| {
            orphan.reap(&mut blocks);
            !orphan.is_empty()
        });
        if !orphans.is_empty() {
            self.has_left_overs.store(true, Relaxed);
        }
        drop(orphans);
        blocks.into_iter().map(Block::into_address).collect()
    }

    /// For the controller: takes every block out of every pool that no put waits for. The pools ask for more only when
    /// they are used again.
    pub(crate) fn recall(&self) -> Vec<BlockAddress> {
        let mut blocks = Vec::new();
        for shelf in lock(&self.shelves).iter() {
            shelf.with(|refills| {
                for refill in refills {
                    blocks.extend(refill.recall());
                }
            });
        }
        blocks.into_iter().map(Block::into_address).collect()
    }

    /// Blocks in pools, and their bytes.
    pub(crate) fn pooled(&self) -> (u64, u64) {
        let shelves = lock(&self.shelves);
        let sum = |of: fn(&Shelf) -> &AtomicU64| shelves.iter().map(|shelf| of(shelf).load(Relaxed)).sum();
        (sum(|shelf| &shelf.blocks), sum(|shelf| &shelf.bytes))
    }

    /// Whether space is short: workers ask for what they need at once, and for no stock.
    pub(crate) fn is_pressed(&self) -> bool {
        self.pressed.load(Relaxed)
    }

    pub(crate) fn set_pressed(&self, pressed: bool) {
        self.pressed.store(pressed, Relaxed);
    }
}

/// How many of these blocks fit in one message.
pub(crate) fn one_message(blocks: usize) -> usize {
    blocks.min(BlockMessage::MAX_COUNT as usize)
}
