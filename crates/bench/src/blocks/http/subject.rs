//! The servers that are compared, each a process of its own on the first core: Quintet's block port on either backend,
//! nginx and lighttpd with static files and WebDAV, tuned for this (open files cached, no access log, no limit on requests
//! a connection).

use super::{Size, filler, load};
use anyhow::{Context, bail, ensure};
use quintet_blockstore::Digest;
use quintet_core::Durability;
use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    thread,
    time::{Duration, Instant},
};

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Epoll(Durability),
    Uring(Durability),
    Nginx,
    Lighttpd,
}

impl Kind {
    pub(super) fn name(self) -> String {
        match self {
            Self::Epoll(durability) => format!("quintet, epoll, {}", durability.as_str()),
            Self::Uring(durability) => format!("quintet, io_uring, {}", durability.as_str()),
            Self::Nginx => "nginx".to_owned(),
            Self::Lighttpd => "lighttpd".to_owned(),
        }
    }

    /// Why this server cannot be measured here.
    pub(super) fn missing(self) -> Option<String> {
        let program = match self {
            Self::Epoll(_) => return None,
            Self::Uring(_) => {
                return quintet_net::Backend::Uring
                    .available()
                    .err()
                    .map(|error| error.to_string());
            }
            Self::Nginx => "nginx",
            Self::Lighttpd => "lighttpd",
        };
        let found = Command::new(program)
            .arg("-v")
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        found.err().map(|_| "not installed".to_owned())
    }

    pub(super) fn is_ours(self) -> bool {
        matches!(self, Self::Epoll(_) | Self::Uring(_))
    }
}

/// A server that runs. Killed when dropped; its files go with their directory.
pub(super) struct Server {
    child: Child,
    pub(super) address: SocketAddr,
    kind: Kind,
    home: tempfile::TempDir,
}

impl Server {
    /// Starts a server with an empty directory below `dir`, on the first core.
    pub(super) fn start(kind: Kind, dir: &Path) -> anyhow::Result<Self> {
        let home = tempfile::tempdir_in(dir)?;
        let root = home.path().canonicalize()?;
        crate::machine::pin_to(0);
        let started = match kind {
            Kind::Epoll(durability) => ours(&root, "epoll", durability),
            Kind::Uring(durability) => ours(&root, "uring", durability),
            Kind::Nginx => rival(&root, nginx),
            Kind::Lighttpd => rival(&root, lighttpd),
        };
        crate::machine::pin_to(1);
        let (child, address) = started.with_context(|| format!("starting {}", kind.name()))?;
        let server = Self {
            child,
            address,
            kind,
            home,
        };
        server.check()?;
        Ok(server)
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What is stored is what comes back.
    fn check(&self) -> anyhow::Result<()> {
        let body = filler(70_000);
        let path = match self.kind {
            Kind::Nginx | Kind::Lighttpd => "/dav/check",
            _ => "/block",
        };
        let answer = load::call(self.address, "PUT", path, &body)?;
        let path = match self.kind {
            Kind::Nginx | Kind::Lighttpd => path.to_owned(),
            _ => format!("/{}", String::from_utf8(answer)?),
        };
        let back = load::call(self.address, "GET", &path, b"")?;
        ensure!(
            back == body,
            "{} does not give back what it took",
            self.kind.name()
        );
        Ok(())
    }

    /// Stores blocks to read; answers their paths.
    pub(super) fn preload(&self, size: Size, count: usize) -> anyhow::Result<Vec<String>> {
        let mut paths = Vec::new();
        let mut body = filler(size.bytes());
        for number in 0..count as u64 {
            body[..8].copy_from_slice(&number.to_le_bytes());
            let path = match self.kind {
                Kind::Nginx | Kind::Lighttpd => format!("/dav/p{number}"),
                _ => "/block".to_owned(),
            };
            load::call(self.address, "PUT", &path, &body)?;
            paths.push(if self.kind.is_ours() {
                format!("/{}", Digest::of(&body))
            } else {
                path
            });
        }
        Ok(paths)
    }

    /// Where to PUT, and whether each PUT needs a name.
    pub(super) fn put_path(&self) -> (&'static str, bool) {
        if self.kind.is_ours() {
            ("/block", false)
        } else {
            ("/dav/", true)
        }
    }

    /// Flushes of log and data file since the start, and records in them; 0 for a rival.
    pub(super) fn flushes(&self) -> (u64, u64) {
        let read = || -> Option<(u64, u64)> {
            let text = String::from_utf8(load::call(self.address, "GET", "/metrics", b"").ok()?).ok()?;
            let value = |name: &str| -> Option<u64> {
                let line = text.lines().find(|line| line.starts_with(name))?;
                line.rsplit_once(' ')?.1.parse().ok()
            };
            Some((
                value("quintet_blocks_log_syncs_total ")?,
                value("quintet_blocks_puts_total")?,
            ))
        };
        if self.kind.is_ours() {
            read().unwrap_or_default()
        } else {
            (0, 0)
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // A server that ended already leaves nothing to kill.
        let _gone = self.child.kill();
        let _status = self.child.wait();
        let _still_there = fs::remove_dir_all(self.home.path());
    }
}

/// This program again, as a server.
fn ours(root: &Path, backend: &str, durability: Durability) -> anyhow::Result<(Child, SocketAddr)> {
    let mut child = Command::new(std::env::current_exe()?)
        .args([
            "serve-blocks",
            "--backend",
            backend,
            "--durability",
            durability.as_str(),
        ])
        .arg("--dir")
        .arg(root)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let output = child.stdout.take().context("no output")?;
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    let address = line
        .trim()
        .parse()
        .with_context(|| format!("the server said {line:?}"))?;
    Ok((child, address))
}

type Configure = fn(&Path, u16) -> anyhow::Result<Command>;

fn rival(root: &Path, configure: Configure) -> anyhow::Result<(Child, SocketAddr)> {
    for folder in ["www/dav", "tmp"] {
        fs::create_dir_all(root.join(folder))?;
    }
    // Free now; nobody else on this machine asks for ports in the meantime, as far as can be known.
    let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
    let mut child = configure(root, port)?
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()?;
    let address = SocketAddr::from(([127, 0, 0, 1], port));
    let deadline = Instant::now() + Duration::from_secs(10);
    while TcpStream::connect(address).is_err() {
        if child.try_wait()?.is_some() || Instant::now() > deadline {
            let _ended = child.kill();
            let output = child.wait_with_output()?;
            bail!("{}", String::from_utf8_lossy(&output.stderr).trim());
        }
        thread::park_timeout(Duration::from_millis(5));
    }
    Ok((child, address))
}

fn write_config(root: &Path, name: &str, text: &str) -> anyhow::Result<std::path::PathBuf> {
    let path = root.join(name);
    fs::File::create(&path)?.write_all(text.as_bytes())?;
    Ok(path)
}

fn nginx(root: &Path, port: u16) -> anyhow::Result<Command> {
    let at = root.display();
    let text = format!(
        "daemon off;\nmaster_process off;\nworker_processes 1;\nworker_rlimit_nofile 32768;\npid {at}/pid;\nerror_log stderr error;\n\
         events {{ worker_connections 1024; }}\n\
         http {{\n access_log off;\n sendfile on;\n tcp_nopush on;\n keepalive_requests 1000000000;\n \
         keepalive_timeout 1h;\n client_max_body_size 1m;\n client_body_temp_path {at}/tmp/body;\n \
         proxy_temp_path {at}/tmp/proxy;\n fastcgi_temp_path {at}/tmp/fastcgi;\n uwsgi_temp_path {at}/tmp/uwsgi;\n \
         scgi_temp_path {at}/tmp/scgi;\n open_file_cache max=20000 inactive=1h;\n open_file_cache_valid 1h;\n \
         server {{\n  listen 127.0.0.1:{port};\n  root {at}/www;\n  location /dav/ {{ dav_methods PUT DELETE; }}\n }}\n}}\n"
    );
    let config = write_config(root, "nginx.conf", &text)?;
    let mut command = Command::new("nginx");
    command.arg("-p").arg(root).arg("-c").arg(config);
    command.arg("-e").arg("stderr");
    Ok(command)
}

fn lighttpd(root: &Path, port: u16) -> anyhow::Result<Command> {
    let at = root.display();
    let text = format!(
        "server.document-root = \"{at}/www\"\nserver.port = {port}\nserver.bind = \"127.0.0.1\"\n\
         server.modules = ( \"mod_webdav\" )\nserver.max-keep-alive-requests = 32767\n\
         server.max-keep-alive-idle = 3600\nserver.upload-dirs = ( \"{at}/tmp\" )\n\
         server.max-connections = 512\nserver.max-fds = 16384\n\
         $HTTP[\"url\"] =~ \"^/dav/\" {{ webdav.activate = \"enable\" }}\n"
    );
    let config = write_config(root, "lighttpd.conf", &text)?;
    let mut command = Command::new("lighttpd");
    command.arg("-D").arg("-f").arg(config);
    Ok(command)
}
