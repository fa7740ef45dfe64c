//! The generic engine: shards on their own threads, ports to them, routes between them.
//!
//! The path of a request is `caller -> port -> router -> link -> ring -> shard thread -> handler -> commit -> reply`. What
//! two threads share is a ring, a few counters, and the manifest that says which shards run.

mod caller;
mod config;
mod histogram;
mod lifecycle;
mod link;
#[cfg(all(test, quintet_loom))]
mod loom;
mod metered;
mod port;
mod router;
mod stats;
mod thread;

pub use caller::Caller;
pub use config::{EngineConfig, Pinning};
pub use lifecycle::ShardEngine;
pub use port::ClientPort;
pub use router::{ByKey, Own, RoundRobin, Router, shard_of};
pub use stats::{ShardState, ShardStats};

use crate::manifest::Manifest;
#[cfg(quintet_loom)]
use ::loom::sync::atomic::AtomicU64;
use quintet_core::{Clock, Connector, Error, Message};
#[cfg(not(quintet_loom))]
use std::sync::atomic::AtomicU64;

use stats::Gauges;
use std::{fmt, sync::Arc, thread::JoinHandle};

/// Names one shard of an engine: 0 to `shards - 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ShardId(pub usize);

impl fmt::Display for ShardId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "shard {}", self.0)
    }
}

/// What requests and answers travel through; under loom the one that it can look into.
#[cfg(not(quintet_loom))]
type Ring = quintet_core::rtrb_queue::RtrbQueue;
#[cfg(quintet_loom)]
type Ring = quintet_core::fake::FakeQueue;

/// What the engine, its threads and its ports share.
struct Inner<M: Message> {
    table: Manifest<Table<M>>,
    /// The number of each shard's current run, from 1 on, and 0 while it does not run; a port that has an older one
    /// connects again.
    runs: Vec<AtomicU64>,
    clock: Arc<dyn Clock>,
    config: EngineConfig,
}

/// Which shards run. Behind the manifest's lock.
struct Table<M: Message> {
    seats: Vec<Seat<M>>,
    /// Shut down: nothing starts any more.
    closed: bool,
}

struct Seat<M: Message> {
    state: State,
    connector: Option<Connector<M>>,
    thread: Option<JoinHandle<()>>,
    gauges: Arc<Gauges>,
    run: u64,
    restarting: bool,
}

enum State {
    Starting,
    Running,
    Failed(Error),
    Stopped,
}
