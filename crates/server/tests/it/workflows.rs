//! Workflows from the command line and over the API: refused, run, told, cancelled, kept.

use crate::api::{api, json_of};
use crate::client::call;
use crate::process::{Server, output, quintet, stderr, stdout};
use serde_json::{Value, json};
use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    path::Path,
    time::{Duration, Instant},
};

const GOOD: &str = "name: order\nprocesses:\n  ProcA: {set: {a: n + 1}}\n  ProcB: {set: {b: n + 2}}\nisolation: hybrid\nsteps: [[ProcA, ProcB]]\n";
/// Runs until it is ended.
const ENDLESS: &str = "max_ops: 1000000000\nsteps: [{set: {n: 0}}, {while: true, max_ops: 1000000000, do: [{set: {n: n + 1}}]}]\n";

fn write(dir: &Path, text: &str) -> String {
    let file = dir.join("order.yaml");
    std::fs::write(&file, text).expect("written");
    file.to_str().expect("a path").to_owned()
}

#[test]
fn check_tells_line_column_and_what_was_meant() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = write(
        dir.path(),
        "steps:\n- set: {total: price * lenn(items)}\n  isolaton: safe\n",
    );
    let refused = output(&mut quintet(&["workflow", "check", &file]));
    assert_eq!(refused.status.code(), Some(2));
    let told = stderr(&refused);
    for part in [
        "line 2, column 24: there is no function `lenn`",
        "2 | - set: {total: price * lenn(items)}\n  |                        ^^^^ did you mean `len`?",
        "line 3, column 3: unknown key `isolaton` in a step",
        "^^^^^^^^ did you mean `isolation`?",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let file = write(dir.path(), GOOD);
    let good = output(&mut quintet(&["workflow", "check", &file]));
    assert_eq!(good.status.code(), Some(0), "{}", stderr(&good));
    assert!(stdout(&good).contains("2 steps, nothing wrong"));
    let missing = output(&mut quintet(&["workflow", "check", "/nowhere.yaml"]));
    assert_eq!(missing.status.code(), Some(2));
}

#[test]
fn plan_prints_the_graph() {
    let dir = tempfile::tempdir().expect("a directory");
    let text = "name: shop\nsteps: [{set: {a: 1}, id: one}, [{set: {b: 1}, id: two}, {set: {c: 1}, id: three}], {if: a > 0, then: [{set: {d: 1}}], id: four}]";
    let planned = output(&mut quintet(&["workflow", "plan", &write(dir.path(), text)]));
    assert_eq!(planned.status.code(), Some(0), "{}", stderr(&planned));
    assert_eq!(
        stdout(&planned),
        "workflow shop: 5 steps, hybrid, fail-fast, at most 10000 operations\n  one (hybrid)\n  two (hybrid) after one\n  \
         three (hybrid) after one\n  four (if a > 0) after two, three\n    set@2 (hybrid)\n"
    );
}

#[test]
fn run_shows_progress_changes_and_an_exit_code() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = write(dir.path(), GOOD);
    let ran = output(&mut quintet(&["workflow", "run", &file, "--set", "n=40"]));
    assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
    let told = stdout(&ran);
    for part in [
        "begins   ProcA (line 6)",
        "done     ProcB (line 6): 1 change in ",
        "changes\n  a: - -> 41\n  b: - -> 42\n",
        "succeeded: 2 done, 0 failed, 0 skipped",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let failed = output(&mut quintet(&["workflow", "run", &file, "--quiet"]));
    assert_eq!(failed.status.code(), Some(1));
    assert!(
        stderr(&failed).contains("nothing is at `n`"),
        "{}",
        stderr(&failed)
    );
    assert!(!stdout(&failed).contains("begins"), "{}", stdout(&failed));
}

#[test]
fn a_run_on_a_data_directory_is_kept() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let data_dir = data.to_str().expect("a path");
    let file = write(dir.path(), "steps: [{set: {n: \"get(n, 0) + 1\"}}]");
    for n in 1..=3 {
        let ran = output(&mut quintet(&[
            "workflow",
            "run",
            &file,
            "--data-dir",
            data_dir,
            "--context",
            "shop",
        ]));
        assert_eq!(ran.status.code(), Some(0), "{}", stderr(&ran));
        assert!(stdout(&ran).contains(&format!(" -> {n}\n")), "{}", stdout(&ran));
    }
    let server = Server::start(&data);
    let (_, value) = api(server.api(), "GET", "/v1/stm/shop/n", Value::Null);
    assert_eq!(value["value"], 3);
    server.stop();
}

fn post(address: SocketAddr, path: &str, text: &str) -> (u16, Value) {
    let reply = call(address, "POST", path, Some(text.as_bytes()));
    (reply.status, json_of(&reply))
}

fn get(address: SocketAddr, path: &str) -> Value {
    let (status, value) = api(address, "GET", path, Value::Null);
    assert_eq!(status, 200, "{value}");
    value
}

fn until_ended(address: SocketAddr, id: &Value) -> Value {
    let deadline = Instant::now() + Duration::from_secs(30);
    loop {
        let run = get(address, &format!("/v1/workflows/{id}"));
        if run["report"].is_object() {
            return run;
        }
        assert!(Instant::now() < deadline, "{run}");
        std::thread::park_timeout(Duration::from_millis(5));
    }
}

/// The stream as text, read to its end.
fn stream(address: SocketAddr, path: &str, header: &str) -> String {
    let request = format!("GET {path} HTTP/1.1\r\nHost: t\r\nConnection: close\r\n{header}\r\n");
    let mut socket = TcpStream::connect(address).expect("connected");
    socket.write_all(request.as_bytes()).expect("sent");
    socket
        .set_read_timeout(Some(Duration::from_secs(30)))
        .expect("a timeout");
    let mut text = String::new();
    socket.read_to_string(&mut text).expect("a stream that ends");
    text
}

#[test]
fn the_api_runs_tells_and_refuses() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let address = server.api();
    let (status, refused) = post(address, "/v1/workflows", "steps:\n- {sett: {a: 1}}");
    assert_eq!(status, 400);
    assert_eq!(refused["problems"][0]["line"], 2, "{refused}");
    assert_eq!(refused["problems"][0]["column"], 3);
    let suggestion = refused["problems"][0]["suggestion"].as_str().unwrap_or_default();
    assert!(suggestion.contains("set"), "{refused}");

    let text = GOOD.replace(
        "steps: [[ProcA, ProcB]]",
        "steps: [{set: {n: 40}}, [ProcA, ProcB]]",
    );
    let (status, started) = post(address, "/v1/workflows?context=shop", &text);
    assert_eq!(status, 202, "{started}");
    assert_eq!(
        (&started["name"], &started["context"], &started["steps"]),
        (&json!("order"), &json!("shop"), &json!(3))
    );
    let ended = until_ended(address, &started["id"]);
    assert_eq!(ended["status"], "succeeded", "{ended}");
    assert_eq!(ended["report"]["done"], 3);
    let changes = ended["report"]["changes"].as_array().expect("changes");
    assert!(
        changes.contains(&json!({ "path": "b", "old": null, "new": 42 })),
        "{ended}"
    );
    assert_eq!(get(address, "/v1/stm/shop/a")["value"], 41);

    let path = format!("/v1/workflows/{}/events", started["id"]);
    let told = stream(address, &path, "");
    for part in [
        "text/event-stream",
        "event: started",
        "event: step_started",
        "event: step_done",
        "event: ended",
        "\"status\":\"succeeded\"",
    ] {
        assert!(told.contains(part), "{told}");
    }
    let last = stream(address, &path, "Last-Event-ID: 7\r\n");
    assert!(
        last.contains("event: ended") && !last.contains("event: started"),
        "{last}"
    );
    let listed = get(address, "/v1/workflows");
    assert_eq!(listed["workflows"][0]["id"], started["id"]);
    let (status, none) = api(address, "GET", "/v1/workflows/999", Value::Null);
    assert_eq!(status, 404, "{none}");
    server.stop();
}

#[test]
fn the_api_cancels_and_a_stop_does_too() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let address = server.api();
    let (_, first) = post(address, "/v1/workflows", ENDLESS);
    let (status, _) = api(
        address,
        "POST",
        &format!("/v1/workflows/{}/cancel", first["id"]),
        Value::Null,
    );
    assert_eq!(status, 202);
    let ended = until_ended(address, &first["id"]);
    assert_eq!(ended["status"], "cancelled", "{ended}");
    // More events than are kept: whoever comes late is told how many are gone.
    let (_, second) = post(address, "/v1/workflows", ENDLESS);
    let deadline = Instant::now() + Duration::from_secs(30);
    while get(address, &format!("/v1/workflows/{}", second["id"]))["events"].as_u64() < Some(5000) {
        assert!(Instant::now() < deadline);
    }
    api(
        address,
        "POST",
        &format!("/v1/workflows/{}/cancel", second["id"]),
        Value::Null,
    );
    until_ended(address, &second["id"]);
    let told = stream(address, &format!("/v1/workflows/{}/events", second["id"]), "");
    assert!(
        told.contains("event: missed") && told.contains("event: ended"),
        "{told:.400}"
    );
    assert_eq!(told.matches("\nid: ").count(), 1024);
    // As many as may run at once, and no more.
    let started: Vec<u16> = (0..9)
        .map(|_| post(address, "/v1/workflows", ENDLESS).0)
        .collect();
    assert_eq!(started[..8], [202; 8]);
    assert_eq!(started[8], 503);
    server.stop();
}
