//! The datastore as a part of the server: its folder, its Redis port, and what the API port sees of it.
//!
//! The first byte of a key is its namespace, 0 to 15: what `SELECT` chooses in the Redis port and what `{namespace}` is in
//! the paths of the API port.

use super::{
    Each, Engine, Mount, Part,
    vitals::{Vitals, taken_bytes},
};
use crate::{
    auth::Tokens, backup::make::Source, config::KvConfig, failure::Failure, io_backend::Chosen,
    port::metrics::Exposition, size::ByteSize,
};
use quintet_core::{Clock, Deadline, Durability, Error, ErrorKind, SystemClock};
use quintet_kv::{
    Config, Store,
    port::{self, PortConfig},
};
use quintet_log::OsDirectory;
use quintet_net::{LoopStats, Port};
use serde_json::{Value, json};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

/// The running datastore.
pub(crate) struct Kv {
    store: Store,
    /// Taken by the drain.
    port: Option<Port>,
    address: Option<SocketAddr>,
    config: KvConfig,
    opened_in: Duration,
}

/// The store as the API port sees it.
pub(crate) struct KvEngine {
    /// The store, keys with their byte of namespace.
    pub(crate) store: Store,
    memory_limit_bytes: u64,
    /// The counters of its Redis port.
    loops: Vec<Arc<LoopStats>>,
    folder: PathBuf,
}

#[cfg(test)]
impl KvEngine {
    /// A store without a port, with the bytes that it may take; 0 = no limit.
    pub(crate) fn new(store: Store, memory_limit_bytes: u64) -> Self {
        Self {
            store,
            memory_limit_bytes,
            loops: Vec::new(),
            folder: PathBuf::new(),
        }
    }
}

/// Opens the store in the `kv` folder of `data_dir`, or in memory, and serves it.
pub(crate) fn start(
    config: &KvConfig,
    data_dir: &Path,
    backend: &Chosen,
    tokens: &Arc<Tokens>,
    mount: &Mount<KvEngine>,
) -> Result<Kv, Failure> {
    let started = SystemClock.now();
    let store = open(config, &data_dir.join("kv"))?;
    let opened_in = SystemClock.now().saturating_duration_since(started);
    let port = match config.address {
        None => None,
        Some(address) => {
            let mut port = PortConfig::default();
            port.event_loop.backend = backend.backend;
            port.authenticator = Arc::<Tokens>::clone(tokens);
            let port = port::serve(&store, address, config.workers, &port);
            Some(port.map_err(|error| cannot_listen(&error))?)
        }
    };
    mount.fill(Arc::new(KvEngine {
        store: store.clone(),
        memory_limit_bytes: config.memory.0,
        loops: port.as_ref().map(Port::stats).unwrap_or_default(),
        folder: data_dir.join("kv"),
    }));
    Ok(Kv {
        store,
        address: port.as_ref().map(Port::address),
        port,
        config: config.clone(),
        opened_in,
    })
}

/// Checks the port before anything is opened, so that a port in use is told at once.
pub(crate) fn probe(config: &KvConfig) -> Result<(), Failure> {
    config.address.map_or(Ok(()), |address| {
        quintet_net::probe(address).map_err(|error| cannot_listen(&error))
    })
}

fn settings(config: &KvConfig) -> Config {
    Config {
        durability: config.durability,
        max_memory_bytes: config.memory.0,
        // As Redis has it, and as the port needs it.
        drop_empty: true,
        ..Config::default()
    }
}

fn open(config: &KvConfig, folder: &Path) -> Result<Store, Failure> {
    let settings = settings(config);
    let clock = Arc::new(SystemClock);
    let opened = if config.durability.is_none() {
        Store::in_memory_with(settings, clock)
    } else {
        fs::create_dir_all(folder)
            .map_err(|error| Failure::new(format!("cannot create {}: {error}", folder.display())))?;
        OsDirectory::open(folder).and_then(|directory| Store::open(settings, Arc::new(directory), clock))
    };
    opened.map_err(|error| {
        let failure = Failure::new(format!("cannot open {}: {error}", folder.display()));
        match error.kind() {
            ErrorKind::Full => failure.hint("more disk space, or --data-dir on another disk"),
            ErrorKind::Corrupted => {
                failure.hint("`quintet fsck` with the same --data-dir, which lists the faults")
            }
            _ => failure,
        }
    })
}

/// The store in the `kv` folder of `data_dir`, which nobody has open, as something to copy.
pub(crate) fn at_rest(data_dir: &Path) -> Source {
    let folder = data_dir.join("kv");
    Source {
        name: "kv",
        bytes: 0,
        copy: Box::new(move |to, each| {
            let settings = Config {
                durability: Some(Durability::Interval),
                background: false,
                drop_empty: true,
                ..Config::default()
            };
            let directory = Arc::new(OsDirectory::open(&folder)?);
            let store = Store::open(settings, directory, Arc::new(SystemClock))?;
            store.backup(&OsDirectory::open(to)?, each)?;
            store.close().map(|()| true)
        }),
    }
}

fn cannot_listen(error: &Error) -> Failure {
    let hint = match error.kind() {
        ErrorKind::AlreadyExists => "--resp-addr with another port, or port 0 for a free one",
        ErrorKind::PermissionDenied => "--resp-addr with a port above 1023",
        _ => "--resp-addr 127.0.0.1:6380",
    };
    Failure::new(format!("--resp-addr: {}", error.context())).hint(hint)
}

impl Part for Kv {
    fn lines(&self) -> Vec<String> {
        let kept = match self.config.durability {
            None => "in memory only".to_owned(),
            Some(level) => format!("durability {level}"),
        };
        let mut lines = match self.address {
            Some(address) => {
                let workers = self.config.workers.get();
                let plural = if workers == 1 { "" } else { "s" };
                let try_it = format!("try: redis-cli -p {} set greeting hello", address.port());
                vec![
                    format!("kv      {address}  {try_it}"),
                    format!("        {workers} worker{plural}, {kept}"),
                ]
            }
            None => vec![format!("kv      on the API port, {kept}")],
        };
        if self.config.durability.is_some() {
            lines.push(format!(
                "        recovered {} operations in {} ms: {} keys, {}",
                self.store.recovery().records,
                self.opened_in.as_millis(),
                self.store.len(),
                ByteSize(self.store.size_bytes())
            ));
        }
        lines
    }

    fn drain(&mut self, deadline: Deadline) -> Result<(), Failure> {
        let drained = self.port.take().map_or(Ok(()), |port| port.drain(deadline));
        drained.map_err(|error| Failure::new(format!("the Redis port did not end cleanly: {error}")))
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        let closed = self.store.close();
        closed.map_err(|error| Failure::new(format!("the datastore did not end cleanly: {error}")))
    }
}

impl Engine for KvEngine {
    fn health(&self) -> Result<(), Error> {
        self.store.health()?;
        let (used, limit) = (self.store.size_bytes(), self.memory_limit_bytes);
        if limit > 0 && used >= limit {
            let why = format!("{} of {} are in use", ByteSize(used), ByteSize(limit));
            return Err(Error::new(ErrorKind::Full, why));
        }
        Ok(())
    }

    fn backup(&self, folder: &Path, each: Each<'_>) -> Result<bool, Error> {
        if self.store.log_stats().is_none() {
            return Ok(false);
        }
        self.store.backup(&OsDirectory::open(folder)?, each)?;
        Ok(true)
    }

    fn backup_bytes(&self) -> u64 {
        self.store.size_bytes()
    }

    fn stats(&self) -> Value {
        let log = self.store.log_stats().unwrap_or_default();
        json!({
            "keys": self.store.len(),
            "memory_bytes": self.store.size_bytes(),
            "memory_limit_bytes": self.memory_limit_bytes,
            "waiting": self.store.waiting(),
            "log_records": log.appended_records,
            "log_bytes": log.appended_bytes,
            "log_syncs": log.syncs,
        })
    }

    /// Redis commands; the API port adds its requests and their times, commands are not timed. Data lies in memory.
    fn vitals(&self) -> Option<Vitals> {
        Some(Vitals {
            operations: Some(self.loops.iter().map(|counts| counts.snapshot().requests).sum()),
            times: None,
            queued: Some(self.store.waiting() as u64),
            memory_bytes: Some(self.store.size_bytes()),
            disk_bytes: Some(taken_bytes(&self.folder)),
        })
    }

    fn metrics(&self, page: &mut Exposition) {
        let log = self.store.log_stats().unwrap_or_default();
        page.gauge(
            "quintet_kv_stored_keys",
            "Keys of all namespaces.",
            self.store.len(),
        );
        page.gauge(
            "quintet_kv_memory_bytes",
            "Keys and values, roughly.",
            self.store.size_bytes(),
        );
        page.gauge(
            "quintet_kv_waiting_operations",
            "Operations that wait for a value.",
            self.store.waiting(),
        );
        page.counter(
            "quintet_kv_log_records",
            "Records appended to the log.",
            log.appended_records,
        );
        page.counter(
            "quintet_kv_log_bytes",
            "Bytes of those records.",
            log.appended_bytes,
        );
        page.counter("quintet_kv_flushed_syncs", "Flushes of the log.", log.syncs);
    }
}

/// Checks the store in the `kv` folder of `data_dir`: reads its snapshot and every record, and writes nothing. `None` when
/// there is none.
pub(crate) fn fsck(data_dir: &Path) -> Result<Option<crate::fsck::Findings>, Failure> {
    let folder = data_dir.join("kv");
    if !folder.exists() {
        return Ok(None);
    }
    let cannot = |error| Failure::new(format!("cannot check {}: {error}", folder.display()));
    let directory = OsDirectory::open(&folder).map_err(cannot)?;
    let settings = Config {
        durability: Some(Durability::Relaxed),
        read_only: true,
        background: false,
        drop_empty: true,
        ..Config::default()
    };
    match Store::open(settings, Arc::new(directory), Arc::new(SystemClock)) {
        Ok(store) => {
            let (keys, bytes) = (store.len(), ByteSize(store.size_bytes()));
            Ok(Some(crate::fsck::Findings::clean(format!(
                "{keys} keys, {bytes} in memory"
            ))))
        }
        Err(error) if error.kind() == ErrorKind::Corrupted => {
            Ok(Some(crate::fsck::Findings::fault("unreadable", error.context())))
        }
        Err(error) => Err(cannot(error)),
    }
}
