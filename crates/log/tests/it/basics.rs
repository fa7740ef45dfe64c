//! What a log does on a good day, at every level: positions, replay, rolls, truncation, limits, close.

use crate::support::{expect_run, open, record, small};
use quintet_core::{Commit, Durability, ErrorKind, Seq};
use quintet_log::{Directory, LogConfig, MemDirectory, OpenMode, OsDirectory, read};
use std::sync::Arc;

#[test]
fn records_come_back_in_order_at_every_level() {
    for durability in Durability::ALL {
        let directory = MemDirectory::new();
        let (log, recovery, _) = open(&directory, small(durability), Seq::ZERO).unwrap();
        assert_eq!((recovery.records, recovery.last), (0, Seq::ZERO));
        for number in 1..=200 {
            assert_eq!(log.append(&record(number)).unwrap(), Seq(number));
            if number % 7 == 0 {
                let commit = log.commit().unwrap();
                match durability {
                    Durability::Full => log.wait_durable(Seq(number), None).unwrap(),
                    _ => assert_eq!(commit, Commit::Done),
                }
                assert!(log.durable().unwrap() >= Seq(number));
            }
        }
        log.close().unwrap();
        assert_eq!(log.synced(), Seq(200));
        assert_eq!(log.append(b"late").unwrap_err().kind(), ErrorKind::Closed);
        let (_, recovery, records) = open(&directory, small(durability), Seq::ZERO).unwrap();
        expect_run(&records, 1, 200);
        assert_eq!(
            (recovery.first, recovery.last, recovery.torn_tail_bytes),
            (Seq(1), Seq(200), 0)
        );
    }
}

#[test]
fn positions_go_on_after_a_reopen_and_after_the_watermark() {
    let directory = MemDirectory::new();
    for round in 0..5 {
        let (log, recovery, _) = open(&directory, small(Durability::Full), Seq::ZERO).unwrap();
        assert_eq!(recovery.records, round * 3);
        for number in 1..=3 {
            assert_eq!(log.append(b"r").unwrap(), Seq(round * 3 + number));
        }
    }
    // A snapshot may be ahead of a log that lost its last records.
    let (log, recovery, records) = open(&directory, small(Durability::Full), Seq(100)).unwrap();
    assert_eq!((records.len(), recovery.last), (0, Seq(100)));
    assert_eq!(log.append(b"r").unwrap(), Seq(101));
    drop(log);
    let (_, recovery, records) = open(&directory, small(Durability::Full), Seq(100)).unwrap();
    assert_eq!((recovery.first, records.len()), (Seq(101), 1));
    let error = read(&directory, Seq(98), &mut |_, _| Ok(())).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Corrupted);
}

#[test]
fn truncation_gives_segments_back_and_keeps_what_is_needed() {
    let directory = MemDirectory::new();
    let (log, ..) = open(&directory, small(Durability::Full), Seq::ZERO).unwrap();
    for number in 1..=300 {
        log.append(&record(number)).unwrap();
        log.wait_durable(Seq(number), None).unwrap();
    }
    let before = directory.list().unwrap().len();
    log.truncate(Seq(250)).unwrap();
    let after = directory.list().unwrap().len();
    assert!(
        before > 8 && after <= 6,
        "{before} segments before, {after} after"
    );
    for number in 301..=600 {
        log.append(&record(number)).unwrap();
        log.wait_durable(Seq(number), None).unwrap();
        log.truncate(Seq(number)).unwrap();
    }
    assert!(directory.list().unwrap().len() <= 4, "{:?}", directory.list());
    drop(log);
    let (log, _, records) = open(&directory, small(Durability::Full), Seq(600)).unwrap();
    assert_eq!(records.len(), 0);
    assert_eq!(log.append(b"next").unwrap(), Seq(601));
}

#[test]
fn limits_are_kept_and_named() {
    let directory = MemDirectory::new();
    let (log, ..) = open(&directory, small(Durability::Full), Seq::ZERO).unwrap();
    let error = log.append(&[0; 1001]).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::TooLarge);
    assert!(error.to_string().contains("1001 bytes"), "{error}");
    assert_eq!(
        log.append_all(&[b"a", &[0; 1001]]).unwrap_err().kind(),
        ErrorKind::TooLarge
    );
    assert_eq!(log.last(), Seq::ZERO);
    assert_eq!(log.append_all(&[b"", &[7; 1000], b"c"]).unwrap(), Seq(3));
    assert_eq!(
        log.wait_durable(Seq(4), None).unwrap_err().kind(),
        ErrorKind::InvalidInput
    );
    drop(log);
    let (_, _, records) = open(&directory, small(Durability::Full), Seq::ZERO).unwrap();
    assert_eq!(
        records,
        [(Seq(1), vec![]), (Seq(2), vec![7; 1000]), (Seq(3), b"c".to_vec())]
    );
    let error = open(&directory, small(Durability::Full), Seq::MAX).err().unwrap();
    assert_eq!(
        error.kind(),
        ErrorKind::InvalidInput,
        "a watermark behind which nothing fits"
    );
    for (config, field) in [
        (
            LogConfig {
                segment_bytes: 4000,
                ..small(Durability::Full)
            },
            "segment_bytes",
        ),
        (
            LogConfig {
                max_record_bytes: 4000,
                ..small(Durability::Full)
            },
            "max_record_bytes",
        ),
        (
            LogConfig {
                max_group_bytes: 10,
                ..small(Durability::Full)
            },
            "max_group_bytes",
        ),
        (
            LogConfig {
                interval: std::time::Duration::ZERO,
                ..small(Durability::Full)
            },
            "interval",
        ),
    ] {
        let error = open(&directory, config, Seq::ZERO).err().unwrap();
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.to_string().contains(field), "{error}");
    }
}

#[test]
fn the_operating_systems_files_do_the_same() {
    let path = tempfile::tempdir().unwrap();
    let directory = Arc::new(OsDirectory::open(path.path().join("a/b")).unwrap());
    for round in 0..4 {
        let mut count = 0;
        let (log, _) = quintet_log::Log::open(
            directory.clone(),
            small(Durability::Full),
            Arc::new(quintet_core::SystemClock),
            Seq::ZERO,
            &mut |seq, bytes| {
                count += 1;
                assert_eq!((seq, bytes), (Seq(count), &record(count)[..]));
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(count, round * 50);
        for number in 1..=50 {
            log.append(&record(round * 50 + number)).unwrap();
        }
        log.commit().unwrap();
    }
    let file = directory.open("other", OpenMode::Create).unwrap();
    file.write_at(b"not a segment", 0).unwrap();
    assert_eq!(
        read(&*directory, Seq::ZERO, &mut |_, _| Ok(())).unwrap().records,
        200
    );
}
