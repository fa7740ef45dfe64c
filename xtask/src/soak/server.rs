//! The server under load: on free ports, with small limits, killed or asked to stop.

use anyhow::{Context as _, Result, ensure};
use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// The drain's deadline and some more.
const PATIENCE: Duration = Duration::from_secs(30);

/// Where its ports are.
#[derive(Clone, Copy)]
pub(super) struct Addresses {
    pub(super) api: SocketAddr,
    pub(super) resp: SocketAddr,
    pub(super) blocks: SocketAddr,
    pub(super) tree: SocketAddr,
}

/// How a life ends.
#[derive(Clone, Copy, Debug)]
pub(super) enum End {
    Kill,
    Stop,
}

/// A running server. Killed when dropped.
pub(super) struct Server {
    child: Child,
    pub(super) addresses: Addresses,
    /// From its start to its readiness.
    pub(super) took: Duration,
}

impl Server {
    pub(super) fn start(program: &Path, data: &Path) -> Result<Self> {
        let begun = Instant::now();
        let mut command = Command::new(program);
        command.args(["serve", "--blocks-capacity", "256MiB"]);
        for port in ["--http-addr", "--resp-addr", "--blocks-addr", "--tree-addr"] {
            command.args([port, "127.0.0.1:0"]);
        }
        command.arg("--data-dir").arg(data);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let mut lines = BufReader::new(child.stdout.take().context("it has no output")?).lines();
        let mut found = Vec::new();
        let is_ready = loop {
            let Some(line) = lines.next().transpose()? else {
                break false;
            };
            let mut words = line.split_whitespace().map(str::to_owned);
            let (name, address) = (words.next().unwrap_or_default(), words.next().unwrap_or_default());
            if name == "ready" {
                break true;
            }
            if let Ok(address) = address.trim_start_matches("http://").parse::<SocketAddr>() {
                found.push((name, address));
            }
        };
        // The rest of what it says is read, so that it never waits for a reader.
        thread::spawn(move || lines.for_each(drop));
        let address = |wanted: &str| {
            let found = found.iter().find(|(name, _)| name == wanted);
            found.map(|(_, address)| *address)
        };
        let addresses = (|| {
            Some(Addresses {
                api: address("api")?,
                resp: address("kv")?,
                blocks: address("blocks")?,
                tree: address("tree")?,
            })
        })();
        match addresses.filter(|_| is_ready) {
            Some(addresses) => Ok(Self {
                child,
                addresses,
                took: begun.elapsed(),
            }),
            None => {
                child.kill()?;
                let status = child.wait()?;
                anyhow::bail!("the server did not become ready: {status}")
            }
        }
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Ends it, and expects status 0 if it was asked.
    pub(super) fn end(&mut self, end: End) -> Result<()> {
        match end {
            End::Kill => {
                self.child.kill()?;
                self.child.wait()?;
            }
            End::Stop => {
                let asked = Command::new("kill").arg(self.pid().to_string()).status()?;
                ensure!(asked.success(), "kill: {asked}");
                let begun = Instant::now();
                let status = loop {
                    if let Some(status) = self.child.try_wait()? {
                        break status;
                    }
                    ensure!(
                        begun.elapsed() < PATIENCE,
                        "SIGTERM did not end the server in {PATIENCE:?}"
                    );
                    thread::park_timeout(Duration::from_millis(5));
                };
                ensure!(status.success(), "after SIGTERM the server ended with {status}");
            }
        }
        Ok(())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _reaped = self.child.wait();
    }
}
