//! Puts a store together: data file, records, allocator, handler, and what workers share. No thread of the controller is
//! started here, so that a test can drive the handler step by step.

use crate::{
    BlockError, Config, Digest, Lock, Opened,
    depot::Depot,
    epoch::{Epochs, Pin, Reader},
    handler::{BlockHandler, Shared},
    lock,
    message::BlockMessage,
    meta::{Table, TableReader},
    pool::StackPool,
    recovery,
    space::Space,
    stats::{Gauges, Stats},
    view::View,
    worker::{BlockWorker, Commons},
};
use quintet_core::{BlockPool, Clock, Result, SizeClass, Worker};
use quintet_log::{Directory, File, OpenMode};
use std::{path::Path, sync::Arc};

/// The file that holds the blocks.
pub(crate) const DATA_FILE: &str = "blocks.data";

/// How many bytes of blocks a pool may hold above its target, when puts are dropped or content was there already.
const POOL_SLACK_BYTES: u64 = 16 << 20;

/// A store without its controller's thread.
pub struct Engine {
    /// The owner of the store's state: for a [`BatchController`](quintet_core::BatchController).
    pub handler: BlockHandler,
    /// Makes workers.
    pub workers: Workers,
    /// What opening found.
    pub opened: Opened,
}

/// Makes workers for one store; clones are cheap.
#[derive(Clone)]
pub struct Workers {
    commons: Commons,
    pool_targets: [usize; SizeClass::COUNT],
    gauges: Gauges,
    /// Whose pins hold blocks for a copy of the store.
    copies: Arc<Reader>,
}

impl Engine {
    /// Opens or creates a store: its data file and log in `directory`, its checkpoint in `meta_dir`, which must exist.
    /// `config.dir` is not looked at. Blocks for the replay and for one pass over all records.
    ///
    /// # Errors
    /// A configuration out of range, damage, or what the system answers.
    pub fn open(
        directory: Arc<dyn Directory>,
        meta_dir: &Path,
        config: &Config,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, BlockError> {
        config.validate()?;
        let file = directory.open(DATA_FILE, OpenMode::Create)?;
        directory.sync()?;
        let table_config = config.table(vec![Arc::clone(&file)]);
        let (mut table, recovered) = Table::open(meta_dir, directory, table_config, Arc::clone(&clock))?;
        // Before the file is made to cover whole blocks, so that a file that was cut short is noticed.
        let file_bytes = file.len()?;
        let mut space = Space::new(Arc::clone(&file), config.capacity_bytes, config.growth_step_bytes)?;
        space.punch_released(config.punch_released);
        let opened = recovery::recover(&mut table, &recovered, &*file, file_bytes, &mut space)?;
        // One slot more than there are workers, for copies.
        let epochs = Epochs::new(config.max_workers + 1);
        let copies = epochs.register().ok_or(BlockError::Busy {
            what: "the table of workers",
        })?;
        let gauges = Gauges::default();
        let records = table.reader();
        let depot = Arc::new(Depot::new(table.alarm()));
        let shared = Shared {
            epochs: Arc::clone(&epochs),
            depot: Arc::downgrade(&depot),
            gauges: gauges.clone(),
        };
        let handler = BlockHandler::new(table, space, &opened, shared, clock);
        let view = if config.map_data {
            View::of(&*file, config.capacity_bytes).map(Arc::new)
        } else {
            None
        };
        let commons = Commons {
            file,
            view,
            records,
            epochs,
            lookup: config.lookup,
            verify: config.verify,
            depot,
        };
        Ok(Self {
            handler,
            workers: Workers {
                commons,
                pool_targets: config.pool_targets,
                gauges,
                copies: Arc::new(copies),
            },
            opened,
        })
    }
}

impl Workers {
    /// A worker over a connection to the store's controller.
    ///
    /// # Errors
    /// `Unavailable` when there are `max_workers` already.
    pub fn worker(&self, link: Box<dyn Worker<BlockMessage> + Send>) -> Result<BlockWorker> {
        let pools = std::array::from_fn(|index| {
            let (class, target) = (SizeClass::ALL[index], self.pool_targets[index]);
            let slack = (POOL_SLACK_BYTES / class.size_bytes()).min(256) as usize;
            Box::new(StackPool::new(class, target, target + slack)) as Box<dyn BlockPool + Send>
        });
        self.worker_with(link, pools)
    }

    /// The same with pools of the caller's, one per class, smallest first.
    ///
    /// # Errors
    /// As [`worker`](Self::worker).
    pub fn worker_with(
        &self,
        link: Box<dyn Worker<BlockMessage> + Send>,
        pools: [Box<dyn BlockPool + Send>; SizeClass::COUNT],
    ) -> Result<BlockWorker> {
        BlockWorker::new(link, pools, self.commons.clone())
    }

    /// Whether a block of this name is stored durably.
    ///
    /// # Errors
    /// What the record table answers.
    pub fn contains(&self, digest: &Digest) -> Result<bool> {
        Ok(self.commons.records.get(&digest.0)?.is_some())
    }

    /// The durable locks of a block, in the order of their holders' names; `None` = there is no such block.
    ///
    /// # Errors
    /// `Corrupted` for a damaged entry; what the record table answers.
    pub fn locks(&self, digest: &Digest) -> Result<Option<Vec<Lock>>> {
        Ok(lock::of_block(&self.commons.records, digest)?)
    }

    /// The records, as readers see them.
    pub(crate) fn records(&self) -> &TableReader {
        &self.commons.records
    }

    /// Keeps every block that is found from now on from being written again.
    pub(crate) fn pin(&self) -> Pin {
        self.copies.pin()
    }

    /// The data file.
    pub(crate) fn file(&self) -> &dyn File {
        &*self.commons.file
    }

    /// What the store held at its last commit, and whether it is poisoned now. Never waits for the controller.
    #[must_use]
    pub fn stats(&self) -> Stats {
        let mut stats = self.gauges.read();
        // The controller may sleep and not know it yet.
        stats.poisoned |= self.commons.depot.is_alarmed();
        stats
    }
}
