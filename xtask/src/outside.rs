//! `cargo xtask outside`: uses each library as a stranger would, from a project outside the workspace.
//!
//! Each crate is a path dependency of a throw-away project in the temporary folder, twice: on its default features, where
//! the first example of its documentation runs, and on none, where a `use` must compile. The lock file is ours, so that
//! the versions are the tested ones and no network is needed.

use crate::{
    command::{Command, no_arguments},
    steps::{Steps, command_line, output_of, seconds},
    workspace::{Package, Workspace, cargo, root},
};
use anyhow::{Context as _, Result, ensure};
use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

pub(crate) const COMMAND: Command = Command {
    name: "outside",
    summary: "embed each crate in a throw-away project; print dependency counts and build times",
    help: "\
For each library: a project that depends on it by path, on default features (runs the first example of the
crate's README.md or lib.rs) and on no features (compiles a `use`). Prints how many crates came with it, how many of them it names itself, and
how long a first debug build took. An example that needs features lists them in its manifest under
[package.metadata.xtask] example-features.",
    forwards: false,
    run,
};

/// How many dependencies a crate may name itself, without its default features.
const MOST_DIRECT: [(&str, usize); 1] = [("quintet-kv", 8)];

/// What one project showed.
struct Row {
    title: String,
    dependencies: usize,
    /// Those that its own manifest names.
    direct: usize,
    took: Duration,
    example: bool,
}

fn run(args: &[String]) -> Result<()> {
    no_arguments(args)?;
    let workspace = Workspace::read()?;
    let parent = std::env::temp_dir().join(format!("quintet-outside-{}", std::process::id()));
    let mut steps = Steps::new("outside");
    let mut rows = Vec::new();
    // The bench has a library for its own tests; nobody embeds it.
    let embedded = |package: &&Package| package.library && package.name != "quintet-bench";
    for package in workspace.packages.iter().filter(embedded) {
        for default in [true, false] {
            rows.push(project(&mut steps, &parent, package, default)?);
        }
    }
    fs::remove_dir_all(&parent).with_context(|| format!("cannot remove {}", parent.display()))?;
    println!(
        "\n{:<32} {:>12} {:>6} {:>11}  ran",
        "crate", "dependencies", "direct", "first build"
    );
    for row in rows {
        let ran = if row.example { "its example" } else { "a `use`" };
        println!(
            "{:<32} {:>12} {:>6} {:>11}  {ran}",
            row.title,
            row.dependencies,
            row.direct,
            seconds(row.took)
        );
    }
    steps.finish();
    Ok(())
}

/// Makes, builds and runs one project. On failure it is left where it is, to be looked at.
fn project(steps: &mut Steps, parent: &Path, package: &Package, default: bool) -> Result<Row> {
    let suffix = if default { "default" } else { "minimal" };
    let title = format!("{} ({suffix})", package.name);
    let dir = parent.join(format!("{}-{suffix}", package.name));
    let example = if default { example_of(package)? } else { None };
    let has_example = example.is_some();
    let library = package.name.replace('-', "_");
    fs::create_dir_all(dir.join("src"))?;
    fs::write(dir.join("Cargo.toml"), manifest(package, default))?;
    fs::copy(root().join("Cargo.lock"), dir.join("Cargo.lock"))?;
    let main = example.map_or_else(
        || format!("use {library} as _;\n\nfn main() {{}}\n"),
        |code| program(&code),
    );
    fs::write(dir.join("src/main.rs"), main)?;

    let cargo_in = |words: &[&str]| {
        let mut command = cargo();
        command
            .current_dir(&dir)
            .args(words)
            .env("CARGO_TARGET_DIR", dir.join("target"));
        command
    };
    let mut tree = cargo_in(&["tree", "--edges", "normal", "--prefix", "none"]);
    let crates = names(&output_of(&mut tree)?);
    tree.args(["--package", &package.name, "--depth", "1"]);
    let direct = names(&output_of(&mut tree)?).len().saturating_sub(1);
    check_direct(&package.name, default, direct)?;
    let mut took = Duration::ZERO;
    let mut build = cargo_in(&["build", "--quiet"]);
    let repeat = format!("cd {} && cargo run", dir.display());
    steps.call(&title, &repeat, || {
        let started = Instant::now();
        output_of(&mut build)?;
        took = started.elapsed();
        output_of(&mut cargo_in(&["run", "--quiet"])).with_context(|| command_line(&build))?;
        Ok(())
    })?;
    fs::remove_dir_all(dir.join("target"))?;
    Ok(Row {
        title,
        // Without the project and the crate itself.
        dependencies: crates.len().saturating_sub(2),
        direct,
        took,
        example: has_example,
    })
}

/// The different crates of what `cargo tree --prefix none` printed.
fn names(tree: &str) -> BTreeSet<String> {
    let lines = tree.lines().map(|line| line.trim_end_matches(" (*)").to_owned());
    lines.filter(|line| !line.is_empty()).collect()
}

/// Holds a crate without its default features to its limit.
fn check_direct(name: &str, default: bool, direct: usize) -> Result<()> {
    let limit = MOST_DIRECT
        .iter()
        .find(|(limited, _)| *limited == name && !default);
    if let Some((_, most)) = limit {
        ensure!(
            direct <= *most,
            "{name} without its features names {direct} dependencies, {most} at most"
        );
    }
    Ok(())
}

fn manifest(package: &Package, default: bool) -> String {
    let features: Vec<String> = package
        .example_features
        .iter()
        .filter(|_| default)
        .map(|feature| format!("{feature:?}"))
        .collect();
    format!(
        "[package]\nname = \"outside\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n\
         {} = {{ path = {:?}, default-features = {default}, features = [{}] }}\n\n[workspace]\n",
        package.name,
        package.dir.display().to_string(),
        features.join(", ")
    )
}

/// The first example that can run: of the README if there is one, else of the crate's documentation.
fn example_of(package: &Package) -> Result<Option<String>> {
    let readme = package.dir.join("README.md");
    let path: PathBuf = if readme.is_file() {
        readme
    } else {
        package.dir.join("src/lib.rs")
    };
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let markdown: String = if path.ends_with("lib.rs") {
        text.lines()
            .map_while(|line| line.strip_prefix("//!"))
            .map(|line| format!("{}\n", line.strip_prefix(' ').unwrap_or(line)))
            .collect()
    } else {
        text
    };
    Ok(first_example(&markdown))
}

/// The code of the first fenced block that rustdoc would run, without the marks of hidden lines.
fn first_example(markdown: &str) -> Option<String> {
    let mut lines = markdown.lines();
    while let Some(line) = lines.next() {
        let Some(language) = line.strip_prefix("```") else {
            continue;
        };
        let block: Vec<&str> = lines
            .by_ref()
            .take_while(|line| !line.starts_with("```"))
            .collect();
        if language.is_empty() || language == "rust" {
            let shown = |line: &&str| {
                line.strip_prefix("# ")
                    .unwrap_or(if *line == "#" { "" } else { line })
                    .to_owned()
            };
            return Some(block.iter().map(shown).collect::<Vec<_>>().join("\n"));
        }
    }
    None
}

/// The example as a program, wrapped as rustdoc wraps it.
fn program(example: &str) -> String {
    if example.contains("fn main()") {
        example.to_owned()
    } else if example.contains("Ok::<") {
        format!(
            "fn main() {{\n    fn example() -> Result<(), impl std::fmt::Debug> {{\n{example}\n}}\nexample().unwrap()\n}}\n"
        )
    } else {
        format!("fn main() {{\n{example}\n}}\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_beyond_its_limit_is_refused_only_without_its_features() {
        assert!(check_direct("quintet-kv", false, 8).is_ok());
        assert!(check_direct("quintet-kv", false, 9).is_err());
        assert!(check_direct("quintet-kv", true, 9).is_ok());
        assert_eq!(names("a v1\nb v1\n\nb v1 (*)\n").len(), 2);
    }

    #[test]
    fn the_first_block_that_runs_is_taken_without_its_marks() {
        let markdown = "```toml\na = 1\n```\n```text\nno\n```\n```\n# use a::B;\nB::new();\n#\n```\n```\nlater();\n```\n";
        assert_eq!(first_example(markdown).unwrap(), "use a::B;\nB::new();\n");
        assert_eq!(first_example("no code\n```no_run\nx();\n```\n"), None);
    }

    #[test]
    fn an_example_becomes_a_program() {
        assert_eq!(program("a();"), "fn main() {\na();\n}\n");
        assert_eq!(program("fn main() {}"), "fn main() {}");
        assert!(program("a()?;\nOk::<(), E>(())").contains("fn example() -> Result"));
    }
}
