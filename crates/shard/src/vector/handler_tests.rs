//! The suites of `quintet-core` over the vector handler: above all, that a read never sees what is not yet durable.

use super::{
    VectorConfig, VectorHandler, VectorMessage, VectorReply,
    catalogue::{Metric, Spec},
    entry::Collection,
    message::{Ask, With},
    point::{Point, PointId},
};
use crate::ShardId;
use quintet_core::{
    Budget, Durability, MessageHandler, Result, SystemClock,
    conformance::{
        Probe, Support,
        handler::{Capabilities, Subject},
    },
};
use quintet_log::{CrashDirectory, Directory, File, MemDirectory, OpenMode};
use std::{
    num::NonZeroUsize,
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, Ordering},
    },
    task::Waker,
    thread,
};

quintet_core::handler_suite!(vector_handler, VectorSubject::new);
quintet_core::durable_handler_suite!(durable_vector_handler, VectorSubject::new);

fn collection(id: u64) -> Arc<Collection> {
    let spec = Spec {
        dimension: 2,
        metric: Metric::L2,
        budget_bytes: 1 << 30,
    };
    Arc::new(Collection::new(id, format!("collection {id}"), spec, 1))
}

static ALIVE: LazyLock<Arc<Collection>> = LazyLock::new(|| collection(1));
static DROPPED: LazyLock<Arc<Collection>> = LazyLock::new(|| {
    let dropped = collection(2);
    dropped.set_removed(true);
    dropped
});

/// Thing n is the point with number n.
struct VectorProbe;

fn ask(ask: Ask) -> VectorMessage {
    VectorMessage {
        collection: Arc::clone(&ALIVE),
        ask,
    }
}

impl Probe for VectorProbe {
    type Message = VectorMessage;

    fn write(n: u64) -> VectorMessage {
        ask(Ask::Upsert(vec![Point::new(n, vec![n as f32, 1.0])]))
    }

    fn read(n: u64) -> VectorMessage {
        let with = With {
            payload: true,
            vector: true,
        };
        ask(Ask::Get {
            ids: vec![n.into()],
            with,
        })
    }

    fn is_written(n: u64, reply: &Result<VectorReply>) -> bool {
        matches!(reply, Ok(VectorReply::Points(points))
            if matches!(&points[..], [Some(point)] if point.vector == [n as f32, 1.0]))
    }

    fn refused() -> VectorMessage {
        VectorMessage {
            collection: Arc::clone(&DROPPED),
            ask: Ask::Delete(vec![0.into()]),
        }
    }

    fn arbitrary(random: u64) -> VectorMessage {
        let n = (random >> 8) % 8;
        let other = (random >> 16) % 8;
        match random % 6 {
            0 => Self::read(n),
            1 => ask(Ask::Count(None)),
            2 => ask(Ask::Delete(vec![n.into(), other.into()])),
            3 => ask(Ask::Scroll {
                after: Some(PointId::from(n)),
                limit: 3,
                with: With::default(),
            }),
            _ => Self::write(n),
        }
    }
}

struct VectorSubject {
    directory: GateDirectory,
    handler: Option<VectorHandler>,
}

impl VectorSubject {
    fn new() -> Self {
        Self::over(MemDirectory::new())
    }

    fn over(files: MemDirectory) -> Self {
        Self::with(files, Durability::Full)
    }

    fn with(files: MemDirectory, durability: Durability) -> Self {
        let directory = GateDirectory {
            disk: CrashDirectory::over(files),
            held: Arc::default(),
        };
        let mut config = VectorConfig::default().with_segment_bytes(64 << 10);
        config.engine.shards = std::num::NonZeroUsize::MIN;
        config.log.durability = durability;
        config.snapshot_log_bytes = 4096;
        config.block_bytes = 1024;
        let handler = VectorHandler::open(
            ShardId(0),
            Arc::new(directory.clone()),
            &config,
            [Arc::clone(&ALIVE)].into_iter(),
            Arc::new(SystemClock),
            Waker::noop(),
            None,
        );
        Self {
            directory,
            handler: Some(handler.expect("it opens")),
        }
    }
}

impl Subject for VectorSubject {
    type Probe = VectorProbe;
    type Handler = VectorHandler;

    fn capabilities(&self) -> Capabilities {
        Capabilities {
            fail_next_commit: Support::Missing("a commit fails only when the log is poisoned, for good"),
            ..Capabilities::ALL
        }
    }

    fn handler(&mut self) -> &mut VectorHandler {
        self.handler.as_mut().expect("it is open")
    }

    fn hold_flushes(&mut self) {
        self.directory.held.store(true, Ordering::Release);
    }

    fn settle(&mut self) {
        self.directory.held.store(false, Ordering::Release);
        while self.handler().is_pending() {
            self.handler().durable().expect("nothing fails here");
            thread::yield_now();
        }
    }

    fn reopen(&mut self) {
        // What a power cut leaves: nothing that is not synced.
        let left = self.directory.disk.image(self.directory.disk.moments(), 1);
        self.directory.held.store(false, Ordering::Release);
        drop(self.handler.take());
        *self = Self::over(left);
    }
}

impl Drop for VectorSubject {
    /// A clause that fails while syncs are held must not wait for the log's last one.
    fn drop(&mut self) {
        self.directory.held.store(false, Ordering::Release);
    }
}

#[test]
fn a_shard_goes_on_while_its_snapshot_waits_for_the_disk() {
    let mut subject = VectorSubject::with(MemDirectory::new(), Durability::Relaxed);
    let items = NonZeroUsize::MIN;
    let write = |subject: &mut VectorSubject, n: u64| {
        subject
            .handler()
            .handle(VectorProbe::write(n % 50))
            .expect("it is stored");
        subject.handler().commit().expect("it is in the kernel");
    };
    subject.hold_flushes();
    (0..200).for_each(|n| write(&mut subject, n));
    let _when = subject.handler().maintain(Budget { items });
    assert!(subject.handler().is_writing_a_snapshot(), "it waits for the sync");
    (200..400).for_each(|n| write(&mut subject, n));
    let reply = subject.handler().handle(VectorProbe::read(7));
    assert!(VectorProbe::is_written(7, &reply));
    subject.settle();
    while subject.handler().is_writing_a_snapshot() {
        thread::yield_now();
    }
    let names = subject.directory.list().expect("a list");
    assert!(names.contains(&"points.snapshot".to_owned()), "{names:?}");
}

/// A disk whose syncs wait while they are held.
#[derive(Clone)]
struct GateDirectory {
    disk: CrashDirectory,
    held: Arc<AtomicBool>,
}

fn pass(held: &AtomicBool) {
    while held.load(Ordering::Acquire) {
        thread::yield_now();
    }
}

impl Directory for GateDirectory {
    fn open(&self, name: &str, mode: OpenMode) -> Result<Arc<dyn File>> {
        Ok(Arc::new(GateFile {
            file: self.disk.open(name, mode)?,
            held: Arc::clone(&self.held),
        }))
    }

    fn remove(&self, name: &str) -> Result<()> {
        self.disk.remove(name)
    }

    fn rename(&self, from: &str, to: &str) -> Result<()> {
        self.disk.rename(from, to)
    }

    fn list(&self) -> Result<Vec<String>> {
        self.disk.list()
    }

    fn sync(&self) -> Result<()> {
        pass(&self.held);
        self.disk.sync()
    }
}

struct GateFile {
    file: Arc<dyn File>,
    held: Arc<AtomicBool>,
}

impl File for GateFile {
    fn read_at(&self, buf: &mut [u8], offset: u64) -> Result<usize> {
        self.file.read_at(buf, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> Result<()> {
        self.file.write_at(bytes, offset)
    }

    fn sync_data(&self) -> Result<()> {
        pass(&self.held);
        self.file.sync_data()
    }

    fn len(&self) -> Result<u64> {
        self.file.len()
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len)
    }

    fn allocate(&self, offset: u64, len: u64) -> Result<()> {
        self.file.allocate(offset, len)
    }

    fn punch_hole(&self, offset: u64, len: u64) -> Result<()> {
        self.file.punch_hole(offset, len)
    }

    fn name(&self) -> &str {
        self.file.name()
    }
}
