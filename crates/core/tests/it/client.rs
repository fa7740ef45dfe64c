//! The async client under a small executor of its own: answers, refusals, futures that are dropped, many threads.

use crate::subjects::{Served, fake_controller};
use quintet_core::{
    BatchController, Call, Client, Connector, Controller, ErrorKind, Inline, Keyed, KeyedReply,
    fake::{FakeHandler, FakeQueue},
    rtrb_queue::RtrbQueue,
};
use std::{
    future::Future,
    num::NonZeroUsize,
    pin::{Pin, pin},
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
    thread::{self, Thread},
    time::{Duration, Instant},
};

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// Polls until ready, asleep in between; a lost wake-up is a panic, not a hang.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let give_up = Instant::now() + Duration::from_secs(30);
    let mut future = pin!(future);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    loop {
        if let Poll::Ready(value) = future.as_mut().poll(&mut Context::from_waker(&waker)) {
            return value;
        }
        let left = give_up.saturating_duration_since(Instant::now());
        assert!(!left.is_zero(), "nobody woke this future for 30 seconds");
        thread::park_timeout(left);
    }
}

#[derive(Default)]
struct Counter(AtomicUsize);

impl Wake for Counter {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }
}

fn poll_with(call: &mut Call<Keyed>, waker: &Waker) -> Poll<quintet_core::Result<KeyedReply>> {
    Pin::new(call).poll(&mut Context::from_waker(waker))
}

fn poll(call: &mut Call<Keyed>) -> Poll<quintet_core::Result<KeyedReply>> {
    poll_with(call, Waker::noop())
}

fn add(key: &str, delta: i64) -> Keyed {
    Keyed::Add {
        key: key.into(),
        delta,
    }
}

const CREDITS: NonZeroUsize = NonZeroUsize::new(2).unwrap();

fn client(controller: &BatchController<Keyed, FakeHandler>) -> Client<Keyed> {
    Client::connect::<FakeQueue>(&controller.connector(), CREDITS).unwrap()
}

#[test]
fn a_call_is_answered_by_a_controller_on_another_thread() {
    let served = Served::<RtrbQueue>::new();
    let connector: &Connector<Keyed> = served.connector();
    let client = Client::connect::<RtrbQueue>(connector, CREDITS).unwrap();
    for n in 1..200 {
        assert_eq!(block_on(client.call(add("n", 1))).unwrap(), KeyedReply::Sum(n));
    }
}

#[test]
fn a_call_wakes_its_own_waker_once_its_answer_is_there() {
    let mut controller = fake_controller();
    let client = client(&controller);
    let counter = Arc::new(Counter::default());
    let waker = Waker::from(Arc::clone(&counter));
    let mut call = client.call(add("n", 1));
    assert_eq!(
        controller.tick(CREDITS).unwrap(),
        quintet_core::Tick::Idle,
        "nothing is sent before the first poll"
    );
    assert!(poll(&mut call).is_pending());
    assert!(
        poll_with(&mut call, &waker).is_pending(),
        "the second waker replaces the first"
    );
    assert_eq!(counter.0.load(Ordering::SeqCst), 0);
    let _tick = controller.tick(CREDITS).unwrap();
    assert_eq!(counter.0.load(Ordering::SeqCst), 1);
    assert!(matches!(poll(&mut call), Poll::Ready(Ok(KeyedReply::Sum(1)))));
    let again = poll(&mut call);
    assert!(
        matches!(&again, Poll::Ready(Err(error)) if error.kind() == ErrorKind::Closed),
        "{again:?}"
    );
}

#[test]
fn without_a_credit_a_call_is_unavailable_and_the_next_one_is_not() {
    let mut controller = fake_controller();
    let client = client(&controller);
    let mut calls = [client.call(add("n", 1)), client.call(add("n", 1))];
    for call in &mut calls {
        assert!(poll(call).is_pending());
    }
    let refused = poll(&mut client.call(add("n", 1)));
    assert!(
        matches!(&refused, Poll::Ready(Err(error)) if error.kind() == ErrorKind::Unavailable),
        "{refused:?}"
    );
    let _tick = controller.tick(CREDITS).unwrap();
    assert!(
        poll(&mut client.call(add("n", 1))).is_pending(),
        "the credits came back"
    );
    for (call, sum) in calls.iter_mut().zip(1..) {
        assert!(matches!(poll(call), Poll::Ready(Ok(KeyedReply::Sum(seen))) if seen == sum));
    }
}

#[test]
fn a_dropped_call_gives_its_credit_back_and_its_operation_happens() {
    let mut controller = fake_controller();
    let client = client(&controller);
    for _ in 0..10 {
        let mut call = client.call(add("n", 1));
        assert!(poll(&mut call).is_pending());
        drop(call);
        let _tick = controller.tick(CREDITS).unwrap();
    }
    drop(client.call(add("n", 1_000)));
    let mut call = client.call(add("n", 0));
    assert!(poll(&mut call).is_pending());
    let _tick = controller.tick(CREDITS).unwrap();
    let sum = poll(&mut call);
    assert!(matches!(sum, Poll::Ready(Ok(KeyedReply::Sum(10)))), "{sum:?}");
}

#[test]
fn calls_of_a_controller_that_goes_are_closed() {
    let mut controller = fake_controller();
    let client = client(&controller);
    let counter = Arc::new(Counter::default());
    let waker = Waker::from(Arc::clone(&counter));
    let mut sent = client.call(add("n", 1));
    assert!(poll_with(&mut sent, &waker).is_pending());
    drop(controller);
    assert_eq!(counter.0.load(Ordering::SeqCst), 1, "who waits must be told");
    for mut call in [sent, client.call(add("n", 1))] {
        let answer = poll(&mut call);
        assert!(
            matches!(&answer, Poll::Ready(Err(error)) if error.kind() == ErrorKind::Closed),
            "{answer:?}"
        );
    }
    controller = fake_controller();
    let connector = controller.connector();
    controller.shutdown().unwrap();
    assert!(Client::connect::<FakeQueue>(&connector, CREDITS).is_err());
}

/// A task that owns itself through its waker, and with it a call of the same client: dropping the waker drops the call.
struct OwnTask(Mutex<Option<Call<Keyed>>>);

impl Wake for OwnTask {
    fn wake(self: Arc<Self>) {}
}

#[test]
fn a_waker_that_owns_a_call_may_be_dropped_with_another() {
    for replace in [false, true] {
        let (done, finished) = std::sync::mpsc::channel();
        thread::spawn(move || {
            let controller = fake_controller();
            let client = client(&controller);
            let mut inner = client.call(add("n", 1));
            assert!(poll(&mut inner).is_pending());
            let mut outer = client.call(add("n", 1));
            let task = Arc::new(OwnTask(Mutex::new(Some(inner))));
            assert!(task.0.lock().unwrap().is_some());
            // The client now holds the only handle on the task.
            assert!(poll_with(&mut outer, &Waker::from(task)).is_pending());
            if replace {
                assert!(poll(&mut outer).is_pending());
            }
            drop(outer);
            done.send(()).unwrap();
        });
        let ended = finished.recv_timeout(Duration::from_secs(20));
        assert_eq!(
            ended,
            Ok(()),
            "the client dropped a waker under its own lock (replace: {replace})"
        );
    }
}

#[test]
fn an_inline_worker_answers_in_the_first_poll() {
    let client = Client::over(|_bell| Inline::new(FakeHandler::new(), CREDITS));
    let answer = poll(&mut client.call(add("n", 4)));
    assert!(
        matches!(answer, Poll::Ready(Ok(KeyedReply::Sum(4)))),
        "{answer:?}"
    );
}

#[test]
fn many_threads_share_one_client() {
    const THREADS: usize = 4;
    const CALLS: i64 = 300;
    let served = Served::<RtrbQueue>::new();
    let credits = NonZeroUsize::new(THREADS).unwrap();
    let client = Client::connect::<RtrbQueue>(served.connector(), credits).unwrap();
    thread::scope(|scope| {
        for _ in 0..THREADS {
            let client = client.clone();
            scope.spawn(move || {
                for _ in 0..CALLS {
                    block_on(client.call(add("sum", 1))).unwrap();
                }
            });
        }
    });
    let sum = block_on(client.call(add("sum", 0))).unwrap();
    assert_eq!(sum, KeyedReply::Sum(CALLS * THREADS as i64));
}
