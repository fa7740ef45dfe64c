//! The thread that builds graphs: it takes sealed blocks from the shards and shows each collection's next graph when some
//! have been added. When much of a graph is dead, it is built anew from what is left.
//!
//! Shards offer blocks and never wait for it. If it ends, whatever the reason, searches go on scanning what it had not
//! taken in, and writes are no longer held back for it.

use super::{Graph, IndexConfig, Walk};
use crate::vector::{
    block::{Block, Shape},
    entry::Collection,
};
use quintet_core::{Error, Result};
use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
        mpsc::{Receiver, SyncSender, TrySendError, sync_channel},
    },
    thread::{Builder, JoinHandle},
};

/// How many offers may be on their way.
const OFFERS: usize = 4096;
/// After so many points the next graph is shown.
const STEP_POINTS: usize = 4096;

/// What shards tell.
#[derive(Debug)]
pub(crate) enum Offer {
    /// A block was sealed.
    Sealed(Arc<Collection>, Arc<Block>),
    /// Blocks of this collection died.
    Look(Arc<Collection>),
    Stop,
}

/// A shard's way to the indexer.
#[derive(Clone, Debug)]
pub(crate) struct Port {
    offers: SyncSender<Offer>,
}

impl Port {
    /// Never waits. Hands the offer back when there are too many already.
    pub(crate) fn offer(&self, offer: Offer) -> std::result::Result<(), Refused> {
        self.offers.try_send(offer).map_err(|error| match error {
            TrySendError::Full(offer) => Refused::Busy(offer),
            TrySendError::Disconnected(_) => Refused::Gone,
        })
    }
}

/// Why an offer was not taken.
pub(crate) enum Refused {
    /// Later, perhaps.
    Busy(Offer),
    /// Never again.
    Gone,
}

/// The indexer's handle. Stops it when dropped.
pub(crate) struct Indexer {
    port: Port,
    signs: Arc<Signs>,
    thread: Option<JoinHandle<()>>,
}

/// Whether the indexer works.
#[derive(Clone)]
pub(crate) struct Watch(Arc<Signs>);

impl Watch {
    pub(crate) fn is_alive(&self) -> bool {
        !self.0.ended.load(Relaxed)
    }
}

#[derive(Default)]
struct Signs {
    stop: AtomicBool,
    ended: AtomicBool,
}

/// Says that the thread is gone, however it went.
struct End(Arc<Signs>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.ended.store(true, Relaxed);
    }
}

impl Indexer {
    pub(crate) fn start(config: IndexConfig, block_bytes: usize) -> Result<Self> {
        let (sender, offers) = sync_channel(OFFERS);
        let signs = Arc::new(Signs::default());
        let end = End(Arc::clone(&signs));
        let thread = Builder::new()
            .name("indexer".to_owned())
            .spawn(move || {
                let mut work = Work {
                    config,
                    block_bytes,
                    signs: Arc::clone(&end.0),
                    collections: HashMap::new(),
                    walk: Walk::default(),
                };
                work.run(&offers);
            })
            .map_err(Error::from)?;
        Ok(Self {
            port: Port { offers: sender },
            signs,
            thread: Some(thread),
        })
    }

    pub(crate) fn port(&self) -> Port {
        self.port.clone()
    }

    pub(crate) fn watch(&self) -> Watch {
        Watch(Arc::clone(&self.signs))
    }
}

impl Drop for Indexer {
    fn drop(&mut self) {
        self.signs.stop.store(true, Relaxed);
        // If there is no room for it, the thread is awake and looks at the sign.
        let _told = self.port.offer(Offer::Stop);
        let _ended = self.thread.take().map(JoinHandle::join);
    }
}

/// What the thread knows of a collection.
struct Progress {
    collection: Arc<Collection>,
    waiting: VecDeque<Arc<Block>>,
    graph: Option<Arc<Graph>>,
    generation: u64,
    /// How many blocks the graph had when all of it was last tried.
    reached_blocks: usize,
}

struct Work {
    config: IndexConfig,
    block_bytes: usize,
    signs: Arc<Signs>,
    collections: HashMap<u64, Progress>,
    walk: Walk,
}

impl Work {
    fn run(&mut self, offers: &Receiver<Offer>) {
        while let Ok(offer) = offers.recv() {
            self.take(offer);
            let mut more = true;
            while more && !self.signs.stop.load(Relaxed) {
                offers.try_iter().for_each(|offer| self.take(offer));
                self.collections
                    .retain(|_, progress| !progress.collection.is_dropped());
                let numbers: Vec<u64> = self.collections.keys().copied().collect();
                // Each collection has its turn.
                more = numbers
                    .into_iter()
                    .fold(false, |more, number| self.step(number) | more);
            }
            if self.signs.stop.load(Relaxed) {
                return;
            }
        }
    }

    fn take(&mut self, offer: Offer) {
        let (Offer::Sealed(collection, _) | Offer::Look(collection)) = &offer else {
            return;
        };
        let progress = self.collections.entry(collection.id).or_insert_with(|| Progress {
            collection: Arc::clone(collection),
            waiting: VecDeque::new(),
            graph: None,
            generation: 0,
            reached_blocks: 0,
        });
        if let Offer::Sealed(_, block) = offer {
            progress.waiting.push_back(block);
        }
    }

    /// Adds some blocks to a collection's graph, or builds it anew; answers whether there is more to do.
    fn step(&mut self, number: u64) -> bool {
        let Some(progress) = self.collections.get_mut(&number) else {
            return false;
        };
        let collection = Arc::clone(&progress.collection);
        let is_current =
            |block: &Arc<Block>| block.run == collection.run_of(block.shard) && block.live_rows() > 0;
        // What died or is of an earlier run is not held for a graph that may never be built.
        progress.waiting.retain(is_current);
        let points = |blocks: &mut dyn Iterator<Item = &Arc<Block>>| {
            blocks
                .filter(|block| is_current(block))
                .map(|block| block.live_rows())
                .sum::<usize>()
        };
        let waiting = points(&mut progress.waiting.iter());
        let (linked, used) = progress.graph.as_ref().map_or((0, 0), |graph| {
            let used = graph.blocks().iter().map(|block| block.used_rows());
            (points(&mut graph.blocks().iter()), used.sum())
        });
        // Three in ten dead: walks pass too many way-marks, and their vectors take memory.
        let is_worn = linked * 10 < used * 7;
        if is_worn && let Some(graph) = progress.graph.take() {
            let left = graph.blocks().iter().filter(|block| is_current(block)).cloned();
            let waiting = std::mem::take(&mut progress.waiting);
            progress.waiting = left.chain(waiting).collect();
            progress.reached_blocks = 0;
        }
        if progress.waiting.is_empty()
            || progress.graph.is_none() && linked + waiting < self.config.min_points
        {
            if is_worn {
                // Too few are left for a graph: they are scanned again, also when there is one later.
                collection.show(None);
                progress.waiting.iter().for_each(|block| block.uncover());
            }
            return false;
        }
        // Built anew, it is shown when it is whole: the one before serves until then.
        let most = if is_worn { usize::MAX } else { STEP_POINTS };
        self.extend(number, most)
    }

    fn extend(&mut self, number: u64, most: usize) -> bool {
        let Some(progress) = self.collections.get_mut(&number) else {
            return false;
        };
        let collection = &progress.collection;
        let spec = collection.spec;
        let mut graph = progress.graph.as_deref().cloned().unwrap_or_else(|| {
            let shape = Shape::new(spec.dimension, self.block_bytes);
            Graph::new(shape, spec.metric.measure(), self.config.links)
        });
        let (mut added, mut points, before) = (Vec::new(), 0, graph.blocks().len());
        let stop = || self.signs.stop.load(Relaxed) || collection.is_dropped();
        while points < most && graph.has_room() {
            let Some(block) = progress.waiting.pop_front() else {
                break;
            };
            points += block.live_rows();
            if block.run == collection.run_of(block.shard)
                && !graph.add(&block, self.config.build_ef, &mut self.walk, &stop)
            {
                return false;
            }
            added.push(block);
        }
        // A walk for each new point, and now and then one for each that stands for others: as these are fewer and the graph
        // is larger each time, this stays a small share of the work.
        let blocks = graph.blocks().len();
        graph.reach_all(before..blocks, &mut self.walk);
        if blocks * 20 > progress.reached_blocks * 21 {
            graph.reach_upper(0..blocks, &mut self.walk);
            progress.reached_blocks = blocks;
        }
        progress.generation += 1;
        graph.generation = progress.generation;
        // First the blocks, then the graph: a search that has this graph must find all of them marked.
        added.iter().for_each(|block| block.cover(graph.generation));
        let graph = Arc::new(graph);
        progress.graph = Some(Arc::clone(&graph));
        let has_room = graph.has_room();
        collection.show(Some(graph));
        !progress.waiting.is_empty() && has_room
    }
}
