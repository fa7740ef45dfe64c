//! The direction of dependencies: the drawing in ARCHITECTURE.md, as a table.
//!
//! Engines know the substrate and never each other; only products know the outside world; `xtask` knows nothing of ours.

use super::{
    Violation,
    manifest::{Kind, dependencies_of, is_member, read},
};

const SUBSTRATE: [&str; 3] = ["quintet-core", "quintet-log", "quintet-net"];
const ENGINES: [&str; 5] = [
    "quintet-blockstore",
    "quintet-kv",
    "quintet-shard",
    "quintet-stm",
    "quintet-tree",
];

/// Crates from outside that only some members may use: names, who may, and why.
const RESERVED: [(&[&str], &[&str], &str); 4] = [
    (
        &[
            "axum",
            "hyper",
            "hyper-util",
            "tower",
            "tower-http",
            "utoipa",
            "utoipa-axum",
        ],
        &["quintet-server"],
        "web frameworks end at the server's ports",
    ),
    (
        &["tokio", "clap"],
        &["quintet-server", "quintet-bench"],
        "engines are synchronous and have no command line",
    ),
    (
        &["anyhow"],
        &["quintet-server", "quintet-bench", "xtask"],
        "libraries have typed errors",
    ),
    (
        &[
            "async-stm",
            "fast-stm",
            "fjall",
            "flume",
            "hnsw_rs",
            "kanal",
            "moka",
            "papaya",
            "redb",
            "ringbuf",
            "scc",
            "simsimd",
            "sled",
            "stm-core",
            "usearch",
        ],
        &["quintet-bench"],
        "rivals are what we compare with, not what we build on",
    ),
];

pub(super) fn check(path: &str, text: &str, found: &mut Vec<Violation>) {
    if !is_member(path) {
        return;
    }
    let entries = read(text);
    let name = entries
        .iter()
        .find(|entry| entry.table == "package" && entry.key == "name")
        .map_or("", |entry| entry.value.trim_matches('"'));
    for (dependency, kind, entry) in dependencies_of(&entries) {
        if is_ours(dependency) && !may_know(name, dependency, kind) {
            let message = format!("`{name}` may not depend on `{dependency}`; {}", allowed(name));
            found.push(Violation::new(path, entry.line, message));
        }
        for (reserved, owners, reason) in RESERVED {
            if reserved.contains(&dependency) && !owners.contains(&name) {
                let message = format!(
                    "`{dependency}` is for {} only, because {reason}; do without it",
                    owners.join(", ")
                );
                found.push(Violation::new(path, entry.line, message));
            }
        }
        let for_loom = entry.table.contains("quintet_loom");
        let required = kind != Kind::Development && !entry.value.contains("optional = true");
        if name == "quintet-core" && required && !for_loom {
            let message =
                format!("core has no required dependency; make `{dependency}` optional, behind a feature");
            found.push(Violation::new(path, entry.line, message));
        }
    }
}

fn is_ours(name: &str) -> bool {
    name.starts_with("quintet") || name == "xtask"
}

fn may_know(name: &str, dependency: &str, kind: Kind) -> bool {
    match name {
        _ if name == dependency => kind == Kind::Development,
        "quintet-core" | "xtask" => false,
        "quintet-log" | "quintet-net" => dependency == "quintet-core",
        "quintet-server" => SUBSTRATE.contains(&dependency) || ENGINES.contains(&dependency),
        "quintet-bench" => dependency != "xtask",
        engine if ENGINES.contains(&engine) => SUBSTRATE.contains(&dependency),
        _ => false,
    }
}

fn allowed(name: &str) -> &'static str {
    match name {
        "quintet-core" | "xtask" => "it depends on no other member",
        "quintet-log" | "quintet-net" => "the substrate knows core only",
        "quintet-server" => "the server knows the engines and the substrate",
        "quintet-bench" => "the bench knows every member but xtask",
        engine if ENGINES.contains(&engine) => "an engine knows core, log and net, and no other engine",
        _ => "a new member needs a line in xtask/src/tidy/direction.rs",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The names of the dependencies that are refused.
    fn refused(package: &str, section: &str, dependencies: &[&str]) -> usize {
        let mut text = format!("[package]\nname = \"{package}\"\n[{section}]\n");
        for dependency in dependencies {
            text.push_str(&format!("{dependency}.workspace = true\n"));
        }
        let mut found = Vec::new();
        check("crates/x/Cargo.toml", &text, &mut found);
        found.len()
    }

    #[test]
    fn engines_know_the_substrate_and_never_each_other() {
        let fine = ["quintet-core", "quintet-log", "quintet-net", "dashmap"];
        assert_eq!(refused("quintet-kv", "dependencies", &fine), 0);
        for bad in [
            "quintet-tree",
            "quintet-server",
            "quintet-bench",
            "xtask",
            "tokio",
            "axum",
            "clap",
        ] {
            assert_eq!(refused("quintet-kv", "dependencies", &[bad]), 1, "{bad}");
            assert_eq!(refused("quintet-kv", "dev-dependencies", &[bad]), 1, "{bad}");
        }
    }

    #[test]
    fn rivals_are_for_the_bench() {
        assert_eq!(
            refused("quintet-bench", "dependencies", &["redb", "papaya", "quintet-kv"]),
            0
        );
        assert_eq!(refused("quintet-server", "dependencies", &["redb"]), 1);
    }

    #[test]
    fn core_has_no_required_dependency() {
        assert_eq!(refused("quintet-core", "dependencies", &["rtrb"]), 1);
        assert_eq!(
            refused("quintet-core", "dev-dependencies", &["proptest", "quintet-core"]),
            0
        );
        assert_eq!(
            refused(
                "quintet-core",
                "target.'cfg(quintet_loom)'.dependencies",
                &["loom"]
            ),
            0
        );
        let optional = "[package]\nname = \"quintet-core\"\n[dependencies]\n\
            rtrb = { workspace = true, optional = true }\n";
        let mut found = Vec::new();
        check("crates/core/Cargo.toml", optional, &mut found);
        assert_eq!(found, []);
    }

    #[test]
    fn chores_and_substrate_look_down_only() {
        assert_eq!(refused("xtask", "dependencies", &["anyhow", "quintet-core"]), 1);
        assert_eq!(refused("quintet-log", "dependencies", &["quintet-net"]), 1);
        assert_eq!(refused("quintet-newcomer", "dependencies", &["quintet-core"]), 1);
    }
}
