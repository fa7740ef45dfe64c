//! Snapshots: whole or not at all, the old one until the new one is durable.

use crate::support::{open, small};
use quintet_core::{Durability, Error, ErrorKind, Result, Seq};
use quintet_log::{CrashDirectory, Directory, Fault, FaultDirectory, MemDirectory, OpenMode, snapshot};
use std::sync::Arc;

fn write(directory: &dyn Directory, watermark: u64) -> Result<()> {
    snapshot::write(directory, "state", Seq(watermark), |sink| {
        for number in 0..watermark {
            sink.put(&vec![watermark as u8; number as usize * 100])?;
        }
        Ok(())
    })
}

/// The watermark, after checking the items against it.
fn read(directory: &dyn Directory) -> Result<u64> {
    let mut items = Vec::new();
    let watermark = snapshot::read(directory, "state", &mut |item| {
        items.push(item.to_vec());
        Ok(())
    })?;
    let watermark = watermark.map_or(0, |seq| seq.0);
    let expected: Vec<_> = (0..watermark)
        .map(|number| vec![watermark as u8; number as usize * 100])
        .collect();
    assert_eq!(items, expected);
    Ok(watermark)
}

#[test]
fn after_a_power_cut_there_is_the_old_or_the_new_one() {
    let crash = CrashDirectory::new();
    for watermark in 1..=5 {
        write(&crash, watermark).unwrap();
        crash.note(watermark);
    }
    for moment in 0..=crash.moments() {
        let durable = crash.noted(moment).unwrap_or(0);
        for seed in 0..200 {
            let found = read(&crash.image(moment, seed)).unwrap();
            assert!(
                found == durable || found == durable + 1,
                "moment {moment} seed {seed}: {found}, not {durable}"
            );
        }
    }
}

#[test]
fn a_failed_write_keeps_the_old_one() {
    for fault in Fault::ALL {
        for nth in 0.. {
            let directory = MemDirectory::new();
            write(&directory, 3).unwrap();
            let faulty = FaultDirectory::new(Arc::new(directory.clone()));
            faulty.fail_nth(nth, fault);
            let outcome = write(&faulty, 4);
            let found = read(&directory).unwrap();
            match outcome {
                Ok(()) => assert_eq!(found, 4),
                Err(_) => assert!(found == 3 || found == 4, "{fault:?} at {nth}"),
            }
            if faulty.fired() == 0 {
                break;
            }
        }
    }
    let directory = MemDirectory::new();
    write(&directory, 3).unwrap();
    let stop = || Error::new(ErrorKind::Conflict, "enough");
    let error = snapshot::write(&directory, "state", Seq(9), |_| Err(stop())).unwrap_err();
    assert_eq!(
        (error.kind(), read(&directory).unwrap()),
        (ErrorKind::Conflict, 3)
    );
    assert_eq!(directory.list().unwrap(), ["state"], "the temporary file is gone");
}

#[test]
fn every_flipped_byte_and_every_cut_is_noticed() {
    let directory = MemDirectory::new();
    write(&directory, 4).unwrap();
    let whole = directory.bytes("state").unwrap();
    for at in 0..whole.len() {
        for damaged in [
            whole[..at].to_vec(),
            whole
                .iter()
                .enumerate()
                .map(|(i, b)| if i == at { b ^ 0x10 } else { *b })
                .collect(),
        ] {
            directory.insert("state", damaged);
            let error = snapshot::read(&directory, "state", &mut |_| Ok(())).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Corrupted, "byte {at}: {error}");
        }
    }
    directory.insert("state", [&whole[..], b"x"].concat());
    assert!(
        snapshot::read(&directory, "state", &mut |_| Ok(())).is_err(),
        "bytes after the trailer"
    );
}

#[test]
fn opening_a_log_removes_what_a_crash_left_half_written() {
    let directory = MemDirectory::new();
    for name in ["state.snapshot-new", "segment-0000000000000009.new", "mine.txt"] {
        directory.open(name, OpenMode::Create).unwrap();
    }
    let (log, ..) = open(&directory, small(Durability::Full), Seq::ZERO).unwrap();
    drop(log);
    assert_eq!(
        directory.list().unwrap(),
        ["mine.txt", "segment-0000000000000001.log"]
    );
}
