//! The block store as a part of the server: its folder, its size, its port.

use super::{
    Each, Engine, Mount, Part,
    vitals::{Times, Vitals, taken_bytes},
};
use crate::{
    auth::Tokens,
    backup::make::Source,
    bar::Bar,
    cli::CheckedReads,
    config::{BlocksConfig, default_capacity},
    failure::Failure,
    fsck::Findings,
    io_backend::Chosen,
    port::metrics::Exposition,
    shutdown::Reporter,
    size::ByteSize,
};
use quintet_blockstore::{
    BlockError, BlockStore, Config, FsckOptions, Verify,
    port::{self, PortConfig},
};
use quintet_core::{Clock, Deadline, Error, ErrorKind, SystemClock};
use quintet_net::{LoopStats, Port};
use serde_json::{Value, json};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    task::{Wake, Waker},
    time::Duration,
};

/// The block file's size is a whole number of the largest blocks.
const GRAIN: u64 = 512 << 10;
/// A file that may not even grow to this is not worth starting with.
const LEAST: u64 = 16 << 20;

/// The running block store.
pub(crate) struct Blocks {
    store: Arc<BlockStore>,
    /// Taken by the drain.
    port: Option<Port>,
    address: SocketAddr,
    config: BlocksConfig,
    opened_in: Duration,
}

/// The store as the API port sees it.
pub(crate) struct BlocksEngine {
    store: Arc<BlockStore>,
    /// The counters of its port.
    loops: Vec<Arc<LoopStats>>,
    folder: PathBuf,
}

/// Opens the store in the `blocks` folder of `data_dir` and serves it.
pub(crate) fn start(
    config: &BlocksConfig,
    data_dir: &Path,
    backend: &Chosen,
    tokens: &Arc<Tokens>,
    reporter: &Reporter,
    mount: &Mount<BlocksEngine>,
) -> Result<Blocks, Failure> {
    let folder = data_dir.join("blocks");
    let started = SystemClock.now();
    let store =
        BlockStore::open(store_config(config, &folder)?).map_err(|error| cannot_open(&folder, &error))?;
    let opened_in = SystemClock.now().saturating_duration_since(started);
    let store = Arc::new(store);
    let mut port = PortConfig {
        on_end: Some(Waker::from(Arc::new(WorkerEnded(reporter.clone())))),
        backend_reason: backend.reason.clone(),
        ..PortConfig::default()
    };
    port.event_loop.backend = backend.backend;
    port.authenticator = Arc::<Tokens>::clone(tokens);
    let port =
        port::serve(&store, config.address, config.workers, &port).map_err(|error| cannot_listen(&error))?;
    mount.fill(Arc::new(BlocksEngine {
        store: Arc::clone(&store),
        loops: port.stats(),
        folder,
    }));
    Ok(Blocks {
        store,
        address: port.address(),
        port: Some(port),
        config: config.clone(),
        opened_in,
    })
}

/// Checks the port before anything is opened, so that a port in use is told at once.
pub(crate) fn probe(config: &BlocksConfig) -> Result<(), Failure> {
    quintet_net::probe(config.address).map_err(|error| cannot_listen(&error))
}

/// Checks the store in the `blocks` folder of `data_dir`; `None` when there is none.
pub(crate) fn fsck(data_dir: &Path) -> Result<Option<Findings>, Failure> {
    let folder = data_dir.join("blocks");
    if !folder.exists() {
        return Ok(None);
    }
    let mut options = FsckOptions::default();
    options.contents = true;
    let bar = Bar::blocks("checking");
    let report = quintet_blockstore::fsck_with(&folder, options, &mut |progress| bar.show(progress));
    drop(bar);
    let report =
        report.map_err(|error| Failure::new(format!("cannot check {}: {error}", folder.display())))?;
    let text = report.to_string();
    Ok(Some(Findings {
        summary: text.lines().next().unwrap_or_default().into(),
        fault_count: report.fault_count,
        faults: report.faults,
    }))
}

/// The store in the `blocks` folder of `data_dir`, which nobody has open, as something to copy.
pub(crate) fn at_rest(data_dir: &Path) -> Source {
    let folder = data_dir.join("blocks");
    Source {
        name: "blocks",
        bytes: fs::metadata(folder.join("blocks.data")).map_or(0, |file| file.len()),
        copy: Box::new(move |to, each| {
            let store = open(&folder).map_err(|failure| Error::new(ErrorKind::Io, failure.to_string()))?;
            store.backup(to, each)?;
            store.close().map(|()| true)
        }),
    }
}

/// Opens the store in `folder` to look after it: it may not grow.
pub(crate) fn open(folder: &Path) -> Result<BlockStore, Failure> {
    let len = fs::metadata(folder.join("blocks.data")).map_or(0, |file| file.len());
    let mut config = Config::new(folder);
    config.capacity_bytes = len.next_multiple_of(GRAIN).max(GRAIN);
    BlockStore::open(config).map_err(|error| cannot_open(folder, &error))
}

fn store_config(config: &BlocksConfig, folder: &Path) -> Result<Config, Failure> {
    fs::create_dir_all(folder)
        .map_err(|error| Failure::new(format!("cannot create {}: {error}", folder.display())))?;
    let capacity = match config.capacity {
        Some(capacity) => capacity.0,
        None => free_capacity(folder)?,
    };
    let workers = config.workers.get();
    let mut store = Config::new(folder);
    store.capacity_bytes = capacity / GRAIN * GRAIN;
    store.durability = config.durability;
    store.verify = match config.verify {
        CheckedReads::Never => Verify::Never,
        CheckedReads::Sample => Verify::Sample,
        CheckedReads::Always => Verify::Always,
    };
    store.punch_released = config.punch;
    store.checkpoint_entries = config.checkpoint;
    // The port's workers, and one for the embedded interface, which nobody uses here.
    store.workers = 1;
    store.max_workers = workers + 1;
    Ok(store)
}

/// What the file has, and 80 % of what is free besides.
fn free_capacity(folder: &Path) -> Result<u64, Failure> {
    let free = default_capacity(folder).map_err(|error| {
        Failure::new(format!(
            "cannot read the free space of {}: {error}",
            folder.display()
        ))
    })?;
    let used = fs::metadata(folder.join("blocks.data")).map_or(0, |file| file.len());
    let capacity = used.saturating_add(free.0);
    if capacity < LEAST {
        return Err(Failure::new(format!(
            "{} has too little free space for a block store: {free} may be used, {} is the least",
            folder.display(),
            ByteSize(LEAST)
        ))
        .hint("--data-dir on another disk, or --blocks-capacity"));
    }
    Ok(capacity)
}

fn cannot_listen(error: &quintet_core::Error) -> Failure {
    let hint = match error.kind() {
        ErrorKind::AlreadyExists => "--blocks-addr with another port, or port 0 for a free one",
        ErrorKind::PermissionDenied => "--blocks-addr with a port above 1023",
        _ => "--blocks-addr 127.0.0.1:10001",
    };
    Failure::new(format!("--blocks-addr: {}", error.context())).hint(hint)
}

fn cannot_open(folder: &Path, error: &BlockError) -> Failure {
    let failure = Failure::new(format!("cannot open {}: {error}", folder.display()));
    match error.kind() {
        ErrorKind::Corrupted => {
            failure.hint("`quintet fsck` with the same --data-dir, which lists the faults")
        }
        ErrorKind::Full => failure.hint("more disk space, or --data-dir on another disk"),
        _ => failure,
    }
}

/// Passes the end of a worker on to the main thread.
struct WorkerEnded(Reporter);

impl Wake for WorkerEnded {
    fn wake(self: Arc<Self>) {
        // After a signal this is the drain at work, and nobody looks at the report.
        self.0.failed("the block store ended on its own");
    }
}

impl Part for Blocks {
    fn lines(&self) -> Vec<String> {
        let url = format!("http://{}", self.address);
        let (opened, stats) = (self.store.opened(), self.store.stats());
        let workers = self.config.workers.get();
        let plural = if workers == 1 { "" } else { "s" };
        let mut lines = vec![
            format!("blocks  {url}  try: echo hello | curl -T - {url}/block"),
            format!(
                "        {workers} worker{plural}, durability {}, at most {}",
                self.config.durability,
                ByteSize(stats.capacity_bytes)
            ),
            format!(
                "        recovered {} operations in {} ms: {} blocks, {} of content",
                opened.replayed_records,
                self.opened_in.as_millis(),
                opened.blocks,
                ByteSize(opened.content_bytes)
            ),
        ];
        if opened.dropped_blocks > 0 {
            lines.push(format!(
                "        {} blocks whose content a crash cut off were dropped; none was acknowledged as durable",
                opened.dropped_blocks
            ));
        }
        lines
    }

    fn drain(&mut self, deadline: Deadline) -> Result<(), Failure> {
        let drained = self.port.take().map_or(Ok(()), |port| port.drain(deadline));
        drained.map_err(|error| Failure::new(format!("the block port did not end cleanly: {error}")))
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        let closed = self.store.close();
        closed.map_err(|error| Failure::new(format!("the block store did not end cleanly: {error}")))
    }
}

impl Engine for BlocksEngine {
    fn health(&self) -> Result<(), Error> {
        let stats = self.store.stats();
        if stats.poisoned {
            let why = "a write or flush failed; writes are refused until a restart";
            return Err(Error::new(ErrorKind::Poisoned, why));
        }
        if stats.free_bytes == 0 {
            let why = format!("all {} are in use", ByteSize(stats.capacity_bytes));
            return Err(Error::new(ErrorKind::Full, why));
        }
        Ok(())
    }

    fn backup(&self, folder: &Path, each: Each<'_>) -> Result<bool, Error> {
        self.store.backup(folder, each).map(|()| true)
    }

    fn backup_bytes(&self) -> u64 {
        self.store.stats().content_bytes
    }

    fn stats(&self) -> Value {
        let stats = self.store.stats();
        json!({
            "blocks": stats.blocks,
            "content_bytes": stats.content_bytes,
            "file_bytes": stats.file_bytes,
            "capacity_bytes": stats.capacity_bytes,
            "free_bytes": stats.free_bytes,
            "pooled_bytes": stats.pooled_bytes,
            "quarantined_bytes": stats.quarantined_bytes,
            "held_by_readers_ms": stats.held_by_readers_ms,
            "log_records": stats.log_records,
            "log_syncs": stats.log_syncs,
        })
    }

    /// Requests of its port; the times are those from a commit to the flush that made it durable; what waits are PUTs that
    /// are not named yet. Its memory is the page cache's.
    fn vitals(&self) -> Option<Vitals> {
        let waits = self.store.controller_stats().flush_waits;
        Some(Vitals {
            operations: Some(self.loops.iter().map(|counts| counts.snapshot().requests).sum()),
            times: Some(Times {
                bounds_us: (0..waits.len() - 1).map(|power| 1 << power).collect(),
                counts: waits.to_vec(),
            }),
            queued: Some(self.store.stats().written_blocks),
            memory_bytes: None,
            disk_bytes: Some(taken_bytes(&self.folder)),
        })
    }

    fn metrics(&self, page: &mut Exposition) {
        let stats = self.store.stats();
        page.gauge("quintet_blocks_stored_blocks", "Named blocks.", stats.blocks);
        page.gauge(
            "quintet_blocks_content_bytes",
            "Their content.",
            stats.content_bytes,
        );
        page.gauge("quintet_blocks_file_bytes", "The data file.", stats.file_bytes);
        page.gauge(
            "quintet_blocks_capacity_bytes",
            "What the file may grow to.",
            stats.capacity_bytes,
        );
        page.gauge(
            "quintet_blocks_free_bytes",
            "What could be handed out.",
            stats.free_bytes,
        );
        page.counter(
            "quintet_blocks_log_records",
            "Commits that wrote something.",
            stats.log_records,
        );
        page.counter(
            "quintet_blocks_flushed_syncs",
            "Flushes of log and data file.",
            stats.log_syncs,
        );
    }
}
