//! The datastore on the API port: every operation, its conditions, and waits that hold no thread.

use crate::api::{api, json_of};
use crate::client::Client;
use crate::process::Server;
use serde_json::{Value, json};
use std::{
    net::SocketAddr,
    thread,
    time::{Duration, Instant},
};

fn post(address: SocketAddr, path: &str, body: Value) -> (u16, Value) {
    api(address, "POST", path, body)
}

#[test]
fn values_are_written_read_changed_and_removed() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--without", "blocks,vectors,stm"], &[]);
    let at = server.api();
    let key = "/v1/kv/2/user%2F7";
    assert_eq!(api(at, "GET", key, Value::Null).0, 404);
    assert_eq!(
        api(at, "PUT", key, json!({ "name": "Ada" })),
        (200, json!({ "stored": true }))
    );
    let (_, found) = api(at, "GET", key, Value::Null);
    assert_eq!(
        (&found["key"], &found["value"]),
        (&json!("user/7"), &json!({ "name": "Ada" }))
    );
    assert_eq!(
        post(at, &format!("{key}/update"), json!({ "age": 36 })).1["value"],
        json!({ "name": "Ada", "age": 36 })
    );
    assert_eq!(post(at, &format!("{key}/swap"), json!(1)).1["value"]["age"], 36);
    assert_eq!(
        post(at, &format!("{key}/increment"), json!({ "by": 41 })).1["value"],
        42
    );
    assert_eq!(post(at, &format!("{key}/increment"), json!({ "by": "x" })).0, 400);
    assert_eq!(
        post(at, &format!("{key}/push"), json!({ "value": 1 })).0,
        400,
        "it is no list"
    );
    assert_eq!(post(at, &format!("{key}/expire"), json!({ "ttl": 100 })).0, 200);
    let ttl = api(at, "GET", key, Value::Null).1["ttl"]
        .as_f64()
        .expect("a time");
    assert!((90.0..=100.0).contains(&ttl), "{ttl}");
    assert_eq!(
        post(at, &format!("{key}/persist"), Value::Null).1["persisted"],
        true
    );
    assert_eq!(post(at, &format!("{key}/rename"), json!({ "to": "n" })).0, 200);
    assert_eq!(api(at, "GET", key, Value::Null).0, 404);
    // The same key in another namespace is another key.
    assert_eq!(api(at, "GET", "/v1/kv/3/n", Value::Null).0, 404);
    assert_eq!(api(at, "PUT", "/v1/kv/2/n?ttl=0.5", json!(7)).0, 200);
    assert!(api(at, "GET", "/v1/kv/2/n", Value::Null).1["ttl"].is_number());
    assert_eq!(api(at, "DELETE", "/v1/kv/2/n", Value::Null).1["value"], 7);
    assert_eq!(api(at, "DELETE", "/v1/kv/2/n", Value::Null).0, 404);
    for (path, says) in [
        ("/v1/kv/16/a", "0 to 15"),
        ("/v1/kv/x/a", "0 to 15"),
        ("/v1/kv/0?count=0", "count"),
    ] {
        let (status, problem) = api(at, "GET", path, Value::Null);
        assert_eq!(status, 400, "{path}");
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains(says)),
            "{problem}"
        );
    }
    server.stop();
}

#[test]
fn conditions_are_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    for flags in [
        &["--without", "blocks,vectors,stm"][..],
        &["--kv-durability", "off"],
    ] {
        let server = Server::start_with(dir.path(), flags, &[]);
        let mut client = Client::connect(server.api()).expect("connected");
        let mut call = |method: &str, headers: &str, body: &str| {
            client
                .request(method, "/v1/kv/0/c", headers, Some(body.as_bytes()))
                .expect("sent");
            client.reply(method).expect("an answer")
        };
        assert_eq!(call("PUT", "If-None-Match: *\r\n", "1").status, 200);
        assert_eq!(call("PUT", "If-None-Match: *\r\n", "2").status, 412);
        let tag = call("GET", "", "").header("etag").expect("a tag").to_owned();
        let condition = format!("If-Match: {tag}\r\n");
        assert_eq!(call("PUT", &condition, "3").status, 200);
        let late = call("PUT", &condition, "4");
        assert_eq!(late.status, 412);
        let now = json_of(&late)["version"].as_u64().expect("a version");
        assert_eq!(json_of(&call("GET", "", ""))["value"], 3);
        let (status, problem) = post(
            server.api(),
            "/v1/kv/0/c/cas",
            json!({ "version": now + 1, "value": 5 }),
        );
        assert_eq!((status, &problem["version"]), (409, &json!(now)));
        let (status, _) = post(
            server.api(),
            "/v1/kv/0/c/cas",
            json!({ "version": now, "value": 5 }),
        );
        assert_eq!(status, 200);
        server.stop();
        let _next_flags_begin_empty = std::fs::remove_dir_all(dir.path().join("kv"));
    }
}

#[test]
fn keys_are_walked_a_page_at_a_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--without", "blocks,vectors,stm"], &[]);
    let mut client = Client::connect(server.api()).expect("connected");
    for number in 0..250 {
        for namespace in [0, 1] {
            let path = format!("/v1/kv/{namespace}/key-{number}");
            assert_eq!(
                client
                    .call("PUT", &path, Some(b"true"))
                    .expect("an answer")
                    .status,
                200
            );
        }
    }
    let (mut cursor, mut keys) = (json!(0), Vec::new());
    while !cursor.is_null() {
        let (status, page) = api(
            server.api(),
            "GET",
            &format!("/v1/kv/1?cursor={cursor}&count=50"),
            Value::Null,
        );
        assert_eq!(status, 200, "{page}");
        keys.extend(
            page["keys"]
                .as_array()
                .expect("keys")
                .iter()
                .map(|key| key.to_string()),
        );
        cursor = page["next"].clone();
    }
    keys.sort();
    keys.dedup();
    assert_eq!(keys.len(), 250);
    server.stop();
}

#[test]
fn takers_wait_in_line_without_a_thread_each() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--without", "blocks,vectors,stm"], &[]);
    let at = server.api();
    assert_eq!(post(at, "/v1/kv/0/jobs/shift", Value::Null).0, 404);
    let (status, problem) = post(at, "/v1/kv/0/jobs/pop?timeout=0.05", Value::Null);
    assert_eq!((status, &problem["status"]), (504, &json!(504)));
    assert_eq!(post(at, "/v1/kv/0/jobs/pop?timeout=-1", Value::Null).0, 400);
    // More than there are threads to block, and one that leaves before its turn.
    const TAKERS: usize = 100;
    let mut leaver = Client::connect(at).expect("connected");
    leaver
        .request("POST", "/v1/kv/0/jobs/shift?timeout=30", "", Some(b""))
        .expect("sent");
    let takers: Vec<_> = (0..TAKERS)
        .map(|_| {
            let mut client = Client::connect(at).expect("connected");
            client
                .request("POST", "/v1/kv/0/jobs/shift?timeout=60", "", Some(b""))
                .expect("sent");
            thread::spawn(move || json_of(&client.reply("POST").expect("an answer"))["value"].as_u64())
        })
        .collect();
    let waiting = |wanted: usize| {
        let deadline = Instant::now() + Duration::from_secs(20);
        while api(at, "GET", "/stats", Value::Null).1["engines"]["kv"]["waiting"] != wanted {
            assert!(Instant::now() < deadline, "not {wanted} takers in line");
            thread::yield_now();
        }
    };
    waiting(TAKERS + 1);
    leaver.abort();
    waiting(TAKERS);
    for number in 0..TAKERS {
        assert_eq!(post(at, "/v1/kv/0/jobs/push", json!({ "value": number })).0, 200);
    }
    let mut got: Vec<_> = takers
        .into_iter()
        .map(|taker| taker.join().expect("no panic"))
        .collect();
    got.sort_unstable();
    assert_eq!(got, (0..TAKERS as u64).map(Some).collect::<Vec<_>>());
    // A wait does not hold up the end.
    let mut last = Client::connect(at).expect("connected");
    last.request("POST", "/v1/kv/0/jobs/shift?timeout=60", "", Some(b""))
        .expect("sent");
    waiting(1);
    server.signal("TERM");
    assert_eq!(last.reply("POST").expect("an answer").status, 503);
    server.ended();
}
