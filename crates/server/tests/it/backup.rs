//! `quintet backup` of a server that runs under load and of one that does not, and `quintet restore`.

use crate::api::api;
use crate::client::call;
use crate::process::{Server, output, quintet, stderr, stdout};
use serde_json::{Value, json};
use std::{
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Output,
    sync::atomic::{AtomicBool, AtomicU64, Ordering},
};

fn backup(data: &Path, to: &Path, at: Option<SocketAddr>) -> Output {
    let mut command = quintet(&["backup", "--data-dir"]);
    command.arg(data).arg(to);
    if let Some(at) = at {
        command.args(["--http-addr", &at.to_string()]);
    }
    output(&mut command)
}

fn restore(from: &Path, data: &Path) -> Output {
    output(quintet(&["restore", "--data-dir"]).arg(data).arg(from))
}

fn start(data: &Path) -> Server {
    Server::start_with(data, &["--blocks-capacity", "64MiB"], &[])
}

fn tree(server: &Server, method: &str, path: &str, body: Value) -> Value {
    let (status, answer) = api(server.tree(), method, path, body);
    assert_eq!(status, 200, "{method} {path}: {answer}");
    answer
}

/// Writes the number into every engine, one after the other.
fn write(server: &Server, number: u64) {
    let at = server.api();
    let accepted = |(status, answer): (u16, Value)| assert!(status < 300, "{status} {answer}");
    accepted(api(at, "PUT", &format!("/v1/kv/0/n{number}"), json!(number)));
    let point = json!({ "points": [{ "id": number, "vector": [number, 1] }] });
    accepted(api(at, "PUT", "/v1/vectors/c/points", point));
    let request = json!({ "ops": [{ "set": { format!("n.n{number}"): number, "last": number } }] });
    accepted(api(at, "POST", "/v1/stm/shop/transact", request));
    tree(server, "PUT", &format!("/n/n{number}.json"), json!(number));
    let body = format!("block {number}").into_bytes();
    assert_eq!(call(server.blocks(), "PUT", "/block", Some(&body)).status, 200);
}

/// A server whose engines have the numbers 1 to `count`.
fn stocked(data: &Path, count: u64) -> Server {
    let server = start(data);
    let spec = json!({ "dimension": 2, "metric": "l2" });
    assert_eq!(api(server.api(), "PUT", "/v1/vectors/c", spec).0, 201);
    (1..=count).for_each(|number| write(&server, number));
    server
}

/// Every engine has the numbers 1 to at least `least`, and nothing behind the first that is missing.
fn check(server: &Server, least: u64) {
    let at = server.api();
    let is_prefix = |engine: &str, has: &dyn Fn(u64) -> bool| {
        let first_missing = (1..).find(|number| !has(*number)).expect("an end");
        assert!(
            first_missing > least,
            "{engine}: {first_missing} of {least} is missing"
        );
        assert!(
            !has(first_missing + 1),
            "{engine}: {first_missing} is missing in between"
        );
    };
    is_prefix("kv", &|n| {
        api(at, "GET", &format!("/v1/kv/0/n{n}"), Value::Null).0 == 200
    });
    is_prefix("stm", &|n| {
        api(at, "GET", &format!("/v1/stm/shop/n.n{n}"), Value::Null).0 == 200
    });
    is_prefix("vectors", &|n| {
        let (_, found) = api(at, "POST", "/v1/vectors/c/get", json!({ "ids": [n] }));
        found["points"][0]["id"] == n
    });
    is_prefix("tree", &|n| {
        !tree(server, "GET", &format!("/n/n{n}.json"), Value::Null).is_null()
    });
    is_prefix("blocks", &|n| {
        let name = quintet_blockstore::Digest::of(format!("block {n}").as_bytes());
        call(server.blocks(), "GET", &format!("/block/{name}"), None).status == 200
    });
}

#[test]
fn a_backup_under_load_has_what_was_acknowledged_and_restores() {
    let dir = tempfile::tempdir().expect("a directory");
    let [data, to, back] = ["data", "b/one", "back"].map(|name| dir.path().join(name));
    let server = stocked(&data, 20);
    let (written, over) = (AtomicU64::new(20), AtomicBool::new(false));
    let least = std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 21.. {
                write(&server, number);
                written.store(number, Ordering::Release);
                if over.load(Ordering::Acquire) {
                    break;
                }
            }
        });
        let least = written.load(Ordering::Acquire);
        let run = backup(&data, &to, Some(server.api()));
        over.store(true, Ordering::Release);
        assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
        let text = stdout(&run);
        assert!(text.contains("blocks, kv, vectors, stm, tree"), "{text}");
        least
    });
    check(&server, written.load(Ordering::Acquire));
    server.stop();

    let run = restore(&to, &back);
    assert_eq!(run.status.code(), Some(0), "{}{}", stdout(&run), stderr(&run));
    let server = start(&back);
    check(&server, least);
    // It goes on like any other.
    server.stop();
    let run = restore(&to, &back);
    assert_eq!(run.status.code(), Some(1));
    assert!(stderr(&run).contains("is not empty"), "{}", stderr(&run));
}

#[test]
fn a_stopped_server_is_copied_here_and_a_backup_is_never_overwritten() {
    let dir = tempfile::tempdir().expect("a directory");
    let [data, to, back] = ["data", "one", "back"].map(|name| dir.path().join(name));
    let server = stocked(&data, 5);
    server.kill();
    let run = backup(&data, &to, None);
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let run = backup(&data, &to, None);
    assert_eq!(run.status.code(), Some(1));
    assert!(
        stderr(&run).contains("there is something already"),
        "{}",
        stderr(&run)
    );
    let inside = backup(&data, &data.join("kv/backup"), None);
    assert!(
        stderr(&inside).contains("in the data directory"),
        "{}",
        stderr(&inside)
    );
    assert_eq!(restore(&to, &back).status.code(), Some(0));
    let server = start(&back);
    check(&server, 5);
    server.stop();
}

fn files_of(folder: &Path) -> Vec<PathBuf> {
    let mut all = Vec::new();
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            all.extend(files_of(&path));
        } else {
            all.push(path);
        }
    }
    all
}

#[test]
fn a_backup_that_is_not_whole_is_refused_by_the_file_and_nothing_is_left() {
    let dir = tempfile::tempdir().expect("a directory");
    let [data, to, back] = ["data", "one", "back"].map(|name| dir.path().join(name));
    let server = stocked(&data, 3);
    let run = backup(&data, &to, Some(server.api()));
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    server.stop();
    let refused = |what: &str, path: &Path| {
        let run = restore(&to, &back);
        assert_eq!(run.status.code(), Some(1), "{what} {}", path.display());
        let text = stderr(&run);
        assert!(text.contains(&path.display().to_string()), "{what}: {text}");
        let left: Vec<_> = files_of(&back);
        assert!(left.iter().all(|path| path.ends_with("LOCK")), "{what}: {left:?}");
    };
    let files = files_of(&to);
    assert!(files.len() >= 8, "{files:?}");
    for path in &files {
        let good = fs::read(path).expect("readable");
        if !good.is_empty() {
            fs::write(path, &good[..good.len() - 1]).expect("written");
            refused("cut short", path);
            let mut bad = good.clone();
            bad[good.len() / 2] ^= 1;
            fs::write(path, &bad).expect("written");
            refused("changed", path);
        }
        fs::remove_file(path).expect("removed");
        refused("gone", path);
        fs::write(path, &good).expect("written");
    }
    let stranger = to.join("kv/stranger");
    fs::write(&stranger, "x").expect("written");
    refused("strange", &stranger);
    fs::remove_file(&stranger).expect("removed");
    assert_eq!(restore(&to, &back).status.code(), Some(0));
}

#[test]
fn only_administrators_and_no_browsers_are_served() {
    let dir = tempfile::tempdir().expect("a directory");
    let (data, to) = (dir.path().join("data"), dir.path().join("one"));
    let (admin, reader) = (dir.path().join("admin"), dir.path().join("reader"));
    fs::write(&admin, "an-admin-token-of-length").expect("written");
    fs::write(&reader, "a-reader-token-of-length").expect("written");
    let mut flags = vec!["--auth", "require", "--without", "blocks"];
    flags.extend(["--auth-admin-token-file", admin.to_str().expect("text")]);
    flags.extend(["--auth-readonly-token-file", reader.to_str().expect("text")]);
    let server = Server::start_with(&data, &flags, &[]);
    let at = server.api().to_string();
    let ask = |token: Option<&Path>| {
        let mut command = quintet(&["backup", "--http-addr", &at, "--data-dir"]);
        command.arg(&data).arg(&to);
        if let Some(token) = token {
            command.arg("--auth-admin-token-file").arg(token);
        }
        output(&mut command)
    };
    for token in [None, Some(&*reader)] {
        let run = ask(token);
        assert_eq!(run.status.code(), Some(1), "{}", stdout(&run));
        assert!(stderr(&run).contains("refused"), "{}", stderr(&run));
        assert!(!to.exists());
    }
    let run = ask(Some(&admin));
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    assert!(
        stdout(&run).contains("kv, vectors, stm, tree"),
        "{}",
        stdout(&run)
    );
    server.stop();

    // Nobody is asked for a token: a page in a browser must not be able to.
    let server = Server::start_with(&data, &["--without", "blocks"], &[]);
    let mut client = crate::client::Client::connect(server.api()).expect("connected");
    let body = json!({ "to": dir.path().join("two") }).to_string();
    let request = format!(
        "POST /v1/admin/backup HTTP/1.1\r\nhost: x\r\norigin: http://evil\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    client.send(request.as_bytes()).expect("sent");
    let reply = client.reply("POST").expect("an answer");
    assert_eq!(reply.status, 403, "{}", reply.text());
    server.stop();
}
