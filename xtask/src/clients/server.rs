//! [`Server`]: the port's example program on a port that the kernel picks, ended when dropped.

use crate::workspace::root;
use anyhow::{Context as _, Result};
use std::{
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
};

pub(super) struct Server {
    child: Child,
    port: u16,
}

impl Server {
    pub(super) fn start() -> Result<Self> {
        let program = root().join("target/debug/examples/resp_server");
        let mut child = Command::new(&program)
            .args(["127.0.0.1:0", "2"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("it has no output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let port = line.trim().rsplit(':').next().and_then(|port| port.parse().ok());
        match port {
            Some(port) => Ok(Self { child, port }),
            None => {
                child.kill()?;
                child.wait()?;
                anyhow::bail!("{} printed no address but {line:?}", program.display())
            }
        }
    }

    pub(super) fn port(&self) -> u16 {
        self.port
    }
}

impl Drop for Server {
    /// The end of its input ends it.
    fn drop(&mut self) {
        drop(self.child.stdin.take());
        // It was ours to end; how it went is of no use to anybody now.
        let _ended = self.child.wait();
    }
}
