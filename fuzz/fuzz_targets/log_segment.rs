//! Damages a segment of a log and reads it: what is read is a prefix of what was written, or an error says where the
//! damage is.
//!
//! The checksums would stop nearly every random file at its first sector, so the input is a list of edits to a good one.
//! An edit changes at most three neighbouring bytes of what one checksum covers, which CRC-32 always detects.
#![no_main]

use libfuzzer_sys::fuzz_target;
use quintet_core::{Durability, ErrorKind, Seq, SystemClock};
use quintet_log::{Directory as _, Log, LogConfig, MemDirectory, read};
use std::sync::{Arc, OnceLock};

const RECORDS: u64 = 24;

/// What record `seq` holds: of every length, so that padding of every length is met.
fn record(seq: u64) -> Vec<u8> {
    (0..seq * 7 % 61).map(|at| (seq * 31 + at) as u8).collect()
}

/// A closed log, its segment's name and bytes. Made once.
fn written() -> &'static (String, Vec<u8>) {
    static WRITTEN: OnceLock<(String, Vec<u8>)> = OnceLock::new();
    WRITTEN.get_or_init(|| {
        let directory = Arc::new(MemDirectory::new());
        let config = LogConfig {
            durability: Durability::Relaxed,
            segment_bytes: 1 << 13,
            max_record_bytes: 1 << 8,
            max_group_bytes: 1 << 9,
            ..LogConfig::default()
        };
        let clock = Arc::new(SystemClock);
        let (log, _) =
            Log::open(directory.clone(), config, clock, Seq::ZERO, &mut |_, _| Ok(())).expect("opens");
        for seq in 1..=RECORDS {
            log.append(&record(seq)).expect("is appended");
        }
        log.close().expect("closes");
        let names = directory.list().expect("can be listed");
        let name = names
            .into_iter()
            .find(|name| name.ends_with(".log"))
            .expect("a segment");
        let bytes = directory.bytes(&name).expect("has bytes");
        (name, bytes)
    })
}

fuzz_target!(|data: &[u8]| {
    let (name, good) = written();
    let mut bytes = good.clone();
    if let [low, high, mask @ ..] = data
        && let Some(at) = usize::from(u16::from_le_bytes([*low, *high])).checked_rem(bytes.len())
    {
        for (byte, mask) in bytes[at..].iter_mut().zip(mask.iter().take(3)) {
            *byte ^= mask;
        }
        // A fourth byte cuts the file as well.
        if let Some(cut) = mask.get(3) {
            bytes.truncate(good.len() * usize::from(*cut) / 255);
        }
    }
    let directory = MemDirectory::new();
    directory.insert(name, bytes);
    let mut next = 1;
    let outcome = read(&directory, Seq::ZERO, &mut |seq, payload| {
        assert_eq!(seq, Seq(next), "a record was skipped or repeated");
        assert_eq!(payload, record(next), "record {next} is not what was written");
        next += 1;
        Ok(())
    });
    match outcome {
        Ok(contents) => assert_eq!(contents.records, next - 1),
        Err(error) => assert!(
            matches!(error.kind(), ErrorKind::Corrupted | ErrorKind::Unsupported),
            "damage is reported as {error}"
        ),
    }
});
