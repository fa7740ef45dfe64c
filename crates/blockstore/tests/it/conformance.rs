//! The suites of `quintet-core` over this crate's handlers and pool.

use crate::{gate::GateDirectory, handler, table};
use quintet_blockstore::{
    BlockHandler, BlockMessage, BlockReply, Digest, StackPool,
    meta::{KeyedHandler, Table, TableConfig},
};
use quintet_core::{
    BatchConfig, BatchController, Connector, Doorbell, Durability, ErrorKind, Keyed, MessageHandler, Parker,
    QueueWorker, Seq, SizeClass, SystemClock,
    conformance::{
        self, KeyedProbe, Probe,
        handler::{Capabilities, Subject},
    },
    fake::ManualClock,
    rtrb_queue::RtrbQueue,
};
use quintet_log::{Directory, OpenMode};
use std::{num::NonZeroUsize, sync::Arc, task::Waker, thread};
use tempfile::TempDir;

quintet_core::pool_suite!(stack_pool, |class, cap: NonZeroUsize| StackPool::new(
    class,
    cap.get() / 2 + 1,
    cap.get()
));
quintet_core::handler_suite!(keyed_handler, KeyedSubject::new);
quintet_core::durable_handler_suite!(durable_keyed_handler, KeyedSubject::new);
quintet_core::handler_suite!(block_handler, BlockSubject::new);
quintet_core::durable_handler_suite!(durable_block_handler, BlockSubject::new);
quintet_core::keyed_suite!(served, Served::new);

struct KeyedSubject {
    lmdb: TempDir,
    directory: GateDirectory,
    handler: Option<KeyedHandler>,
}

impl KeyedSubject {
    fn new() -> Self {
        let (lmdb, directory) = (tempfile::tempdir().unwrap(), GateDirectory::new());
        let mut subject = Self {
            lmdb,
            directory,
            handler: None,
        };
        subject.open();
        subject
    }

    fn open(&mut self) {
        let (config, clock) = (table::small(Durability::Full), Arc::new(ManualClock::new()));
        let (table, _) =
            Table::open(self.lmdb.path(), Arc::new(self.directory.clone()), config, clock).unwrap();
        self.handler = Some(KeyedHandler::new(table));
    }
}

impl Subject for KeyedSubject {
    type Probe = KeyedProbe;
    type Handler = KeyedHandler;

    fn capabilities(&self) -> Capabilities {
        Capabilities::ALL
    }

    fn handler(&mut self) -> &mut KeyedHandler {
        self.handler.as_mut().unwrap()
    }

    fn fail_next_commit(&mut self) {
        self.handler().table_mut().fail_next_commit(ErrorKind::Full);
    }

    fn hold_flushes(&mut self) {
        self.directory.hold();
    }

    fn settle(&mut self) {
        self.directory.release();
        let table = self.handler().table_mut();
        while table.durable().unwrap() < table.last_commit() {
            thread::yield_now();
        }
    }

    fn reopen(&mut self) {
        let left = self.directory.power_cut();
        self.directory.release();
        drop(self.handler.take());
        self.directory = GateDirectory::over(left);
        self.open();
    }
}

/// Thing n is the content of the n-th 4 KiB block, which the subject has written ahead and been granted.
struct BlockProbe;

const THINGS: u64 = 64;

fn content(n: u64) -> Vec<u8> {
    format!("the content of block {n}").into_bytes()
}

fn name(n: u64) -> Digest {
    Digest::of(&content(n))
}

impl Probe for BlockProbe {
    type Message = BlockMessage;

    fn write(n: u64) -> BlockMessage {
        let address = quintet_core::BlockAddress {
            class: SizeClass::SMALLEST,
            number: n,
        };
        BlockMessage::Occupy {
            digest: name(n),
            address,
            len_bytes: content(n).len() as u32,
        }
    }

    fn read(n: u64) -> BlockMessage {
        BlockMessage::GetAddress { digest: name(n) }
    }

    fn is_written(n: u64, reply: &quintet_core::Result<BlockReply>) -> bool {
        matches!(reply, Ok(BlockReply::Address(record)) if record.address.number == n)
    }

    fn refused() -> BlockMessage {
        Self::write(0)
    }

    fn arbitrary(random: u64) -> BlockMessage {
        let n = (random >> 8) % 8;
        let class = SizeClass::SMALLEST;
        match random % 5 {
            0 => Self::read(n),
            1 => BlockMessage::Release { digest: name(n) },
            2 => BlockMessage::Allocate {
                class: SizeClass::LARGEST,
                count: 1,
            },
            3 => BlockMessage::Return {
                addresses: vec![quintet_core::BlockAddress { class, number: n + 8 }],
            },
            _ => Self::write(n),
        }
    }
}

struct BlockSubject {
    meta: TempDir,
    directory: GateDirectory,
    handler: Option<BlockHandler>,
}

impl BlockSubject {
    fn new() -> Self {
        let (meta, directory) = (tempfile::tempdir().unwrap(), GateDirectory::new());
        let mut subject = Self {
            meta,
            directory,
            handler: None,
        };
        subject.open();
        subject
    }

    fn open(&mut self) {
        let mut handler = handler::open(
            Arc::new(self.directory.clone()),
            self.meta.path(),
            Durability::Full,
        )
        .handler;
        let count = (THINGS - handler.stats().blocks) as u32;
        handler
            .handle(BlockMessage::Allocate {
                class: SizeClass::SMALLEST,
                count,
            })
            .unwrap();
        let file = self.directory.open("blocks.data", OpenMode::Write).unwrap();
        for n in 0..THINGS {
            file.write_at(&content(n), n * 4096).unwrap();
        }
        self.handler = Some(handler);
    }
}

impl Subject for BlockSubject {
    type Probe = BlockProbe;
    type Handler = BlockHandler;

    fn capabilities(&self) -> Capabilities {
        Capabilities::ALL
    }

    fn handler(&mut self) -> &mut BlockHandler {
        self.handler.as_mut().unwrap()
    }

    fn fail_next_commit(&mut self) {
        self.handler().fail_next_commit(ErrorKind::Full);
    }

    fn hold_flushes(&mut self) {
        self.directory.hold();
    }

    fn settle(&mut self) {
        self.directory.release();
        let last = self.handler().last_commit();
        while self.handler().durable().unwrap() < last {
            thread::yield_now();
        }
    }

    fn reopen(&mut self) {
        let left = self.directory.power_cut();
        self.directory.release();
        drop(self.handler.take());
        self.directory = GateDirectory::over(left);
        self.open();
    }
}

/// The table behind a controller's thread and rings.
struct Served {
    connector: Connector<Keyed>,
    controller: Option<thread::JoinHandle<quintet_core::Result<()>>>,
    _lmdb: TempDir,
}

impl Served {
    fn new() -> Self {
        let lmdb = tempfile::tempdir().unwrap();
        let disk = Arc::new(quintet_log::MemDirectory::new());
        let mut config = TableConfig {
            checkpoint_entries: 5,
            max_value_bytes: 32 << 10,
            max_batch_bytes: 128 << 10,
            ..table::small(Durability::Full)
        };
        config.log.segment_bytes = 1 << 20;
        config.log.max_record_bytes = 128 << 10;
        let (table, _) = Table::open(lmdb.path(), disk, config, Arc::new(SystemClock)).unwrap();
        let (tell, told) = std::sync::mpsc::channel();
        let controller = thread::spawn(move || {
            let parker = Parker::new();
            table.on_progress(&Waker::from(parker.doorbell()))?;
            let handler = KeyedHandler::new(table);
            let clock = Arc::new(SystemClock);
            let mut controller =
                BatchController::new(handler, clock, parker.doorbell(), BatchConfig::default());
            tell.send(controller.connector()).unwrap();
            controller.run(&parker)
        });
        Self {
            connector: told.recv().unwrap(),
            controller: Some(controller),
            _lmdb: lmdb,
        }
    }
}

impl conformance::keyed::Subject for Served {
    type Worker = QueueWorker<Keyed>;

    fn worker(&self) -> QueueWorker<Keyed> {
        let credits = NonZeroUsize::new(16).unwrap();
        self.connector
            .connect::<RtrbQueue>(credits, Doorbell::silent())
            .unwrap()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.connector.stop();
        assert!(
            self.controller.take().unwrap().join().unwrap().is_ok(),
            "the controller ended well"
        );
    }
}

#[test]
fn positions_start_at_nothing() {
    let mut subject = KeyedSubject::new();
    assert_eq!(subject.handler().durable().unwrap(), Seq::ZERO);
}
