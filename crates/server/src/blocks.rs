//! The block store as a part of the server: its folder, its size, its port.

use crate::{
    compose::Part,
    config::{BlocksConfig, default_capacity},
    failure::Failure,
    fsck::Findings,
    io_backend::Chosen,
    listen::Listen,
    shutdown::Reporter,
    size::ByteSize,
};
use quintet_blockstore::{
    BlockError, BlockStore, Config, FsckOptions,
    port::{self, PortConfig},
};
use quintet_core::{Clock, Deadline, ErrorKind, SystemClock};
use quintet_net::Port;
use std::{
    fs,
    path::Path,
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
    port: Port,
    config: BlocksConfig,
    opened_in: Duration,
}

/// Opens the store in the `blocks` folder of `data_dir` and serves it; `None` when its port is off.
pub(crate) fn start(
    config: &BlocksConfig,
    data_dir: &Path,
    backend: &Chosen,
    reporter: &Reporter,
) -> Result<Option<Blocks>, Failure> {
    let Listen::At(address) = config.listen else {
        return Ok(None);
    };
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
    let port = port::serve(&store, address, config.workers, &port).map_err(|error| cannot_listen(&error))?;
    Ok(Some(Blocks {
        store,
        port,
        config: config.clone(),
        opened_in,
    }))
}

/// Checks the port before anything is opened, so that a port in use is told at once.
pub(crate) fn probe(config: &BlocksConfig) -> Result<(), Failure> {
    match config.listen {
        Listen::At(address) => quintet_net::probe(address).map_err(|error| cannot_listen(&error)),
        Listen::Off => Ok(()),
    }
}

/// Checks the store in the `blocks` folder of `data_dir`; `None` when there is none.
pub(crate) fn fsck(data_dir: &Path) -> Result<Option<Findings>, Failure> {
    let folder = data_dir.join("blocks");
    if !folder.exists() {
        return Ok(None);
    }
    let mut options = FsckOptions::default();
    options.contents = true;
    let report = quintet_blockstore::fsck(&folder, options)
        .map_err(|error| Failure::new(format!("cannot check {}: {error}", folder.display())))?;
    let text = report.to_string();
    Ok(Some(Findings {
        summary: text.lines().next().unwrap_or_default().into(),
        fault_count: report.fault_count,
        faults: report.faults,
    }))
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
        let url = format!("http://{}", self.port.address());
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
                "        recovered {} records in {} ms: {} blocks, {} of content",
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

    fn drain(self: Box<Self>, deadline: Deadline) -> Result<(), Failure> {
        let drained = self.port.drain(deadline);
        let closed = self.store.close();
        drained
            .and(closed)
            .map_err(|error| Failure::new(format!("the block store did not end cleanly: {error}")))
    }
}
