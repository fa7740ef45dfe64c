//! Rules for Rust files: size, opening, names, leftovers, tests that prove nothing, sleeping and reading the clock.
//!
//! What clippy can say (function length, `unwrap`, missing docs) is left to clippy.

use super::{
    Violation,
    source::{code_of, has_word},
};

/// The most lines of a source file, and of a file of tests.
const LINES_SOURCE: usize = 400;
const LINES_TESTS: usize = 600;

/// Names that say nothing about what is inside.
const BANNED_NAMES: [&str; 9] = [
    "common", "helper", "helpers", "misc", "prelude", "types", "util", "utils", "shared",
];

/// Where a thread may sleep, and why.
const MAY_SLEEP: [(&str, &str); 3] = [
    ("crates/bench/", "a load generator paces its requests"),
    (
        "crates/server/tests/",
        "waits for another process, up to a deadline",
    ),
    ("xtask/src/", "waits for another process, up to a deadline"),
];

/// Where the operating system's clock may be read directly, and why. Everything else asks a `core::Clock`.
const MAY_READ_TIME: [(&str, &str); 5] = [
    ("crates/core/src/clock.rs", "it is the clock"),
    (
        "crates/core/src/fake/clock.rs",
        "a held clock has to begin somewhere",
    ),
    (
        "crates/core/src/conformance/",
        "a clause that hangs must end, in real time",
    ),
    ("crates/bench/", "measuring is what it does"),
    ("xtask/", "prints how long a step took"),
];

pub(super) fn check(path: &str, text: &str, found: &mut Vec<Violation>) {
    let code = code_of(text);
    opening(path, text, found);
    size(path, text, found);
    names(path, &code, found);
    leftovers(path, &code, found);
    matches_statement(path, &code, found);
    sleeping(path, &code, found);
    locks(path, &code, found);
    time(path, &code, found);
}

/// Tests, examples and benches: code that no user runs.
pub(super) fn is_test_file(path: &str) -> bool {
    ["/tests/", "/examples/", "/benches/"]
        .iter()
        .any(|dir| path.contains(dir))
        || path.starts_with("fuzz/")
}

fn opening(path: &str, text: &str, found: &mut Vec<Violation>) {
    if !text.starts_with("//!") && !path.starts_with("fuzz/") {
        let message = "the file does not open with `//!`; say its role, its invariants and who calls it";
        found.push(Violation::new(path, 1, message));
    }
}

fn size(path: &str, text: &str, found: &mut Vec<Violation>) {
    let limit = if is_test_file(path) {
        LINES_TESTS
    } else {
        LINES_SOURCE
    };
    let lines = text.lines().count();
    if lines > limit {
        let message = format!("{lines} lines, the limit here is {limit}; split the file by idea");
        found.push(Violation::new(path, lines, message));
    }
}

fn names(path: &str, code: &str, found: &mut Vec<Violation>) {
    let advice = "name the module after the one idea it holds";
    for part in path.trim_end_matches(".rs").split('/') {
        if BANNED_NAMES.contains(&part) {
            found.push(Violation::new(
                path,
                0,
                format!("`{part}` says nothing; {advice}"),
            ));
        }
    }
    for (number, line) in numbered(code) {
        let declared = line
            .split_once("mod ")
            .and_then(|(_, rest)| rest.split([' ', '{', ';']).next());
        if let Some(name) = declared.filter(|name| BANNED_NAMES.contains(name)) {
            found.push(Violation::new(
                path,
                number,
                format!("`mod {name}` says nothing; {advice}"),
            ));
        }
    }
}

fn leftovers(path: &str, code: &str, found: &mut Vec<Violation>) {
    let banned = [
        ("todo!(", "write it, or leave it out"),
        ("unimplemented!(", "write it, or return an `Unsupported` error"),
        ("dbg!(", "remove it"),
        ("#[ignore", "make the test fast, or give it to an xtask command"),
    ];
    for (number, line) in numbered(code) {
        for (pattern, advice) in banned {
            if line.contains(pattern) {
                found.push(Violation::new(
                    path,
                    number,
                    format!("`{pattern}` is left behind; {advice}"),
                ));
            }
        }
    }
}

/// `matches!(...)` as a statement, or bound to `_`, asserts nothing.
fn matches_statement(path: &str, code: &str, found: &mut Vec<Violation>) {
    for (at, name) in code.match_indices("matches!(") {
        let before = code[..at].trim_end();
        let dropped = before.is_empty() || before.ends_with([';', '{', '}']) || before.ends_with("let _ =");
        let after = after_parenthesis(&code[at + name.len()..]).trim_start();
        if dropped && after.starts_with(';') {
            let line = code[..at].lines().count().max(1);
            let message = "`matches!` alone proves nothing; wrap it in `assert!`";
            found.push(Violation::new(path, line, message));
        }
    }
}

/// What follows the parenthesis that closes the one just opened.
fn after_parenthesis(code: &str) -> &str {
    let mut depth = 1_usize;
    for (at, c) in code.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return &code[at + 1..];
        }
    }
    ""
}

fn sleeping(path: &str, code: &str, found: &mut Vec<Violation>) {
    if MAY_SLEEP.iter().any(|(prefix, _reason)| path.starts_with(prefix)) {
        return;
    }
    for (number, line) in numbered(code) {
        if line.contains("thread::sleep") || line.contains("time::sleep") {
            let message = "sleeps; wait for a condition with a deadline, or step a `ManualClock`";
            found.push(Violation::new(path, number, message));
        }
    }
}

/// The shard engine's promise: no request takes a lock. Its one mutex is the manifest's.
fn locks(path: &str, code: &str, found: &mut Vec<Violation>) {
    if !path.starts_with("crates/shard/src/") || path == "crates/shard/src/manifest.rs" {
        return;
    }
    for (number, line) in numbered(code) {
        for lock in ["Mutex", "RwLock", "Condvar"] {
            if has_word(line, lock) {
                let message = format!("`{lock}` in the shard engine; send a message, or use the manifest");
                found.push(Violation::new(path, number, message));
            }
        }
    }
}

fn time(path: &str, code: &str, found: &mut Vec<Violation>) {
    let listed = MAY_READ_TIME
        .iter()
        .any(|(prefix, _reason)| path.starts_with(prefix));
    if listed || is_test_file(path) {
        return;
    }
    // A file's tests are its last item; a deadline in a test is real time.
    for (number, line) in numbered(code).take_while(|(_, line)| !line.contains("#[cfg(test)]")) {
        for call in ["Instant::now", "SystemTime::now"] {
            if has_word(line, call) {
                let message = format!("`{call}` cannot be held still by a test; ask a `core::Clock`");
                found.push(Violation::new(path, number, message));
            }
        }
    }
}

fn numbered(code: &str) -> impl Iterator<Item = (usize, &str)> {
    code.lines().enumerate().map(|(index, line)| (index + 1, line))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [usize; 0] = [];

    const PATH: &str = "crates/kv/src/table.rs";

    /// The lines at which `check` finds something in a file that is otherwise in order.
    fn lines(path: &str, body: &str) -> Vec<usize> {
        let mut found = Vec::new();
        check(path, &format!("//! Role.\n{body}"), &mut found);
        found.iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn a_file_must_open_with_its_role() {
        let mut found = Vec::new();
        check(PATH, "fn f() {}\n", &mut found);
        assert_eq!(found.len(), 1);
        assert_eq!(lines(PATH, "fn f() {}\n"), NONE);
    }

    #[test]
    fn a_long_file_is_caught_and_tests_get_more_room() {
        let body = "// x\n".repeat(LINES_SOURCE);
        assert_eq!(lines(PATH, &body), [LINES_SOURCE + 1]);
        assert_eq!(lines("crates/kv/tests/it/model.rs", &body), NONE);
        assert_eq!(
            lines("crates/kv/tests/it/model.rs", &"// x\n".repeat(LINES_TESTS)),
            [LINES_TESTS + 1]
        );
    }

    #[test]
    fn empty_names_are_caught_as_files_folders_and_modules() {
        assert_eq!(lines("crates/kv/src/utils.rs", ""), [0]);
        assert_eq!(lines("crates/kv/tests/common/mod.rs", ""), [0]);
        assert_eq!(lines(PATH, "mod helpers {\n}\n"), [2]);
        assert_eq!(lines("crates/kv/src/type_of_value.rs", "mod commonly;\n"), NONE);
    }

    #[test]
    fn leftovers_are_caught_in_code_and_not_in_words() {
        assert_eq!(lines(PATH, "fn f() { todo!() }\nfn g() { dbg!(1); }\n"), [2, 3]);
        assert_eq!(
            lines(PATH, "#[ignore = \"slow\"]\nfn g() { unimplemented!() }\n"),
            [2, 3]
        );
        assert_eq!(
            lines(PATH, "// no todo!() here\nconst S: &str = \"dbg!(\";\n"),
            NONE
        );
    }

    #[test]
    fn the_shard_engine_has_one_lock() {
        assert_eq!(
            lines("crates/shard/src/engine/port.rs", "use std::sync::Mutex;\n"),
            [2]
        );
        assert_eq!(
            lines("crates/shard/src/manifest.rs", "use std::sync::Mutex;\n"),
            NONE
        );
        assert_eq!(lines(PATH, "use std::sync::Mutex;\n"), NONE);
    }

    #[test]
    fn a_matches_that_asserts_nothing_is_caught() {
        assert_eq!(lines(PATH, "fn f() {\n    matches!(g(1), Some(_));\n}\n"), [3]);
        assert_eq!(lines(PATH, "fn f() {\n    let _ = matches!(1, 1);\n}\n"), [3]);
        assert_eq!(
            lines(PATH, "fn f() -> bool {\n    matches!(g(1), Some(_))\n}\n"),
            NONE
        );
        assert_eq!(
            lines(PATH, "fn f() {\n    assert!(matches!(g(1), Some(_)));\n}\n"),
            NONE
        );
    }

    #[test]
    fn sleeping_and_reading_the_clock_are_caught_outside_the_lists() {
        assert_eq!(lines(PATH, "fn f() { std::thread::sleep(d); }\n"), [2]);
        assert_eq!(
            lines("crates/kv/tests/it/main.rs", "fn f() { thread::sleep(d); }\n"),
            [2]
        );
        assert_eq!(
            lines(
                PATH,
                "fn f() { Instant::now(); }\nfn g() { SystemTime::now(); }\n"
            ),
            [2, 3]
        );
        assert_eq!(
            lines(PATH, "#[cfg(test)]\nmod tests { fn f() { Instant::now(); } }\n"),
            NONE
        );
        assert_eq!(
            lines("crates/core/src/clock.rs", "fn f() { Instant::now(); }\n"),
            NONE
        );
    }
}
