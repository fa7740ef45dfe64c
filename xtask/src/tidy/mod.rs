//! `cargo xtask tidy`: the house rules that a program can check.
//!
//! Each rule is a pure function over a path and a text, in one of the files beside this one, with a test that plants a
//! violation. This file walks the tree and prints `path:line: what is wrong; how to mend it`. Paths are relative to the
//! workspace's root and use `/`.

mod direction;
mod manifest;
mod markdown;
mod rust;
mod source;
mod text;
mod unsafety;

use crate::{
    command::{Command, no_arguments},
    workspace::root,
};
use anyhow::{Context as _, Result, bail};
use std::{fmt, fs, path::Path};

pub(crate) const COMMAND: Command = Command {
    name: "tidy",
    summary: "check the house rules: dependency direction, unsafe, file sizes, manifests, links",
    help: "\
Prints one line for each violation: `path:line: what is wrong; how to mend it`. Takes a second and builds
nothing. The rules, and the short lists of exceptions with their reasons, are in xtask/src/tidy/.",
    forwards: false,
    run,
};

/// One broken rule.
#[derive(Debug, PartialEq, Eq)]
struct Violation {
    path: String,
    /// From 1; 0 when the rule is about the whole file.
    line: usize,
    /// What is wrong; how to mend it.
    message: String,
}

impl Violation {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            message: message.into(),
        }
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line.max(1), self.message)
    }
}

/// A text file of the workspace.
struct File {
    path: String,
    text: String,
}

fn run(args: &[String]) -> Result<()> {
    no_arguments(args)?;
    check()?;
    println!("tidy: every file keeps the house rules");
    Ok(())
}

/// Checks the whole workspace and prints what it finds.
///
/// # Errors
/// When a rule is broken or a file cannot be read.
pub(crate) fn check() -> Result<()> {
    let violations = violations_under(root())?;
    for violation in &violations {
        println!("{violation}");
    }
    match violations.len() {
        0 => Ok(()),
        1 => bail!("1 violation of the house rules, listed above"),
        n => bail!("{n} violations of the house rules, listed above"),
    }
}

fn violations_under(root: &Path) -> Result<Vec<Violation>> {
    let mut files = Vec::new();
    walk(root, root, &mut files)?;
    let exists = |path: &str| root.join(path).exists();
    let mut found = Vec::new();
    for File { path, text } in &files {
        text::check(path, text, &mut found);
        if path.ends_with(".rs") {
            rust::check(path, text, &mut found);
            unsafety::check(path, text, &mut found);
        } else if path.ends_with("Cargo.toml") {
            manifest::check(path, text, &mut found);
            direction::check(path, text, &mut found);
        } else if path.ends_with(".md") {
            markdown::check(path, text, &exists, &mut found);
        }
    }
    for licence in ["LICENSE-MIT", "LICENSE-APACHE"] {
        if !exists(licence) {
            found.push(Violation::new(licence, 0, "the licence text is missing; add it"));
        }
    }
    found.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    Ok(found)
}

/// Folders that hold no source of ours, wherever they are.
const SKIPPED: [&str; 7] = [
    ".git",
    "target",
    "data",
    "corpus",
    "artifacts",
    "fixtures",
    "proptest-regressions",
];

fn walk(root: &Path, dir: &Path, files: &mut Vec<File>) -> Result<()> {
    let listing = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    for entry in listing {
        let entry = entry?;
        let path = entry.path();
        let name = entry.file_name();
        let kind = entry.file_type()?;
        if kind.is_dir() {
            if !SKIPPED.iter().any(|skipped| name == *skipped) {
                walk(root, &path, files)?;
            }
        } else if kind.is_file() && is_text(&name.to_string_lossy()) {
            let text =
                fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            let relative = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
            files.push(File { path: relative, text });
        }
    }
    Ok(())
}

fn is_text(name: &str) -> bool {
    let extensions = [
        ".rs", ".toml", ".md", ".sh", ".yml", ".yaml", ".html", ".css", ".js",
    ];
    extensions.iter().any(|extension| name.ends_with(extension))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_workspace_is_tidy() {
        let violations = violations_under(root()).unwrap();
        let lines: Vec<String> = violations.iter().map(ToString::to_string).collect();
        assert!(lines.is_empty(), "\n{}", lines.join("\n"));
    }

    #[test]
    fn a_violation_reads_like_a_compiler_message() {
        let violation = Violation::new("crates/a/src/lib.rs", 7, "too long; split it");
        assert_eq!(violation.to_string(), "crates/a/src/lib.rs:7: too long; split it");
    }

    #[test]
    fn the_walk_sees_sources_and_skips_what_is_built() {
        let mut files = Vec::new();
        walk(root(), root(), &mut files).unwrap();
        let has = |path: &str| files.iter().any(|file| file.path == path);
        assert!(has("crates/core/src/lib.rs") && has("Cargo.toml") && has(".cargo/config.toml"));
        assert!(!files.iter().any(|file| file.path.starts_with("target/")));
    }
}
