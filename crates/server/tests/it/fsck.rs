//! `quintet fsck` on clean data, on damaged data, and on a torn log tail.

use crate::client::call;
use crate::process::{Server, output, quintet, stdout};
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
