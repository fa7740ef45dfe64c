//! The tree's port, black box: Firebase's protocol, the plain face, streams, rules and tokens, and what survives a kill.

mod document;
mod ending;
mod limits;
mod original;
mod rules;

use crate::client::{Client, Reply};
use crate::process::Server;
use serde_json::{Value, json};
use std::{
    io::{BufRead, BufReader, ErrorKind, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// How long an event may take.
const PATIENCE: Duration = Duration::from_secs(20);

fn call(address: SocketAddr, method: &str, path: &str, headers: &str, body: Option<&str>) -> Reply {
    let mut client = Client::connect(address).expect("connected");
    client
        .request(method, path, headers, body.map(str::as_bytes))
        .expect("sent");
    client.reply(method).expect("an answer")
}

fn json_of(reply: &Reply) -> Value {
    serde_json::from_slice(&reply.body).unwrap_or_else(|error| panic!("{error}: {reply:?}"))
}

/// A call whose answer is 200 and JSON.
fn good(address: SocketAddr, method: &str, path: &str, body: Option<&str>) -> Value {
    let reply = call(address, method, path, "", body);
    assert_eq!(reply.status, 200, "{method} {path}: {}", reply.text());
    json_of(&reply)
}

/// A call that is refused: its status and its reason.
fn refused(
    address: SocketAddr,
    method: &str,
    path: &str,
    headers: &str,
    body: Option<&str>,
) -> (u16, String) {
    let reply = call(address, method, path, headers, body);
    assert!(reply.status >= 400, "{method} {path}: {reply:?}");
    let scheme = reply.header("www-authenticate");
    assert_eq!(scheme, (reply.status == 401).then_some("Bearer"), "{reply:?}");
    let error = json_of(&reply)["error"]
        .as_str()
        .expect("{\"error\": …}")
        .to_owned();
    (reply.status, error)
}

/// An open stream.
struct Stream {
    reader: BufReader<TcpStream>,
}

impl Stream {
    fn open(address: SocketAddr, path: &str, headers: &str) -> Self {
        let mut stream = TcpStream::connect(address).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{headers}\r\n"
        )
        .expect("sent");
        let mut reader = BufReader::new(stream);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(reader.read_line(&mut head).expect("a head"), 0, "{head}");
        }
        assert!(head.starts_with("HTTP/1.1 200"), "{head}");
        assert!(head.contains("text/event-stream"), "{head}");
        Self { reader }
    }

    fn firebase(address: SocketAddr, path: &str) -> Self {
        Self::open(address, path, "Accept: text/event-stream\r\n")
    }

    /// The next event: its name, its data and its id; `None` = the stream has ended.
    fn next(&mut self) -> Option<(String, Value, Option<u64>)> {
        let (mut name, mut data, mut id) = (String::new(), Value::Null, None);
        loop {
            let mut line = String::new();
            match self.reader.read_line(&mut line) {
                Ok(0) => return None,
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return None,
                read => drop(read.expect("an event in time")),
            }
            let line = line.trim_end();
            if let Some(text) = line.strip_prefix("event: ") {
                text.clone_into(&mut name);
            } else if let Some(text) = line.strip_prefix("data: ") {
                data = serde_json::from_str(text).expect("data is JSON");
            } else if let Some(text) = line.strip_prefix("id: ") {
                id = text.parse().ok();
            } else if line.is_empty() && !name.is_empty() {
                return Some((name, data, id));
            }
        }
    }

    fn event(&mut self) -> (String, Value) {
        let (name, data, _) = self.next().expect("the stream goes on");
        (name, data)
    }
}

fn put(path: &str, data: Value) -> (String, Value) {
    ("put".to_owned(), json!({ "path": path, "data": data }))
}

#[test]
fn values_are_replaced_merged_pushed_and_removed() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let tree = server.tree();
    assert_eq!(good(tree, "GET", "/.json", None), Value::Null);
    let document = r#"{"name":"Ada","langs":["en","fr"],"deep":{"n":9007199254740993,"f":0.1}}"#;
    good(tree, "PUT", "/users/ada.json", Some(document));
    let read = call(tree, "GET", "/users/ada.json", "", None);
    assert!(read.text().contains("9007199254740993"), "{}", read.text());
    // A PUT replaces: nothing of the old value stays.
    good(tree, "PUT", "/users/ada.json", Some(r#"{"name":"Ada L."}"#));
    assert_eq!(
        good(tree, "GET", "/users/ada.json", None),
        json!({"name": "Ada L."})
    );
    good(tree, "PUT", "/users/ada.json", Some("5"));
    good(tree, "PUT", "/users/ada/name.json", Some("\"Ada\""));
    assert_eq!(
        good(tree, "GET", "/users.json", None),
        json!({"ada": {"name": "Ada"}})
    );
    // A PATCH replaces what it names and leaves the rest, at several places at once.
    let patch = r#"{"ada/born":1815,"bob":{"name":"Bob"},"ada/name":null}"#;
    let echoed = good(tree, "PATCH", "/users.json", Some(patch));
    assert_eq!(
        echoed,
        json!({"ada/born": 1815, "bob": {"name": "Bob"}, "ada/name": null})
    );
    assert_eq!(
        good(tree, "GET", "/users.json", None),
        json!({"ada": {"born": 1815}, "bob": {"name": "Bob"}})
    );
    let names: Vec<String> = (0..3)
        .map(|n| {
            good(tree, "POST", "/log.json", Some(&n.to_string()))["name"]
                .as_str()
                .expect("a name")
                .to_owned()
        })
        .collect();
    assert!(
        names.is_sorted() && names.iter().all(|name| name.len() == 20),
        "{names:?}"
    );
    assert_eq!(good(tree, "DELETE", "/users/ada/born.json", None), Value::Null);
    assert_eq!(
        good(tree, "GET", "/users.json?shallow=true", None),
        json!({"bob": true})
    );
    let silent = call(tree, "PUT", "/x.json?print=silent", "", Some("1"));
    assert_eq!((silent.status, silent.body.len()), (204, 0));
    let pretty = call(tree, "GET", "/users.json?print=pretty", "", None);
    assert!(pretty.text().contains("\n  \"bob\""), "{}", pretty.text());
    server.stop();
}

#[test]
fn server_values_are_made_by_the_server() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let tree = server.tree();
    let at = good(tree, "PUT", "/at.json", Some(r#"{".sv":"timestamp"}"#));
    assert!(at.as_u64().is_some_and(|ms| ms > 1_600_000_000_000), "{at}");
    for expected in 1..=3 {
        let count = good(tree, "PUT", "/count.json", Some(r#"{".sv":{"increment":1}}"#));
        assert_eq!(count, json!(expected));
    }
    server.stop();
}

#[test]
fn tags_guard_against_lost_updates() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let tree = server.tree();
    good(tree, "PUT", "/count.json", Some("0"));
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut done = 0;
                while done < 25 {
                    let read = call(tree, "GET", "/count.json", "X-Firebase-ETag: true\r\n", None);
                    let tag = read.header("etag").expect("a tag").to_owned();
                    let next = json_of(&read).as_u64().expect("a number") + 1;
                    let headers = format!("if-match: {tag}\r\n");
                    let wrote = call(tree, "PUT", "/count.json", &headers, Some(&next.to_string()));
                    match wrote.status {
                        200 => done += 1,
                        412 => assert!(json_of(&wrote).is_number() && wrote.header("etag").is_some()),
                        other => panic!("{other}: {}", wrote.text()),
                    }
                }
            });
        }
    });
    assert_eq!(good(tree, "GET", "/count.json", None), json!(100));
    let nothing = call(tree, "PUT", "/fresh.json", "if-match: null_etag\r\n", Some("1"));
    assert_eq!(nothing.status, 200);
    let taken = call(tree, "PUT", "/fresh.json", "if-match: null_etag\r\n", Some("2"));
    assert_eq!((taken.status, taken.text()), (412, "1"));
    let known = call(tree, "GET", "/fresh.json", "X-Firebase-ETag: true\r\n", None);
    let headers = format!("if-none-match: {}\r\n", known.header("etag").expect("a tag"));
    assert_eq!(call(tree, "GET", "/fresh.json", &headers, None).status, 304);
    server.stop();
}

#[test]
fn children_are_found_by_queries() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let tree = server.tree();
    let document = r#"{"a":{"height":3},"b":{"height":1},"c":{"height":2},"d":{"weight":9}}"#;
    good(tree, "PUT", "/d.json", Some(document));
    let keys = |query: &str| {
        let found = good(tree, "GET", &format!("/d.json?{query}"), None);
        found
            .as_object()
            .map(|found| found.keys().cloned().collect::<Vec<_>>().join(""))
            .unwrap_or_default()
    };
    assert_eq!(keys("orderBy=%22height%22&startAt=2"), "ac");
    assert_eq!(keys("orderBy=%22height%22&startAfter=2"), "a");
    assert_eq!(keys("orderBy=%22height%22&endBefore=2&startAt=0"), "b");
    assert_eq!(keys("orderBy=%22height%22&equalTo=2"), "c");
    assert_eq!(keys("orderBy=%22height%22&limitToLast=1"), "a");
    assert_eq!(keys("orderBy=%22$key%22&startAt=%22b%22&endAt=%22c%22"), "bc");
    let warned = call(tree, "GET", "/d.json?orderBy=%22height%22", "", None);
    let warning = warned.header("x-quintet-warning").expect("no index is declared");
    assert!(warning.contains(".indexOn height"), "{warning}");
    server.stop();
}

#[test]
fn urls_may_have_quotes_as_people_type_them() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let mut client = Client::connect(server.tree()).expect("connected");
    // All on one connection: quotes in bodies stay as they are.
    let mut answer = |method: &str, path: &str, body: Option<&str>| {
        client
            .request(method, path, "", body.map(str::as_bytes))
            .expect("sent");
        let reply = client.reply(method).expect("an answer");
        assert_eq!(reply.status, 200, "{method} {path}: {}", reply.text());
        json_of(&reply)
    };
    let all = json!({"a": {"text": "GET /?\"a\" HTTP/1.1\r\n"}, "b": {"height": 2}, "c": {"height": 3}});
    assert_eq!(answer("PUT", "/d.json", Some(&all.to_string())), all);
    assert_eq!(
        answer("GET", "/d.json?orderBy=\"height\"&startAt=3", None),
        json!({"c": {"height": 3}})
    );
    assert_eq!(answer("GET", "/d.json", None), all);
    assert_eq!(
        answer("GET", "/d.json?orderBy=\"$key\"&equalTo=\"b\"", None),
        json!({"b": {"height": 2}})
    );
    server.stop();
}

#[test]
#[expect(clippy::too_many_lines, reason = "one table, read row by row")]
fn wrong_requests_are_told_what_is_wrong_and_store_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let tree = server.tree();
    let deep = format!("{}1{}", "[".repeat(500), "]".repeat(500));
    let deep_objects = format!("{}1{}", "{\"a\":".repeat(200), "}".repeat(200));
    for (method, path, headers, body, status, reason) in [
        ("PUT", "/a.json", "", Some("{\"x\":"), 400, "line 1 column 5"),
        ("PUT", "/a.json", "", Some("{\"x\":1,\n\"y\" 2}"), 400, "line 2"),
        ("PUT", "/a.json", "", Some(""), 400, "empty"),
        ("PUT", "/a.json", "", Some("{\"a.b\":1}"), 400, "a.b"),
        ("PUT", "/a.json", "", Some("{\"a/b\":1}"), 400, "a/b"),
        ("PUT", "/a.json", "", Some("{\"\":1}"), 400, "empty"),
        ("PUT", "/a.json", "", Some(&deep), 400, "levels|recursion|deep"),
        (
            "PUT",
            "/a.json",
            "",
            Some(&deep_objects),
            400,
            "levels|recursion|deep",
        ),
        ("PUT", "/a$b.json", "", Some("1"), 400, "$"),
        ("PATCH", "/a.json", "", Some("5"), 400, "object"),
        ("PATCH", "/a.json", "", Some("{\"b\":1,\"b/c\":2}"), 400, "within"),
        ("PATCH", "/a.json", "", Some("{\"\":1}"), 400, "below"),
        ("PATCH", "/a.json", "", Some("{\"/\":1}"), 400, "below"),
        ("POST", "/a.json", "if-match: x\r\n", Some("1"), 400, "if-match"),
        (
            "PUT",
            "/a.json",
            "Content-Encoding: gzip\r\n",
            Some("1"),
            415,
            "encoded",
        ),
        ("GET", "/a.json?orderBy=x", "", None, 400, "orderBy"),
        ("GET", "/a.json?limitToFirst=2", "", None, 400, "orderBy"),
        (
            "GET",
            "/a.json?orderBy=%22b%22",
            "Accept: text/event-stream\r\n",
            None,
            400,
            "stream",
        ),
        ("GET", "/nothing", "", None, 404, "/nothing"),
        ("POST", "/a", "", Some("1"), 405, "GET"),
        ("POST", "/auth/token", "", Some("{\"uid\":\"x\"}"), 404, "off"),
    ] {
        let (found, error) = refused(tree, method, path, headers, body);
        assert_eq!(found, status, "{method} {path}: {error}");
        assert!(
            reason.split('|').any(|part| error.contains(part)),
            "{method} {path}: {error}"
        );
    }
    let large = format!("\"{}\"", "x".repeat(17 << 20));
    let mut client = Client::connect(tree).expect("connected");
    client
        .send(
            format!(
                "PUT /a.json HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n",
                large.len()
            )
            .as_bytes(),
        )
        .expect("sent");
    assert_eq!(client.reply("PUT").expect("an answer").status, 413);
    assert_eq!(
        good(tree, "GET", "/.json", None),
        Value::Null,
        "nothing was stored"
    );
    server.stop();
}

#[test]
fn a_stream_begins_with_the_value_and_brings_each_change_once() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let tree = server.tree();
    good(tree, "PUT", "/room.json", Some(r#"{"topic":"tea"}"#));
    let mut stream = Stream::firebase(tree, "/room.json");
    let mut plain = Stream::open(tree, "/room/.watch", "");
    let mut leaf = Stream::firebase(tree, "/room/topic.json");
    assert_eq!(stream.event(), put("/", json!({"topic": "tea"})));
    assert_eq!(leaf.event(), put("/", json!("tea")));
    let (_, _, first) = plain.next().expect("a value");
    let first = first.expect("an id");
    good(tree, "PUT", "/elsewhere.json", Some("1"));
    good(tree, "PUT", "/room/people/1.json", Some("\"ada\""));
    good(
        tree,
        "PATCH",
        "/room.json",
        Some(r#"{"topic":"coffee","open":true}"#),
    );
    good(tree, "DELETE", "/room.json", None);
    assert_eq!(stream.event(), put("/people/1", json!("ada")));
    let patch = json!({"path": "/", "data": {"topic": "coffee", "open": true}});
    assert_eq!(stream.event(), ("patch".to_owned(), patch));
    assert_eq!(stream.event(), put("/", Value::Null));
    // A leaf's stream has the leaf, not its parent's new value.
    let (_, data) = leaf.event();
    assert!(
        data.to_string().contains("coffee") && !data.to_string().contains("open"),
        "{data}"
    );
    assert_eq!(leaf.event(), put("/", Value::Null));
    // The plain stream has ids, and goes on after the one it is told.
    let (_, _, second) = plain.next().expect("a change");
    let mut resumed = Stream::open(
        tree,
        "/room/.watch",
        &format!("Last-Event-ID: {}\r\n", second.expect("an id")),
    );
    let (name, _, third) = resumed.next().expect("a change");
    assert_eq!(name, "patch");
    assert!(first < second.expect("an id") && second < third);
    server.signal("TERM");
    assert!(stream.next().is_none(), "the stream ends with the server");
}

#[test]
fn acknowledged_writes_survive_a_kill_and_updates_are_whole() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut acknowledged = 0u64;
    for round in 0..3 {
        let server = Server::start(dir.path());
        let tree = server.tree();
        if round > 0 {
            let found = good(tree, "GET", "/pair.json", None);
            let (a, b) = (found["a"].as_u64(), found["b"]["c"].as_u64());
            assert_eq!(a, b, "an update is whole or not at all");
            assert!(a.is_some_and(|a| a >= acknowledged), "{a:?} < {acknowledged}");
            acknowledged = a.expect("just checked");
        }
        let writer = std::thread::spawn(move || {
            let mut last = acknowledged;
            let Ok(mut client) = Client::connect(tree) else {
                return last;
            };
            loop {
                let body = format!("{{\"a\":{0},\"b/c\":{0}}}", last + 1);
                match client.call("PATCH", "/pair.json", Some(body.as_bytes())) {
                    Ok(reply) if reply.status == 200 => last += 1,
                    Ok(reply) => panic!("{}: {}", reply.status, reply.text()),
                    Err(_killed) => return last,
                }
            }
        });
        let before = acknowledged;
        let deadline = Instant::now() + PATIENCE;
        while good(tree, "GET", "/pair/a.json", None).as_u64().unwrap_or(0) < before + 20 {
            assert!(Instant::now() < deadline, "no progress");
        }
        server.kill();
        acknowledged = writer.join().expect("the writer ends with the server");
    }
    // Each round saw twenty more; of the last one of a round the answer may have been lost with the server.
    assert!(acknowledged >= 57, "{acknowledged}");
}
