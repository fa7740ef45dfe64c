//! However input is cut, the service sees the same and the client is told the same; garbage never panics, and what is
//! kept of any input stays within its bound.

use crate::recorder::{Event, Harness, get, put};
use proptest::prelude::*;
use quintet_net::{LoopConfig, http1::HttpConfig};

/// What came of an input: the service's events, the answers, and whether the connection goes on. (How it ends, at once
/// or lingering, does depend on what the client still sends.)
type Outcome = (Vec<Event>, Vec<u8>, bool);

fn run(input: &[u8], cuts: &[usize]) -> Outcome {
    let mut harness = Harness::new();
    let mut at = 0;
    for cut in cuts.iter().copied().chain([input.len()]) {
        let cut = cut.clamp(at, input.len());
        if cut > at {
            harness.feed(&input[at..cut]);
            let bound = LoopConfig::default().carry_bytes + (cut - at);
            assert!(harness.driver.kept_bytes(harness.id) <= bound);
        }
        at = cut;
    }
    let events = harness.events();
    (events, harness.output, harness.alive && !harness.shut)
}

fn message() -> impl Strategy<Value = Vec<u8>> {
    let chunked = |sizes: Vec<usize>| -> String {
        let chunks: String = sizes
            .iter()
            .map(|size| format!("{size:x};x\r\n{}\r\n", "c".repeat(*size)))
            .collect();
        put(
            "/now/chunked",
            "Transfer-Encoding: chunked\r\n",
            &format!("{chunks}0\r\nT: v\r\n\r\n"),
        )
    };
    prop_oneof![
        4 => Just(get("/now")),
        1 => Just(get("/refuse")),
        1 => Just(get("/close")),
        1 => Just("\r\n".to_owned()),
        1 => Just("HEAD /now HTTP/1.1\r\nHost: h\r\n\r\n".to_owned()),
        1 => Just("GET /now HTTP/1.0\r\nConnection: keep-alive\r\n\r\n".to_owned()),
        4 => (0usize..300).prop_map(|size| put("/now", &format!("Content-Length: {size}\r\n"), &"b".repeat(size))),
        2 => (1usize..300).prop_map(|size| put("/refuse", &format!("Content-Length: {size}\r\n"), &"b".repeat(size))),
        1 => (1usize..300).prop_map(|size| put("/early", &format!("Content-Length: {size}\r\n"), &"b".repeat(size))),
        1 => (1usize..300).prop_map(|size| {
            put("/now", &format!("Expect: 100-continue\r\nContent-Length: {size}\r\n"), &"b".repeat(size))
        }),
        4 => proptest::collection::vec(1usize..100, 0..5).prop_map(chunked),
        1 => Just(put("/now", "Transfer-Encoding: chunked\r\n", "3\r\nabcd\r\n")),
        1 => Just(put("/now", "Content-Length: 200000\r\n", "b")),
    ]
    .prop_map(String::into_bytes)
}

proptest! {
    #[test]
    fn any_cut_gives_the_same_events(
        messages in proptest::collection::vec(message(), 1..6),
        noise in proptest::option::weighted(0.3, (any::<prop::sample::Index>(), any::<u8>())),
        cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..12),
    ) {
        let mut input = messages.concat();
        if let Some((at, byte)) = noise {
            let at = at.index(input.len());
            input[at] = byte;
        }
        let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(input.len())).collect();
        cuts.sort_unstable();
        prop_assert_eq!(run(&input, &[]), run(&input, &cuts));
    }

    #[test]
    fn garbage_never_panics_and_little_is_kept(
        pieces in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..2000), 1..20),
    ) {
        let mut harness = Harness::new();
        for piece in pieces {
            harness.feed(&piece);
            prop_assert!(harness.driver.kept_bytes(harness.id) <= HttpConfig::default().head_bytes + 2000);
        }
        harness.finish();
        prop_assert!(!harness.alive);
    }
}

/// Every byte on its own, which random cuts rarely are.
#[test]
fn byte_by_byte() {
    let input = [
        put("/now", "Content-Length: 3\r\n", "abc"),
        put(
            "/now",
            "Transfer-Encoding: chunked\r\n",
            "2\r\nab\r\n1\r\nc\r\n0\r\nT: x\r\n\r\n",
        ),
        get("/now"),
        "BROKEN\r\n\r\n".to_owned(),
    ]
    .concat();
    let every: Vec<usize> = (1..input.len()).collect();
    let whole = run(input.as_bytes(), &[]);
    assert_eq!(whole, run(input.as_bytes(), &every));
    assert_eq!(
        whole
            .0
            .iter()
            .filter(|event| matches!(event, Event::End(..)))
            .count(),
        3
    );
}

/// A cut inside one read with a body above what one read holds.
#[test]
fn long_bodies_arrive_whole() {
    let body = "z".repeat(90_000);
    let input = put("/now", "Content-Length: 90000\r\n", &body);
    let (events, ..) = run(input.as_bytes(), &[10, 70_000]);
    assert_eq!(events[1], Event::End("/now".to_owned(), body.into_bytes()));
}
