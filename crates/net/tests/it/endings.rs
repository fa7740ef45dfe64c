//! Connections that end early: nothing leaks, nobody is answered twice, and a late answer reaches nobody.

use crate::recorder::{Event, Harness, get, put};

fn abandoned(harness: &mut Harness) -> usize {
    harness
        .events()
        .iter()
        .filter(|event| matches!(event, Event::Abandoned(_)))
        .count()
}

#[test]
fn a_broken_connection_abandons_every_open_exchange() {
    let mut harness = Harness::new();
    harness.feed(
        [
            get("/later"),
            get("/later"),
            put("/now", "Content-Length: 9\r\n", "abc"),
        ]
        .concat(),
    );
    harness.driver.failed(harness.id);
    harness.settle(usize::MAX);
    assert!(!harness.alive);
    assert_eq!(abandoned(&mut harness), 3);
    let id = harness.service().held[0];
    harness.service().answer_now.push(id);
    harness.driver.turn(std::time::Instant::now());
    assert_eq!(harness.service().dead_answers, 1);
}

#[test]
fn a_late_answer_never_reaches_the_next_connection() {
    let mut harness = Harness::new();
    harness.feed(get("/later"));
    harness.driver.failed(harness.id);
    harness.settle(usize::MAX);
    let now = std::time::Instant::now();
    let next = harness.driver.open("127.0.0.1:2".parse().unwrap(), now).unwrap();
    harness.driver.received(next, get("/later").as_bytes(), now);
    let stale = harness.service().held[0];
    harness.service().answer_now.push(stale);
    harness.driver.turn(now);
    assert_eq!(harness.service().dead_answers, 1);
    assert_eq!(harness.driver.take_output(next, 1000, now), b"");
}

#[test]
fn half_a_body_is_abandoned_and_earlier_requests_are_answered() {
    let mut harness = Harness::new();
    harness.feed([get("/later"), put("/now", "Content-Length: 9\r\n", "abc")].concat());
    harness.finish();
    assert_eq!(abandoned(&mut harness), 1);
    assert!(harness.alive, "the first request is still owed an answer");
    let id = harness.service().held[0];
    harness.service().answer_now.push(id);
    harness.turn();
    assert_eq!(harness.statuses(), [200]);
    assert!(!harness.alive);
}

#[test]
fn a_client_may_stop_sending_and_wait() {
    let mut harness = Harness::new();
    harness.feed(get("/later"));
    harness.finish();
    assert!(harness.alive);
    let id = harness.service().held[0];
    harness.service().answer_now.push(id);
    harness.turn();
    assert_eq!((harness.statuses(), harness.alive), (vec![200], false));
}

#[test]
fn drain_finishes_what_is_begun() {
    let mut idle = Harness::new();
    idle.feed(get("/now"));
    idle.drain();
    assert!(!idle.alive);

    let mut busy = Harness::new();
    busy.feed([get("/later"), get("/later")].concat());
    busy.drain();
    assert!(busy.alive);
    let held: Vec<_> = busy.service().held.drain(..).collect();
    busy.service().answer_now.extend(held);
    busy.turn();
    assert_eq!(busy.statuses(), [200, 200]);
    assert_eq!(
        busy.text().matches("Connection: close").count(),
        1,
        "the last answer says so"
    );
    assert!(!busy.alive);

    let mut sending = Harness::new();
    sending.feed(put("/now", "Content-Length: 6\r\n", "abc"));
    sending.drain();
    sending.feed("def");
    assert_eq!((sending.statuses(), sending.alive), (vec![200], false));

    let mut begun = Harness::new();
    begun.feed("GET /now HT");
    begun.drain();
    begun.feed("TP/1.1\r\nHost: h\r\n\r\n");
    assert_eq!((begun.statuses(), begun.alive), (vec![200], false));

    let mut refused = Harness::new();
    refused.feed(put("/refuse", "Content-Length: 6\r\n", "abc"));
    refused.drain();
    assert!(refused.alive);
    refused.feed("def");
    assert!(!refused.alive);
}
