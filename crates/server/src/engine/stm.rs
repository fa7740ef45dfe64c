//! The transactional contexts as a part of the server: one folder each below `stm`, opened at the start, made by the first
//! transaction that names them.
//!
//! It has no port of its own. A context writes a checkpoint when the requests since the last one would make its log long.

use super::{
    Each, Engine, Mount, Part, logs,
    vitals::{Vitals, taken_bytes},
    workflows::Workflows,
};
use crate::{
    backup::make::Source, config::StmConfig, failure::Failure, fsck::Findings, port::metrics::Exposition,
};
use quintet_core::{Clock, Deadline, Durability, Error, ErrorKind, SystemClock};
use quintet_log::{LogConfig, OsDirectory};
use quintet_stm::{Context, ContextConfig};
use serde_json::{Map, Value, json};
use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

/// The most contexts: each has a log with a segment of its own.
const MOST_CONTEXTS: usize = 64;
/// The longest name, in bytes.
const LONGEST_NAME: usize = 64;
/// A context's log segment, and the largest commit.
const SEGMENT_BYTES: u64 = 32 << 20;
const RECORD_BYTES: usize = 24 << 20;
/// How much log may collect before a checkpoint replaces it.
const CHECKPOINT_AFTER_BYTES: u64 = 64 << 20;
/// How many records an opening may find before it writes a checkpoint.
const CHECKPOINT_AFTER_RECORDS: u64 = 50_000;

/// The running contexts.
pub(crate) struct Stm {
    engine: Arc<StmEngine>,
    opened_in: Duration,
    recovered_records: u64,
}

/// The contexts as the API port sees them.
pub(crate) struct StmEngine {
    folder: PathBuf,
    durability: Durability,
    contexts: Mutex<BTreeMap<String, Arc<Named>>>,
    is_closed: AtomicBool,
    workflows: Workflows,
}

/// One context.
pub(crate) struct Named {
    /// The context itself.
    pub(crate) context: Context,
    /// The log's length at the last checkpoint.
    checkpointed_bytes: AtomicU64,
    checkpointing: AtomicBool,
}

impl Named {
    /// Writes a checkpoint if the log has become long and nobody else does. Blocks. A failure is the log's, and shows in
    /// the context's health.
    pub(crate) fn maintain(&self) {
        let logged = self.context.log_stats().map_or(0, |log| log.appended_bytes);
        if logged.saturating_sub(self.checkpointed_bytes.load(Relaxed)) < CHECKPOINT_AFTER_BYTES
            || self.checkpointing.swap(true, Relaxed)
        {
            return;
        }
        if self.context.checkpoint().is_ok() {
            self.checkpointed_bytes.store(logged, Relaxed);
        }
        self.checkpointing.store(false, Relaxed);
    }
}

/// Opens every context below the `stm` folder of `data_dir`.
pub(crate) fn start(config: &StmConfig, data_dir: &Path, mount: &Mount<StmEngine>) -> Result<Stm, Failure> {
    let started = SystemClock.now();
    let folder = data_dir.join("stm");
    let cannot = |error: &dyn std::fmt::Display| {
        Failure::new(format!("cannot open {}: {error}", folder.display()))
            .hint("`quintet fsck` with the same --data-dir, which lists the faults")
    };
    fs::create_dir_all(&folder).map_err(|error| cannot(&error))?;
    let engine = Arc::new(StmEngine {
        folder: folder.clone(),
        durability: config.durability,
        contexts: Mutex::default(),
        is_closed: AtomicBool::new(false),
        workflows: Workflows::default(),
    });
    let mut recovered_records = 0;
    for name in names(&folder).map_err(|error| cannot(&error))? {
        let (named, records) = engine.open(&name).map_err(|error| cannot(&error))?;
        recovered_records += records;
        engine.contexts().insert(name, named);
    }
    mount.fill(Arc::clone(&engine));
    Ok(Stm {
        engine,
        opened_in: SystemClock.now().saturating_duration_since(started),
        recovered_records,
    })
}

/// The contexts that have a folder.
pub(crate) fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        if entry.file_type()?.is_dir()
            && let Ok(name) = entry.file_name().into_string()
        {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Checks every context below the `stm` folder of `data_dir`; `None` when there is no folder.
pub(crate) fn fsck(data_dir: &Path) -> Result<Option<Findings>, Failure> {
    let folder = data_dir.join("stm");
    if !folder.exists() {
        return Ok(None);
    }
    let names = names(&folder);
    let names = names.map_err(|error| Failure::new(format!("cannot check {}: {error}", folder.display())))?;
    let folders: Vec<PathBuf> = names.iter().map(|name| folder.join(name)).collect();
    logs::check("contexts", &folders).map(Some)
}

/// The contexts below the `stm` folder of `data_dir`, which nobody has open, as something to copy.
pub(crate) fn at_rest(data_dir: &Path) -> Source {
    let data_dir = data_dir.to_owned();
    Source {
        name: "stm",
        bytes: 0,
        copy: Box::new(move |to, each| {
            let config = StmConfig {
                durability: Durability::Interval,
            };
            let mount = Mount::new("stm");
            let failed = |failure: Failure| Error::new(ErrorKind::Io, failure.to_string());
            let part = start(&config, &data_dir, &mount).map_err(failed)?;
            mount.get()?.backup(to, each)?;
            Box::new(part).close().map_err(failed)?;
            Ok(true)
        }),
    }
}

fn check_name(name: &str) -> Result<(), Error> {
    let fits = (1..=LONGEST_NAME).contains(&name.len())
        && name
            .bytes()
            .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if fits {
        return Ok(());
    }
    let why = format!("context: a name has 1 to {LONGEST_NAME} letters, digits, `-` and `_`");
    Err(Error::new(ErrorKind::InvalidInput, why))
}

impl StmEngine {
    /// The workflows that run on the contexts.
    pub(crate) fn workflows(&self) -> &Workflows {
        &self.workflows
    }

    fn contexts(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Named>>> {
        self.contexts.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The names of all contexts, sorted.
    pub(crate) fn list(&self) -> Vec<String> {
        self.contexts().keys().cloned().collect()
    }

    /// A context that is there.
    ///
    /// # Errors
    /// [`ErrorKind::NotFound`].
    pub(crate) fn get(&self, name: &str) -> Result<Arc<Named>, Error> {
        check_name(name)?;
        let found = self.contexts().get(name).cloned();
        found.ok_or_else(|| {
            let why = format!("there is no context `{name}`; its first transaction makes it");
            Error::new(ErrorKind::NotFound, why)
        })
    }

    /// A context, made if it is not there. Blocks: making one syncs.
    ///
    /// # Errors
    /// [`ErrorKind::Full`] when there are as many as may be; what the system answers.
    pub(crate) fn get_or_make(&self, name: &str) -> Result<Arc<Named>, Error> {
        check_name(name)?;
        let mut contexts = self.contexts();
        if let Some(found) = contexts.get(name) {
            return Ok(Arc::clone(found));
        }
        if self.is_closed.load(Relaxed) {
            return Err(Error::new(ErrorKind::Closed, "the server is stopping"));
        }
        if contexts.len() >= MOST_CONTEXTS {
            let why = format!("there are {MOST_CONTEXTS} contexts, the most there may be");
            return Err(Error::new(ErrorKind::Full, why));
        }
        let (named, _) = self.open(name)?;
        contexts.insert(name.to_owned(), Arc::clone(&named));
        Ok(named)
    }

    fn open(&self, name: &str) -> Result<(Arc<Named>, u64), Error> {
        let folder = self.folder.join(name);
        fs::create_dir_all(&folder)?;
        // A folder that a power cut takes away again would take acknowledged commits with it.
        fs::File::open(&self.folder)?.sync_all()?;
        let log = LogConfig {
            durability: self.durability,
            segment_bytes: SEGMENT_BYTES,
            max_record_bytes: RECORD_BYTES,
            zero_fill: self.durability == Durability::Full,
            ..LogConfig::default()
        };
        let directory = Arc::new(OsDirectory::open(&folder)?);
        let config = ContextConfig::default();
        let (context, recovery) = Context::open(name, directory, config, log, Arc::new(SystemClock))?;
        if recovery.records >= CHECKPOINT_AFTER_RECORDS {
            // So that the next opening need not read them all again.
            context.checkpoint()?;
        }
        let named = Named {
            context,
            checkpointed_bytes: AtomicU64::new(0),
            checkpointing: AtomicBool::new(false),
        };
        Ok((Arc::new(named), recovery.records))
    }

    fn all(&self) -> Vec<Arc<Named>> {
        self.contexts().values().cloned().collect()
    }
}

impl Part for Stm {
    fn lines(&self) -> Vec<String> {
        let contexts = self.engine.all();
        let values: usize = contexts.iter().map(|named| named.context.len()).sum();
        vec![
            format!("stm     on the API port, durability {}", self.engine.durability),
            format!(
                "        recovered {} operations in {} ms: {} contexts, {values} values",
                self.recovered_records,
                self.opened_in.as_millis(),
                contexts.len()
            ),
        ]
    }

    fn drain(&mut self, deadline: Deadline) -> Result<(), Failure> {
        self.engine.workflows.end(deadline);
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        self.engine.is_closed.store(true, Relaxed);
        let mut first = Ok(());
        for named in self.engine.all() {
            let closed = named.context.close();
            first = first.and(closed.map_err(|error| {
                let name = named.context.name();
                Failure::new(format!("context {name} did not end cleanly: {error}"))
            }));
        }
        first
    }
}

impl Engine for StmEngine {
    fn health(&self) -> Result<(), Error> {
        for named in self.all() {
            named.context.health().map_err(|error| {
                let error = Error::from(error);
                Error::new(
                    error.kind(),
                    format!("{}: {}", named.context.name(), error.context()),
                )
            })?;
        }
        Ok(())
    }

    fn backup(&self, folder: &Path, each: Each<'_>) -> Result<bool, Error> {
        // Made here, so that no contexts are a folder too.
        OsDirectory::open(folder)?;
        for named in self.all() {
            let directory = OsDirectory::open(folder.join(named.context.name()))?;
            named.context.backup(&directory, each)?;
        }
        Ok(true)
    }

    fn stats(&self) -> Value {
        let contexts = self.all().into_iter().map(|named| {
            let context = &named.context;
            let figures = json!({
                "version": context.version(),
                "values": context.len(),
                "undelivered": context.undelivered(),
                "log_bytes": context.log_stats().unwrap_or_default().appended_bytes,
            });
            (context.name().to_owned(), figures)
        });
        json!({ "contexts": contexts.collect::<Map<_, _>>() })
    }

    /// The API port adds its requests and their times. Transactions run on their callers' threads: nothing waits in line.
    fn vitals(&self) -> Option<Vitals> {
        Some(Vitals {
            disk_bytes: Some(taken_bytes(&self.folder)),
            ..Vitals::default()
        })
    }

    fn metrics(&self, page: &mut Exposition) {
        let all = self.all();
        let each = || all.iter().map(|named| &named.context);
        let values = each().map(|context| ([("context", context.name())], context.len()));
        page.gauges("quintet_stm_stored_values", "Values of each context.", values);
        let versions = each().map(|context| ([("context", context.name())], context.version()));
        page.gauges(
            "quintet_stm_committed_version",
            "The version of its last commit.",
            versions,
        );
        let bytes = each().map(|context| {
            let log = context.log_stats().unwrap_or_default();
            ([("context", context.name())], log.appended_bytes)
        });
        page.counters("quintet_stm_log_bytes", "Bytes appended to its log.", bytes);
    }
}
