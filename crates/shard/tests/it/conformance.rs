//! The suites of `quintet-core` over the map handler and over whole engines.

use quintet_core::{
    Doorbell, Keyed, SystemClock,
    conformance::{
        self, KeyedProbe, Support,
        handler::{Capabilities, Subject},
    },
};
use quintet_shard::{ByKey, ClientPort, EngineConfig, MapConfig, MapHandler, ShardEngine};
use std::{num::NonZeroUsize, sync::Arc, thread};

type KeyOf = ByKey<fn(&Keyed) -> &[u8]>;

quintet_core::handler_suite!(map_handler, || MapSubject(MapHandler::new(MapConfig::default())));
quintet_core::keyed_suite!(one_shard, || Served::new(1));
quintet_core::keyed_suite!(three_shards, || Served::new(3));
quintet_core::worker_suite!(port_to_one_shard, || WorkerSubject::new(1));
quintet_core::worker_suite!(port_to_many_shards_through_one, || WorkerSubject::new(4));

struct MapSubject(MapHandler);

impl Subject for MapSubject {
    type Probe = KeyedProbe;
    type Handler = MapHandler;

    fn capabilities(&self) -> Capabilities {
        let in_memory = Support::Missing("the map is in memory: a commit cannot fail, wait or be read back");
        Capabilities {
            fail_next_commit: in_memory,
            hold_flushes: in_memory,
            reopen: in_memory,
        }
    }

    fn handler(&mut self) -> &mut MapHandler {
        &mut self.0
    }
}

struct Served(ShardEngine<Keyed, MapHandler>);

impl Served {
    fn new(shards: usize) -> Self {
        let config = EngineConfig {
            shards: NonZeroUsize::new(shards).unwrap(),
            ..EngineConfig::default()
        };
        let factory = |_| Ok(MapHandler::new(MapConfig::default()));
        Self(ShardEngine::open(config, Arc::new(SystemClock), factory).unwrap())
    }

    fn port(&self, credits: usize) -> ClientPort<Keyed, KeyOf> {
        let credits = NonZeroUsize::new(credits).unwrap();
        self.0
            .port(credits, ByKey(Keyed::key as _), Doorbell::silent())
            .unwrap()
    }
}

impl conformance::keyed::Subject for Served {
    type Worker = ClientPort<Keyed, KeyOf>;

    fn worker(&self) -> Self::Worker {
        self.port(16)
    }
}

/// Credits are counted per shard, so this port sends all to the first.
type ToFirst = quintet_shard::Own<fn(&Keyed, NonZeroUsize) -> quintet_shard::ShardId>;

struct WorkerSubject {
    served: Served,
    port: ClientPort<Keyed, ToFirst>,
}

impl WorkerSubject {
    fn new(shards: usize) -> Self {
        let served = Served::new(shards);
        let first: fn(&Keyed, NonZeroUsize) -> quintet_shard::ShardId = |_, _| quintet_shard::ShardId(0);
        let credits = NonZeroUsize::new(5).unwrap();
        let router = quintet_shard::Own(first);
        let port = served.0.port(credits, router, Doorbell::silent()).unwrap();
        Self { served, port }
    }
}

impl conformance::worker::Subject for WorkerSubject {
    type Worker = ClientPort<Keyed, ToFirst>;

    fn worker(&mut self) -> &mut Self::Worker {
        &mut self.port
    }

    fn credits(&self) -> usize {
        5
    }

    fn turn(&mut self) {
        thread::yield_now();
    }

    fn can_hang_up(&self) -> Support {
        Support::Provided
    }

    fn hang_up(&mut self) {
        self.served.0.shutdown().unwrap();
    }
}
