//! Mocks that delegate to a fake: real by default, override one call.
//!
//! Expectations are tried in the order in which they were set, so the ones that a test adds in `overrides` come first;
//! one with a limited number of times hands over to the fake when it is used up.
//!
//! ```
//! use quintet_core::{Producer, PushError, Queue, fake::FakeQueue, mock::over_fake};
//! use std::num::NonZeroUsize;
//!
//! let (tx, _rx) = <FakeQueue as Queue<u32>>::bounded(NonZeroUsize::new(4).unwrap());
//! let mut tx = over_fake::producer(over_fake::shared(tx), |mock| {
//!     mock.expect_push().times(1).returning(|item| Err(PushError::Full(item)));
//! });
//! assert_eq!(tx.push(7), Err(PushError::Full(7)));
//! assert_eq!(tx.push(7), Ok(()));
//! ```

use super::{MockBlockPool, MockConsumer, MockController, MockMessageHandler, MockProducer, MockWorker};
use crate::{
    BlockPool, Consumer, Controller, Message, MessageHandler, Producer, Queue, Worker, fake::FakeQueue,
};
use std::{
    num::NonZeroUsize,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

/// A fake that a mock and its test share, so that the test can still turn its knobs.
pub type Shared<F> = Arc<Mutex<F>>;

/// Makes a fake shareable.
pub fn shared<F>(fake: F) -> Shared<F> {
    Arc::new(Mutex::new(fake))
}

fn lock<F>(fake: &Shared<F>) -> MutexGuard<'_, F> {
    fake.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Sets one unlimited expectation per method that calls the same method of the fake.
macro_rules! delegate {
    ($mock:ident, $fake:ident: $($expect:ident => $method:ident($($argument:ident),*);)+) => {
        $(
            let owned = Arc::clone(&$fake);
            $mock.$expect().returning(move |$($argument),*| lock(&owned).$method($($argument),*));
        )+
    };
}

/// A producer that works like `fake`, except for what `overrides` expects.
pub fn producer<T, P>(fake: Shared<P>, overrides: impl FnOnce(&mut MockProducer<T>)) -> MockProducer<T>
where
    T: Send + 'static,
    P: Producer<T> + 'static,
{
    let mut mock = MockProducer::new();
    overrides(&mut mock);
    delegate! { mock, fake:
        expect_push => push(item);
        expect_push_batch => push_batch(items);
        expect_free => free();
    }
    mock
}

/// A consumer that works like `fake`, except for what `overrides` expects.
pub fn consumer<T, C>(fake: Shared<C>, overrides: impl FnOnce(&mut MockConsumer<T>)) -> MockConsumer<T>
where
    T: Send + 'static,
    C: Consumer<T> + 'static,
{
    let mut mock = MockConsumer::new();
    overrides(&mut mock);
    delegate! { mock, fake:
        expect_pop => pop();
        expect_pop_batch => pop_batch(out, max);
        expect_ready => ready();
    }
    mock
}

/// A handler that works like `fake`, except for what `overrides` expects. The mock has the default
/// [`durable`](MessageHandler::durable), so the fake must not delay its commits.
pub fn handler<M, H>(
    fake: Shared<H>,
    overrides: impl FnOnce(&mut MockMessageHandler<M>),
) -> MockMessageHandler<M>
where
    M: Message,
    H: MessageHandler<M> + Send + 'static,
{
    let mut mock = MockMessageHandler::new();
    overrides(&mut mock);
    delegate! { mock, fake:
        expect_handle => handle(message);
        expect_commit => commit();
    }
    mock
}

/// A pool that works like `fake`, except for what `overrides` expects.
pub fn pool<P>(fake: Shared<P>, overrides: impl FnOnce(&mut MockBlockPool)) -> MockBlockPool
where
    P: BlockPool + Send + 'static,
{
    let mut mock = MockBlockPool::new();
    overrides(&mut mock);
    delegate! { mock, fake:
        expect_class => class();
        expect_acquire => acquire();
        expect_release => release(block);
        expect_available => available();
        expect_deficit => deficit();
    }
    mock
}

/// A controller that works like `fake`, except for what `overrides` expects.
pub fn controller<C>(fake: Shared<C>, overrides: impl FnOnce(&mut MockController)) -> MockController
where
    C: Controller + Send + 'static,
{
    let mut mock = MockController::new();
    overrides(&mut mock);
    delegate! { mock, fake:
        expect_tick => tick(budget_messages);
        expect_shutdown => shutdown();
    }
    mock
}

/// A worker that works like `fake`, except for what `overrides` expects.
pub fn worker<M, W>(fake: Shared<W>, overrides: impl FnOnce(&mut MockWorker<M>)) -> MockWorker<M>
where
    M: Message,
    W: Worker<M> + Send + 'static,
{
    let mut mock = MockWorker::new();
    overrides(&mut mock);
    delegate! { mock, fake:
        expect_submit => submit(message);
        expect_flush => flush();
        expect_reap => reap(out, max);
        expect_in_flight => in_flight();
    }
    mock
}

/// A kind of queue whose halves are mocks over a [`FakeQueue`]'s: for code that is generic over its queue.
pub struct MockQueue;

impl<T: Send + 'static> Queue<T> for MockQueue {
    type Producer = MockProducer<T>;
    type Consumer = MockConsumer<T>;

    fn bounded(capacity: NonZeroUsize) -> (MockProducer<T>, MockConsumer<T>) {
        let (tx, rx) = FakeQueue::bounded(capacity);
        (producer(shared(tx), |_| ()), consumer(shared(rx), |_| ()))
    }
}
