//! Settings from a file, the environment and flags: which wins, what is refused, and `quintet config`.

use crate::process::{Server, output, quintet, stderr, stdout};
use std::{fs, path::Path};

fn write(dir: &Path, text: &str) -> String {
    let path = dir.join("quintet.toml");
    fs::write(&path, text).expect("written");
    path.display().to_string()
}

#[test]
fn a_later_source_wins_and_its_origin_is_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let file = write(
        dir.path(),
        "durability = \"full\"\nkv-workers = 3\nwithout = [\"stm\", \"vectors\"]\ninsecure = true\n\
         [blocks]\nworkers = 5\ncapacity = \"64MiB\"\n",
    );
    let mut command = quintet(&[
        "config",
        "show",
        "--origin",
        "--config",
        &file,
        "--blocks-workers",
        "7",
    ]);
    let run = output(command.env("QUINTET_KV_WORKERS", "4"));
    assert_eq!(run.status.code(), Some(0), "{}", stderr(&run));
    let text = stdout(&run);
    for line in [
        "blocks_workers = 7  # flag",
        "kv_workers = 4  # environment",
        "durability = \"full\"  # file",
        "blocks_capacity = \"64MiB\"  # file",
        "without = \"stm,vectors\"  # file",
        "insecure = true  # file",
        "blocks_addr = \"127.0.0.1:10001\"  # default",
        "# vectors_shards is not set",
    ] {
        assert!(text.lines().any(|found| found == line), "no {line:?} in:\n{text}");
    }
    // What is shown is a file that says the same.
    let shown = stdout(&output(&mut quintet(&["config", "show", "--config", &file])));
    let again = write(dir.path(), &shown);
    let mut command = quintet(&["config", "show", "--config", &again]);
    for port in ["HTTP", "RESP"] {
        command.env_remove(format!("QUINTET_{port}_ADDR"));
    }
    let twice = stdout(&output(&mut command));
    assert_eq!(shown, twice);
}

#[test]
fn a_wrong_file_is_exit_78_and_names_the_place() {
    let dir = tempfile::tempdir().expect("a directory");
    for (text, says) in [
        ("durabilty = \"full\"", &["`durabilty`", "durability"][..]),
        (
            "[blocks]\ncapasity = \"1GiB\"",
            &["`blocks_capasity`", "blocks_capacity"],
        ),
        ("durability = \"some\"", &["full, interval, relaxed"]),
        ("kv_workers = 65", &["--kv-workers", "1 to 64"]),
        ("http_addr = \"0.0.0.0:1\"", &["--http-addr", "--insecure"]),
        ("insecure = \"perhaps\"", &["insecure", "true or false"]),
        ("kv_workers = 1.5", &["kv_workers", "whole number"]),
        ("config = \"other.toml\"", &["`config`"]),
        ("durability = ", &["line 1"]),
        ("kv-workers = 1\n[kv]\nworkers = 2", &["kv_workers", "twice"]),
    ] {
        let file = write(dir.path(), text);
        for args in [
            &["config", "check", "--config", &file][..],
            &["serve", "--config", &file],
        ] {
            let run = output(&mut quintet(args));
            let complaint = stderr(&run);
            assert_eq!(run.status.code(), Some(78), "{text}: {complaint}");
            for needed in says.iter().chain(&["quintet.toml"]) {
                assert!(complaint.contains(needed), "{text}: no {needed} in {complaint}");
            }
        }
    }
    let run = output(&mut quintet(&["config", "check", "--config", "/nowhere/at.all"]));
    assert_eq!(run.status.code(), Some(78));
    let file = write(dir.path(), "kv_workers = 2");
    let run = output(&mut quintet(&["config", "check", "--config", &file]));
    assert_eq!((run.status.code(), stdout(&run).trim()), (Some(0), "valid"));
    let run = output(&mut quintet(&[
        "config",
        "check",
        "--config",
        &file,
        "--kv-workers",
        "99",
    ]));
    assert_eq!(run.status.code(), Some(2), "a flag's fault is wrong usage");
}

#[test]
fn a_server_takes_its_file_and_warns_of_strangers() {
    let dir = tempfile::tempdir().expect("a directory");
    let data = dir.path().join("data");
    let text = format!(
        "data_dir = {:?}\nwithout = [\"stm\"]\n[kv]\ndurability = \"full\"\n",
        data.display().to_string()
    );
    let file = write(dir.path(), &text);
    let mut command = quintet(&["--blocks-addr", "127.0.0.1:0"]);
    let server = Server::spawn(command.env("QUINTET_CONFIG", &file));
    assert!(
        server.startup.contains("kv      ") && !server.startup.contains("stm    "),
        "{}",
        server.startup
    );
    assert!(
        server
            .startup
            .contains(", durability full\n        recovered 0 operations"),
        "{}",
        server.startup
    );
    server.stop();
    assert!(data.join("kv").exists());

    let mut command = quintet(&["serve", "--without", "blocks,kv,vectors,stm,tree"]);
    let run = output(command.env("QUINTET_KV_DURABILTY", "full"));
    assert_eq!(run.status.code(), Some(2));
    assert!(
        stderr(&run).contains("is QUINTET_KV_DURABILITY meant?"),
        "{}",
        stderr(&run)
    );
}

#[test]
fn completions_name_the_flags() {
    for shell in ["bash", "zsh", "fish"] {
        let run = output(&mut quintet(&["completions", shell]));
        assert_eq!(run.status.code(), Some(0));
        assert!(stdout(&run).contains("resp-addr"), "{shell}");
    }
    assert_eq!(
        output(&mut quintet(&["completions", "tcl"])).status.code(),
        Some(2)
    );
}
