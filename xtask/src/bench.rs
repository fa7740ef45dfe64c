//! `cargo xtask bench`: forwards its arguments to the bench program, built for release.
//!
//! Nothing is interpreted here but `--against REV`: that commit's program is built first, in a worktree below `target/`,
//! and handed to this one's.

use crate::{
    command::{Command, Usage},
    steps::{Steps, output_of, works},
    workspace::{Workspace, cargo, root},
};
use anyhow::{Context as _, Result, bail};
use std::{fs, path::PathBuf, process};

pub(crate) const COMMAND: Command = Command {
    name: "bench",
    summary: "compare the engines and their rivals on one workload",
    help: "\
Without arguments: three shapes of workload, eight subjects each, in about two minutes. Every argument goes to
`cargo run --release --package quintet-bench -- ARGUMENTS`, but one: with `--against REV` that commit is built
too, both programs are measured in turns, and the command fails if this one is surely slower by more than 5 %.
For `tree` and `smoke` the server is built first: they start it.",
    forwards: true,
    run,
};

fn run(args: &[String]) -> Result<()> {
    let workspace = Workspace::read()?;
    if !exists(&workspace) {
        bail!("quintet-bench has no program yet");
    }
    let mut steps = Steps::new("bench");
    let (revision, args) = without_against(args)?;
    let Some(revision) = revision else {
        if matches!(args.first().map(String::as_str), Some("tree" | "smoke")) {
            steps.run("server", &mut server())?;
        }
        return steps.run("bench", program().args(args));
    };
    let old = build(&mut steps, &workspace, &revision)?;
    let mut against = program();
    against.arg("against").arg("--old").arg(old).args(args);
    steps.run(&format!("against {revision}"), &mut against)
}

/// Takes `--against REV` out of the arguments.
fn without_against(args: &[String]) -> Result<(Option<String>, Vec<String>)> {
    let mut rest = args.to_vec();
    let Some(at) = rest.iter().position(|arg| arg == "--against") else {
        return Ok((None, rest));
    };
    if at + 1 == rest.len() {
        return Err(Usage("--against takes a commit".to_owned()).into());
    }
    let revision = rest.remove(at + 1);
    rest.remove(at);
    Ok((Some(revision), rest))
}

/// Builds the bench program of that commit; answers where it is. What was built once is kept.
fn build(steps: &mut Steps, workspace: &Workspace, revision: &str) -> Result<PathBuf> {
    let git = || {
        let mut git = process::Command::new("git");
        git.current_dir(root());
        git
    };
    let name = format!("{revision}^{{commit}}");
    let commit = output_of(git().args(["rev-parse", "--verify", "--end-of-options", &name]))
        .map_err(|_| Usage(format!("`{revision}` is no commit of this repository")))?;
    let commit = commit.trim();
    let place = workspace.target.join("against");
    let kept = place.join(format!("quintet-bench-{commit}"));
    if kept.is_file() {
        return Ok(kept);
    }
    let tree = place.join("tree");
    if works(git().args(["-C"]).arg(&tree).args(["rev-parse", "--git-dir"])) && tree.join(".git").exists() {
        steps.run(
            "the other commit",
            git()
                .arg("-C")
                .arg(&tree)
                .args(["checkout", "--quiet", "--detach", commit]),
        )?;
    } else {
        fs::create_dir_all(&place)?;
        // One that was deleted by hand is still in git's list.
        steps.run("forget old worktrees", git().args(["worktree", "prune"]))?;
        steps.run(
            "the other commit",
            git()
                .args(["worktree", "add", "--quiet", "--detach"])
                .arg(&tree)
                .arg(commit),
        )?;
    }
    let mut build = cargo();
    build.current_dir(&tree);
    // Beside this workspace's own, so that the dependencies are built once.
    build.args(["build", "--release", "--package", "quintet-bench", "--target-dir"]);
    steps.run("build the other commit", build.arg(&workspace.target))?;
    let built = workspace.target.join("release/quintet-bench");
    fs::copy(&built, &kept).with_context(|| format!("keeping {}", built.display()))?;
    Ok(kept)
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

/// Builds the server that some benches start.
pub(crate) fn server() -> process::Command {
    let mut build = cargo();
    build.args(["build", "--release", "--package", "quintet-server"]);
    build
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_commit_is_taken_out_and_the_rest_goes_on() {
        let args = |text: &str| text.split_whitespace().map(str::to_owned).collect::<Vec<_>>();
        let (revision, rest) = without_against(&args("--pairs 9 --against HEAD~1 --only kv")).unwrap();
        assert_eq!(
            (revision.as_deref(), rest),
            (Some("HEAD~1"), args("--pairs 9 --only kv"))
        );
        assert_eq!(without_against(&args("all")).unwrap(), (None, args("all")));
        assert!(without_against(&args("--against")).is_err());
    }
}
