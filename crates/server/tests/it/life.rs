//! What an operator meets: the service manager's protocol, SIGHUP, back-pressure, and builds with fewer engines.

use crate::api::api;
use crate::client::Client;
use crate::process::{Server, output, quintet, stdout};
use serde_json::Value;
use std::{os::unix::net::UnixDatagram, process::Command, time::Duration};

#[test]
fn a_service_manager_is_told_of_readiness_and_of_the_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = dir.path().join("notify");
    let socket = UnixDatagram::bind(&path).expect("bound");
    socket
        .set_read_timeout(Some(Duration::from_secs(20)))
        .expect("set");
    let heard = || {
        let mut bytes = [0; 64];
        let length = socket.recv(&mut bytes).expect("a message");
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let path = path.display().to_string();
    let data = dir.path().join("data");
    let server = Server::start_with(&data, &["--without", "blocks"], &[("NOTIFY_SOCKET", &path)]);
    assert_eq!(heard(), "READY=1");
    server.stop();
    assert_eq!(heard(), "STOPPING=1");
}

#[test]
fn a_hang_up_is_not_the_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--without", "blocks"], &[]);
    server.signal("HUP");
    assert_eq!(api(server.api(), "GET", "/livez", Value::Null).0, 200);
    server.stop();
}

#[test]
fn bodies_beyond_the_memory_set_aside_are_told_to_come_again() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--http-body-memory", "32MiB"], &[]);
    // One body takes all of it, and does not come.
    let mut greedy = Client::connect(server.api()).expect("connected");
    let head = "PUT /v1/vectors/c/points HTTP/1.1\r\nHost: t\r\nContent-Length: 33554432\r\nExpect: 100-continue\r\n\r\n";
    greedy.send(head.as_bytes()).expect("sent");
    assert_eq!(greedy.reply("PUT").expect("go on").status, 100);
    let mut other = Client::connect(server.api()).expect("connected");
    let refused = other.call("PUT", "/v1/kv/0/a", Some(b"1")).expect("an answer");
    assert_eq!((refused.status, refused.header("retry-after")), (503, Some("1")));
    let problem: Value = serde_json::from_slice(&refused.body).expect("JSON");
    assert_eq!(problem["type"], "urn:quintet:problem:unavailable");
    // What needs no body goes on, and so does everything when the greedy one has left.
    let mut other = Client::connect(server.api()).expect("connected");
    assert_eq!(other.call("GET", "/readyz", None).expect("an answer").status, 200);
    greedy.abort();
    let stored = (0..2000).any(|_| {
        let mut client = Client::connect(server.api()).expect("connected");
        client
            .call("PUT", "/v1/kv/0/a", Some(b"1"))
            .expect("an answer")
            .status
            == 200
    });
    assert!(stored, "the room of a broken connection is not given back");
    server.stop();
}

#[test]
fn the_version_names_the_engines_in_and_out() {
    let run = output(&mut quintet(&["--version", "--verbose"]));
    assert_eq!(run.status.code(), Some(0));
    let text = stdout(&run);
    assert!(
        text.contains("\nengines: ") && text.contains("\nnot built in: "),
        "{text}"
    );
}

#[test]
fn a_build_with_one_engine_has_no_other_engine() {
    let engines = ["blockstore", "kv", "shard", "stm", "tree"];
    for (feature, engine) in engines.iter().map(|name| (name, format!("quintet-{name} "))) {
        let mut cargo = Command::new(env!("CARGO"));
        cargo.args([
            "tree",
            "--offline",
            "--package",
            "quintet-server",
            "--edges",
            "normal",
        ]);
        cargo.args(["--prefix", "none", "--no-default-features", "--features", feature]);
        let run = cargo
            .current_dir(env!("CARGO_MANIFEST_DIR"))
            .output()
            .expect("cargo runs");
        let tree = stdout(&run);
        assert!(
            run.status.success() && tree.contains(&engine),
            "{feature}: {run:?}"
        );
        for other in engines.iter().filter(|other| *other != feature) {
            assert!(
                !tree.contains(&format!("quintet-{other} ")),
                "{feature} brings {other}"
            );
        }
    }
}
