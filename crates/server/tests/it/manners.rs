//! Clients without manners, on every port at once: they send halves, never read, or never stop. Everybody else is served.

use crate::api::api;
use crate::client::{Client, call};
use crate::process::Server;
use serde_json::{Value, json};
use std::{
    io::{ErrorKind, Write},
    net::{SocketAddr, TcpStream},
    time::{Duration, Instant},
};

/// How long an answer may take while the others misbehave.
const PATIENCE: Duration = Duration::from_secs(20);

/// Sends half of something, and keeps the connection.
fn halves(at: SocketAddr, half: &str, count: usize) -> Vec<TcpStream> {
    let open = || {
        let mut stream = TcpStream::connect(at).expect("connected");
        stream.write_all(half.as_bytes()).expect("sent");
        stream
    };
    (0..count).map(|_| open()).collect()
}

/// Asks again and again and reads nothing, until the server takes no more from it or an amount was asked.
fn never_reads(at: SocketAddr, ask: &[u8], most_bytes: usize) -> TcpStream {
    let mut stream = TcpStream::connect(at).expect("connected");
    stream
        .set_write_timeout(Some(Duration::from_millis(300)))
        .expect("set");
    let asks = ask.repeat((64 << 10) / ask.len() + 1);
    let mut sent = 0;
    while sent < most_bytes {
        match stream.write(&asks) {
            Ok(bytes) => sent += bytes,
            Err(error) if [ErrorKind::WouldBlock, ErrorKind::TimedOut].contains(&error.kind()) => break,
            // Cut off by the server, which is as good.
            Err(_) => break,
        }
    }
    stream
}

#[test]
fn whoever_behaves_is_served_whatever_the_others_do() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--blocks-capacity", "64MiB"], &[]);
    let (at, resp, tree, blocks) = (server.api(), server.resp(), server.tree(), server.blocks());
    let big = "x".repeat(200_000);
    assert_eq!(api(at, "PUT", "/v1/kv/0/big", json!(big)).0, 200);
    assert_eq!(call(blocks, "PUT", "/block", Some(big.as_bytes())).status, 200);
    let name = quintet_blockstore::Digest::of(big.as_bytes());
    assert_eq!(api(tree, "PUT", "/big.json", json!(big)).0, 200);

    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n");
    let mut bad = Vec::new();
    for port in [at, tree, blocks] {
        bad.extend(halves(
            port,
            "PUT /v1/kv/0/a HTTP/1.1\r\nhost: x\r\ncontent-le",
            50,
        ));
        bad.extend(halves(
            port,
            "PUT /a.json HTTP/1.1\r\nhost: x\r\ncontent-length: 1000\r\n\r\n{",
            50,
        ));
    }
    bad.extend(halves(resp, "*3\r\n$3\r\nSET\r\n$1\r\na\r\n$1000\r\nx", 50));
    bad.extend(halves(resp, "BLPOP nothing 0\r\n", 50));
    bad.push(never_reads(at, get("/v1/kv/0/big").as_bytes(), 4 << 20));
    bad.push(never_reads(tree, get("/big.json").as_bytes(), 4 << 20));
    bad.push(never_reads(
        blocks,
        get(&format!("/block/{name}")).as_bytes(),
        4 << 20,
    ));
    bad.push(never_reads(resp, b"GET big\r\n", 4 << 20));
    // Follows the tree, and does not listen.
    bad.extend(halves(
        tree,
        "GET /.json HTTP/1.1\r\nhost: x\r\naccept: text/event-stream\r\n\r\n",
        20,
    ));

    let begun = Instant::now();
    let mut redis = Client::connect(resp).expect("connected");
    for number in 0..50 {
        assert_eq!(
            api(at, "PUT", &format!("/v1/kv/0/n{number}"), json!(number)).0,
            200
        );
        let request = json!({ "ops": [{ "set": { "n": number } }] });
        assert_eq!(api(at, "POST", "/v1/stm/c/transact", request).0, 200);
        assert_eq!(api(tree, "PUT", &format!("/n/{number}.json"), json!(big)).0, 200);
        let body = format!("block {number}").into_bytes();
        assert_eq!(call(blocks, "PUT", "/block", Some(&body)).status, 200);
        redis.send(format!("GET n{number}\r\n").as_bytes()).expect("sent");
        assert!(redis.line().expect("an answer").starts_with('$'));
        assert_eq!(redis.line().expect("a value"), number.to_string());
        assert!(begun.elapsed() < PATIENCE, "the others are kept waiting");
    }
    let (status, ready) = api(at, "GET", "/readyz", Value::Null);
    assert_eq!((status, &ready["ready"]), (200, &json!(true)), "{ready}");
    drop(bad);
    server.stop();
}
