//! Ways to move blocks between memory, file and socket: what docs/adr/0015 decides by.
//!
//! Blocks are written and read by system calls and by an io_uring with a registered file and registered page-aligned
//! buffers, all of a batch in one submission; through the page cache and past it. One thread on the first core. Processor
//! time is the process's, workers of the kernel included. The last line shows what sending without a copy would risk.

mod calls;
mod ring;
mod socket;

use self::{calls::Calls, ring::Ring};
use super::Effort;
use crate::measure::{Samples, Subject, alternate, table};
use anyhow::Context;
use rustix::fs::OFlags;
use std::{
    fs::{File, OpenOptions},
    io,
    os::unix::fs::{FileExt, OpenOptionsExt},
    path::Path,
    time::{Duration, Instant},
};

/// How large a file is written over and over: more than a processor's cache holds.
const FILE_BYTES: u64 = 256 << 20;
const SMOKE_FILE_BYTES: u64 = 8 << 20;

/// What is done with a batch of blocks.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Job {
    Write,
    /// Write, then flush the file.
    Flush,
    Read,
}

/// The size of a block, and how many go together.
const BATCHES: [(usize, usize); 3] = [(4 << 10, 64), (64 << 10, 16), (512 << 10, 8)];
const JOBS: [(&str, Job); 3] = [
    ("write", Job::Write),
    ("write and flush", Job::Flush),
    ("read", Job::Read),
];

/// The title of every table begins so.
pub(super) const TITLE: &str = "Ways to";

/// One way to move a batch.
trait Way {
    /// Moves blocks of `len` bytes at `offsets` and waits for all of them.
    fn go(&mut self, job: Job, len: usize, offsets: &[u64]) -> io::Result<()>;
}

/// Measures and renders the tables; files live in a directory below `dir`.
///
/// # Errors
/// When the system refuses a way that it should have.
pub(super) fn run(effort: &Effort, dir: &Path) -> anyhow::Result<String> {
    let home = tempfile::tempdir_in(dir)?;
    let path = home.path().join("blocks");
    let smoke = effort.repetitions == 1;
    let file_bytes = if smoke { SMOKE_FILE_BYTES } else { FILE_BYTES };
    let cached = prepare(&path, file_bytes)?;
    let direct = OpenOptions::new()
        .read(true)
        .write(true)
        .custom_flags(OFlags::DIRECT.bits().cast_signed())
        .open(&path)
        .context("opening past the page cache")?;
    let largest = BATCHES
        .map(|(len, count)| len * count)
        .into_iter()
        .max()
        .unwrap_or_default();
    let mut parts = Vec::new();
    for (name, job) in JOBS {
        for (len, count) in BATCHES {
            let mut calls = Calls::new(cached.try_clone()?, largest);
            let mut ring = Ring::new(cached.try_clone()?, largest)?;
            let mut past = Ring::new(direct.try_clone()?, largest)?;
            let ways: [(&'static str, &mut dyn Way); 3] = [
                ("system calls, page cache", &mut calls),
                ("io_uring, page cache", &mut ring),
                ("io_uring, O_DIRECT", &mut past),
            ];
            let rounds = Rounds {
                job,
                len,
                count,
                file_bytes,
                window: effort.window / 3,
            };
            let mut subjects = Vec::new();
            for (name, way) in ways {
                subjects.push(Subject::several(name, move || rounds.measure(way)));
            }
            let samples = alternate(subjects, effort.repetitions);
            let title = format!("{TITLE} {name} {} KiB, {count} together", len >> 10);
            for (figure, unit) in ["µs of processor each", "µs each"].into_iter().enumerate() {
                let of: Vec<Samples> = samples.iter().map(|row| row.figure(figure)).collect();
                parts.push(table(&title, unit, &of));
            }
        }
    }
    parts.push(socket::late_change(&path)?);
    Ok(parts.join("\n\n"))
}

/// A file whose every byte was written once, so that all ways write over it.
fn prepare(path: &Path, file_bytes: u64) -> anyhow::Result<File> {
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create_new(true)
        .open(path)?;
    let piece = super::http::filler(1 << 20);
    for offset in (0..file_bytes).step_by(piece.len()) {
        file.write_all_at(&piece, offset)?;
    }
    file.sync_all()?;
    Ok(file)
}

/// Batches one after the other, through the file and again from its start.
#[derive(Clone, Copy)]
struct Rounds {
    job: Job,
    len: usize,
    count: usize,
    file_bytes: u64,
    window: Duration,
}

impl Rounds {
    /// Microseconds a block: of the processor, and of the clock.
    fn measure(self, way: &mut dyn Way) -> Vec<f64> {
        self.try_measure(way)
            .unwrap_or_else(|error| panic!("a way failed under the bench: {error}"))
    }

    fn try_measure(self, way: &mut dyn Way) -> io::Result<Vec<f64>> {
        crate::machine::pin_to(0);
        let (start, cpu) = (Instant::now(), processor_time());
        let (mut at, mut blocks) = (0, 0_u64);
        let mut offsets = Vec::with_capacity(self.count);
        while start.elapsed() < self.window {
            offsets.clear();
            for _ in 0..self.count {
                offsets.push(at);
                at = (at + self.len as u64) % self.file_bytes;
            }
            way.go(self.job, self.len, &offsets)?;
            blocks += self.count as u64;
        }
        let each = |time: Duration| time.as_secs_f64() * 1e6 / blocks as f64;
        Ok(vec![
            each(processor_time().saturating_sub(cpu)),
            each(start.elapsed()),
        ])
    }
}

/// What all threads of this process have used.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        time.tv_sec.unsigned_abs(),
        u32::try_from(time.tv_nsec).unwrap_or(0),
    )
}
