//! What people see while a start takes long: which engines are waited for and how far reading what they kept is.
//!
//! A bar where standard error is a terminal; elsewhere a line of the log after two seconds and then one in half a minute. How far it is
//! is an estimate: the bytes that this process has read so far, of those in the logs and snapshots that it found.

use crate::{bar::Bar, size::ByteSize};
use rustix::{fs::SeekFrom, io::Errno};
use std::{
    fs, io,
    path::Path,
    sync::mpsc::{self, RecvTimeoutError},
    thread,
    time::Duration,
};

/// How long a start may be silent.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often the bar moves.
const PACE: Duration = Duration::from_millis(250);
/// Looks between two lines where there is no bar.
const LOOKS: u32 = 120;

/// Runs `work`, and tells who is waited for as long as it takes long.
pub(super) fn patiently<R>(
    data: &Path,
    waiting: impl Fn() -> Vec<&'static str> + Sync,
    work: impl FnOnce() -> R,
) -> R {
    let (done, is_done) = mpsc::channel::<()>();
    thread::scope(|scope| {
        let waiting = &waiting;
        scope.spawn(move || {
            let (total, before) = (kept_bytes(data), read_bytes());
            if is_done.recv_timeout(PATIENCE) != Err(RecvTimeoutError::Timeout) {
                return;
            }
            let bar = Bar::bytes("recovering");
            for look in 0_u32.. {
                let read = read_bytes().saturating_sub(before).min(total);
                let names = waiting().join(", ");
                bar.show_bytes(read, total);
                bar.say(format!("recovering {names}"));
                if bar.is_hidden() && look % LOOKS == 0 {
                    let (read, total) = (ByteSize(read), ByteSize(total));
                    let (read, total) = (read.to_string(), total.to_string());
                    tracing::warn!(engines = names, read, total, "recovering takes long");
                }
                if is_done.recv_timeout(PACE) != Err(RecvTimeoutError::Timeout) {
                    return;
                }
            }
        });
        let result = work();
        drop(done);
        result
    })
}

/// The bytes of a file that are not in holes: what was reserved and never written is not read.
fn written_bytes(path: &Path) -> io::Result<u64> {
    let file = fs::File::open(path)?;
    let (mut written, mut at) = (0, 0);
    loop {
        let data = match rustix::fs::seek(&file, SeekFrom::Data(at)) {
            Err(Errno::NXIO) => return Ok(written),
            found => found?,
        };
        at = rustix::fs::seek(&file, SeekFrom::Hole(data))?;
        written += at.saturating_sub(data);
    }
}

/// The bytes of logs and snapshots below a folder.
fn kept_bytes(folder: &Path) -> u64 {
    let Ok(entries) = fs::read_dir(folder) else {
        return 0;
    };
    let sizes = entries.filter_map(Result::ok).map(|entry| {
        let path = entry.path();
        let is_read = path
            .extension()
            .is_some_and(|extension| extension == "log" || extension == "snapshot");
        match entry.metadata() {
            Ok(found) if found.is_dir() => kept_bytes(&path),
            Ok(found) if is_read => written_bytes(&path).unwrap_or(found.len()),
            _ => 0,
        }
    });
    sizes.sum()
}

/// What this process has read so far, as far as the system tells.
fn read_bytes() -> u64 {
    let counts = fs::read_to_string("/proc/self/io").unwrap_or_default();
    let read = counts.lines().find_map(|line| line.strip_prefix("rchar: "));
    read.and_then(|count| count.parse().ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logs_and_snapshots_count_wherever_they_lie_and_reading_them_shows() {
        let dir = tempfile::tempdir().expect("a directory");
        let inner = dir.path().join("stm/shop");
        fs::create_dir_all(&inner).expect("made");
        for (name, len) in [("segment-1.log", 4000), ("context.snapshot", 300), ("LOCK", 7)] {
            fs::write(inner.join(name), vec![1; len]).expect("written");
        }
        assert_eq!(kept_bytes(dir.path()), 4300);
        let spare = fs::File::create(inner.join("segment-2.log")).expect("made");
        spare.set_len(1 << 20).expect("a hole");
        assert_eq!(kept_bytes(dir.path()), 4300, "what was never written is not read");
        let before = read_bytes();
        fs::read(inner.join("segment-1.log")).expect("read");
        assert!(read_bytes() >= before + 4000);
        assert_eq!(patiently(dir.path(), Vec::new, || 7), 7);
    }
}
