//! [`VectorStore`]: the manifest, the shards' engine, and clients of both.

use crate::{
    RoundRobin, ShardEngine, ShardId, ShardStats,
    manifest::Manifest,
    vector::{VectorClient, VectorConfig, VectorHandler, VectorMessage, catalogue::Catalogue},
};
use quintet_core::{Clock, Error, ErrorKind, Result};
use quintet_log::{Directory, MemDirectory, OsDirectory};
use std::{
    num::NonZeroUsize,
    path::Path,
    sync::{Arc, atomic::AtomicU64},
};

/// Where a store keeps its files: one directory for the manifest, one for each shard.
pub struct Directories {
    /// The manifest's.
    pub root: Arc<dyn Directory>,
    /// Each shard's own.
    pub shards: Vec<Arc<dyn Directory>>,
}

impl Directories {
    /// Folders on disk: `path` and `path/shard-0000` and so on, made when missing. One process at a time may have them
    /// open; the caller sees to that.
    ///
    /// # Errors
    /// What the system answers.
    pub fn on_disk(path: &Path, shards: NonZeroUsize) -> Result<Self> {
        let shard = |n: usize| -> Result<Arc<dyn Directory>> {
            Ok(Arc::new(open_folder(&path.join(format!("shard-{n:04}")))?))
        };
        let root = Arc::new(open_folder(path)?);
        let shards = (0..shards.get()).map(shard).collect::<Result<_>>()?;
        Ok(Self { root, shards })
    }

    /// In memory, for tests and caches: nothing outlives the directories.
    #[must_use]
    pub fn in_memory(shards: NonZeroUsize) -> Self {
        let shard = |_| Arc::new(MemDirectory::new()) as Arc<dyn Directory>;
        Self {
            root: Arc::new(MemDirectory::new()),
            shards: (0..shards.get()).map(shard).collect(),
        }
    }
}

fn open_folder(path: &Path) -> Result<OsDirectory> {
    std::fs::create_dir_all(path).map_err(|error| {
        let kind = Error::from(std::io::Error::from(error.kind())).kind();
        Error::new(kind, format!("{}: {error}", path.display())).with_source(error)
    })?;
    // A folder that a power cut takes away again would take acknowledged points with it.
    if let Some(parent) = path.parent().filter(|parent| !parent.as_os_str().is_empty()) {
        OsDirectory::open(parent)?.sync()?;
    }
    OsDirectory::open(path)
}

/// What the store, its shards' factory and its clients have in common.
pub(super) struct Commons {
    pub(super) root: Arc<dyn Directory>,
    pub(super) catalogue: Manifest<Catalogue>,
    /// Counts the catalogue's changes: clients look at it, and at the catalogue when it has moved.
    pub(super) version: AtomicU64,
    pub(super) config: VectorConfig,
}

/// Collections of vectors on shards.
pub struct VectorStore {
    engine: ShardEngine<VectorMessage, VectorHandler>,
    commons: Arc<Commons>,
}

impl VectorStore {
    /// Opens or makes a store: reads the manifest, then recovers all shards side by side. Blocks until all serve.
    ///
    /// # Errors
    /// A setting out of range; [`ShardCount`](crate::vector::VectorError::ShardCount) when the files were made with
    /// another number of shards; damage; what the directories answer.
    pub fn open(config: VectorConfig, directories: Directories, clock: Arc<dyn Clock>) -> Result<Self> {
        config.validate()?;
        let shards = config.shards().get();
        if directories.shards.len() != shards {
            let given = directories.shards.len();
            let message = format!("{given} directories were given for {shards} shards");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let catalogue = Catalogue::open(&*directories.root, shards, config.max_collections)?;
        let engine_config = config.engine.clone();
        let commons = Arc::new(Commons {
            root: directories.root,
            catalogue: Manifest::new(catalogue),
            version: AtomicU64::new(1),
            config,
        });
        let (for_shards, shard_clock) = (Arc::clone(&commons), Arc::clone(&clock));
        let shard_directories = directories.shards;
        let engine = ShardEngine::open_with_waker(engine_config, clock, move |shard: ShardId, waker| {
            let collections = for_shards
                .catalogue
                .with(|catalogue| Arc::clone(&catalogue.collections));
            VectorHandler::open(
                shard,
                Arc::clone(&shard_directories[shard.0]),
                &for_shards.config,
                collections.values().cloned(),
                Arc::clone(&shard_clock),
                &waker,
            )
        })?;
        Ok(Self { engine, commons })
    }

    /// A client for a thread that may block, with at most `credits` requests in flight to each shard.
    ///
    /// # Errors
    /// [`Closed`](ErrorKind::Closed) after [`close`](Self::close).
    pub fn client(&self, credits: NonZeroUsize) -> Result<VectorClient> {
        let caller = self.engine.caller(credits, RoundRobin::default())?;
        Ok(VectorClient::new(caller, Arc::clone(&self.commons)))
    }

    /// Recovers one shard from its files, while the others serve.
    ///
    /// # Errors
    /// As [`ShardEngine::restart`].
    pub fn restart(&self, shard: ShardId) -> Result<()> {
        self.engine.restart(shard)
    }

    /// What each shard does.
    #[must_use]
    pub fn stats(&self) -> Vec<ShardStats> {
        self.engine.stats()
    }

    /// Answers what is queued, commits, and closes the files.
    ///
    /// # Errors
    /// As [`ShardEngine::shutdown`].
    pub fn close(&self) -> Result<()> {
        self.engine.shutdown()
    }
}
