//! `/openapi.json` against the running server: every operation is called with its examples, and with wrong bodies and
//! methods; every answer must be one that the document names, of the shape that it gives.

use crate::api::api;
use crate::client::{Client, Reply, call};
use crate::process::Server;
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::TcpStream,
    path::Path,
    time::Duration,
};

/// Finds out where a value differs from a schema: the part of JSON Schema that the document uses.
struct Schemas<'a>(&'a Value);

impl Schemas<'_> {
    fn check(&self, schema: &Value, value: &Value, at: &str) -> Result<(), String> {
        let fields = schema
            .as_object()
            .ok_or_else(|| format!("{at}: a schema is an object"))?;
        for (keyword, rule) in fields {
            let holds = match keyword.as_str() {
                "$ref" => {
                    let path = rule.as_str().unwrap_or_default().trim_start_matches('#');
                    let target = self
                        .0
                        .pointer(path)
                        .ok_or_else(|| format!("{at}: {rule} leads nowhere"))?;
                    self.check(target, value, at)?;
                    true
                }
                "type" => match rule.as_str() {
                    Some("object") => value.is_object(),
                    Some("array") => value.is_array(),
                    Some("string") => value.is_string(),
                    Some("integer") => value.is_i64() || value.is_u64(),
                    Some("number") => value.is_number(),
                    Some("boolean") => value.is_boolean(),
                    Some("null") => value.is_null(),
                    _ => return Err(format!("{at}: no such type {rule}")),
                },
                "required" => {
                    let names = rule.as_array().into_iter().flatten().filter_map(Value::as_str);
                    names.clone().all(|name| value.get(name).is_some())
                }
                "properties" => {
                    for (name, schema) in rule.as_object().into_iter().flatten() {
                        if let Some(inner) = value.get(name) {
                            self.check(schema, inner, &format!("{at}.{name}"))?;
                        }
                    }
                    true
                }
                "additionalProperties" => {
                    let known = fields.get("properties").and_then(Value::as_object);
                    let names = value.as_object().into_iter().flat_map(|object| object.keys());
                    names
                        .clone()
                        .all(|name| known.is_some_and(|known| known.contains_key(name)))
                }
                "items" => {
                    for (index, item) in value.as_array().into_iter().flatten().enumerate() {
                        self.check(rule, item, &format!("{at}[{index}]"))?;
                    }
                    true
                }
                "enum" => rule.as_array().is_some_and(|values| values.contains(value)),
                "oneOf" => {
                    let all = rule.as_array().into_iter().flatten();
                    all.filter(|schema| self.check(schema, value, at).is_ok()).count() == 1
                }
                "minimum" => value
                    .as_f64()
                    .zip(rule.as_f64())
                    .is_none_or(|(value, least)| value >= least),
                "maximum" => value
                    .as_f64()
                    .zip(rule.as_f64())
                    .is_none_or(|(value, most)| value <= most),
                "description" => true,
                other => return Err(format!("{at}: this test does not know `{other}`")),
            };
            if !holds {
                return Err(format!("{at}: {keyword} {rule} does not hold for {value}"));
            }
        }
        Ok(())
    }
}

/// One operation of the document.
struct Operation<'a> {
    method: String,
    path: &'a str,
    spec: &'a Value,
}

impl Operation<'_> {
    /// The path with its examples in their places; required query parameters would be too.
    fn target(&self, with_query: bool) -> String {
        let (mut path, mut query) = (self.path.to_owned(), Vec::new());
        for parameter in self.spec["parameters"].as_array().into_iter().flatten() {
            let (name, example) = (parameter["name"].as_str().expect("a name"), &parameter["example"]);
            let text = example
                .as_str()
                .map_or_else(|| example.to_string(), str::to_owned);
            match parameter["in"].as_str() {
                Some("path") => path = path.replace(&format!("{{{name}}}"), &text),
                _ if with_query => query.push(format!("{name}={text}")),
                _ => {}
            }
        }
        assert!(!path.contains('{'), "{path} has a parameter without an example");
        if query.is_empty() {
            path
        } else {
            format!("{path}?{}", query.join("&"))
        }
    }

    /// The body's schema and example, and the bytes that are sent for it: text is sent as it is.
    fn example(&self) -> Option<(&Value, &Value, Vec<u8>)> {
        let (media, body) = self.spec["requestBody"]["content"].as_object()?.iter().next()?;
        let bytes = match body["example"].as_str() {
            Some(text) if media != "application/json" => text.as_bytes().to_vec(),
            _ => body["example"].to_string().into_bytes(),
        };
        Some((&body["schema"], &body["example"], bytes))
    }

    /// Whether its answer is a stream of events.
    fn streams(&self) -> bool {
        self.spec["responses"]["200"]["content"]["text/event-stream"].is_object()
    }

    /// Calls it, and holds the answer to the document.
    fn call(&self, server: &Server, doc: &Value, target: &str, body: Option<&[u8]>) -> u16 {
        let reply = if self.streams() {
            streamed(server, target)
        } else {
            let mut client = Client::connect(server.api()).expect("connected");
            client
                .call(&self.method, target, Some(body.unwrap_or_default()))
                .expect("an answer")
        };
        let what = format!("{} {target} -> {} {}", self.method, reply.status, reply.text());
        let responses = &self.spec["responses"];
        let response = responses
            .get(reply.status.to_string())
            .unwrap_or(&responses["default"]);
        let response = match response["$ref"].as_str() {
            Some(path) => doc.pointer(path.trim_start_matches('#')).expect("a response"),
            None => response,
        };
        assert!(
            reply.header("x-request-id").is_some_and(|id| !id.is_empty()),
            "{what}"
        );
        let Some((media, content)) = response["content"]
            .as_object()
            .and_then(|media| media.iter().next())
        else {
            assert!(reply.body.is_empty(), "{what}");
            return reply.status;
        };
        let said = reply.header("content-type").unwrap_or_default();
        assert!(said.starts_with(media.as_str()), "{what}: {said} is not {media}");
        let value = match media.as_str() {
            media if media.contains("json") => serde_json::from_slice(&reply.body).expect("JSON"),
            _ => json!(reply.text()),
        };
        if let Err(error) = Schemas(doc).check(&content["schema"], &value, "answer") {
            panic!("{what}: {error}");
        }
        reply.status
    }
}

/// An answer without a length, read until the server ends it: events keep the pieces that they came in.
fn streamed(server: &Server, target: &str) -> Reply {
    let mut socket = TcpStream::connect(server.api()).expect("connected");
    let patience = Some(Duration::from_secs(30));
    socket.set_read_timeout(patience).expect("a timeout");
    write!(
        socket,
        "GET {target} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n"
    )
    .expect("sent");
    let mut text = String::new();
    socket.read_to_string(&mut text).expect("a stream that ends");
    let (head, body) = text.split_once("\r\n\r\n").expect("a head");
    let mut lines = head.lines();
    let status = lines
        .next()
        .and_then(|line| line.split(' ').nth(1))
        .expect("a status");
    assert!(
        body.contains("event: started") && body.contains("event: ended"),
        "{text}"
    );
    Reply {
        status: status.parse().expect("a number"),
        headers: lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        body: body.as_bytes().to_vec(),
    }
}

/// What the examples refer to.
fn fill(server: &Server) {
    let at = server.api();
    for (key, value) in [
        ("greeting", json!("hi")),
        ("counter", json!(1)),
        ("list", json!([1, 2, 3])),
        ("user", json!({ "name": "Ada" })),
        ("old", json!(true)),
    ] {
        assert_eq!(api(at, "PUT", &format!("/v1/kv/0/{key}"), value).0, 200, "{key}");
    }
    let spec = json!({ "dimension": 2, "metric": "cosine" });
    assert_eq!(api(at, "PUT", "/v1/vectors/example", spec).0, 201);
    let request = json!({ "ops": [{ "set": { "stock.apples": 7, "stock.plums": 1 } }] });
    assert_eq!(api(at, "POST", "/v1/stm/example/transact", request).0, 200);
    let workflow = b"steps: [{set: {seen: 1}}]";
    assert_eq!(call(at, "POST", "/v1/workflows", Some(workflow)).status, 202);
    // Reads to its end, so the run is over.
    streamed(server, "/v1/workflows/1/events");
}

/// Every line of the answer has the shape that the document gives, and the last one says what was made.
fn backed_up(server: &Server, doc: &Value, operation: &Operation<'_>, to: &Path) {
    let body = json!({ "to": to }).to_string();
    let mut stream = TcpStream::connect(server.api()).expect("connected");
    let length = body.len();
    let head = format!("POST /v1/admin/backup HTTP/1.0\r\ncontent-length: {length}\r\n\r\n{body}");
    stream.write_all(head.as_bytes()).expect("sent");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("an answer");
    let (head, lines) = text.split_once("\r\n\r\n").expect("a head");
    assert!(
        head.contains(" 200 ") && head.contains("application/x-ndjson"),
        "{head}"
    );
    let schema = &operation.spec["responses"]["200"]["content"]["application/x-ndjson"]["schema"];
    let mut last = Value::Null;
    for line in lines.lines() {
        last = serde_json::from_str(line).expect("JSON");
        let fits = Schemas(doc).check(schema, &last, "line");
        fits.unwrap_or_else(|error| panic!("{line}: {error}"));
    }
    assert_eq!(last["made"]["engines"], json!(["kv", "vectors", "stm", "tree"]));
    assert!(to.join("MANIFEST").exists());
}

#[test]
fn every_operation_answers_as_the_document_says() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let server = Server::start_with(&data, &["--without", "blocks"], &[]);
    let (status, doc) = api(server.api(), "GET", "/openapi.json", Value::Null);
    assert_eq!((status, &doc["openapi"]), (200, &json!("3.1.0")));
    fill(&server);
    let mut operations: Vec<Operation<'_>> = Vec::new();
    for (path, methods) in doc["paths"].as_object().expect("paths") {
        for (method, spec) in methods.as_object().expect("operations") {
            let method = method.to_ascii_uppercase();
            operations.push(Operation { method, path, spec });
        }
    }
    assert!(operations.len() >= 40, "{} operations", operations.len());
    // What removes comes last.
    let rank = |operation: &Operation<'_>| {
        ["PUT", "POST", "GET", "DELETE"]
            .iter()
            .position(|m| *m == operation.method)
    };
    operations.sort_by_key(rank);
    for operation in &operations {
        let success: Vec<u16> = operation.spec["responses"]
            .as_object()
            .expect("responses")
            .keys()
            .filter_map(|status| status.parse().ok())
            .filter(|status| *status < 300)
            .collect();
        let example = operation.example();
        if let Some((schema, body, _)) = &example {
            Schemas(&doc)
                .check(schema, body, "example")
                .expect("the example fits its schema");
        }
        if operation.path == "/v1/admin/backup" {
            // Its answer is a stream, and what it writes is to go with the test.
            backed_up(&server, &doc, operation, &dir.path().join("backup"));
            continue;
        }
        let body = example.as_ref().map(|(_, _, bytes)| bytes.as_slice());
        let called = operation.call(&server, &doc, &operation.target(false), body);
        assert!(
            success.contains(&called),
            "{} {}: {called}",
            operation.method,
            operation.path
        );
        if operation.method == "GET" {
            let called = operation.call(&server, &doc, &operation.target(true), None);
            assert!(success.contains(&called), "{}: {called}", operation.path);
        }
    }
    for operation in &operations {
        let target = operation.target(false);
        // A body that is neither JSON nor YAML, and a method that the path does not have.
        if operation.example().is_some() {
            assert_eq!(
                operation.call(&server, &doc, &target, Some(b"{\"no\"")),
                400,
                "{target}"
            );
        }
        assert_eq!(
            api(server.api(), "PATCH", &target, Value::Null).0,
            405,
            "{target}"
        );
    }
    server.stop();
}

#[test]
fn the_metrics_are_in_the_format_and_named_alike() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    fill(&server);
    let reply = crate::client::call(server.api(), "GET", "/metrics", None);
    let media = reply.header("content-type").expect("a type");
    assert!(
        media.starts_with("application/openmetrics-text; version=1.0.0"),
        "{media}"
    );
    let text = reply.text();
    assert!(text.ends_with("\n# EOF\n") && text.matches("# EOF").count() == 1);
    let (mut families, mut name, mut kind) = (Vec::new(), "", "");
    for line in text.lines().filter(|line| *line != "# EOF") {
        if let Some(words) = line.strip_prefix("# TYPE ") {
            (name, kind) = words.split_once(' ').expect("a name and a type");
            assert!(!families.contains(&name), "{name} stands twice");
            families.push(name);
            let parts: Vec<_> = name.split('_').collect();
            assert!(
                parts.len() >= 4 && parts[0] == "quintet",
                "{name}: quintet_<engine>_<noun>_<unit>"
            );
            assert!(
                ["api", "server", "disk", "blocks", "kv", "vectors", "stm", "tree"].contains(&parts[1]),
                "{name}"
            );
            assert!(["gauge", "counter", "histogram"].contains(&kind), "{kind}");
            continue;
        }
        if let Some(words) = line.strip_prefix("# ") {
            let mut words = words.split(' ');
            assert!(
                ["UNIT", "HELP"].contains(&words.next().expect("a word")),
                "{line}"
            );
            assert_eq!(words.next(), Some(name), "{line}");
            continue;
        }
        let (series, value) = line.rsplit_once(' ').expect("a sample");
        assert!(value.parse::<f64>().is_ok_and(f64::is_finite), "{line}");
        let (sample, labels) = series
            .split_once('{')
            .map_or((series, ""), |(name, rest)| (name, rest));
        assert!(labels.is_empty() || labels.ends_with("\"}"), "{line}");
        let suffix = sample
            .strip_prefix(name)
            .unwrap_or_else(|| panic!("{line} is not of {name}"));
        let suffixes: &[&str] = match kind {
            "counter" => &["_total"],
            "histogram" => &["_bucket", "_count", "_sum"],
            _ => &[""],
        };
        assert!(suffixes.contains(&suffix), "{line}: a {kind} has {suffixes:?}");
    }
    for needed in [
        "quintet_kv_stored_keys",
        "quintet_vectors_stored_points",
        "quintet_blocks_free_bytes",
    ] {
        assert!(families.contains(&needed), "{needed}");
    }
    assert!(
        text.contains("quintet_stm_stored_values{context=\"example\"} 2"),
        "{text}"
    );
    server.stop();
}
