//! Servers as processes: the port, run by this very program, and redis-server; and what the kernel knows about them.

use anyhow::{Context as _, Result, bail};
use quintet_core::{Deadline, Durability, SystemClock};
use quintet_kv::{
    Config, Store,
    port::{self, PortConfig},
};
use quintet_log::OsDirectory;
use std::{
    fs,
    io::{BufRead as _, BufReader, Read as _},
    net::{TcpListener, TcpStream},
    num::NonZeroUsize,
    path::Path,
    process::{Child, Command, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};

const PATIENCE: Duration = Duration::from_secs(20);

/// Serves a store until the input ends: what the bench starts itself as.
///
/// # Errors
/// What opening or serving answers.
#[expect(clippy::print_stdout, reason = "its parent reads the address")]
pub fn serve(directory: Option<&Path>) -> Result<()> {
    let clock = Arc::new(SystemClock);
    let config = Config {
        drop_empty: true,
        durability: directory.map(|_| Durability::Interval),
        ..Config::default()
    };
    let store = match directory {
        Some(directory) => Store::open(config, Arc::new(OsDirectory::open(directory)?), clock)?,
        None => Store::in_memory_with(config, clock)?,
    };
    let address = ([127, 0, 0, 1], 0).into();
    let port = port::serve(&store, address, NonZeroUsize::MIN, &PortConfig::default())?;
    println!("{}", port.address().port());
    std::io::stdin().read_to_end(&mut Vec::new())?;
    port.drain(Deadline::after(&SystemClock, PATIENCE))?;
    Ok(store.close()?)
}

/// A running server and its port.
pub(super) struct Server {
    child: Child,
    pub(super) port: u16,
    _folder: tempfile::TempDir,
}

impl Server {
    /// Ours, on one thread: in memory, or with a log that is synced every 100 ms.
    pub(super) fn ours(durable: bool) -> Result<Self> {
        let folder = tempfile::tempdir_in("target")?;
        let mut command = Command::new(std::env::current_exe()?);
        command.arg("kv-server");
        if durable {
            command.arg("--dir").arg(folder.path());
        }
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let mut line = String::new();
        let stdout = child.stdout.take().context("it has no output")?;
        BufReader::new(stdout).read_line(&mut line)?;
        let port = line
            .trim()
            .parse()
            .with_context(|| format!("{line:?} is no port"))?;
        Ok(Self {
            child,
            port,
            _folder: folder,
        })
    }

    /// redis-server: without saving, or with an append-only file synced every second. `None` = it is not installed.
    pub(super) fn redis(durable: bool) -> Result<Option<Self>> {
        let folder = tempfile::tempdir_in("target")?;
        // Free a moment ago; nobody else on this machine picks this range by itself.
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let mut command = Command::new("redis-server");
        command.args([
            "--save",
            "",
            "--bind",
            "127.0.0.1",
            "--port",
            &port.to_string(),
            "--dir",
        ]);
        command.arg(folder.path());
        let appends = if durable { "yes" } else { "no" };
        command.args(["--appendonly", appends, "--appendfsync", "everysec"]);
        let Ok(mut child) = command.stdout(Stdio::null()).spawn() else {
            return Ok(None);
        };
        let deadline = Instant::now() + PATIENCE;
        while TcpStream::connect(("127.0.0.1", port)).is_err() {
            if Instant::now() > deadline || child.try_wait()?.is_some() {
                // It never served anybody.
                let _gone = child.kill();
                bail!("redis-server does not listen on {port}");
            }
            thread::yield_now();
        }
        Ok(Some(Self {
            child,
            port,
            _folder: folder,
        }))
    }

    /// The processor time it has used so far, in seconds.
    pub(super) fn cpu_s(&self) -> Result<f64> {
        let stat = fs::read_to_string(format!("/proc/{}/schedstat", self.child.id()));
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id()))?;
        let mut total_ns = 0_u64;
        for task in tasks {
            let text = fs::read_to_string(task?.path().join("schedstat"))?;
            let first = text.split_whitespace().next().context("no time")?;
            total_ns += first.parse::<u64>()?;
        }
        stat.context("the kernel keeps no times")?;
        Ok(total_ns as f64 / 1e9)
    }

    /// The memory it holds, in bytes.
    pub(super) fn resident_bytes(&self) -> Result<f64> {
        let status = fs::read_to_string(format!("/proc/{}/status", self.child.id()))?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
        let kib: f64 = line
            .and_then(|line| line.split_whitespace().next())
            .context("no memory")?
            .parse()?;
        Ok(kib * 1024.0)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        if let Some(input) = self.child.stdin.take() {
            drop(input);
        } else {
            // redis-server ends by a signal only; nothing of it is kept.
            let _gone = self.child.kill();
        }
        let _reaped = self.child.wait();
    }
}
