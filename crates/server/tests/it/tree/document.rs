//! docs/tree-rest.md, run: the session with the real curl, the rules through `quintet rules`.

use crate::process::{Server, output, quintet, stderr, stdout};
use std::{
    fs,
    process::{Command, Stdio},
};

const DOCUMENT: &str = include_str!("../../../../../docs/tree-rest.md");

/// The fenced blocks of a language.
fn blocks(language: &str) -> Vec<&'static str> {
    let fence = format!("```{language}\n");
    let parts = DOCUMENT.split(fence.as_str()).skip(1);
    parts.filter_map(|part| part.split("\n```").next()).collect()
}

#[test]
fn the_session_answers_what_it_says() {
    if Command::new("curl")
        .arg("--version")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        eprintln!("SKIPPED: curl is not installed, the document's session was not run");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let server = Server::start(dir.path());
    let session = blocks("console")[0].replace("localhost:9000", &server.tree().to_string());
    let mut lines = session.lines().peekable();
    let mut commands = 0;
    while let Some(line) = lines.next() {
        let command = line.strip_prefix("$ curl ").expect("a command");
        let mut expected = Vec::new();
        while let Some(line) = lines.next_if(|line| !line.starts_with("$ ")) {
            expected.push(line);
        }
        // The stream stays open: what has come after a while is what is looked at.
        let time = if command.starts_with("-N") { "2" } else { "20" };
        let run = Command::new("sh")
            .args(["-c", &format!("curl --silent --max-time {time} {command}")])
            .output()
            .expect("sh runs");
        assert_eq!(stdout(&run).trim_end(), expected.join("\n"), "{command}");
        commands += 1;
    }
    assert!(commands >= 4);
    server.stop();
}

#[test]
fn the_rules_are_right_and_are_checked_and_tried_as_shown() {
    let dir = tempfile::tempdir().expect("a directory");
    let (rules, cases) = (dir.path().join("rules.json"), dir.path().join("cases.json"));
    fs::write(&rules, blocks("json")[0]).expect("written");
    let mut check = quintet(&["rules", "check"]);
    let run = output(check.arg(&rules));
    assert!(
        run.status.success() && stdout(&run).contains("1 indexes declared"),
        "{}",
        stderr(&run)
    );

    let table = r#"{"data": {"users": {"ada": {"age": 1}}}, "cases": [
        {"operation": "read", "path": "/users/ada", "auth": {"uid": "ada"}, "allowed": true},
        {"operation": "write", "path": "/users/ada/age", "auth": {"uid": "ada"}, "new": -1, "allowed": false},
        {"operation": "read", "path": "/users/ada", "auth": {"uid": "bob"}, "allowed": EVE}]}"#;
    for (eve, code, said) in [
        ("false", 0, "3 of 3 cases"),
        (
            "true",
            1,
            "case 3 (read /users/ada): refused: /users/$uid/.read (line 5) is false",
        ),
    ] {
        fs::write(&cases, table.replace("EVE", eve)).expect("written");
        let mut test = quintet(&["rules", "test"]);
        let run = output(test.arg(&rules).arg(&cases));
        assert_eq!(run.status.code(), Some(code), "{}", stderr(&run));
        assert!(stdout(&run).contains(said), "{}", stdout(&run));
    }

    fs::write(&rules, "{\"rules\": {\n  \".read\": \"auth.uid = 1\"}}").expect("written");
    let mut check = quintet(&["rules", "check"]);
    let run = output(check.arg(&rules));
    assert_eq!(run.status.code(), Some(1));
    let text = stderr(&run);
    assert!(text.contains("line 2, column 22: `=`"), "{text}");
    let marked = text
        .lines()
        .find(|line| line.trim_end().ends_with('^'))
        .expect("a mark");
    let shown = text.lines().find(|line| line.contains("| ")).expect("the line");
    assert_eq!(shown.chars().nth(marked.chars().count() - 1), Some('='), "{text}");
}
