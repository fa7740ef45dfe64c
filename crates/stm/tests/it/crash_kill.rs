//! A real process on a real file is killed in the middle of its work: what it had acknowledged is there afterwards.

use quintet_core::{Durability, ErrorKind, SystemClock};
use quintet_log::{LogConfig, OsDirectory};
use quintet_stm::{Context, ContextConfig, Isolation, Value};
use std::{
    io::{BufRead, BufReader, Write},
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
};

const CHILD: &str = "QUINTET_STM_KILL_DIRECTORY";

fn open(directory: &Path) -> Context {
    try_open(directory).unwrap()
}

fn try_open(directory: &Path) -> quintet_stm::Result<Context> {
    let log = LogConfig {
        durability: Durability::Interval,
        segment_bytes: 1 << 20,
        max_record_bytes: 1 << 16,
        max_group_bytes: 1 << 17,
        ..LogConfig::default()
    };
    let directory = Arc::new(OsDirectory::open(directory).unwrap());
    Context::open(
        "kill",
        directory,
        ContextConfig::default(),
        log,
        Arc::new(SystemClock),
    )
    .map(|(context, _)| context)
}

/// Not a test of its own: what the killed process runs. Says the version and the count after each commit.
#[test]
fn child() {
    let Some(directory) = std::env::var_os(CHILD) else {
        return;
    };
    let context = open(Path::new(&directory));
    loop {
        let how = quintet_stm::Transaction::new(Isolation::Safe);
        let (count, version) = context
            .transact(&how, |tx| {
                let count = tx.get_int("count")? + 1;
                tx.set("count", count)?;
                tx.set("twice", 2 * count)?;
                tx.send("counted", count)?;
                Ok(count)
            })
            .unwrap();
        if count % 64 == 0 {
            context.checkpoint().unwrap();
        }
        let mut out = std::io::stdout().lock();
        writeln!(out, "acknowledged {} {count}", version.unwrap()).unwrap();
        out.flush().unwrap();
    }
}

#[test]
fn what_was_acknowledged_survives_kill_9() {
    let directory = tempfile::tempdir().unwrap();
    let mut before = 0;
    for round in 1..=crate::crash_rounds(6) {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "crash_kill::child", "--nocapture"])
            .env(CHILD, directory.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let acknowledged = |line: String| {
            let mut words = line
                .strip_prefix("acknowledged ")?
                .split(' ')
                .map(|word| word.parse::<u64>().unwrap());
            Some((words.next()?, i64::try_from(words.next()?).ok()?))
        };
        let (version, count): (u64, i64) = lines
            .map(Result::unwrap)
            .filter_map(acknowledged)
            .nth(round * 37 % 300)
            .unwrap();
        process.kill().unwrap();
        process.wait().unwrap();

        let context = open(directory.path());
        let int = |path| {
            context
                .get(path)
                .unwrap()
                .and_then(|value| value.as_int())
                .unwrap()
        };
        assert!(
            int("count") >= count && context.version() >= version,
            "round {round}"
        );
        assert!(count > before);
        assert_eq!(int("twice"), 2 * int("count"));
        assert_eq!(context.undelivered(), usize::try_from(int("count")).unwrap());
        assert_eq!(
            context.replay(context.version()).unwrap().get("count"),
            Some(&Value::Int(int("count")))
        );
        before = int("count");
        context.close().unwrap();
    }
}

/// A second process, and a second handle in this one, are refused while the first lives; a killed one leaves no lock.
#[test]
fn a_directory_belongs_to_one_context_at_a_time() {
    let directory = tempfile::tempdir().unwrap();
    let mut process = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "crash_kill::child", "--nocapture"])
        .env(CHILD, directory.path())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(process.stdout.take().unwrap()).lines();
    assert!(lines.any(|line| line.unwrap().starts_with("acknowledged")));
    let error = try_open(directory.path()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unavailable, "{error}");
    assert!(error.to_string().contains("in use"), "{error}");
    process.kill().unwrap();
    process.wait().unwrap();

    let context = open(directory.path());
    assert_eq!(
        try_open(directory.path()).unwrap_err().kind(),
        ErrorKind::Unavailable
    );
    drop(context);
    open(directory.path());
}
