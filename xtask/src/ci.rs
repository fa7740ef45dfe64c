//! `cargo xtask ci`: everything `test` runs, and the slower checks that must pass before anything is called done.
//!
//! Each check is one function; the order is cheapest first, after `test`. What could not be checked for want of a
//! network is said in the summary and does not fail the run.

use crate::{
    bench,
    command::{Command, no_arguments},
    steps::{Steps, command_line, output_of, works},
    test,
    workspace::{Workspace, cargo, root},
};
use anyhow::{Context as _, Result, ensure};
use std::{fs, process};

pub(crate) const COMMAND: Command = Command {
    name: "ci",
    summary: "test, clippy, docs, licences and advisories, every feature alone, bench smoke",
    help: "\
Steps after those of `cargo xtask test`: what may not be in the dependency tree; clippy with warnings as
errors; rustdoc likewise; the oldest Rust that Cargo.toml promises, if that toolchain is installed; each
crate without default features and with each feature alone; cargo-deny; the bench on its smallest size, which
checks every subject and every row and no time; and with valgrind the instructions of the hottest paths.

cargo-deny is installed into target/tools (some minutes, once) when it is not on the PATH. Its advisory
database comes from the network; without it licences, bans and sources are checked and the summary says
that advisories were not.",
    forwards: false,
    run,
};

/// The version that is installed when there is none.
const CARGO_DENY: &str = "0.20.2";

fn run(args: &[String]) -> Result<()> {
    no_arguments(args)?;
    let mut steps = Steps::new("ci");
    test::all(&mut steps)?;
    let workspace = Workspace::read()?;
    trees(&mut steps)?;
    clippy(&mut steps)?;
    docs(&mut steps)?;
    oldest_rust(&mut steps)?;
    features(&mut steps, &workspace)?;
    deny(&mut steps)?;
    if bench::exists(&workspace) {
        steps.run("server for the benches", &mut bench::server())?;
        steps.run("bench smoke", bench::program().arg("smoke"))?;
        if works(process::Command::new("valgrind").arg("--version")) {
            steps.run("instruction counts", bench::program().arg("count"))?;
        } else {
            steps.note("instructions of the hottest paths were NOT counted: valgrind is not installed");
        }
    } else {
        steps.note("bench: nothing to run yet");
    }
    steps.finish();
    Ok(())
}

/// No test double in the product, nothing at all below core.
fn trees(steps: &mut Steps) -> Result<()> {
    let tree = |package: &str, flag: &str| {
        let mut tree = cargo();
        tree.args([
            "tree",
            "--package",
            package,
            "--edges",
            "normal",
            "--prefix",
            "none",
            flag,
        ]);
        tree
    };
    let mut server = tree("quintet-server", "--all-features");
    steps.call("no mockall in the server", &command_line(&server), || {
        let doubles = names(&output_of(&mut server)?, "mockall");
        ensure!(doubles == 0, "mockall is a normal dependency of the server");
        Ok(())
    })?;
    let mut core = tree("quintet-core", "--no-default-features");
    steps.call("core stands alone", &command_line(&core), || {
        let listed = output_of(&mut core)?;
        let below = listed.lines().filter(|line| !line.trim().is_empty()).count() - 1;
        ensure!(
            below == 0,
            "core without features depends on {below} crates:\n{listed}"
        );
        Ok(())
    })
}

/// How many lines of a `cargo tree` name that crate.
fn names(tree: &str, krate: &str) -> usize {
    tree.lines()
        .filter(|line| line.split_whitespace().next() == Some(krate))
        .count()
}

fn clippy(steps: &mut Steps) -> Result<()> {
    let flags = [
        "--workspace",
        "--all-targets",
        "--all-features",
        "--",
        "-D",
        "warnings",
    ];
    steps.run("clippy", cargo().arg("clippy").args(flags))
}

fn docs(steps: &mut Steps) -> Result<()> {
    let mut doc = cargo();
    doc.args(["doc", "--workspace", "--no-deps", "--all-features"])
        .env("RUSTDOCFLAGS", "-D warnings");
    steps.run("rustdoc", &mut doc)
}

/// Checks with the version that `rust-version` promises, unless the tests ran with that one already.
fn oldest_rust(steps: &mut Steps) -> Result<()> {
    let manifest = fs::read_to_string(root().join("Cargo.toml"))?;
    let version = manifest
        .lines()
        .find_map(|line| line.strip_prefix("rust-version = "))
        .context("Cargo.toml names no rust-version")?
        .trim_matches('"');
    let used = output_of(
        process::Command::new("rustc")
            .arg("--version")
            .current_dir(root()),
    )?;
    if is_release_of(used.split_whitespace().nth(1).unwrap_or_default(), version) {
        return Ok(());
    }
    let installed =
        output_of(process::Command::new("rustup").args(["toolchain", "list"])).unwrap_or_default();
    let toolchain = installed
        .lines()
        .filter_map(|line| line.split(['-', ' ']).next())
        .find(|name| is_release_of(name, version));
    let Some(toolchain) = toolchain else {
        steps.note(format!(
            "Rust {version} is not installed: the promised oldest version was not checked"
        ));
        return Ok(());
    };
    let mut check = cargo();
    check.args([
        &format!("+{toolchain}"),
        "check",
        "--workspace",
        "--target-dir",
        "target/oldest",
    ]);
    steps.run(&format!("Rust {version}"), &mut check)
}

/// Whether `found` is `version` or one of its patch releases.
fn is_release_of(found: &str, version: &str) -> bool {
    found
        .strip_prefix(version)
        .is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
}

/// Each crate with no default features, then with each feature alone; dead code in a combination is an error.
fn features(steps: &mut Steps, workspace: &Workspace) -> Result<()> {
    for package in &workspace.packages {
        if package.features.is_empty() {
            continue;
        }
        let alone = |feature: Option<&str>| {
            let mut clippy = cargo();
            clippy.args([
                "clippy",
                "--quiet",
                "--package",
                &package.name,
                "--no-default-features",
            ]);
            if let Some(feature) = feature {
                clippy.args(["--features", feature]);
            }
            clippy.args(["--", "-D", "warnings"]);
            clippy
        };
        steps.run(&format!("{} bare", package.name), &mut alone(None))?;
        for feature in &package.features {
            let name = format!("{} +{feature}", package.name);
            steps.run(&name, &mut alone(Some(feature)))?;
        }
    }
    Ok(())
}

/// Licences, bans and sources always; advisories when their database can be had.
fn deny(steps: &mut Steps) -> Result<()> {
    let own = root().join("target/tools/bin/cargo-deny");
    let deny = || -> process::Command {
        let mut deny = process::Command::new(if own.is_file() {
            own.as_os_str()
        } else {
            "cargo-deny".as_ref()
        });
        deny.current_dir(root());
        deny
    };
    if !works(deny().arg("--version")) {
        let mut install = cargo();
        install.args(["install", "cargo-deny", "--locked", "--version", CARGO_DENY]);
        install.args(["--root", "target/tools"]);
        steps.run("install cargo-deny", &mut install)?;
    }
    if works(deny().args(["fetch", "db"])) {
        return steps.run("deny", deny().arg("check"));
    }
    steps.note("advisories were NOT checked: their database could not be fetched");
    steps.run(
        "deny without advisories",
        deny().args(["check", "bans", "licenses", "sources"]),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_crate_is_found_in_a_tree_by_its_whole_name() {
        let tree = "quintet-server v0.1.0\nmockall_derive v0.15.0\nserde v1.0.0\n";
        assert_eq!(names(tree, "mockall"), 0);
        assert_eq!(names(&format!("{tree}mockall v0.15.0\n"), "mockall"), 1);
    }

    #[test]
    fn a_patch_release_is_of_its_version() {
        assert!(is_release_of("1.95.0", "1.95") && is_release_of("1.95", "1.95"));
        assert!(!is_release_of("1.96.0", "1.95") && !is_release_of("1.950.0", "1.95"));
    }
}
