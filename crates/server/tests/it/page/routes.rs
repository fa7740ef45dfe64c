//! What the page asks for: the tree one level at a time, its changes, its values, and the figures of every engine.

use crate::api::{api, json_of};
use crate::client::{Client, call};
use crate::process::Server;
use serde_json::{Value, json};
use std::net::SocketAddr;

const ADMIN: &str = "the-admin-token-1";
const READER: &str = "the-readonly-token";

fn get(at: SocketAddr, path: &str) -> (u16, Value) {
    api(at, "GET", path, Value::Null)
}

/// Reads a stream until a line begins with `end`.
fn lines_until(client: &mut Client, end: &str) -> Vec<String> {
    let mut lines = Vec::new();
    loop {
        let line = client.line().expect("the stream goes on");
        let is_end = line.starts_with(end);
        lines.push(line);
        if is_end {
            return lines;
        }
    }
}

#[test]
fn children_are_listed_a_level_and_a_page_at_a_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--without", "blocks,stm,vectors"], &[]);
    let at = server.api();
    let value =
        json!({ "rooms": { "tea": { "topic": "tea" } }, "9": true, "10": 1, "long": "é".repeat(300) });
    let put = call(server.tree(), "PUT", "/.json", Some(value.to_string().as_bytes()));
    assert_eq!(put.status, 200);
    let (status, all) = get(at, "/ui/tree/children?path=/");
    assert_eq!(status, 200, "{all}");
    assert_eq!(all["children"][0], json!({ "name": "9", "value": true }));
    assert_eq!(all["children"][1], json!({ "name": "10", "value": 1 }));
    assert_eq!(all["children"][2]["length"], 600);
    assert_eq!(
        all["children"][2]["value"],
        "é".repeat(200),
        "cut between characters"
    );
    assert_eq!(all["children"][3], json!({ "name": "rooms" }));
    assert_eq!((&all["has_more"], &all["seq"]), (&json!(false), &json!(1)));
    let (_, page) = get(at, "/ui/tree/children?path=/&after=9&limit=1");
    assert_eq!(page["children"], json!([{ "name": "10", "value": 1 }]));
    assert_eq!(page["has_more"], true);
    let (_, leaf) = get(at, "/ui/tree/children?path=/rooms/tea/topic");
    assert_eq!((&leaf["leaf"], &leaf["children"]), (&json!("tea"), &json!([])));
    for (query, status, says) in [
        ("path=/&limit=0", 400, "1 to 1000"),
        ("path=/&limit=1001", 400, "1 to 1000"),
        ("path=/a.b", 400, "a.b"),
        ("", 400, "path"),
        ("path=/&depth=3", 400, "depth"),
    ] {
        let (found, problem) = get(at, &format!("/ui/tree/children?{query}"));
        assert_eq!(found, status, "{query}: {problem}");
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains(says)),
            "{query}: {problem}"
        );
    }
    server.stop();
}

#[test]
fn values_are_read_and_written_as_on_the_trees_own_port() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--without", "blocks,stm,vectors"], &[]);
    let at = server.api();
    assert_eq!(
        api(at, "PUT", "/ui/tree/values/a%20b/c.json", json!(1)),
        (200, json!(1))
    );
    assert_eq!(call(server.tree(), "GET", "/a%20b/c.json", None).body, b"1");
    let mut client = Client::connect(at).expect("connected");
    let ask = "X-Firebase-ETag: true\r\n";
    client
        .request("GET", "/ui/tree/values/a%20b/c.json", ask, None)
        .expect("sent");
    let tag = client
        .reply("GET")
        .expect("an answer")
        .header("etag")
        .expect("a tag")
        .to_owned();
    for (tag, status) in [("other", 412), (tag.as_str(), 200), (tag.as_str(), 412)] {
        let line = format!("If-Match: {tag}\r\n");
        client
            .request("PUT", "/ui/tree/values/a%20b/c.json", &line, Some(b"2"))
            .expect("sent");
        assert_eq!(client.reply("PUT").expect("an answer").status, status);
    }
    let (status, made) = api(at, "POST", "/ui/tree/values/list.json", json!("x"));
    assert_eq!((status, made["name"].as_str().map(str::len)), (200, Some(20)));
    assert_eq!(api(at, "DELETE", "/ui/tree/values/.json", Value::Null).0, 200);
    for (path, status) in [
        ("/ui/tree/values/a", 400),
        ("/ui/tree/values/a.b.json", 400),
        ("/ui/tree/values/.settings/rules.json", 400),
        ("/ui/tree/other", 404),
        ("/ui/other.js", 404),
    ] {
        let reply = call(at, "GET", path, None);
        assert_eq!(reply.status, status, "{path}");
        json_of(&reply);
    }
    server.stop();
}

#[test]
fn the_stream_brings_changes_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--without", "blocks,stm,vectors"], &[]);
    let put = |path, body: &str| call(server.tree(), "PUT", path, Some(body.as_bytes())).status;
    assert_eq!(put("/a/b.json", "1"), 200);
    let mut stream = Client::connect(server.api()).expect("connected");
    let accept = "Accept: text/event-stream\r\n";
    stream
        .request("GET", "/ui/tree/changes?path=/a", accept, None)
        .expect("sent");
    let head = lines_until(&mut stream, "transfer-encoding");
    assert_eq!(head[0], "HTTP/1.1 200 OK");
    assert_eq!((put("/other.json", "1"), put("/a/b.json", "2")), (200, 200));
    let said = lines_until(&mut stream, "data:");
    assert_eq!(
        said.last().map(String::as_str),
        Some("data: {\"data\":2,\"path\":\"/b\"}"),
        "{said:?}"
    );
    // A stream does not hold up the end of the server.
    server.stop();
}

#[test]
fn the_trees_rules_and_the_tokens_hold_for_the_page() {
    let dir = tempfile::tempdir().expect("a directory");
    let tokens = [
        ("QUINTET_AUTH_ADMIN_TOKEN", ADMIN),
        ("QUINTET_AUTH_READONLY_TOKEN", READER),
    ];
    let flags = ["--auth", "require", "--without", "blocks,stm,vectors"];
    let server = Server::start_with(dir.path(), &flags, &tokens);
    let ask = |method, path, token: Option<&str>, body: Option<&[u8]>| {
        let header = token.map_or_else(String::new, |token| format!("Authorization: Bearer {token}\r\n"));
        let mut client = Client::connect(server.api()).expect("connected");
        client.request(method, path, &header, body).expect("sent");
        client.reply(method).expect("an answer").status
    };
    assert_eq!(
        ask("GET", "/", None, None),
        200,
        "the page itself is for everybody"
    );
    assert_eq!(ask("GET", "/ui/app.js", None, None), 200);
    assert_eq!(ask("GET", "/stats", None, None), 401);
    for path in [
        "/ui/tree/children?path=/",
        "/ui/tree/values/a.json",
        "/ui/tree/changes?path=/",
    ] {
        assert_eq!(ask("GET", path, None, None), 401, "{path}");
        assert_eq!(ask("GET", path, Some("rubbish"), None), 401, "{path}");
    }
    assert_eq!(ask("GET", "/ui/tree/children?path=/", Some(READER), None), 200);
    assert_eq!(
        ask("PUT", "/ui/tree/values/a.json", Some(READER), Some(b"1")),
        403
    );
    assert_eq!(ask("PUT", "/ui/tree/values/a.json", Some(ADMIN), Some(b"1")), 200);
    server.stop();
}

#[test]
fn a_tree_that_is_left_out_says_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--without", "blocks,stm,tree"], &[]);
    for path in ["/ui/tree/children?path=/", "/ui/tree/values/a.json", "/ui/tree"] {
        let (status, problem) = get(server.api(), path);
        assert_eq!(status, 404, "{path}");
        let detail = problem["detail"].as_str().unwrap_or_default();
        assert!(detail.contains("--without"), "{path}: {problem}");
    }
    let (_, stats) = get(server.api(), "/stats");
    assert!(stats["engines"]["tree"]["absent"].is_string(), "{stats}");
    server.stop();
}

#[test]
fn every_engine_has_figures_to_draw() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let at = server.api();
    let vitals = |name: &str| get(at, "/stats").1["engines"][name]["vitals"].clone();
    let spec = json!({ "dimension": 2, "metric": "cosine" });
    type Ask<'a> = Box<dyn Fn() -> u16 + 'a>;
    let asks: [(&str, Ask<'_>); 5] = [
        ("kv", Box::new(|| api(at, "PUT", "/v1/kv/0/a", json!(1)).0)),
        (
            "blocks",
            Box::new(|| call(server.blocks(), "PUT", "/block", Some(b"hello")).status),
        ),
        (
            "vectors",
            Box::new(move || api(at, "PUT", "/v1/vectors/c", spec.clone()).0),
        ),
        (
            "stm",
            Box::new(|| {
                api(
                    at,
                    "POST",
                    "/v1/stm/s/transact",
                    json!({ "ops": [{ "set": { "a.b": 1 } }] }),
                )
                .0
            }),
        ),
        (
            "tree",
            Box::new(|| call(server.tree(), "PUT", "/a.json", Some(b"1")).status),
        ),
    ];
    for (name, ask) in asks {
        let before = vitals(name);
        assert!((200..300).contains(&ask()), "{name}");
        let after = vitals(name);
        let operations = |vitals: &Value| vitals["operations"].as_u64().expect("a count");
        assert_eq!(operations(&after), operations(&before) + 1, "{name}: {after}");
        assert!(
            after["disk_bytes"].as_u64().is_some_and(|bytes| bytes > 0),
            "{name}: {after}"
        );
        let times = |vitals: &Value| {
            let counts = vitals["counts"].as_array().expect("counts");
            assert_eq!(
                counts.len(),
                vitals["bounds_us"].as_array().expect("bounds").len() + 1,
                "{name}"
            );
            counts.iter().filter_map(Value::as_u64).sum::<u64>()
        };
        assert_eq!(times(&after), times(&before) + 1, "{name}: {after}");
    }
    // A Redis command counts among the keys' requests; it is not timed.
    let before = vitals("kv");
    let mut resp = Client::connect(server.resp()).expect("connected");
    resp.send(b"SET b 1\r\n").expect("sent");
    assert_eq!(resp.line().expect("an answer"), "+OK");
    let more = (0..1000).any(|_| vitals("kv")["operations"].as_u64() > before["operations"].as_u64());
    assert!(more, "{before}");
    assert_eq!(vitals("kv")["counts"], before["counts"]);
    assert!(
        vitals("kv")["memory_bytes"]
            .as_u64()
            .is_some_and(|bytes| bytes > 0)
    );
    assert!(get(at, "/stats").1["engines"]["disk"].get("vitals").is_none());
    server.stop();
}
