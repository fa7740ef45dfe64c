//! Durable records per second at several batch sizes, beside the bare minimum on the same disk in the same run: append
//! the same bytes to a preallocated file and fdatasync.
//!
//! `cargo run --release -p quintet-log --example log_throughput -- DIRECTORY [SECONDS]`
#![expect(clippy::print_stdout, reason = "the figures are what it is for")]

use quintet_core::{Commit, Result, Seq, SystemClock};
use quintet_log::{Directory, Log, LogConfig, OpenMode, OsDirectory};
use std::{
    collections::VecDeque,
    sync::Arc,
    time::{Duration, Instant},
};

const RECORD: [u8; 48] = [0x5a; 48];
const RAW_FILE_BYTES: u64 = 64 << 20;

/// Appends and syncs `batch` records at a time, with nothing around it.
fn raw(directory: &OsDirectory, batch: usize, time: Duration) -> Result<f64> {
    let file = directory.open("raw", OpenMode::Create)?;
    let zeros = vec![0; 1 << 20];
    for at in (0..RAW_FILE_BYTES).step_by(zeros.len()) {
        file.write_at(&zeros, at)?;
    }
    file.sync_data()?;
    let group = vec![0x5a; RECORD.len() * batch];
    let (begun, mut records, mut offset) = (Instant::now(), 0, 0);
    while begun.elapsed() < time {
        file.write_at(&group, offset)?;
        file.sync_data()?;
        records += batch;
        offset = (offset + group.len() as u64) % (RAW_FILE_BYTES - group.len() as u64);
    }
    let rate = records as f64 / begun.elapsed().as_secs_f64();
    directory.remove("raw")?;
    Ok(rate)
}

/// One thread that appends a batch, commits, and goes on while at most `depth` commits are pending.
fn log(directory: &Arc<OsDirectory>, batch: usize, depth: usize, time: Duration) -> Result<f64> {
    let clock = Arc::new(SystemClock);
    let (log, recovery) = Log::open(
        directory.clone(),
        LogConfig::default(),
        clock,
        Seq::ZERO,
        &mut |_, _| Ok(()),
    )?;
    let group = vec![&RECORD[..]; batch];
    let mut pending = VecDeque::new();
    let begun = Instant::now();
    while begun.elapsed() < time {
        log.append_all(&group)?;
        if depth > 1
            && let Commit::Pending(seq) = log.commit()?
        {
            pending.push_back(seq);
        } else if depth == 1 {
            pending.push_back(log.last());
        }
        while pending.len() >= depth {
            if let Some(seq) = pending.pop_front() {
                log.wait_durable(seq, None)?;
            }
        }
        log.truncate(Seq(log.synced().0.saturating_sub(1_000_000)))?;
    }
    log.sync()?;
    let records = log.synced().0 - recovery.last.0;
    let rate = records as f64 / begun.elapsed().as_secs_f64();
    log.close()?;
    Ok(rate)
}

fn main() -> Result<()> {
    let mut arguments = std::env::args().skip(1);
    let path = arguments
        .next()
        .unwrap_or_else(|| "target/log-throughput".to_owned());
    let seconds = arguments.next().and_then(|text| text.parse().ok()).unwrap_or(2.0);
    let time = Duration::from_secs_f64(seconds);
    println!("durable 48-byte records/s in {path}, {seconds} s each");
    println!(
        "{:>6} {:>12} {:>12} {:>6} {:>12} {:>6}",
        "batch", "raw", "log, depth 1", "", "log, depth 4", ""
    );
    for batch in [1, 64, 1024] {
        let directory = Arc::new(OsDirectory::open(&path)?);
        let raw = raw(&directory, batch, time)?;
        for name in directory.list()? {
            directory.remove(&name)?;
        }
        let one = log(&directory, batch, 1, time)?;
        for name in directory.list()? {
            directory.remove(&name)?;
        }
        let four = log(&directory, batch, 4, time)?;
        println!(
            "{batch:>6} {raw:>12.0} {one:>12.0} {:>5.0}% {four:>12.0} {:>5.0}%",
            100.0 * one / raw,
            100.0 * four / raw
        );
    }
    for name in OsDirectory::open(&path)?.list()? {
        OsDirectory::open(&path)?.remove(&name)?;
    }
    Ok(())
}
