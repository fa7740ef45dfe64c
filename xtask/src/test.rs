//! `cargo xtask test`: what `.ci/run` and the README run. Format, house rules, tests, doctests, examples.
//!
//! It must pass on a clean checkout of a machine that has a Rust toolchain and a C compiler and nothing else, in less
//! than 15 minutes on two cores: it builds one graph of features, in the dev profile, and builds no tool from source.
//! Slower proofs have commands of their own (`loom`, `sanitize`, `crash`, `fuzz`).

use crate::{
    command::{Command, no_arguments},
    steps::{Steps, works},
    tidy,
    workspace::{Workspace, cargo},
};
use anyhow::Result;
use std::process;

pub(crate) const COMMAND: Command = Command {
    name: "test",
    summary: "format, house rules, all tests, doctests, examples (what .ci/run runs)",
    help: "\
Steps: cargo fmt --check; tidy; every test of every crate with every feature but the bench's rivals;
doctests; the examples that a crate's manifest lists in [package.metadata.xtask] run-examples.

Uses cargo-nextest when it is installed and plain `cargo test` when it is not. Needs no network once
the dependencies are downloaded.",
    forwards: false,
    run,
};

fn run(args: &[String]) -> Result<()> {
    no_arguments(args)?;
    let mut steps = Steps::new("test");
    all(&mut steps)?;
    steps.finish();
    Ok(())
}

/// The steps, so that `ci` can begin with them.
pub(crate) fn all(steps: &mut Steps) -> Result<()> {
    steps.run("format", cargo().args(["fmt", "--all", "--check"]))?;
    steps.call("tidy", "cargo xtask tidy", tidy::check)?;

    let workspace = Workspace::read()?;
    let selection = workspace.selection();
    if works(cargo().args(["nextest", "--version"])) {
        steps.run("tests", cargo().args(["nextest", "run"]).args(&selection))?;
        steps.run("doctests", cargo().args(["test", "--doc"]).args(&selection))?;
    } else {
        steps.run("tests and doctests", cargo().arg("test").args(&selection))?;
    }
    for package in &workspace.packages {
        for example in &package.run_examples {
            // With the features of the test run; `cargo run` would choose others and build again.
            steps.run(
                &format!("build example {example}"),
                cargo().args(["build", "--example", example]).args(&selection),
            )?;
            let program = workspace.target.join("debug/examples").join(example);
            let name = format!("example {example}");
            steps.run(&name, process::Command::new(program).current_dir(&package.dir))?;
        }
    }
    Ok(())
}
