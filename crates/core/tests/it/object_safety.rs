//! Every trait but the queue factory can be a trait object, and every mock is used as one.

use quintet_core::{
    Block, BlockAddress, BlockPool, Clock, Closed, Commit, Completion, Consumer, Controller, Keyed,
    KeyedReply, MessageHandler, PopError, Producer, PushError, RequestId, SizeClass, SystemClock, Tick,
    Worker,
    mock::{MockBlockPool, MockConsumer, MockController, MockMessageHandler, MockProducer, MockWorker},
};
use std::num::NonZeroUsize;

fn get() -> Keyed {
    Keyed::Get { key: b"k".to_vec() }
}

#[test]
fn queue_halves() {
    let mut mock = MockProducer::new();
    mock.expect_push()
        .times(1)
        .returning(|item| Err(PushError::Full(item)));
    mock.expect_free().return_const(3_usize);
    let mut producer: Box<dyn Producer<u8>> = Box::new(mock);
    assert_eq!(producer.push(5), Err(PushError::Full(5)));
    assert_eq!(producer.free(), 3);

    let mut mock = MockConsumer::new();
    mock.expect_pop().times(1).return_const(Err(PopError::Closed));
    mock.expect_pop_batch().times(1).returning(|out, max| {
        out.resize(max, 9);
        Ok(max)
    });
    let mut consumer: Box<dyn Consumer<u8>> = Box::new(mock);
    let mut out = Vec::new();
    assert_eq!(consumer.pop(), Err(PopError::Closed));
    assert_eq!(consumer.pop_batch(&mut out, 2), Ok(2));
    assert_eq!(out, [9, 9]);
}

#[test]
fn handler() {
    let mut mock = MockMessageHandler::new();
    mock.expect_handle()
        .times(2)
        .returning(|_| Ok(KeyedReply::Stored));
    mock.expect_commit().times(1).returning(|| Ok(Commit::Done));
    let mut handler: Box<dyn MessageHandler<Keyed>> = Box::new(mock);
    let mut out = Vec::new();
    let request = |id| quintet_core::Request {
        id: RequestId(id),
        message: get(),
    };
    handler.handle_batch(&mut vec![request(1), request(2)], &mut out);
    assert_eq!(out.len(), 2, "the provided loop runs over the mocked call");
    assert_eq!(handler.commit().unwrap(), Commit::Done);
}

#[test]
fn pool() {
    let address = BlockAddress {
        class: SizeClass::SMALLEST,
        number: 4,
    };
    let mut mock = MockBlockPool::new();
    mock.expect_acquire()
        .times(1)
        .returning(move || Some(Block::granted(address)));
    mock.expect_release().times(1).returning(Err);
    let mut pool: Box<dyn BlockPool> = Box::new(mock);
    let block = pool.acquire().unwrap();
    assert_eq!(pool.release(block), Err(Block::granted(address)));
}

#[test]
fn controller() {
    let mut mock = MockController::new();
    mock.expect_tick().times(1).returning(|_| Ok(Tick::Idle));
    mock.expect_shutdown().times(1).returning(|| Ok(()));
    let mut controller: Box<dyn Controller> = Box::new(mock);
    assert_eq!(controller.tick(NonZeroUsize::MIN).unwrap(), Tick::Idle);
    controller.shutdown().unwrap();
}

#[test]
fn worker() {
    let mut mock = MockWorker::new();
    mock.expect_submit().times(1).returning(|_| Ok(RequestId(8)));
    mock.expect_flush().times(1).return_const(Err(Closed));
    mock.expect_reap().times(1).returning(|out, _| {
        let result = Ok(KeyedReply::Stored);
        out.push(Completion {
            id: RequestId(8),
            result,
        });
        Ok(1)
    });
    let mut worker: Box<dyn Worker<Keyed>> = Box::new(mock);
    assert_eq!(worker.submit(get()), Ok(RequestId(8)));
    assert_eq!(worker.flush(), Err(Closed));
    let mut done = Vec::new();
    assert_eq!(worker.reap(&mut done, 1), Ok(1));
    assert_eq!(done[0].id, RequestId(8));
}

#[test]
fn clock() {
    let clock: Box<dyn Clock> = Box::new(SystemClock);
    assert!(clock.now() <= clock.now());
}
