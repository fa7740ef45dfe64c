//! Slow and silent clients are bounded, by a clock that the test moves.

use crate::recorder::{Event, GET, Harness, get, put};
use quintet_core::Clock;
use std::time::Duration;

const SECOND: Duration = Duration::from_secs(1);

#[test]
fn a_head_has_ten_seconds_from_its_first_byte() {
    let mut harness = Harness::new();
    harness.feed(GET);
    harness.pass(30 * SECOND);
    for byte in GET.bytes().take(9) {
        harness.feed([byte]);
        harness.pass(SECOND);
    }
    assert_eq!(harness.statuses(), [200]);
    harness.pass(SECOND);
    assert_eq!(harness.statuses(), [200, 408]);
    assert!(harness.shut);
}

#[test]
fn a_silent_connection_is_closed_without_a_word() {
    let mut fresh = Harness::new();
    fresh.pass(9 * SECOND);
    assert!(fresh.alive);
    fresh.pass(SECOND);
    assert!(!fresh.alive && fresh.output.is_empty());

    let mut used = Harness::new();
    used.feed(GET);
    used.pass(59 * SECOND);
    used.feed(GET);
    used.pass(59 * SECOND);
    assert!(used.alive);
    used.pass(SECOND);
    assert!(!used.alive);
    assert_eq!(used.statuses(), [200, 200]);
}

#[test]
fn a_body_must_make_progress() {
    let mut harness = Harness::new();
    harness.feed(put("/now", "Content-Length: 90000\r\n", ""));
    for _ in 0..5 {
        harness.feed("b".repeat(1024));
        harness.pass(30 * SECOND);
    }
    assert_eq!(harness.text(), "");
    harness.feed("b".repeat(1023));
    harness.pass(30 * SECOND);
    assert_eq!(harness.statuses(), [408]);
    assert_eq!(harness.events()[1], Event::Abandoned("/now".to_owned()));
}

#[test]
fn a_body_that_creeps_is_given_up_after_five_minutes() {
    let mut harness = Harness::new();
    harness.feed(put("/now", "Content-Length: 90000\r\n", ""));
    for _ in 0..14 {
        harness.feed("b".repeat(1024));
        harness.pass(20 * SECOND);
    }
    assert_eq!(harness.text(), "", "280 seconds");
    harness.feed("b".repeat(30_000));
    harness.pass(19 * SECOND);
    assert_eq!(harness.text(), "", "299 seconds");
    harness.feed("b".repeat(30_000));
    harness.pass(SECOND);
    assert_eq!(harness.statuses(), [408], "however fast it has become");

    // Each body has the time for itself.
    let mut two = Harness::new();
    for _ in 0..2 {
        two.feed(put("/now", "Content-Length: 13312\r\n", ""));
        for _ in 0..13 {
            two.pass(20 * SECOND);
            two.feed("b".repeat(1024));
        }
    }
    assert_eq!(two.statuses(), [200, 200]);
}

#[test]
fn waiting_for_the_service_costs_the_client_nothing() {
    let mut harness = Harness::new();
    harness.feed(get("/later"));
    harness.pass(1000 * SECOND);
    assert_eq!(
        harness.driver.next_deadline(),
        None,
        "nothing is due, so the loop may sleep for ever"
    );
    assert!(harness.alive);

    let mut paused = Harness::new();
    paused.feed(put("/pause", "Content-Length: 6\r\n", "abc"));
    paused.pass(1000 * SECOND);
    assert!(paused.alive);
}

#[test]
fn a_client_that_takes_nothing_is_cut() {
    let mut harness = Harness::new();
    harness
        .driver
        .received(harness.id, get("/big").as_bytes(), harness.clock.now());
    let taken = harness
        .driver
        .take_output(harness.id, 100_000, harness.clock.now());
    assert_eq!(taken.len(), 100_000);
    // The socket is full: the next write would block.
    assert_eq!(
        harness.driver.take_output(harness.id, 0, harness.clock.now()),
        b""
    );
    harness.clock.advance(30 * SECOND);
    harness.driver.expire(harness.clock.now());
    harness.settle(0);
    assert!(!harness.alive);
}

#[test]
fn lingering_ends() {
    let mut harness = Harness::new();
    harness.feed("BROKEN\r\n\r\n");
    assert!(harness.alive && harness.shut);
    harness.pass(2 * SECOND);
    assert!(!harness.alive);
    assert_eq!(harness.driver.next_deadline(), None);
}
