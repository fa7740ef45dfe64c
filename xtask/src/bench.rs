//! `cargo xtask bench`: forwards its arguments to the bench program, built for release.
//!
//! The program has its own `--help`; nothing is interpreted here.

use crate::{
    command::Command,
    steps::Steps,
    workspace::{Workspace, cargo},
};
use anyhow::{Result, bail};
use std::process;

pub(crate) const COMMAND: Command = Command {
    name: "bench",
    summary: "compare the engines and their rivals on one workload",
    help: "Every argument goes to `cargo run --release --package quintet-bench -- ARGUMENTS`.",
    forwards: true,
    run,
};

fn run(args: &[String]) -> Result<()> {
    if !exists(&Workspace::read()?) {
        bail!("quintet-bench has no program yet");
    }
    let mut steps = Steps::new("bench");
    steps.run("bench", program().args(args))?;
    Ok(())
}

/// Whether the bench crate has a program to run.
pub(crate) fn exists(workspace: &Workspace) -> bool {
    workspace
        .package("quintet-bench")
        .is_some_and(|package| !package.binaries.is_empty())
}

/// The bench program, without arguments.
pub(crate) fn program() -> process::Command {
    let mut program = cargo();
    program.args(["run", "--release", "--package", "quintet-bench", "--"]);
    program
}
