//! `GET /metrics`: what `/stats` shows, as OpenMetrics text for a collector.
//!
//! Every family begins with `quintet_blocks_`. Sizes are in bytes and times in seconds, as the format wants; workers are
//! told apart by `worker`, size classes by `block_bytes`.

use super::gauges::Gauges;
use crate::{ControllerStats, Stats};
use quintet_core::SizeClass;
use quintet_net::LoopStatsSnapshot;
use std::{fmt, fmt::Write, sync::atomic::Ordering::Relaxed};

/// What one worker shows; no snapshot while its loop starts.
pub(crate) struct Worker<'a> {
    pub(crate) gauges: &'a Gauges,
    pub(crate) counts: Option<LoopStatsSnapshot>,
}

/// The whole text.
pub(crate) fn render(stats: &Stats, done: &ControllerStats, workers: &[Worker<'_>]) -> String {
    let mut text = Exposition::default();
    space(&mut text, stats);
    controller(&mut text, stats, done);
    for (name, kind, help, read) in PER_WORKER {
        text.family(name, *kind, help);
        for (at, worker) in workers.iter().enumerate() {
            text.sample(name, *kind, format_args!("worker=\"{at}\""), read(worker.gauges));
        }
    }
    text.family(
        "pooled_blocks",
        Kind::Gauge,
        "Blocks at hand in a worker's pools.",
    );
    for (at, worker) in workers.iter().enumerate() {
        for (class, pooled) in SizeClass::ALL.iter().zip(&worker.gauges.pooled) {
            let labels = format_args!("worker=\"{at}\",block_bytes=\"{}\"", class.size_bytes());
            text.sample("pooled_blocks", Kind::Gauge, labels, pooled.load(Relaxed));
        }
    }
    for (name, kind, help, read) in PER_LOOP {
        text.family(name, *kind, help);
        for (at, worker) in workers.iter().enumerate() {
            if let Some(counts) = &worker.counts {
                text.sample(name, *kind, format_args!("worker=\"{at}\""), read(counts));
            }
        }
    }
    text.finish()
}

type Row<T> = (&'static str, Kind, &'static str, fn(&T) -> u64);

const PER_WORKER: &[Row<Gauges>] = &[
    ("puts", Kind::Counter, "PUTs acknowledged.", |g| {
        g.puts.load(Relaxed)
    }),
    ("gets", Kind::Counter, "Blocks and parts of blocks sent.", |g| {
        g.gets.load(Relaxed)
    }),
    ("deletes", Kind::Counter, "DELETEs acknowledged.", |g| {
        g.deletes.load(Relaxed)
    }),
    (
        "refills",
        Kind::Counter,
        "Answers of the controller to requests for blocks.",
        |g| g.refills.load(Relaxed),
    ),
    (
        "queue_depth",
        Kind::Gauge,
        "Requests that the controller has and has not answered.",
        |g| g.in_flight.load(Relaxed),
    ),
    (
        "waiting_for_blocks",
        Kind::Gauge,
        "PUTs that wait for a block.",
        |g| g.waiting_for_blocks.load(Relaxed),
    ),
    (
        "waiting_for_credits",
        Kind::Gauge,
        "Requests that wait for room in the queue to the controller.",
        |g| g.waiting_for_credits.load(Relaxed),
    ),
    (
        "buffered_bytes",
        Kind::Gauge,
        "Memory in chunked bodies and copied answers.",
        |g| g.buffered_bytes.load(Relaxed),
    ),
];

const PER_LOOP: &[Row<LoopStatsSnapshot>] = &[
    ("connections", Kind::Gauge, "Open connections.", |c| c.open),
    ("accepted", Kind::Counter, "Connections taken.", |c| c.accepted),
    ("refused", Kind::Counter, "Connections over the limit.", |c| {
        c.refused
    }),
    (
        "requests",
        Kind::Counter,
        "Requests with a whole, valid head.",
        |c| c.requests,
    ),
    ("received_bytes", Kind::Counter, "Bytes received.", |c| c.bytes_in),
    ("sent_bytes", Kind::Counter, "Bytes sent.", |c| c.bytes_out),
    (
        "timeouts",
        Kind::Counter,
        "Connections ended by a deadline.",
        |c| c.timeouts,
    ),
    ("turns", Kind::Counter, "Turns of the loop.", |c| c.turns),
    ("sleeps", Kind::Counter, "Turns that slept.", |c| c.sleeps),
    (
        "ring_depth",
        Kind::Gauge,
        "Requests that the kernel has through io_uring; 0 on epoll.",
        |c| c.ring_depth,
    ),
];

fn space(text: &mut Exposition, stats: &Stats) {
    for (name, help, value) in [
        ("named_blocks", "Blocks with a name.", stats.blocks),
        ("content_bytes", "Their content.", stats.content_bytes),
        (
            "capacity_bytes",
            "The length that the data file may reach.",
            stats.capacity_bytes,
        ),
        ("file_bytes", "The data file's length.", stats.file_bytes),
        ("free_bytes", "Bytes that could be handed out.", stats.free_bytes),
        (
            "largest_free_bytes",
            "The largest free block in the file.",
            stats.largest_free_bytes,
        ),
        (
            "quarantined_blocks",
            "Deleted blocks that may not be written yet.",
            stats.quarantined_blocks,
        ),
        ("quarantined_bytes", "Their bytes.", stats.quarantined_bytes),
        (
            "poisoned",
            "1 = writes are refused because a flush failed.",
            u64::from(stats.poisoned),
        ),
    ] {
        text.family(name, Kind::Gauge, help);
        text.sample(name, Kind::Gauge, "", value);
    }
    text.family(
        "held_by_readers_seconds",
        Kind::Gauge,
        "How long some deleted block has waited for nothing but readers.",
    );
    text.seconds("held_by_readers_seconds", stats.held_by_readers_ms * 1_000_000);
    type Read = fn(&crate::buddy::ClassUse) -> u64;
    let by_class: [(&str, &str, Read); 2] = [
        (
            "free_blocks",
            "Free blocks of exactly this size: how the free space is cut up.",
            |class| class.free,
        ),
        ("taken_blocks", "Blocks of this size in use.", |class| class.taken),
    ];
    for (name, help, read) in by_class {
        text.family(name, Kind::Gauge, help);
        for (class, counts) in SizeClass::ALL.iter().zip(&stats.classes) {
            let label = format_args!("block_bytes=\"{}\"", class.size_bytes());
            text.sample(name, Kind::Gauge, label, read(counts));
        }
    }
}

fn controller(text: &mut Exposition, stats: &Stats, done: &ControllerStats) {
    for (name, help, value) in [
        (
            "commits",
            "Commits, those with nothing to write included.",
            done.commits,
        ),
        ("failed_commits", "Commits that failed.", done.failed_commits),
        (
            "log_records",
            "Commits that appended to the log.",
            stats.log_records,
        ),
        (
            "log_syncs",
            "Flushes of the log and the data file.",
            stats.log_syncs,
        ),
    ] {
        text.family(name, Kind::Counter, help);
        text.sample(name, Kind::Counter, "", value);
    }
    text.family(
        "commit_seconds",
        Kind::Counter,
        "Time to hand batches to the log.",
    );
    text.seconds("commit_seconds_total", done.commit_ns);
    text.family(
        "batch_messages",
        Kind::Histogram,
        "Messages of workers handled together.",
    );
    text.buckets("batch_messages", &done.batch_sizes, |bound| {
        bound.as_u64().to_string()
    });
    text.raw("batch_messages_sum", done.messages);
    text.family(
        "flush_wait_seconds",
        Kind::Histogram,
        "From a commit to the end of the flush that made it durable.",
    );
    text.buckets("flush_wait_seconds", &done.flush_waits, |bound| {
        format!("{}", bound.as_u64() as f64 / 1e6)
    });
    text.seconds("flush_wait_seconds_sum", done.flush_wait_ns);
}

#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Counter,
    Gauge,
    Histogram,
}

/// The upper bound of a bucket: a power of two.
struct Bound(usize);

impl Bound {
    fn as_u64(&self) -> u64 {
        1 << self.0
    }
}

/// A text in the making. Writing to a String cannot fail.
#[derive(Default)]
struct Exposition {
    text: String,
}

impl Exposition {
    fn family(&mut self, name: &str, kind: Kind, help: &str) {
        let kind = match kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram => "histogram",
        };
        let _ = writeln!(self.text, "# TYPE quintet_blocks_{name} {kind}");
        let _ = writeln!(self.text, "# HELP quintet_blocks_{name} {help}");
    }

    fn sample(&mut self, name: &str, kind: Kind, labels: impl fmt::Display, value: u64) {
        let suffix = if kind == Kind::Counter { "_total" } else { "" };
        let labels = labels.to_string();
        let _ = if labels.is_empty() {
            writeln!(self.text, "quintet_blocks_{name}{suffix} {value}")
        } else {
            writeln!(self.text, "quintet_blocks_{name}{suffix}{{{labels}}} {value}")
        };
    }

    fn raw(&mut self, name: &str, value: u64) {
        let _ = writeln!(self.text, "quintet_blocks_{name} {value}");
    }

    fn seconds(&mut self, name: &str, nanoseconds: u64) {
        let seconds = nanoseconds as f64 / 1e9;
        let _ = writeln!(self.text, "quintet_blocks_{name} {seconds}");
    }

    /// Buckets, each of which counts the smaller ones too, and their count.
    fn buckets(&mut self, name: &str, counts: &[u64], bound: impl Fn(&Bound) -> String) {
        let mut sum = 0;
        for (at, count) in counts.iter().enumerate() {
            sum += count;
            let le = if at + 1 == counts.len() {
                "+Inf".to_owned()
            } else {
                bound(&Bound(at))
            };
            let _ = writeln!(self.text, "quintet_blocks_{name}_bucket{{le=\"{le}\"}} {sum}");
        }
        let _ = writeln!(self.text, "quintet_blocks_{name}_count {sum}");
    }

    fn finish(mut self) -> String {
        self.text.push_str("# EOF\n");
        self.text
    }
}
