//! `quintet scrub` and `quintet compact` on a stopped server's data.

use crate::client::call;
use crate::process::{Server, output, quintet, stderr, stdout};
use std::{fs, os::unix::fs::FileExt, path::Path, process::Output};

fn run(command: &str, data: &Path, more: &[&str]) -> Output {
    let mut command = quintet(&[command, "--data-dir"]);
    output(command.arg(data).args(more))
}

/// Stores ten blocks of 300 KB, deletes all but three, locks one of those, and stops the server.
fn used(data: &Path) {
    let server = Server::start_with(
        data,
        &[
            "--blocks-capacity",
            "64MiB",
            "--blocks-durability",
            "relaxed",
            "--blocks-verify",
            "always",
        ],
        &[],
    );
    for fill in 0..10_u8 {
        let reply = call(server.blocks(), "PUT", "/block", Some(&vec![fill; 300_000]));
        assert_eq!(reply.status, 200);
        let name = String::from_utf8(reply.body).expect("text");
        if fill == 1 {
            let lock = call(
                server.blocks(),
                "PATCH",
                &format!("/lock/{name}/test"),
                Some(b"kept"),
            );
            assert_eq!(lock.status, 200);
        }
        let path = format!("/block/{name}");
        let status = if fill < 3 { 200 } else { 404 };
        if fill >= 3 {
            assert_eq!(call(server.blocks(), "DELETE", &path, None).status, 200);
        }
        assert_eq!(call(server.blocks(), "GET", &path, None).status, status);
    }
    server.stop();
}

#[test]
fn compact_shortens_the_file_and_scrub_finds_what_is_damaged() {
    let dir = tempfile::tempdir().expect("a directory");
    used(dir.path());
    let file = dir.path().join("blocks/blocks.data");
    let before = fs::metadata(&file).expect("it is there").len();
    let compacted = run("compact", dir.path(), &["--punch"]);
    assert_eq!(compacted.status.code(), Some(0), "{}", stderr(&compacted));
    let after = fs::metadata(&file).expect("it is there").len();
    // Trimmed behind the last block that is left; which of the first places that has is up to the workers' pools.
    assert!(
        after <= before / 4 && after.is_multiple_of(524_288),
        "{before}, {after}"
    );
    let sound = run("scrub", dir.path(), &["--rate", "1GiB"]);
    assert_eq!(sound.status.code(), Some(0), "{}", stderr(&sound));
    assert!(
        stdout(&sound).contains("3 blocks") && stdout(&sound).contains("0 faults"),
        "{}",
        stdout(&sound)
    );
    let bytes = fs::read(&file).expect("readable");
    let at = bytes
        .windows(64)
        .position(|window| window == [2; 64])
        .expect("the third block");
    let file = fs::File::options().write(true).open(&file).expect("writable");
    file.write_all_at(&[77], at as u64 + 9).expect("written");
    let damaged = run("scrub", dir.path(), &[]);
    assert_eq!(damaged.status.code(), Some(1), "{}", stdout(&damaged));
    let name = quintet_blockstore::Digest::of(&[2; 300_000]).to_string();
    assert!(stdout(&damaged).contains(&name), "{}", stdout(&damaged));
}

#[test]
fn what_cannot_be_looked_after_says_why() {
    let dir = tempfile::tempdir().expect("a directory");
    for command in ["scrub", "compact"] {
        let nothing = run(command, dir.path(), &[]);
        assert_eq!(nothing.status.code(), Some(1));
        assert!(
            stderr(&nothing).contains("not a Quintet data directory"),
            "{}",
            stderr(&nothing)
        );
    }
    let rate = run("scrub", dir.path(), &["--rate", "0"]);
    assert_eq!(rate.status.code(), Some(2), "{}", stderr(&rate));
    let server = Server::start_with(dir.path(), &["--blocks-capacity", "64MiB"], &[]);
    let held = run("scrub", dir.path(), &[]);
    assert_eq!(held.status.code(), Some(1));
    server.stop();
}
