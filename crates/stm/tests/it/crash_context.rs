//! A context on a log, through power cuts and failing I/O: the recovered version is the last durable one, replay equals
//! the state, and messages are delivered at least once.

use quintet_core::{Durability, Result, SystemClock};
use quintet_log::{
    Directory, Fault, LogConfig, MemDirectory,
    conformance::durable::{Durable, Workload, survives_every_fault, survives_power_cuts},
};
use quintet_stm::{Context, ContextConfig, Isolation, Value};
use std::sync::Arc;

fn open(directory: Arc<dyn Directory>, durability: Durability) -> Result<Context> {
    let log = LogConfig {
        durability,
        segment_bytes: 8192,
        max_record_bytes: 2048,
        max_group_bytes: 4096,
        ..LogConfig::default()
    };
    let config = ContextConfig {
        history: 4,
        ..ContextConfig::default()
    };
    Ok(Context::open("durable", directory, config, log, Arc::new(SystemClock))?.0)
}

/// Every value is one transaction over several paths, and one message.
struct Store {
    context: Context,
    count: i64,
    checkpoints: bool,
}

impl Durable for Store {
    fn push(&mut self, value: u64) -> Result<()> {
        let isolation = Isolation::ALL[usize::try_from(value % 2).unwrap_or(0)];
        let value = value.cast_signed();
        self.context.run(isolation, |tx| {
            tx.increment("count", 1)?;
            tx.set(&format!("value.v{}", self.count), value)?;
            tx.set("last", value)?;
            tx.send("pushed", value)
        })?;
        self.count += 1;
        if self.checkpoints && self.count % 5 == 0 {
            self.context.checkpoint()?;
        }
        Ok(())
    }

    fn commit(&mut self) -> Result<u64> {
        Ok(self.count.unsigned_abs())
    }

    fn values(&mut self) -> Result<Vec<u64>> {
        let image = self.context.snapshot().unwrap().image();
        let values: Vec<_> = (0..self.count)
            .filter_map(|n| image.get(format!("value.v{n}").as_str())?.as_int())
            .collect();
        assert_eq!(
            values.len(),
            usize::try_from(self.count).unwrap(),
            "a commit is there whole or not at all"
        );
        assert_eq!(image.get("last").and_then(Value::as_int), values.last().copied());
        assert_eq!(self.context.replay(self.context.version())?, image);
        assert_eq!(
            self.context.undelivered(),
            values.len(),
            "a message for each commit"
        );
        Ok(values.into_iter().map(i64::cast_unsigned).collect())
    }
}

fn store(directory: Arc<dyn Directory>, checkpoints: bool) -> Result<Box<dyn Durable>> {
    let context = open(directory, Durability::Full)?;
    let count = context
        .get("count")?
        .and_then(|value| value.as_int())
        .unwrap_or(0);
    Ok(Box::new(Store {
        context,
        count,
        checkpoints,
    }))
}

const WORK: Workload = Workload { values: 24, batch: 2 };

#[test]
fn what_was_acknowledged_survives_power_cuts() {
    for seed in 1..=crate::crash_rounds(2) as u64 {
        let checkpoints = seed % 2 == 0;
        let images =
            survives_power_cuts(&|directory| store(directory, checkpoints), WORK, 300, seed).unwrap();
        assert_eq!(images, 600);
    }
}

#[test]
fn what_was_acknowledged_survives_every_single_fault() {
    for fault in Fault::ALL {
        let faults = survives_every_fault(&|directory| store(directory, true), WORK, fault, false).unwrap();
        assert!(faults > 20, "{fault:?}: only {faults} faults");
    }
}

#[test]
fn a_message_is_delivered_at_least_once_and_not_again_when_taken() {
    let directory = MemDirectory::new();
    let context = open(Arc::new(directory.clone()), Durability::Interval).unwrap();
    for n in 0..4_i64 {
        context.run(Isolation::Safe, |tx| tx.send("topic", n)).unwrap();
    }
    let mut taken = 0;
    context
        .deliver(|_| {
            taken += 1;
            if taken <= 2 { Ok(()) } else { Err(()) }
        })
        .unwrap();
    for checkpoint in [false, true] {
        if checkpoint {
            context.checkpoint().unwrap();
        }
        let again = open(Arc::new(directory.fork()), Durability::Interval).unwrap();
        assert_eq!(again.version(), context.version());
        let mut got = Vec::new();
        again
            .deliver(|message| {
                got.push((message.id, message.payload.as_int()));
                Ok(())
            })
            .unwrap();
        assert_eq!(got, [(3, Some(2)), (4, Some(3))]);
        again.run(Isolation::Safe, |tx| tx.send("topic", 9_i64)).unwrap();
        again
            .deliver(|message| {
                assert_eq!(message.id, 5);
                Ok(())
            })
            .unwrap();
    }
}

#[test]
fn history_comes_back_with_old_and_new_values() {
    let directory = MemDirectory::new();
    let context = open(Arc::new(directory.clone()), Durability::Interval).unwrap();
    for n in 0..3_i64 {
        context
            .run(Isolation::Hybrid, |tx| {
                tx.set("n", n)?;
                tx.set("HEAVY_h", vec![0_u8; 4])?;
                tx.append("LOG_n", n)
            })
            .unwrap();
    }
    context.set_raw("n", 7_i64).unwrap();
    let again = open(Arc::new(directory.fork()), Durability::Interval).unwrap();
    let (before, after) = (context.history(9), again.history(9));
    assert_eq!(before.len(), 4);
    for (before, after) in before.iter().zip(&after) {
        let durable: Vec<_> = before
            .changes
            .iter()
            .filter(|change| change.path.as_str() != "HEAVY_h")
            .cloned()
            .collect();
        assert_eq!(
            (before.version, &before.who, &durable),
            (after.version, &after.who, &after.changes)
        );
    }
    assert_eq!(
        again.get("n").unwrap(),
        Some(Value::Int(7)),
        "raw writes of a durable context are recorded"
    );
    assert_eq!(
        again.get("HEAVY_h").unwrap(),
        None,
        "heavy values live in memory only"
    );
}

#[test]
fn a_damaged_record_is_named() {
    let directory = Arc::new(MemDirectory::new());
    let log = LogConfig {
        segment_bytes: 1 << 16,
        max_record_bytes: 1 << 12,
        max_group_bytes: 1 << 13,
        ..LogConfig::default()
    };
    let (log_only, _) = quintet_log::Log::open(
        directory.clone(),
        log.clone(),
        Arc::new(SystemClock),
        quintet_core::Seq::ZERO,
        &mut |_, _| Ok(()),
    )
    .unwrap();
    log_only.append(&[1, 1, 9]).unwrap();
    log_only.close().unwrap();
    let error = Context::open(
        "bad",
        directory,
        ContextConfig::default(),
        log,
        Arc::new(SystemClock),
    )
    .unwrap_err();
    assert_eq!(error.kind(), quintet_core::ErrorKind::Corrupted);
    assert!(error.to_string().contains("isolation 9"), "{error}");
}
