//! `cargo xtask clients`: the real Redis clients that people have, unmodified, against the RESP port.
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
    summary: "the real Redis clients against the RESP port",
    help: "\
Usage: cargo xtask clients [CLIENT]

Runs every client, or the one named:
  redis-cli        commands of all kinds: from a terminal, from a pipe, with -3
  redis-benchmark  all its default tests, plain, pipelined, and with threads
  redis-py         the Python client, installed by pip into target/clients/venv; RESP2 and RESP3
  redis-rs         the Rust client `redis`, in a throw-away project in target/clients/redis-rs
  redis-server     random command sequences, answered by it and by the port, compared reply by reply
Each client talks to a server of its own on a port that the kernel picks. What is not installed is skipped, and the
summary says so.",
    forwards: false,
    run,
};

type Client = fn(&mut Steps, &Path) -> Result<()>;

const CLIENTS: [(&str, Client); 5] = [
    ("redis-cli", programs::redis_cli),
    ("redis-benchmark", programs::redis_benchmark),
    ("redis-py", redis_py),
    ("redis-rs", redis_rs),
    ("redis-server", redis_server),
];

fn run(args: &[String]) -> Result<()> {
    let chosen = match args {
        [] => None,
        [name] if CLIENTS.iter().any(|(known, _)| known == name) => Some(name.as_str()),
        _ => return Err(Usage("a client's name, or nothing for all".into()).into()),
    };
    let mut steps = Steps::new("clients");
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

/// The package is fetched by pip; where that fails there is nothing to run.
fn redis_py(steps: &mut Steps, folder: &Path) -> Result<()> {
    let venv = folder.join("venv");
    let python = venv.join("bin/python");
    let has_client = |python: &Path| works(process::Command::new(python).args(["-c", "import redis"]));
    if !has_client(&python) {
        let made = works(process::Command::new("python3").args(["-m", "venv"]).arg(&venv))
            && works(process::Command::new(&python).args(["-m", "pip", "install", "--quiet", "redis"]));
        if !made || !has_client(&python) {
            steps.note("redis-py skipped: python3 with venv, or pip's access to `redis`, is missing");
            return Ok(());
        }
    }
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
