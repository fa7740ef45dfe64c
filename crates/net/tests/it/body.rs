//! Bodies: pause and resume, refusal before and during, `100 Continue`, limits.

use crate::recorder::{BODY_LIMIT, Event, GET, Harness, get, put};
use quintet_net::{LoopConfig, http1::HttpConfig};

#[test]
fn a_paused_body_waits_and_goes_on() {
    let mut harness = Harness::new();
    harness.feed(put("/pause", "Content-Length: 6\r\n", "abc"));
    assert!(
        !harness.driver.wants_read(harness.id),
        "a paused connection is not read"
    );
    assert_eq!(harness.driver.kept_bytes(harness.id), 3);
    harness.service().open = true;
    let id = harness.service().paused[0];
    harness.service().resume_now.push(id);
    harness.turn();
    assert!(harness.driver.wants_read(harness.id));
    harness.feed("def");
    harness.feed(GET);
    assert_eq!(
        harness.events()[1],
        Event::End("/pause".to_owned(), b"abcdef".to_vec())
    );
    assert_eq!(harness.statuses(), [200, 200]);
}

#[test]
fn a_paused_exchange_can_be_answered() {
    let mut harness = Harness::new();
    harness.feed(put("/pause", "Content-Length: 6\r\n", "abc"));
    let id = harness.service().paused[0];
    harness.service().answer_now.push(id);
    harness.turn();
    assert_eq!(harness.statuses(), [200]);
    harness.feed(format!("def{GET}"));
    assert_eq!(
        harness.statuses(),
        [200, 200],
        "the rest of the body was thrown away"
    );
}

#[test]
fn a_refused_body_is_drained_and_the_connection_kept() {
    for request in [
        put("/refuse", "Content-Length: 50000\r\n", &"r".repeat(50_000)),
        put("/early", "Content-Length: 50000\r\n", &"r".repeat(50_000)),
        put(
            "/refuse",
            "Transfer-Encoding: chunked\r\n",
            "5\r\nhello\r\n0\r\n\r\n",
        ),
    ] {
        let mut harness = Harness::new();
        harness.feed(&request);
        harness.feed(GET);
        assert_eq!(harness.statuses().len(), 2);
        assert_eq!(harness.statuses()[1], 200);
        assert!(harness.alive && !harness.shut);
    }
}

#[test]
fn a_long_refused_body_ends_the_connection_after_the_answer() {
    let mut harness = Harness::new();
    harness.feed(put("/refuse", "Content-Length: 1048577\r\n", "r"));
    assert_eq!(harness.statuses(), [404]);
    assert!(harness.text().contains("Connection: close\r\n"));
    assert!(
        harness.shut && harness.alive,
        "it lingers, so that the client can read the answer"
    );
    harness.feed("r".repeat(500_000));
    assert!(harness.alive);
    harness.feed("r".repeat(600_000));
    assert!(!harness.alive, "but not for more than the linger limit");
}

#[test]
fn a_refused_chunked_body_without_end_is_cut() {
    let http = HttpConfig {
        drain_bytes: 1000,
        date: false,
        ..Default::default()
    };
    let mut harness = Harness::with(http, LoopConfig::default());
    harness.feed(put("/refuse", "Transfer-Encoding: chunked\r\n", ""));
    for _ in 0..11 {
        harness.feed(format!("64\r\n{}\r\n", "r".repeat(100)));
    }
    assert_eq!(harness.statuses(), [404]);
    assert!(harness.shut);
}

#[test]
fn bodies_beyond_the_limit_are_413() {
    let mut harness = Harness::new();
    harness.feed(put(
        "/now",
        &format!("Content-Length: {}\r\n", BODY_LIMIT + 1),
        "",
    ));
    assert_eq!(harness.statuses(), [413]);
    assert_eq!(harness.events()[1], Event::Abandoned("/now".to_owned()));

    let mut harness = Harness::new();
    harness.feed(put("/now", "Transfer-Encoding: chunked\r\n", "1\r\na\r\n"));
    harness.feed(format!("{BODY_LIMIT:x}\r\n"));
    assert_eq!(harness.statuses(), [413]);
    assert_eq!(harness.events()[1], Event::Abandoned("/now".to_owned()));
    assert!(harness.shut);
}

#[test]
fn continue_is_sent_when_the_head_is_accepted() {
    const EXPECT: &str = "Expect: 100-continue\r\nContent-Length: 3\r\n";
    let mut harness = Harness::new();
    harness.feed(put("/now", EXPECT, ""));
    assert_eq!(harness.text(), "HTTP/1.1 100 Continue\r\n\r\n");
    harness.feed("abc");
    assert_eq!(harness.statuses(), [100, 200]);

    let mut harness = Harness::new();
    harness.feed(put("/refuse", EXPECT, ""));
    assert_eq!(harness.statuses(), [404], "no 100 before a refusal");
    assert!(
        harness.shut,
        "whether the body still comes cannot be known, so the connection ends"
    );
}

#[test]
fn continue_waits_for_the_answers_before_it() {
    let mut harness = Harness::new();
    harness.feed(get("/later"));
    harness.feed(put("/now", "Expect: 100-continue\r\nContent-Length: 3\r\n", ""));
    assert_eq!(harness.text(), "");
    let id = harness.service().held[0];
    harness.service().answer_now.push(id);
    harness.turn();
    assert_eq!(harness.statuses(), [200, 100]);
    harness.feed("abc");
    assert_eq!(harness.statuses(), [200, 100, 200]);
}
