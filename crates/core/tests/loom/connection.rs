//! One worker and one controller: credits, the end against a submit, the end against a new connection.

use crate::explore;
use loom::thread;
use quintet_core::{
    BatchConfig, BatchController, Closed, Completion, Controller, Doorbell, ErrorKind, Keyed, Parker, Port,
    Producer, PushError, Queue, QueueWorker, Request, Worker,
    fake::{FakeHandler, FakeQueue, ManualClock},
};
use std::{num::NonZeroUsize, sync::Arc};

const ONE: NonZeroUsize = NonZeroUsize::MIN;

fn controller(doorbell: Doorbell) -> BatchController<Keyed, FakeHandler> {
    let clock = Arc::new(ManualClock::new());
    BatchController::new(FakeHandler::new(), clock, doorbell, BatchConfig::default())
}

fn add() -> Keyed {
    Keyed::Add {
        key: b"n".to_vec(),
        delta: 1,
    }
}

/// Reaps until `count` completions came or the worker is closed.
fn reap(worker: &mut impl Worker<Keyed>, count: usize) -> Vec<Completion<Keyed>> {
    let mut done = Vec::new();
    while done.len() < count {
        match worker.reap(&mut done, 8) {
            Ok(0) => thread::yield_now(),
            Ok(_) => {}
            Err(Closed) => break,
        }
    }
    done
}

/// A reply queue in which a reply that does not fit is a failure of the model.
struct NeverFull<P>(P);

impl<T: Send + 'static, P: Producer<T>> Producer<T> for NeverFull<P> {
    fn push(&mut self, item: T) -> Result<(), PushError<T>> {
        self.0.push(item)
    }
    fn push_batch(&mut self, items: &mut Vec<T>) -> Result<usize, Closed> {
        let pushed = self.0.push_batch(items);
        assert!(
            pushed.is_err() || items.is_empty(),
            "a reply found its queue full"
        );
        pushed
    }
    fn free(&self) -> usize {
        self.0.free()
    }
}

/// Budget: 2 preemptions, 2 threads, 1 credit, 2 requests. Submit as soon as a credit is back, against tick and reply.
#[test]
fn a_credit_is_room_for_a_reply_and_no_request_is_lost() {
    explore(2, || {
        let mut controller = controller(Doorbell::silent());
        let (requests, requests_out) = <FakeQueue as Queue<Request<Keyed>>>::bounded(ONE);
        let (replies, replies_out) = <FakeQueue as Queue<Completion<Keyed>>>::bounded(ONE);
        let port = Port::new(
            Box::new(requests_out),
            Box::new(NeverFull(replies)),
            Doorbell::silent(),
        );
        controller.connector().attach(port).unwrap();
        let mut worker = QueueWorker::new(Box::new(requests), Box::new(replies_out), ONE, Doorbell::silent());
        let asker = thread::spawn(move || {
            for _ in 0..2 {
                worker.submit(add()).unwrap();
                assert!(worker.submit(add()).is_err(), "there was one credit");
                worker.flush().unwrap();
                let done = reap(&mut worker, 1);
                assert!(done[0].result.is_ok());
                assert_eq!(worker.in_flight(), 0);
            }
        });
        while controller.handler().handled() < 2 {
            let _tick = controller.tick(ONE).unwrap();
            thread::yield_now();
        }
        asker.join().unwrap();
    });
}

/// Budget: 2 preemptions, 2 threads. The controller sleeps on its doorbell; a flush, and later the stop, must wake it.
#[test]
fn a_sleeping_controller_is_woken_by_a_flush_and_by_stop() {
    explore(2, || {
        let parker = Parker::new();
        let mut controller = controller(parker.doorbell());
        let connector = controller.connector();
        let mut worker = connector.connect::<FakeQueue>(ONE, Doorbell::silent()).unwrap();
        let asker = thread::spawn(move || {
            worker.submit(add()).unwrap();
            worker.flush().unwrap();
            let done = reap(&mut worker, 1);
            connector.stop();
            assert!(done[0].result.is_ok(), "{done:?}");
        });
        controller.run(&parker).unwrap();
        asker.join().unwrap();
    });
}

/// Budget: 3 preemptions, 2 threads, 2 requests. Whatever the shutdown cuts through, each request that was submitted is
/// answered once: by its reply, or as closed.
#[test]
fn a_shutdown_answers_each_submitted_request_once() {
    explore(3, || {
        let mut controller = controller(Doorbell::silent());
        let two = NonZeroUsize::new(2).unwrap();
        let mut worker = controller
            .connector()
            .connect::<FakeQueue>(two, Doorbell::silent())
            .unwrap();
        let asker = thread::spawn(move || {
            let mut submitted = Vec::new();
            for _ in 0..2 {
                submitted.extend(worker.submit(add()).ok());
                let _closed = worker.flush();
            }
            let mut done = reap(&mut worker, submitted.len());
            let mut replies = 0;
            done.sort_by_key(|done| done.id);
            assert_eq!(done.iter().map(|done| done.id).collect::<Vec<_>>(), submitted);
            for done in done {
                match done.result {
                    Ok(_) => replies += 1,
                    Err(error) => assert_eq!(error.kind(), ErrorKind::Closed),
                }
            }
            assert_eq!(
                worker.reap(&mut Vec::new(), 8).unwrap_or(0),
                0,
                "one answer too many"
            );
            replies
        });
        controller.shutdown().unwrap();
        let replies = asker.join().unwrap();
        assert!(
            replies <= controller.handler().handled(),
            "a reply without its request"
        );
    });
}

fn connect_against(end: fn(BatchController<Keyed, FakeHandler>)) {
    explore(3, move || {
        let controller = controller(Doorbell::silent());
        let connector = controller.connector();
        let comer = thread::spawn(move || {
            let Ok(mut worker) = connector.connect::<FakeQueue>(ONE, Doorbell::silent()) else {
                return;
            };
            let submitted = worker.submit(add()).is_ok();
            let _closed = worker.flush();
            let done = reap(&mut worker, 1);
            assert_eq!(
                done.len(),
                usize::from(submitted),
                "who got in is answered: {done:?}"
            );
        });
        end(controller);
        comer.join().unwrap();
    });
}

/// Budget: 3 preemptions, 2 threads. A connection is refused, or its request is answered; it never waits for ever.
#[test]
fn a_connection_that_races_with_the_shutdown_is_refused_or_answered() {
    connect_against(|mut controller| {
        let _tick = controller.tick(ONE).unwrap();
        controller.shutdown().unwrap();
    });
}

/// The same when the controller is dropped without a shutdown.
#[test]
fn a_connection_that_races_with_a_drop_is_refused_or_answered() {
    connect_against(|mut controller| {
        let _tick = controller.tick(ONE).unwrap();
    });
}
