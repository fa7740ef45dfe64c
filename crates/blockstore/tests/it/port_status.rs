//! Which status each request gets, and that every refusal says why in one line.

use crate::client::{Client, Reply};
use crate::port_rig::{Rig, body, name};

/// A refusal: the status, one line of text, and more than the number in it.
fn assert_refused(reply: &Reply, status: u16) {
    assert_eq!(reply.status, status, "{reply:?}");
    let text = reply.text();
    assert!(
        text.len() > 10 && text.trim_end().lines().count() == 1,
        "{status}: {text:?}"
    );
}

fn delete_forgets_and_the_second_one_is_told_so() {
    let rig = Rig::start();
    let bytes = body(9_000, 1);
    let path = format!("/block/{}", name(&bytes));
    assert_eq!(rig.call("PUT", "/block", Some(&bytes)).status, 200);
    let deleted = rig.call("DELETE", &path, None);
    assert_eq!((deleted.status, deleted.body.len()), (200, 0));
    for method in ["DELETE", "GET"] {
        assert_refused(&rig.call(method, &path, None), 404);
    }
    assert_eq!(rig.call("HEAD", &path, None).status, 404);
    assert_eq!(rig.call("PUT", "/block", Some(&bytes)).status, 200);
    assert!(rig.call("GET", &path, None).body == bytes);
    rig.stop();
}

fn deleting_what_was_never_there_is_404_and_the_server_goes_on() {
    let rig = Rig::start();
    for _ in 0..10 {
        assert_refused(
            &rig.call("DELETE", &format!("/block/{}", "ab".repeat(32)), None),
            404,
        );
    }
    assert_eq!(rig.call("PUT", "/block", Some(b"still here")).status, 200);
    rig.stop();
}

fn both_paths_and_both_cases_name_the_same_block() {
    let rig = Rig::start();
    let bytes = body(77, 5);
    let put = rig.call("PUT", "/any/path?at=all", Some(&bytes));
    assert_eq!((put.status, put.text()), (200, name(&bytes).as_str()));
    let upper = name(&bytes).to_uppercase();
    for path in [
        format!("/block/{}", name(&bytes)),
        format!("/{}", name(&bytes)),
        format!("/block/{upper}"),
        format!("/{upper}"),
    ] {
        assert!(rig.call("GET", &path, None).body == bytes, "{path}");
    }
    assert_eq!(rig.call("DELETE", &format!("/{upper}"), None).status, 200);
    rig.stop();
}

fn what_is_malformed_is_400_and_what_is_unknown_404() {
    let rig = Rig::start();
    let unknown = "0".repeat(64);
    for (path, status) in [
        (format!("/block/{unknown}"), 404),
        (format!("/{unknown}"), 404),
        ("/block/short".to_string(), 400),
        (format!("/block/{}g", &unknown[1..]), 400),
        (format!("/{unknown}0"), 400),
        ("/block/".to_string(), 400),
        (format!("/block/{unknown}/more"), 404),
    ] {
        for method in ["GET", "DELETE"] {
            assert_refused(&rig.call(method, &path, None), status);
        }
    }
    rig.stop();
}

fn other_methods_are_405_with_allow() {
    let rig = Rig::start();
    let hash = format!("/block/{}", "0".repeat(64));
    for (method, path, allow) in [
        ("POST", "/block", "PUT"),
        ("GET", "/block", "PUT"),
        ("DELETE", "/block", "PUT"),
        ("PATCH", hash.as_str(), "GET, HEAD, DELETE, PUT"),
        ("DELETE", "/stats", "GET, HEAD, PUT"),
        ("OPTIONS", "/", "GET, HEAD, PUT"),
    ] {
        let reply = rig.call(method, path, None);
        assert_refused(&reply, 405);
        assert_eq!(reply.header("allow"), Some(allow), "{method} {path}");
    }
    rig.stop();
}

fn a_length_is_needed_and_not_zero() {
    let rig = Rig::start();
    assert_refused(&rig.call("PUT", "/block", None), 411);
    assert_refused(&rig.call("PUT", "/block", Some(b"")), 411);
    let mut client = rig.client();
    client
        .request("PUT", "/block", "Transfer-Encoding: chunked\r\n", None)
        .expect("sent");
    client.send(b"0\r\n\r\n").expect("sent");
    assert_refused(&client.reply("PUT").expect("an answer"), 400);
    assert_eq!(
        client.call("PUT", "/block", Some(b"x")).expect("kept").status,
        200
    );
    rig.settled();
    rig.stop();
}

fn one_byte_over_the_limit_is_413_and_the_connection_goes_on() {
    let rig = Rig::start();
    let bytes = body(524_289, 1);
    let mut client = rig.client();
    assert_refused(
        &client.call("PUT", "/block", Some(&bytes)).expect("an answer"),
        413,
    );
    assert_eq!(
        client
            .call("PUT", "/block", Some(&bytes[1..]))
            .expect("kept")
            .status,
        200
    );
    rig.stop();
}

fn a_chunked_body_over_the_limit_is_413_and_leaks_nothing() {
    let rig = Rig::start();
    let bytes = body(600_000, 1);
    let mut client = rig.client();
    client
        .request("PUT", "/block", "Transfer-Encoding: chunked\r\n", None)
        .expect("sent");
    for piece in bytes.chunks(50_000) {
        client
            .send(format!("{:x}\r\n", piece.len()).as_bytes())
            .expect("sent");
        client.send(piece).expect("sent");
        client.send(b"\r\n").expect("sent");
    }
    client.send(b"0\r\n\r\n").expect("sent");
    assert_refused(&client.reply("PUT").expect("an answer"), 413);
    rig.settled();
    rig.stop();
}

fn expect_100_continue_is_answered_before_the_body_and_refusals_need_none() {
    let rig = Rig::start();
    let mut client = rig.client();
    let head = |length: usize| {
        format!("PUT /block HTTP/1.1\r\nHost: t\r\nExpect: 100-continue\r\nContent-Length: {length}\r\n\r\n")
    };
    client.send(head(5).as_bytes()).expect("sent");
    assert_eq!(client.reply("PUT").expect("go on").status, 100);
    client.send(b"hello").expect("sent");
    let put = client.reply("PUT").expect("an answer");
    assert_eq!((put.status, put.text()), (200, name(b"hello").as_str()));

    let mut refused = rig.client();
    refused.send(head(10_000_000).as_bytes()).expect("sent");
    assert_refused(&refused.reply("PUT").expect("an answer at once"), 413);
    rig.stop();
}

fn broken_framing_is_400_and_closes() {
    let rig = Rig::start();
    for wire in [
        "NONSENSE\r\n\r\n",
        "GET / HTTP/1.1\r\nHost t\r\n\r\n",
        "PUT /block HTTP/1.1\r\nHost: t\r\nContent-Length: ten\r\n\r\n",
        "PUT /block HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
        "PUT /block HTTP/1.1\r\nHost: t\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        "PUT /block HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n",
    ] {
        let mut client = rig.client();
        client.send(wire.as_bytes()).expect("sent");
        assert_refused(&client.reply("PUT").expect(wire), 400);
        assert!(client.is_closed(), "{wire:?} left the connection open");
    }
    rig.settled();
    rig.stop();
}

fn a_head_without_end_is_431() {
    let rig = Rig::start();
    let mut client = rig.client();
    client.send(b"GET / HTTP/1.1\r\nHost: t\r\n").expect("sent");
    let line = format!("X-Filler: {}\r\n", "x".repeat(1_000));
    for _ in 0..40 {
        if client.send(line.as_bytes()).is_err() {
            break;
        }
    }
    assert_refused(&client.reply("GET").expect("an answer"), 431);
    assert!(client.is_closed());
    rig.stop();
}

fn the_root_says_what_this_is_and_stats_is_json() {
    let rig = Rig::start();
    let root = rig.call("GET", "/", None);
    assert_eq!(root.status, 200);
    assert!(root.text().contains("curl -T"), "{}", root.text());
    assert!(
        root.header("content-type")
            .is_some_and(|kind| kind.starts_with("text/plain"))
    );

    assert_eq!(rig.call("PUT", "/block", Some(&body(6_000, 1))).status, 200);
    let stats = rig.call("GET", "/stats", None);
    assert_eq!(stats.header("content-type"), Some("application/json"));
    let head = Client::connect(rig.address())
        .and_then(|mut client| client.call("HEAD", "/stats", None))
        .expect("an answer");
    assert_eq!(head.status, 200);
    let stats = rig.stats();
    assert_eq!(stats["durability"], "relaxed");
    assert_eq!(stats["io_backend"]["name"], crate::port_rig::backend().name());
    assert!(
        stats["io_backend"]["why"]
            .as_str()
            .is_some_and(|why| !why.is_empty())
    );
    assert_eq!(stats["space"]["named_blocks"], 1);
    assert!(
        stats["space"]["classes"]
            .as_array()
            .is_some_and(|classes| classes.len() == 8)
    );
    assert!(
        stats["controller"]["commits"]
            .as_u64()
            .is_some_and(|commits| commits >= 1),
        "{stats}"
    );
    let workers = stats["workers"].as_array().expect("one entry a worker");
    assert_eq!(workers.len(), 2);
    let requests: u64 = workers
        .iter()
        .filter_map(|worker| worker["requests"].as_u64())
        .sum();
    assert!(requests >= 4, "{stats}");
    rig.stop();
}

crate::port_rig::on_both_backends! {
    delete_forgets_and_the_second_one_is_told_so,
    deleting_what_was_never_there_is_404_and_the_server_goes_on,
    both_paths_and_both_cases_name_the_same_block,
    what_is_malformed_is_400_and_what_is_unknown_404,
    other_methods_are_405_with_allow,
    a_length_is_needed_and_not_zero,
    one_byte_over_the_limit_is_413_and_the_connection_goes_on,
    a_chunked_body_over_the_limit_is_413_and_leaks_nothing,
    expect_100_continue_is_answered_before_the_body_and_refusals_need_none,
    broken_framing_is_400_and_closes,
    a_head_without_end_is_431,
    the_root_says_what_this_is_and_stats_is_json,
}
