//! `cargo xtask loom`: explores every interleaving of the hand-written protocols, up to a number of preemptions.
//!
//! The switch is our own cfg, `quintet_loom`: the usual `--cfg loom` would also switch every dependency that knows it.
//! Its builds have a target folder of their own, since they share nothing with ordinary ones.

use crate::{
    command::{Command, Usage},
    steps::Steps,
    workspace::{Workspace, cargo},
};
use anyhow::{Context as _, Result};

pub(crate) const COMMAND: Command = Command {
    name: "loom",
    summary: "explore the interleavings of the hand-written protocols",
    help: "\
Usage: cargo xtask loom [FILTER]

Runs the loom tests whose names contain FILTER, or all. LOOM_MAX_PREEMPTIONS bounds how often a thread is
interrupted where it did not yield (default 3: enough for the known kinds of races, and minutes instead of
days); LOOM_LOG=trace and LOOM_LOCATION=1 explain a failure.",
    forwards: false,
    run,
};

/// Package and test target of every loom suite. Models of what a crate does not export are unit tests of its `lib`.
const SUITES: [(&str, &str); 5] = [
    ("quintet-core", "loom"),
    ("quintet-blockstore", "loom"),
    ("quintet-kv", LIB),
    ("quintet-stm", LIB),
    ("quintet-shard", LIB),
];

const LIB: &str = "lib";

const MAX_PREEMPTIONS: &str = "3";

fn run(args: &[String]) -> Result<()> {
    if args.len() > 1 {
        return Err(Usage("at most one filter".into()).into());
    }
    let workspace = Workspace::read()?;
    let preemptions = std::env::var("LOOM_MAX_PREEMPTIONS").unwrap_or_else(|_| MAX_PREEMPTIONS.to_owned());
    let mut steps = Steps::new("loom");
    for (package, test) in SUITES {
        workspace
            .package(package)
            .filter(|found| test == LIB || found.tests.iter().any(|name| name == test))
            .with_context(|| format!("{package} has no test target `{test}`"))?;
        let mut suite = cargo();
        suite.args(["test", "--release", "--package", package]);
        if test == LIB {
            suite.arg("--lib");
        } else {
            suite.args(["--test", test]);
        }
        suite
            .args(["--target-dir", "target/loom", "--"])
            .args(args)
            .env("RUSTFLAGS", "--cfg quintet_loom")
            .env("LOOM_MAX_PREEMPTIONS", &preemptions);
        steps.run(
            &format!("{package}, at most {preemptions} preemptions"),
            &mut suite,
        )?;
    }
    steps.finish();
    Ok(())
}
