//! The vector store as a part of the server: its folder, its shards, and the clients that the API port's calls borrow.
//!
//! It has no port of its own. The number of shards is fixed when the data is made; a start that does not name one takes
//! what the data has.

use super::{
    Each, Engine, Mount, Part, logs,
    vitals::{Vitals, taken_bytes},
};
use crate::{
    backup::make::Source, config::VectorsConfig, failure::Failure, fsck::Findings, port::metrics::Exposition,
};
use quintet_core::{Clock, Deadline, Error, ErrorKind, SystemClock};
use quintet_log::OsDirectory;
use quintet_shard::{
    ShardState,
    vector::{Directories, VectorClient, VectorConfig, VectorError, VectorStore, check_cold_files},
};
use serde_json::{Value, json};
use std::{
    error::Error as _,
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, OnceLock, PoisonError},
    time::Duration,
};

/// Requests that one client may have in flight to each shard.
const CREDITS: NonZeroUsize = NonZeroUsize::new(16).unwrap();
/// The most bytes that one collection may take if its maker does not say.
pub(crate) const DEFAULT_BUDGET_BYTES: u64 = 1 << 30;

/// The running vector store.
pub(crate) struct Vectors {
    engine: Arc<VectorsEngine>,
    config: VectorsConfig,
    opened_in: Duration,
    found: (usize, u64),
}

/// The store as the API port sees it.
pub(crate) struct VectorsEngine {
    store: VectorStore,
    /// Clients that no call uses now; there are as many as calls ever ran at once.
    idle: Mutex<Vec<VectorClient>>,
    folder: PathBuf,
    /// Why the first write was refused for good. A shard whose log has failed goes on serving reads, and tells nobody else.
    failure: OnceLock<String>,
}

impl VectorsEngine {
    /// Runs `work` with a client of its own. Blocks.
    pub(crate) fn with<R>(
        &self,
        work: impl FnOnce(&mut VectorClient) -> Result<R, Error>,
    ) -> Result<R, Error> {
        let idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        let mut client = match idle {
            Some(client) => client,
            None => self.store.client(CREDITS)?,
        };
        let result = work(&mut client);
        // Not after a panic: the client may then have answers that belong to nobody.
        self.idle
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(client);
        result
    }

    /// An answer said that what is durable is unknown: until the next start the engine is not ready.
    pub(crate) fn has_failed(&self, why: &str) {
        let _first = self.failure.get_or_init(|| why.to_owned());
    }
}

/// Opens the store in the `vectors` folder of `data_dir`.
pub(crate) fn start(
    config: &VectorsConfig,
    data_dir: &Path,
    mount: &Mount<VectorsEngine>,
) -> Result<Vectors, Failure> {
    let started = SystemClock.now();
    let folder = data_dir.join("vectors");
    let cannot = |error: &Error| {
        let failure = Failure::new(format!("cannot open {}: {error}", folder.display()));
        match (shards_of(error), error.kind()) {
            (Some(stored), _) => failure.hint(format!("--vectors-shards {stored}, or leave it out")),
            (None, ErrorKind::Full) => failure.hint("more disk space, or --data-dir on another disk"),
            (None, ErrorKind::Corrupted) => {
                failure.hint("`quintet fsck` with the same --data-dir, which lists the faults")
            }
            _ => failure,
        }
    };
    let opened = match open(config, config.shards, &folder) {
        Err(error) if config.shards.is_none() && shards_of(&error).is_some() => {
            open(config, shards_of(&error), &folder)
        }
        opened => opened,
    };
    let store = opened.map_err(|error| cannot(&error))?;
    let engine = Arc::new(VectorsEngine {
        store,
        idle: Mutex::default(),
        failure: OnceLock::new(),
        folder: folder.clone(),
    });
    let found = engine.with(|client| {
        let names = client.list();
        let counts = names.iter().map(|name| client.count(name, None));
        Ok((names.len(), counts.sum::<Result<u64, Error>>()?))
    });
    let found = found.map_err(|error| cannot(&error))?;
    mount.fill(Arc::clone(&engine));
    Ok(Vectors {
        engine,
        config: config.clone(),
        opened_in: SystemClock.now().saturating_duration_since(started),
        found,
    })
}

/// How many shards the data has, if that is what the error is about.
fn shards_of(error: &Error) -> Option<NonZeroUsize> {
    match error.source()?.downcast_ref::<VectorError>()? {
        VectorError::ShardCount { stored, .. } => NonZeroUsize::new(*stored),
        _ => None,
    }
}

fn open(config: &VectorsConfig, shards: Option<NonZeroUsize>, folder: &Path) -> Result<VectorStore, Error> {
    let mut settings = VectorConfig::default();
    if let Some(shards) = shards {
        settings.engine.shards = shards;
    }
    settings.log.durability = config.durability;
    // What is flushed at each commit must not change the file's length as well.
    settings.log.zero_fill = config.durability == quintet_core::Durability::Full;
    let directories = Directories::on_disk(folder, settings.shards())?;
    VectorStore::open(settings, directories, Arc::new(SystemClock))
}

/// Checks the manifest and every shard below the `vectors` folder of `data_dir`; `None` when there is no folder.
pub(crate) fn fsck(data_dir: &Path) -> Result<Option<Findings>, Failure> {
    let folder = data_dir.join("vectors");
    if !folder.exists() {
        return Ok(None);
    }
    let mut folders = vec![folder.clone()];
    let entries = fs::read_dir(&folder).and_then(|entries| entries.collect::<Result<Vec<_>, _>>());
    let entries =
        entries.map_err(|error| Failure::new(format!("cannot check {}: {error}", folder.display())))?;
    folders.extend(
        entries
            .into_iter()
            .map(|entry| entry.path())
            .filter(|path| path.is_dir()),
    );
    folders.sort_unstable();
    let mut findings = logs::check("folders of vectors", &folders)?;
    let mut files = 0;
    for folder in &folders {
        let checked = OsDirectory::open(folder).and_then(|folder| check_cold_files(&folder));
        match checked {
            Ok(count) => files += count,
            Err(error) if error.kind() == ErrorKind::Corrupted => {
                // A damaged snapshot was found before.
                let fault = format!("{}: {}", folder.display(), error.context());
                if !findings.faults.contains(&fault) {
                    findings.faults.push(fault);
                    findings.fault_count += 1;
                }
            }
            Err(error) => {
                let folder = folder.display();
                return Err(Failure::new(format!("cannot check {folder}: {error}")));
            }
        }
    }
    findings.summary = format!("{}, {files} files of cold points", findings.summary);
    Ok(Some(findings))
}

/// The store in the `vectors` folder of `data_dir`, which nobody has open, as something to copy.
pub(crate) fn at_rest(data_dir: &Path) -> Source {
    let data_dir = data_dir.to_owned();
    Source {
        name: "vectors",
        bytes: 0,
        copy: Box::new(move |to, each| {
            let config = VectorsConfig {
                shards: None,
                durability: quintet_core::Durability::Interval,
            };
            let mount = Mount::new("vectors");
            let failed = |failure: Failure| Error::new(ErrorKind::Io, failure.to_string());
            let part = start(&config, &data_dir, &mount).map_err(failed)?;
            mount.get()?.backup(to, each)?;
            Box::new(part).close().map_err(failed)?;
            Ok(true)
        }),
    }
}

impl Part for Vectors {
    fn lines(&self) -> Vec<String> {
        let shards = self.engine.store.stats().len();
        let plural = if shards == 1 { "" } else { "s" };
        let (collections, points) = self.found;
        vec![
            format!(
                "vectors on the API port, {shards} shard{plural}, durability {}",
                self.config.durability
            ),
            format!(
                "        recovered {} operations in {} ms: {points} points in {collections} collections",
                self.engine.store.recovered_operations(),
                self.opened_in.as_millis()
            ),
        ]
    }

    fn drain(&mut self, _deadline: Deadline) -> Result<(), Failure> {
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        let closed = self.engine.store.close();
        closed.map_err(|error| Failure::new(format!("the vector store did not end cleanly: {error}")))
    }
}

impl Engine for VectorsEngine {
    fn health(&self) -> Result<(), Error> {
        if let Some(why) = self.failure.get() {
            return Err(Error::new(ErrorKind::Poisoned, why.clone()));
        }
        for shard in self.store.stats() {
            if let ShardState::Failed(error) = shard.state {
                let why = format!("{}: {}", shard.shard, error.context());
                return Err(Error::new(error.kind(), why));
            }
        }
        Ok(())
    }

    fn backup(&self, folder: &Path, each: Each<'_>) -> Result<bool, Error> {
        let shards = NonZeroUsize::new(self.store.stats().len()).unwrap_or(NonZeroUsize::MIN);
        self.store.backup(&Directories::on_disk(folder, shards)?, each)?;
        Ok(true)
    }

    fn stats(&self) -> Value {
        let collections = self.with(|client| {
            let names = client.list();
            let all = names
                .iter()
                .filter_map(|name| client.info(name).ok())
                .map(|info| {
                    let figures = json!({
                        "dimension": info.spec.dimension,
                        "count": info.count,
                        "bytes": info.bytes,
                        "budget_bytes": info.spec.budget_bytes,
                        "cold_bytes": info.cold_bytes,
                    });
                    (info.name, figures)
                });
            Ok(all.collect::<serde_json::Map<_, _>>())
        });
        let shards: Vec<Value> = self
            .store
            .stats()
            .into_iter()
            .map(|shard| {
                json!({
                    "queue_depth": shard.queue_depth,
                    "messages": shard.messages,
                    "batches": shard.batches,
                    "largest_batch": shard.largest_batch,
                    "busy_share": shard.busy_share,
                    "restarts": shard.restarts,
                    "round_trip_p99_ns": shard.round_trip_p99_ns,
                })
            })
            .collect();
        json!({ "collections": collections.unwrap_or_default(), "shards": shards })
    }

    /// The API port adds its requests and their times. What waits are messages in front of shards; the memory is that of
    /// the collections.
    fn vitals(&self) -> Option<Vitals> {
        let bytes = self.with(|client| {
            let names = client.list();
            let all = names.iter().filter_map(|name| client.info(name).ok());
            Ok(all.map(|info| info.bytes).sum())
        });
        Some(Vitals {
            queued: Some(self.store.stats().iter().map(|shard| shard.queue_depth).sum()),
            memory_bytes: bytes.ok(),
            disk_bytes: Some(taken_bytes(&self.folder)),
            ..Vitals::default()
        })
    }

    fn metrics(&self, page: &mut Exposition) {
        let shards: Vec<_> = self
            .store
            .stats()
            .into_iter()
            .map(|shard| (shard.shard.0.to_string(), shard))
            .collect();
        let depths = shards
            .iter()
            .map(|(name, shard)| ([("shard", &**name)], shard.queue_depth));
        page.gauges(
            "quintet_vectors_queued_messages",
            "Requests that wait for their shard.",
            depths,
        );
        let handled = shards
            .iter()
            .map(|(name, shard)| ([("shard", &**name)], shard.messages));
        page.counters(
            "quintet_vectors_handled_messages",
            "Requests that shards have handled.",
            handled,
        );
        let names = self.with(|client| {
            let names = client.list();
            Ok(names
                .into_iter()
                .filter_map(|name| client.info(&name).ok())
                .collect::<Vec<_>>())
        });
        let infos = names.unwrap_or_default();
        let counts = infos
            .iter()
            .map(|info| ([("collection", &*info.name)], info.count));
        page.gauges(
            "quintet_vectors_stored_points",
            "Points of each collection.",
            counts,
        );
        let bytes = infos
            .iter()
            .map(|info| ([("collection", &*info.name)], info.bytes));
        page.gauges(
            "quintet_vectors_memory_bytes",
            "What each collection takes of its budget.",
            bytes,
        );
        let cold = infos
            .iter()
            .map(|info| ([("collection", &*info.name)], info.cold_bytes));
        page.gauges(
            "quintet_vectors_cold_bytes",
            "The files that points were moved to for want of memory.",
            cold,
        );
    }
}
