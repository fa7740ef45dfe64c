//! What can be told without starting a server: help, version, and wrong usage.

use crate::process::{output, quintet, stderr, stdout};

#[test]
fn help_names_every_flag_its_environment_and_the_exit_codes() {
    for args in [&["--help"][..], &["serve", "--help"]] {
        let help = output(&mut quintet(args));
        assert_eq!(help.status.code(), Some(0));
        let text = stdout(&help);
        for needed in [
            "--data-dir",
            "QUINTET_DATA_DIR",
            "./data",
            "--io-backend",
            "--durability",
            "stable storage",
            "--blocks-addr",
            "QUINTET_BLOCKS_ADDR",
            "127.0.0.1:10001",
            "--blocks-workers",
            "--blocks-capacity",
            "10GiB",
            "--blocks-durability",
            "--http-addr",
            "127.0.0.1:8080",
            "--resp-addr",
            "QUINTET_RESP_ADDR",
            "127.0.0.1:6380",
            "--kv-durability",
            "--tree-addr",
            "127.0.0.1:9000",
            "--tree-rules",
            "--auth-secret-file",
            "--insecure",
            "quintet fsck",
            "Exit codes: 0",
        ] {
            assert!(text.contains(needed), "{args:?} lacks {needed}:\n{text}");
        }
    }
}

#[test]
fn version_is_one_line_first() {
    let short = output(&mut quintet(&["-V"]));
    assert_eq!(stdout(&short), format!("quintet {}\n", env!("CARGO_PKG_VERSION")));
    let long = output(&mut quintet(&["--version"]));
    assert_eq!(long.status.code(), Some(0));
    let text = stdout(&long);
    assert_eq!(
        text.lines().next(),
        Some(concat!("quintet ", env!("CARGO_PKG_VERSION")))
    );
    assert!(
        text.contains("\nengines: ") && text.contains("\nnot built in: "),
        "{text}"
    );
}

#[test]
fn wrong_usage_is_exit_2_and_names_the_flag() {
    for (args, named) in [
        (&["--no-such-flag"][..], "--no-such-flag"),
        (&["--blocks-adr", "off"], "--blocks-addr"),
        (&["frobnicate"], "frobnicate"),
        (&["--blocks-addr", "nonsense"], "--blocks-addr"),
        (&["serve", "--blocks-capacity", "lots"], "64MiB"),
        (&["serve", "--blocks-capacity", "4KiB"], "at least 16 MiB"),
        (&["serve", "--blocks-workers", "0"], "1 to 64"),
        (&["serve", "--blocks-workers", "-3"], "-3"),
        (&["serve", "--durability", "maybe"], "full, interval, relaxed"),
        (&["serve", "--io-backend", "kqueue"], "--io-backend"),
        (&["fsck", "--blocks-addr", "off"], "--blocks-addr"),
    ] {
        let run = output(&mut quintet(args));
        let text = stderr(&run);
        assert_eq!(run.status.code(), Some(2), "{args:?}: {text}");
        assert!(text.contains(named), "{args:?} does not name {named}: {text}");
        assert!(run.stdout.is_empty(), "{args:?} printed a result");
    }
}

#[test]
fn a_bad_value_in_the_environment_is_refused_like_a_flag() {
    let run = output(quintet(&["serve"]).env("QUINTET_BLOCKS_CAPACITY", "10 bananas"));
    assert_eq!(run.status.code(), Some(2));
    assert!(stderr(&run).contains("--blocks-capacity"), "{}", stderr(&run));
}

#[test]
fn the_environment_of_serve_does_not_disturb_fsck() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut fsck = quintet(&["fsck", "--data-dir"]);
    fsck.arg(dir.path())
        .env("QUINTET_BLOCKS_ADDR", "127.0.0.1:0")
        .env("QUINTET_DATA_DIR", "/nowhere");
    let run = output(&mut fsck);
    assert_eq!(run.status.code(), Some(1));
    let text = stderr(&run);
    assert!(text.contains("not a Quintet data directory"), "{text}");
    assert!(text.contains(&dir.path().display().to_string()), "{text}");
}
