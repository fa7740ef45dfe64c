//! A plain file per block, without a server: what the file system alone allows. One thread on the first core.

use super::{Figures, Size, filler, load::Job};
use hdrhistogram::Histogram;
use std::{
    fs::{self, File},
    io::{Read, Write},
    path::Path,
    time::{Duration, Instant},
};

/// Writes a new file per block and gives it its name, as WebDAV does; with `flush` both the file and its directory reach
/// the disk first. Or reads one of `count` files.
pub(super) fn measure(
    job: Job,
    size: Size,
    flush: bool,
    count: usize,
    window: Duration,
    dir: &Path,
) -> anyhow::Result<Figures> {
    let home = tempfile::tempdir_in(dir)?;
    crate::machine::pin_to(0);
    let measured = run(job, size, flush, count, window, home.path());
    crate::machine::pin_to(1);
    measured
}

fn run(
    job: Job,
    size: Size,
    flush: bool,
    count: usize,
    window: Duration,
    home: &Path,
) -> anyhow::Result<Figures> {
    let folder = File::open(home)?;
    let mut body = filler(size.bytes());
    let mut write = |number: u64| -> anyhow::Result<()> {
        body[..8].copy_from_slice(&number.to_le_bytes());
        let unfinished = home.join("unfinished");
        let mut file = File::create(&unfinished)?;
        file.write_all(&body)?;
        if flush {
            file.sync_data()?;
        }
        fs::rename(&unfinished, home.join(format!("{number:x}")))?;
        if flush {
            folder.sync_all()?;
        }
        Ok(())
    };
    if job == Job::Get {
        (0..count as u64).try_for_each(&mut write)?;
    }
    let mut buffer = vec![0; size.bytes()];
    let mut times = Histogram::new(3)?;
    let (start, mut number) = (Instant::now(), 0_u64);
    while start.elapsed() < window {
        let begun = Instant::now();
        number += 1;
        match job {
            Job::Put => write(number)?,
            Job::Get => {
                let scattered = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 20;
                let mut file = File::open(home.join(format!("{:x}", scattered % count as u64)))?;
                file.read_exact(&mut buffer)?;
            }
        }
        times.record(begun.elapsed().as_nanos() as u64)?;
    }
    Ok(Figures::of(&times, start.elapsed(), size, 0, 0))
}
