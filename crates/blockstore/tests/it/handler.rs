//! The handler without a controller's thread: order, deduplication, quarantine, undo.

use crate::store::{body, config};
use quintet_blockstore::{BlockMessage, BlockReply, Config, Digest, Engine, Get, Outcome, Record};
use quintet_core::{
    BlockAddress, Commit, Completion, Durability, ErrorKind, Inline, Message, MessageHandler, Request,
    RequestId, SizeClass, fake::ManualClock,
};
use quintet_log::{CrashDirectory, Directory, MemDirectory};
use std::{num::NonZeroUsize, path::Path, sync::Arc};

pub(crate) fn open(directory: Arc<dyn Directory>, meta: &Path, durability: Durability) -> Engine {
    let config = Config {
        durability,
        ..config(meta)
    };
    Engine::open(directory, meta, &config, Arc::new(ManualClock::new())).unwrap()
}

struct Bed {
    meta: tempfile::TempDir,
    disk: CrashDirectory,
    engine: Engine,
}

impl Bed {
    fn new(durability: Durability) -> Self {
        let (meta, disk) = (tempfile::tempdir().unwrap(), CrashDirectory::new());
        let engine = open(Arc::new(disk.clone()), meta.path(), durability);
        Self { meta, disk, engine }
    }

    fn ask(&mut self, message: BlockMessage) -> Result<BlockReply, ErrorKind> {
        self.engine.handler.handle(message).map_err(|error| error.kind())
    }

    fn allocate(&mut self, class: SizeClass, count: u32) -> Vec<BlockAddress> {
        match self.ask(BlockMessage::Allocate { class, count }) {
            Ok(BlockReply::Granted(addresses)) => addresses,
            other => panic!("{other:?}"),
        }
    }

    fn occupy(&mut self, digest: Digest, address: BlockAddress) -> Result<BlockReply, ErrorKind> {
        self.ask(BlockMessage::Occupy {
            digest,
            address,
            len_bytes: 100,
        })
    }

    /// Commits and makes it visible; at level full by flushing.
    fn commit(&mut self) {
        if let Commit::Pending(seq) = self.engine.handler.commit().unwrap() {
            while self.engine.handler.durable().unwrap() < seq {
                std::thread::yield_now();
            }
        }
    }
}

fn name(byte: u8) -> Digest {
    Digest([byte; 32])
}

fn get(digest: Digest) -> BlockMessage {
    BlockMessage::GetAddress { digest }
}

#[test]
fn a_batch_is_served_reads_first_then_what_makes_space_then_what_takes_it() {
    let mut bed = Bed::new(Durability::Relaxed);
    let blocks = bed.allocate(SizeClass::SMALLEST, 2);
    assert_eq!(
        bed.occupy(name(1), blocks[0]),
        Ok(BlockReply::Occupied { unused: None })
    );
    bed.commit();
    let messages = [
        BlockMessage::Occupy {
            digest: name(2),
            address: blocks[1],
            len_bytes: 7,
        },
        BlockMessage::Allocate {
            class: SizeClass::SMALLEST,
            count: 1,
        },
        BlockMessage::Release { digest: name(1) },
        get(name(1)),
    ];
    let ranks: Vec<_> = messages.iter().map(Message::rank).collect();
    assert_eq!(ranks, [3, 2, 1, 0]);
    let waits: Vec<_> = messages.iter().map(Message::awaits_commit).collect();
    assert_eq!(waits, [true, false, true, false]);
    let back = BlockMessage::Return { addresses: vec![] };
    assert_eq!((back.rank(), back.awaits_commit()), (1, false));
    let mut batch: Vec<_> = (0..)
        .map(RequestId)
        .zip(messages)
        .map(|(id, message)| Request { id, message })
        .collect();
    let mut out: Vec<Completion<BlockMessage>> = Vec::new();
    bed.engine.handler.handle_batch(&mut batch, &mut out);
    assert_eq!(out.iter().map(|done| done.id.0).collect::<Vec<_>>(), [3, 2, 1, 0]);
    let found = BlockReply::Address(Record {
        address: blocks[0],
        len_bytes: 100,
        locks: 0,
    });
    assert_eq!(
        *out[0].result.as_ref().unwrap(),
        found,
        "the read sees what the batch is about to release"
    );
}

#[test]
fn the_same_content_is_stored_once_whether_staged_pending_or_durable() {
    let mut bed = Bed::new(Durability::Full);
    let blocks = bed.allocate(SizeClass::SMALLEST, 4);
    assert_eq!(
        bed.occupy(name(1), blocks[0]),
        Ok(BlockReply::Occupied { unused: None })
    );
    assert_eq!(
        bed.occupy(name(1), blocks[1]),
        Ok(BlockReply::Occupied {
            unused: Some(blocks[1])
        }),
        "same batch"
    );
    let first = bed.engine.handler.commit().unwrap();
    assert!(first != Commit::Done);
    assert_eq!(
        bed.occupy(name(1), blocks[2]),
        Ok(BlockReply::Occupied {
            unused: Some(blocks[2])
        }),
        "pending"
    );
    // The reply rests on the pending record, so it must wait for it.
    let second = bed.engine.handler.commit().unwrap();
    assert!(second == first || second == Commit::Done, "{second:?}");
    bed.commit();
    assert_eq!(
        bed.occupy(name(1), blocks[3]),
        Ok(BlockReply::Occupied {
            unused: Some(blocks[3])
        }),
        "durable"
    );
    let other_length = BlockMessage::Occupy {
        digest: name(1),
        address: blocks[3],
        len_bytes: 99,
    };
    assert_eq!(bed.ask(other_length), Err(ErrorKind::Conflict));
    assert_eq!(
        bed.ask(BlockMessage::Return {
            addresses: blocks[1..].to_vec()
        }),
        Ok(BlockReply::Returned)
    );
    assert_eq!(
        bed.ask(BlockMessage::Release { digest: name(1) }),
        Ok(BlockReply::Released)
    );
    assert_eq!(
        bed.ask(BlockMessage::Release { digest: name(1) }),
        Err(ErrorKind::NotFound),
        "twice in a batch"
    );
    bed.commit();
    bed.engine.handler.maintain(quintet_core::Budget {
        items: NonZeroUsize::MIN,
    });
    let stats = bed.engine.handler.stats();
    assert_eq!(
        stats.free_bytes, stats.capacity_bytes,
        "nothing leaked: {stats:?}"
    );
    assert_eq!(
        stats.classes[..7].iter().map(|class| class.free).sum::<u64>(),
        0,
        "all merged"
    );
}

#[test]
fn only_a_handed_out_block_can_be_named_or_returned() {
    let mut bed = Bed::new(Durability::Relaxed);
    let blocks = bed.allocate(SizeClass::SMALLEST, 2);
    let foreign = BlockAddress {
        class: SizeClass::LARGEST,
        number: 0,
    };
    assert_eq!(bed.occupy(name(1), foreign), Err(ErrorKind::InvalidInput));
    assert_eq!(
        bed.occupy(name(1), blocks[0]),
        Ok(BlockReply::Occupied { unused: None })
    );
    assert_eq!(
        bed.occupy(name(2), blocks[0]),
        Err(ErrorKind::InvalidInput),
        "named already"
    );
    let mixed = BlockMessage::Return {
        addresses: vec![blocks[1], blocks[0]],
    };
    assert_eq!(
        bed.ask(mixed),
        Err(ErrorKind::InvalidInput),
        "one of them is named"
    );
    let twice = BlockMessage::Return {
        addresses: vec![blocks[1], blocks[1]],
    };
    assert_eq!(bed.ask(twice), Err(ErrorKind::InvalidInput));
    assert_eq!(
        bed.ask(BlockMessage::Return { addresses: vec![] }),
        Err(ErrorKind::InvalidInput)
    );
    assert_eq!(
        bed.ask(BlockMessage::Return {
            addresses: vec![blocks[1]]
        }),
        Ok(BlockReply::Returned)
    );
    assert_eq!(
        bed.occupy(name(3), blocks[1]),
        Err(ErrorKind::InvalidInput),
        "given back"
    );
    let class = SizeClass::SMALLEST;
    for count in [0, BlockMessage::MAX_COUNT + 1] {
        assert_eq!(
            bed.ask(BlockMessage::Allocate { class, count }),
            Err(ErrorKind::InvalidInput)
        );
    }
    let again = bed.allocate(class, 1);
    for len_bytes in [0, 4097] {
        let message = BlockMessage::Occupy {
            digest: name(4),
            address: again[0],
            len_bytes,
        };
        assert!(bed.ask(message).is_err(), "{len_bytes} bytes in a block of 4096");
    }
    assert_eq!(bed.engine.handler.stats().blocks, 1);
}

#[test]
fn a_held_reader_keeps_a_released_block_from_reuse() {
    let (meta, disk) = (tempfile::tempdir().unwrap(), MemDirectory::new());
    let mut config = config(meta.path());
    // One block of 512 KiB is the whole store.
    config.capacity_bytes = 512 << 10;
    config.growth_step_bytes = 512 << 10;
    config.durability = Durability::Relaxed;
    let clock = Arc::new(ManualClock::new());
    let Engine { handler, workers, .. } = Engine::open(Arc::new(disk), meta.path(), &config, clock).unwrap();
    let mut worker = workers
        .worker(Box::new(Inline::new(handler, NonZeroUsize::new(64).unwrap())))
        .unwrap();
    let mut done = Vec::new();
    let content = body(1, 500_000);
    let mut put = loop {
        match worker.begin_put(500_000).unwrap() {
            Some(put) => break put,
            None => worker.poll(&mut done).map(|_| ()).unwrap(),
        }
    };
    put.write(&content).unwrap();
    worker.finish_put(put).map_err(|refused| refused.error).unwrap();
    worker.poll(&mut done).unwrap();
    let Ok(Outcome::Stored {
        digest,
        existed: false,
    }) = done.pop().unwrap().outcome
    else {
        panic!("not stored");
    };
    let Get::Found(extent) = worker.get(&digest).unwrap() else {
        panic!("not found");
    };
    worker.delete(&digest).unwrap();
    worker.poll(&mut done).unwrap();
    assert!(
        matches!(done.pop().unwrap().outcome, Ok(Outcome::Deleted)),
        "deleted"
    );
    assert!(
        matches!(worker.get(&digest).unwrap(), Get::Missing),
        "later readers find nothing"
    );
    // A flush makes the release durable; only the reader is left.
    assert!(worker.begin_put(500_000).unwrap().is_none());
    assert!(worker.poll(&mut done).unwrap().retry_puts);
    assert_eq!(
        worker.begin_put(500_000).err().unwrap().kind(),
        ErrorKind::Full,
        "the reader holds the only block"
    );
    let mut read = vec![0; 500_000];
    assert_eq!(extent.read_at(0, &mut read).unwrap(), 500_000);
    assert_eq!(read, content);
    drop(extent);
    worker.poll(&mut done).unwrap();
    assert!(worker.begin_put(500_000).unwrap().is_none());
    worker.poll(&mut done).unwrap();
    assert!(worker.begin_put(500_000).unwrap().is_some(), "free now");
}

#[test]
fn an_unsynced_release_keeps_its_block_until_space_is_needed() {
    let mut bed = Bed::new(Durability::Relaxed);
    let all: Vec<_> = bed.allocate(SizeClass::LARGEST, 16);
    assert_eq!(all.len(), 16, "the whole store");
    for (byte, address) in (0..).zip(&all) {
        bed.occupy(name(byte), *address).unwrap();
    }
    bed.commit();
    bed.ask(BlockMessage::Release { digest: name(3) }).unwrap();
    bed.commit();
    assert_eq!(
        bed.engine.handler.stats().quarantined_blocks,
        1,
        "a power cut could bring the record back"
    );
    assert_eq!(
        bed.allocate(SizeClass::LARGEST, 4),
        [all[3]],
        "flushed because space is needed"
    );
}

#[test]
fn unnamed_blocks_vanish_with_the_process() {
    let mut bed = Bed::new(Durability::Full);
    let blocks = bed.allocate(SizeClass::SMALLEST, 10);
    bed.occupy(name(1), blocks[4]).unwrap();
    bed.commit();
    let left = bed.disk.now();
    drop(bed.engine);
    // The file holds zeros where the name says otherwise, so only proven records are kept unchecked.
    let engine = open(Arc::new(left), bed.meta.path(), Durability::Full);
    let stats = engine.handler.stats();
    assert_eq!(stats.pooled_blocks, 0);
    assert_eq!(stats.free_bytes + stats.blocks * 4096, stats.capacity_bytes);
}
