//! Rules for Markdown: relative links lead somewhere, and every `cargo xtask` command that is named exists.

use super::Violation;
use std::path::{Component, Path};

/// `exists` answers for a path relative to the workspace's root.
pub(super) fn check(path: &str, text: &str, exists: &dyn Fn(&str) -> bool, found: &mut Vec<Violation>) {
    let mut fenced = false;
    for (index, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        for name in xtask_commands(line) {
            if !crate::COMMANDS.iter().any(|command| command.name == name) {
                let message = format!("there is no `cargo xtask {name}`; see `cargo xtask --help`");
                found.push(Violation::new(path, index + 1, message));
            }
        }
        if fenced {
            continue;
        }
        for target in links(line) {
            let file = target.split('#').next().unwrap_or_default();
            let elsewhere = file.is_empty() || file.contains("://") || file.starts_with("mailto:");
            if !elsewhere && !resolve(path, file).is_some_and(|file| exists(&file)) {
                let message = format!("the link to `{target}` leads nowhere; mend or remove it");
                found.push(Violation::new(path, index + 1, message));
            }
        }
    }
}

/// The targets of `[text](target)` in a line.
fn links(line: &str) -> impl Iterator<Item = &str> {
    line.match_indices("](").filter_map(|(at, opening)| {
        let rest = &line[at + opening.len()..];
        rest.split([')', ' ']).next()
    })
}

/// The names that follow `cargo xtask` in a line.
fn xtask_commands(line: &str) -> impl Iterator<Item = &str> {
    line.split("cargo xtask ").skip(1).filter_map(|rest| {
        let name = rest
            .split(|c: char| !c.is_ascii_lowercase())
            .next()
            .unwrap_or_default();
        (!name.is_empty()).then_some(name)
    })
}

/// `link`, seen from the file at `path`, as a path from the root; `None` when it leaves the workspace.
fn resolve(path: &str, link: &str) -> Option<String> {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for component in Path::new(link).components() {
        match component {
            Component::Normal(part) => parts.push(part.to_str()?),
            Component::ParentDir => drop(parts.pop()?),
            Component::CurDir => {}
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    Some(parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [usize; 0] = [];

    fn lines(text: &str) -> Vec<usize> {
        let exists = |path: &str| ["docs/b.md", "LICENSE-MIT", "docs"].contains(&path);
        let mut found = Vec::new();
        check("docs/a.md", text, &exists, &mut found);
        found.iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn a_link_that_leads_nowhere_is_caught() {
        assert_eq!(lines("[b](b.md) [m](../LICENSE-MIT)\n[c](c.md)\n"), [2]);
        assert_eq!(lines("[out](../../etc/passwd)\n[abs](/etc/passwd)\n"), [1, 2]);
    }

    #[test]
    fn anchors_addresses_and_fenced_text_are_left_alone() {
        assert_eq!(
            lines("[x](#part) [b](b.md#part) [w](https://example.org/x)\n"),
            NONE
        );
        assert_eq!(lines("```\n[c](c.md)\n```\n"), NONE);
    }

    #[test]
    fn a_command_that_does_not_exist_is_caught() {
        assert_eq!(lines("run `cargo xtask test`, then `cargo xtask deploy`\n"), [1]);
        assert_eq!(lines("```sh\ncargo xtask tidy && cargo xtask deploy\n```\n"), [2]);
        assert_eq!(
            lines("`cargo xtask COMMAND --help`, `cargo xtask --help`\n"),
            NONE
        );
    }
}
