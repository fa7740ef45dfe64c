//! What a socket that sends from the page cache without a copy gives its reader when the file is written over meanwhile.
//!
//! The file is changed only after the receiving side has acknowledged every byte, and before it has read one.

use anyhow::{Context, ensure};
use std::{
    fs::{self, OpenOptions},
    io::Read,
    net::{SocketAddr, TcpListener, TcpStream},
    os::unix::fs::FileExt,
    path::Path,
    thread,
    time::{Duration, Instant},
};

const BLOCK_BYTES: usize = 64 << 10;
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends a block of the file with `sendfile`, waits for the acknowledgement, overwrites the block, and says what is read.
///
/// # Errors
/// When a system call fails, or the acknowledgement does not come.
pub(super) fn late_change(path: &Path) -> anyhow::Result<String> {
    let file = OpenOptions::new().read(true).write(true).open(path)?;
    file.write_all_at(&[b'a'; BLOCK_BYTES], 0)?;
    let listener = TcpListener::bind("127.0.0.1:0")?;
    let mut reader = TcpStream::connect(listener.local_addr()?)?;
    let (sender, _) = listener.accept()?;
    let (mut offset, mut sent) = (0, 0);
    while sent < BLOCK_BYTES {
        sent += rustix::fs::sendfile(&sender, &file, Some(&mut offset), BLOCK_BYTES - sent)?;
    }
    let deadline = Instant::now() + PATIENCE;
    while unacknowledged_bytes(sender.local_addr()?, sender.peer_addr()?)? > 0 {
        ensure!(Instant::now() < deadline, "the receiver does not acknowledge");
        thread::yield_now();
    }
    file.write_all_at(&[b'b'; BLOCK_BYTES], 0)?;
    let mut got = vec![0; BLOCK_BYTES];
    reader.read_exact(&mut got)?;
    let changed = got.iter().filter(|byte| **byte == b'b').count();
    Ok(format!(
        "Sent by sendfile, acknowledged, then overwritten in the file: the receiver reads {changed} of {BLOCK_BYTES} bytes \
         of what came later."
    ))
}

/// The socket's send queue as the kernel shows it.
fn unacknowledged_bytes(local: SocketAddr, peer: SocketAddr) -> anyhow::Result<u64> {
    let ports = [local, peer].map(|address| format!(":{:04X}", address.port()));
    let table = fs::read_to_string("/proc/net/tcp")?;
    for line in table.lines() {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let [_, from, to, _, queues, ..] = fields[..] else {
            continue;
        };
        if from.ends_with(&ports[0]) && to.ends_with(&ports[1]) {
            let (unsent, _) = queues.split_once(':').context("no queues")?;
            return Ok(u64::from_str_radix(unsent, 16)?);
        }
    }
    anyhow::bail!("the kernel does not list the connection")
}
