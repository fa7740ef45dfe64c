//! A real server whose disk fails under one engine: that engine refuses writes and says so, and nobody else notices.
//!
//! The failure comes from the recorder of the log's crate, preloaded: from the moment that a file appears, every write and sync
//! below the engine's folder is an I/O error.

use crate::api::api;
use crate::client::{Client, call};
use crate::process::{Server, quintet};
use serde_json::{Value, json};
use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    thread,
    time::{Duration, Instant},
};

const ENGINES: [&str; 5] = ["blocks", "kv", "vectors", "stm", "tree"];
const SHIM: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../log/shim/record.c");
/// An engine may keep what it writes in memory for a while, but not so much.
const MOST_WRITES: usize = 5000;
const PATIENCE: Duration = Duration::from_secs(30);

/// Builds what is preloaded; the workspace needs a C compiler anyway.
fn shim(dir: &Path) -> PathBuf {
    let library = dir.join("record.so");
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    let mut compile = Command::new(compiler);
    compile.args(["-O1", "-shared", "-fPIC", "-o"]).arg(&library);
    compile.args([SHIM, "-ldl", "-lpthread"]);
    let run = compile.output().expect("a C compiler");
    assert!(run.status.success(), "{run:?}");
    library
}

/// The status of one write to an engine; `None` = there was no answer, as the Redis port does it for what was on its way when
/// the disk failed.
fn write(server: &Server, engine: &str, number: usize) -> Option<u16> {
    match engine {
        "blocks" => {
            let body = format!("block {number}").into_bytes();
            Some(call(server.blocks(), "PUT", "/block", Some(&body)).status)
        }
        "kv" => {
            let mut redis = Client::connect(server.resp()).ok()?;
            redis.send(format!("SET a {number}\r\n").as_bytes()).ok()?;
            Some(if redis.line().ok()? == "+OK" { 200 } else { 503 })
        }
        "vectors" => {
            let points = json!({ "points": [{ "id": number, "vector": [1, number] }] });
            Some(api(server.api(), "PUT", "/v1/vectors/places/points", points).0)
        }
        "stm" => {
            let ops = json!({ "ops": [{ "set": { "n": number } }] });
            Some(api(server.api(), "POST", "/v1/stm/shop/transact", ops).0)
        }
        _ => {
            let body = number.to_string().into_bytes();
            Some(call(server.tree(), "PUT", "/n.json", Some(&body)).status)
        }
    }
}

fn states(server: &Server) -> Value {
    api(server.api(), "GET", "/readyz", Value::Null).1["engines"].clone()
}

#[test]
fn an_engine_whose_disk_fails_takes_no_other_with_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let library = shim(dir.path());
    for engine in ENGINES {
        let data = dir.path().join(engine);
        let place = format!("/{engine}/");
        let now = dir.path().join(format!("{engine}-fails"));
        let mut command = quintet(&[
            "serve",
            "--blocks-addr",
            "127.0.0.1:0",
            "--blocks-capacity",
            "64MiB",
        ]);
        command.args(["--log-level", "off", "--data-dir"]).arg(&data);
        command
            .env("LD_PRELOAD", &library)
            .env("QUINTET_RECORD_DIR", &data)
            .env("QUINTET_FAIL_PATH", place)
            .env("QUINTET_FAIL_WHEN", &now)
            .env("QUINTET_FAIL_NTH", "1");
        let server = Server::spawn(&mut command);
        let spec = json!({ "dimension": 2, "metric": "l2" });
        assert!(api(server.api(), "PUT", "/v1/vectors/places", spec).0 < 300);

        for other in ENGINES {
            assert_eq!(write(&server, other, 0), Some(200), "{other}");
        }

        fs::write(&now, "").expect("written");
        let failed = (1..MOST_WRITES)
            .find(|number| write(&server, engine, *number).is_none_or(|status| status >= 500));
        assert!(
            failed.is_some(),
            "{engine}: {MOST_WRITES} writes went well on a disk that fails"
        );
        let deadline = Instant::now() + PATIENCE;
        while states(&server)[engine]["state"] == "ready" {
            assert!(Instant::now() < deadline, "{engine} says that it is well");
            thread::park_timeout(Duration::from_millis(5));
        }
        for number in 0..5 {
            for other in ENGINES.into_iter().filter(|other| *other != engine) {
                let status = write(&server, other, MOST_WRITES + number);
                assert!(
                    status.is_some_and(|status| status < 300),
                    "{other} beside {engine}: {status:?}"
                );
            }
        }
        // Whoever comes now is told so.
        assert_eq!(write(&server, engine, MOST_WRITES), Some(503), "{engine}");
        let states = states(&server);
        for other in ENGINES.into_iter().filter(|other| *other != engine) {
            assert_eq!(states[other]["state"], "ready", "beside {engine}: {states}");
        }
        println!("{engine}: refused after {failed:?} writes: {}", states[engine]);
        server.kill();
    }
}
