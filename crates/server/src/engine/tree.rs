//! The tree as a part of the server: its folder, its rules, and its HTTP port.
//!
//! The rules come from `--tree-rules FILE`, or else from what was last put to `/.settings/rules.json` and is kept beside the
//! data. They are swapped whole while the port serves; then what they declare with `.indexOn` is built, while reads go on.

use super::{
    Each, Engine, Mount, Part, readers,
    vitals::{Vitals, taken_bytes},
};
use crate::{
    auth::Tokens,
    backup::make::Source,
    config::TreeConfig,
    failure::Failure,
    fsck::Findings,
    port::{
        life::Life,
        listener::{self, HttpPort},
        metrics::Exposition,
        traffic::Answers,
        tree::{self, Face},
    },
};
use arc_swap::ArcSwapOption;
use quintet_core::{Clock, Deadline, Error, ErrorKind, SystemClock, auth::Principal};
use quintet_tree::{
    Config as Settings, Guard, Tree,
    rules::{Rules, RulesGuard},
};
use serde_json::{Value, json};
use std::{
    fs::{self, File},
    io::Write as _,
    net::SocketAddr,
    path::{Path, PathBuf},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};
use tokio::{runtime::Handle, sync::watch};

/// Rules that were put, beside the data.
const RULES: &str = "rules.json";

/// The running tree.
pub(crate) struct TreePart {
    engine: Arc<TreeEngine>,
    port: Option<HttpPort>,
    address: SocketAddr,
    opened_in: Duration,
}

/// The tree as ports see it.
pub(crate) struct TreeEngine {
    tree: Tree,
    rules: ArcSwapOption<Rules>,
    /// Counts the rules' changes; streams wait for it.
    changes: watch::Sender<u64>,
    /// `--tree-rules`.
    file: Option<PathBuf>,
    /// Where rules that were put are kept.
    kept: PathBuf,
    /// Held while rules are stored, so that the file and what is in force agree.
    storing: Mutex<()>,
    answers: Answers,
    folder: PathBuf,
}

impl TreeEngine {
    /// The tree.
    pub(crate) const fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Where its ports count their answers.
    pub(crate) const fn answers(&self) -> &Answers {
        &self.answers
    }

    /// The rules in force, if there are any.
    pub(crate) fn rules(&self) -> Option<Arc<Rules>> {
        self.rules.load_full()
    }

    /// Tells when the rules change.
    pub(crate) fn rule_changes(&self) -> watch::Receiver<u64> {
        self.changes.subscribe()
    }

    /// What decides about the principal's operations; `None` = nothing has to.
    pub(crate) fn guard(&self, principal: &Principal) -> Result<Option<Arc<dyn Guard>>, Error> {
        let guard = |rules| RulesGuard::new(rules, principal).map(|guard| Arc::new(guard) as Arc<dyn Guard>);
        self.rules().map(guard).transpose()
    }

    /// Puts rules in force, keeps them for the next start, and brings the indexes to what they declare. Blocks: it syncs, and
    /// waits for new indexes to be built.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] with line and column; [`ErrorKind::Conflict`] when the rules come from a file. When the
    /// indexes cannot be built the error says that the rules are in force.
    pub(crate) fn put_rules(&self, text: &str) -> Result<(), Error> {
        if let Some(file) = &self.file {
            let why = format!(
                "the rules come from {}; change it there and send SIGHUP",
                file.display()
            );
            return Err(Error::new(ErrorKind::Conflict, why));
        }
        let rules = Rules::parse(text)?;
        let _storing = self.storing.lock().unwrap_or_else(PoisonError::into_inner);
        replace_file(&self.kept, text.as_bytes())?;
        self.enforce(rules)
    }

    /// Reads the file of `--tree-rules` again; the rules in force stay if it is wrong.
    pub(crate) fn reload_rules(&self) -> Result<(), Failure> {
        let Some(file) = &self.file else {
            return Ok(());
        };
        let rules = read_rules(file)?;
        self.enforce(rules)
            .map_err(|error| Failure::new(format!("{}: {error}", file.display())))
    }

    fn enforce(&self, rules: Rules) -> Result<(), Error> {
        let indexes = rules.indexes();
        self.rules.store(Some(Arc::new(rules)));
        self.changes.send_modify(|count| *count += 1);
        self.tree.reindex(&indexes).map_err(|error| {
            let why = format!(
                "the rules are in force, but what they index is not: {}",
                error.context()
            );
            Error::new(error.kind(), why)
        })
    }
}

/// Replaces a file so that a crash leaves the old one or the new one.
fn replace_file(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let next = path.with_extension("next");
    let mut file = File::create(&next)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    fs::rename(&next, path)?;
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

fn read_rules(file: &Path) -> Result<Rules, Failure> {
    let text = fs::read_to_string(file)
        .map_err(|error| Failure::usage(format!("cannot read the rules in {}: {error}", file.display())))?;
    Rules::parse(&text).map_err(|error| {
        Failure::usage(format!("{}: {error}", file.display()))
            .hint(format!("quintet rules check {}", file.display()))
    })
}

/// Checks the port before anything is opened.
pub(crate) fn probe(config: &TreeConfig) -> Result<(), Failure> {
    listener::bind("--tree-addr", config.address).map(drop)
}

/// Opens the tree in the `tree` folder of `data_dir`, and its port.
pub(crate) fn start(
    config: &TreeConfig,
    data_dir: &Path,
    runtime: &Handle,
    tokens: &Arc<Tokens>,
    life: &Life,
    mount: &Mount<TreeEngine>,
) -> Result<TreePart, Failure> {
    let started = SystemClock.now();
    let folder = data_dir.join("tree");
    let cannot = |error: &dyn std::fmt::Display| {
        Failure::new(format!("cannot open {}: {error}", folder.display()))
            .hint("`quintet fsck` with the same --data-dir, which lists the faults")
    };
    fs::create_dir_all(&folder).map_err(|error| cannot(&error))?;
    let kept = folder.join(RULES);
    let source = config.rules.as_ref().or_else(|| kept.exists().then_some(&kept));
    let rules = source.map(|file| read_rules(file)).transpose()?;
    let mut settings = Settings::new(&folder);
    settings.durability = config.durability;
    settings.map_bytes = usize::try_from(config.capacity.0).unwrap_or(usize::MAX);
    settings.pool.min_workers = config.workers.get();
    settings.pool.max_workers = 4 * config.workers.get();
    settings.indexes = rules.as_ref().map(Rules::indexes).unwrap_or_default();
    let tree = Tree::open(settings).map_err(|error| cannot(&error))?;
    let engine = Arc::new(TreeEngine {
        tree,
        rules: ArcSwapOption::from_pointee(rules),
        changes: watch::Sender::new(0),
        file: config.rules.clone(),
        kept,
        storing: Mutex::default(),
        answers: Answers::default(),
        folder: folder.clone(),
    });
    let socket = listener::bind("--tree-addr", config.address)?;
    let face = Face::new(Arc::clone(&engine), Arc::clone(tokens), life.clone(), config);
    let port = HttpPort::serve(
        runtime,
        socket,
        tree::router(face),
        config.connections,
        life.clone(),
    )
    .map_err(|error| Failure::new(format!("--tree-addr {}: {error}", config.address)))?;
    mount.fill(Arc::clone(&engine));
    Ok(TreePart {
        engine,
        address: port.address(),
        port: Some(port),
        opened_in: SystemClock.now().saturating_duration_since(started),
    })
}

/// The tree in the `tree` folder of `data_dir`, which nobody has open, as something to copy.
pub(crate) fn at_rest(data_dir: &Path) -> Source {
    let folder = data_dir.join("tree");
    Source {
        name: "tree",
        bytes: fs::metadata(folder.join("data.mdb")).map_or(0, |file| file.len()),
        copy: Box::new(move |to, each| {
            each(quintet_tree::backup(&folder, to)?)?;
            copy_rules(&folder.join(RULES), to)?;
            Ok(true)
        }),
    }
}

/// Copies the rules that were put, if there are any.
fn copy_rules(kept: &Path, to: &Path) -> Result<(), Error> {
    match fs::read(kept) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
        read => Ok(replace_file(&to.join(RULES), &read?)?),
    }
}

/// Checks the tree in the `tree` folder of `data_dir`; `None` when there is none. Indexes that come from the rules of
/// `--tree-rules` are left unchecked: their file is not known here.
pub(crate) fn fsck(data_dir: &Path) -> Result<Option<Findings>, Failure> {
    let folder = data_dir.join("tree");
    if !folder.join("VERSION").exists() {
        return Ok(None);
    }
    let kept = folder.join(RULES);
    let rules = kept.exists().then(|| read_rules(&kept)).transpose();
    let indexes = match rules {
        Ok(rules) => rules.as_ref().map(Rules::indexes).unwrap_or_default(),
        Err(failure) => return Ok(Some(Findings::fault("unreadable rules", failure.to_string()))),
    };
    match quintet_tree::fsck(&folder, &indexes) {
        Ok(report) => Ok(Some(Findings {
            summary: format!(
                "{} leaves, {} entries of indexes, {} writes so far",
                report.leaves, report.entries, report.last_seq
            ),
            fault_count: report.faults.len() as u64,
            faults: report.faults,
        })),
        Err(error) => {
            let error = Error::from(error);
            if error.kind() == ErrorKind::Corrupted {
                return Ok(Some(Findings::fault("unreadable", error.context())));
            }
            Err(Failure::new(format!(
                "cannot check {}: {error}",
                folder.display()
            )))
        }
    }
}

impl Part for TreePart {
    fn lines(&self) -> Vec<String> {
        let url = format!("http://{}", self.address);
        let rules = match self.engine.rules() {
            Some(_) => "rules in force",
            None => "no rules",
        };
        vec![
            format!(
                "tree    {url}  durability {}  {rules}  try: curl -X PUT {url}/hello.json -d '\"world\"'",
                self.engine.tree.config().durability
            ),
            format!(
                "        recovered 0 operations in {} ms: nothing has to be replayed, {} writes so far",
                self.opened_in.as_millis(),
                self.engine.tree.stats().last_seq
            ),
        ]
    }

    fn reload(&self) -> Result<(), Failure> {
        self.engine.reload_rules()
    }

    fn drain(&mut self, deadline: Deadline) -> Result<(), Failure> {
        if let Some(port) = self.port.take() {
            port.drain(deadline);
        }
        Ok(())
    }

    fn close(self: Box<Self>) -> Result<(), Failure> {
        let closed = self.engine.tree.close();
        closed.map_err(|error| Failure::new(format!("the tree did not end cleanly: {error}")))
    }
}

impl Engine for TreeEngine {
    fn health(&self) -> Result<(), Error> {
        self.tree.health()
    }

    fn backup(&self, folder: &Path, each: Each<'_>) -> Result<bool, Error> {
        let _storing = self.storing.lock().unwrap_or_else(PoisonError::into_inner);
        each(self.tree.backup(folder)?)?;
        copy_rules(&self.kept, folder)?;
        Ok(true)
    }

    fn backup_bytes(&self) -> u64 {
        self.tree.stats().used_bytes
    }

    fn stats(&self) -> Value {
        let stats = self.tree.stats();
        json!({
            "writes": stats.writes,
            "commits": stats.commits,
            "last_seq": stats.last_seq,
            "unindexed_queries": stats.unindexed_queries,
            "watches": stats.watches,
            "used_bytes": stats.used_bytes,
            "map_bytes": stats.map_bytes,
            "pool": readers::stats(&self.tree.pool().stats()),
            "has_rules": self.rules().is_some(),
        })
    }

    /// Requests by HTTP and the times to their answers' heads; what waits are jobs for the pool of readers. Its memory is the
    /// page cache's.
    fn vitals(&self) -> Option<Vitals> {
        let waiting = self.tree.pool().stats().priorities.map(|of| of.waiting as u64);
        Some(Vitals {
            operations: Some(self.answers.total()),
            times: Some(self.answers.times()),
            queued: Some(waiting.iter().sum()),
            memory_bytes: None,
            disk_bytes: Some(taken_bytes(&self.folder)),
        })
    }

    fn metrics(&self, page: &mut Exposition) {
        let stats = self.tree.stats();
        for (name, help, value) in [
            (
                "quintet_tree_written_writes",
                "Writes that took place.",
                stats.writes,
            ),
            (
                "quintet_tree_written_commits",
                "Transactions they took.",
                stats.commits,
            ),
            (
                "quintet_tree_unindexed_queries",
                "Queries that had no index to use.",
                stats.unindexed_queries,
            ),
        ] {
            page.counter(name, help, value);
        }
        page.gauge(
            "quintet_tree_used_bytes",
            "Bytes of the map that were ever used.",
            stats.used_bytes,
        );
        page.gauge(
            "quintet_tree_map_bytes",
            "The most bytes there can be.",
            stats.map_bytes,
        );
        readers::metrics(&self.tree.pool().stats(), page);
    }
}
