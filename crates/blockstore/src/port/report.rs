//! `GET /stats`: the store, the controller and every worker of the port as one JSON text.
//!
//! Written in one pass over a list of names and numbers, and the two texts about the I/O backend.

use super::{gauges::Gauges, json::Json, metrics};
use crate::{BlockStore, Stats};
use quintet_core::SizeClass;
use quintet_net::LoopStats;
use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicU64, Ordering::Relaxed},
};

/// What a report is made from; shared by the workers of a port.
pub(crate) struct Report {
    store: Arc<BlockStore>,
    backend: (&'static str, String),
    workers: Vec<Arc<Gauges>>,
    /// Set once all loops run; until then their part is left out.
    loops: OnceLock<Vec<Arc<LoopStats>>>,
}

impl Report {
    /// For `workers` workers. `backend` is how sockets are served, and why so.
    pub(crate) fn new(store: Arc<BlockStore>, backend: (&'static str, String), workers: usize) -> Self {
        let workers = (0..workers).map(|_| Arc::default()).collect();
        Self {
            store,
            backend,
            workers,
            loops: OnceLock::new(),
        }
    }

    pub(crate) fn gauges(&self, worker: usize) -> Arc<Gauges> {
        Arc::clone(&self.workers[worker])
    }

    pub(crate) fn set_loops(&self, loops: Vec<Arc<LoopStats>>) {
        let _set_once = self.loops.set(loops);
    }

    pub(crate) fn render(&self) -> String {
        let stats = self.store.stats();
        let (name, why) = &self.backend;
        let mut json = Json::default();
        json.object(|json| {
            json.text("durability", self.store.config().durability.as_str());
            json.key("io_backend");
            json.object(|json| {
                json.text("name", name);
                json.text("why", why);
            });
            json.key("space");
            json.object(|json| space(json, &stats));
            json.key("controller");
            json.object(|json| self.controller(json, &stats));
            json.key("workers");
            json.array(self.workers.len(), |json, at| {
                json.object(|json| self.worker(json, at))
            });
        });
        json.into_text()
    }

    /// The same for a metrics collector.
    pub(crate) fn metrics(&self) -> String {
        let loops = self.loops.get();
        let workers: Vec<_> = self
            .workers
            .iter()
            .enumerate()
            .map(|(at, gauges)| metrics::Worker {
                gauges,
                counts: loops
                    .and_then(|loops| loops.get(at))
                    .map(|counts| counts.snapshot()),
            })
            .collect();
        metrics::render(&self.store.stats(), &self.store.controller_stats(), &workers)
    }

    fn controller(&self, json: &mut Json, stats: &Stats) {
        let done = self.store.controller_stats();
        json.numbers(&[
            ("batches", done.batches),
            ("messages", done.messages),
            ("largest_batch", done.largest_batch),
            ("commits", done.commits),
            ("failed_commits", done.failed_commits),
            ("commit_us_total", done.commit_ns / 1_000),
            ("flushed_commits", done.flushed_commits),
            ("flush_wait_us_total", done.flush_wait_ns / 1_000),
            ("flush_wait_us_longest", done.longest_flush_wait_ns / 1_000),
            ("log_records", stats.log_records),
            ("log_syncs", stats.log_syncs),
        ]);
        json.key("batch_sizes");
        json.array(done.batch_sizes.len(), |json, at| {
            json.number(done.batch_sizes[at])
        });
        json.key("flush_waits_us");
        json.array(done.flush_waits.len(), |json, at| {
            json.number(done.flush_waits[at])
        });
        json.flag("poisoned", stats.poisoned);
    }

    fn worker(&self, json: &mut Json, at: usize) {
        let gauges = &self.workers[at];
        let read = |gauge: &AtomicU64| gauge.load(Relaxed);
        if let Some(counts) = self.loops.get().and_then(|loops| loops.get(at)) {
            let counts = counts.snapshot();
            json.numbers(&[
                ("connections", counts.open),
                ("accepted", counts.accepted),
                ("refused", counts.refused),
                ("requests", counts.requests),
                ("bytes_in", counts.bytes_in),
                ("bytes_out", counts.bytes_out),
                ("timeouts", counts.timeouts),
                ("turns", counts.turns),
                ("sleeps", counts.sleeps),
                ("ring_depth", counts.ring_depth),
            ]);
        }
        json.numbers(&[
            ("puts", read(&gauges.puts)),
            ("gets", read(&gauges.gets)),
            ("deletes", read(&gauges.deletes)),
            ("in_flight", read(&gauges.in_flight)),
            ("waiting_for_blocks", read(&gauges.waiting_for_blocks)),
            ("waiting_for_credits", read(&gauges.waiting_for_credits)),
            ("buffered_bytes", read(&gauges.buffered_bytes)),
            ("refills", read(&gauges.refills)),
        ]);
        json.key("pooled");
        json.array(SizeClass::COUNT, |json, class| {
            json.number(read(&gauges.pooled[class]))
        });
    }
}

fn space(json: &mut Json, stats: &Stats) {
    json.numbers(&[
        ("named_blocks", stats.blocks),
        ("content_bytes", stats.content_bytes),
        ("locks", stats.locks),
        ("capacity_bytes", stats.capacity_bytes),
        ("file_bytes", stats.file_bytes),
        ("free_bytes", stats.free_bytes),
        ("largest_free_bytes", stats.largest_free_bytes),
        ("pooled_blocks", stats.pooled_blocks),
        ("pooled_bytes", stats.pooled_bytes),
        ("written_blocks", stats.written_blocks),
        ("written_bytes", stats.written_bytes),
        ("quarantined_blocks", stats.quarantined_blocks),
        ("quarantined_bytes", stats.quarantined_bytes),
        ("held_by_readers_ms", stats.held_by_readers_ms),
    ]);
    json.key("classes");
    json.array(SizeClass::COUNT, |json, at| {
        let (class, counts) = (SizeClass::ALL[at], &stats.classes[at]);
        json.object(|json| {
            json.numbers(&[
                ("block_bytes", class.size_bytes()),
                ("free_blocks", counts.free),
                ("taken_blocks", counts.taken),
            ]);
        });
    });
}
