//! The real binary as a child process: started, its start-up lines read, signalled, and never left behind.

use std::{
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::Path,
    process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio},
    sync::mpsc,
    thread,
    time::{Duration, Instant},
};

/// How long start-up or an exit may take before the test fails.
const PATIENCE: Duration = Duration::from_secs(30);

/// A command of the binary under test, with no `QUINTET_…` of the caller's environment, and with free ports unless a flag
/// says otherwise.
pub(crate) fn quintet(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_quintet"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("QUINTET_") {
            command.env_remove(name);
        }
    }
    command.args(args).stdin(Stdio::null());
    for port in ["HTTP", "RESP", "TREE"] {
        command.env(format!("QUINTET_{port}_ADDR"), "127.0.0.1:0");
    }
    command
}

/// Runs to the end and captures the output.
pub(crate) fn output(command: &mut Command) -> Output {
    command.output().expect("the binary runs")
}

/// Standard error as text.
pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// Standard output as text.
pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// A running server. Killed on drop.
pub(crate) struct Server {
    child: Child,
    /// What it printed up to and including `ready`.
    pub(crate) startup: String,
    _stdout: BufReader<ChildStdout>,
}

impl Server {
    /// Starts on a free port over `data`, with two workers and a small store, and waits until it is ready.
    pub(crate) fn start(data: &Path) -> Self {
        Self::start_with(data, &[], &[])
    }

    /// The same with further flags (later ones win) and environment.
    pub(crate) fn start_with(data: &Path, flags: &[&str], env: &[(&str, &str)]) -> Self {
        let mut command = quintet(&["serve", "--data-dir"]);
        command.arg(data);
        if !flags.contains(&"--blocks-addr") && env.iter().all(|(name, _)| *name != "QUINTET_BLOCKS_ADDR") {
            command.args(["--blocks-addr", "127.0.0.1:0"]);
        }
        command.args(flags).envs(env.iter().copied());
        Self::spawn(&mut command)
    }

    /// Starts a command that serves, and waits until it says that it is ready.
    pub(crate) fn spawn(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::inherit())
            .spawn()
            .expect("the binary starts");
        let stdout = BufReader::new(child.stdout.take().expect("piped"));
        let (sender, receiver) = mpsc::sync_channel(1);
        thread::spawn(move || {
            let mut stdout = stdout;
            let mut startup = String::new();
            loop {
                let before = startup.len();
                match stdout.read_line(&mut startup) {
                    Ok(count) if count > 0 && !startup[before..].starts_with("ready") => {}
                    _ => break,
                }
            }
            let _gone = sender.send((startup, stdout));
        });
        let Ok((startup, stdout)) = receiver.recv_timeout(PATIENCE) else {
            let _already_dead = child.kill();
            panic!("no start-up line within {PATIENCE:?}");
        };
        let server = Self {
            child,
            startup,
            _stdout: stdout,
        };
        assert!(
            server.startup.contains("\nready"),
            "start-up ended early:\n{}",
            server.startup
        );
        server
    }

    /// Where the block store's port listens, as the start-up line names it.
    pub(crate) fn blocks(&self) -> SocketAddr {
        self.address("blocks")
    }

    /// Where the API port listens.
    pub(crate) fn api(&self) -> SocketAddr {
        self.address("api ")
    }

    /// Where the Redis port listens.
    pub(crate) fn resp(&self) -> SocketAddr {
        self.address("kv ")
    }

    /// Where the tree's port listens.
    pub(crate) fn tree(&self) -> SocketAddr {
        self.address("tree ")
    }

    fn address(&self, part: &str) -> SocketAddr {
        self.startup
            .lines()
            .find_map(|line| line.strip_prefix(part))
            .and_then(|line| line.split_whitespace().next())
            .map(|url| url.trim_start_matches("http://"))
            .and_then(|address| address.parse().ok())
            .unwrap_or_else(|| panic!("no {part} line in:\n{}", self.startup))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal by name, e.g. `TERM`.
    pub(crate) fn signal(&self, name: &str) {
        let status = Command::new("kill")
            .args([&format!("-{name}"), &self.pid().to_string()])
            .status()
            .expect("kill runs");
        assert!(status.success(), "kill -{name}");
    }

    /// Waits for the end.
    pub(crate) fn wait(&mut self) -> ExitStatus {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.child.try_wait().expect("a child of ours") {
                return status;
            }
            assert!(
                Instant::now() < deadline,
                "the server did not end within {PATIENCE:?}"
            );
            thread::park_timeout(Duration::from_millis(2));
        }
    }

    /// Waits for an end that was asked for, and expects success.
    pub(crate) fn ended(mut self) {
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "after a signal: {status}");
    }

    /// SIGTERM, wait, and expect success.
    pub(crate) fn stop(mut self) {
        self.signal("TERM");
        let status = self.wait();
        assert_eq!(status.code(), Some(0), "after SIGTERM: {status}");
    }

    /// SIGKILL, and wait for the kernel to have closed everything.
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("a child of ours");
        self.wait();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _already_dead = self.child.kill();
        let _reaped = self.child.wait();
    }
}
