//! Rules for manifests: members inherit what the workspace decides, and every dependency has one version, in one place.
//!
//! Also the reader of manifests that [`super::direction`] uses. It reads the TOML that a tidy manifest is written in:
//! one entry a line, arrays over several lines; what it cannot read it leaves out.

use super::Violation;

/// `key = value` in a manifest.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry<'a> {
    /// The table's header without brackets; empty before the first.
    pub(super) table: &'a str,
    pub(super) key: &'a str,
    pub(super) value: &'a str,
    pub(super) line: usize,
}

/// Which section of a manifest lists dependencies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Normal,
    Development,
    Build,
}

/// Keys of `[package]` that are decided once, for the workspace.
const INHERITED: [&str; 4] = ["version", "edition", "rust-version", "license"];

pub(super) fn check(path: &str, text: &str, found: &mut Vec<Violation>) {
    let entries = read(text);
    no_git(path, &entries, found);
    if is_member(path) {
        package(path, &entries, found);
        dependencies(path, &entries, found);
    }
}

/// Whether the manifest belongs to a member of the workspace: not the root's, not the fuzz package's.
pub(super) fn is_member(path: &str) -> bool {
    path.starts_with("crates/") || path.starts_with("xtask/")
}

pub(super) fn read(text: &str) -> Vec<Entry<'_>> {
    let mut entries = Vec::new();
    let (mut table, mut open_array) = ("", false);
    for (index, line) in text.lines().enumerate() {
        let line = line.trim();
        if open_array {
            open_array = !line.starts_with(']');
        } else if let Some(header) = line.strip_prefix('[') {
            table = header
                .trim_start_matches('[')
                .split(']')
                .next()
                .unwrap_or_default();
        } else if let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with('#')) {
            let (key, value) = (key.trim().trim_matches('"'), value.trim());
            open_array = value.starts_with('[') && !value.contains(']');
            entries.push(Entry {
                table,
                key,
                value,
                line: index + 1,
            });
        }
    }
    entries
}

/// Name, kind and entry of every dependency. Both `a.workspace = true` and `a = { ... }` are read.
pub(super) fn dependencies_of<'a, 'b>(
    entries: &'b [Entry<'a>],
) -> impl Iterator<Item = (&'a str, Kind, &'b Entry<'a>)> {
    entries.iter().filter_map(|entry| {
        let kind = match entry.table.rsplit('.').next()? {
            _ if entry.table.starts_with("workspace") => return None,
            "dependencies" => Kind::Normal,
            "dev-dependencies" => Kind::Development,
            "build-dependencies" => Kind::Build,
            _ => return None,
        };
        let name = entry.key.split('.').next()?;
        Some((name, kind, entry))
    })
}

fn no_git(path: &str, entries: &[Entry<'_>], found: &mut Vec<Violation>) {
    for entry in entries {
        if entry.table.contains("dependencies") && entry.value.contains("git =") || entry.key == "git" {
            let message = "a dependency from git; use a released version";
            found.push(Violation::new(path, entry.line, message));
        }
    }
}

fn package(path: &str, entries: &[Entry<'_>], found: &mut Vec<Violation>) {
    let has = |table: &str, key: &str, value: &str| {
        entries
            .iter()
            .any(|entry| (entry.table, entry.key, entry.value) == (table, key, value))
    };
    for key in INHERITED {
        if !has("package", &format!("{key}.workspace"), "true") {
            let message = format!("`{key}` is not inherited; write `{key}.workspace = true`");
            found.push(Violation::new(path, 0, message));
        }
    }
    if !has("lints", "workspace", "true") {
        let message = "the lints are not inherited; write `[lints]` and `workspace = true`";
        found.push(Violation::new(path, 0, message));
    }
}

fn dependencies(path: &str, entries: &[Entry<'_>], found: &mut Vec<Violation>) {
    for (name, kind, entry) in dependencies_of(entries) {
        let inherited = entry.key == format!("{name}.workspace") && entry.value == "true"
            || entry.value.contains("workspace = true");
        // A package may depend on itself to test with its own features.
        let itself = kind == Kind::Development && entry.value.contains("path = \".\"");
        if !inherited && !itself {
            let message = format!(
                "`{name}` has its own version here; list it in [workspace.dependencies] and write `{name}.workspace = true`"
            );
            found.push(Violation::new(path, entry.line, message));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NONE: [usize; 0] = [];

    const GOOD: &str = "[package]\nname = \"quintet-kv\"\nversion.workspace = true\nedition.workspace = true\n\
        rust-version.workspace = true\nlicense.workspace = true\n[features]\nx = [\n    \"dep:a\",\n]\n\
        [dependencies]\na.workspace = true\nb = { workspace = true, optional = true }\n\
        [dev-dependencies]\nquintet-kv = { path = \".\", features = [\"x\"] }\n[lints]\nworkspace = true\n";

    fn lines(path: &str, text: &str) -> Vec<usize> {
        let mut found = Vec::new();
        check(path, text, &mut found);
        found.iter().map(|violation| violation.line).collect()
    }

    #[test]
    fn a_manifest_that_inherits_everything_is_fine() {
        assert_eq!(lines("crates/kv/Cargo.toml", GOOD), NONE);
    }

    #[test]
    fn a_key_of_its_own_is_caught() {
        let own = GOOD.replace("edition.workspace = true", "edition = \"2021\"");
        assert_eq!(lines("crates/kv/Cargo.toml", &own), [0]);
        assert_eq!(lines("fuzz/Cargo.toml", &own), NONE);
        let bare = GOOD.replace("[lints]\nworkspace = true\n", "");
        assert_eq!(lines("crates/kv/Cargo.toml", &bare), [0]);
    }

    #[test]
    fn a_version_of_its_own_is_caught() {
        let own = GOOD.replace("a.workspace = true", "a = \"1\"");
        assert_eq!(lines("crates/kv/Cargo.toml", &own), [12]);
        let path = GOOD.replace("a.workspace = true", "a = { path = \"../a\" }");
        assert_eq!(lines("crates/kv/Cargo.toml", &path), [12]);
    }

    #[test]
    fn git_is_caught_everywhere() {
        let text = "[workspace.dependencies]\na = { git = \"https://example.org/a\" }\n";
        assert_eq!(lines("Cargo.toml", text), [2]);
        assert_eq!(
            lines(
                "Cargo.toml",
                "[dependencies.a]\ngit = \"https://example.org/a\"\n"
            ),
            [2]
        );
        assert_eq!(lines("Cargo.toml", "[workspace.dependencies]\na = \"1\"\n"), NONE);
    }
}
