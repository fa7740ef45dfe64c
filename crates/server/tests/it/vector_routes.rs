//! `/v1/vectors` from outside: one client's whole job, and every bad input told by its field and its point, with nothing of
//! a refused batch stored.

use crate::{
    api::{api, json_of},
    client::call,
    process::Server,
};
use serde_json::{Value, json};
use std::net::SocketAddr;

fn started() -> (tempfile::TempDir, Server) {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--without", "blocks,kv,stm,tree"], &[]);
    (dir, server)
}

fn ask(at: SocketAddr, method: &str, path: &str, body: Value) -> Value {
    let (status, answer) = api(at, method, path, body);
    assert!(status < 300, "{method} {path}: {answer}");
    answer
}

/// The collection `c`, as `spec` says.
fn collection(at: SocketAddr, spec: Value) {
    ask(at, "PUT", "/v1/vectors/c", spec);
}

#[test]
fn a_client_stores_finds_filters_pages_deletes_and_drops() {
    let (_dir, server) = started();
    let at = server.api();
    let spec = json!({"dimension": 3, "metric": "cosine", "budget_bytes": 1 << 20});
    assert_eq!(api(at, "PUT", "/v1/vectors/c", spec).0, 201);
    let points: Vec<Value> = (0..20)
        .map(|n| json!({"id": n, "vector": [1, n, 0], "payload": {"even": n % 2 == 0}}))
        .chain([json!({"id": "home", "vector": [0, 0, 2]})])
        .collect();
    let stored = ask(at, "PUT", "/v1/vectors/c/points", json!({"points": points}));
    assert_eq!(stored, json!({"stored": 21}));
    let search = |body: Value| ask(at, "POST", "/v1/vectors/c/search", body);
    let found = search(json!({"vector": [0, 0, 1], "k": 1, "exact": true, "with": ["vector"]}));
    assert_eq!(
        found,
        json!({"hits": [{"id": "home", "score": 1.0, "vector": [0.0, 0.0, 2.0]}]})
    );
    let filter = json!({"field": "even", "equal": false});
    let search_odd = json!({"vector": [1, 0, 0], "k": 2, "filter": filter, "with": ["payload"]});
    let found = search(search_odd);
    for (hit, id) in found["hits"].as_array().expect("hits").iter().zip([1_u32, 3]) {
        assert_eq!(
            (&hit["id"], &hit["payload"]),
            (&json!(id), &json!({"even": false})),
            "{found}"
        );
        let wanted = 1.0 / f64::from(1 + id * id).sqrt();
        assert!(
            hit["score"]
                .as_f64()
                .is_some_and(|score| (score - wanted).abs() < 1e-6),
            "{found}"
        );
    }
    // More than there are: all there are.
    let found = search(json!({"vectors": [[1, 0, 0], [0, 1, 0]], "k": 100}));
    assert_eq!(found.as_array().map(Vec::len), Some(2));
    assert_eq!(found[1]["hits"].as_array().map(Vec::len), Some(21));
    assert_eq!(
        (&found[0]["hits"][0]["id"], &found[1]["hits"][0]["id"]),
        (&json!(0), &json!(19))
    );
    let info = ask(at, "GET", "/v1/vectors/c", Value::Null);
    assert_eq!(
        (&info["count"], &info["dimension"], &info["cold_bytes"]),
        (&json!(21), &json!(3), &json!(0))
    );
    let deleted = ask(
        at,
        "POST",
        "/v1/vectors/c/delete",
        json!({"ids": ["home", 3, 99]}),
    );
    assert_eq!(deleted, json!({"deleted": 2}));
    let page = ask(at, "POST", "/v1/vectors/c/scroll", json!({"after": 17}));
    assert_eq!(page, json!({"points": [{"id": 18}, {"id": 19}]}));
    ask(at, "DELETE", "/v1/vectors/c", Value::Null);
    assert_eq!(api(at, "GET", "/v1/vectors/c", Value::Null).0, 404);
    server.stop();
}

/// A method, a path, a body, and what the refusal says.
type Refused = (&'static str, &'static str, String, &'static str);

fn refused_points() -> Vec<Refused> {
    let long = "x".repeat(70_000);
    let batch = |second: Value| json!({"points": [{"id": 7, "vector": [1, 2]}, second]}).to_string();
    let points = [
        (
            batch(json!({"id": 8, "vector": [1, 2, 3]})),
            "points[1] (id 8): vector: 3 numbers; the collection has dimension 2",
        ),
        (
            batch(json!({"id": 8, "vector": []})),
            "points[1] (id 8): vector: 0 numbers",
        ),
        (
            batch(json!({"id": "eight"})),
            "points[1] (id \"eight\"): vector: 0 numbers",
        ),
        (
            batch(json!({"id": 8, "vector": [1, 1e39]})),
            "points[1].vector[1]: number out of range",
        ),
        (
            batch(json!({"id": 8, "vector": [0, 0]})),
            "points[1] (id 8): vector: its length",
        ),
        (
            batch(json!({"id": 7, "vector": [3, 4]})),
            "points[1] (id 7): id: it occurs twice",
        ),
        (
            batch(json!({"id": "", "vector": [3, 4]})),
            "points[1] (id \"\"): id: 0 bytes",
        ),
        (
            batch(json!({"id": 8, "vector": [3, 4], "payload": {"text": long}})),
            "points[1] (id 8): payload: 70011 bytes; at most 65536",
        ),
        (batch(json!({"id": -1, "vector": [3, 4]})), "points[1].id"),
        (batch(json!({"id": 8, "vector": ["a", 4]})), "points[1].vector[0]"),
        (batch(json!({"id": 8, "vector": [3, 4], "colour": 1})), "colour"),
        (
            r#"{"points":[{"id":7,"vector":[1,2]},{"id":8,"vector":[NaN,1]}]}"#.to_owned(),
            "points[1].vector[0]",
        ),
    ];
    points
        .map(|(body, says)| ("PUT", "/v1/vectors/c/points", body, says))
        .into()
}

fn refused_searches() -> Vec<Refused> {
    let search = |body: Value, says| ("POST", "/v1/vectors/c/search", body.to_string(), says);
    vec![
        search(
            json!({"vector": [1], "k": 1}),
            "vector: query 0: 1 numbers; the collection has dimension 2",
        ),
        search(
            json!({"vectors": [[1, 2], [1, 1e39]], "k": 1}),
            "vectors[1][1]: number out of range",
        ),
        search(json!({"vector": [], "k": 1}), "vector: query 0: 0 numbers"),
        search(json!({"vectors": [], "k": 1}), "vectors: 0 queries"),
        search(json!({"k": 1}), "one of `vector` and `vectors`"),
        search(json!({"vector": [1, 2], "k": 0}), "k: 0; 1 to 10000"),
        search(json!({"vector": [1, 2], "k": 10_001}), "k: 10001; 1 to 10000"),
        search(json!({"vector": [1, 2], "k": -1}), "k"),
        search(json!({"vector": [1, 2], "k": 1, "ef": 0}), "ef: 0"),
        search(json!({"vector": [1, 2], "k": 1, "filter": {"near": 1}}), "filter"),
        search(json!({"vector": [1, 2], "k": 1, "with": ["score"]}), "with"),
    ]
}

fn refused_collections() -> Vec<Refused> {
    let collections = [
        (json!({"dimension": 0, "metric": "l2"}), "dimension: 0; 1 to 4096"),
        (
            json!({"dimension": 4097, "metric": "l2"}),
            "dimension: 4097; 1 to 4096",
        ),
        (json!({"dimension": 2, "metric": "manhattan"}), "metric"),
        (
            json!({"dimension": 2, "metric": "l2", "budget_bytes": 3}),
            "budget_bytes: 3; at least 1024",
        ),
    ];
    collections
        .map(|(body, says)| ("PUT", "/v1/vectors/d", body.to_string(), says))
        .into()
}

#[test]
fn every_bad_input_is_told_by_its_field_and_its_point() {
    let (_dir, server) = started();
    let at = server.api();
    collection(at, json!({"dimension": 2, "metric": "cosine"}));
    ask(
        at,
        "PUT",
        "/v1/vectors/c/points",
        json!({"points": [{"id": 1, "vector": [1, 1]}]}),
    );
    for (method, path, body, says) in refused_points()
        .into_iter()
        .chain(refused_searches())
        .chain(refused_collections())
    {
        let reply = call(at, method, path, Some(body.as_bytes()));
        let problem = json_of(&reply);
        assert_eq!(reply.status, 400, "{says}: {problem}");
        assert_eq!(
            problem["type"], "urn:quintet:problem:invalid-input",
            "{says}: {problem}"
        );
        let detail = problem["detail"].as_str().expect("a sentence");
        assert!(detail.contains(says), "{says}: {detail}");
    }
    let body = json!({"vector": [1, 2], "k": 1});
    for (method, path) in [
        ("POST", "/v1/vectors/none/search"),
        ("DELETE", "/v1/vectors/none"),
    ] {
        let (status, problem) = api(at, method, path, body.clone());
        assert_eq!(status, 404, "{problem}");
        assert!(
            problem["detail"]
                .as_str()
                .is_some_and(|text| text.contains("`none`")),
            "{problem}"
        );
    }
    let again = json!({"dimension": 2, "metric": "l2"});
    assert_eq!(api(at, "PUT", "/v1/vectors/c", again).0, 409);
    let page = ask(at, "POST", "/v1/vectors/c/scroll", json!({}));
    assert_eq!(
        page,
        json!({"points": [{"id": 1}]}),
        "nothing of a refused batch is stored"
    );
    each_shard_has_its_figures(at);
    server.stop();
}

/// A route, a body and what the refusal says.
type Hostile = (&'static str, String, &'static str);

fn deep(depth: usize) -> String {
    format!("{}{}", "[".repeat(depth), "]".repeat(depth))
}

/// One point with something beside its id and its vector.
fn point_with(rest: &str) -> String {
    format!(r#"{{"points":[{{"id":7,"vector":[1,2]{rest}}}]}}"#)
}

fn hostile_json() -> Vec<Hostile> {
    let unexpected = "the body is not what is expected";
    let in_payload = |depth| point_with(&format!(r#","payload":{{"a":{}}}"#, deep(depth)));
    let long = "x".repeat(1 << 20);
    let bodies = [
        (String::new(), "EOF"),
        ("[]".to_owned(), unexpected),
        ("null".to_owned(), unexpected),
        (deep(200_000), unexpected),
        (in_payload(100_000), "recursion limit"),
        (in_payload(100), "100 deep"),
        (point_with(r#","id":8"#), "duplicate field `id`"),
        (format!("{} x", point_with("")), "trailing characters"),
        (format!(r#"{{"points":[],"{long}":1}}"#), "unknown field `xxx"),
    ];
    bodies.map(|(body, says)| ("points", body, says)).into()
}

fn hostile_points() -> Vec<Hostile> {
    let point = |id: &str, vector: &str| format!(r#"{{"points":[{{"id":{id},"vector":{vector}}}]}}"#);
    let long = format!(r#""{}""#, "x".repeat(1 << 20));
    let bodies = [
        (point_with(r#","payload":[1]"#), "points[0].payload"),
        (point_with(r#","payload":{"a":1e999}"#), "number out of range"),
        (point("7", "[null,2]"), "points[0].vector[0]"),
        (point("7", "[1,1e999]"), "points[0].vector[1]"),
        (point("7", "[1,1e20]"), "vector: [1] is"),
        (point("7.5", "[1,2]"), "points[0].id"),
        (point("18446744073709551616", "[1,2]"), "points[0].id"),
        (point(&long, "[1,2]"), "points[0] (id \"xxx"),
    ];
    bodies.map(|(body, says)| ("points", body, says)).into()
}

fn hostile_searches() -> Vec<Hostile> {
    let search = |query: &str, k: &str| format!(r#"{{{query},"k":{k}}}"#);
    let filter = |filter: String| format!(r#"{{"vector":[1,2],"k":1,"filter":{filter}}}"#);
    let queries = |count: usize| format!(r#""vectors":[{}[1,2]]"#, "[1,2],".repeat(count));
    let one = r#""vector":[1,2]"#;
    let nots = format!("{}true{}", r#"{"not":"#.repeat(100), "}".repeat(100));
    let long = format!(r#"{{"{}":1}}"#, "x".repeat(1 << 20));
    let values = format!(r#"{{"field":"a","in":[{}1]}}"#, "1,".repeat(500));
    let bodies = [
        (search(one, "1e9"), "k"),
        (search(one, "99999999999999999999"), "k"),
        (search(r#""vector":[1,null]"#, "1"), "vector[1]"),
        (search(r#""vector":[1,2],"vectors":[[1,2]]"#, "1"), "and not both"),
        (search(&queries(1024), "1"), "vectors: 1025 queries"),
        (search(&queries(100), "10000"), "at most 1000000 together"),
        (filter(deep(200)), "recursion limit"),
        (filter(nots), "filter: nested"),
        (filter(long), "filter: a condition has"),
        (filter(values), "at most 256"),
    ];
    bodies.map(|(body, says)| ("search", body, says)).into()
}

fn hostile_others() -> Vec<Hostile> {
    let (many, long) = ("1,".repeat(10_000), "x".repeat(1 << 20));
    let range = r#"{"filter":{"field":"a","range":{"gt":{}}}}"#;
    vec![
        (
            "get",
            format!(r#"{{"ids":[{many}1]}}"#),
            "ids: 10001; at most 10000",
        ),
        (
            "delete",
            format!(r#"{{"ids":["{long}"]}}"#),
            "ids: [0]: 1048576 bytes",
        ),
        (
            "scroll",
            r#"{"limit":10001}"#.to_owned(),
            "limit: 10001; 1 to 10000",
        ),
        ("scroll", r#"{"limit":0}"#.to_owned(), "limit: 0; 1 to 10000"),
        ("count", range.to_owned(), "neither a number nor a text"),
    ]
}

#[test]
fn hostile_bodies_are_refused_and_change_nothing() {
    let (_dir, server) = started();
    let at = server.api();
    let spec = json!({"dimension": 2, "metric": "l2"});
    collection(at, spec.clone());
    let hostile = [
        hostile_json(),
        hostile_points(),
        hostile_searches(),
        hostile_others(),
    ];
    for (route, body, says) in hostile.into_iter().flatten() {
        let method = if route == "points" { "PUT" } else { "POST" };
        let reply = call(
            at,
            method,
            &format!("/v1/vectors/c/{route}"),
            Some(body.as_bytes()),
        );
        let problem = json_of(&reply);
        assert_eq!(reply.status, 400, "{route}: {says}: {problem}");
        let detail = problem["detail"].as_str().expect("a sentence");
        assert!(detail.contains(says), "{route}: {says}: {detail}");
        assert!(
            reply.body.len() < 10_000,
            "{says}: an answer of {} bytes",
            reply.body.len()
        );
    }
    let reply = call(at, "PUT", "/v1/vectors/c/points", Some(b"{\"points\":\xff}"));
    assert_eq!(reply.status, 400, "{reply:?}");
    for name in ["%FF", "%00", &"n".repeat(256)] {
        let (status, problem) = api(at, "PUT", &format!("/v1/vectors/{name}"), spec.clone());
        assert_eq!(status, 400, "{name}: {problem}");
    }
    assert_eq!(ask(at, "GET", "/v1/vectors/c", Value::Null)["count"], 0);
    assert_eq!(
        ask(at, "GET", "/v1/vectors", Value::Null),
        json!({"collections": ["c"]})
    );
    server.stop();
}

#[test]
fn a_body_and_an_answer_have_their_limits() {
    let (_dir, server) = started();
    let at = server.api();
    collection(at, json!({"dimension": 4096, "metric": "l2"}));
    let mut body = json!({"points": [{"id": 1, "vector": vec![0; 4096]}]}).to_string();
    body.push_str(&" ".repeat((32 << 20) - body.len()));
    let reply = call(at, "PUT", "/v1/vectors/c/points", Some(body.as_bytes()));
    assert_eq!((reply.status, json_of(&reply)), (200, json!({"stored": 1})));
    // One vector is 16 KiB; asked for often enough it is more than an answer may have.
    let often = json!({"ids": vec![1; 5000], "with": ["vector"]});
    let (status, problem) = api(at, "POST", "/v1/vectors/c/get", often);
    assert_eq!(status, 400, "{problem}");
    assert!(
        problem["detail"]
            .as_str()
            .is_some_and(|text| text.contains("above 67108864 bytes")),
        "{problem}"
    );
    let few = json!({"ids": [1, 1], "with": ["vector"]});
    assert_eq!(
        ask(at, "POST", "/v1/vectors/c/get", few)["points"][1]["vector"][4095],
        0.0
    );
    server.stop();
}

fn each_shard_has_its_figures(at: SocketAddr) {
    let stats = ask(at, "GET", "/stats", Value::Null);
    let shard = &stats["engines"]["vectors"]["shards"][0];
    for figure in [
        "queue_depth",
        "messages",
        "batches",
        "largest_batch",
        "busy_share",
        "round_trip_p99_ns",
    ] {
        assert!(shard[figure].is_number(), "{figure}: {stats}");
    }
    let metrics = String::from_utf8(call(at, "GET", "/metrics", None).body).expect("text");
    for name in [
        "quintet_vectors_queued_messages{shard=\"0\"}",
        "quintet_vectors_cold_bytes{collection=\"c\"} 0",
    ] {
        assert!(metrics.contains(name), "{name}: {metrics}");
    }
}
