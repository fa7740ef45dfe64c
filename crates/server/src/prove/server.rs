//! The server under proof: this program again, in a child process that is killed with SIGKILL, never asked.

use crate::{
    cli::{ProveArgs, Proven},
    failure::Failure,
};
use quintet_core::{Clock, SystemClock};
use std::{
    env,
    io::{BufRead, BufReader, Read},
    net::SocketAddr,
    process::{self, Command, Stdio},
    time::Duration,
};

/// Where the child's ports are.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Addresses {
    pub(super) api: Option<SocketAddr>,
    pub(super) resp: Option<SocketAddr>,
    pub(super) blocks: Option<SocketAddr>,
    pub(super) tree: Option<SocketAddr>,
}

/// A running server. Killed when dropped.
pub(super) struct Child {
    process: process::Child,
    pub(super) addresses: Addresses,
    /// From its start to its readiness.
    pub(super) took: Duration,
}

impl Child {
    /// Starts it with the one engine on free ports, and waits until it is ready.
    pub(super) fn start(args: &ProveArgs) -> Result<Self, Failure> {
        let cannot = |error: std::io::Error| Failure::new(format!("cannot start a server: {error}"));
        let began = SystemClock.now();
        let mut command = Command::new(env::current_exe().map_err(cannot)?);
        for (name, _) in env::vars_os() {
            if name.to_string_lossy().starts_with("QUINTET_") {
                command.env_remove(name);
            }
        }
        let others = match args.engine {
            Proven::Blocks => "kv,vectors,stm,tree",
            Proven::Kv => "blocks,vectors,stm,tree",
            Proven::Vectors => "blocks,kv,stm,tree",
            Proven::Stm => "blocks,kv,vectors,tree",
            Proven::Tree => "blocks,kv,vectors,stm",
        };
        command.args([
            "serve",
            "--without",
            others,
            "--durability",
            args.durability.as_str(),
        ]);
        for port in ["--http-addr", "--resp-addr", "--blocks-addr", "--tree-addr"] {
            command.args([port, "127.0.0.1:0"]);
        }
        command.arg("--data-dir").arg(&args.data_dir);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        let process = command.spawn().map_err(cannot)?;
        let mut child = Self {
            process,
            addresses: Addresses::default(),
            took: Duration::ZERO,
        };
        child.read_start()?;
        child.took = SystemClock.now().saturating_duration_since(began);
        Ok(child)
    }

    /// Reads the start-up lines up to `ready`.
    fn read_start(&mut self) -> Result<(), Failure> {
        let stdout = self.process.stdout.take();
        let lines = stdout
            .into_iter()
            .flat_map(|stdout| BufReader::new(stdout).lines());
        for line in lines.map_while(Result::ok) {
            let mut words = line.split_whitespace();
            let (name, address) = (words.next(), words.next());
            let address = address.and_then(|text| text.trim_start_matches("http://").parse().ok());
            match name {
                Some("api") => self.addresses.api = address,
                Some("kv") => self.addresses.resp = address,
                Some("blocks") => self.addresses.blocks = address,
                Some("tree") => self.addresses.tree = address,
                Some("ready") => return Ok(()),
                _ => {}
            }
        }
        let mut said = String::new();
        if let Some(stderr) = &mut self.process.stderr {
            let _what_there_is = stderr.read_to_string(&mut said);
        }
        Err(Failure::new(format!("the server did not start: {}", said.trim())))
    }

    /// SIGKILL, and waits until the kernel has closed everything.
    pub(super) fn kill(mut self) -> Result<(), Failure> {
        let killed = self.process.kill().and_then(|()| self.process.wait());
        killed
            .map(drop)
            .map_err(|error| Failure::new(format!("cannot kill the server: {error}")))
    }

    /// SIGTERM, and expects a clean end.
    pub(super) fn stop(mut self) -> Result<(), Failure> {
        let pid = i32::try_from(self.process.id())
            .ok()
            .and_then(rustix::process::Pid::from_raw);
        let asked = pid.map_or(Ok(()), |pid| {
            rustix::process::kill_process(pid, rustix::process::Signal::TERM)
        });
        let ended = asked
            .map_err(std::io::Error::from)
            .and_then(|()| self.process.wait());
        match ended {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Failure::new(format!(
                "the server ended with {status} when it was asked to stop"
            ))),
            Err(error) => Err(Failure::new(format!("cannot stop the server: {error}"))),
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        let _already_ended = self.process.kill();
        let _reaped = self.process.wait();
    }
}
