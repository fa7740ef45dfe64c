//! What the first server of this kind answered wrongly, over the port: one named case each.

use super::{Stream, call, good, json_of, put, refused};
use crate::client::Client;
use crate::process::Server;
use serde_json::{Value, json};
use std::net::{SocketAddr, TcpStream};

fn start() -> (Server, SocketAddr, tempfile::TempDir) {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let tree = server.tree();
    (server, tree, dir)
}

/// Puts one after the other in the same place by both faces, and answers what is there in the end.
fn after(tree: SocketAddr, values: &[Value]) -> Value {
    for path in ["/case.json", "/case"] {
        call(tree, "DELETE", path, "", None);
        for value in values {
            good(tree, "PUT", path, Some(&value.to_string()));
        }
    }
    good(tree, "GET", "/case.json", None)
}

#[test]
fn a_put_replaces_what_was_there() {
    let (server, tree, _dir) = start();
    for (case, values, expected) in [
        (
            "old fields do not survive",
            vec![json!({"a": 1, "b": 2}), json!({"b": 3})],
            json!({"b": 3}),
        ),
        (
            "a scalar leaves no children",
            vec![json!({"a": {"b": 1}}), json!(5)],
            json!(5),
        ),
        (
            "a scalar does not hide an object",
            vec![json!(5), json!({"a": {"b": 1}})],
            json!({"a": {"b": 1}}),
        ),
        (
            "an empty object is nothing",
            vec![json!({"a": 1}), json!({})],
            Value::Null,
        ),
        (
            "an empty list is nothing",
            vec![json!([1, 2]), json!([])],
            Value::Null,
        ),
        (
            "a shorter list has no old end",
            vec![json!([1, 2, 3]), json!([9])],
            json!([9]),
        ),
        ("null removes", vec![json!({"a": 1}), Value::Null], Value::Null),
        (
            "null inside removes",
            vec![json!({"a": 1, "b": {"c": null}})],
            json!({"a": 1}),
        ),
    ] {
        assert_eq!(after(tree, &values), expected, "{case}");
    }
    assert_eq!(call(tree, "GET", "/gone", "", None).status, 404);
    server.stop();
}

#[test]
fn what_is_read_is_what_was_put() {
    let (server, tree, _dir) = start();
    for (case, value) in [
        (
            "nested objects are there",
            json!({"a": 1, "b": {"c": 2, "d": {"e": {"f": "g"}}}}),
        ),
        (
            "scalars in lists keep their types",
            json!(["x", 5, true, 0.5, false]),
        ),
        (
            "lists of objects and of lists",
            json!([{"a": 1}, [1, [2]], {"b": [3]}]),
        ),
        (
            "integers beyond 2^53",
            json!([9_007_199_254_740_993_u64, u64::MAX, i64::MIN]),
        ),
        (
            "text with every kind of character",
            json!("\u{0} \u{7f} ü 😀 \" \\ / \r\n"),
        ),
        (
            "words that were marks",
            json!({"x": "__branch__", "y": "__array__:3"}),
        ),
        ("more than 4 KiB", json!({"text": "x".repeat(100_000)})),
    ] {
        assert_eq!(after(tree, std::slice::from_ref(&value)), value, "{case}");
        assert_eq!(json_of(&call(tree, "GET", "/case", "", None)), value, "{case}");
    }
    let deep = format!(
        "/{}.json",
        vec!["a rather long name for a level"; 60]
            .join("/")
            .replace(' ', "%20")
    );
    good(tree, "PUT", &deep, Some("1"));
    assert_eq!(
        good(tree, "GET", &deep, None),
        json!(1),
        "a path of more than 511 bytes"
    );
    let (status, why) = refused(tree, "PUT", "/case.json", "", Some(r#"{"a/b": 1}"#));
    assert_eq!(status, 400, "a slash in a name is no separator: {why}");
    good(tree, "PUT", "/case%20/%C3%A9.json", Some("1"));
    assert_eq!(good(tree, "GET", "/case%20.json", None), json!({"é": 1}));
    server.stop();
}

#[test]
fn a_document_of_sixteen_mebibytes_is_taken_and_one_more_byte_is_not() {
    let (server, tree, _dir) = start();
    let text = |bytes: usize| format!("[\"{0}\",\"{0}\"]", "x".repeat((bytes - 7) / 2));
    let largest = text((16 << 20) - 1);
    assert_eq!(
        call(tree, "PUT", "/large.json?print=silent", "", Some(&largest)).status,
        204
    );
    let back = call(tree, "GET", "/large.json", "", None);
    assert!(
        back.status == 200 && back.body == largest.as_bytes(),
        "{}",
        back.status
    );
    let mut client = Client::connect(tree).expect("connected");
    let head = format!(
        "PUT /large.json HTTP/1.1\r\nHost: t\r\nContent-Length: {}\r\n\r\n",
        (16 << 20) + 1
    );
    client.send(head.as_bytes()).expect("sent");
    assert_eq!(client.reply("PUT").expect("an answer").status, 413);
    // A server that ends waits for a body that is under way.
    drop(client);
    server.stop();
}

#[test]
fn a_watcher_is_told_what_concerns_it_and_where() {
    let (server, tree, _dir) = start();
    let mut user = Stream::open(tree, "/user/.watch", "");
    let mut leaf = Stream::open(tree, "/users/ada/age/.watch", "");
    let mut root = Stream::open(tree, "/.watch", "");
    for stream in [&mut user, &mut leaf, &mut root] {
        assert_eq!(stream.event(), put("/", Value::Null));
    }
    let large = "x".repeat(10_000);
    good(
        tree,
        "PUT",
        "/users/ada.json",
        Some(&json!({"age": 36, "text": large}).to_string()),
    );
    good(tree, "PUT", "/user.json", Some("1"));
    assert_eq!(
        leaf.event(),
        put("/", json!(36)),
        "a leaf's watcher gets the leaf"
    );
    let (name, data, id) = root.next().expect("an event");
    assert_eq!(
        (name.as_str(), &data["path"]),
        ("put", &json!("/users/ada")),
        "the root is watched, and the place told"
    );
    assert!(
        id.is_some() && data["data"]["text"] == json!(large),
        "larger than a kibibyte"
    );
    assert_eq!(user.event(), put("/", json!(1)), "/user is no part of /users");
    server.stop();
}

#[test]
fn idle_connections_do_not_stop_the_service_and_connections_are_kept() {
    let (server, tree, _dir) = start();
    let idle: Vec<TcpStream> = (0..64)
        .map(|_| TcpStream::connect(tree).expect("connected"))
        .collect();
    let mut client = Client::connect(tree).expect("connected");
    for n in 0..20 {
        let body = n.to_string();
        assert_eq!(
            client
                .call("PUT", "/n.json", Some(body.as_bytes()))
                .expect("kept alive")
                .status,
            200
        );
        assert_eq!(
            client.call("GET", "/n.json", None).expect("kept alive").text(),
            body
        );
    }
    drop(idle);
    server.stop();
}

#[test]
fn pages_are_no_way_around_rules_and_other_origins_are_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(
        dir.path(),
        &["--auth", "require"],
        &[("QUINTET_AUTH_ADMIN_TOKEN", "the-admin-token-1")],
    );
    let tree = server.tree();
    for path in [
        "/index.html",
        "/data.js",
        "/a.css",
        "/favicon.ico",
        "/",
        "/health",
    ] {
        let status = call(tree, "GET", path, "", None).status;
        assert!(matches!(status, 400 | 401), "{path}: {status}");
    }
    let asked = "Origin: http://page.example\r\nAccess-Control-Request-Method: PATCH\r\n\
                 Access-Control-Request-Headers: authorization\r\n";
    let preflight = call(tree, "OPTIONS", "/a.json", asked, None);
    assert_eq!(preflight.status, 200);
    assert_eq!(preflight.header("access-control-allow-origin"), Some("*"));
    let methods = preflight
        .header("access-control-allow-methods")
        .unwrap_or_default();
    assert!(
        methods.contains("PATCH") && methods.contains("DELETE"),
        "{methods}"
    );
    server.stop();
}
