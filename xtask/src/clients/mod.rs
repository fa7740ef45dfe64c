//! `cargo xtask clients`: the real clients that people have, unmodified, against the RESP port and the tree's port.
//!
//! A client that is not on the machine is skipped, and named as skipped; one that is there and fails ends the command.

mod programs;
mod server;

use crate::{
    command::{Command, Usage},
    steps::{Steps, output_of, works},
    workspace::{cargo, root},
};
use anyhow::{Context as _, Result, bail};
use server::Server;
use std::{
    fs,
    path::{Path, PathBuf},
    process,
};

pub(crate) const COMMAND: Command = Command {
    name: "clients",
    summary: "the real Redis and Firebase clients against the RESP port and the tree's",
    help: "\
Usage: cargo xtask clients [CLIENT]

Runs every client, or the one named:
  redis-cli        commands of all kinds: from a terminal, from a pipe, with -3
  redis-benchmark  all its default tests, plain, pipelined, and with threads
  redis-py         the Python client, installed by pip into target/clients/venv; RESP2 and RESP3
  redis-rs         the Rust client `redis`, in a throw-away project in target/clients/redis-rs
  redis-server     random command sequences, answered by it and by the port, compared reply by reply
  firebase-admin   the official Python client, installed by pip like redis-py, against `quintet serve`: values, tags,
                   transactions, queries, listeners
Each client talks to a server of its own on a port that the kernel picks. What is not installed is skipped, and the
summary says so.",
    forwards: false,
    run,
};

type Client = fn(&mut Steps, &Path) -> Result<()>;

const CLIENTS: [(&str, Client); 6] = [
    ("redis-cli", programs::redis_cli),
    ("redis-benchmark", programs::redis_benchmark),
    ("redis-py", redis_py),
    ("redis-rs", redis_rs),
    ("redis-server", redis_server),
    ("firebase-admin", firebase_admin),
];

fn run(args: &[String]) -> Result<()> {
    let chosen = match args {
        [] => None,
        [name] if CLIENTS.iter().any(|(known, _)| known == name) => Some(name.as_str()),
        _ => return Err(Usage("a client's name, or nothing for all".into()).into()),
    };
    let mut steps = Steps::new("clients");
    if chosen != Some("firebase-admin") {
        let mut build = cargo();
        build.args([
            "build",
            "--package",
            "quintet-kv",
            "--features",
            "port",
            "--example",
            "resp_server",
        ]);
        steps.run("server", &mut build)?;
    }
    let folder = root().join("target/clients");
    fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
    for (_, client) in CLIENTS
        .iter()
        .filter(|(name, _)| chosen.is_none_or(|chosen| chosen == *name))
    {
        client(&mut steps, &folder)?;
    }
    steps.finish();
    Ok(())
}

/// A Python that has the package `package`, whose module is `module`; `None` = it cannot be had, which is noted.
fn python_with(steps: &mut Steps, folder: &Path, package: &str, module: &str) -> Option<PathBuf> {
    let venv = folder.join("venv");
    let python = venv.join("bin/python");
    let import = format!("import {module}");
    let has_client = || works(process::Command::new(&python).args(["-c", &import]));
    if has_client() {
        return Some(python);
    }
    let made = python.exists() || works(process::Command::new("python3").args(["-m", "venv"]).arg(&venv));
    let fetched =
        made && works(process::Command::new(&python).args(["-m", "pip", "install", "--quiet", package]));
    if fetched && has_client() {
        return Some(python);
    }
    steps.note(format!(
        "{package} skipped: python3 with venv, or pip's access to `{package}`, is missing"
    ));
    None
}

fn firebase_admin(steps: &mut Steps, folder: &Path) -> Result<()> {
    let Some(python) = python_with(steps, folder, "firebase-admin", "firebase_admin") else {
        return Ok(());
    };
    steps.run("server", cargo().args(["build", "--package", "quintet-server"]))?;
    let server = Server::with_a_tree(folder)?;
    let mut client = process::Command::new(&python);
    client.arg(root().join("xtask/src/clients/firebase_python.py"));
    client.arg(format!("127.0.0.1:{}", server.port()));
    steps.run("firebase-admin", &mut client)
}

fn redis_py(steps: &mut Steps, folder: &Path) -> Result<()> {
    let Some(python) = python_with(steps, folder, "redis", "redis") else {
        return Ok(());
    };
    let script = root().join("xtask/src/clients/redis_py.py");
    for protocol in ["2", "3"] {
        let server = Server::start()?;
        let mut client = process::Command::new(&python);
        client.arg(&script).arg(server.port().to_string()).arg(protocol);
        steps.run(&format!("redis-py, RESP{protocol}"), &mut client)?;
    }
    Ok(())
}

/// A project of its own: what a stranger would write.
fn redis_rs(steps: &mut Steps, folder: &Path) -> Result<()> {
    let project: PathBuf = folder.join("redis-rs");
    let copied = [("redis_rs.toml", "Cargo.toml"), ("redis_rs.main", "src/main.rs")];
    fs::create_dir_all(project.join("src"))?;
    for (from, to) in copied {
        fs::copy(root().join("xtask/src/clients").join(from), project.join(to))
            .with_context(|| format!("cannot copy {from}"))?;
    }
    let cargo_in = |words: &[&str]| {
        let mut command = cargo();
        command.current_dir(&project).args(words);
        command.env("CARGO_TARGET_DIR", folder.join("redis-rs-target"));
        command
    };
    if !works(&mut cargo_in(&["fetch", "--quiet"])) {
        steps.note("redis-rs skipped: cargo cannot fetch the crate `redis`");
        return Ok(());
    }
    steps.run("redis-rs, build", &mut cargo_in(&["build", "--quiet"]))?;
    for protocol in ["2", "3"] {
        let server = Server::start()?;
        let port = server.port().to_string();
        let mut client = cargo_in(&["run", "--quiet", "--", &port, protocol]);
        steps.run(&format!("redis-rs, RESP{protocol}"), &mut client)?;
    }
    Ok(())
}

fn redis_server(steps: &mut Steps, _: &Path) -> Result<()> {
    if !works(process::Command::new("redis-server").arg("--version")) {
        steps.note("redis-server skipped: it is not on the PATH, so no replies were compared");
        return Ok(());
    }
    let mut tests = cargo();
    tests.args([
        "test",
        "--package",
        "quintet-kv",
        "--all-features",
        "--test",
        "it",
        "differential",
    ]);
    tests.env("KV_DIFFERENTIAL_SEEDS", "200");
    let listed = output_of(tests.args(["--", "--list"]))?;
    if !listed.contains("differential::random_commands") {
        bail!("the comparison is gone from the tests of quintet-kv");
    }
    let mut tests = cargo();
    tests.args([
        "test",
        "--package",
        "quintet-kv",
        "--all-features",
        "--test",
        "it",
    ]);
    tests
        .args(["--", "differential", "--nocapture"])
        .env("KV_DIFFERENTIAL_SEEDS", "200");
    steps.run("redis-server, 400 random sequences", &mut tests)
}
