//! Where `unsafe` may be: nowhere, but in the files listed here, and there with a SAFETY comment on each use.
//!
//! A crate without a listed file forbids unsafe code in its root. A crate with one denies it there and lifts the denial
//! in the listed files only.

use super::{
    Violation,
    source::{code_of, has_word},
};

/// Path prefixes under which unsafe code is allowed, and what forces it.
const MAY_BE_UNSAFE: [(&str, &str); 9] = [
    (
        "crates/net/src/event_loop/uring",
        "io_uring hands buffers to the kernel",
    ),
    (
        "crates/bench/src/blocks/ways/ring",
        "io_uring hands buffers to the kernel",
    ),
    (
        "crates/blockstore/src/view",
        "the data file is mapped, so that blocks are sent from where they lie",
    ),
    (
        "crates/blockstore/src/port/sha256/wide",
        "vector instructions need a CPU that has them",
    ),
    (
        "crates/blockstore/src/meta/lmdb",
        "LMDB maps a file that nobody else may change",
    ),
    (
        "crates/tree/src/store",
        "LMDB maps a file that nobody else may change",
    ),
    (
        "crates/shard/src/vector/pages",
        "files of the cold tier are mapped over the memory of what they hold",
    ),
    (
        "crates/bench/src/compare/subject/lmdb",
        "LMDB maps a file that nobody else may change",
    ),
    (
        "crates/shard/src/distance/simd",
        "vector instructions need a CPU that has them",
    ),
];

pub(super) fn check(path: &str, text: &str, found: &mut Vec<Violation>) {
    let code = code_of(text);
    if is_root(path) {
        root_attribute(path, &code, found);
    }
    let listed = MAY_BE_UNSAFE
        .iter()
        .any(|(prefix, _reason)| path.starts_with(prefix));
    let lines: Vec<&str> = text.lines().collect();
    for (index, line) in code.lines().enumerate() {
        if !has_word(line, "unsafe") {
            continue;
        }
        if !listed {
            let message = "`unsafe` outside the files listed in xtask/src/tidy/unsafety.rs; find a safe way, or list the file with its reason";
            found.push(Violation::new(path, index + 1, message));
        } else if !is_explained(&lines, index) {
            let message = "`unsafe` without a SAFETY comment; name the invariant that makes it sound";
            found.push(Violation::new(path, index + 1, message));
        }
    }
}

/// A crate's root: a library, a program, or a file of `src/bin`.
fn is_root(path: &str) -> bool {
    path.ends_with("/src/lib.rs") || path.ends_with("/src/main.rs") || path.contains("/src/bin/")
}

fn root_attribute(path: &str, code: &str, found: &mut Vec<Violation>) {
    let krate = path.split("/src/").next().unwrap_or(path);
    let has_listed_file = MAY_BE_UNSAFE.iter().any(|(prefix, _)| {
        prefix
            .strip_prefix(krate)
            .is_some_and(|rest| rest.starts_with('/'))
    });
    let forbids = code.contains("#![forbid(unsafe_code)]");
    let denies = code.contains("#![deny(unsafe_code)]");
    if !(forbids || has_listed_file && denies) {
        let message = if has_listed_file {
            "the crate's root lacks `#![deny(unsafe_code)]`; add it, and `#![expect(unsafe_code)]` to the listed file"
        } else {
            "the crate's root lacks `#![forbid(unsafe_code)]`; add it"
        };
        found.push(Violation::new(path, 1, message));
    }
}

/// A comment that says why stands on the line or directly above it, with nothing but comments and attributes between.
fn is_explained(lines: &[&str], index: usize) -> bool {
    let says_why = |line: &str| line.contains("SAFETY:") || line.contains("# Safety");
    says_why(lines[index])
        || lines[..index]
            .iter()
            .rev()
            .map(|line| line.trim_start())
            .take_while(|line| line.starts_with("//") || line.starts_with("#["))
            .any(says_why)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn messages(path: &str, text: &str) -> Vec<String> {
        let mut found = Vec::new();
        check(path, text, &mut found);
        found.into_iter().map(|violation| violation.to_string()).collect()
    }

    #[test]
    fn unsafe_outside_the_list_is_caught() {
        let found = messages("crates/kv/src/table.rs", "// SAFETY: fine\nunsafe { f() }\n");
        assert_eq!(found.len(), 1);
        assert!(found[0].starts_with("crates/kv/src/table.rs:2:"), "{found:?}");
        assert!(messages("crates/kv/src/table.rs", "// unsafe\n#![forbid(unsafe_code)]\n").is_empty());
    }

    #[test]
    fn a_listed_file_must_explain_each_use() {
        let path = "crates/shard/src/distance/simd.rs";
        assert_eq!(messages(path, "let x = 1;\nunsafe { f() }\n").len(), 1);
        assert!(messages(path, "// SAFETY: AVX2 was detected.\nunsafe { f() }\n").is_empty());
        assert!(
            messages(
                path,
                "/// # Safety\n/// AVX2.\n#[target_feature]\nunsafe fn f() {}\n"
            )
            .is_empty()
        );
    }

    #[test]
    fn every_root_forbids_or_denies() {
        assert_eq!(messages("crates/kv/src/lib.rs", "mod table;\n").len(), 1);
        assert_eq!(
            messages("crates/kv/src/lib.rs", "#![deny(unsafe_code)]\n").len(),
            1
        );
        assert!(messages("crates/kv/src/lib.rs", "#![forbid(unsafe_code)]\n").is_empty());
        assert!(messages("crates/shard/src/lib.rs", "#![deny(unsafe_code)]\n").is_empty());
        assert_eq!(messages("crates/shard/src/lib.rs", "mod distance;\n").len(), 1);
    }
}
