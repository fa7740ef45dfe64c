//! `quintet fsck` on clean data, on damaged data, and on a torn log tail.

use crate::api::api;
use crate::client::call;
use crate::process::{Server, output, quintet, stdout};
use serde_json::json;
use std::{
    fs,
    path::{Path, PathBuf},
    process::Output,
};

fn fsck(data: &Path) -> Output {
    let mut command = quintet(&["fsck", "--data-dir"]);
    output(command.arg(data))
}

/// Stores a few blocks and stops the server.
fn filled(data: &Path) {
    let server = Server::start_with(data, &["--blocks-capacity", "64MiB"], &[]);
    for fill in 0..5u8 {
        let reply = call(server.blocks(), "PUT", "/block", Some(&vec![fill; 5_000]));
        assert_eq!(reply.status, 200);
    }
    server.stop();
}

/// The largest file of the block store: the blocks themselves.
fn block_file(data: &Path) -> PathBuf {
    fs::read_dir(data.join("blocks"))
        .expect("the engine has a folder")
        .map(|entry| entry.expect("readable").path())
        .filter(|path| path.is_file())
        .max_by_key(|path| fs::metadata(path).expect("readable").len())
        .expect("the engine has files")
}

#[test]
fn clean_data_is_exit_0_with_a_summary() {
    let dir = tempfile::tempdir().expect("a directory");
    filled(dir.path());
    let run = fsck(dir.path());
    assert_eq!(run.status.code(), Some(0), "{}", stdout(&run));
    let text = stdout(&run);
    assert!(text.contains("5 blocks") && text.ends_with("clean\n"), "{text}");
}

#[test]
fn changed_bytes_are_exit_1_and_the_block_is_named() {
    let dir = tempfile::tempdir().expect("a directory");
    filled(dir.path());
    let file = block_file(dir.path());
    let mut bytes = fs::read(&file).expect("readable");
    let at = bytes
        .windows(64)
        .position(|window| window == [3; 64])
        .expect("the fourth block lies in the file");
    bytes[at] = 99;
    fs::write(&file, bytes).expect("written");
    let run = fsck(dir.path());
    assert_eq!(run.status.code(), Some(1), "{}", stdout(&run));
    let text = stdout(&run);
    let damaged = quintet_blockstore::Digest::of(&[3; 5_000]).to_string();
    let faults: Vec<_> = text.lines().filter(|line| line.contains(&damaged)).collect();
    assert_eq!(faults.len(), 1, "{text}");
}

#[test]
fn every_engine_that_has_data_is_checked() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start_with(dir.path(), &["--blocks-capacity", "64MiB"], &[]);
    let at = server.api();
    assert_eq!(
        api(
            at,
            "PUT",
            "/v1/vectors/c",
            json!({ "dimension": 2, "metric": "l2" })
        )
        .0,
        201
    );
    for number in 0..50 {
        let point = json!({ "points": [{ "id": number, "vector": [number, 1] }] });
        assert_eq!(api(at, "PUT", "/v1/vectors/c/points", point).0, 200);
        assert_eq!(
            api(
                at,
                "PUT",
                &format!("/v1/kv/0/k{number}"),
                json!("some text of a value")
            )
            .0,
            200
        );
        let request = json!({ "ops": [{ "set": { "a.b": number } }] });
        assert_eq!(api(at, "POST", "/v1/stm/shop/transact", request).0, 200);
    }
    server.stop();
    let run = fsck(dir.path());
    let text = stdout(&run);
    assert_eq!(run.status.code(), Some(0), "{text}");
    for engine in ["blocks: ", "kv: 50 keys", "vectors: ", "stm: 1 contexts"] {
        assert!(text.contains(engine), "no {engine:?} in {text}");
    }
    assert!(text.ends_with("clean\n"), "{text}");

    for (engine, folder) in [
        ("kv", "kv"),
        ("vectors", "vectors/shard-0000"),
        ("stm", "stm/shop"),
    ] {
        let entries = fs::read_dir(dir.path().join(folder)).expect("a folder");
        let logs = entries.map(|entry| entry.expect("readable").path());
        let log = logs
            .filter(|path| path.extension().is_some_and(|extension| extension == "log"))
            .max()
            .expect("a log");
        let good = fs::read(&log).expect("readable");
        // A byte of the first record, with others behind it that were durable.
        let mut bad = good.clone();
        let at = good.len().min(1024 + 60);
        let at = (at..good.len()).find(|at| good[*at] != 0).expect("records");
        bad[at] ^= 0x40;
        fs::write(&log, &bad).expect("written");
        let run = fsck(dir.path());
        let text = stdout(&run);
        assert_eq!(run.status.code(), Some(1), "{engine}: {text}");
        let fault = text
            .lines()
            .find(|line| line.starts_with(&format!("{engine}: ")))
            .expect("a fault");
        assert!(fault.contains("segment-"), "{engine}: {fault}");
        fs::write(&log, good).expect("written");
    }
    assert_eq!(fsck(dir.path()).status.code(), Some(0));
}
