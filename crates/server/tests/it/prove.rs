//! `quintet prove`: it proves every engine in a few seconds, and it finds a loss when there is one.

use crate::process::{output, quintet, stderr, stdout};
use std::fs;

#[test]
fn every_engine_keeps_what_it_acknowledged() {
    let dir = tempfile::tempdir().expect("a directory");
    for engine in ["blocks", "kv", "vectors", "stm", "tree"] {
        let data = dir.path().join(engine);
        let mut command = quintet(&["prove", engine, "--seconds", "2", "--clients", "2", "--data-dir"]);
        let run = output(command.arg(&data));
        assert_eq!(run.status.code(), Some(0), "{engine}: {}", stderr(&run));
        let text = stdout(&run);
        let words: Vec<&str> = text.split_whitespace().collect();
        let after = |word: &str, by: usize| {
            let at = words.iter().position(|found| *found == word).expect(word);
            words[at + by].parse::<u64>().expect("a number")
        };
        assert!(text.starts_with(&format!("{engine}: killed ")), "{text}");
        assert!(after("killed", 1) >= 1 && after("clients;", 1) > 0, "{text}");
        assert!(text.contains("a power cut"), "{text}");
        assert!(!data.exists(), "the directory stays although nothing was lost");
    }
}

#[test]
fn it_touches_no_directory_that_holds_something() {
    let dir = tempfile::tempdir().expect("a directory");
    fs::write(dir.path().join("thesis.txt"), "dear").expect("written");
    let mut command = quintet(&["prove", "kv", "--data-dir"]);
    let run = output(command.arg(dir.path()));
    assert_eq!(run.status.code(), Some(1));
    assert!(stderr(&run).contains("not empty"), "{}", stderr(&run));
    for (flag, value) in [("--seconds", "1"), ("--clients", "0")] {
        let run = output(&mut quintet(&["prove", "kv", flag, value]));
        assert_eq!(run.status.code(), Some(2));
        assert!(stderr(&run).contains(flag), "{}", stderr(&run));
    }
}
