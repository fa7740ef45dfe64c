//! A worker between mocks: what it asks its pools and its controller for, and what it gives back.

use crate::store::{body, config};
use quintet_blockstore::{BlockMessage, BlockReply, BlockWorker, Digest, Engine, Outcome, StackPool};
use quintet_core::{
    Block, BlockAddress, BlockPool, Completion, Error, ErrorKind, PushError, RequestId, SizeClass,
    fake::ManualClock,
    mock::{MockBlockPool, MockWorker},
};
use quintet_log::MemDirectory;
use std::{
    collections::VecDeque,
    sync::{Arc, Mutex},
};

type Pools = [Box<dyn BlockPool + Send>; SizeClass::COUNT];
type Script = Arc<Mutex<VecDeque<Result<BlockReply, ErrorKind>>>>;

fn address(number: u64) -> BlockAddress {
    BlockAddress {
        class: SizeClass::SMALLEST,
        number,
    }
}

fn stacks() -> Pools {
    SizeClass::ALL.map(|class| Box::new(StackPool::new(class, 2, 4)) as Box<dyn BlockPool + Send>)
}

/// A controller that records what it is sent and answers from a script, one reply per poll.
fn scripted(script: &Script) -> (MockWorker<BlockMessage>, Arc<Mutex<Vec<BlockMessage>>>) {
    let sent = Arc::new(Mutex::new(Vec::new()));
    let waiting = Arc::new(Mutex::new(VecDeque::new()));
    let (mut link, log, queue) = (MockWorker::new(), Arc::clone(&sent), Arc::clone(&waiting));
    link.expect_submit().returning(move |message| {
        let mut sent = log.lock().unwrap();
        let id = RequestId(sent.len() as u64);
        sent.push(message);
        queue.lock().unwrap().push_back(id);
        Ok(id)
    });
    link.expect_flush().returning(|| Ok(()));
    let script = Arc::clone(script);
    link.expect_reap().returning(move |out, _| {
        let mut waiting = waiting.lock().unwrap();
        if waiting.is_empty() {
            return Ok(0);
        }
        let Some(reply) = script.lock().unwrap().pop_front() else {
            return Ok(0);
        };
        let id = waiting.pop_front().unwrap();
        out.push(Completion {
            id,
            result: reply.map_err(Error::from),
        });
        Ok(1)
    });
    (link, sent)
}

fn worker(link: MockWorker<BlockMessage>, pools: Pools) -> (BlockWorker, tempfile::TempDir) {
    let meta = tempfile::tempdir().unwrap();
    let disk = Arc::new(MemDirectory::new());
    let engine = Engine::open(
        disk,
        meta.path(),
        &config(meta.path()),
        Arc::new(ManualClock::new()),
    )
    .unwrap();
    (engine.workers.worker_with(Box::new(link), pools).unwrap(), meta)
}

#[test]
fn a_put_takes_its_block_from_the_pool_of_its_class_and_a_dropped_one_gives_it_back() {
    let mut pools = stacks();
    let mut pool = MockBlockPool::new();
    pool.expect_acquire()
        .times(1)
        .returning(|| Some(Block::granted(address(5))));
    pool.expect_deficit().return_const(0_usize);
    pool.expect_available().return_const(1_usize);
    pool.expect_release()
        .times(1)
        .withf(|block| block.address() == address(5))
        .returning(|_| Ok(()));
    // When the worker goes, it empties its pools.
    pool.expect_acquire().times(1).returning(|| None);
    pools[0] = Box::new(pool);
    let (mut worker, _meta) = worker(scripted(&Script::default()).0, pools);
    let put = worker.begin_put(4096).unwrap().unwrap();
    drop(put);
    assert!(worker.poll(&mut Vec::new()).is_ok());
}

#[test]
fn a_refused_naming_gives_the_block_back_and_one_in_doubt_does_not() {
    for (kind, reused) in [
        (ErrorKind::Full, true),
        (ErrorKind::Unavailable, true),
        (ErrorKind::Poisoned, false),
        (ErrorKind::Closed, false),
    ] {
        let script = Script::default();
        script
            .lock()
            .unwrap()
            .extend([Ok(BlockReply::Granted(vec![address(3)])), Err(kind)]);
        let (link, sent) = scripted(&script);
        let (mut worker, _meta) = worker(link, stacks());
        let mut done = Vec::new();
        assert!(worker.begin_put(10).unwrap().is_none(), "the pool is empty");
        assert!(worker.poll(&mut done).unwrap().retry_puts);
        let mut put = worker.begin_put(10).unwrap().unwrap();
        put.write(&body(1, 10)).unwrap();
        worker.finish_put(put).map_err(|refused| refused.error).unwrap();
        // A request for more blocks goes out after it.
        script.lock().unwrap().push_back(Ok(BlockReply::Granted(vec![])));
        while done.is_empty() {
            worker.poll(&mut done).unwrap();
        }
        assert_eq!(done.pop().unwrap().outcome.err().unwrap().kind(), kind);
        assert_eq!(
            worker.pooled(SizeClass::SMALLEST),
            usize::from(reused),
            "{kind:?}"
        );
        assert!(sent.lock().unwrap().contains(&BlockMessage::Occupy {
            digest: Digest::of(&body(1, 10)),
            address: address(3),
            len_bytes: 10,
        }));
    }
}

#[test]
fn an_unfinished_or_overlong_body_is_refused_and_handed_back() {
    let script = Script::default();
    script
        .lock()
        .unwrap()
        .push_back(Ok(BlockReply::Granted(vec![address(0)])));
    let (mut worker, _meta) = worker(scripted(&script).0, stacks());
    assert_eq!(worker.begin_put(0).err().unwrap().kind(), ErrorKind::InvalidInput);
    assert_eq!(
        worker.begin_put(524_289).err().unwrap().kind(),
        ErrorKind::TooLarge
    );
    let mut done = Vec::new();
    assert!(worker.begin_put(10).unwrap().is_none());
    worker.poll(&mut done).unwrap();
    let mut put = worker.begin_put(10).unwrap().unwrap();
    put.write(b"12345").unwrap();
    assert_eq!(
        put.write(b"678901").unwrap_err().kind(),
        ErrorKind::InvalidInput,
        "one byte too many"
    );
    let refused = worker.finish_put(put).err().unwrap();
    assert_eq!(refused.error.kind(), ErrorKind::InvalidInput);
    let mut put = refused.item;
    assert_eq!(put.remaining_bytes(), 5, "nothing of the refused write was taken");
    put.write(b"67890").unwrap();
    assert!(worker.finish_put(put).is_ok());
}

#[test]
fn without_a_credit_the_put_comes_back_and_can_be_finished_later() {
    let mut link = MockWorker::new();
    let mut calls = 0;
    link.expect_submit().returning(move |message| {
        calls += 1;
        if calls == 1 {
            Err(PushError::Full(message))
        } else {
            Ok(RequestId(calls))
        }
    });
    link.expect_flush().returning(|| Ok(()));
    link.expect_reap().returning(|_, _| Ok(0));
    let mut pools = stacks();
    for number in 0..4 {
        pools[0].release(Block::granted(address(number))).unwrap();
    }
    let (mut worker, _meta) = worker(link, pools);
    let mut put = worker.begin_put(3).unwrap().unwrap();
    put.write(b"abc").unwrap();
    let refused = worker.finish_put(put).err().unwrap();
    assert_eq!(refused.error.kind(), ErrorKind::Unavailable);
    assert!(worker.finish_put(refused.item).is_ok());
}

#[test]
fn content_that_was_stored_before_gives_its_block_back() {
    let script = Script::default();
    script.lock().unwrap().extend([
        Ok(BlockReply::Granted(vec![address(1), address(0)])),
        Ok(BlockReply::Occupied {
            unused: Some(address(0)),
        }),
    ]);
    let (mut worker, _meta) = worker(scripted(&script).0, stacks());
    let mut done = Vec::new();
    assert!(worker.begin_put(3).unwrap().is_none());
    worker.poll(&mut done).unwrap();
    let mut put = worker.begin_put(3).unwrap().unwrap();
    put.write(b"abc").unwrap();
    let ticket = worker.finish_put(put).map_err(|refused| refused.error).unwrap();
    worker.poll(&mut done).unwrap();
    let end = done.pop().unwrap();
    assert_eq!(end.ticket, ticket);
    assert!(
        matches!(end.outcome, Ok(Outcome::Stored { existed: true, .. })),
        "not stored"
    );
    assert_eq!(worker.pooled(SizeClass::SMALLEST), 2);
}

#[test]
fn what_a_worker_hands_out_may_go_to_other_threads() {
    fn is_send<T: Send>() {}
    is_send::<BlockWorker>();
    is_send::<quintet_blockstore::Put>();
    is_send::<quintet_blockstore::Extent>();
    is_send::<quintet_blockstore::BlockStore>();
}
