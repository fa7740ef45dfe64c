//! Rules for every text file: white space, and words that do not belong in what others read.

use super::{Violation, source::has_word};

/// Markers of unfinished work, and paths that exist on one machine only.
const BANNED_WORDS: [&str; 4] = ["TODO", "FIXME", "XXX", "HACK"];
const BANNED_PATHS: [&str; 4] = ["/work/", "/root/", "/home/", "file:///"];

/// This file, which must name them.
const NAMES_THEM: &str = "xtask/src/tidy/text.rs";

pub(super) fn check(path: &str, text: &str, found: &mut Vec<Violation>) {
    white_space(path, text, found);
    if path != NAMES_THEM {
        words(path, text, found);
    }
}

fn white_space(path: &str, text: &str, found: &mut Vec<Violation>) {
    for (index, line) in text.split('\n').enumerate() {
        if line.ends_with([' ', '\t', '\r']) {
            found.push(Violation::new(
                path,
                index + 1,
                "white space ends the line; remove it",
            ));
        }
        if line.contains('\t') && path.ends_with(".rs") {
            found.push(Violation::new(
                path,
                index + 1,
                "a tab; write `\\t` or indent by four spaces",
            ));
        }
    }
    if !text.is_empty() && !text.ends_with('\n') {
        let last = text.lines().count();
        found.push(Violation::new(
            path,
            last,
            "the last line does not end; add a newline",
        ));
    }
}

fn words(path: &str, text: &str, found: &mut Vec<Violation>) {
    for (index, line) in text.lines().enumerate() {
        for word in BANNED_WORDS {
            if has_word(line, word) {
                let message = format!("`{word}` marks unfinished work; finish it or leave it out");
                found.push(Violation::new(path, index + 1, message));
            }
        }
        for local in BANNED_PATHS {
            if line.contains(local) {
                let message = format!("`{local}` is a path of one machine; use a relative one");
                found.push(Violation::new(path, index + 1, message));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [usize; 0] = [];

    fn lines(path: &str, text: &str) -> Vec<usize> {
        let mut found = Vec::new();
        check(path, text, &mut found);
        found.iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn white_space_at_a_line_end_is_caught() {
        assert_eq!(lines("README.md", "a\nb \nc\t\nd\r\n"), [2, 3, 4]);
        assert_eq!(lines("README.md", "a\nb"), [2]);
        assert_eq!(lines("crates/kv/src/lib.rs", "a\n\tb\n"), [2]);
        assert_eq!(lines("README.md", "a\n\n  b\n"), NONE);
    }

    #[test]
    fn unfinished_work_and_local_paths_are_caught() {
        assert_eq!(lines("a.md", "TODO: later\n// FIXME\nXXX\n"), [1, 2, 3]);
        assert_eq!(lines("a.toml", "path = \"/home/me/quintet\"\n"), [1]);
        assert_eq!(lines("a.md", "HACKATHON, a network/working set\n"), NONE);
    }
}
