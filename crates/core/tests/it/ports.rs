//! Ports that come and go, that keep sending, that do not keep to their credits; and the controller that goes first.

use crate::{
    batch::{count, put, reap, send},
    subjects::{CREDITS, fake_controller, settle},
};
use quintet_core::{
    Closed, Completion, Consumer, Controller, Doorbell, ErrorKind, Keyed, KeyedReply, Port, Queue, Request,
    RequestId, Worker, fake::FakeQueue, mock::over_fake,
};

#[test]
fn a_port_that_goes_mid_flight_loses_its_replies_and_nothing_else() {
    let mut controller = fake_controller();
    let connector = controller.connector();
    let mut goes = connector
        .connect::<FakeQueue>(CREDITS, Doorbell::silent())
        .unwrap();
    let mut stays = connector
        .connect::<FakeQueue>(CREDITS, Doorbell::silent())
        .unwrap();
    controller.handler_mut().delay_commits(true);
    send(&mut goes, put("gone"));
    send(&mut stays, put("here"));
    let _tick = controller.tick(CREDITS).unwrap();
    drop(goes);
    let _tick = controller.tick(CREDITS).unwrap();
    // Takes the place of the one that went, while replies to that one are still held.
    let mut comes = connector
        .connect::<FakeQueue>(CREDITS, Doorbell::silent())
        .unwrap();
    let _tick = controller.tick(CREDITS).unwrap();
    settle(controller.handler_mut());
    let _tick = controller.tick(CREDITS).unwrap();
    assert_eq!(reap(&mut stays).len(), 1);
    assert!(reap(&mut comes).is_empty(), "a reply reached the wrong worker");
    send(
        &mut comes,
        Keyed::Get {
            key: b"gone".to_vec(),
        },
    );
    let _tick = controller.tick(CREDITS).unwrap();
    let value = reap(&mut comes).pop().unwrap().result.unwrap();
    assert_eq!(
        value,
        KeyedReply::Value(Some(b"v".to_vec())),
        "a request that arrived is honoured"
    );
}

#[test]
fn ports_may_come_at_any_time() {
    let mut controller = fake_controller();
    let connector = controller.connector();
    let mut workers = Vec::new();
    for n in 0..20 {
        workers.push(
            connector
                .connect::<FakeQueue>(CREDITS, Doorbell::silent())
                .unwrap(),
        );
        assert!(controller.has_work(), "the controller is not told of port {n}");
        for worker in &mut workers {
            send(worker, put("k"));
        }
        let _tick = controller.tick(count(100)).unwrap();
        for worker in &mut workers {
            assert_eq!(reap(worker).len(), 1);
        }
    }
}

/// A port whose producer keeps sending while the shutdown collects must not take the place of what was queued before.
#[test]
fn shutdown_answers_what_was_queued_although_others_keep_sending() {
    let mut controller = fake_controller();
    let connector = controller.connector();
    let (replies, _replies_out) = <FakeQueue as Queue<Completion<Keyed>>>::bounded(count(100));
    let never_empty = over_fake::consumer(over_fake::shared(FakeQueue::bounded(count(1)).1), move |mock| {
        mock.expect_ready().return_const(1_usize);
        mock.expect_pop_batch().returning(move |out, max| {
            let id = |at| RequestId(at as u64);
            out.extend((0..max).map(|at| Request {
                id: id(at),
                message: put("busy"),
            }));
            Ok(max)
        });
    });
    connector
        .attach(Port::new(
            Box::new(never_empty),
            Box::new(replies),
            Doorbell::silent(),
        ))
        .unwrap();
    let mut quiet = connector
        .connect::<FakeQueue>(CREDITS, Doorbell::silent())
        .unwrap();
    for _ in 0..CREDITS.get() {
        send(&mut quiet, put("quiet"));
    }
    controller.shutdown().unwrap();
    let done = reap(&mut quiet);
    assert_eq!(done.len(), CREDITS.get());
    assert!(
        done.iter().all(|done| done.result.is_ok()),
        "a queued request was not answered: {done:?}"
    );
}

/// A transport that does not keep to its credits is served no faster than it takes its answers.
#[test]
fn a_transport_without_room_for_replies_is_held_back_and_loses_nothing() {
    let mut controller = fake_controller();
    let (mut requests, requests_out) = <FakeQueue as Queue<Request<Keyed>>>::bounded(count(100));
    let (replies, mut replies_out) = <FakeQueue as Queue<Completion<Keyed>>>::bounded(count(2));
    let port = Port::new(Box::new(requests_out), Box::new(replies), Doorbell::silent());
    controller.connector().attach(port).unwrap();
    for id in 0..20 {
        let request = Request {
            id: RequestId(id),
            message: put("k"),
        };
        quintet_core::Producer::push(&mut requests, request).unwrap();
    }
    for _ in 0..10 {
        let _tick = controller.tick(count(5)).unwrap();
    }
    assert_eq!(
        controller.handler().handled(),
        5,
        "requests were taken although their answers do not fit"
    );
    assert!(
        !controller.has_work(),
        "nothing can be done until the transport takes its answers"
    );
    let mut seen = Vec::new();
    for _ in 0..100 {
        replies_out.pop_batch(&mut seen, 1).unwrap();
        if controller.has_work() {
            let _tick = controller.tick(count(5)).unwrap();
        }
    }
    let ids: Vec<_> = seen.iter().map(|done| done.id.0).collect();
    assert_eq!(ids, (0..20).collect::<Vec<_>>());
}

#[test]
fn a_controller_that_is_dropped_tells_everyone() {
    let controller = fake_controller();
    let connector = controller.connector();
    let mut worker = connector
        .connect::<FakeQueue>(CREDITS, Doorbell::silent())
        .unwrap();
    send(&mut worker, put("k"));
    drop(controller);
    assert_eq!(
        reap(&mut worker).pop().unwrap().result.unwrap_err().kind(),
        ErrorKind::Closed
    );
    assert_eq!(worker.reap(&mut Vec::new(), 1), Err(Closed));
    assert!(
        connector
            .connect::<FakeQueue>(CREDITS, Doorbell::silent())
            .is_err()
    );
}
