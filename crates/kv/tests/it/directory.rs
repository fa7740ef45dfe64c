//! A directory belongs to one store, whichever process asks; read-only stores share it.

use crate::conformance::config;
use quintet_core::{Durability, ErrorKind, SystemClock};
use quintet_kv::{Config, Store};
use quintet_log::OsDirectory;
use std::{
    env,
    io::{BufRead, BufReader, Read, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

const FOLDER: &str = "QUINTET_KV_TEST_FOLDER";

fn open(folder: &Path, read_only: bool) -> quintet_core::Result<Store> {
    let config = Config {
        read_only,
        ..config(Durability::Interval)
    };
    Store::open(
        config,
        Arc::new(OsDirectory::open(folder).unwrap()),
        Arc::new(SystemClock),
    )
}

/// The other process: holds the directory until its input ends. Does nothing in an ordinary run.
#[test]
fn child_that_holds_the_directory() {
    let Some(folder) = env::var_os(FOLDER) else { return };
    let store = open(Path::new(&folder), false).unwrap();
    store.set("whose", "the child's").unwrap();
    std::io::stdout().write_all(b"\nopen\n").unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
    drop(store);
}

#[test]
fn another_process_is_refused_until_the_first_one_ends() {
    let folder = tempfile::tempdir().unwrap();
    let mut child = Command::new(env::current_exe().unwrap())
        .args([
            "--exact",
            "directory::child_that_holds_the_directory",
            "--nocapture",
        ])
        .env(FOLDER, folder.path())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let lines = BufReader::new(child.stdout.take().unwrap()).lines();
    assert!(lines.map(Result::unwrap).any(|line| line == "open"));
    for read_only in [false, true] {
        let error = open(folder.path(), read_only).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
        assert!(error.to_string().contains("in use"), "{error}");
    }
    // However it ends.
    child.kill().unwrap();
    child.wait().unwrap();
    let store = open(folder.path(), false).unwrap();
    assert_eq!(store.get("whose").unwrap(), Some("the child's".into()));
}

#[test]
fn a_second_store_is_refused_and_readers_share() {
    let folder = tempfile::tempdir().unwrap();
    let first = open(folder.path(), false).unwrap();
    first.set("k", 1).unwrap();
    assert_eq!(
        open(folder.path(), false).unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    drop(first);
    let readers = [
        open(folder.path(), true).unwrap(),
        open(folder.path(), true).unwrap(),
    ];
    assert_eq!(
        open(folder.path(), false).unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    for reader in &readers {
        assert_eq!(reader.get("k").unwrap(), Some(1.into()));
    }
    drop(readers);
    assert!(open(folder.path(), false).is_ok());
}
