//! [`VectorStore`]: the manifest, the shards' engine, and clients of both.

use crate::{
    RoundRobin, ShardEngine, ShardId, ShardStats,
    manifest::Manifest,
    vector::{
        Directories, VectorClient, VectorConfig, VectorHandler, VectorMessage,
        backup::ShardSource,
        catalogue::{self, Catalogue},
        directories::Lock,
        index::{Indexer, Watch},
    },
};
use quintet_core::{Clock, Error, ErrorKind, Result};
use quintet_log::{
    Directory,
    copy::{EachPiece, copy_file},
};
use std::{
    num::NonZeroUsize,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
};

/// What the store, its shards' factory and its clients have in common.
pub(super) struct Commons {
    pub(super) root: Arc<dyn Directory>,
    pub(super) catalogue: Manifest<Catalogue>,
    /// Counts the catalogue's changes: clients look at it, and at the catalogue when it has moved.
    pub(super) version: AtomicU64,
    /// What opening the shards found, in items of snapshots and records of logs.
    replayed: AtomicU64,
    /// What each shard is copied from; `None` until it was opened.
    pub(super) sources: Manifest<Vec<Option<ShardSource>>>,
    pub(super) config: VectorConfig,
    /// Whether graphs are being built.
    pub(super) indexing: Option<Watch>,
}

/// Collections of vectors on shards.
pub struct VectorStore {
    engine: ShardEngine<VectorMessage, VectorHandler>,
    commons: Arc<Commons>,
    /// Builds the graphs.
    indexer: Manifest<Option<Indexer>>,
    /// Let go of when the shards have closed their files: fields are dropped in this order.
    lock: Manifest<Option<Lock>>,
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
        let Directories {
            root,
            shards: shard_directories,
            lock,
        } = directories;
        if shard_directories.len() != shards {
            let given = shard_directories.len();
            let message = format!("{given} directories were given for {shards} shards");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        let catalogue = Catalogue::open(&*root, shards, config.max_collections)?;
        let engine_config = config.engine.clone();
        let indexer = match config.index.clone() {
            Some(index) => Some(Indexer::start(index, config.block_bytes)?),
            None => None,
        };
        let port = indexer.as_ref().map(Indexer::port);
        let commons = Arc::new(Commons {
            root,
            catalogue: Manifest::new(catalogue),
            version: AtomicU64::new(1),
            replayed: AtomicU64::new(0),
            sources: Manifest::new(vec![None; shards]),
            config,
            indexing: indexer.as_ref().map(Indexer::watch),
        });
        let (for_shards, shard_clock) = (Arc::clone(&commons), Arc::clone(&clock));
        let engine = ShardEngine::open_with_waker(engine_config, clock, move |shard: ShardId, waker| {
            let collections = for_shards
                .catalogue
                .with(|catalogue| Arc::clone(&catalogue.collections));
            let handler = VectorHandler::open(
                shard,
                Arc::clone(&shard_directories[shard.0]),
                &for_shards.config,
                collections.values().cloned(),
                Arc::clone(&shard_clock),
                &waker,
                port.clone(),
            )?;
            for_shards.replayed.fetch_add(handler.replayed, Relaxed);
            let source = ShardSource {
                log: handler.log_source(),
                directory: Arc::clone(&shard_directories[shard.0]),
            };
            for_shards.sources.with(|sources| sources[shard.0] = Some(source));
            Ok(handler)
        })?;
        let lock = Manifest::new(lock);
        Ok(Self {
            engine,
            commons,
            indexer: Manifest::new(indexer),
            lock,
        })
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

    /// Copies the store into empty directories, which open like the original, while everybody goes on. Of each shard it has
    /// every change that was answered before the call, and none without those before it. `each` is told the bytes of each
    /// piece and may end the copying with an error. Blocks until the copy is on stable storage; the shards do not wait.
    ///
    /// # Errors
    /// [`InvalidInput`](ErrorKind::InvalidInput) when `to` has not as many directories as the store has shards; what a
    /// directory or `each` answers: the copy is of no use then.
    pub fn backup(&self, to: &Directories, each: EachPiece<'_>) -> Result<()> {
        let sources = self.commons.sources.with(|sources| sources.clone());
        if to.shards.len() != sources.len() {
            let (given, shards) = (to.shards.len(), sources.len());
            let message = format!("{given} directories were given for {shards} shards");
            return Err(Error::new(ErrorKind::InvalidInput, message));
        }
        for (source, directory) in sources.iter().flatten().zip(&to.shards) {
            source.copy(&**directory, each)?;
        }
        // Last: a collection that the copied manifest does not know must not have points, because its number would be
        // given out again.
        copy_file(&*self.commons.root, catalogue::FILE, &*to.root, each)?;
        to.root.sync()
    }

    /// What opening the shards found: items of their snapshots and records of their logs, restarts included.
    #[must_use]
    pub fn recovered_operations(&self) -> u64 {
        self.commons.replayed.load(Relaxed)
    }

    /// What each shard does.
    #[must_use]
    pub fn stats(&self) -> Vec<ShardStats> {
        self.engine.stats()
    }

    /// Answers what is queued, commits, closes the files, and lets another store have them.
    ///
    /// # Errors
    /// As [`ShardEngine::shutdown`].
    pub fn close(&self) -> Result<()> {
        let ended = self.engine.shutdown();
        drop(self.indexer.with(Option::take));
        self.lock.with(Option::take);
        ended
    }
}
