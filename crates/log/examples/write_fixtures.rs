//! Writes the small log and snapshot that the tests keep for each format version. Only for a new version: files of a
//! released one are never written again.
//!
//! `cargo run -p quintet-log --example write_fixtures -- crates/log/tests/fixtures/vN`

use quintet_core::{Error, ErrorKind, Result, Seq, SystemClock};
use quintet_log::{Log, LogConfig, OsDirectory, snapshot};
use std::sync::Arc;

fn main() -> Result<()> {
    let path = std::env::args()
        .nth(1)
        .ok_or_else(|| Error::new(ErrorKind::InvalidInput, "the directory is missing"))?;
    let directory = Arc::new(OsDirectory::open(path)?);
    let config = LogConfig {
        segment_bytes: 4096,
        max_record_bytes: 1000,
        max_group_bytes: 1500,
        ..LogConfig::default()
    };
    let clock = Arc::new(SystemClock);
    let (log, _) = Log::open(directory.clone(), config, clock, Seq::ZERO, &mut |_, _| Ok(()))?;
    log.append_all(&[b"first", b""])?;
    log.sync()?;
    log.append_all(&[b"\x00\xff", &[7; 300]])?;
    log.close()?;
    snapshot::write(&*directory, "state", Seq(2), |sink| {
        sink.put(b"one")?;
        sink.put(b"")?;
        sink.put(&[9; 100])
    })
}
