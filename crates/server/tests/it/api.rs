//! The API port's manners, which hold for every engine: JSON, problems, ids, limits, health, and its life.

use crate::client::{Client, Reply, call};
use crate::process::{Server, output, quintet, stderr};
use serde_json::{Value, json};
use std::{
    io::Write,
    net::SocketAddr,
    time::{Duration, Instant},
};

/// A call with a JSON body; the answer's status and its JSON.
pub(crate) fn api(address: SocketAddr, method: &str, path: &str, body: Value) -> (u16, Value) {
    let bytes = if body.is_null() {
        Vec::new()
    } else {
        body.to_string().into_bytes()
    };
    let reply = call(address, method, path, Some(&bytes));
    (reply.status, json_of(&reply))
}

/// The body, which must be JSON of the media type that its status asks for.
pub(crate) fn json_of(reply: &Reply) -> Value {
    let media_type = reply.header("content-type").unwrap_or_default();
    let expected = if reply.status >= 400 && reply.status != 503 {
        "application/problem+json"
    } else {
        "json"
    };
    assert!(media_type.contains(expected), "{media_type}: {reply:?}");
    serde_json::from_slice(&reply.body).expect("JSON")
}

#[test]
fn health_version_and_figures_are_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let get = |path| api(server.api(), "GET", path, Value::Null);
    assert_eq!(get("/livez"), (200, json!({ "live": true })));
    let (status, ready) = get("/readyz");
    assert_eq!((status, &ready["ready"]), (200, &json!(true)), "{ready}");
    let (status, version) = get("/version");
    assert_eq!(
        (status, &version["version"]),
        (200, &json!(env!("CARGO_PKG_VERSION")))
    );
    let (status, stats) = get("/stats");
    assert_eq!(status, 200);
    for engine in ["blocks", "disk", "kv", "vectors", "stm"] {
        assert_eq!(ready["engines"][engine]["state"], "ready", "{ready}");
        assert!(stats["engines"][engine].is_object(), "{stats}");
    }
    server.stop();
}

#[test]
fn every_error_is_a_problem_with_the_requests_id() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    for (method, path, body, status, kind, says) in [
        ("GET", "/nothing/here", "", 404, "not-found", "/nothing/here"),
        ("POST", "/livez", "", 405, "method-not-allowed", "Allow"),
        ("GET", "/v1/vectors/none", "", 404, "not-found", "`none`"),
        ("PUT", "/v1/vectors/c", "{", 400, "invalid-input", "column"),
        (
            "PUT",
            "/v1/vectors/c",
            r#"{"dimension":2,"metric":"l2","speed":1}"#,
            400,
            "invalid-input",
            "speed",
        ),
        (
            "POST",
            "/v1/stm/a/transact",
            r#"{"ops":[{"set":{"a..b":1}}]}"#,
            400,
            "invalid-input",
            "a..b",
        ),
        ("GET", "/v1/stm/a?limit=none", "", 400, "bad-request", "limit"),
    ] {
        let mut client = Client::connect(server.api()).expect("connected");
        client
            .request(method, path, "X-Request-Id: mine-7\r\n", Some(body.as_bytes()))
            .expect("sent");
        let reply = client.reply(method).expect("an answer");
        let problem = json_of(&reply);
        assert_eq!(reply.status, status, "{method} {path}: {problem}");
        assert_eq!(problem["status"], status);
        assert_eq!(problem["type"], format!("urn:quintet:problem:{kind}"), "{path}");
        assert_eq!(reply.header("x-request-id"), Some("mine-7"));
        assert_eq!(problem["request_id"], "mine-7");
        let detail = problem["detail"].as_str().expect("a sentence");
        assert!(detail.contains(says), "{path}: {detail}");
        assert_eq!(reply.header("allow").is_some(), status == 405, "{reply:?}");
    }
    // Without an id one is made, another for each request; one that is unfit is not kept.
    let ids: Vec<String> = ["", "X-Request-Id: \r\n", "X-Request-Id: a b\r\n"]
        .into_iter()
        .map(|header| {
            let mut client = Client::connect(server.api()).expect("connected");
            client.request("GET", "/livez", header, None).expect("sent");
            let reply = client.reply("GET").expect("an answer");
            reply.header("x-request-id").expect("an id").to_owned()
        })
        .collect();
    assert!(
        ids.iter().all(|id| id.contains('-') && !id.contains(' ')),
        "{ids:?}"
    );
    assert!(ids[0] != ids[1] && ids[1] != ids[2], "{ids:?}");
    server.stop();
}

#[test]
fn bodies_are_limited_by_route() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    for (path, over) in [("/v1/vectors/c", 2 << 20), ("/v1/vectors/c/search", 32 << 20)] {
        let method = if path.ends_with('c') { "PUT" } else { "POST" };
        // Stated: refused before it is sent.
        let mut client = Client::connect(server.api()).expect("connected");
        let head = format!(
            "{method} {path} HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n",
            over + 1
        );
        client.send(head.as_bytes()).expect("sent");
        let reply = client.reply(method).expect("an answer");
        assert_eq!(
            (reply.status, &json_of(&reply)["limit_bytes"]),
            (413, &json!(over)),
            "{path}"
        );
    }
    // Not stated: refused when it has become too long.
    let mut client = Client::connect(server.api()).expect("connected");
    client
        .send(b"PUT /v1/vectors/c HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n")
        .expect("sent");
    let chunk = [b"100000\r\n".as_slice(), &vec![b' '; 0x10_0000], b"\r\n"].concat();
    // The server may close before all of it is sent.
    let _sent_or_refused = (0..3).try_for_each(|_| client.send(&chunk));
    let reply = client.reply("PUT").expect("an answer");
    assert_eq!(reply.status, 413);
    server.stop();
}

#[test]
fn engines_that_are_left_out_say_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--without", "kv,vectors,stm"], &[]);
    for path in ["/v1/kv/0/key", "/v1/vectors", "/v1/vectors/a/search", "/v1/stm/a"] {
        let (status, problem) = api(server.api(), "GET", path, Value::Null);
        assert_eq!(status, 404, "{path}");
        let detail = problem["detail"].as_str().expect("a sentence");
        assert!(detail.contains("--without"), "{path}: {detail}");
    }
    let (status, ready) = api(server.api(), "GET", "/readyz", Value::Null);
    assert_eq!(
        (status, &ready["engines"]["kv"]["state"]),
        (200, &json!("absent"))
    );
    assert!(
        !dir.path().join("kv").exists(),
        "kv was opened although it is left out"
    );
    server.stop();
}

#[test]
fn a_drain_finishes_what_is_in_flight_and_says_that_it_drains() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut server = Server::start(dir.path());
    // Half a request, which the drain has to wait for.
    let mut slow = Client::connect(server.api()).expect("connected");
    let body = br#"{"dimension":2,"metric":"l2"}"#;
    let head = format!(
        "PUT /v1/vectors/late HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    slow.send(head.as_bytes()).expect("sent");
    slow.send(&body[..10]).expect("sent");
    let mut other = Client::connect(server.api()).expect("connected");
    assert_eq!(other.call("GET", "/livez", None).expect("an answer").status, 200);
    server.signal("TERM");
    // Idle connections are closed at once, and nobody is let in.
    assert!(other.is_closed());
    let deadline = Instant::now() + Duration::from_secs(10);
    while Client::connect(server.api()).is_ok() {
        assert!(Instant::now() < deadline, "the port still accepts");
        std::thread::yield_now();
    }
    slow.send(&body[10..]).expect("sent");
    assert_eq!(slow.reply("PUT").expect("an answer").status, 201);
    assert_eq!(server.wait().code(), Some(0));
}

#[test]
fn a_client_that_sends_half_a_head_costs_only_itself() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--http-connections", "64"], &[]);
    let mut halves: Vec<_> = (0..32)
        .map(|_| std::net::TcpStream::connect(server.api()).expect("connected"))
        .collect();
    for half in &mut halves {
        half.write_all(b"GET /livez HTTP/1.1\r\nHost").expect("sent");
    }
    let huge = format!("GET /livez HTTP/1.1\r\nX: {}\r\n\r\n", "a".repeat(200_000));
    let mut bad = Client::connect(server.api()).expect("connected");
    let _sent_or_refused = bad.send(huge.as_bytes());
    if let Ok(reply) = bad.reply("GET") {
        assert_eq!(reply.status, 431);
    }
    assert_eq!(api(server.api(), "GET", "/livez", Value::Null).0, 200);
    server.stop();
}

#[test]
fn an_address_that_strangers_reach_has_to_be_asked_for() {
    let dir = tempfile::tempdir().expect("a directory");
    for flag in ["--http-addr", "--resp-addr", "--blocks-addr", "--tree-addr"] {
        let mut command = quintet(&["serve", flag, "0.0.0.0:0", "--data-dir"]);
        let run = output(command.arg(dir.path()));
        let text = stderr(&run);
        assert_eq!(run.status.code(), Some(2), "{text}");
        assert!(text.contains(flag) && text.contains("--insecure"), "{text}");
    }
    assert!(!dir.path().join("VERSION").exists());
    let flags = ["--insecure", "--http-addr", "0.0.0.0:0"];
    Server::start_with(dir.path(), &flags, &[]).stop();
}

#[test]
fn the_api_port_in_use_ends_the_start_and_names_the_flag() {
    let dir = tempfile::tempdir().expect("a directory");
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = taken.local_addr().expect("bound").to_string();
    let mut command = quintet(&[
        "serve",
        "--blocks-addr",
        "127.0.0.1:0",
        "--http-addr",
        &address,
        "--data-dir",
    ]);
    let run = output(command.arg(dir.path()));
    assert_eq!(run.status.code(), Some(1));
    let text = stderr(&run);
    assert!(text.contains("--http-addr") && text.contains(&address), "{text}");
}

#[test]
fn redis_clients_and_the_api_port_see_the_same_keys() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let mut resp = Client::connect(server.resp()).expect("connected");
    resp.send(b"SELECT 3\r\nSET greeting hello\r\n").expect("sent");
    for _ in 0..2 {
        assert_eq!(resp.line().expect("an answer"), "+OK");
    }
    let (status, found) = api(server.api(), "GET", "/v1/kv/3/greeting", Value::Null);
    assert_eq!(status, 200, "{found}");
    assert_eq!(api(server.api(), "GET", "/v1/kv/0/greeting", Value::Null).0, 404);
    server.stop();
    assert!(dir.path().join("kv").exists());

    let flags = ["--kv-durability", "off"];
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &flags, &[]);
    assert!(server.startup.contains("in memory only"), "{}", server.startup);
    server.stop();
    assert!(!dir.path().join("kv").exists(), "files although it is off");
}

#[cfg(not(feature = "ui"))]
#[test]
fn a_build_without_the_page_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let (status, problem) = api(server.api(), "GET", "/", Value::Null);
    assert_eq!(status, 404);
    assert!(
        problem["detail"]
            .as_str()
            .is_some_and(|detail| detail.contains("`ui`")),
        "{problem}"
    );
    assert_eq!(api(server.api(), "GET", "/ui/app.js", Value::Null).0, 404);
    server.stop();
}
