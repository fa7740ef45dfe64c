//! One server per directory, a layout version that is respected, and directories that are not ours.

use crate::process::{Server, output, quintet, stderr, stdout};
use std::{fs, path::Path};

/// `quintet serve` over `data` on a free port, for starts that must fail.
fn refused(data: &Path) -> String {
    let mut command = quintet(&["serve", "--blocks-addr", "127.0.0.1:0", "--data-dir"]);
    let run = output(command.arg(data));
    assert_eq!(run.status.code(), Some(1), "{}{}", stdout(&run), stderr(&run));
    stderr(&run)
}

#[test]
fn the_directory_is_created_with_its_parents() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("a/b/data");
    let server = Server::start(&data);
    assert!(
        server.startup.contains(&data.display().to_string()),
        "{}",
        server.startup
    );
    server.stop();
    assert_eq!(
        fs::read_to_string(data.join("VERSION")).expect("written"),
        "quintet data layout 1\n"
    );
}

#[test]
fn a_directory_in_use_is_named_with_the_process_that_holds_it() {
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    for text in [refused(dir.path()), {
        let mut fsck = quintet(&["fsck", "--data-dir"]);
        let run = output(fsck.arg(dir.path()));
        assert_eq!(run.status.code(), Some(1));
        stderr(&run)
    }] {
        assert!(text.contains("in use"), "{text}");
        assert!(text.contains(&dir.path().display().to_string()), "{text}");
        assert!(text.contains(&format!("pid {}", server.pid())), "{text}");
        assert!(text.contains("--data-dir"), "{text}");
    }
    server.stop();
    Server::start(dir.path()).stop();
}

#[test]
fn a_killed_server_leaves_no_lock_behind() {
    let dir = tempfile::tempdir().expect("a directory");
    Server::start(dir.path()).kill();
    Server::start(dir.path()).stop();
}

#[test]
fn an_unknown_layout_is_refused_and_left_alone() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("VERSION"), "quintet data layout 99\n").expect("written");
    let text = refused(dir.path());
    assert!(text.contains("layout 99") && text.contains("layout 1"), "{text}");
    let left: Vec<_> = fs::read_dir(dir.path())
        .expect("readable")
        .map(|entry| entry.expect("readable").file_name())
        .filter(|name| name != "LOCK")
        .collect();
    assert_eq!(left, ["VERSION"]);
}

#[test]
fn a_directory_of_somebody_else_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("thesis.txt"), "dear").expect("written");
    let text = refused(dir.path());
    assert!(
        text.contains("thesis.txt") && text.contains("not empty"),
        "{text}"
    );
}

#[test]
fn a_path_that_is_a_file_is_refused() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = dir.path().join("file");
    fs::write(&file, "x").expect("written");
    let text = refused(&file);
    assert!(text.contains(&file.display().to_string()), "{text}");
}
