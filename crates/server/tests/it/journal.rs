//! The log on standard error: what is in it at which level, that SIGHUP changes the level, and that no secret is ever in it.

use crate::client::Client;
use crate::process::Server;
use serde_json::Value;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

const TOKEN: &str = "the-admin-token-1";
const PATIENCE: Duration = Duration::from_secs(30);

/// A server whose standard error is a file.
fn start(dir: &Path, flags: &[&str]) -> (Server, PathBuf) {
    let log = dir.join("log");
    let mut command = Command::new("sh");
    command.args(["-c", r#"log=$1; shift; exec "$0" "$@" 2>"$log""#]);
    command.arg(env!("CARGO_BIN_EXE_quintet")).arg(&log);
    command
        .args(["serve", "--without", "blocks", "--data-dir"])
        .arg(dir.join("data"));
    for port in ["--http-addr", "--resp-addr", "--tree-addr"] {
        command.args([port, "127.0.0.1:0"]);
    }
    (
        Server::spawn(command.args(flags).env("QUINTET_AUTH_ADMIN_TOKEN", TOKEN)),
        log,
    )
}

/// The log once it has these words, which it must have soon.
fn wait_for(log: &Path, words: &str) -> String {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let text = fs::read_to_string(log).expect("a log");
        if text.contains(words) {
            return text;
        }
        assert!(Instant::now() < deadline, "no {words:?} in:\n{text}");
        thread::park_timeout(Duration::from_millis(5));
    }
}

/// A write with the token in the header, and one to the tree with the token in its query.
fn write(server: &Server, name: &str) {
    let header = format!("Authorization: Bearer {TOKEN}\r\n");
    let body = Some(&b"\"a-private-value\""[..]);
    let mut api = Client::connect(server.api()).expect("connected");
    api.request("PUT", &format!("/v1/kv/0/{name}"), &header, body)
        .expect("sent");
    assert_eq!(api.reply("PUT").expect("an answer").status, 200);
    let mut tree = Client::connect(server.tree()).expect("connected");
    tree.request("PUT", &format!("/{name}.json?auth={TOKEN}"), "", body)
        .expect("sent");
    assert_eq!(tree.reply("PUT").expect("an answer").status, 200);
}

#[test]
fn a_hang_up_changes_the_level_and_no_secret_is_in_the_log() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("quintet.toml");
    let settings = |level: &str, workers: u32| {
        let text = format!(
            "log_level = \"{level}\"\nlog_format = \"json\"\nauth = \"require\"\nkv_workers = {workers}\n"
        );
        fs::write(&file, text).expect("written");
    };
    settings("error", 1);
    let (server, log) = start(dir.path(), &["--config", &file.display().to_string()]);
    write(&server, "before");
    settings("debug", 2);
    server.signal("HUP");
    wait_for(&log, "\"reloaded\"");
    write(&server, "after");
    wait_for(&log, "/after.json");
    settings("wrong", 2);
    server.signal("HUP");
    wait_for(&log, "what was in force stays");
    server.stop();

    let text = fs::read_to_string(&log).expect("a log");
    let lines: Vec<Value> = text
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    let line = |message: &str, path: Option<&str>| {
        let found = lines
            .iter()
            .find(|line| line["message"] == message && path.is_none_or(|path| line["path"] == path));
        found.unwrap_or_else(|| panic!("no {message} {path:?} in:\n{text}"))
    };
    for path in ["/v1/kv/0/after", "/after.json"] {
        let answered = line("answered", Some(path));
        assert_eq!(
            (&answered["level"], &answered["method"], &answered["status"]),
            (&"DEBUG".into(), &"PUT".into(), &200.into())
        );
        assert!(
            answered["took_us"].is_number() && answered["timestamp"].is_string(),
            "{answered}"
        );
    }
    assert_eq!(
        line("changed in the file: these need a restart", None)["settings"],
        "kv_workers"
    );
    assert_eq!(line("stopped", None)["level"], "INFO");
    assert!(!text.contains("before"), "logged below the level:\n{text}");
    for secret in [TOKEN, "a-private-value"] {
        assert!(!text.contains(secret), "{secret} is in:\n{text}");
    }
}

#[test]
fn what_fails_on_the_servers_side_is_in_the_log_unasked() {
    let dir = tempfile::tempdir().expect("a directory");
    let (server, log) = start(dir.path(), &["--http-body-memory", "32MiB"]);
    // One body takes all the room there is, and does not come.
    let mut greedy = Client::connect(server.api()).expect("connected");
    let head = "PUT /v1/vectors/c/points HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 33554432\r\nExpect: 100-continue\r\n\r\n";
    greedy.send(head.as_bytes()).expect("sent");
    assert_eq!(greedy.reply("PUT").expect("go on").status, 100);
    let mut other = Client::connect(server.api()).expect("connected");
    other
        .request("PUT", "/v1/kv/0/a", "X-Request-Id: mine\r\n", Some(b"1"))
        .expect("sent");
    assert_eq!(other.reply("PUT").expect("an answer").status, 503);
    let text = wait_for(&log, "a request failed");
    for part in [
        "WARN",
        "port=\"api\"",
        "method=\"PUT\"",
        "path=\"/v1/kv/0/a\"",
        "status=503",
        "id=\"mine\"",
        "reason=",
    ] {
        assert!(text.contains(part), "no {part} in:\n{text}");
    }
    // What the client did wrong, and what went well, is not there.
    assert!(!text.contains("answered") && text.lines().count() == 1, "{text}");
    drop(greedy);
    server.stop();
}
