//! `cargo xtask page`: the server's page in a headless Chromium, and pictures of it for people to look at.
//!
//! The tests are the server's own; in `cargo test` they pass over themselves, as nobody names a browser to them there. Without one
//! on the machine there is nothing to run, and that is said.

use crate::{
    command::{Command, MissingTool, no_arguments},
    steps::{Steps, works},
    workspace::{cargo, root},
};
use anyhow::Result;
use std::process;

pub(crate) const COMMAND: Command = Command {
    name: "page",
    summary: "the server's page in a headless Chromium, with pictures",
    help: "\
Runs the page's browser tests: every section in light and dark, wide and narrow, live changes, the keyboard, tokens,
a server that goes and comes back. Whatever the browser calls an error fails them, violations of the page's policy
included. Pictures go to target/page/, to be looked at. Needs a Chromium or Chrome on the PATH, or in the variable
CHROMIUM.",
    forwards: false,
    run,
};

/// Names under which the browser is installed.
const BROWSERS: [&str; 5] = [
    "chromium",
    "chromium-browser",
    "google-chrome-stable",
    "google-chrome",
    "chrome",
];

fn run(args: &[String]) -> Result<()> {
    no_arguments(args)?;
    let chosen = std::env::var("CHROMIUM").ok();
    let names = chosen
        .as_deref()
        .map_or_else(|| BROWSERS.to_vec(), |name| vec![name]);
    let found = names
        .into_iter()
        .find(|name| works(process::Command::new(name).arg("--version")));
    let Some(browser) = found else {
        let why = "no Chromium is on the PATH; install one, or name it in the variable CHROMIUM";
        return Err(MissingTool(why.into()).into());
    };
    let mut steps = Steps::new("page");
    let pictures = root().join("target/page");
    let mut tests = cargo();
    tests.args([
        "test",
        "--package",
        "quintet-server",
        "--test",
        "it",
        "page::browser",
    ]);
    // One browser at a time: each takes several processes.
    tests.args(["--", "--test-threads", "1"]);
    tests.env("CHROMIUM", browser).env("PAGE_PICTURES", &pictures);
    steps.run("in the browser", &mut tests)?;
    steps.note(format!("pictures to look at: {}", pictures.display()));
    steps.finish();
    Ok(())
}
