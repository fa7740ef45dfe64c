//! The server that is measured: `quintet serve` with nothing but the tree, as a process of its own on the first core.

use anyhow::{Context, ensure};
use std::{
    fs,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::{Path, PathBuf},
    process::{Child, ChildStdout, Command, Stdio},
};

/// A server that runs. Killed when dropped; its files go with their directory.
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
    _home: tempfile::TempDir,
    _output: BufReader<ChildStdout>,
}

/// The program, which is built beside this one.
fn program() -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?.with_file_name("quintet");
    ensure!(
        program.exists(),
        "there is no {}: cargo build --release --package quintet-server",
        program.display()
    );
    Ok(program)
}

impl Server {
    /// Starts one over an empty directory below `dir`.
    pub(super) fn start(dir: &Path, durability: &str, rules: Option<&str>) -> anyhow::Result<Self> {
        let home = tempfile::tempdir_in(dir)?;
        let mut command = Command::new(program()?);
        command.args([
            "serve",
            "--without",
            "blocks,kv,vectors,stm",
            "--http-addr",
            "off",
        ]);
        command.args(["--tree-addr", "127.0.0.1:0", "--tree-durability", durability]);
        command.arg("--data-dir").arg(home.path().join("data"));
        if let Some(rules) = rules {
            let file = home.path().join("rules.json");
            fs::write(&file, rules)?;
            command.arg("--tree-rules").arg(file);
        }
        crate::machine::pin_to(0);
        let started = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn();
        crate::machine::pin_to(1);
        let mut child = started.context("starting quintet serve")?;
        let mut output = BufReader::new(child.stdout.take().context("it has no output")?);
        let mut said = String::new();
        while !said.contains("\nready") {
            ensure!(
                output.read_line(&mut said)? > 0,
                "the server ended early:\n{said}"
            );
        }
        let address = said
            .lines()
            .find_map(|line| line.strip_prefix("tree ")?.split_whitespace().next())
            .and_then(|url| url.trim_start_matches("http://").parse().ok())
            .with_context(|| format!("no address in:\n{said}"))?;
        Ok(Self {
            child,
            address,
            _home: home,
            _output: output,
        })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that ended already leaves nothing to kill.
        let _gone = self.child.kill();
        let _status = self.child.wait();
    }
}
