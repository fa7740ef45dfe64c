//! Copies of a context that goes on: they open, and they are the context at one commit.

use quintet_core::{Durability, SystemClock};
use quintet_log::{LogConfig, MemDirectory};
use quintet_stm::{Context, ContextConfig, Isolation, Value};
use std::sync::{
    Arc,
    atomic::{AtomicBool, AtomicI64, Ordering},
};

fn open(directory: &MemDirectory, durability: Durability) -> Context {
    let log = LogConfig {
        durability,
        segment_bytes: 8192,
        max_record_bytes: 2048,
        max_group_bytes: 4096,
        ..LogConfig::default()
    };
    let directory = Arc::new(directory.clone());
    let opened = Context::open(
        "copied",
        directory,
        ContextConfig::default(),
        log,
        Arc::new(SystemClock),
    );
    opened.unwrap().0
}

fn number(context: &Context, path: &str) -> i64 {
    let image = context.snapshot().unwrap().image();
    image.get(path).and_then(Value::as_int).unwrap_or(0)
}

#[test]
fn a_copy_made_under_load_and_checkpoints_is_the_context_at_one_commit() {
    for durability in Durability::ALL {
        let directory = MemDirectory::new();
        let context = open(&directory, durability);
        let (acknowledged, over) = (AtomicI64::new(0), AtomicBool::new(false));
        std::thread::scope(|scope| {
            scope.spawn(|| {
                for n in 1.. {
                    context
                        .run(Isolation::Safe, |tx| {
                            tx.set("left", n)?;
                            tx.set("right", n)
                        })
                        .unwrap();
                    acknowledged.store(n, Ordering::Release);
                    if n % 40 == 0 {
                        context.checkpoint().unwrap();
                    }
                    if over.load(Ordering::Acquire) {
                        break;
                    }
                }
            });
            for _ in 0..20 {
                let before = acknowledged.load(Ordering::Acquire);
                let copy = MemDirectory::new();
                context.backup(&copy, &mut |_| Ok(())).unwrap();
                let copy = open(&copy, durability);
                let (left, right) = (number(&copy, "left"), number(&copy, "right"));
                assert!(left >= before, "{durability}: {left} of {before}");
                assert_eq!(left, right, "{durability}: half a transaction");
            }
            over.store(true, Ordering::Release);
        });
    }
}
