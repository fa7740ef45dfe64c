//! Pipelining: order of answers, how many may wait, and back-pressure from a client that does not read.

use crate::recorder::{GET, Harness, get};
use quintet_core::Clock;
use quintet_net::{LoopConfig, http1::HttpConfig};

#[test]
fn answers_leave_in_request_order() {
    let mut harness = Harness::new();
    harness.feed([get("/later/1"), get("/later/2"), get("/now/3"), get("/later/4")].concat());
    assert_eq!(harness.text(), "");
    let held: Vec<_> = harness.service().held.iter().copied().collect();
    for (index, seen) in [(1, 0), (2, 0), (0, 4)] {
        harness.service().answer_now.push(held[index]);
        harness.turn();
        assert_eq!(harness.statuses().len(), seen);
    }
    let text = harness.text();
    let places: Vec<_> = ["/later/1", "/later/2", "/now/3", "/later/4"]
        .map(|path| text.find(path).unwrap())
        .into();
    assert!(places.is_sorted(), "{text}");
}

#[test]
fn an_answer_is_given_once() {
    let mut harness = Harness::new();
    harness.feed(get("/later"));
    let id = harness.service().held[0];
    harness.service().answer_now.extend([id, id]);
    harness.turn();
    assert_eq!(
        (harness.statuses(), harness.service().dead_answers),
        (vec![200], 1)
    );
}

#[test]
fn pipelined_requests_are_limited_not_lost() {
    let http = HttpConfig {
        pipelined: 4,
        date: false,
        ..Default::default()
    };
    let mut harness = Harness::with(http, LoopConfig::default());
    harness.feed(get("/later").repeat(10));
    assert_eq!(harness.service().held.len(), 4);
    assert!(!harness.driver.wants_read(harness.id));
    for answered in 1..=10 {
        let id = harness.service().held.pop_front().unwrap();
        harness.service().answer_now.push(id);
        harness.turn();
        assert_eq!(harness.statuses().len(), answered);
        assert!(harness.service().held.len() <= 4);
    }
    assert!(harness.driver.wants_read(harness.id));
}

#[test]
fn a_client_that_does_not_read_is_not_read_from() {
    let mut harness = Harness::new();
    let now = harness.clock.now();
    harness
        .driver
        .received(harness.id, get("/big").repeat(20).as_bytes(), now);
    harness.settle(0);
    assert_eq!(
        harness.events().len(),
        2,
        "one answer is beyond the backlog, so one request is begun"
    );
    assert!(!harness.driver.wants_read(harness.id));
    harness.settle(10_000);
    assert_eq!(harness.statuses(), vec![200; 20]);
    assert!(harness.driver.wants_read(harness.id));
}

#[test]
fn head_is_the_head_of_get() {
    let (mut get, mut head) = (Harness::new(), Harness::new());
    get.feed(GET);
    head.feed("HEAD /now HTTP/1.1\r\nHost: h\r\n\r\n");
    assert!(get.text().starts_with(&head.text()));
    assert!(
        head.text().ends_with("\r\n\r\n") && head.text().contains("Content-Length: 7\r\n"),
        "{}",
        head.text()
    );
}

#[test]
fn old_clients_are_told_what_becomes_of_the_connection() {
    let mut harness = Harness::new();
    harness.feed("GET /now HTTP/1.0\r\nConnection: Keep-Alive\r\n\r\n");
    assert!(harness.text().contains("Connection: keep-alive\r\n") && harness.alive);
    harness.feed("GET /now HTTP/1.0\r\n\r\n");
    assert!(harness.text().ends_with("/now 0\n") && harness.text().contains("Connection: close\r\n"));
    assert!(!harness.alive);
}

#[test]
fn close_is_honoured_from_both_sides() {
    for request in [
        get("/close"),
        "GET /now HTTP/1.1\r\nHost: h\r\nConnection: x, close\r\n\r\n".to_owned(),
    ] {
        let mut harness = Harness::new();
        harness.feed(&request);
        assert!(harness.text().contains("Connection: close\r\n"));
        assert!(!harness.alive);
    }
    let mut harness = Harness::new();
    harness.feed([get("/later"), get("/close"), get("/now")].concat());
    let id = harness.service().held[0];
    harness.service().answer_now.push(id);
    harness.turn();
    assert_eq!(
        harness.statuses(),
        [200, 200],
        "nothing after the close is answered"
    );
}
