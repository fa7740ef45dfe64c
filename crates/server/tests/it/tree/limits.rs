//! Full disks, stalled and vanished subscribers, slow and malformed requests: the port answers, and goes on.

use super::{PATIENCE, Stream, call, good, json_of, put, refused};
use crate::client::Client;
use crate::process::Server;
use rustix::process::{Pid, Resource, Rlimit, prlimit};
use serde_json::{Value, json};
use std::{
    fs,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    thread,
    time::{Duration, Instant},
};

/// How long a client may leave unread what it was sent.
const UNREAD: Duration = Duration::from_secs(30);

/// How large a file of the server may become from now on.
fn limit_files(server: &Server, bytes: Option<u64>) {
    let pid = Pid::from_raw(i32::try_from(server.pid()).expect("a pid"));
    let limit = Rlimit {
        current: bytes,
        maximum: None,
    };
    prlimit(pid, Resource::Fsize, limit).expect("a child of ours");
}

#[test]
fn a_full_disk_is_507_and_the_server_lives() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let tree = server.tree();
    // A limit on the size of files is a full disk to who writes.
    limit_files(&server, Some(4 << 20));
    let document = |n: usize| json!({"n": n, "text": "x".repeat(64 << 10)});
    let mut stored = 0;
    let refused = (0..256).find_map(|n| {
        let reply = call(
            tree,
            "PUT",
            &format!("/d/k{n}.json"),
            "",
            Some(&document(n).to_string()),
        );
        stored += usize::from(reply.status == 200);
        (reply.status != 200).then_some(reply)
    });
    let refused = refused.expect("the file has an end");
    assert_eq!(refused.status, 507, "{}", refused.text());
    assert!(json_of(&refused)["error"].is_string());
    assert!(stored > 8, "{stored} documents fit");
    let again = call(
        tree,
        "PATCH",
        "/d.json",
        "",
        Some(&json!({"x": document(0), "y": 1}).to_string()),
    );
    assert_eq!(again.status, 507, "it stays full: {}", again.text());
    for n in 0..stored {
        let found = good(tree, "GET", &format!("/d/k{n}/n.json"), None);
        assert_eq!(found, json!(n), "reads go on");
    }
    assert_eq!(
        good(tree, "GET", "/d/y.json", None),
        Value::Null,
        "an update is whole or not at all"
    );
    limit_files(&server, None);
    good(tree, "PUT", "/d/after.json", Some("1"));
    server.kill();
    let server = Server::start(dir.path());
    let shallow = good(server.tree(), "GET", "/d.json?shallow=true", None);
    assert_eq!(shallow.as_object().map(|found| found.len()), Some(stored + 1));
    server.stop();
}

#[test]
fn a_full_map_is_507_and_the_server_lives() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--tree-capacity", "2MiB"], &[]);
    let tree = server.tree();
    let text = json!("x".repeat(64 << 10)).to_string();
    let put = |n: usize| call(tree, "PUT", &format!("/d/k{n}.json"), "", Some(&text));
    let stored = (0..64).take_while(|n| put(*n).status == 200).count();
    assert!((4..64).contains(&stored), "{stored} documents fit");
    let (status, error) = refused(tree, "PUT", "/d/one.json", "", Some(&text));
    assert_eq!(status, 507, "{error}");
    for n in 0..stored {
        let found = good(tree, "GET", &format!("/d/k{n}.json"), None);
        assert_eq!(found.to_string(), text, "reads go on");
    }
    good(tree, "DELETE", "/d/k0.json", None);
    good(tree, "DELETE", "/d/k1.json", None);
    good(tree, "PUT", "/d/one.json", Some(&text));
    server.stop();
}

#[test]
fn a_subscriber_that_does_not_read_holds_up_nobody_and_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let tree = server.tree();
    let mut stalled = Stream::open(tree, "/room/.watch", "");
    let mut firebase = Stream::firebase(tree, "/room.json");
    assert_eq!(stalled.event(), put("/", Value::Null));
    assert_eq!(firebase.event(), put("/", Value::Null));
    // More than sockets and the watch's queue hold together.
    let body = json!("x".repeat(64 << 10)).to_string();
    let begun = Instant::now();
    thread::scope(|scope| {
        for writer in 0..4 {
            let body = &body;
            scope.spawn(move || {
                let mut client = Client::connect(tree).expect("connected");
                for n in 0..200 {
                    let path = format!("/room/w{writer}/k{}.json?print=silent", n % 4);
                    let reply = client
                        .call("PUT", &path, Some(body.as_bytes()))
                        .expect("an answer");
                    assert_eq!(reply.status, 204, "{}", reply.text());
                }
            });
        }
    });
    good(tree, "PUT", "/room.json", Some("\"the end\""));
    let end = put("/", json!("the end"));
    // On a busy machine the writes may have taken so long that who read nothing meanwhile was cut off.
    let may_be_cut = begun.elapsed() > UNREAD / 2;
    let mut names = Vec::new();
    loop {
        let Some((name, data, _)) = stalled.next() else {
            assert!(may_be_cut, "the stream goes on");
            return server.stop();
        };
        names.push(name.clone());
        if (name, data) == end {
            break;
        }
    }
    assert!(
        names.iter().any(|name| name == "overflow"),
        "{} events",
        names.len()
    );
    assert!(names.len() < 800, "what was missed is not sent one by one");
    // Firebase's streams have no such word: the value comes again.
    let found = std::iter::from_fn(|| firebase.next())
        .take(800)
        .position(|(name, data, _)| (name, data) == end);
    assert!(found.is_some() || may_be_cut, "the value comes again");
    server.stop();
}

fn descriptors(server: &Server) -> usize {
    let folder = format!("/proc/{}/fd", server.pid());
    fs::read_dir(folder).expect("a process of ours").count()
}

#[test]
fn a_gone_client_is_freed_within_seconds() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let tree = server.tree();
    let before = descriptors(&server);
    let streams: Vec<Stream> = (0..50)
        .map(|n| {
            let mut stream = Stream::open(tree, &format!("/s{n}/.watch"), "");
            assert_eq!(stream.event(), put("/", Value::Null));
            stream
        })
        .collect();
    assert!(descriptors(&server) >= before + 50);
    drop(streams);
    let begun = Instant::now();
    while descriptors(&server) > before + 2 {
        assert!(
            begun.elapsed() < PATIENCE,
            "clients that are gone hold descriptors"
        );
        thread::yield_now();
    }
    server.stop();
}

/// Sends bytes as they are and reads until the server closes; the first line of what it answered.
fn raw(address: SocketAddr, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(address).expect("connected");
    stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
    // The server may close before it has read all.
    let _sent = stream.write_all(bytes);
    let mut answer = Vec::new();
    let mut buffer = [0; 4096];
    while !answer.windows(2).any(|pair| pair == b"\r\n") {
        match stream.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => answer.extend_from_slice(&buffer[..count]),
            Err(error) => {
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset, "{error}");
                break;
            }
        }
    }
    let text = String::from_utf8_lossy(&answer).into_owned();
    text.lines().next().unwrap_or_default().to_owned()
}

#[test]
fn malformed_requests_are_refused_and_store_nothing() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let tree = server.tree();
    let long = "x".repeat(128 << 10);
    let many: String = (0..500).map(|n| format!("X-{n}: 1\r\n")).collect();
    for (request, status) in [
        ("rubbish\r\n\r\n".to_owned(), "400"),
        ("PUT /a.json HTTP/1.1\r\nHost: t\r\nContent-Length: x\r\n\r\n1".to_owned(), "400"),
        ("PUT /a.json HTTP/1.1\r\nHost: t\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n1".to_owned(), "400"),
        ("PUT /a.json HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\nzz\r\n".to_owned(), "400"),
        ("PUT /a.json HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: gzip\r\n\r\n1".to_owned(), "400"),
        (format!("GET /{long}.json HTTP/1.1\r\nHost: t\r\n\r\n"), "414|431|400"),
        (format!("GET /a.json HTTP/1.1\r\nHost: t\r\nX: {long}\r\n\r\n"), "431"),
        (format!("GET /a.json HTTP/1.1\r\nHost: t\r\n{many}\r\n"), "431"),
        ("GET /a.json HTTP/1.1\r\nHost: t\r\nX y: 1\r\n\r\n".to_owned(), "400"),
        ("GET /a.json HTTP/1.1\r\nHost: t\r\nAccept: text/event-stream\r\nLast-Event-ID: x\r\nConnection: close\r\n\r\n".to_owned(), "200"),
        ("GET /a/.watch HTTP/1.1\r\nHost: t\r\nLast-Event-ID: x\r\nConnection: close\r\n\r\n".to_owned(), "400"),
        ("GET /a.json HTTP/1.1\r\nHost: t\r\nX-HTTP-Method-Override: TRACE\r\nConnection: close\r\n\r\n".to_owned(), "405"),
        ("BREW /a.json HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".to_owned(), "405"),
        // What names no path must not be taken for the root.
        ("DELETE a.json HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".to_owned(), "400"),
        ("DELETE * HTTP/1.1\r\nHost: t\r\nConnection: close\r\n\r\n".to_owned(), "400"),
    ] {
        let line = raw(tree, request.as_bytes());
        let shown = &request[..request.len().min(80)];
        assert!(status.split('|').any(|status| line.contains(status)), "{shown}: {line}");
    }
    // A body that stops coming is a request that never was.
    let mut half = TcpStream::connect(tree).expect("connected");
    half.write_all(b"PUT /a.json HTTP/1.1\r\nHost: t\r\nContent-Length: 10\r\n\r\n12345")
        .expect("sent");
    drop(half);
    assert_eq!(
        good(tree, "GET", "/.json", None),
        Value::Null,
        "nothing was stored"
    );
    server.stop();
}

#[test]
fn slow_clients_hold_up_nobody() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let tree = server.tree();
    let connect = |bytes: &[u8]| {
        let mut stream = TcpStream::connect(tree).expect("connected");
        stream.write_all(bytes).expect("sent");
        stream
    };
    let large = json!({"n": 1, "text": "x".repeat(8 << 20)}).to_string();
    assert_eq!(
        call(tree, "PUT", "/large.json?print=silent", "", Some(&large)).status,
        204
    );
    let mut slow: Vec<TcpStream> = (0..200).map(|_| connect(b"GET /a.json HT")).collect();
    slow.extend(
        (0..200).map(|_| connect(b"PUT /a.json HTTP/1.1\r\nHost: t\r\nContent-Length: 100\r\n\r\n{")),
    );
    // Asked for, and never read.
    slow.extend((0..8).map(|_| connect(b"GET /large.json HTTP/1.1\r\nHost: t\r\n\r\n")));
    for n in 0..20 {
        good(tree, "PUT", "/a.json", Some(&n.to_string()));
        assert_eq!(good(tree, "GET", "/a.json", None), json!(n));
    }
    drop(slow);
    assert_eq!(
        good(tree, "GET", "/a.json", None),
        json!(19),
        "what was not sent whole is not stored"
    );
    server.stop();
}

#[test]
fn a_watcher_that_comes_back_sees_every_change_once_in_order() {
    const LAST: u64 = 300;
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let tree = server.tree();
    let writer = thread::spawn(move || {
        let mut client = Client::connect(tree).expect("connected");
        for n in 1..=LAST {
            let body = n.to_string();
            let reply = client
                .call("PUT", "/count.json", Some(body.as_bytes()))
                .expect("an answer");
            assert_eq!(reply.status, 200, "{}", reply.text());
        }
    });
    let mut seen: Vec<u64> = Vec::new();
    let mut last_id = None;
    let mut connections = 0;
    while seen.last() != Some(&LAST) {
        let headers = last_id.map_or_else(String::new, |id: u64| format!("Last-Event-ID: {id}\r\n"));
        let mut stream = Stream::open(tree, "/count/.watch", &headers);
        connections += 1;
        for _ in 0..11 {
            let (name, data, id) = stream.next().expect("the stream goes on");
            assert_eq!((name.as_str(), &data["path"]), ("put", &json!("/")));
            assert!(last_id < id, "ids grow");
            last_id = id;
            seen.extend(data["data"].as_u64());
            if seen.last() == Some(&LAST) {
                break;
            }
        }
    }
    writer.join().expect("the writer ends");
    let first = seen[0];
    assert_eq!(seen, (first..=LAST).collect::<Vec<_>>(), "each once, in order");
    assert!(connections > 5, "{connections} connections");
    // What a stream had seen is not known to a server that was killed, or not yet: it begins with the value.
    let id = last_id.expect("an id");
    server.kill();
    let server = Server::start(dir.path());
    for known in [id - 5, id + 1000] {
        let headers = format!("Last-Event-ID: {known}\r\n");
        let mut stream = Stream::open(server.tree(), "/count/.watch", &headers);
        assert_eq!(stream.event(), put("/", json!(LAST)));
    }
    server.stop();
}

#[test]
fn answers_that_nobody_reads_take_a_bounded_memory() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--http-body-memory", "32MiB"], &[]);
    let tree = server.tree();
    for n in 0..6 {
        let part = json!("x".repeat(2 << 20)).to_string();
        let path = format!("/large/p{n}.json?print=silent");
        assert_eq!(call(tree, "PUT", &path, "", Some(&part)).status, 204);
    }
    let ask = || {
        let mut stream = TcpStream::connect(tree).expect("connected");
        stream.set_read_timeout(Some(PATIENCE)).expect("a socket");
        stream
            .write_all(b"GET /large.json HTTP/1.1\r\nHost: t\r\n\r\n")
            .expect("sent");
        let mut line = [0; 12];
        stream.read_exact(&mut line).expect("an answer");
        (stream, line)
    };
    let unread: Vec<TcpStream> = (0..2)
        .map(|_| {
            let (stream, line) = ask();
            assert_eq!(&line, b"HTTP/1.1 200");
            stream
        })
        .collect();
    let refused = call(tree, "GET", "/large.json", "", None);
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    // What is small is answered, and nobody's write waits.
    good(tree, "PUT", "/small.json", Some("1"));
    assert_eq!(good(tree, "GET", "/small.json", None), json!(1));
    drop(unread);
    let begun = Instant::now();
    while call(tree, "GET", "/large.json", "", None).status != 200 {
        assert!(begun.elapsed() < PATIENCE, "the room is not given back");
    }
    server.stop();
}

#[test]
fn the_pool_of_readers_says_what_it_did() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--tree-workers", "3"], &[]);
    let tree = server.tree();
    let document = json!({"n": 1, "text": "x".repeat(100 << 10)}).to_string();
    // Parsed as what prepares a write; read as what may take long; and a query.
    assert_eq!(
        call(tree, "PUT", "/large.json?print=silent", "", Some(&document)).status,
        204
    );
    assert_eq!(call(tree, "GET", "/large.json", "", None).status, 200);
    good(tree, "GET", "/large.json?orderBy=%22$key%22&limitToFirst=1", None);
    let count = |family: &str, labels: &str| -> u64 {
        let page = call(server.api(), "GET", "/metrics", "", None);
        let name = format!("quintet_tree_pool_{family}{{{labels}}} ");
        let value = page
            .text()
            .lines()
            .find_map(|line| line.strip_prefix(name.as_str()));
        value.expect(&name).parse().expect("a number")
    };
    for priority in ["read", "write", "bulk"] {
        // A job is counted a moment after it has answered.
        let begun = Instant::now();
        let of = format!("priority=\"{priority}\"");
        let done = format!("{of},outcome=\"done\"");
        while count("ended_jobs_total", &done) == 0 || count("run_seconds_count", &of) == 0 {
            assert!(begun.elapsed() < PATIENCE, "no job of priority {priority}");
            thread::yield_now();
        }
    }
    let stats = good(server.api(), "GET", "/stats", None);
    let pool = &stats["engines"]["tree"]["pool"];
    assert!(pool["workers"].as_u64() >= Some(3), "{stats}");
    assert_eq!(pool["priorities"]["bulk"]["done"], json!(1), "{stats}");
    server.stop();
}
