//! [`Server`]: a program that serves on a port that the kernel picks, ended when dropped.

use crate::workspace::root;
use anyhow::{Context as _, Result};
use std::{
    fs,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, ChildStdout, Command, Stdio},
};

pub(super) struct Server {
    child: Child,
    port: u16,
    /// Open until the program has ended: it prints more.
    _output: BufReader<ChildStdout>,
}

/// The port of the address in the first line that begins with `mark`.
fn port_in(mut output: BufReader<ChildStdout>, mark: &str) -> Result<(BufReader<ChildStdout>, Option<u16>)> {
    let mut line = String::new();
    while output.read_line(&mut line)? > 0 {
        if let Some(rest) = line.strip_prefix(mark) {
            let address = rest.split_whitespace().next().unwrap_or_default();
            let port = address.rsplit(':').next().and_then(|port| port.parse().ok());
            return Ok((output, port));
        }
        line.clear();
    }
    Ok((output, None))
}

impl Server {
    /// The RESP port's example program.
    pub(super) fn start() -> Result<Self> {
        let mut program = Command::new(root().join("target/debug/examples/resp_server"));
        Self::of(program.args(["127.0.0.1:0", "2"]), "")
    }

    /// `quintet serve` with nothing but an empty tree, as clients of an emulator expect it.
    pub(super) fn with_a_tree(folder: &Path) -> Result<Self> {
        let data = folder.join("tree");
        if data.exists() {
            fs::remove_dir_all(&data).with_context(|| format!("cannot empty {}", data.display()))?;
        }
        let mut program = Command::new(root().join("target/debug/quintet"));
        program.args([
            "serve",
            "--without",
            "blocks,kv,vectors,stm",
            "--http-addr",
            "off",
        ]);
        program
            .args(["--tree-addr", "127.0.0.1:0"])
            .arg("--data-dir")
            .arg(data);
        Self::of(&mut program, "tree ")
    }

    /// Starts a program that prints its address in a line of its own, which begins with `mark`.
    fn of(program: &mut Command, mark: &str) -> Result<Self> {
        let name = program.get_program().to_string_lossy().into_owned();
        let mut child = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {name}"))?;
        let output = BufReader::new(child.stdout.take().context("it has no output")?);
        let (output, port) = port_in(output, mark)?;
        match port {
            Some(port) => Ok(Self {
                child,
                port,
                _output: output,
            }),
            None => {
                child.kill()?;
                child.wait()?;
                anyhow::bail!("{name} printed no address")
            }
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    /// The end of its input ends the example program; the other is told to.
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        let _gone = self.child.kill();
        // It was ours to end; how it went is of no use to anybody now.
        let _ended = self.child.wait();
    }
}
