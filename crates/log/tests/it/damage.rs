//! Damaged, cut and old files: never a wrong record, never a silent gap; format version 1 stays readable.

use crate::support::{Records, expect_run, open, record, small};
use quintet_core::{Durability, ErrorKind, Result, Seq};
use quintet_log::{Contents, Directory, FaultDirectory, LogConfig, MemDirectory, read};
use std::sync::Arc;

fn read_all(directory: &MemDirectory) -> Result<(Contents, Records)> {
    let mut records = Vec::new();
    let contents = read(directory, Seq::ZERO, &mut |seq, record| {
        records.push((seq, record.to_vec()));
        Ok(())
    })?;
    Ok((contents, records))
}

/// So many records, each synced on its own, as a killed process leaves them.
fn killed_after(count: u64, config: LogConfig) -> MemDirectory {
    let directory = MemDirectory::new();
    let (log, ..) = open(&directory, config, Seq::ZERO).unwrap();
    for number in 1..=count {
        log.append(&record(number)).unwrap();
        log.wait_durable(Seq(number), None).unwrap();
    }
    let killed = directory.fork();
    drop(log);
    killed
}

/// Three segments.
fn sample() -> MemDirectory {
    killed_after(60, small(Durability::Full))
}

#[test]
fn every_damaged_byte_is_reported_or_harmless() {
    let sample = sample();
    let (contents, records) = read_all(&sample).unwrap();
    expect_run(&records, 1, 60);
    assert_eq!((contents.last, contents.torn_tail_bytes), (Seq(60), 0));
    let names = sample.list().unwrap();
    let segments = names.iter().filter(|name| name.ends_with(".log")).count();
    assert!(segments >= 3, "{names:?}");
    let mut refused = 0;
    for name in &names {
        for at in (0..sample.bytes(name).unwrap().len()).step_by(3) {
            let damaged = sample.fork();
            let mut bytes = sample.bytes(name).unwrap();
            bytes[at] ^= 1 << (at % 8);
            damaged.insert(name, bytes);
            match read_all(&damaged) {
                Ok((_, records)) => {
                    // Only the very last group can be taken for the torn end.
                    let count = records.len() as u64;
                    assert!(count >= 59, "{name} byte {at}: {count} records without a word");
                    expect_run(&records, 1, count);
                }
                Err(error) => {
                    refused += 1;
                    assert_eq!(error.kind(), ErrorKind::Corrupted, "{error}");
                    assert!(
                        error.to_string().contains("segment-") && error.to_string().contains("at byte"),
                        "{error}"
                    );
                    let opened = open(&damaged, small(Durability::Full), Seq::ZERO);
                    assert_eq!(
                        opened.err().unwrap().kind(),
                        ErrorKind::Corrupted,
                        "opening refuses as reading does"
                    );
                }
            }
        }
    }
    assert!(refused > 2000, "only {refused} damages were reported");
}

#[test]
fn a_cut_file_is_a_torn_end_or_damage() {
    let sample = sample();
    let names: Vec<String> = sample
        .list()
        .unwrap()
        .into_iter()
        .filter(|name| name.ends_with(".log"))
        .collect();
    for (index, name) in names.iter().enumerate() {
        let bytes = sample.bytes(name).unwrap();
        for len in (0..bytes.len()).step_by(101) {
            let cut = sample.fork();
            cut.insert(name, bytes[..len].to_vec());
            match read_all(&cut) {
                Ok((_, records)) => {
                    expect_run(&records, 1, records.len() as u64);
                    assert!(
                        records.len() == 60 || index + 2 >= names.len(),
                        "{name} cut at {len}"
                    );
                }
                Err(error) => assert_eq!(error.kind(), ErrorKind::Corrupted),
            }
        }
    }
}

#[test]
fn a_newer_format_and_a_foreign_segment_are_refused() {
    let ours = sample();
    let name = ours.list().unwrap()[1].clone();
    let other = sample();
    let mixed = ours.fork();
    mixed.insert(&name, other.bytes(&name).unwrap());
    let error = read_all(&mixed).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupted);
    assert!(
        error.to_string().contains("does not belong to this log"),
        "{error}"
    );
    let newer = ours.fork();
    let mut bytes = ours.bytes(&name).unwrap();
    bytes[8] = 2;
    let crc = crc32fast::hash(&bytes[..60]);
    bytes[60..64].copy_from_slice(&crc.to_le_bytes());
    newer.insert(&name, bytes);
    assert_eq!(read_all(&newer).unwrap_err().kind(), ErrorKind::Unsupported);
}

#[test]
fn a_kill_without_a_power_cut_loses_nothing_written_and_a_later_power_cut_neither() {
    use quintet_log::CrashDirectory;
    let crash = CrashDirectory::new();
    let (log, ..) = open(&crash, small(Durability::Interval), Seq::ZERO).unwrap();
    log.append(&record(1)).unwrap();
    log.commit().unwrap();
    // The process is gone, its unsynced writes are in the kernel; the next one reads them there.
    let (again, recovery, records) = open(&crash, small(Durability::Interval), Seq::ZERO).unwrap();
    expect_run(&records, 1, 1);
    assert_eq!(recovery.last, Seq(1));
    for seed in 0..200 {
        let image = crash.image(crash.moments(), seed);
        let (_, _, records) = open(&image, small(Durability::Interval), Seq::ZERO).unwrap();
        expect_run(&records, 1, 1);
    }
    drop((log, again));
}

/// One large segment.
fn roomy() -> MemDirectory {
    let config = LogConfig {
        segment_bytes: 32 << 20,
        zero_fill: false,
        ..small(Durability::Full)
    };
    killed_after(200, config)
}

#[test]
fn what_was_reserved_and_never_written_is_not_read() {
    let watched = FaultDirectory::new(Arc::new(roomy()));
    let contents = read(&watched, Seq::ZERO, &mut |_, _| Ok(())).unwrap();
    assert_eq!((contents.records, contents.torn_tail_bytes), (200, 0));
    let operations = watched.operations();
    assert!(operations < 20, "{operations} for 24 KiB in a segment of 32 MiB");
}

#[test]
fn records_behind_a_stretch_of_zeros_prove_damage_wherever_they_lie() {
    let roomy = roomy();
    let names = roomy.list().unwrap();
    let name = names.iter().find(|name| name.ends_with(".log")).unwrap();
    let mut bytes = roomy.bytes(name).unwrap();
    let end = bytes.iter().rposition(|byte| *byte != 0).unwrap() & !7;
    // The last groups come to lie far behind, as if all between them were lost.
    let (from, to) = (end - 2000, 20 << 20);
    bytes.copy_within(from..from + 2008, to);
    bytes[8192..from + 2008].fill(0);
    let damaged = roomy.fork();
    damaged.insert(name, bytes);
    let error = read_all(&damaged).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupted);
    assert!(error.to_string().contains("to be durable"), "{error}");
}

/// Written by format version 1 (`examples/write_fixtures.rs`); never to be written again.
const SEGMENT: &[u8] = include_bytes!("../fixtures/v1/segment-0000000000000001.log");
const SNAPSHOT: &[u8] = include_bytes!("../fixtures/v1/state");

#[test]
fn files_of_version_1_stay_readable() {
    let directory = MemDirectory::new();
    directory.insert("segment-0000000000000001.log", SEGMENT.to_vec());
    directory.insert("state", SNAPSHOT.to_vec());
    let (contents, records) = read_all(&directory).unwrap();
    assert_eq!((contents.last, contents.torn_tail_bytes), (Seq(4), 0));
    let expected: [&[u8]; 4] = [b"first", b"", b"\x00\xff", &[7; 300]];
    for (index, (seq, bytes)) in records.iter().enumerate() {
        assert_eq!((*seq, &bytes[..]), (Seq(index as u64 + 1), expected[index]));
    }
    let mut items = Vec::new();
    let watermark = quintet_log::snapshot::read(&directory, "state", &mut |item| {
        items.push(item.to_vec());
        Ok(())
    });
    assert_eq!(watermark.unwrap(), Some(Seq(2)));
    assert_eq!(items, [b"one".to_vec(), vec![], vec![9; 100]]);
    let (log, ..) = open(&directory, small(Durability::Full), Seq(2)).unwrap();
    assert_eq!(log.append(b"goes on").unwrap(), Seq(5));
}
